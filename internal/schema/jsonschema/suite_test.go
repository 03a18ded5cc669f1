package jsonschema_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/google/jsonschema-go/jsonschema" // carries a copy of the official suite in its testdata

	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// suiteGroup is one schema of the official suite
// (https://github.com/json-schema-org/JSON-Schema-Test-Suite) with its cases.
type suiteGroup struct {
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

// suiteDir finds the suite in the module cache.
func suiteDir(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/jsonschema-go").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "jsonschema", "testdata")
}

// suiteRemotes are the documents that the suite serves at localhost:1234, as
// references of every schema.
func suiteRemotes(t *testing.T, dir string) map[string]string {
	t.Helper()
	remotes := map[string]string{}
	for file, text := range jsonFiles(t, os.DirFS(dir), "remotes") {
		remotes[remoteURL(file)] = text
	}
	return remotes
}

// remoteURL is where the suite serves a file of its folder "remotes".
func remoteURL(file string) string {
	return "http://localhost:1234/" + strings.TrimPrefix(file, "remotes/")
}

func suiteFiles(t *testing.T, dir, draft string) map[string][]suiteGroup {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, draft, "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%d files of %s: %v", len(names), draft, err)
	}
	files := map[string][]suiteGroup{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var groups []suiteGroup
		if err := json.Unmarshal(text, &groups); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files[strings.TrimSuffix(filepath.Base(name), ".json")] = groups
	}
	return files
}

// TestSuite is the gate of correctness: every required case of the official
// suite, decided by the product's own Validator, and by the judge where it may
// run; and how many of them the fast path decided.
func TestSuite(t *testing.T) {
	dir := suiteDir(t)
	remotes := suiteRemotes(t, dir)
	for _, tt := range []struct {
		draft       string
		least, fast int // cases, and per cent of them
	}{{"draft7", 900, 100}, {"draft2020-12", 1090, 100}} {
		t.Run(tt.draft, func(t *testing.T) {
			files := suiteFiles(t, dir, tt.draft)
			cases, fast := 0, 0
			for file, groups := range files {
				for _, g := range groups {
					v := suiteCompile(t, file+": "+g.Description, string(g.Schema), remotes)
					if v == nil {
						continue
					}
					name, _ := v.(schema.Described).Engine()
					for _, c := range g.Tests {
						cases++
						if name == "fast" {
							fast++
						}
						want, where := c.Valid, file+": "+g.Description+": "+c.Description
						if got := accepts(t, v, string(c.Data)); got != want {
							t.Errorf("%s: valid %v, want %v", where, got, want)
						}
						if judge := jsonschema.JudgeOnly(v); judge != nil && accepts(t, judge, string(c.Data)) != want {
							t.Errorf("%s: the judge is wrong", where)
						}
					}
				}
			}
			t.Logf("%s: %d cases, %d decided by the fast path", tt.draft, cases, fast)
			if cases < tt.least || 100*fast < tt.fast*cases {
				t.Errorf("%d cases, %d by the fast path; want at least %d and %d %%", cases, fast, tt.least, tt.fast)
			}
		})
	}
}

func suiteCompile(t *testing.T, where, text string, remotes map[string]string) schema.Validator {
	t.Helper()
	v, err := jsonschema.Compile(definition(text, remotes))
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return nil
	}
	return v
}
