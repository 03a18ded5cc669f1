package config_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/config"
)

// world loads a configuration from memory.
type world struct {
	yaml  string
	files map[string]string
}

func (w world) load(t *testing.T) *config.Config {
	t.Helper()
	c, _ := mustLoad(t, config.Source{
		File: "etc/c.yaml", Data: []byte(w.yaml),
		ReadFile: func(name string) ([]byte, error) {
			if text, ok := w.files[name]; ok {
				return []byte(text), nil
			}
			if pem, ok := pemFiles()[strings.TrimPrefix(name, "etc/")]; ok {
				return pem, nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	})
	return c
}

const changesYAML = `
instance: a
listen: {address: ":8080", tls: {cert_file: good.pem, key_file: key.pem}}
admin: {token_file: token}
sources:
  - name: one
    path: /one
    signature: {preset: cxone, secrets: [{id: a, file: secret-a}, {id: b, value: literal}]}
    event: {contact: [contactId]}
routes:
  - {type: A, topic: a}
  - {type: B, topic: b}
schema: {registry: {urls: [http://r], username: u, password_file: pw}}
kafka:
  brokers: [k:9092]
  partitions: {a: 3}
  sasl: {mechanism: PLAIN, username: u, password_file: kafka-pw}
  tls: {enabled: true, ca_file: good.pem}
limits: {connections: 5}
`

func changesWorld() world {
	return world{changesYAML, map[string]string{
		"etc/token": "tok", "etc/secret-a": "one", "etc/pw": "registry", "etc/kafka-pw": "kafka", "/abs/secret": "one",
	}}
}

// TestChanges: each edit is told by its own path, on the right side, and says
// nothing of a secret.
func TestChanges(t *testing.T) {
	for name, c := range map[string]struct {
		from, to string // in the YAML; "file NAME" replaces what the file holds
		reload   string
		refuse   string
	}{
		"nothing":                {"instance: a", "instance: a # b", "", ""},
		"instance":               {"instance: a", "instance: b", "", "instance"},
		"address":                {":8080", ":8081", "", "listen.address"},
		"deadline":               {"path: /one", "path: /one\n    deadline: 3s", "sources[0].deadline", ""},
		"paths of the contact":   {"[contactId]", "[contactId, x]", "sources[0].event.contact", ""},
		"a literal secret":       {"literal", "liberal", "sources[0].signature.secrets[1].value", ""},
		"content of a secret":    {"file etc/secret-a", "two", "sources[0].signature.secrets[0].file", ""},
		"another file":           {"file: secret-a", "file: /abs/secret", "sources[0].signature.secrets[0].file", ""},
		"a secret gone":          {", {id: b, value: literal}", "", "sources[0].signature.secrets[1]", ""},
		"a scheme":               {"preset: cxone", "preset: cxone, header: x-s", "sources[0].signature.header", ""},
		"topic":                  {"topic: b", "topic: c", "routes[1].topic", ""},
		"one route more":         {"topic: b}", "topic: b}\n  - {type: C, drop: true}", "routes[2]", ""},
		"subject":                {"schema: {", "schema: {subject: s, ", "routes[0].subject routes[1].subject schema.subject", ""},
		"the registry's secret":  {"file etc/pw", "new", "schema.registry.password_file", ""},
		"limits":                 {"connections: 5", "connections: 6", "limits.connections", ""},
		"pins":                   {"{a: 3}", "{a: 4}", "", "kafka.partitions"},
		"a pin more":             {"{a: 3}", "{a: 3, b: 1}", "", "kafka.partitions"},
		"brokers":                {"[k:9092]", "[k:9092, l:9092]", "", "kafka.brokers"},
		"Kafka's secret":         {"file etc/kafka-pw", "new", "kafka.sasl.password_file", ""},
		"Kafka's user":           {"PLAIN, username: u", "PLAIN, username: v", "", "kafka.sasl.username"},
		"Kafka's authorities":    {"file etc/good.pem", string(pemFiles()["good.pem"]) + "\n", "listen.tls.cert_file kafka.tls.ca_file", ""},
		"the admin's token":      {"file etc/token", "new", "admin.token_file", ""},
		"the listener's TLS off": {", tls: {cert_file: good.pem, key_file: key.pem}", "", "", "listen.tls.cert_file listen.tls.key_file"},
	} {
		t.Run(name, func(t *testing.T) {
			was, edited := changesWorld(), changesWorld()
			if file, ok := strings.CutPrefix(c.from, "file "); ok {
				edited.files[file] = c.to
			} else {
				edited.yaml = strings.Replace(edited.yaml, c.from, c.to, 1)
				if edited.yaml == was.yaml {
					t.Fatalf("%q is not in the file", c.from)
				}
			}
			reload, refused := config.Changes(was.load(t), edited.load(t))
			if got := strings.Join(reload, " "); got != c.reload {
				t.Errorf("reloadable %q, want %q", got, c.reload)
			}
			if got := strings.Join(refused, " "); got != c.refuse {
				t.Errorf("refused %q, want %q", got, c.refuse)
			}
		})
	}
}

// TestFiles: every file that decides what the configuration holds, once.
func TestFiles(t *testing.T) {
	got := changesWorld().load(t).Files()
	want := []string{
		"etc/c.yaml", "etc/good.pem", "etc/key.pem", "etc/token", "etc/secret-a", "etc/pw", "etc/kafka-pw",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	c, _ := mustLoad(t, config.Source{Env: founding()})
	if got := c.Files(); len(got) != 0 {
		t.Errorf("environment alone: %q", got)
	}
}

// TestFilesDecide: whatever Files names was read, and whatever was read is
// named, but for what is read while the relay runs.
func TestFilesDecide(t *testing.T) {
	w := changesWorld()
	read := map[string]bool{"etc/c.yaml": true}
	c, _ := mustLoad(t, config.Source{
		File: "etc/c.yaml", Data: []byte(strings.Replace(w.yaml, "mechanism: PLAIN, username: u, password_file: kafka-pw", "mechanism: OAUTHBEARER, oauth: {token_file: oauth}", 1)),
		ReadFile: func(name string) ([]byte, error) {
			read[name] = name != "etc/oauth"
			if pem, ok := pemFiles()[strings.TrimPrefix(name, "etc/")]; ok {
				return pem, nil
			}
			return []byte("x"), nil
		},
	})
	for _, name := range c.Files() {
		if !read[name] {
			t.Errorf("%s was not read", name)
		}
		delete(read, name)
	}
	delete(read, "etc/oauth")
	if len(read) > 0 {
		t.Errorf("read and not named: %v", read)
	}
}
