// Package mutant builds programs with a fault of our choice in them, to see
// whether the tests convict it. No file is changed: the Go tool is told to
// read others in their place (go build -overlay).
package mutant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cxrelay/cxrelay/test/process"
)

// Edit replaces a text that is in a file exactly once.
type Edit struct {
	File     string // from the module's root, or absolute
	Old, New string
}

// Overlay writes the changed files to dir and returns the file that says
// where they belong, for -overlay.
func Overlay(root, dir string, edits ...Edit) (string, error) {
	texts := map[string]string{}
	for _, e := range edits {
		text, ok := texts[e.File]
		if !ok {
			b, err := os.ReadFile(place(root, e.File)) //nolint:gosec // a file of this module, or of Go
			if err != nil {
				return "", err
			}
			text = string(b)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return "", fmt.Errorf("mutant: %q is %d times in %s, want once: the mutant must follow the code", e.Old, n, e.File)
		}
		texts[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	replace := map[string]string{}
	var errs []error
	for file, text := range texts {
		changed := filepath.Join(dir, fmt.Sprintf("%d-%s", len(replace), filepath.Base(file)))
		replace[place(root, file)] = changed
		errs = append(errs, os.WriteFile(changed, []byte(text), 0o600))
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, errors.Join(append(errs, err, os.WriteFile(overlay, list, 0o600))...)
}

func place(root, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(root, file)
}

// Build compiles a command of the module, with the edits if there are any.
// Dir takes what that needs and must be the caller's own.
func Build(ctx context.Context, root, dir, command, binary string, edits ...Edit) error {
	args := []string{"build", "-trimpath", "-o", binary}
	if len(edits) > 0 {
		overlay, err := Overlay(root, dir, edits...)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, command)...) //nolint:gosec // our own arguments
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	return process.Run(ctx, cmd, filepath.Join(dir, "build.log"))
}

// Root finds the module's root from a folder in it.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && strings.Contains(string(text), "module github.com/cxrelay/cxrelay\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("not in a checkout of cxrelay")
		}
		dir = up
	}
}
