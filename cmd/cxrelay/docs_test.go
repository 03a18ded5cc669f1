package main

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// quickstartScript needs the default ports and so runs alone.
const quickstartScript = "quickstart.txtar"

// TestQuickstart executes what README.md tells a new user to do, on the
// default ports, as it stands there but for two things: "go run
// ./cmd/cxrelay" is this test binary, because compiling is not what is tested
// here, and the serve block finds the test's broker and registry instead of
// its example hosts. It is the only test that binds fixed ports.
//
// When another program has one of the ports, CI fails and names it; elsewhere
// the test is skipped, with a line on stderr.
func TestQuickstart(t *testing.T) {
	for _, address := range []string{":8080", "127.0.0.1:9092", "127.0.0.1:8081", "127.0.0.1:9640"} {
		if eventually(func() bool { return isFree(address) }) {
			continue
		}
		message := fmt.Sprintf("another program listens on %s, which the quickstart of README.md needs", address)
		if os.Getenv("CI") != "" {
			t.Fatal(message)
		}
		fmt.Fprintln(os.Stderr, "NOT TESTED:", message)
		t.Skip(message)
	}
	readme := readPage(t, "../../README.md")
	blocks := fences(readme)
	serve := blockWith(t, blocks, "cxrelay serve")
	for _, example := range [][2]string{{"kafka:9092", "$BROKERS"}, {"http://registry:8081", "$REGISTRY"}, {"\nbin/cxrelay serve", "\nexec cxrelay serve"}} {
		if !strings.Contains(serve, example[0]) {
			t.Fatalf("README.md: the block with cxrelay serve has no %q any more: %s", example[0], serve)
		}
		serve = strings.ReplaceAll(serve, example[0], example[1])
	}
	kcat := regexp.MustCompile("`(kcat [^`]+)`").FindStringSubmatch(readme)
	if kcat == nil {
		t.Fatal("README.md has no kcat line any more")
	}
	runStories(t, []string{filepath.Join("testdata", quickstartScript)}, func(env *testscript.Env) error {
		env.Setenv("README_DEV", blockWith(t, blocks, "cxrelay dev"))
		env.Setenv("README_SEND", blockWith(t, blocks, "cxrelay send"))
		env.Setenv("README_KCAT", kcat[1])
		env.Setenv("README_SERVE", serve)
		return os.Chmod(filepath.Join(env.WorkDir, "bin", "go"), 0o755)
	})
}

func isFree(address string) bool {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	return ln.Close() == nil
}

// blockWith returns the only block of shell commands that holds the text.
func blockWith(t *testing.T, blocks []string, text string) string {
	t.Helper()
	var found []string
	for _, b := range blocks {
		if strings.Contains(b, text) {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		t.Fatalf("README.md has %d blocks of shell commands with %q, want 1", len(found), text)
	}
	return strings.TrimSpace(found[0])
}

// TestDocumentedCommands: every command line of the documentation parses.
// Blocks of shell commands must be right to the last argument; in running
// text ("`cxrelay send --count N`") command and flags must exist.
func TestDocumentedCommands(t *testing.T) {
	pages := []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "examples/cxrelay.yaml"}
	err := fs.WalkDir(os.DirFS("../.."), "docs", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		n, faults := checkCommands(readPage(t, filepath.Join("../..", page)))
		found += n
		for _, fault := range faults {
			t.Errorf("%s: %s", page, fault)
		}
	}
	if found < 4 {
		t.Errorf("only %d command lines found: the search is broken", found)
	}
	t.Logf("%d command lines on %d pages", found, len(pages))
}

