package jsonschema_test

import (
	"testing"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

const draft2020 = `"$schema":"https://json-schema.org/draft/2020-12/schema",`

func definition(text string, references map[string]string) schema.Definition {
	return schema.Definition{Subject: "s", Version: 1, ID: 1, Type: "JSON", Text: text, References: references}
}

func compile(t testing.TB, text string) schema.Validator {
	t.Helper()
	return compileWith(t, text, nil)
}

func compileWith(t testing.TB, text string, references map[string]string) schema.Validator {
	t.Helper()
	v, err := jsonschema.CompileShared(definition(text, references))
	if err != nil {
		t.Fatalf("Compile(%s): %v", text, err)
	}
	return v
}

func parse(t testing.TB, body string) *jsontape.Doc {
	t.Helper()
	doc := new(jsontape.Doc)
	if err := doc.Parse([]byte(body), jsontape.Limits{}); err != nil {
		t.Fatalf("parse %.80s: %v", body, err)
	}
	return doc
}

// check returns the violations and holds Check to the rest of its promise.
func check(t testing.TB, v schema.Validator, body string) []schema.Violation {
	t.Helper()
	doc := parse(t, body)
	value, violations, err := v.Check(doc, nil)
	switch {
	case err != nil:
		t.Fatalf("Check(%.80s): %v", body, err)
	case violations == nil && string(value) != body:
		t.Fatalf("Check(%.80s) = %q, want the body itself", body, value)
	case violations != nil && (len(violations) == 0 || value != nil):
		t.Fatalf("Check(%.80s): %d violations and value %q", body, len(violations), value)
	}
	return violations
}

func accepts(t testing.TB, v schema.Validator, body string) bool {
	t.Helper()
	return check(t, v, body) == nil
}
