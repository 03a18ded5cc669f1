//go:build real

package real_test

import (
	"os"
	"path/filepath"
	"testing"
)

// tokenFile writes a token as a sidecar would.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
