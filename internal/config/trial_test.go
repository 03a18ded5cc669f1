package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/config"
)

func trial() *config.Trial {
	return &config.Trial{
		Broker: "127.0.0.1:19092", Registry: "http://127.0.0.1:18081",
		Secret: func(w *config.Webhook, i int) []byte {
			if w.Preset == "standard-webhooks" {
				return []byte("whsec_" + strings.Repeat("QUJD", 10))
			}
			return []byte("made up for " + w.Secrets[i].ID)
		},
	}
}

// bare is a machine with no file but those given, and no variable.
func bare(text string, files map[string]string) config.Source {
	return config.Source{
		File: "relay.yaml", Data: []byte(text), Trial: trial(),
		ReadFile: func(name string) ([]byte, error) {
			if content, ok := files[name]; ok {
				return []byte(content), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	}
}

// TestTrialOfExamples: what was written for a cluster loads on a machine that
// has nothing of it, and leads nowhere else.
func TestTrialOfExamples(t *testing.T) {
	for name, text := range examples(t) {
		t.Run(name, func(t *testing.T) {
			c, _ := mustLoad(t, bare(text, nil))
			if got := c.Kafka.Brokers; len(got) != 1 || got[0] != "127.0.0.1:19092" {
				t.Errorf("brokers: %v", got)
			}
			if got := c.Schema.Registry.URLs; c.Schema.Mode != config.Off && (len(got) != 1 || got[0] != "http://127.0.0.1:18081") {
				t.Errorf("registry: %v", got)
			}
			if c.Kafka.SASL.Mechanism != config.NoSASL || c.Kafka.TLS.Enabled || c.Listen.TLS.CertFile != "" || c.Schema.Registry.Username != "" || c.Schema.SnapshotDir != "" || c.Schema.Mode == config.RemoteAPI {
				t.Errorf("something leads elsewhere: %+v %+v %+v", c.Kafka, c.Listen, c.Schema)
			}
			for _, address := range []string{c.Listen.Address, c.Admin.Address} {
				if !strings.HasPrefix(address, "127.0.0.1:") {
					t.Errorf("%s is not on loopback", address)
				}
			}
			for i := range c.Sources {
				if _, err := c.Verifier(i); err != nil {
					t.Errorf("source %d: %v", i, err)
				}
			}
		})
	}
}

// TestTrialFindsTheSameFaults: what serve refuses is refused in a trial in the
// same words, but for what another machine has.
func TestTrialFindsTheSameFaults(t *testing.T) {
	elsewhere := func(p config.Problem) bool {
		return slices.ContainsFunc([]string{"cannot be read: file does not exist", "is not set", "no Kafka brokers are given", "no Schema Registry is given"}, func(s string) bool {
			return strings.Contains(p.Message, s)
		})
	}
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
			src := faultSource(filepath.Base(file), data)
			_, _, err = config.Load(src)
			var want, got *config.Errors
			if !errors.As(err, &want) {
				t.Fatal(err)
			}
			src.Trial = trial()
			if _, _, err = config.Load(src); !errors.As(err, &got) {
				got = &config.Errors{}
			}
			for _, p := range want.Problems {
				if !slices.Contains(got.Problems, p) && !elsewhere(p) {
					t.Errorf("not found: %s", p)
				}
			}
			for _, p := range got.Problems {
				if !slices.Contains(want.Problems, p) {
					t.Errorf("found: %s", p)
				}
			}
		})
	}
}

