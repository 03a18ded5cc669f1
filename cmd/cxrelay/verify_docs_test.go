package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cxrelay/cxrelay/internal/signature"
)

const receivePage = "../../docs/receive-from-cxone.md"

// blocksOf returns the first block of a language under each heading of the
// third level, by the heading's anchor.
func blocksOf(page, language string) map[string]string {
	found := map[string]string{}
	for _, part := range strings.Split(page, "\n### ")[1:] {
		heading, rest, _ := strings.Cut(part, "\n")
		if m := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$").FindStringSubmatch(rest); m != nil {
			found[anchorsOf("### " + heading + "\n")[0]] = m[1]
		}
	}
	return found
}

// senderRow is a row of the page's tables of senders.
type senderRow struct{ header, time, anchor, request string }

func senderRows(page string) []senderRow {
	var rows []senderRow
	for _, m := range regexp.MustCompile("(?m)^\\|[^|]+\\| `([^`|]+)` \\| (?:`([^`|]+)`)? ?\\| \\[[^]]+\\]\\(#([^)]+)\\) \\|[^|]+\\| `([^`|]+)` \\|$").FindAllStringSubmatch(page, -1) {
		rows = append(rows, senderRow{m[1], m[2], m[3], m[4]})
	}
	return rows
}

// TestReceiveBlocks: every block of the page loads; with the headers of its
// row it takes the row's request; every request has a row.
func TestReceiveBlocks(t *testing.T) {
	page := readPage(t, receivePage)
	blocks, rows, used := blocksOf(page, "yaml"), senderRows(page), map[string]bool{}
	if n := strings.Count(page, "\n```yaml\n"); n != len(blocks) || n < 15 {
		t.Errorf("%d blocks, %d of them under headings of their own", n, len(blocks))
	}
	byName := map[string]sender{}
	for _, s := range allSenders(t) {
		byName[s.Name] = s
	}
	for _, row := range rows {
		s, ok := byName[row.request]
		if !ok {
			t.Errorf("no request %s", row.request)
			continue
		}
		delete(byName, row.request)
		used[row.anchor] = true
		block, ok := strings.CutPrefix(blocks[row.anchor], "sources:\n")
		if !ok {
			t.Errorf("%s: no block %q", row.request, row.anchor)
			continue
		}
		_, block, _ = strings.Cut(block, "\n") // the name is loadBlock's
		source := loadBlock(t, block+"\n").Sources[0]
		scheme := source.Scheme
		scheme.Header = row.header
		if row.time != "" {
			scheme.Timestamp.Header = row.time
		}
		takes(t, s, scheme, len(source.Secrets))
	}
	for name := range byName {
		t.Errorf("the request %s has no row", name)
	}
	for anchor := range blocks {
		if !used[anchor] {
			t.Errorf("no row leads to the block %q", anchor)
		}
	}
}

// takes asserts that a source of this scheme takes the sender's request.
func takes(t *testing.T, s sender, scheme signature.Scheme, secrets int) {
	t.Helper()
	keys := []signature.Secret{{ID: "own", Value: []byte(s.Secret)}}
	if s.Other != "" {
		keys = append(keys, signature.Secret{ID: "other", Value: []byte(s.Other)})
	}
	if len(keys) != secrets {
		t.Errorf("%s: the block has %d secrets, the sender %d", s.Name, secrets, len(keys))
	}
	c, err := parseHTTP([]byte(readPage(t, filepath.Join(sendersDir, s.Name+".http"))))
	if err != nil {
		t.Fatal(err)
	}
	r, err := signature.Explain(signature.Question{Scheme: scheme, Secrets: keys, Now: time.Unix(s.At, 0)}, c.Capture)
	if err != nil || !r.Matches() {
		t.Errorf("%s: %+v, %v", s.Name, r, err)
	}
}

// TestReceiveTables: what is not supported, and every word of a diagnosis,
// stands on the page.
func TestReceiveTables(t *testing.T) {
	page := readPage(t, receivePage)
	files, err := filepath.Glob(filepath.Join(sendersDir, "foreign-*.http"))
	if err != nil || len(files) < 14 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".http"); !strings.Contains(page, "`"+name+"`") {
			t.Errorf("%s is not on the page", name)
		}
	}
	for _, c := range signature.Causes() {
		if !regexp.MustCompile("(?m)^\\| [^|]*`" + string(c) + "`[^|]*\\|[^|]+\\|[^|]+\\|$").MatchString(page) {
			t.Errorf("%s is not on the page", c)
		}
	}
}

// TestReceiveCommands executes the page's commands, and compares what it says
// they print.
func TestReceiveCommands(t *testing.T) {
	page := readPage(t, receivePage)
	commands := fences(page)
	variables := map[string]string{
		"DOC_CONFIG": "--config cxrelay.yaml", "DOC_FORMS": "curl.txt", "DOC_AT": "--at ", "DOC_SEARCH": "--search", "DOC_WHY": "quoted.txt",
	}
	if len(commands) != len(variables) {
		t.Fatalf("the page has %d blocks of commands, the story runs %d", len(commands), len(variables))
	}
	_, output, ok := strings.Cut(page, "```text\ndoes not match")
	output, _, ok2 := strings.Cut(output, "```")
	if !ok || !ok2 {
		t.Fatal("the page shows no output any more")
	}
	runStories(t, []string{filepath.Join("testdata", "docs", "receive.txtar")}, func(env *testscript.Env) error {
		for name, text := range variables {
			i := slices.IndexFunc(commands, func(c string) bool { return strings.Contains(c, text) })
			env.Setenv(name, strings.TrimSpace(commands[i]))
		}
		want := filepath.Join(env.WorkDir, "page.txt")
		env.Setenv("DOC_OUTPUT", want)
		return os.WriteFile(want, []byte("does not match"+output), 0o600)
	})
}
