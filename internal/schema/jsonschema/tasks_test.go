package jsonschema_test

import "testing"

// Keywords about one kind hold beside each other: what a program decides at
// load, for each kind, leaves none of them out.
func TestKeywordsBesideEachOther(t *testing.T) {
	tests := []struct{ schema, valid, invalid string }{ // valid may be absent
		{`{"format":"email","maxLength":9}`, `"a@bb.org"`, `"aaa@bb.org"`},
		{`{"format":"email","minLength":9}`, `"aaa@bb.org"`, `"a@bb.org"`},
		{`{"format":"email","maxLength":9}`, `"\u0061@bb.org"`, `"\u0061aa@bb.org"`},
		{`{"format":"email"}`, `"\u0061@bb.org"`, `"\u0061"`},
		{`{"format":"email","pattern":"^a"}`, `"a@bb.org"`, `"b@bb.org"`},
		{`{"format":"email","pattern":"^a"}`, `"a@bb.org"`, `"a"`},
		{`{"pattern":"^a","maxLength":3}`, `"abc"`, `"abcd"`},
		{`{"enum":["abc","abcd"],"maxLength":3}`, `"abc"`, `"abcd"`},
		{`{"enum":["abc","x"],"pattern":"^a"}`, `"abc"`, `"x"`},
		{`{"const":"abc","enum":["abc","x"]}`, `"abc"`, `"x"`},
		{`{"const":"x","enum":["abc"]}`, ``, `"x"`},
		{`{"type":"integer","minimum":2}`, `2.0`, `2.5`},
		{`{"type":"integer","minimum":2}`, `2`, `1`},
		{`{"type":"integer","maximum":1e30}`, `1e30`, `1.00000000000000000001e30`},
		{`{"type":"integer"}`, `10e-1`, `1.5`},
		{`{"minimum":-1}`, `-1.0`, `-1.00000000000000000001`},
		{`{"exclusiveMinimum":-1}`, `-0.99`, `-1.0`},
		{`{"maximum":1.5}`, `1.50`, `1.51`},
		{`{"multipleOf":2,"maximum":4}`, `4`, `6`},
		{`{"multipleOf":2,"maximum":4}`, `4.0`, `3`},
		{`{"enum":[1,2],"maximum":1}`, `1`, `2`},
		{`{"properties":{"a":{"type":"null"}},"enum":[{"a":null},{"a":1}]}`, `{"a":null}`, `{"a":1}`},
		{`{"items":{"type":"null"},"enum":[[null],[1]]}`, `[null]`, `[1]`},
		{`{"properties":{"a":{"type":"null"}},"anyOf":[{"required":["b"]}]}`, `{"b":1}`, `{"a":null}`},
		{`{"items":{"type":"null"},"allOf":[{"maxItems":1}]}`, `[null]`, `[null,null]`},
		{`{"minLength":2,"not":{"const":"abc"}}`, `"ab"`, `"abc"`},
		{`{"type":["string","null"],"maxLength":2}`, `null`, `1`},
		{`{"required":["a"],"additionalProperties":{"type":"null"}}`, `{"a":null}`, `{"a":1}`},
		{`{"required":["a"],"additionalProperties":false}`, `null`, `{"a":1}`},
	}
	for _, tt := range tests {
		v := compile(t, tt.schema)
		if tt.valid != "" && !accepts(t, v, tt.valid) {
			t.Errorf("%s refuses %s", tt.schema, tt.valid)
		}
		if accepts(t, v, tt.invalid) {
			t.Errorf("%s takes %s", tt.schema, tt.invalid)
		}
	}
}