// TestTrialTells: each replacement of what was set is told, and nothing else;
// what is here is used as it is.
func TestTrialTells(t *testing.T) {
	const text = `
listen: {address: "[::1]:9000"}
admin: {address: ":9641"}
sources:
  - {name: a, path: /a, signature: {preset: cxone, secrets: [{id: x, file: here}, {id: y, file: /gone/y}, {id: z, value: "${GONE}"}]}}
  - {name: b, path: /b, signature: {preset: cxone, secrets: [{id: x, value: "${HERE:-fallback}"}]}}
routes: [{type: A, topic: a, version: 2}, {type: B, topic: b}]
schema: {version: 7}
kafka: {partitions: {a: 3}}
`
	src := bare(text, map[string]string{"here": "real\n"})
	src.Env = []string{"KAFKA_BROKERS=evil:1", "CXRELAY_INSTANCE=evil", "CXONE_WEBHOOK_SECRET=other"}
	c, warnings := mustLoad(t, src)
	var told []string
	for _, r := range c.Replaced() {
		told = append(told, r.Path)
	}
	const want = "admin.address sources[0].signature.secrets[1] sources[0].signature.secrets[2] schema.version routes[0].version CXRELAY_INSTANCE, KAFKA_BROKERS"
	if got := strings.Join(told, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var secrets []string
	for _, w := range c.Sources {
		for _, s := range w.Secrets {
			secrets = append(secrets, string(s.Value.Bytes()))
			if s.StandIn != strings.HasPrefix(string(s.Value.Bytes()), "made up") {
				t.Errorf("secret %s: StandIn is %v", s.ID, s.StandIn)
			}
		}
	}
	if got := strings.Join(secrets, "|"); got != "real|made up for y|made up for z|fallback" {
		t.Errorf("secrets: %s", got)
	}
	if c.Listen.Address != "[::1]:9000" || c.Admin.Address != "127.0.0.1:9641" || c.Instance != "" || c.Kafka.Partitions["a"] != 3 {
		t.Errorf("%+v %+v %q %v", c.Listen, c.Admin, c.Instance, c.Kafka.Partitions)
	}
	if c.Schema.Version != 0 || c.Routes[0].Version != 0 || c.Routes[1].Version != 0 {
		t.Errorf("versions: %d, %+v", c.Schema.Version, c.Routes)
	}
	for _, p := range warnings {
		if p.Env != "CXONE_WEBHOOK_SECRET" && p.Path != "admin.address" {
			t.Errorf("warning: %s", p)
		}
	}
	again, _ := mustLoad(t, src)
	if a, b := config.Changes(c, again); len(a)+len(b) != 0 {
		t.Errorf("the same file differs: %v %v", a, b)
	}
}

// TestTrialOfTheBuiltinSource: without sources the secret of the environment
// counts, else there is one made up; an empty one is a fault as ever.
func TestTrialOfTheBuiltinSource(t *testing.T) {
	src := bare("limits: {body: 1KiB}", nil)
	c, _ := mustLoad(t, src)
	if s := c.Sources[0].Secrets[0]; !s.StandIn || string(s.Value.Bytes()) != "made up for env" {
		t.Errorf("%+v", s)
	}
	if told := c.Replaced(); len(told) != 1 || told[0].Message != "a throw-away secret: CXONE_WEBHOOK_SECRET is not set" {
		t.Errorf("told: %v", told)
	}
	src.Env = []string{"CXONE_WEBHOOK_SECRET=real"}
	c, _ = mustLoad(t, src)
	if s := c.Sources[0].Secrets[0]; s.StandIn || string(s.Value.Bytes()) != "real" {
		t.Errorf("%+v", s)
	}
	src.Env = []string{"CXONE_WEBHOOK_SECRET="}
	if _, _, err := config.Load(src); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("got %v", err)
	}
}

// TestTrialExcusesNothingElse: a file that is there and cannot be used is a
// fault, and so is a missing one that nothing replaces.
func TestTrialExcusesNothingElse(t *testing.T) {
	const head = "sources: [{name: a, signature: {preset: cxone, secrets: [{id: x, "
	denied := bare(head+"file: secret}]}}]", nil)
	denied.ReadFile = func(name string) ([]byte, error) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	for name, src := range map[string]config.Source{
		"denied":   denied,
		"empty":    bare(head+"file: secret}]}}]", map[string]string{"secret": "\n"}),
		"nested":   bare(head+`value: "${A:-${B}}"}]}}]`, nil),
		"the name": bare(`instance: "${GONE}"`, nil),
		"a topic":  bare(`routes: [{type: A, topic: "${GONE}"}]`, nil),
	} {
		if _, _, err := config.Load(src); err == nil {
			t.Errorf("%s: no fault", name)
		}
	}
}

