package jsonschema_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cxrelay/cxrelay/internal/schema"
)

func TestViolations(t *testing.T) {
	type vs = [][4]string
	long := strings.Repeat("é", 300)
	tests := map[string]struct {
		schema, body string
		want         vs
	}{
		"type":             {`{"properties":{"agentId":{"type":"integer"}}}`, `{"agentId":"x"}`, vs{{"/agentId", "type", "integer", `string "x"`}}},
		"type, several":    {`{"type":["string","number"]}`, `null`, vs{{"", "type", "number or string", "null"}}},
		"type, object":     {`{"type":"string"}`, `{"a":1}`, vs{{"", "type", "string", "object with 1 member"}}},
		"type, array":      {`{"type":"string"}`, `[1,2]`, vs{{"", "type", "string", "array of 2 items"}}},
		"number literal":   {`{"type":"string"}`, `900719925474010002`, vs{{"", "type", "string", "number 900719925474010002"}}},
		"number, 1e2":      {`{"minimum":1000}`, `1e2`, vs{{"", "minimum", ">= 1000", "number 1e2"}}},
		"escaped pointer":  {`{"properties":{"a/b~c":{"type":"null"}}}`, `{"a/b~c":true}`, vs{{"/a~1b~0c", "type", "null", "boolean true"}}},
		"escaped name":     {`{"properties":{"ä":{"type":"null"}}}`, `{"\u00e4":"\u0041\n"}`, vs{{"/ä", "type", "null", `string "A\n"`}}},
		"index":            {`{"items":{"type":"null"}}`, `[null,1]`, vs{{"/1", "type", "null", "number 1"}}},
		"required":         {`{"properties":{"p":{"required":["b","a"]}}}`, `{"p":{}}`, vs{{"/p", "required", "a", "absent"}, {"/p", "required", "b", "absent"}}},
		"const":            {`{"const":{"a":"<"}}`, `1`, vs{{"", "const", `{"a":"<"}`, "number 1"}}},
		"enum":             {`{"enum":["a",1]}`, `"b"`, vs{{"", "enum", `one of "a", 1`, `string "b"`}}},
		"enum of one":      {`{"enum":["a"]}`, `"b"`, vs{{"", "enum", `"a"`, `string "b"`}}},
		"format":           {`{"format":"date-time"}`, `"2026-11-20"`, vs{{"", "format", "date-time", `string "2026-11-20"`}}},
		"pattern":          {`{"pattern":"^a+$"}`, `"b"`, vs{{"", "pattern", "^a+$", `string "b"`}}},
		"minLength":        {`{"minLength":2}`, `"é"`, vs{{"", "minLength", ">= 2 characters", "1 character"}}},
		"maxLength":        {`{"maxLength":1}`, `"éé"`, vs{{"", "maxLength", "<= 1 character", "2 characters"}}},
		"minItems":         {`{"minItems":1}`, `[]`, vs{{"", "minItems", ">= 1 item", "0 items"}}},
		"maxItems":         {`{"maxItems":1}`, `[1,2]`, vs{{"", "maxItems", "<= 1 item", "2 items"}}},
		"minProperties":    {`{"minProperties":1}`, `{}`, vs{{"", "minProperties", ">= 1 member", "0 members"}}},
		"maxProperties":    {`{"maxProperties":0}`, `{"a":1}`, vs{{"", "maxProperties", "<= 0 members", "1 member"}}},
		"maximum":          {`{"maximum":9007199254740992}`, `9007199254740993`, vs{{"", "maximum", "<= 9007199254740992", "number 9007199254740993"}}},
		"minimum, decimal": {`{"minimum":0.25}`, `0.2`, vs{{"", "minimum", ">= 0.25", "number 0.2"}}},
		"exclusiveMinimum": {`{"exclusiveMinimum":0}`, `0`, vs{{"", "exclusiveMinimum", "> 0", "number 0"}}},
		"exclusiveMaximum": {`{"exclusiveMaximum":0}`, `-0`, vs{{"", "exclusiveMaximum", "< 0", "number -0"}}},
		"multipleOf":       {`{"multipleOf":0.01}`, `19.999`, vs{{"", "multipleOf", "a multiple of 0.01", "number 19.999"}}},
		"additional": {`{"properties":{"a":{}},"additionalProperties":false}`, `{"a":1,"c/d":"x","b":[]}`, vs{
			{"/b", "additionalProperties", "no such member", "array of 0 items"}, {"/c~1d", "additionalProperties", "no such member", `string "x"`}}},
		"additionalItems":   {`{"items":[{}],"additionalItems":false}`, `[1,2,3]`, vs{{"", "additionalItems", "<= 1 item", "array of 3 items"}}},
		"propertyNames":     {`{"properties":{"o":{"propertyNames":{"maxLength":1}}}}`, `{"o":{"ab":1}}`, vs{{"/o", "propertyNames", "maxLength <= 1 character", `member "ab"`}}},
		"patternProperties": {`{"patternProperties":{"^x":{"type":"null"}}}`, `{"x1":1,"y":1}`, vs{{"/x1", "type", "null", "number 1"}}},
		"dependencies":      {`{"dependencies":{"a":["b"]}}`, `{"a":1}`, vs{{"", "dependencies", "b (needed by a)", "absent"}}},
		"dependentRequired": {`{` + draft2020 + `"dependentRequired":{"a":["b"]}}`, `{"a":1}`, vs{{"", "dependentRequired", "b (needed by a)", "absent"}}},
		"uniqueItems":       {`{"uniqueItems":true}`, `[1,{"a":1},{"a":1.0}]`, vs{{"", "uniqueItems", "unique items", "items 1 and 2 are equal"}}},
		"contains":          {`{"contains":{"type":"null"}}`, `[1]`, vs{{"", "contains", "an item that matches", "array of 1 item"}}},
		"minContains":       {`{` + draft2020 + `"contains":{"type":"null"},"minContains":2}`, `[null]`, vs{{"", "minContains", ">= 2 matching items", "1 matching item"}}},
		"maxContains":       {`{` + draft2020 + `"contains":{"type":"null"},"maxContains":1}`, `[null,null]`, vs{{"", "maxContains", "<= 1 matching item", "2 matching items"}}},
		"not":               {`{"not":{"type":"null"}}`, `null`, vs{{"", "not", "no match", "null"}}},
		"false":             {`false`, `1`, vs{{"", "false", "no value", "number 1"}}},
		"false property":    {`{"properties":{"items":false}}`, `{"items":1}`, vs{{"/items", "properties", "no value", "number 1"}}},
		"unevaluated":       {`{` + draft2020 + `"properties":{"a":true},"unevaluatedProperties":false}`, `{"a":1,"b":1}`, vs{{"/b", "unevaluatedProperties", "no value", "number 1"}}},
		"if then":           {`{"if":{"type":"number"},"then":{"minimum":1}}`, `0`, vs{{"", "minimum", ">= 1", "number 0"}}},
		"ref":               {`{"properties":{"a":{"$ref":"#/definitions/x"}},"definitions":{"x":{"type":"null"}}}`, `{"a":1}`, vs{{"/a", "type", "null", "number 1"}}},
		"said once":         {`{"allOf":[{"type":"null"},{"type":"null"},{"minimum":3}]}`, `1`, vs{{"", "minimum", ">= 3", "number 1"}, {"", "type", "null", "number 1"}}},
		"sorted":            {`{"properties":{"b":{"type":"null"},"a":{"type":"null"}},"required":["z"]}`, `{"b":1,"a":1}`, vs{{"", "required", "z", "absent"}, {"/a", "type", "null", "number 1"}, {"/b", "type", "null", "number 1"}}},
		"cut":               {`{"type":"null"}`, `"` + long + `"`, vs{{"", "type", "null", `string "` + long[:2*119] + "…"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := rows(check(t, compile(t, tt.schema), tt.body))
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("violations of %s by %.80s\n got %q\nwant %q", tt.schema, tt.body, got, tt.want)
			}
		})
	}
}

