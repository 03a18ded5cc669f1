package jsonschema_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// Formats are left out of these: ours are stricter than the library's.
func fuzzSchemas() []string {
	texts := []string{
		`{"type":"object","properties":{"a":{"type":"integer","minimum":0},"b":{"enum":["x",1,null,{"k":[]}]},"c":{"const":1.0}},"required":["a"],"additionalProperties":{"maxLength":3}}`,
		`{"items":{"$ref":"#"},"uniqueItems":true,"maxItems":8,"propertyNames":{"pattern":"^[a-z]*$"},"additionalProperties":{"$ref":"#"}}`,
		`{"oneOf":[{"properties":{"kind":{"const":"a"}},"required":["kind"]},{"type":"array","contains":{"type":"null"}},{"multipleOf":0.5},{"minLength":2}]}`,
		`{"anyOf":[{"type":"null"},{"not":{"type":"string"}}],"if":{"type":"number"},"then":{"exclusiveMaximum":1e10},"else":{"minProperties":1}}`,
		`{` + draft2020 + `"prefixItems":[{"type":"string"}],"unevaluatedItems":{"type":"number"},"properties":{"a":true},"allOf":[{"patternProperties":{"^b":{"type":"boolean"}}}],"unevaluatedProperties":false,"dependentRequired":{"a":["b"]}}`,
	}
	for _, c := range corpus.Cases() {
		texts = append(texts, string(c.Draft2020))
	}
	return texts
}

// FuzzCheck: Check gives the library's own verdict on the library's own
// parse of the same bytes, its violations keep their promises, and a second
// check says the same.
func FuzzCheck(f *testing.F) {
	texts := fuzzSchemas()
	ours, theirs := make([]schema.Validator, len(texts)), make([]*santhosh.Schema, len(texts))
	for i, text := range texts {
		ours[i], theirs[i] = compile(f, text), plain(f, text)
	}
	for _, c := range corpus.Cases() {
		for i := range texts {
			f.Add(i, c.Body)
		}
	}
	for i := range texts {
		for _, body := range []string{`{"a":1,"b":"x","c":1e0}`, `[1,[1],{"A":[]},"\u00e9"]`, `{"kind":"a"}`, `[null,1.50,"x"]`, `""`, `-0`, `{"a":1,"b":true}`} {
			f.Add(i, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		i := int(uint(which) % uint(len(texts)))
		doc := new(jsontape.Doc)
		if doc.Parse(body, jsontape.Limits{}) != nil {
			t.Skip()
		}
		violations := check(t, ours[i], string(body))
		value, err := santhosh.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("the library does not parse %q: %v", body, err)
		}
		if err := theirs[i].Validate(value); (err == nil) != (violations == nil) {
			t.Fatalf("schema %d on %q: ours %q, theirs %v", i, body, violations, err)
		}
		lawful(t, violations)
		again := check(t, ours[i], string(body))
		if len(again) != len(violations) {
			t.Fatalf("%d violations, then %d", len(violations), len(again))
		}
		for k := range again {
			if again[k] != violations[k] {
				t.Fatalf("violation %d: %q, then %q", k, violations[k], again[k])
			}
		}
	})
}

func lawful(t *testing.T, violations []schema.Violation) {
	t.Helper()
	if len(violations) > 20 {
		t.Errorf("%d violations", len(violations))
	}
	for i, v := range violations {
		if v.Pointer != "" && v.Pointer[0] != '/' || v.Keyword == "" || v.Expected == "" || v.Actual == "" {
			t.Errorf("incomplete: %q", v)
		}
		if len(v.Pointer) > 1024 || !utf8.ValidString(v.Pointer) {
			t.Errorf("pointer of %d bytes", len(v.Pointer))
		}
		for _, text := range []string{v.Expected, v.Actual} {
			if !utf8.ValidString(text) || utf8.RuneCountInString(text) > 128 {
				t.Errorf("text: %q", text)
			}
		}
		if i > 0 {
			before := violations[i-1]
			if before.Pointer > v.Pointer || before.Pointer == v.Pointer && before.Keyword > v.Keyword || before == v {
				t.Errorf("order: %q before %q", before, v)
			}
		}
	}
}

// FuzzCompile: no text and no reference makes Compile panic, and an error
// text is of a size for a log line.
func FuzzCompile(f *testing.F) {
	for _, text := range fuzzSchemas() {
		f.Add(text, `{"type":"string"}`)
	}
	f.Add(ladder(20), `{`)
	f.Add(`{"$ref":"r"}`, `{"$ref":"#/$defs/a","definitions":{"a":{"items":{"$ref":"r"}}}}`)
	f.Add(`{`+draft2020+`"$dynamicAnchor":"n","$dynamicRef":"#n"}`, `true`)
	f.Fuzz(func(t *testing.T, text, reference string) {
		v, err := jsonschema.Compile(definition(text, map[string]string{"r": reference}))
		if (v == nil) != (err != nil) {
			t.Fatalf("validator %v with error %v", v, err)
		}
		if err != nil {
			if len(err.Error()) > 8192 || strings.Contains(err.Error(), "panicked") {
				t.Errorf("%d bytes: %.300s", len(err.Error()), err)
			}
			return
		}
		for _, body := range []string{`{"a":[{"b":1}]}`, `[[]]`, `"x"`, `1`} {
			doc := parse(t, body)
			_, violations, err := v.Check(doc, nil)
			if err == nil {
				lawful(t, violations)
			}
		}
	})
}

func plain(t testing.TB, text string) *santhosh.Schema {
	t.Helper()
	doc, err := santhosh.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := santhosh.NewCompiler()
	c.DefaultDraft(santhosh.Draft7)
	if err := c.AddResource("mem://x/y", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem://x/y")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
