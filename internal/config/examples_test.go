package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/config"
)

// examples are the files of examples/, by their names.
func examples(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	texts := make(map[string]string)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(data)
	}
	return texts
}

// documented are the blocks of YAML in the documentation that configure a
// relay, by page and number.
func documented(t testing.TB) map[string]string {
	t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]string)
	for _, file := range append(pages, "../../README.md") {
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range fenced(string(page), "yaml") {
			if isOurs(block) {
				texts[filepath.Base(file)+" block "+string(rune('0'+i))] = block
			}
		}
	}
	if len(texts) < 8 {
		t.Fatalf("only %d blocks found: the search is broken", len(texts))
	}
	return texts
}

// isOurs reports whether a block has one of our keys at the top.
func isOurs(block string) bool {
	for line := range strings.Lines(block) {
		name, _, ok := strings.Cut(line, ":")
		for _, key := range config.Keys() {
			if ok && name == key && !strings.ContainsAny(key, ".[") {
				return true
			}
		}
	}
	return false
}

// elsewhere is a machine that has every file that the examples name.
func elsewhere(data string) config.Source {
	return config.Source{
		File: "/etc/cxrelay/cxrelay.yaml", Data: []byte(data),
		Env: []string{"KAFKA_PASSWORD=pw", "CXONE_OLD_SECRET=old"},
		ReadFile: func(name string) ([]byte, error) {
			switch filepath.Ext(name) {
			case ".crt", ".pem":
				if strings.HasSuffix(name, "-key.pem") {
					return pemFiles()["key.pem"], nil
				}
				return pemFiles()["good.pem"], nil
			case ".key":
				return pemFiles()["key.pem"], nil
			default:
				if strings.Contains(data, "preset: basic") {
					return []byte("user:password\n"), nil
				}
				return []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), nil
			}
		},
	}
}

// TestExamples: every example is complete, loads without a warning, tells
// editors where its schema is, and is printed as what it is.
func TestExamples(t *testing.T) {
	for name, text := range examples(t) {
		t.Run(name, func(t *testing.T) {
			if !strings.HasPrefix(text, "# yaml-language-server: $schema=cxrelay.schema.json\n") {
				t.Error("the first line does not name the schema")
			}
			if strings.Contains(text, "serve --config ") && !strings.Contains(text, "cxrelay serve --config "+name+"\n") {
				t.Error("the command in it names another file")
			}
			c, warnings := mustLoad(t, elsewhere(text))
			if len(warnings) > 0 {
				t.Errorf("warnings: %v", warnings)
			}
			printsAsItIs(t, c)
			valid(t, text)
		})
	}
}

// TestDocumentedBlocks: every block of YAML in the documentation that
// configures a relay loads without a warning, the rest being given.
func TestDocumentedBlocks(t *testing.T) {
	for name, text := range documented(t) {
		t.Run(name, func(t *testing.T) {
			src := elsewhere(text)
			src.Env = append(src.Env, founding()[:2]...)
			if !strings.Contains(text, "sources:") {
				src.Env = append(src.Env, founding()[2])
			}
			if _, warnings := mustLoad(t, src); len(warnings) > 0 {
				t.Errorf("warnings: %v", warnings)
			}
			valid(t, text)
		})
	}
}

// printsAsItIs: what is printed loads again, and gives the same but for
// secrets that stood in it.
func printsAsItIs(t *testing.T, c *config.Config) {
	t.Helper()
	for _, sources := range []bool{false, true} {
		text := string(c.YAML(sources))
		again, _, err := config.Load(elsewhere(text))
		if err != nil {
			t.Fatalf("what was printed does not load: %v\n%s", err, text)
		}
		reloadable, refused := config.Changes(c, again)
		for _, path := range append(reloadable, refused...) {
			if !strings.HasSuffix(path, ".value") {
				t.Errorf("%s is another\n%s", path, text)
			}
		}
		valid(t, text)
	}
}

// fileSchema is what "cxrelay config schema" prints, compiled.
func fileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("cxrelay.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("cxrelay.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func valid(t *testing.T, text string) {
	t.Helper()
	value, ok := config.Generic([]byte(text))
	if !ok {
		t.Fatalf("no YAML:\n%s", text)
	}
	if err := fileSchema(t).Validate(value); err != nil {
		t.Errorf("the schema refuses it: %v", err)
	}
}

// TestSchemaRefuses: what the schema refuses, Load refuses, too; and it does
// refuse what editors should underline.
func TestSchemaRefuses(t *testing.T) {
	schema := fileSchema(t)
	for name, text := range map[string]string{
		"unknown key":           "limit: {body: 1KiB}",
		"unknown key below":     "kafka: {tls: {enable: true}}",
		"unknown key in a list": "routes: [{type: A, topic: a, wires: raw}]",
		"text for a list":       "kafka: {brokers: k:9092}",
		"list for a text":       "instance: [a]",
		"mapping for a list":    "sources: {name: a}",
		"list for a mapping":    "listen: [a]",
		"no boolean":            "listen: {metrics: on}",
		"no word":               "kafka: {partitioner: murmur}",
		"no preset":             "sources: [{name: a, path: /a, signature: {preset: cxon, secrets: [{id: a, file: x}]}}]",
		"no size":               "limits: {body: 1MB}",
		"no duration":           "shutdown: {delay: 5 s}",
		"no count":              "limits: {connections: many}",
		"too many":              "limits: {connections: 2147483648}",
		"no version":            "schema: {version: newest}",
		"no pin":                "kafka: {partitions: {cxone.interactions.raw: x}}",
		"negative":              "limits: {in_flight_records: -1}",
		"a mechanism":           "kafka: {sasl: {mechanism: SCRAM}}",
	} {
		value, ok := config.Generic([]byte(text))
		if !ok {
			t.Fatalf("%s: no YAML", name)
		}
		if schema.Validate(value) == nil {
			t.Errorf("%s: the schema takes %s", name, text)
		}
		if _, _, err := config.Load(config.Source{File: "c.yaml", Data: []byte(text), Env: founding(), ReadFile: faultSource("", nil).ReadFile}); err == nil {
			t.Errorf("%s: Load takes %s", name, text)
		}
	}
}

// TestSchemaKnowsFaults: of the broken files, the schema finds those with a
// fault that it can express.
func TestSchemaKnowsFaults(t *testing.T) {
	schema := fileSchema(t)
	for _, name := range []string{"foreign", "java", "librdkafka", "topic-settings", "durations", "version", "mode-word", "topics", "open", "signature", "admin"} {
		data, err := os.ReadFile("testdata/faults/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if value, ok := config.Generic(data); !ok || schema.Validate(value) == nil {
			t.Errorf("%s.yaml: the schema sees nothing", name)
		}
	}
}
