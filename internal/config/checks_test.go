package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/config"
)

// The instance goes into a record header between slashes.
func TestInstance(t *testing.T) {
	for _, name := range []string{"", "a", "Relay-1.eu_west:8080", strings.Repeat("a", 128)} {
		if c, _ := mustLoad(t, config.Source{Env: founding("CXRELAY_INSTANCE=" + name)}); c.Instance != name {
			t.Errorf("%q became %q", name, c.Instance)
		}
	}
	for _, name := range []string{"a/b", "a b", "ä", "a~", "a\"b", strings.Repeat("a", 129)} {
		got := problems(t, config.Source{Env: founding("CXRELAY_INSTANCE=" + name)})
		if !strings.HasPrefix(got, "CXRELAY_INSTANCE: error: instance: a name has 1 to 128 characters of ") {
			t.Errorf("%q: %s", name, got)
		}
	}
}

// TestInstanceOf: whatever the host is called, its name does as an instance.
func TestInstanceOf(t *testing.T) {
	for host, want := range map[string]string{
		"relay-1.eu": "relay-1.eu", "a/b": "a-b", "Jörg's Mac": "J-rg-s-Mac", "a~\xff": "a--",
		strings.Repeat("ü", 200): strings.Repeat("-", 128), strings.Repeat("b", 129): strings.Repeat("b", 128),
	} {
		got := config.InstanceOf(host)
		if got != want {
			t.Errorf("%q became %q, want %q", host, got, want)
		}
		if c, _ := mustLoad(t, config.Source{Env: founding("CXRELAY_INSTANCE=" + got)}); c.Instance != got {
			t.Errorf("%q is refused as an instance", got)
		}
	}
}

// source is a file with one source.
func source(format string, args ...any) config.Source {
	return config.Source{File: "c.yaml", Env: founding()[:2], Data: fmt.Appendf(nil, "sources:\n  - "+format+"\n", args...),
		ReadFile: func(name string) ([]byte, error) { return []byte(name), nil }}
}

func TestDefaultPath(t *testing.T) {
	c, warnings := mustLoad(t, source("{name: shop, signature: {preset: stripe, secrets: [{id: a, file: x}]}}"))
	if c.Sources[0].Path != "/cxone/webhook" || len(warnings) > 0 {
		t.Errorf("path %q, warnings %v", c.Sources[0].Path, warnings)
	}
	if got := problems(t, source(`{name: shop, path: "", signature: {preset: stripe, secrets: [{id: a, file: x}]}}`)); !strings.Contains(got, "a source needs a path") {
		t.Error(got)
	}
}

// Standard Webhooks asks for 24 to 64 bytes; a shorter secret works, with a warning.
func TestShortStandardWebhooksSecret(t *testing.T) {
	const long = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // 24 bytes
	for secret, want := range map[string]string{
		"whsec_" + long: "", long: "", long + "AA==": "",
		"whsec_" + long[:28]: "the secret has 21 bytes; Standard Webhooks asks for 24 to 64",
		"aHVudGVyMg==":       "the secret has 7 bytes; Standard Webhooks asks for 24 to 64",
	} {
		_, warnings := mustLoad(t, source("{name: a, signature: {preset: standard-webhooks, secrets: [{id: a, file: %q}]}}", secret))
		got := ""
		for _, w := range warnings {
			got += w.Message
		}
		if got != want {
			t.Errorf("%s: %q", secret, got)
		}
	}
	_, warnings := mustLoad(t, source("{name: a, signature: {preset: cxone, secrets: [{id: a, file: x}]}}"))
	if len(warnings) > 0 {
		t.Errorf("cxone: %v", warnings)
	}
}

// What variables hold may be a secret, wherever they stand: no problem shows it.
func TestFilledInValuesDoNotShow(t *testing.T) {
	const secret = "hunter2 hunter2"
	for _, file := range []string{
		"limits: {body: '${S}'}", "listen: {address: 'x${S}'}", "instance: '${S}'", "kafka: {brokers: ['${S}']}", "kafka: {partitioner: '${S}'}",
		"kafka: {partitions: {x: 1}}\nroutes: [{type: A, topic: '${S}'}]", "kafka: {tls: {enabled: true, server_name: '${S}'}}",
		"kafka: {strict: true}\nroutes: [{type: '${S}*', topic: 'a${T}'}, {type: '${S}A', topic: b, key: x}]",
		"sources: [{name: '${S}', path: '${S}', event: {type: ['${S}.']}, signature: {preset: '${S}', secrets: [{id: '${S}'}]}}]",
		"sources: [{name: a, signature: {header: '${S}', algorithm: '${S}', encoding: '${S}', signed: '{${S}}', secrets: []}}]",
		"schema: {registry: {urls: ['${S}', 'http://u:${S}@r']}}",
	} {
		src := config.Source{File: "c.yaml", Data: []byte(file), Env: []string{"S=" + secret, "T=hunter2"}}
		_, warnings, err := config.Load(src)
		if said := render(err, warnings); err == nil || strings.Contains(said, "hunter2") {
			t.Errorf("%s:\n%s", file, said)
		}
	}
}

// TestLentPorts: a listener on a port that outgoing connections may have is
// told of, and one beside it is not.
func TestLentPorts(t *testing.T) {
	for port, lent := range map[string]bool{"32767": false, "32768": true, "60999": true, "61000": false, "0": false} {
		_, warnings := mustLoad(t, config.Source{Env: founding("CXRELAY_ADMIN_ADDRESS=127.0.0.1:" + port)})
		if got := len(warnings) == 1 && strings.Contains(warnings[0].String(), "CXRELAY_ADMIN_ADDRESS: warning: admin.address: Linux lends port "+port); got != lent {
			t.Errorf("port %s: %v, want it told: %t", port, warnings, lent)
		}
	}
}
