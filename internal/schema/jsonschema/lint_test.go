package jsonschema_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

func TestRecursionAccepted(t *testing.T) {
	tests := map[string]string{
		"properties":                 `{"properties":{"child":{"$ref":"#"},"sibling":{"$ref":"#"}}}`,
		"items":                      `{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}}}}`,
		"additionalProperties":       `{"properties":{"a":{"$ref":"#"}},"additionalProperties":{"$ref":"#"}}`,
		"one pattern":                `{"properties":{"b":{"$ref":"#"}},"patternProperties":{"^a":{"$ref":"#"}}}`,
		"tuple":                      `{"items":[{"$ref":"#"},{"$ref":"#"}],"additionalItems":{"$ref":"#"}}`,
		"contains alone":             `{"contains":{"$ref":"#"}}`,
		"mutual":                     `{"$ref":"#/definitions/a","definitions":{"a":{"properties":{"b":{"$ref":"#/definitions/b"}}},"b":{"properties":{"a":{"$ref":"#/definitions/a"}}}}}`,
		"chain of refs":              `{"properties":{"x":{"$ref":"#/definitions/a"}},"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#"}}}`,
		"applicators beside":         `{"anyOf":[{"required":["a"]},{"required":["b"]}],"oneOf":[true],"allOf":[{"type":"object"}],"not":{"type":"null"},"properties":{"child":{"$ref":"#"}}}`,
		"anyOf leads to recursion":   `{"anyOf":[{"$ref":"#/definitions/tree"},{"type":"null"}],"definitions":{"tree":{"properties":{"child":{"$ref":"#/definitions/tree"}}}}}`,
		"anyOf leads out":            `{"properties":{"child":{"$ref":"#"},"leaf":{"anyOf":[{"type":"null"},{"type":"string"}]}}}`,
		"2020 items":                 `{` + draft2020 + `"properties":{"children":{"prefixItems":[{"$ref":"#"}],"items":{"$ref":"#"}}}}`,
		"2020 ref beside others":     `{` + draft2020 + `"$ref":"#/$defs/base","properties":{"child":{"$ref":"#"}},"$defs":{"base":{"type":"object"}}}`,
		"unused definition recurses": `{"definitions":{"bad":{"anyOf":[{"$ref":"#/definitions/bad"}]}}}`,
		"dynamicRef below items":     `{` + draft2020 + `"$dynamicAnchor":"node","properties":{"children":{"items":{"$dynamicRef":"#node"}}}}`,
		"recursiveRef below items":   `{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"properties":{"children":{"items":{"$recursiveRef":"#"}}}}`,
		"draft-07 ref hides anyOf":   `{"properties":{"a":{"$ref":"#/definitions/b","anyOf":[{"$ref":"#"}]}},"definitions":{"b":{"type":"object"}}}`,
		"many branches":              `{"oneOf":[` + strings.TrimSuffix(strings.Repeat(`{"required":["x"]},`, 500), ",") + `]}`,
		"short ladder":               ladder(10),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			v := compile(t, text)
			for _, body := range deepBodies(100) {
				check(t, v, body) // does not end if the cost doubles with each level
			}
		})
	}
}

// deepBodies nest the members and elements that the schemas of these tests
// recurse into.
func deepBodies(depth int) []string {
	bodies := []string{strings.Repeat("[", depth) + strings.Repeat("]", depth)}
	for _, open := range []string{`{"child":`, `{"a":`, `{"ab":`, `{"x":`, `{"b":`, `{"children":[`, `{"sibling":null,"child":`} {
		shut := "}"
		levels := depth
		if strings.HasSuffix(open, "[") {
			shut, levels = "]}", depth/2
		}
		bodies = append(bodies, strings.Repeat(open, levels)+"1"+strings.Repeat(shut, levels))
	}
	return bodies
}

