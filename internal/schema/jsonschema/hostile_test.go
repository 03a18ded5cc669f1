package jsonschema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// Each of these cost a library without bounds seconds or its life. There is
// no clock in the test: one that is not bounded does not end.
func TestHostilePayloads(t *testing.T) {
	tests := map[string]struct {
		schema, body string
		want         bool
	}{
		"exponent and minimum":          {`{"minimum":0}`, `1e400`, true},
		"exponent and enum":             {`{"enum":[1,2,3,4]}`, `1e400`, false},
		"exponent and multipleOf":       {`{"multipleOf":0.001}`, `1e-400`, false},
		"many exponents, integer":       {`{"items":{"type":"integer"}}`, list(20_000, func(int) string { return "1e400" }), true},
		"many exponents, not integer":   {`{"items":{"type":"integer"}}`, list(20_000, func(int) string { return "1e-400" }), false},
		"many exponents, enum":          {`{"items":{"enum":` + list(100, func(i int) string { return fmt.Sprint(i) }) + `}}`, list(150_000, func(int) string { return "1e400" }), false},
		"many exponents, const":         {`{"items":{"anyOf":` + list(50, func(i int) string { return fmt.Sprintf(`{"const":%d}`, i) }) + `}}`, list(1_000, func(int) string { return "1e400" }), false},
		"long digits":                   {`{"type":"integer","minimum":0}`, strings.Repeat("9", 1000), true},
		"depth, recursive schema":       {`{"items":{"$ref":"#"}}`, strings.Repeat("[", 128) + strings.Repeat("]", 128), true},
		"depth, recursive, refused":     {`{"type":"array","items":{"$ref":"#"}}`, strings.Repeat("[", 127) + "1" + strings.Repeat("]", 127), false},
		"unique objects":                {`{"uniqueItems":true}`, list(4000, func(i int) string { return fmt.Sprintf(`{"a":%d}`, i) }), true},
		"unique numbers":                {`{"uniqueItems":true}`, list(20_000, func(i int) string { return fmt.Sprintf("%de400", i+1) }), true},
		"unique brackets":               {`{"uniqueItems":true}`, "[" + strings.Join(brackets(10), ",") + "]", true},
		"unique, nested":                {`{"uniqueItems":true,"items":{"$ref":"#"}}`, strings.Repeat("[", 127) + list(1000, func(i int) string { return fmt.Sprint(i) }) + strings.Repeat("]", 127), true},
		"many violations":               {`{"items":{"type":"null"}}`, list(100_000, func(int) string { return "1" }), false},
		"many violations, propertyName": {`{"items":{"propertyNames":{"maxLength":1}}}`, list(3_000, func(int) string { return `{"ab":1}` }), false},
		"long string":                   {`{"pattern":"^(a+)+$","maxLength":10}`, `"` + strings.Repeat("a", 200_000) + `b"`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for name, v := range engines(t, tt.schema) {
				if got := accepts(t, v, tt.body); got != tt.want {
					t.Errorf("%s accepted: %v, want %v", name, got, tt.want)
				}
			}
		})
	}
}

func list(n int, item func(int) string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = item(i)
	}
	return "[" + strings.Join(items, ",") + "]"
}

// brackets returns all arrays of exactly n nested brackets, which have one
// preorder: 16796 different ones for n = 10.
func brackets(n int) []string {
	forests := [][]string{{""}}
	for size := 1; size <= n; size++ {
		var all []string
		for first := range size {
			for _, head := range forests[first] {
				for _, tail := range forests[size-1-first] {
					tree := "[" + head + "]"
					if tail != "" {
						tree += "," + tail
					}
					all = append(all, tree)
				}
			}
		}
		forests = append(forests, all)
	}
	for i, f := range forests[n] {
		forests[n][i] = "[" + f + "]"
	}
	return forests[n]
}