// TestCheckCommands: what TestDocumentedCommands relies on can fail.
func TestCheckCommands(t *testing.T) {
	fence := func(s string) string { return "text\n\n```sh\n" + s + "\n```\n" }
	for page, want := range map[string]string{
		"nothing of cxrelay here, and `cxrelay_up`":                                    "0 []",
		"`cxrelay send --count N`":                                                     "1 []",
		"`cxrelay send --cuont N`":                                                     "1 [cxrelay send --cuont N: unknown flag: --cuont]",
		"`cxrelay frobnicate`":                                                         `1 [cxrelay frobnicate: unknown command "frobnicate" for "cxrelay"]`,
		fence("A=b cxrelay send 'QUEUE_TRANSFER' \\\n  --count 3 | grep x"):            "1 []",
		fence("$ go run ./cmd/cxrelay send --count many"):                              `1 [cxrelay send --count many: invalid argument "many" for "--count" flag: want a whole number]`,
		fence("cxrelay version extra"):                                                 `1 [cxrelay version extra: "extra" is an argument, and the command takes none]`,
		fence("make && ./bin/cxrelay serve --nope & # cxrelay"):                        "1 [cxrelay serve --nope: unknown flag: --nope]",
		fence("echo 'cxrelay serve --nope'") + "```yaml\nrun: cxrelay serve --no\n```": "0 []",
	} {
		n, faults := checkCommands(page)
		if got := fmt.Sprint(n, " ", faults); got != want {
			t.Errorf("%q:\nhave %s\nwant %s", page, got, want)
		}
	}
}

func readPage(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fences returns the blocks of shell commands of a Markdown page.
func fences(page string) []string {
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		if slices.Contains([]string{"", "sh", "bash", "shell", "console"}, m[1]) {
			blocks = append(blocks, m[2])
		}
	}
	return blocks
}

// checkCommands looks for command lines of cxrelay on a page, and returns
// how many there are and what is wrong with them.
func checkCommands(page string) (found int, faults []string) {
	check := func(args []string, strict bool) {
		found++
		if err := parses(args, strict); err != nil {
			faults = append(faults, fmt.Sprintf("cxrelay %s: %v", strings.Join(args, " "), err))
		}
	}
	for _, block := range fences(page) {
		for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", " ")) {
			for _, words := range commandsOf(strings.TrimPrefix(strings.TrimSpace(line), "$ ")) {
				if args, ok := ours(words); ok {
					check(args, true)
				}
			}
		}
	}
	for _, m := range regexp.MustCompile("`((?:go run \\./cmd/)?cxrelay [^`\n]+)`").FindAllStringSubmatch(page, -1) {
		for _, words := range commandsOf(m[1]) {
			if args, ok := ours(words); ok {
				check(args, false)
			}
		}
	}
	return found, faults
}

// ours returns the arguments, if the words are a command line of cxrelay.
func ours(words []string) (args []string, ok bool) {
	for len(words) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) {
		words = words[1:]
	}
	switch {
	case len(words) > 2 && words[0] == "go" && words[1] == "run" && words[2] == "./cmd/cxrelay":
		return words[3:], true
	case len(words) > 0 && slices.Contains([]string{"cxrelay", "bin/cxrelay", "./bin/cxrelay"}, words[0]):
		return words[1:], true
	default:
		return nil, false
	}
}

// parses runs the parser of the command line, and nothing else. Where it is
// not strict, values may be placeholders.
func parses(args []string, strict bool) error {
	cmd, rest, err := newRootCommand().Find(args)
	if err != nil {
		return err
	}
	if !cmd.HasParent() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return fmt.Errorf("unknown command %q for %q", rest[0], cmd.CommandPath())
	}
	cmd.InitDefaultHelpFlag()
	if strict {
		if err := cmd.ParseFlags(rest); err != nil {
			return err
		}
		return cmd.ValidateArgs(cmd.Flags().Args())
	}
	for _, word := range rest {
		name, isFlag := strings.CutPrefix(strings.Trim(word, "[]"), "--")
		name, _, _ = strings.Cut(name, "=")
		if isFlag && cmd.Flags().Lookup(name) == nil {
			return fmt.Errorf("unknown flag: --%s", name)
		}
	}
	return nil
}

// commandsOf splits a line as a shell does: into commands at | ; & and into
// words at blanks, with quotes and backslashes. Redirections end a command,
// a # ends the line.
func commandsOf(line string) [][]string {
	var all [][]string
	var words []string
	var word strings.Builder
	inWord := false
	endWord := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	var quote rune
	escaped := false
	for _, r := range line + ";" {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case quote != 0 && r == quote:
			quote = 0
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case strings.ContainsRune("|;&<>()", r):
			endWord()
			if len(words) > 0 {
				all = append(all, words)
			}
			words = nil
		case r == ' ' || r == '\t' || r == '\n':
			endWord()
		case r == '#' && !inWord:
			return append(all, words)
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	return all
}