// What the library must not run because of its cost loads where the fast path
// takes it whole, with a warning, and always comes to an end.
func TestRecursionCounted(t *testing.T) {
	tests := map[string]struct{ schema, location, keyword string }{
		"anyOf":                {`{"properties":{"x":{"anyOf":[{"type":"null"},{"$ref":"#"}]}}}`, "#/properties/x/anyOf/1", "anyOf"},
		"oneOf":                {`{"oneOf":[{"type":"null"},{"properties":{"x":{"$ref":"#"}}}]}`, "#/oneOf/1", "oneOf"},
		"allOf":                {`{"allOf":[{"properties":{"x":{"$ref":"#"}}}]}`, "#/allOf/0", "allOf"},
		"if":                   {`{"if":{"properties":{"x":{"$ref":"#"}}},"then":true}`, "#/if", "if"},
		"then":                 {`{"if":true,"then":{"properties":{"x":{"$ref":"#"}}}}`, "#/then", "then"},
		"else":                 {`{"if":{"type":"null"},"else":{"properties":{"x":{"$ref":"#"}}}}`, "#/else", "else"},
		"not":                  {`{"not":{"items":{"$ref":"#"}}}`, "#/not", "not"},
		"dependencies":         {`{"dependencies":{"a":{"properties":{"x":{"$ref":"#"}}}}}`, "#/dependencies/a", "dependencies"},
		"dependentSchemas":     {`{` + draft2020 + `"dependentSchemas":{"a":{"properties":{"x":{"$ref":"#"}}}}}`, "#/dependentSchemas/a", "dependentSchemas"},
		"definition":           {`{"properties":{"n":{"$ref":"#/definitions/n"}},"definitions":{"n":{"anyOf":[{"items":{"$ref":"#/definitions/n"}}]}}}`, "#/definitions/n/anyOf/0", "anyOf"},
		"contains in anyOf":    {`{"anyOf":[{"contains":{"$ref":"#"}}]}`, "#/anyOf/0", "anyOf"},
		"unevaluated in allOf": {`{` + draft2020 + `"allOf":[{"unevaluatedProperties":{"$ref":"#"}}]}`, "#/allOf/0", "allOf"},
		"items and contains":   {`{"items":{"$ref":"#"},"contains":{"$ref":"#"}}`, "#", "contains"},
		"name and pattern":     {`{"properties":{"ab":{"$ref":"#"}},"patternProperties":{"^a":{"$ref":"#"}}}`, "#", "patternProperties"},
		"two patterns":         {`{"patternProperties":{"^a":{"$ref":"#"},"b$":{"$ref":"#"}}}`, "#", "patternProperties"},
		"ref and properties":   {`{` + draft2020 + `"$ref":"#/$defs/a","properties":{"x":{"$ref":"#"}},"$defs":{"a":{"properties":{"x":{"$ref":"#"}}}}}`, "#", "$ref"},
		"dynamicRef":           {`{` + draft2020 + `"$dynamicAnchor":"n","anyOf":[{"type":"null"},{"properties":{"x":{"$dynamicRef":"#n"}}}]}`, "#/anyOf/1", "anyOf"},
		"dynamicRef, target only in the text": {`{` + draft2020 + `"$id":"http://a/strict","$ref":"tree","$defs":{
			"strict":{"$dynamicAnchor":"node","allOf":[{"$ref":"tree"}]},
			"tree":{"$id":"tree","$dynamicAnchor":"node","properties":{"children":{"items":{"$dynamicRef":"#node"}}}}}}`, "#/$defs/strict/allOf/0", "allOf"},
		"recursiveRef":    {`{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"anyOf":[{"items":{"$recursiveRef":"#"}}]}`, "#/anyOf/0", "anyOf"},
		"the meta-schema": {`{"properties":{"schema":{"$ref":"http://json-schema.org/draft-07/schema#"}}}`, "http://json-schema.org/draft-07/schema#/properties/dependencies/additionalProperties/anyOf/0", "anyOf"},
		"ladder":          {ladder(30), "#", "more than"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v := compile(t, tt.schema)
			engine, _ := v.(schema.Described).Engine()
			warnings := v.(schema.Described).Warnings()
			if engine != "fast" || len(warnings) != 1 || jsonschema.JudgeOnly(v) != nil {
				t.Fatalf("engine %s, warnings %q", engine, warnings)
			}
			if !strings.Contains(warnings[0], tt.keyword) || !strings.Contains(warnings[0], " at "+tt.location) {
				t.Errorf("warning %q, want %q at %q", warnings[0], tt.keyword, tt.location)
			}
			for _, body := range deepBodies(100) {
				_, violations, err := v.Check(parse(t, body), nil)
				if err != nil && !errors.Is(err, schema.ErrTooComplex) {
					t.Errorf("Check(%.40s): %v", body, err)
				}
				lawful(t, violations)
			}
		})
	}
}