// TestUnused: of keys that are not used, secrets and certificates may be
// absent, and nothing else; what is there is used.
func TestUnused(t *testing.T) {
	const text = `
listen: {tls: {cert_file: crt, key_file: key}}
sources:
  - {name: a, path: /a, signature: {preset: cxone, secrets: [{id: a, file: away}, {id: b, value: "${AWAY}"}, {id: c, file: here}]}}
schema: {registry: {urls: ["http://r:1"], token_file: away}}
kafka: {brokers: ["k:1"], partitioner: PARTITIONER, sasl: {mechanism: PLAIN, username: u, password_file: away}}
`
	load := func(partitioner string, unused ...string) (*config.Config, error) {
		src := bare(strings.Replace(text, "PARTITIONER", partitioner, 1), map[string]string{"here": "s"})
		src.Trial, src.Unused = nil, unused
		c, _, err := config.Load(src)
		return c, err
	}
	all := []string{"listen.tls", "sources", "schema", "kafka"}
	c, err := load("crc32", all...)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Sources[0].Secrets; !s[0].Value.Empty() || !s[1].Value.Empty() || string(s[2].Value.Bytes()) != "s" {
		t.Error("secrets", s)
	}
	for unused, want := range map[string]string{
		"listen.tls": "sources[0].signature.secrets[0].file: the file cannot be read",
		"sources":    "kafka.sasl.password_file: the file cannot be read",
		"kafka.tls":  "kafka.sasl.password_file: the file cannot be read",
	} {
		if _, err := load("crc32", unused); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s unused: %v, want %q", unused, err, want)
		}
	}
	if _, err := load(`"${AWAY}"`, all...); err == nil || !strings.Contains(err.Error(), "kafka.partitioner: the environment variable AWAY is not set") {
		t.Error("a variable of what is no secret:", err)
	}
}

