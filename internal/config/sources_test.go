package config_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/config"
)

// fine loads a file beside the founding environment and the files of
// faultSource, and returns its warnings, one a line.
func fine(t *testing.T, data string) (*config.Config, string) {
	t.Helper()
	src := faultSource("c.yaml", []byte(data))
	src.Env = founding()[:2]
	if !strings.Contains(data, "sources:\n") {
		src.Env = founding()
	}
	c, warnings := mustLoad(t, src)
	var b strings.Builder
	for _, w := range warnings {
		b.WriteString(w.Path + ": " + w.Message + "\n")
	}
	return c, b.String()
}

const signed = "signature: {preset: cxone, secrets: [{id: a, file: good}]}"

// TestOpenSource: preset none works where it was said twice, or where senders
// show a certificate, and nowhere else.
func TestOpenSource(t *testing.T) {
	const tls = "listen: {tls: {cert_file: good.pem, key_file: key.pem, client_ca_file: good.pem}}\n"
	for name, c := range map[string]struct{ file, warning string }{
		"said twice":        {"sources:\n  - {name: a, path: /a, insecure: true, signature: {preset: none}}", "sources[0].insecure: whoever reaches \"/a\" may write into Kafka\n"},
		"certificates":      {tls + "sources:\n  - {name: a, path: /a, signature: {preset: none}}", ""},
		"both":              {tls + "sources:\n  - {name: a, path: /a, insecure: true, signature: {preset: none}}", ""},
		"beside signatures": {"sources:\n  - {name: a, path: /a, insecure: true, " + signed + "}", "sources[0].insecure: has no effect: the source verifies signatures\n"},
	} {
		got, warnings := fine(t, c.file)
		if warnings != c.warning {
			t.Errorf("%s: %q", name, warnings)
		}
		v, err := got.Verifier(0)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := "none"
		if name == "beside signatures" {
			want = "a"
		}
		if ids := v.Secrets(); len(ids) != 1 || ids[0] != want {
			t.Errorf("%s: ids %q", name, ids)
		}
	}
}

