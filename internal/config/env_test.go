package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/config"
)

// problems loads what must not load and lists its problems, one a line.
func problems(t *testing.T, src config.Source) string {
	t.Helper()
	c, warnings, err := config.Load(src)
	var faults *config.Errors
	if !errors.As(err, &faults) || c != nil {
		t.Fatalf("config %v, error %v", c, err)
	}
	var b strings.Builder
	for _, p := range append(faults.Problems, warnings...) {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

func TestFaultsOfTheEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		src  config.Source
		want string
	}{
		"nothing": {config.Source{}, `CXONE_WEBHOOK_SECRET: error: is not set, and there are no sources with secrets of their own
  hint: set it to the secret that signs the webhooks, or give sources in a file
error: schema.registry.urls: no Schema Registry is given
  hint: set SCHEMA_REGISTRY_URL, or schema.registry.urls in the file: [http://registry:8081]
error: kafka.brokers: no Kafka brokers are given
  hint: set KAFKA_BROKERS, or kafka.brokers in the file: [kafka:9092]
`},
		"empty": {config.Source{Env: []string{"CXONE_WEBHOOK_SECRET=", "KAFKA_BROKERS= ", "SCHEMA_REGISTRY_URL="}}, `CXONE_WEBHOOK_SECRET: error: is empty
  hint: set it to the secret that signs the webhooks
SCHEMA_REGISTRY_URL: error: schema.registry.urls: no Schema Registry is given
  hint: set SCHEMA_REGISTRY_URL, or schema.registry.urls in the file: [http://registry:8081]
KAFKA_BROKERS: error: kafka.brokers: no Kafka brokers are given
  hint: set KAFKA_BROKERS, or kafka.brokers in the file: [kafka:9092]
`},
		"values": {config.Source{Env: founding("CXRELAY_LISTEN_METRICS=on", "CXRELAY_LIMITS_BODY=1MB", "CXRELAY_LISTEN_ADDRES=x",
			"CXRELAY_PORT_8080_TCP=tcp://10.0.0.1", "KAFKA_BROKERS=k:9092,,sasl://u:pw@k:1")}, `CXRELAY_LIMITS_BODY: error: limits.body: "1MB" is not a size (examples: 500000, 960KiB, 64MiB)
CXRELAY_LISTEN_METRICS: error: listen.metrics: "on" is neither true nor false
KAFKA_BROKERS: error: kafka.brokers[1]: "" is no broker (examples: kafka:9092, 10.0.0.1:9092)
KAFKA_BROKERS: error: kafka.brokers[2]: "***" is no broker (examples: kafka:9092, 10.0.0.1:9092)
CXRELAY_LISTEN_ADDRES: warning: no key has this variable; it is ignored
  hint: did you mean CXRELAY_LISTEN_ADDRESS?
CXRELAY_PORT_8080_TCP: warning: no key has this variable; it is ignored
`},
		"credentials": {config.Source{Env: founding("SCHEMA_REGISTRY_URL=https://key:hunter2@registry")}, `SCHEMA_REGISTRY_URL: error: schema.registry.urls[0]: a URL holds no credentials: it is shown in logs
  hint: set schema.registry.username and password_file
`},
		"flags": {config.Source{Env: founding(), Overrides: map[string]string{"listen.address": "8080", "no.key": "x", "sources": "a", "limits.connections": ""}}, `error: limits.connections: "" is not a whole number from 1 to 2147483647
error: no.key: no key that a flag can set
error: sources: no key that a flag can set
error: listen.address: "8080" is no address (examples: :8080, 127.0.0.1:8080, [::1]:8080)
`},
		"no file": {config.Source{File: "/none/c.yaml"}, `/none/c.yaml: error: cannot be read: no such file or directory
`},
		"huge": {config.Source{File: "c.yaml", Data: make([]byte, 1<<20+1)}, `c.yaml: error: has 1048577 bytes, more than 1048576
`},
	} {
		if got := problems(t, c.src); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestUnknownVariablesOnlyWarn(t *testing.T) {
	_, warnings := mustLoad(t, config.Source{Env: founding("CXRELAY_KAFKA_BROKERS=a:1", "CXRELAY_SCHEMA_REGISTRY_URL=x", "CXRELAY_ROUTES=x")})
	var b strings.Builder
	for _, w := range warnings {
		b.WriteString(w.String() + "\n")
	}
	want := `CXRELAY_KAFKA_BROKERS: warning: no key has this variable; it is ignored
  hint: the brokers are set by KAFKA_BROKERS
CXRELAY_ROUTES: warning: no key has this variable; it is ignored
CXRELAY_SCHEMA_REGISTRY_URL: warning: no key has this variable; it is ignored
  hint: the registry is set by SCHEMA_REGISTRY_URL
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// Every variable is one key's, and works.
func TestEveryScalarHasAVariable(t *testing.T) {
	seen := map[string]string{}
	for _, path := range config.Keys() {
		name := config.EnvName(path)
		if other, twice := seen[name]; twice {
			t.Errorf("%s is the variable of %s and of %s", name, path, other)
		}
		seen[name] = path
	}
	for name, value := range map[string]string{
		"CXRELAY_INSTANCE": "i", "CXRELAY_LISTEN_ADDRESS": ":1", "CXRELAY_LISTEN_METRICS": "false", "CXRELAY_ADMIN_ADDRESS": "127.0.0.1:2",
		"CXRELAY_ADMIN_READY_ON_KAFKA": "false", "CXRELAY_SCHEMA_SUBJECT": "s", "CXRELAY_KAFKA_PARTITIONER": "crc32",
		"CXRELAY_LIMITS_BODY": "1KiB", "CXRELAY_LIMITS_IN_FLIGHT_BYTES": "1GiB", "CXRELAY_LIMITS_IN_FLIGHT_RECORDS": "1",
		"CXRELAY_LIMITS_OLDEST_UNACKED": "1s", "CXRELAY_LIMITS_CONNECTIONS": "1", "CXRELAY_SHUTDOWN_DELAY": "1s", "CXRELAY_SHUTDOWN_TIMEOUT": "1s",
	} {
		before, _ := mustLoad(t, config.Source{Env: founding()})
		after, warnings := mustLoad(t, config.Source{Env: founding(name + "=" + value)})
		if len(warnings) > 0 {
			t.Errorf("%s: %v", name, warnings)
		}
		if dump(before) == dump(after) {
			t.Errorf("%s changes nothing", name)
		}
	}
}

// A bad value in the file is a fault, also when a later layer replaces it.
func TestFaultUnderALaterLayerIsReported(t *testing.T) {
	got := problems(t, config.Source{File: "c.yaml", Data: []byte("limits: {body: x}"), Env: founding("CXRELAY_LIMITS_BODY=1MiB")})
	if !strings.HasPrefix(got, "c.yaml:1:16: error: limits.body: ") {
		t.Error(got)
	}
}

func TestShadowedRouteWarns(t *testing.T) {
	_, warnings := mustLoad(t, config.Source{File: "c.yaml", Env: founding(),
		Data: []byte("routes:\n  - {type: \"A*\", topic: t}\n  - {type: \"AB*\", topic: u}\n")})
	if len(warnings) != 1 || warnings[0].Line != 3 || warnings[0].Column != 12 ||
		warnings[0].Message != `this route never matches: routes[0] ("A*") takes all of it` {
		t.Errorf("%v", warnings)
	}
}

func TestBuiltinSecretIsIgnoredBesideSources(t *testing.T) {
	c, warnings := mustLoad(t, config.Source{File: "c.yaml", Env: founding("OTHER=x"),
		Data: []byte("sources:\n  - {name: a, path: /a, signature: {preset: cxone, secrets: [{id: a, value: \"${OTHER}\"}]}}\n")})
	if len(warnings) != 1 || warnings[0].Env != "CXONE_WEBHOOK_SECRET" || warnings[0].Severity != config.Warning {
		t.Errorf("%v", warnings)
	}
	if keys := c.Sources[0].Keys(); len(keys) != 1 || string(keys[0].Value) != "x" {
		t.Errorf("%q", keys)
	}
}

func TestLinesEndInAnyWay(t *testing.T) {
	for _, data := range []string{"# é\nlisten: x\n", "# é\r\nlisten: x\r\n", "# é\rlisten: x\r", "\ufeff# é\nlisten: x"} {
		got := problems(t, config.Source{File: "c.yaml", Data: []byte(data), Env: founding()})
		if want := "c.yaml:2:9: error: listen: must be a mapping, not a text\n    2 | listen: x\n      |         ^\n"; got != want {
			t.Errorf("%q: got\n%s", data, got)
		}
	}
}
