package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// founding is the environment that alone starts a relay.
func founding(more ...string) []string {
	return append([]string{
		"KAFKA_BROKERS=k1:9092, k2:9092",
		"SCHEMA_REGISTRY_URL=http://r1:8081,https://r2",
		"CXONE_WEBHOOK_SECRET= s3cret \n",
	}, more...)
}

func mustLoad(t *testing.T, src config.Source) (*config.Config, []config.Problem) {
	t.Helper()
	c, warnings, err := config.Load(src)
	if err != nil {
		t.Fatalf("Load:\n%v", err)
	}
	return c, warnings
}

func TestFoundingEnvironmentAlone(t *testing.T) {
	c, warnings := mustLoad(t, config.Source{Env: founding("PATH=/bin", "odd")})
	if len(warnings) != 0 {
		t.Errorf("warnings: %v", warnings)
	}
	if !reflect.DeepEqual(c.Listen, config.Listen{Address: ":8080", Metrics: true}) {
		t.Errorf("listen: %+v", c.Listen)
	}
	if got := strings.Join(c.Kafka.Brokers, "|"); got != "k1:9092|k2:9092" {
		t.Errorf("brokers: %q", got)
	}
	if got := strings.Join(c.Schema.Registry.URLs, "|"); got != "http://r1:8081|https://r2" {
		t.Errorf("urls: %q", got)
	}
	w := c.Sources[0]
	preset, _ := signature.Preset("cxone")
	if w.Name != "cxone" || w.Path != "/cxone/webhook" || w.Deadline != 2*time.Second || w.Scheme != preset {
		t.Errorf("source: %+v", w)
	}
	if w.Event.Type[0].String() != "actionType" || w.Event.Contact[0].String() != "contactId" || w.Event.ID[0].String() != "eventId" {
		t.Errorf("event: %+v", w.Event)
	}
	if keys := w.Keys(); len(keys) != 1 || keys[0].ID != "env" || string(keys[0].Value) != " s3cret \n" {
		t.Errorf("the secret is not taken byte for byte: %q", keys[0].Value)
	}
	want := []string{
		"INTERACTION_CREATED cxone.interactions.raw", "DISPOSITION_UPDATED cxone.dispositions.raw",
		"QUEUE_TRANSFER cxone.transfers.raw", "CALL_DISCONNECTED cxone.calls.terminated",
	}
	for i, r := range c.Routes {
		if r.Pattern+" "+r.Topic != want[i] || r.Subject != "cxone-data-action-v1" || r.Wire != route.Raw || r.Key != route.KeyHash {
			t.Errorf("route %d: %+v", i, r)
		}
	}
	if c.Limits != (config.Limits{Body: 960 << 10, InFlightBytes: 64 << 20, InFlightRecords: 50_000, OldestUnacked: 10 * time.Second, Connections: 10_000}) {
		t.Errorf("limits: %+v", c.Limits)
	}
	if c.Shutdown != (config.Shutdown{Timeout: 25 * time.Second}) || !c.Admin.ReadyOnKafka || c.Admin.Address != "127.0.0.1:9640" {
		t.Errorf("%+v %+v", c.Shutdown, c.Admin)
	}
}

func TestFileWithoutTheKeyKeepsTheDefault(t *testing.T) {
	for _, data := range []string{"", "# nothing\n", "instance: a\n", "%YAML 1.2\n---\ninstance: a\n...\n", "\ufeffinstance: a\r\n"} {
		c, _ := mustLoad(t, config.Source{File: "c.yaml", Data: []byte(data), Env: founding()})
		if c.Listen.Metrics {
			t.Errorf("%q: listen.metrics is on, although there is a file", data)
		}
		if len(c.Routes) != 4 || len(c.Sources) != 1 {
			t.Errorf("%q: %d routes, %d sources", data, len(c.Routes), len(c.Sources))
		}
	}
}