// rows are violations as pointer, keyword, expected, actual.
func rows(violations []schema.Violation) [][4]string {
	var out [][4]string
	for _, v := range violations {
		out = append(out, [4]string{v.Pointer, v.Keyword, v.Expected, v.Actual})
	}
	return out
}

func TestBranchChoice(t *testing.T) {
	type vs = [][4]string
	kinds := `{"oneOf":[
		{"properties":{"kind":{"const":"call"},"version":{"const":1},"seconds":{"type":"integer"}},"required":["kind","seconds"]},
		{"properties":{"kind":{"enum":["chat"]},"version":{"const":1},"lines":{"type":"integer"}},"required":["kind","lines"]}]}`
	tests := map[string]struct {
		schema, body string
		want         vs
	}{
		"by discriminator":             {kinds, `{"kind":"call","seconds":"x"}`, vs{{"/seconds", "type", "integer", `string "x"`}}},
		"by discriminator, more wrong": {kinds, `{"kind":"chat","version":2,"lines":"x"}`, vs{{"/lines", "type", "integer", `string "x"`}, {"/version", "const", "1", "number 2"}}},
		"unknown discriminator":        {kinds, `{"kind":"mail","seconds":1}`, vs{{"/kind", "oneOf", `one of "call", "chat"`, `string "mail"`}}},
		"only types":                   {`{"anyOf":[{"type":"null"},{"type":"string"}]}`, `5`, vs{{"", "anyOf", "null or string", "number 5"}}},
		"type before null":             {`{"anyOf":[{"type":"null"},{"type":"object","required":["a","b"]}]}`, `{}`, vs{{"", "required", "a", "absent"}, {"", "required", "b", "absent"}}},
		"fewest":                       {`{"anyOf":[{"required":["a","b"]},{"required":["c"]}]}`, `{}`, vs{{"", "required", "c", "absent"}}},
		"deepest":                      {`{"anyOf":[{"required":["a"]},{"properties":{"p":{"properties":{"q":{"type":"null"}}}}}]}`, `{"p":{"q":1}}`, vs{{"/p/q", "type", "null", "number 1"}}},
		"first of equals":              {`{"anyOf":[{"required":["b"]},{"required":["a"]}]}`, `{}`, vs{{"", "required", "b", "absent"}}},
		"two match":                    {`{"oneOf":[{"type":"number"},{"type":"null"},{"minimum":0}]}`, `1`, vs{{"", "oneOf", "exactly one branch", "branches 0 and 2 match"}}},
		"nested":                       {`{"properties":{"p":` + kinds + `}}`, `{"p":{"kind":"call","seconds":null}}`, vs{{"/p/seconds", "type", "integer", "null"}}},
		"through refs":                 {`{"anyOf":[{"$ref":"#/definitions/a"},{"$ref":"#/definitions/b"}],"definitions":{"a":{"const":1},"b":{"const":2}}}`, `3`, vs{{"", "anyOf", "one of 1, 2", "number 3"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := rows(check(t, compile(t, tt.schema), tt.body))
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("violations by %s\n got %q\nwant %q", tt.body, got, tt.want)
			}
		})
	}
}

