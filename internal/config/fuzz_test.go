package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/config"
)

func render(err error, warnings []config.Problem) string {
	var b strings.Builder
	if err != nil {
		b.WriteString(err.Error())
	}
	for _, w := range warnings {
		b.WriteString("\n" + w.String())
	}
	return b.String()
}

// FuzzLoad: whatever the file says, Load returns either a config that keeps
// its promises, or nil and at least one fault; twice the same; and never what
// the environment and the files hold as secrets. A config is printed as it is,
// without its secrets, and the JSON Schema takes what Load takes.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	schema := fileSchema(f)
	for _, name := range append(files, examples...) {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for _, data := range goodFiles() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if len(data) > 4096 {
			return // the parser's time is not linear
		}
		src := faultSource("c.yaml", []byte(data))
		src.Env = append(src.Env, "KAFKA_BROKERS=k:1", "SCHEMA_REGISTRY_URL=http://r")
		c, warnings, err := config.Load(src)
		said := render(err, warnings)
		_, warnings2, err2 := config.Load(src)
		if again := render(err2, warnings2); again != said {
			t.Fatalf("twice the same file:\n%s\nand\n%s", said, again)
		}
		bare := src // of secrets
		bare.Env, bare.Unused = []string{"KAFKA_BROKERS=k:1", "SCHEMA_REGISTRY_URL=http://r"}, config.Secrets()
		if c, _, err := config.Load(bare); err == nil {
			reprints(t, c, bare)
		}
		if strings.Contains(said, "hunter2hunter2") && !strings.Contains(data, "hunter2hunter2") {
			t.Fatalf("a secret shows:\n%s", said)
		}
		if err != nil {
			var faults *config.Errors
			if c != nil || !errors.As(err, &faults) || len(faults.Problems) == 0 {
				t.Fatalf("config %v, error %v", c, err)
			}
			for _, p := range faults.Problems {
				if p.Severity != config.Fault || p.Message == "" || p.Line > 0 != (p.Column > 0) || p.Line > strings.Count(data, "\n")+strings.Count(data, "\r")+2 {
					t.Fatalf("odd problem %+v", p)
				}
			}
			return
		}
		promises(t, c)
		reprints(t, c, src)
		if value, ok := config.Generic([]byte(data)); ok {
			if err := schema.Validate(value); err != nil {
				t.Fatalf("Load takes it, the schema does not: %v", err)
			}
		}
	})
}

// reprints: what is printed is read as the same, but for the secrets in it.
func reprints(t *testing.T, c *config.Config, src config.Source) {
	t.Helper()
	text := c.YAML(true)
	if strings.Contains(string(text), "hunter2hunter2") && !strings.Contains(string(src.Data), "hunter2hunter2") {
		t.Fatalf("a secret is printed:\n%s", text)
	}
	original := src.ReadFile
	again, _, err := config.Load(config.Source{File: "/c.yaml", Data: text, Unused: src.Unused, ReadFile: func(name string) ([]byte, error) {
		return original(filepath.Base(name))
	}})
	switch {
	case err != nil && strings.Contains(string(text), "***"): // no key of its scheme
	case err != nil:
		t.Fatalf("what is printed does not load: %v\n%s", err, text)
	case string(again.YAML(false)) != string(c.YAML(false)):
		t.Fatalf("printed\n%s\nand again\n%s", c.YAML(false), again.YAML(false))
	}
}

// goodFiles are seeds that load.
func goodFiles() []string {
	const source = "sources:\n  - {name: a, path: /a, signature: {preset: cxone, secrets: [{id: a, file: good}]}}\n"
	return []string{
		source,
		source + "listen: {metrics: true, tls: {cert_file: good.pem, key_file: key.pem, client_ca_file: good.pem}}\nadmin: {address: ':1', token_file: good}\n",
		"sources:\n  - {name: a, path: /a, insecure: true, signature: {preset: none}}\n  - {name: b, path: /b, event: {id: []}, no_contact: null_key, signature: {preset: bearer, prefix: '', secrets: [{id: a, value: '${SECRET}'}]}}\n",
		source + "routes:\n  - {type: A, topic: a, sources: [a], version: 4, key: raw}\n  - {type: A, topic: b, subject: 'x: y'}\n  - {type: '*', drop: true}\nschema: {version: 3, max_age: 90m, snapshot_dir: d, shadow: 2.5e-2}\n",
		source + "schema: {mode: off}\nkafka: {sasl: {mechanism: PLAIN, username: '${SECRET}', password: '${SECRET}'}, tls: {enabled: true, ca_file: good.pem}}\n",
		source + "schema: {mode: remote, remote: {attempts: 1, backoff: 1h, timeout: 1m30s}, registry: {username: 'null', password_file: good}}\ninstance: '1'\n",
		"sources:\n  - name: a\n    signature: {header: x, algorithm: hmac-sha1, encoding: hex, prefix: 'v1=', signed: '{timestamp}.{body}', timestamp: {key: t, tolerance: 1h}, list: {separator: ','}, secrets: [{id: a, file: good}]}\n",
		source + "kafka: {partitions: {a: 3}}\nroutes: [{type: '$${x}', topic: a}, {type: '$$$${x}: #', topic: a}]\n",
		source + "kafka: {partitions: {'a': 3, 'b c': 4}}\nroutes: [{type: '$${x}', topic: a}, {type: b, topic: 'b'}]\n",
	}
}