// TestVerifierAsksAgain: a configuration that was not checked makes no open
// verifier.
func TestVerifierAsksAgain(t *testing.T) {
	for name, c := range map[string]config.Config{
		"nothing":           {Sources: []config.Webhook{{}}},
		"none":              {Sources: []config.Webhook{{Preset: config.PresetNone}}},
		"insecure":          {Sources: []config.Webhook{{Insecure: true}}},
		"the file's name":   {Sources: []config.Webhook{{Preset: config.PresetNone}}, Listen: config.Listen{TLS: config.ListenTLS{ClientCAFile: "ca.pem"}}},
		"a certified cxone": {Sources: []config.Webhook{{Preset: "cxone"}}, Listen: config.Listen{TLS: config.ListenTLS{ClientCA: []byte("x")}}},
	} {
		if v, err := c.Verifier(0); err == nil {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// TestRoutesFillIn: schema.version is the version of schema.subject, and of no
// other subject.
func TestRoutesFillIn(t *testing.T) {
	c, warnings := fine(t, `
schema: {subject: s, version: 4}
routes:
  - {type: A, topic: a}
  - {type: B, topic: a, version: latest}
  - {type: C, topic: a, version: 2}
  - {type: D, topic: a, subject: other}
  - {type: E, topic: a, subject: other, version: 7}
  - {type: F, topic: a, subject: s}
  - {type: G, drop: true}
`)
	want := []int{4, 0, 2, 0, 7, 4, 0}
	for i, r := range c.Routes {
		if r.Version != want[i] {
			t.Errorf("route %s has version %d", r.Pattern, r.Version)
		}
	}
	if warnings != "" {
		t.Error(warnings)
	}
}

func TestSilentSource(t *testing.T) {
	const sources = "sources:\n  - {name: a, path: /a, " + signed + "}\n  - {name: b, path: /b, " + signed + "}\n"
	for routes, want := range map[string]string{
		"[{type: A, topic: t}]": "",
		"[{type: A, topic: t, sources: [a]}, {type: B, topic: t, sources: [b]}]":   "",
		"[{type: A, topic: t, sources: [a]}, {type: '*', topic: t, sources: [a]}]": "sources[1].name: no route takes the events of this source: all of them are refused as unrouted\n",
	} {
		if _, got := fine(t, sources+"routes: "+routes); got != want {
			t.Errorf("%s: %q", routes, got)
		}
	}
}

func TestAdminToken(t *testing.T) {
	for token, want := range map[string]string{
		"0123456789abcdef":      "",
		"0123456789abcdef\n":    "",
		"0123456789abcde":       "admin.token_file: the token has 15 bytes: it can be guessed",
		"0123456789 0123456789": "error: admin.token_file: the token has characters that no Authorization header carries",
		"0123456789abcdef\n\n":  "error: admin.token_file: the token has characters that no Authorization header carries",
		"schlüssel-schlüssel":   "error: admin.token_file: the token has characters that no Authorization header carries",
	} {
		src := config.Source{File: "c.yaml", Data: []byte("admin: {address: ':9640', token_file: t}"), Env: founding(),
			ReadFile: func(string) ([]byte, error) { return []byte(token), nil }}
		_, warnings, err := config.Load(src)
		switch got := render(err, warnings); {
		case want == "" && got != "", !strings.Contains(got, want):
			t.Errorf("%q: %s", token, got)
		case strings.Contains(got, "0123"):
			t.Errorf("the token shows: %s", got)
		}
	}
	for address, warned := range map[string]bool{"127.0.0.1:1": false, "[::1]:1": false, "localhost:1": false, ":1": true, "10.0.0.1:1": true, "relay:1": true} {
		if _, got := fine(t, "admin: {address: '"+address+"'}"); (got != "") != warned {
			t.Errorf("%s: %q", address, got)
		}
	}
}

// TestSnapshotDir: a folder that is not there yet is fine, a file is not.
func TestSnapshotDir(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(name string) (*config.Config, error) {
		c, _, err := config.Load(config.Source{File: filepath.Join(dir, "c.yaml"), Env: founding(), Data: []byte("schema: {snapshot_dir: " + name + "}")})
		return c, err
	}
	for _, name := range []string{"new", "."} {
		if c, err := load(name); err != nil || c.Schema.SnapshotDir != filepath.Join(dir, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := load("file"); err == nil || !strings.Contains(err.Error(), "schema.snapshot_dir: is no folder") {
		t.Error(err)
	}
}

// TestOrigins: each layer is told from the others.
func TestOrigins(t *testing.T) {
	c, _ := mustLoad(t, config.Source{
		File: "c.yaml", Env: founding("CXRELAY_LIMITS_BODY=1KiB", "CXRELAY_SCHEMA_SUBJECT=s"), Overrides: map[string]string{"listen.address": ":1"},
		Data: []byte("limits:\n  body: 2KiB\n  connections: 7\nroutes:\n  - {type: A, topic: a}\n  - {type: B, topic: b, subject: t}\n"),
	})
	for path, want := range map[string]string{
		"limits.body": "env CXRELAY_LIMITS_BODY", "limits.connections": "c.yaml:3", "listen.address": "flag", "shutdown.delay": "default",
		"kafka.brokers": "env KAFKA_BROKERS", "routes[0].topic": "c.yaml:5", "routes[0].subject": "env CXRELAY_SCHEMA_SUBJECT", "routes[1].subject": "c.yaml:6",
		"sources[0].signature.header": "preset cxone", "sources[0].signature.preset": "default", "sources[0].signature.secrets[0].value": "env CXONE_WEBHOOK_SECRET",
		"sources[0].signature.secrets[0].id": "default", "no.such.key": "default",
	} {
		if got := c.Origin(path); got != want {
			t.Errorf("%s is from %q, want %q", path, got, want)
		}
	}
}

// TestPrintMasks: what a variable with a secret's name holds is not printed,
// wherever it stands; what others hold is.
func TestPrintMasks(t *testing.T) {
	c, _ := mustLoad(t, config.Source{
		File: "c.yaml", Env: founding("DB_PASSWORD=hunter2", "NAME=relay-7", "KEY=k3y"),
		Data: []byte("instance: ${NAME}\nschema: {registry: {username: 'u-${DB_PASSWORD}', password: '${KEY}'}}\n"),
		ReadFile: func(name string) ([]byte, error) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	})
	text := string(c.YAML(true))
	if strings.Contains(text, "hunter2") || strings.Contains(text, "k3y") || strings.Contains(text, "s3cret") || !strings.Contains(text, "instance: relay-7") {
		t.Error(text)
	}
}
