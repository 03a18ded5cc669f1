package config_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/config"
)

var update = flag.Bool("update", false, "write the golden files")

// faultSource is the world of the golden files.
func faultSource(name string, data []byte) config.Source {
	return config.Source{
		File: name, Data: data,
		Env: []string{"SECRET=hunter2hunter2", "CXONE_WEBHOOK_SECRET=hunter2hunter2", "EMPTY="},
		ReadFile: func(name string) ([]byte, error) {
			switch name {
			case "good":
				return []byte("hunter2hunter2\n"), nil
			case "empty":
				return []byte("\n"), nil
			default:
				if data, ok := pemFiles()[name]; ok {
					return data, nil
				}
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
		},
	}
}

// Each file of testdata/faults has every one of its problems in the golden
// file beside it, as a user sees them, and no secret. Run with -update to
// write them, then read what changed.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, warnings, err := config.Load(faultSource(filepath.Base(file), data))
			var faults *config.Errors
			if !errors.As(err, &faults) || c != nil {
				t.Fatalf("config %v, error %v", c, err)
			}
			var b strings.Builder
			for _, p := range append(faults.Problems, warnings...) {
				b.WriteString(p.String() + "\n")
			}
			if strings.Contains(b.String(), "hunter2") {
				t.Errorf("a secret shows:\n%s", b.String())
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", b.String(), want)
			}
		})
	}
}