// The library's own order changes from run to run; ours must not.
func TestViolationsAreStableAndBounded(t *testing.T) {
	var members []string
	for i := range 300 {
		members = append(members, strconv.Quote("m"+strconv.Itoa(i))+`:"`+strings.Repeat("é", i)+`"`)
	}
	body := "{" + strings.Join(members, ",") + "}"
	v := compile(t, `{"additionalProperties":{"allOf":[{"type":"null"},{"enum":[1,2]},{"pattern":"^$","maxLength":1}]}}`)
	first := check(t, v, body)
	if len(first) != 20 {
		t.Fatalf("%d violations, want 20", len(first))
	}
	for _, x := range first {
		for _, text := range []string{x.Expected, x.Actual} {
			if n := utf8.RuneCountInString(text); n > 128 || !utf8.ValidString(text) {
				t.Errorf("%d characters, valid UTF-8 %v: %q", n, utf8.ValidString(text), text)
			}
		}
	}
	for range 10 {
		if again := check(t, v, body); !reflect.DeepEqual(first, again) {
			t.Fatalf("order changed:\n%q\n%q", first, again)
		}
	}
}

// Violations outlive the payload and the builder that the next check reuses.
func TestViolationsKeepNothingOfTheBody(t *testing.T) {
	v := compile(t, `{"additionalProperties":{"type":"integer"}}`)
	raw := []byte(`{"name":"value"}`)
	doc := parse(t, string(raw))
	_, got, err := v.Check(doc, nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(doc.Raw())
	check(t, v, `{"other":1}`)
	want := []schema.Violation{{Pointer: "/name", Keyword: "type", Expected: "integer", Actual: `string "value"`}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The library gives propertyNames a location that it overwrites later.
func TestPropertyNamesLocation(t *testing.T) {
	v := compile(t, `{"additionalProperties":{"additionalProperties":{"propertyNames":{"pattern":"^ok"}}}}`)
	body := `{"a":{"b":{"bad":1}},"c":{"d":{"ok":1}},"e":{"f":{"ok":1},"g":{"ok":1}}}`
	for range 20 {
		got := check(t, v, body)
		if len(got) != 1 || got[0].Pointer != "/a/b" {
			t.Fatalf("got %q, want one violation at /a/b", got)
		}
	}
}

func TestChecksShareAValidator(t *testing.T) {
	v := compile(t, `{"properties":{"n":{"type":"integer"}},"required":["n"]}`)
	for i := range 8 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			for n := range 200 {
				if !accepts(t, v, `{"n":`+strconv.Itoa(n)+`,"list":[{"x":[]},"\u0041"]}`) {
					t.Error("valid body refused")
				}
				if accepts(t, v, `{"n":"`+strconv.Itoa(n)+`"}`) {
					t.Error("invalid body accepted")
				}
			}
		})
	}
}