func TestPrecedence(t *testing.T) {
	src := config.Source{File: "c.yaml", Env: founding()}
	src.Data = []byte("listen: {address: ':1'}\nkafka: {brokers: ['file:1'], partitioner: crc32}\nlimits: {connections: 7}\n")
	src.Env = append(src.Env, "CXRELAY_LISTEN_ADDRESS=:2", "CXRELAY_LIMITS_CONNECTIONS=8", "CXRELAY_KAFKA_PARTITIONER=murmur2",
		"CXRELAY_INSTANCE=first", "CXRELAY_INSTANCE=last")
	src.Overrides = map[string]string{"listen.address": ":3", "schema.registry.urls": "http://flag"}
	c, _ := mustLoad(t, src)
	if c.Listen.Address != ":3" || c.Limits.Connections != 8 || c.Kafka.Partitioner != config.Murmur2 || c.Instance != "last" {
		t.Errorf("%+v", c)
	}
	if strings.Join(c.Kafka.Brokers, ",") != "k1:9092,k2:9092" {
		t.Errorf("KAFKA_BROKERS does not beat the file: %v", c.Kafka.Brokers)
	}
	if strings.Join(c.Schema.Registry.URLs, ",") != "http://flag" {
		t.Errorf("the flag does not beat SCHEMA_REGISTRY_URL: %v", c.Schema.Registry.URLs)
	}
}

func TestLaterLayerOfASecretWins(t *testing.T) {
	src := config.Source{File: "/etc/cx/c.yaml", Env: founding("CXRELAY_SCHEMA_REGISTRY_PASSWORD=from-env")}
	src.Data = []byte("schema: {registry: {username: u, password_file: pw}}\n")
	src.ReadFile = func(name string) ([]byte, error) { return nil, errors.New("read " + name) }
	c, _ := mustLoad(t, src)
	if r := c.Schema.Registry; string(r.Password.Bytes()) != "from-env" || r.PasswordFile != "" {
		t.Errorf("password %q, file %q", r.Password.Bytes(), r.PasswordFile)
	}
	src.Env = founding("CXRELAY_SCHEMA_REGISTRY_PASSWORD_FILE=/abs")
	src.Data = []byte("schema: {registry: {username: u, password: \"${CXONE_WEBHOOK_SECRET}\"}}\n")
	src.ReadFile = func(name string) ([]byte, error) { return []byte(name + "\n\n"), nil }
	c, _ = mustLoad(t, src)
	if got := string(c.Schema.Registry.Password.Bytes()); got != "/abs\n" {
		t.Errorf("password %q: want the file's, one newline less", got)
	}
}