func TestUniqueItems(t *testing.T) {
	tests := map[string]bool{
		`[1,1.0]`: false, `[1,10e-1]`: false, `[0,-0]`: false, `[0.0,0e5]`: false, `[1,-1]`: true, `[10,1]`: true, `[1e2,100]`: false, `[0.1,0.10]`: false, `[0.01,0.1]`: true,
		`[1,"1"]`: true, `[1,true]`: true, `[0,false]`: true, `[null,false]`: true, `["a","a"]`: false, `["\u0061","a"]`: false,
		`[[],[[]]]`: true, `[[1],[2]]`: true, `[[1,2],[12]]`: true, `[["a","b"],["ab"]]`: true, `[["1:a"],["a"]]`: true, `[{},[]]`: true,
		`[{"a":1,"b":2},{"b":2,"a":1}]`: false, `[{"a":1,"b":2},{"a":2,"b":1}]`: true, `[{"a":{"b":1}},{"a":{"b":1.0}}]`: false, `[{"a":null},{}]`: true,
		`[]`: true, `[1]`: true, `"aa"`: true, `[[[],[]],[[[]]]]`: true,
	}
	for name, v := range engines(t, `{"uniqueItems":true}`) {
		for body, want := range tests {
			if got := accepts(t, v, body); got != want {
				t.Errorf("%s: %s is unique: %v, want %v", name, body, got, want)
			}
		}
	}
	for name, v := range engines(t, `{"properties":{"a":{"anyOf":[{"type":"null"},{"uniqueItems":true}]}}}`) {
		if accepts(t, v, `{"a":[1,1]}`) || !accepts(t, v, `{"a":[1,2]}`) {
			t.Errorf("%s: uniqueItems below anyOf", name)
		}
	}
}

func TestEnumAndConstOfNumbers(t *testing.T) {
	tests := map[string]bool{
		`{"e":1}`: true, `{"e":1.0}`: true, `{"e":5e-1}`: true, `{"e":"1"}`: true, `{"e":null}`: true, `{"e":[1.0,"x"]}`: true, `{"e":{"a":1e2}}`: true,
		`{"e":2}`: false, `{"e":-1}`: false, `{"e":true}`: false, `{"e":["x",1]}`: false, `{"e":{"a":100,"b":1}}`: false, `{"e":{}}`: false,
		`{"c":{"n":[100]}}`: true, `{"c":{"n":[100.1]}}`: false, `{"c":{"n":["100"]}}`: false, `{"c":[100]}`: false, `{"c":100}`: false,
	}
	for name, v := range engines(t, `{"properties":{"e":{"enum":[1,0.5,[1,"x"],{"a":100},"1",null]},"c":{"const":{"n":[1e2]}}}}`) {
		for body, want := range tests {
			if got := accepts(t, v, body); got != want {
				t.Errorf("%s: %s accepted: %v, want %v", name, body, got, want)
			}
		}
	}
	for name, v := range engines(t, `{"enum":[1,2]}`) {
		if accepts(t, v, `[1]`) || accepts(t, v, `{}`) || !accepts(t, v, `2e0`) {
			t.Errorf("%s: an enum of scalars", name)
		}
	}
}

// engines are both engines of a schema.
func engines(t *testing.T, text string) map[string]schema.Validator {
	t.Helper()
	v := compile(t, text)
	return map[string]schema.Validator{"fast path": v, "judge": jsonschema.JudgeOnly(v)}
}

// A payload whose scanner had laxer limits must not take the process down:
// the library panics on this one.
func TestPanicBecomesAnError(t *testing.T) {
	fast, err := jsonschema.Compile(definition(`{"minimum":0}`, nil))
	if err != nil {
		t.Fatal(err)
	}
	v := jsonschema.JudgeOnly(fast)
	doc := new(jsontape.Doc)
	if err := doc.Parse([]byte("1e9999999"), jsontape.Limits{Exponent: 1e9}); err != nil {
		t.Fatal(err)
	}
	if value, violations, err := v.Check(doc, nil); err == nil || value != nil || violations != nil {
		t.Errorf("Check = %q, %v, %v; want only an error", value, violations, err)
	}
	if value, violations, err := fast.Check(doc, nil); err != nil || violations != nil || value == nil {
		t.Errorf("the fast path: %q, %v, %v; want it valid", value, violations, err)
	}
	for _, v := range []schema.Validator{v, fast} {
		if _, _, err := v.Check(new(jsontape.Doc), nil); err == nil {
			t.Error("a document that was never parsed has a verdict")
		}
		if !accepts(t, v, "1") {
			t.Error("the validator is not usable afterwards")
		}
	}
}
