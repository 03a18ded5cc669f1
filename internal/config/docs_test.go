package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/config"
)

// TestDocumentedSecurity: every block of YAML in the how-to loads, without a
// warning, and every mechanism has one.
func TestDocumentedSecurity(t *testing.T) {
	page, err := os.ReadFile("../../docs/kafka-security.md")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"ca.pem": "good.pem", "relay.pem": "good.pem", "relay-key.pem": "key.pem"}
	seen := map[config.Mechanism]bool{}
	for i, block := range fenced(string(page), "yaml") {
		c, warnings := mustLoad(t, config.Source{
			File: "/etc/cxrelay/cxrelay.yaml", Data: []byte(block), Env: founding("KAFKA_PASSWORD=pw")[1:],
			ReadFile: func(name string) ([]byte, error) {
				if pem, ok := files[name[strings.LastIndexByte(name, '/')+1:]]; ok {
					return pemFiles()[pem], nil
				}
				return []byte("secret\n"), nil
			},
		})
		if len(warnings) > 0 {
			t.Errorf("block %d: %v\n%s", i, warnings, block)
		}
		if !c.Kafka.TLS.Enabled {
			t.Errorf("block %d is without TLS:\n%s", i, block)
		}
		seen[c.Kafka.SASL.Mechanism] = true
	}
	for _, m := range []config.Mechanism{config.NoSASL, config.Plain, config.ScramSHA256, config.ScramSHA512, config.OAuthBearer, config.AWSMSKIAM} {
		if !seen[m] {
			t.Errorf("no block for %s", m)
		}
	}
	for _, key := range config.Keys() {
		if strings.HasPrefix(key, "kafka.tls.") && !strings.Contains(string(page), key[len("kafka.tls."):]+":") {
			t.Errorf("the page does not show %s", key)
		}
	}
}

// fenced returns the code blocks of a language.
func fenced(page, language string) []string {
	var blocks []string
	for _, part := range strings.Split(page, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		blocks = append(blocks, block+"\n")
	}
	return blocks
}

// TestExampleSecurity: the commented block of the example, uncommented, loads
// as far as one mechanism can take its keys.
func TestExampleSecurity(t *testing.T) {
	example, err := os.ReadFile("../../examples/cxrelay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(example), "  # sasl:")
	part, _, end := strings.Cut(part, "\n  partitioner:")
	if !ok || !end {
		t.Fatal("the example has no block about security")
	}
	yaml := "kafka:\n  brokers: [k:9092]\n  sasl:" + strings.ReplaceAll(part, "\n  # ", "\n  ") + "\n"
	got := problems(t, config.Source{File: "c.yaml", Data: []byte(yaml), Env: founding()[1:], ReadFile: func(name string) ([]byte, error) {
		switch name[strings.LastIndexByte(name, '/')+1:] {
		case "ca.pem", "relay.pem":
			return pemFiles()["good.pem"], nil
		case "relay-key.pem":
			return pemFiles()["key.pem"], nil
		}
		return []byte("secret\n"), nil
	}})
	if strings.Count(got, "SCRAM-SHA-512 does not use it") != strings.Count(got, "error: ") || strings.Contains(got, "unknown key") {
		t.Errorf("got:\n%s", got)
	}
}