func TestExample(t *testing.T) {
	const file = "../../examples/cxrelay.yaml"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, warnings := mustLoad(t, config.Source{
		File: "/etc/cxrelay/cxrelay.yaml", Data: data,
		Env: []string{"CXONE_OLD_SECRET=old"},
		ReadFile: func(name string) ([]byte, error) {
			if name != "/run/secrets/cxone" {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return []byte("new\r\n"), nil
		},
	})
	if len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
	keys := c.Sources[0].Keys()
	if string(keys[0].Value) != "new" || string(keys[1].Value) != "old" {
		t.Errorf("secrets: %q, %q", keys[0].Value, keys[1].Value)
	}
	if len(c.Sources[0].Event.Contact) != 3 || c.Sources[0].Event.Contact[2].String() != "data.contact.id" {
		t.Errorf("paths: %v", c.Sources[0].Event.Contact)
	}
	want := []route.Route{
		{Pattern: "INTERACTION_CREATED", Topic: "cxone.interactions.raw", Subject: "cxone-data-action-v1"},
		{Pattern: "DISPOSITION_UPDATED", Topic: "cxone.dispositions.raw", Subject: "cxone.dispositions.raw-value", Wire: route.Prefix},
		{Pattern: "QUEUE_TRANSFER", Topic: "cxone.transfers.raw", Subject: "cxone-data-action-v1", Key: route.KeyRaw},
		{Pattern: "CALL_DISCONNECTED", Topic: "cxone.calls.terminated", Subject: "cxone-data-action-v1"},
		{Pattern: "TYPING_*", Drop: true},
	}
	for i, r := range c.Routes {
		if !reflect.DeepEqual(r, want[i]) {
			t.Errorf("route %d: %+v", i, r)
		}
	}
	if c.Kafka.Partitions["cxone.interactions.raw"] != 8 {
		t.Errorf("partitions: %v", c.Kafka.Partitions)
	}
}

// The example shows every key, at least in a comment.
func TestExampleIsComplete(t *testing.T) {
	data, err := os.ReadFile("../../examples/cxrelay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range config.Keys() {
		name := path[strings.LastIndexByte(path, '.')+1:]
		if name != "password" && name != "token" && name != "client_secret" && !strings.Contains(string(data), name+":") && !strings.Contains(string(data), name+"\n") {
			t.Errorf("the example does not show %s", path)
		}
	}
}

func TestHandWrittenScheme(t *testing.T) {
	c, _ := mustLoad(t, config.Source{File: "c.yaml", Env: founding("KEY=k"), Data: []byte(`
sources:
  - name: shop
    path: /a/b_c-d.e~/
    deadline: 750ms
    signature:
      header: X-Sig
      algorithm: hmac-sha512
      encoding: base64
      prefix: "v1="
      signed: "{timestamp}.{body}"
      timestamp: {key: t}
      list: {separator: ","}
      secrets: [{id: a, value: "${KEY}"}]
    event: {id: []}
    no_contact: null_key
`)})
	want := signature.Scheme{
		Header: "X-Sig", Algorithm: signature.HMACSHA512, Encoding: signature.Base64, Prefix: "v1=", Signed: "{timestamp}.{body}",
		Timestamp: signature.Timestamp{Key: "t", Unit: signature.Seconds, Tolerance: 5 * time.Minute},
		List:      signature.List{Separator: ","}, SecretEncoding: signature.SecretRaw,
	}
	w := c.Sources[0]
	if w.Scheme != want || w.Deadline != 750*time.Millisecond || w.NoContact != config.NullKey || len(w.Event.ID) != 0 {
		t.Errorf("%+v", w)
	}
}

func TestKeyBeatsThePresetInAnyOrder(t *testing.T) {
	c, _ := mustLoad(t, config.Source{File: "c.yaml", Env: founding("KEY=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Data: []byte(`
sources:
  - signature:
      secrets: [{value: "${KEY}", id: a}]
      timestamp: {tolerance: 30s}
      preset: standard-webhooks
    path: /x
    name: x
`)})
	if s := c.Sources[0].Scheme; s.Timestamp.Tolerance != 30*time.Second || s.Timestamp.Header != "webhook-timestamp" {
		t.Errorf("%+v", s)
	}
}

func TestExpansion(t *testing.T) {
	env := founding("A=one", "EMPTY=", "TRICK=${A}")
	for in, want := range map[string]string{
		"${A}": "one", "x${A}y${A}": "xoneyone", "${B:-two}": "two", "${EMPTY:-two}": "two", "${A:-two}": "one",
		"${B:-}": "", "${EMPTY}": "", "${A:?no}": "one", "$${A}": "${A}", "$${A}${A}": "${A}one", "$A": "$A", "$$": "$$", "a$": "a$",
		"${TRICK}": "${A}", "${B:-a:-b}": "a:-b", "}": "}",
	} {
		c, _ := mustLoad(t, config.Source{File: "c.yaml", Env: env, Data: []byte("schema: {subject: 's " + in + "'}\n")})
		if c.Schema.Subject != "s "+want {
			t.Errorf("%s = %q, want %q", in, c.Schema.Subject, want)
		}
	}
}

// What a variable holds is never read as YAML, and a comment is no value.
func TestExpansionIsNoText(t *testing.T) {
	c, _ := mustLoad(t, config.Source{
		File: "c.yaml", Env: founding("N=a:{b}#c", "T=true"),
		Data: []byte("schema:\n  subject: ${N} # ${MISSING}\nlisten: {metrics: \"${T}\"}\n"),
	})
	if c.Schema.Subject != "a:{b}#c" {
		t.Errorf("subject %q", c.Schema.Subject)
	}
	if !c.Listen.Metrics {
		t.Error("an expanded value is not read as its key's type")
	}
}

func TestSecretFilesOnDisk(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode fs.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("secret", "one\n", 0o600)
	write("open", "two", 0o644)
	write("c.yaml", `sources:
  - {name: a, path: /a, signature: {preset: cxone, secrets: [{id: a, file: secret}, {id: b, file: ./open}, {id: c, value: three}]}}
`, 0o644)
	c, warnings := mustLoad(t, config.Source{File: filepath.Join(dir, "c.yaml"), Env: founding()[:2]})
	for i, want := range []string{"one", "two", "three"} {
		if got := string(c.Sources[0].Secrets[i].Value.Bytes()); got != want {
			t.Errorf("secret %d: %q", i, got)
		}
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.Path+" "+w.Message)
		if strings.Contains(w.Message, "mode 0644") && !strings.Contains(w.Hint, "defaultMode: 0440") {
			t.Errorf("hint %q does not say what to do on Kubernetes", w.Hint)
		}
	}
	want := "sources[0].signature.secrets[1].file every user of this machine can read the file (mode 0644)\n" +
		"sources[0].signature.secrets[2].value a secret is written in the file"
	if strings.Join(got, "\n") != want {
		t.Errorf("warnings:\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}
