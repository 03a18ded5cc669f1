package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/deliver"
	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/signature"
)

const repository = "../.."

// pages are the Markdown pages that people read, from the top of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	found := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
	for _, dir := range []string{"docs", "internal"} {
		err := fs.WalkDir(os.DirFS(repository), dir, func(name string, _ fs.DirEntry, err error) error {
			if path.Ext(name) == ".md" && (dir == "docs" || path.Base(name) == "DESIGN.md") {
				found = append(found, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestLinks: what the pages link to inside the repository is there, the
// heading too.
func TestLinks(t *testing.T) {
	total := 0
	for _, page := range pages(t) {
		links := linksOf(readPage(t, filepath.Join(repository, page)))
		total += len(links)
		for _, link := range links {
			if fault := broken(repository, page, link); fault != "" {
				t.Errorf("%s: (%s): %s", page, link, fault)
			}
		}
	}
	if total < 50 {
		t.Errorf("only %d links found: the search is broken", total)
	}
	t.Logf("%d links", total)
}

// linksOf returns the targets of a page's links and pictures, but not those
// that lead out of the repository.
func linksOf(page string) []string {
	var targets []string
	for _, m := range regexp.MustCompile(`\]\(([^()\s]+)\)`).FindAllStringSubmatch(withoutCode(page), -1) {
		if !strings.Contains(m[1], "://") && !strings.HasPrefix(m[1], "mailto:") {
			targets = append(targets, m[1])
		}
	}
	return targets
}

func withoutCode(page string) string {
	page = regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(page, "")
	return regexp.MustCompile("`[^`\n]*`").ReplaceAllString(page, "code")
}

// broken says what is wrong with a link of a page, or "".
func broken(root, page, link string) string {
	file, anchor, hasAnchor := strings.Cut(link, "#")
	target := page
	if file != "" {
		target = path.Join(path.Dir(page), file)
	}
	if _, err := os.Stat(filepath.Join(root, target)); err != nil {
		return "no such file"
	}
	if !hasAnchor {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(root, target))
	if err != nil {
		return err.Error()
	}
	if !slices.Contains(anchorsOf(string(b)), anchor) {
		return "no such heading"
	}
	return ""
}

// anchorsOf returns the anchors of the headings, as GitHub makes them: lower
// case, punctuation dropped, a dash for each space, -1 for a second one.
func anchorsOf(page string) []string {
	page = regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(page, "")
	var anchors []string
	seen := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`).FindAllStringSubmatch(page, -1) {
		text := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1")
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, text)
		if n := seen[anchor]; n > 0 {
			anchors = append(anchors, fmt.Sprintf("%s-%d", anchor, n))
		} else {
			anchors = append(anchors, anchor)
		}
		seen[anchor]++
	}
	return anchors
}

// TestBrokenLinks: what TestLinks relies on can fail.
func TestBrokenLinks(t *testing.T) {
	root := t.TempDir()
	const page = "# A `b` & C_d!\n## Again\n## Again\n[x](b.md#no) `[y](z)`\n```\n# not\n[y](z)\n```\n[w](https://example.com) ![p](p.png)\n"
	for name, text := range map[string]string{"a.md": page, "docs/b.md": "# Of [links](a.md)\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(linksOf(page)); got != "[b.md#no p.png]" {
		t.Errorf("links %s", got)
	}
	if got := fmt.Sprint(anchorsOf(page)); got != "[a-b--c_d again again-1]" {
		t.Errorf("anchors %s", got)
	}
	for link, want := range map[string]string{
		"docs": "", "docs/b.md": "", "docs/b.md#of-links": "", "#again-1": "", "a.md#again": "",
		"b.md": "no such file", "docs/b.md#no": "no such heading", "#Again": "no such heading", "docs/../../x": "no such file",
	} {
		if got := broken(root, "a.md", link); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}

// TestWhereToGo: the files that "To change X, go to Y" names are there. They
// are relative to internal/, or to the top of the repository.
func TestWhereToGo(t *testing.T) {
	_, table, ok := strings.Cut(readPage(t, repository+"/docs/architecture.md"), "## To change X, go to Y")
	if !ok {
		t.Fatal("docs/architecture.md has no such table any more")
	}
	found := 0
	for _, row := range regexp.MustCompile(`(?m)^\|[^|]*\|(.*)\|$`).FindAllStringSubmatch(table, -1) {
		for _, m := range regexp.MustCompile("`([^` ]+)`").FindAllStringSubmatch(row[1], -1) {
			found++
			name := regexp.MustCompile(`<\w+>`).ReplaceAllString(m[1], "*")
			if !strings.Contains(name, "/") {
				name = "*/" + name
			}
			if !matches(t, repository+"/internal/"+name) && !matches(t, repository+"/"+name) {
				t.Errorf("no file is %s", m[1])
			}
		}
	}
	if found < 25 {
		t.Errorf("only %d files found: the search is broken", found)
	}
}

func matches(t *testing.T, pattern string) bool {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return len(files) > 0
}

// TestReferencePage: it has every command and every exit code, once.
func TestReferencePage(t *testing.T) {
	page := readPage(t, repository+"/docs/reference.md")
	rows := func(expr string) (found []string) {
		for _, m := range regexp.MustCompile(expr).FindAllStringSubmatch(page, -1) {
			found = append(found, m[1])
		}
		slices.Sort(found)
		return found
	}
	var commands []string
	for _, cmd := range newRootCommand().Commands() {
		commands = append(commands, cmd.Name())
	}
	slices.Sort(commands)
	if got := rows("(?m)^\\| `cxrelay (\\w+)"); !slices.Equal(got, commands) {
		t.Errorf("commands %v, want %v", got, commands)
	}
	var codes []string
	for _, code := range []int{0, exitFailed, exitUsage, exitFindings, exitUnavailable, exitConfig} {
		codes = append(codes, fmt.Sprint(code))
	}
	slices.Sort(codes)
	if got := rows(`(?m)^\| (\d+) \|`); !slices.Equal(got, codes) {
		t.Errorf("exit codes %v, want %v", got, codes)
	}
}

// TestRecordsPage: key, partition and headers are what the page says, and a
// real record has just those headers.
func TestRecordsPage(t *testing.T) {
	t.Parallel()
	page := readPage(t, repository+"/docs/records.md")
	m := regexp.MustCompile("Contact `([^`]+)` has the key `([^`]+)`, which among 8 partitions is in partition (\\d) by `murmur2` and in (\\d) by `crc32`").FindStringSubmatch(page)
	if m == nil {
		t.Fatal("docs/records.md has no example of a key any more")
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(m[1]))
	key := fmt.Sprintf("pk-%016x", hash.Sum64())
	java, crc := deliver.Murmur2.Partition([]byte(key), 8), deliver.CRC32.Partition([]byte(key), 8)
	if m[2] != key || m[3] != fmt.Sprint(java) || m[4] != fmt.Sprint(crc) {
		t.Errorf("the page says %v, it is %s, %d and %d", m[1:], key, java, crc)
	}
	b := newBackend(t)
	r := b.serve(t, "CXRELAY_INSTANCE=relay-1")
	rec := b.relayOne(t, r, `{"eventId":"evt-42","actionType":"QUEUE_TRANSFER","contactId":"`+m[1]+`"}`)
	if string(rec.Key) != key || rec.Partition != java {
		t.Errorf("key %s in partition %d", rec.Key, rec.Partition)
	}
	headers := map[string]string{}
	for _, h := range rec.Headers {
		headers[h.Key] = string(h.Value)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(cxrelay-[a-z-]+|traceparent)` \\|").FindAllStringSubmatch(page, -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(documented)
	if got := slices.Sorted(maps.Keys(headers)); !slices.Equal(got, documented) || len(rec.Headers) != len(got) {
		t.Errorf("headers %v, the page has %v", rec.Headers, documented)
	}
	origin := regexp.MustCompile(`^relay-1/[0-9a-f]{12}/1$`)
	if headers["cxrelay-event-id"] != "evt-42" || headers["cxrelay-source"] != "cxone" || headers["cxrelay-type"] != "QUEUE_TRANSFER" ||
		headers["cxrelay-schema-id"] != "1" || !origin.MatchString(headers["cxrelay-origin"]) || time.Since(rec.Timestamp).Abs() > patience {
		t.Errorf("headers %v, time %s", headers, rec.Timestamp)
	}
	runPython(t, page, rec, m[1])
}

// relayOne sends a body with a traceparent and returns the record.
func (b *backend) relayOne(t *testing.T, r *relay, body string) *kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	scheme, _ := signature.Preset("cxone")
	fields, err := signature.Sign(scheme, signature.Secret{ID: "a", Value: []byte(defaultSecret)}, []byte(body), time.Now(), "")
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.webhook+"/cxone/webhook", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		req.Header.Set(f.Name, f.Value)
	}
	req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	resp, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("answered %s", resp.Status)
	}
	records, err := devkit.ReadAll(ctx, devTopics(), kgo.SeedBrokers(b.kafka.Addr()))
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	return records[0]
}

// runPython runs the page's code with what a record holds.
func runPython(t *testing.T, page string, rec *kgo.Record, contact string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Log("NOT TESTED: the Python code of docs/records.md; there is no python3")
		return
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```python\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) != 3 {
		t.Fatalf("%d blocks of Python, want 3", len(blocks))
	}
	run := func(code, stdin string) string {
		cmd := exec.CommandContext(t.Context(), python, "-c", "from __future__ import annotations\n"+code)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := run(blocks[0]+"\nprint(body(bytes([0, 0, 0, 1, 2]) + b'{}', True), body(b'{}', False))", ""); got != "(258, b'{}') (None, b'{}')" {
		t.Errorf("body: %s", got)
	}
	if got := run(blocks[1]+fmt.Sprintf("\nprint(key(%q))", contact), ""); got != string(rec.Key) {
		t.Errorf("key: %s", got)
	}
	var lines strings.Builder
	for _, origin := range []string{"a/1/4", "a/1/5", "b/2/1", "a/1/7", "b/2/2"} {
		// What kcat -J prints, as far as the code looks at it.
		line, err := json.Marshal(map[string]any{"partition": 3, "headers": []string{"cxrelay-source", "cxone", "cxrelay-origin", origin}})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	if got := run(blocks[2], lines.String()); got != "partition 3, a/1: 7 where 6 was expected" {
		t.Errorf("gaps: %s", got)
	}
}
