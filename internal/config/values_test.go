package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/cxrelay/cxrelay/internal/config"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]config.Size{
		"1": 1, "983040": 983040, "1B": 1, "960KiB": 960 << 10, "1 MiB": 1 << 20, "64MiB": 64 << 20, "2GiB": 2 << 30,
		"8589934591GiB": 8589934591 << 30,
	} {
		if got, err := config.ParseSize(in); err != nil || got != want {
			t.Errorf("%q = %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "0", "0KiB", "-1", "+1", "1KB", "1.5MiB", "1mib", "MiB", "8589934592GiB", "18446744073709551616", "1_000", " 1"} {
		if got, err := config.ParseSize(in); err == nil {
			t.Errorf("%q = %d", in, got)
		}
	}
	for in, want := range map[config.Size]string{0: "0B", 1: "1B", 1 << 10: "1KiB", 960 << 10: "960KiB", 1<<20 + 1: "1048577B", 3 << 30: "3GiB"} {
		if got := in.String(); got != want {
			t.Errorf("%d prints as %s", int64(in), got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{"0s": 0, "500ms": 500 * time.Millisecond, "1h2m": 62 * time.Minute} {
		if got, err := config.ParseDuration(in); err != nil || got != want {
			t.Errorf("%q = %v, %v", in, got, err)
		}
	}
	_, err := config.ParseDuration("5x")
	if err == nil || err.Error() != `"5x" is not a duration (examples: 500ms, 5s, 2m)` {
		t.Errorf("%v", err)
	}
	if _, err := config.ParseDuration("-1s"); err == nil {
		t.Error("a negative duration")
	}
}

func TestFraction(t *testing.T) {
	load := func(text string) (float64, error) {
		c, _, err := config.Load(config.Source{Env: []string{
			"KAFKA_BROKERS=k:1", "SCHEMA_REGISTRY_URL=http://r", "CXONE_WEBHOOK_SECRET=x", "CXRELAY_SCHEMA_SHADOW=" + text,
		}})
		if err != nil {
			return 0, err
		}
		return c.Schema.Shadow, nil
	}
	for in, want := range map[string]float64{"0": 0, "0.01": 0.01, "1": 1, "1.0": 1, ".5": 0.5, "1e-3": 0.001, "+0.25": 0.25} {
		if got, err := load(in); err != nil || got != want {
			t.Errorf("%q = %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"1.01", "-0.1", "-0", "NaN", "Inf", "1%", "1e999", "0x1p-2", "0_1", ".", "e1", "yes"} {
		if got, err := load(in); err == nil || !strings.Contains(err.Error(), "is not a number from 0 to 1") {
			t.Errorf("%q = %v, %v", in, got, err)
		}
	}
}

func TestSecretShowsNowhere(t *testing.T) {
	const value = "hunter2"
	c, _ := mustLoad(t, config.Source{Env: []string{"KAFKA_BROKERS=k:1", "SCHEMA_REGISTRY_URL=http://r", "CXONE_WEBHOOK_SECRET=" + value,
		"CXRELAY_SCHEMA_REGISTRY_TOKEN=" + value}})
	if string(c.Schema.Registry.Token.Bytes()) != value || string(c.Sources[0].Keys()[0].Value) != value {
		t.Fatal("the secrets are not there at all")
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(c.Sources[0].Secrets)
	if err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(h).Info("x", "secret", c.Sources[0].Secrets[0].Value, "config", c, "key", c.Sources[0].Keys()[0])
	}
	all := []string{string(asJSON), string(asYAML), logged.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		all = append(all, fmt.Sprintf(verb, c), fmt.Sprintf(verb, c.Sources[0].Secrets[0].Value))
	}
	for _, s := range all {
		low := strings.ToLower(s)
		if strings.Contains(low, value) || strings.Contains(low, fmt.Sprintf("%x", value)) || strings.Contains(low, "104 117 110") || strings.Contains(low, "ahvudgvymg") {
			t.Errorf("the secret shows: %s", s)
		}
		if !strings.Contains(s, "***") {
			t.Errorf("no *** in %s", s)
		}
	}
}

func dump(c *config.Config) string { return fmt.Sprintf("%+v", *c) }

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		config.Murmur2.String(): "murmur2", config.CRC32.String(): "crc32", config.Partitioner(9).String(): "unknown",
		config.Reject.String(): "reject", config.EventID.String(): "event_id", config.NullKey.String(): "null_key",
		config.Fault.String(): "error", config.Warning.String(): "warning",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