// TestAbsent: what is unused and not there, or not for this user, is told with
// its place; in a trial a file that may not be read is a fault as ever.
func TestAbsent(t *testing.T) {
	src := bare(`
sources:
  - {name: a, path: /a, signature: {preset: cxone, secrets: [{id: a, file: away}, {id: b, value: "${AWAY}"}, {id: c, file: mine}]}}
`, nil)
	src.Env = []string{"KAFKA_BROKERS=k:1", "SCHEMA_REGISTRY_URL=http://r:1"}
	gone := src.ReadFile
	src.ReadFile = func(name string) ([]byte, error) {
		if name == "mine" {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
		}
		return gone(name)
	}
	if _, _, err := config.Load(src); err == nil || !strings.Contains(err.Error(), "secrets[2].file: the file cannot be read: permission denied") {
		t.Error("a trial without the right to read:", err)
	}
	src.Trial, src.Unused = nil, config.Secrets()
	c, _ := mustLoad(t, src)
	var got []string
	for _, p := range c.Absent() {
		got = append(got, p.Place()+" "+p.Path+": "+p.Message)
	}
	want := []string{
		"relay.yaml:3:76 sources[0].signature.secrets[0].file: the file cannot be read: file does not exist",
		"relay.yaml:3:98 sources[0].signature.secrets[1].value: the environment variable AWAY is not set",
		"relay.yaml:3:124 sources[0].signature.secrets[2].file: the file cannot be read: permission denied",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestPrintsUnset: a secret whose variables are not set is printed as them, and
// as nothing else of its text. What is printed is read again as the file is,
// whether they are set or not.
func TestPrintsUnset(t *testing.T) {
	src := func(text string, env ...string) config.Source {
		return config.Source{File: "/c.yaml", Data: []byte(text), Env: env, Unused: config.Secrets(), ReadFile: func(name string) ([]byte, error) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}}
	}
	for in, want := range map[string]string{
		"${A}":                        "${A}",
		"${A:?ask \"Ann\"}":           "${A:?ask \"Ann\"}",
		"${A}${B}":                    "${A}${B}",
		"hunter2${A}hunter2":          "***${A}***",
		"${B:-hunter2}${A}":           "${B:-***}${A}",
		"${B:-}${A}":                  "${B:-}${A}",
		"hunter2$${B}hunter2-${A}":    "***${A}",
		"$${hunter2$${${A}$$${B}":     "***${A}***",
		"${A}${SET}":                  "${A}${SET}",
		"$hunter2}${A:-}${A}$hunter2": "***${A:-}${A}***",
	} {
		file := fmt.Sprintf(`
sources: [{name: a, path: /a, signature: {preset: cxone, secrets: [{id: a, value: %q}]}}]
schema: {registry: {urls: [http://r:1], username: u, password: %[1]q}}
kafka: {brokers: [k:1], sasl: {mechanism: PLAIN, username: u, password: %[1]q}, tls: {enabled: true}}
`, in)
		c, _ := mustLoad(t, src(file, "SET=hunter2"))
		text := string(c.YAML(true))
		if got := strings.Count(text, ": "+strconv.Quote(want)+"  # /c.yaml:"); got != 3 || strings.Count(text, ", not set here\n") != 3 || strings.Contains(text, "hunter2") {
			t.Errorf("%q: want %q %d times\n%s", in, want, got, text)
		}
		again, _ := mustLoad(t, src(text, "SET=hunter2"))
		if a, b := string(c.YAML(false)), string(again.YAML(false)); a != b || len(again.Absent()) != 3 {
			t.Errorf("%q: printed\n%s\nand again\n%s", in, a, b)
		}
		valid(t, text)
		set := []string{"A=one", "B=two", "SET=three"}
		c, _ = mustLoad(t, src(file, set...))
		again, _ = mustLoad(t, src(text, set...))
		if a, b := c.Schema.Registry.Password.Bytes(), again.Schema.Registry.Password.Bytes(); !strings.Contains(want, "***") && string(a) != string(b) {
			t.Errorf("%q: is %q, and as printed %q", in, a, b)
		}
	}
}

// TestPrintsUnsetOnce: the reference is not printed where a later layer gives
// the secret, nor beside a file that wins over it.
func TestPrintsUnsetOnce(t *testing.T) {
	src := config.Source{
		File: "/c.yaml", Data: []byte("schema: {registry: {username: u, password: '${AWAY}'}}\n"), Unused: config.Secrets(),
		ReadFile: func(string) ([]byte, error) { return []byte("hunter2"), nil },
	}
	for env, want := range map[string]string{
		"CXRELAY_SCHEMA_REGISTRY_PASSWORD=hunter2":  "    password: \"***\"\n",
		"CXRELAY_SCHEMA_REGISTRY_PASSWORD_FILE=/pw": "    password_file: /pw\n",
		"OTHER=": "    password: \"${AWAY}\"\n",
	} {
		src.Env = founding(env)
		c, _ := mustLoad(t, src)
		if text := string(c.YAML(false)); !strings.Contains(text, want) || strings.Count(text, "    password") != 1 {
			t.Errorf("%s: want %q\n%s", env, want, text)
		}
	}
	src.Env = founding()[:2] // without a file with sources the built-in one refers to its variable
	c, _ := mustLoad(t, src)
	if text := string(c.YAML(false)); !strings.Contains(text, "        - id: env\n          value: \"${CXONE_WEBHOOK_SECRET}\"\n") {
		t.Error(text)
	}
}

// TestUnreadFiles: a relative name is looked for beside the configuration. What
// a variable stood for is not shown, and a right that is missing is named.
func TestUnreadFiles(t *testing.T) {
	load := func(file string, cause error) string {
		_, _, err := config.Load(config.Source{
			File: "etc/relay.yaml",
			Data: []byte("sources: [{name: a, path: /a, signature: {preset: cxone, secrets: [{id: a, file: '" + file + "'}]}}]\n"),
			Env:  []string{"WHERE=hunter2"},
			ReadFile: func(name string) ([]byte, error) {
				return nil, &fs.PathError{Op: "open", Path: name, Err: cause}
			},
		})
		if err == nil {
			t.Fatal("no error")
		}
		return err.Error()
	}
	if got, want := load("sec/a", fs.ErrNotExist), `looked for as "etc/sec/a": relative names begin at`; !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	for _, file := range []string{"/sec/a", "${WHERE}/a"} {
		if got := load(file, fs.ErrNotExist); strings.Contains(got, "looked for") || strings.Contains(got, "hunter2") {
			t.Errorf("%s: %s", file, got)
		}
	}
	if got, want := load("sec/a", fs.ErrPermission), "give the user that runs the relay the right to read it"; !strings.Contains(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}
