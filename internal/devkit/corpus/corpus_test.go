package corpus_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
)

func TestSizes(t *testing.T) {
	want := map[string][2]int{"flat": {554, 554}, "nested": {1400, 1500}, "array": {8200, 8400}}
	cases := corpus.Cases()
	if len(cases) != len(want) {
		t.Fatalf("%d cases, want %d", len(cases), len(want))
	}
	for _, c := range cases {
		bounds, ok := want[c.Name]
		if !ok {
			t.Errorf("unknown case %q", c.Name)
		}
		if n := len(c.Body); n < bounds[0] || n > bounds[1] {
			t.Errorf("%s has %d bytes, want %d to %d", c.Name, n, bounds[0], bounds[1])
		}
	}
}

func TestShapes(t *testing.T) {
	members := func(name string) map[string]any {
		for _, c := range corpus.Cases() {
			var m map[string]any
			if err := json.Unmarshal(c.Body, &m); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			if c.Name == name {
				return m
			}
		}
		t.Fatalf("no case %q", name)
		return nil
	}
	if n := len(members("flat")); n != 22 {
		t.Errorf("flat has %d members, want 22", n)
	}
	if n := depth(members("nested")); n != 5 {
		t.Errorf("nested has %d levels, want 5", n)
	}
	array := members("array")
	if n := len(array["segments"].([]any)); n != 24 {
		t.Errorf("array has %d segments, want 24", n)
	}
	if n := len(array["attributes"].([]any)); n != 26 {
		t.Errorf("array has %d attributes, want 26", n)
	}
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, child := range v {
			deepest = max(deepest, depth(child))
		}
	case []any:
		for _, child := range v {
			deepest = max(deepest, depth(child))
		}
	default:
		return 0
	}
	return deepest + 1
}

// Each body passes each of its schemas, and stops passing when it loses its
// event type, gains an unknown member or has another value for its revision.
func TestSchemas(t *testing.T) {
	for _, c := range corpus.Cases() {
		for draft, text := range map[string][]byte{"draft-07": c.Draft7, "2020-12": c.Draft2020} {
			schema := compile(t, text)
			body := c.Body
			if err := schema.Validate(decode(t, body)); err != nil {
				t.Errorf("%s, %s: %v", c.Name, draft, err)
			}
			for old, wrong := range map[string]string{
				`"actionType"`:  `"actiontype"`,
				`"schemaRev":3`: `"schemaRev":4`,
				`"eventId":"`:   `"eventId":"x`,
				`"occurredAt":`: `"occurredAt":"2026-02-30T00:00:00Z","x":`,
			} {
				bad := bytes.Replace(body, []byte(old), []byte(wrong), 1)
				if schema.Validate(decode(t, bad)) == nil {
					t.Errorf("%s, %s: still valid with %s", c.Name, draft, wrong)
				}
			}
		}
	}
}

func compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("mem:schema", decode(t, text)); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("mem:schema")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func decode(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