// A schema that nothing can run in bounded time is refused, with the place
// and with what the fast path does not take.
func TestRecursionRefused(t *testing.T) {
	tests := map[string]struct{ schema, location, reason, declined string }{
		"ref to itself":        {`{"$ref":"#"}`, "#", "$ref leads back", ""},
		"ref round":            {`{"properties":{"x":{"$ref":"#/definitions/a"}},"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}}`, "#/definitions/a", "$ref leads back", ""},
		"anyOf of itself":      {`{"anyOf":[{"type":"null"},{"$ref":"#"}]}`, "#", "$ref leads back", ""},
		"dependency on itself": {`{` + draft2020 + `"dependentSchemas":{"a":{"$ref":"#"}}}`, "#", "$ref leads back", ""},
		"declined": {`{"properties":{"x":{"anyOf":[{"multipleOf":12345678901234567891},{"$ref":"#"}]}}}`, "#/properties/x/anyOf/1", "recurses through anyOf",
			"multipleOf (a divisor of more than 19 digits) at #/properties/x/anyOf/0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := jsonschema.Compile(definition(tt.schema, nil))
			var refused *jsonschema.RecursionError
			if !errors.As(err, &refused) {
				t.Fatalf("Compile: %v, want a RecursionError", err)
			}
			if refused.Location != tt.location || !strings.Contains(refused.Reason, tt.reason) || refused.Declined != tt.declined {
				t.Errorf("refused for %q at %q, declined %q; want %q at %q, %q", refused.Reason, refused.Location, refused.Declined, tt.reason, tt.location, tt.declined)
			}
			if !strings.Contains(err.Error(), tt.declined) {
				t.Errorf("%v does not name %q", err, tt.declined)
			}
		})
	}
}

// Where the fast path declines and the library may run the schema, it does.
func TestDeclined(t *testing.T) {
	v := compile(t, `{"multipleOf":12345678901234567891}`)
	engine, declined := v.(schema.Described).Engine()
	if engine != "judge" || declined != "multipleOf (a divisor of more than 19 digits) at #" || len(v.(schema.Described).Warnings()) != 0 {
		t.Errorf("engine %s, declined %q", engine, declined)
	}
	if !accepts(t, v, `24691357802469135782`) || accepts(t, v, `12345678901234567890`) {
		t.Error("the judge is wrong")
	}
}

func TestRecursionThroughReference(t *testing.T) {
	v := compileWith(t, `{"properties":{"n":{"$ref":"node.json"}}}`, map[string]string{
		"node.json": `{"anyOf":[{"type":"null"},{"properties":{"n":{"$ref":"node.json"}}}]}`,
	})
	if w := v.(schema.Described).Warnings(); len(w) != 1 || !strings.Contains(w[0], "node.json#/anyOf/1") {
		t.Errorf("warnings %q, want the place node.json#/anyOf/1", w)
	}
	if !accepts(t, v, `{"n":{"n":{"n":null}}}`) {
		t.Error("a valid payload is refused")
	}
}

// ladder applies 2^n schemas to one value without any recursion.
func ladder(n int) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/definitions/d` + fmt.Sprint(n) + `","definitions":{"d0":{"type":"string"}`)
	for i := range n {
		fmt.Fprintf(&b, `,"d%d":{"allOf":[{"$ref":"#/definitions/d%d"},{"$ref":"#/definitions/d%d"}]}`, i+1, i, i)
	}
	b.WriteString("}}")
	return b.String()
}
