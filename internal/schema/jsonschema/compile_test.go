package jsonschema_test

import (
	"errors"
	"strings"
	"testing"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

var _ schema.Compiler = jsonschema.Compile

func TestCompileRefuses(t *testing.T) {
	tests := map[string]struct {
		def  schema.Definition
		want string // in the text
	}{
		"avro":             {schema.Definition{Type: "AVRO", Text: `{"type":"string"}`}, `"AVRO"`},
		"protobuf":         {schema.Definition{Type: "PROTOBUF", Text: `message A {}`}, `"PROTOBUF"`},
		"no type":          {schema.Definition{Text: `{}`}, `""`},
		"not json":         {definition(`{`, nil), "not JSON"},
		"trailing data":    {definition(`{} {}`, nil), "not JSON"},
		"not a schema":     {definition(`[]`, nil), "not a valid schema"},
		"bad keyword":      {definition(`{"properties":{"a":{"type":"strin"}}}`, nil), `#/properties/a/type`},
		"bad reference":    {definition(`{"$ref":"a"}`, map[string]string{"a": `{"minLength":-1}`}), `a#/minLength`},
		"broken reference": {definition(`{}`, map[string]string{"a": `{`}), `reference "a": the schema text is not JSON`},
		"http":             {definition(`{"properties":{"a":{"$ref":"http://127.0.0.1:1/a.json"}}}`, nil), `"http://127.0.0.1:1/a.json" is not among the schema's references: nothing is fetched`},
		"file":             {definition(`{"$ref":"file:///etc/hostname"}`, nil), `"file:///etc/hostname" is not among`},
		"relative":         {definition(`{"$ref":"other.json#/definitions/x"}`, nil), `"other.json" is not among`},
		"pointer":          {definition(`{"$ref":"#/definitions/x"}`, nil), `#/definitions/x`},
		"anchor":           {definition(`{"$ref":"#x"}`, nil), `x`},
		"unknown draft":    {definition(`{"$schema":"http://example.com/schema"}`, nil), `"http://example.com/schema" is not among`},
		"look-ahead":       {definition(`{"pattern":"^(?!a)"}`, nil), "invalid or unsupported Perl syntax: `(?!`"},
		"look-ahead, 2020": {definition(`{`+draft2020+`"patternProperties":{"(?<=a)b":{}}}`, nil), "invalid named capture"},
		"huge exponent":    {definition(`{"minimum":1e9999999}`, nil), "exponent beyond 400"},
		"huge count":       {definition(`{"maxLength":18446744073709551616}`, nil), "maxLength is too large"},
		"long number":      {definition(`{"minimum":`+strings.Repeat("1", 1001)+`}`, nil), "more than 1000 digits"},
		"duplicate id":     {definition(`{"definitions":{"a":{"$id":"http://a/x"},"b":{"$id":"http://a/x"}}}`, nil), "duplicate id"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := jsonschema.Compile(tt.def)
			if err == nil || v != nil {
				t.Fatalf("compiled %s", tt.def.Text)
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "registry://") {
				t.Errorf("%q, want %q in it and no internal address", err, tt.want)
			}
		})
	}
}

func TestCompileErrorKeepsItsCause(t *testing.T) {
	_, err := jsonschema.Compile(definition(`{"type":5}`, nil))
	var meta *santhosh.SchemaValidationError
	if !errors.As(err, &meta) {
		t.Errorf("%v has no SchemaValidationError in it", err)
	}
	many := `{"properties":{` + strings.TrimSuffix(strings.Repeat(`"a`+strings.Repeat("x", 2000)+`":{"type":5},`, 1), ",") + `}}`
	if _, err = jsonschema.Compile(definition(many, nil)); err == nil || len(err.Error()) > 1100 {
		t.Errorf("an error text of %d bytes", len(err.Error()))
	}
}

// A tree that can be extended, and a strict one that extends it (JSON Schema
// core, 2020-12, section 8.2.3.2).
const (
	draft2019      = `"$schema":"https://json-schema.org/draft/2019-09/schema",`
	strictTree2019 = `{` + draft2019 + `"$id":"http://example.com/strict","$recursiveAnchor":true,"$ref":"tree","unevaluatedProperties":false,"$defs":{
		"tree":{"$id":"tree","$recursiveAnchor":true,"properties":{"data":true,"children":{"items":{"$recursiveRef":"#"}}}}}}`
	strictTree2020 = `{` + draft2020 + `"$id":"http://example.com/strict","$dynamicAnchor":"node","$ref":"tree","unevaluatedProperties":false,"$defs":{
		"tree":{"$id":"tree","$dynamicAnchor":"node","properties":{"data":true,"children":{"items":{"$dynamicRef":"#node"}}}}}}`
)