// TestGoodFiles: the seeds of FuzzLoad that shall load do, but for the last.
func TestGoodFiles(t *testing.T) {
	for i, data := range goodFiles() {
		src := faultSource("c.yaml", []byte(data))
		src.Env = append(src.Env, "KAFKA_BROKERS=k:1", "SCHEMA_REGISTRY_URL=http://r")
		c, _, err := config.Load(src)
		if (err != nil) != (i == len(goodFiles())-1) {
			t.Errorf("%s: %v", data, err)
		}
		if err == nil {
			promises(t, c)
			reprints(t, c, src)
		}
	}
}

// promises are those in the comments of Config.
func promises(t *testing.T, c *config.Config) {
	t.Helper()
	for i, w := range c.Sources {
		verified := len(w.Secrets) > 0 && !w.Secrets[0].Value.Empty() && len(w.Scheme.Validate()) == 0
		open := w.Preset == config.PresetNone && (w.Insecure || len(c.Listen.TLS.ClientCA) > 0) && len(w.Secrets) == 0
		switch {
		case verified == open, len(w.Event.Type) == 0, len(w.Event.Contact) == 0, w.Deadline <= 0, w.Path[0] != '/':
			t.Fatalf("source %+v", w)
		case slices.ContainsFunc(c.Sources[:i], func(o config.Webhook) bool { return o.Name == w.Name || o.Path == w.Path }):
			t.Fatalf("twice %+v", w)
		}
		if _, err := c.Verifier(i); err != nil {
			t.Fatal(err)
		}
	}
	if s := c.Schema.Shadow; !(s >= 0 && s <= 1) {
		t.Fatalf("schema.shadow %v", s)
	}
	registry := len(c.Schema.Registry.URLs) > 0 || c.Schema.Mode == config.Off
	switch {
	case len(c.Routes) == 0, len(c.Sources) == 0, len(c.Kafka.Brokers) == 0, !registry:
		t.Fatalf("%+v", c)
	case c.Limits.Body <= 0, c.Limits.Body > c.Limits.InFlightBytes/2, c.Limits.InFlightRecords <= 0,
		c.Limits.Connections <= 0, c.Limits.OldestUnacked <= 0, c.Shutdown.Timeout <= 0, c.Shutdown.Delay < 0:
		t.Fatalf("%+v %+v", c.Limits, c.Shutdown)
	}
	for _, r := range c.Routes {
		if r.Drop != (r.Topic == "") || r.Drop != (r.Subject == "") {
			t.Fatalf("route %+v", r)
		}
	}
}

// FuzzSecretInTheFile: a secret that stands where secrets stand, or under a
// misspelt key, shows in no problem, whatever comes behind it.
func FuzzSecretInTheFile(f *testing.F) {
	const secret = "hunter2hunter2"
	const source = "sources:\n  - name: a\n    path: /a\n    signature:\n      preset: cxone\n      secrets:\n"
	places := []string{
		source + "        - {id: a, value: §, ", source + "        - {id: a, value: '§', ", source + "        - {id: a, value: \"§\\n\", ",
		source + "        - {id: a, vaule: \"\\u00e9§\", ", source + "        - id: a\n          value: |\n            §\n            §\n",
		source + "        - id: a\n          value: >-\n            §\n", source + "        - id: a\n          value: \"§\n            §\"\n",
		source + "        - id: a\n          value: §\n            §\n", source + "        - id: a\n          value: !!str §\n",
		source + "        - id: a\n          value: &x §\n", source + "        - §\n", "schema:\n  registry:\n    pasword: [§, {x: §}, ",
		"schema: {registry: {urls: ['http://u:§@r', ", "schema:\n  registry:\n    urls: ['http://u:§@r']\n", "kafka:\n  sasl: {password: §}\n",
		"kafka: {brokers: [\"SASL://u:§@r:1\", ", "schema: {registry: {password: §}}\n---\n", "schema: !!map {registry: {password: §, ",
		"kafka:\n  pasword: §\n", "regisrty: {tokn: §, ", "kafka:\n  sasl:\n    hmac: §\n", "sources: {signature: {secerts: [§, ", "- §\n", "§\n",
		"sources:\n  - signature: §\n", "kafka: {sasl: {password: a, password: §, ", "a: 1\n---\nsources: [{signature: {secrets: [{id: a, value: §, ",
	}
	for i := range places {
		f.Add(uint8(i), "fil: y}\n")
		f.Add(uint8(i), "id: b\n")
		f.Add(uint8(i), "          fil: ${X}\n\t")
		f.Add(uint8(i), "é}]}}}\r\nroutes: x # \"")
		f.Add(uint8(i), " : x")
	}
	f.Fuzz(func(t *testing.T, at uint8, behind string) {
		if len(behind) > 1024 {
			return
		}
		data := places[int(at)%len(places)]
		data = strings.ReplaceAll(data, "§", secret)
		_, warnings, err := config.Load(faultSource("c.yaml", []byte(data+behind)))
		if said := render(err, warnings); strings.Contains(said, secret[1:]) || strings.Contains(said, secret[:8]) {
			t.Fatalf("%q shows its secret:\n%s", data+behind, said)
		}
	})
}
