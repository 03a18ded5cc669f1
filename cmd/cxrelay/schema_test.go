package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSchemaRelayAnswers: what a listener that is not as it should be answers
// becomes an exit code and a line, and the token is what the file holds.
func TestSchemaRelayAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		code   int
		stderr string
	}{
		"well":           {200, `{"mode":"local","schemas":[{"subject":"s\u001b[2J","state":"stale","version":1,"id":2,"lastError":"a\u001bb"}]}`, 0, "s?[2J: version 1 stays in use: a?b"},
		"token refused":  {401, `{"error":"want a token"}`, exitFailed, "the relay does not let this command in: want a token"},
		"off loopback":   {403, `{"error":"only on loopback"}`, exitFailed, "does not let this command in: only on loopback"},
		"too old":        {404, "404 page not found", exitFailed, "is no cxrelay, or one of another version: it answered 404"},
		"no JSON":        {200, "<html>", exitFailed, "is no cxrelay, or one of another version"},
		"other JSON":     {200, `{"schemas":[]}`, exitFailed, "is no cxrelay"},
		"redirect":       {302, "", exitFailed, "it answered 302"},
		"hostile answer": {404, `{"error":"\u001b[2Jgone"}`, exitFailed, "cxrelay: ?[2Jgone"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/v1/schemas" || r.Header.Get("Authorization") != "Bearer to ken" {
					t.Errorf("asked %s with %q", r.URL, r.Header)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer srv.Close()
			file := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(file, []byte("to ken\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := runMain(t.Context(), "", "schema", "list", "--admin", srv.URL+"/", "--token-file", file)
			if code != tt.code || !strings.Contains(stderr, tt.stderr) || strings.ContainsRune(stdout+stderr, 0x1b) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			if strings.Contains(stderr, "to ken") {
				t.Error("the token shows")
			}
		})
	}
}