func TestDrafts(t *testing.T) {
	tests := map[string]struct {
		schema, body string
		want         bool
	}{
		"absent is draft-07: ref hides siblings":     {`{"properties":{"a":{"$ref":"#/definitions/x","type":"null"}},"definitions":{"x":{}}}`, `{"a":1}`, true},
		"absent is draft-07: $defs keywords unknown": {`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, true},
		"2020: ref and siblings":                     {`{` + draft2020 + `"properties":{"a":{"$ref":"#/$defs/x","type":"null"}},"$defs":{"x":{}}}`, `{"a":1}`, false},
		"draft-04: exclusiveMinimum":                 {`{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}`, `1`, false},
		"draft-06: const":                            {`{"$schema":"http://json-schema.org/draft-06/schema#","const":1}`, `2`, false},
		"2019: dependentRequired":                    {`{"$schema":"https://json-schema.org/draft/2019-09/schema","dependentRequired":{"a":["b"]}}`, `{"a":1}`, false},
		"format asserted in draft-07":                {`{"format":"date"}`, `"x"`, false},
		"format only told in 2020-12":                {`{` + draft2020 + `"format":"date"}`, `"x"`, true},
		"1.0 is an integer":                          {`{"type":"integer"}`, `1.0`, true},
		"1e2 is an integer":                          {`{"type":"integer"}`, `1e2`, true},
		"exact bound":                                {`{"maximum":9007199254740992}`, `9007199254740993`, false},
		"exact multiple":                             {`{"multipleOf":0.01}`, `19.99`, true},
		"true":                                       {`true`, `{}`, true},
		"2019: contains evaluates nothing":           {`{` + draft2019 + `"contains":{"type":"string"},"unevaluatedItems":false}`, `["x"]`, false},
		"2020: contains evaluates what it matches":   {`{` + draft2020 + `"contains":{"type":"string"},"unevaluatedItems":false}`, `["x"]`, true},
		"2020: and not the rest":                     {`{` + draft2020 + `"contains":{"type":"string"},"unevaluatedItems":false}`, `["x",1]`, false},
		"2019: recursiveRef leads outwards":          {strictTree2019, `{"children":[{"children":[{"data":1}]}]}`, true},
		"2019: recursiveRef leads outwards, refused": {strictTree2019, `{"children":[{"children":[{"daat":1}]}]}`, false},
		"2020: dynamicRef leads outwards":            {strictTree2020, `{"children":[{"children":[{"data":1}]}]}`, true},
		"2020: dynamicRef leads outwards, refused":   {strictTree2020, `{"children":[{"children":[{"daat":1}]}]}`, false},
		"draft-07: a const beside a ref is ignored":  {`{"properties":{"a":{"$ref":"#/definitions/x","const":2}},"definitions":{"x":{"type":"integer"}}}`, `{"a":1}`, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v := compile(t, tt.schema)
			if got := accepts(t, v, tt.body); got != tt.want {
				t.Errorf("%s accepts %s: %v, want %v", tt.schema, tt.body, got, tt.want)
			}
			if judge := jsonschema.JudgeOnly(v); judge != nil && accepts(t, judge, tt.body) != tt.want {
				t.Errorf("the judge does not agree about %s", tt.body)
			}
		})
	}
}

// The dynamic scope is made of schema resources, and a dynamic reference
// leads to the root of one (2019-09, section 8.2.4.2.2), whatever part of it
// was entered. It also reaches the names of members. The library differs in
// both, so that the judge is not asked.
func TestDynamicScope(t *testing.T) {
	entered := `{` + draft2019 + `"$id":"http://example.com/a","$ref":"b#/$defs/part","$defs":{
		"b":{"$id":"b","$recursiveAnchor":true,"type":"array","$defs":{"part":{"properties":{"c":{"$recursiveRef":"#"}}}}}}}`
	outermost := `{` + draft2019 + `"$id":"http://example.com/a","$ref":"b#/$defs/part","$defs":{
		"b":{"$id":"b","$recursiveAnchor":true,"type":"array","$defs":{"part":{"$ref":"c#/$defs/part"}}},
		"c":{"$id":"c","$recursiveAnchor":true,"type":"string","$defs":{"part":{"properties":{"c":{"$recursiveRef":"#"}}}}}}}`
	names := `{` + draft2020 + `"$id":"http://example.com/a","$ref":"b","$defs":{"short":{"$dynamicAnchor":"name","maxLength":3},
		"b":{"$id":"b","propertyNames":{"$dynamicRef":"#name"},"$defs":{"any":{"$dynamicAnchor":"name"}}}}}`
	tests := map[string]struct {
		schema, body string
		want         bool
	}{
		"the root of the part":              {entered, `{"c":[]}`, true},
		"the root of the part, refused":     {entered, `{"c":{}}`, false},
		"of two roots the outer one":        {outermost, `{"c":[]}`, true},
		"not the inner one":                 {outermost, `{"c":"x"}`, false},
		"of two anchors the outer, by name": {names, `{"abc":1}`, true},
		"by name, refused":                  {names, `{"abcd":1}`, false},
	}
	for name, tt := range tests {
		if got := accepts(t, compile(t, tt.schema), tt.body); got != tt.want {
			t.Errorf("%s: %s accepts %s: %v, want %v", name, tt.schema, tt.body, got, tt.want)
		}
	}
}

// A vocabulary in the meta-schema, itself a reference, switches formats on.
func TestFormatVocabulary(t *testing.T) {
	meta := `{` + draft2020 + `"$id":"http://example.com/meta","$vocabulary":{
		"https://json-schema.org/draft/2020-12/vocab/core":true,
		"https://json-schema.org/draft/2020-12/vocab/format-assertion":true}}`
	v := compileWith(t, `{"$schema":"http://example.com/meta","format":"date"}`, map[string]string{"http://example.com/meta": meta})
	if accepts(t, v, `"x"`) || !accepts(t, v, `"2026-11-20"`) {
		t.Error("format-assertion does not assert")
	}
}

func TestReferences(t *testing.T) {
	number, text := `{"type":"number"}`, `{"type":"string"}`
	tests := map[string]struct {
		schema     string
		references map[string]string
	}{
		"relative name":           {`{"$ref":"n.json"}`, map[string]string{"n.json": number}},
		"dot slash":               {`{"$ref":"./n.json"}`, map[string]string{"n.json": number}},
		"name with dot slash":     {`{"$ref":"n.json"}`, map[string]string{"./n.json": number}},
		"absolute name":           {`{"$ref":"http://a/n.json#"}`, map[string]string{"http://a/n.json": number}},
		"against the root's $id":  {`{"$id":"http://a/dir/root.json","$ref":"#/definitions/x","definitions":{"x":{"$ref":"n.json"}}}`, map[string]string{"n.json": number}},
		"absolute through $id":    {`{"$id":"http://a/dir/root.json","properties":{},"allOf":[{"$ref":"http://a/dir/n.json"}]}`, map[string]string{"n.json": number}},
		"2020, against $id":       {`{` + draft2020 + `"$id":"http://a/dir/root.json","$ref":"./n.json"}`, map[string]string{"n.json": number}},
		"urn":                     {`{"$ref":"urn:example:n"}`, map[string]string{"urn:example:n": number}},
		"plain word":              {`{"$ref":"number"}`, map[string]string{"number": number, "text": text}},
		"name with a blank":       {`{"$ref":"a%20number"}`, map[string]string{"a number": number}},
		"by the reference's $id":  {`{"$ref":"http://b/x.json"}`, map[string]string{"n": `{"$id":"http://b/x.json","type":"number"}`}},
		"pointer into it":         {`{"$ref":"n.json#/definitions/x"}`, map[string]string{"n.json": `{"definitions":{"x":` + number + `}}`}},
		"transitive":              {`{"$ref":"a.json"}`, map[string]string{"a.json": `{"$ref":"b.json"}`, "b.json": number}},
		"transitive, other $id":   {`{"$ref":"a.json"}`, map[string]string{"a.json": `{"$id":"http://c/d/a.json","allOf":[{"$ref":"b.json"}]}`, "b.json": number}},
		"transitive, nested name": {`{"$ref":"dir/a.json"}`, map[string]string{"dir/a.json": `{"$ref":"b.json"}`, "b.json": number}},
		"back to the root":        {`{"$id":"http://a/root","definitions":{"n":` + number + `},"allOf":[{"$ref":"a.json"}]}`, map[string]string{"a.json": number}},
		"draft-04 id":             {`{"$schema":"http://json-schema.org/draft-04/schema#","id":"http://a/root","allOf":[{"$ref":"http://a/n"}]}`, map[string]string{"n": number}},
		"unusable name unused":    {number, map[string]string{"%zz": text, ":": text}},
		"bridge":                  {`{"$ref":"#/$defs/n","definitions":{"n":` + number + `}}`, nil},
		"bridge, deep, escaped":   {`{"allOf":[{"$ref":"#/$defs/a~1b/not"}],"definitions":{"a/b":{"not":` + number + `}}}`, nil},
		"bridge, 2020":            {`{` + draft2020 + `"$ref":"#/$defs/n","definitions":{"n":{"$id":"http://x/n","type":"number"}}}`, nil},
		"bridge, both":            {`{` + draft2020 + `"$ref":"#/$defs/n","$defs":{"n":` + number + `},"definitions":{"n":` + text + `}}`, nil},
		"bridge in a reference":   {`{"$ref":"n.json"}`, map[string]string{"n.json": `{"$ref":"#/$defs/n","definitions":{"n":` + number + `}}`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v := compileWith(t, tt.schema, tt.references)
			if !accepts(t, v, `1`) || accepts(t, v, `"x"`) {
				t.Errorf("%s with %v does not mean a number", tt.schema, tt.references)
			}
		})
	}
}

// The bridge must not touch what only looks like a $ref.
func TestBridgeLeavesDataAlone(t *testing.T) {
	v := compile(t, `{"const":{"$ref":"#/$defs/n"},"definitions":{"n":{}}}`)
	if !accepts(t, v, `{"$ref":"#/$defs/n"}`) {
		t.Error("the constant was rewritten")
	}
	v = compile(t, `{"properties":{"$ref":{"type":"null"},"const":{"$ref":"#/$defs/n"}},"definitions":{"n":{"type":"number"}}}`)
	if !accepts(t, v, `{"$ref":null,"const":1}`) || accepts(t, v, `{"const":"x"}`) {
		t.Error("members named like keywords")
	}
}
