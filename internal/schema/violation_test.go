package schema_test

import (
	"testing"

	"github.com/cxrelay/cxrelay/internal/schema"
)

func TestViolationReads(t *testing.T) {
	for _, tt := range []struct {
		v    schema.Violation
		want string
	}{
		{schema.Violation{Pointer: "/agentId", Keyword: "type", Expected: "integer", Actual: `string "x"`}, `/agentId: expected integer, got string "x"`},
		{schema.Violation{Pointer: "/n", Keyword: "minimum", Expected: ">= 1", Actual: "number 0"}, "/n: expected >= 1, got number 0"},
		{schema.Violation{Keyword: "required", Expected: "actionType", Actual: "absent"}, "(the whole): actionType is missing"},
		{schema.Violation{Pointer: "/p", Keyword: "dependencies", Expected: "b (needed by a)", Actual: "absent"}, "/p: b (needed by a) is missing"},
		{schema.Violation{Pointer: "/p", Keyword: "pattern", Expected: "^a+$", Actual: `string "b"`}, `/p: expected pattern ^a+$, got string "b"`},
		{schema.Violation{Pointer: "/p", Keyword: "format", Expected: "date-time", Actual: `string ""`}, `/p: expected format date-time, got string ""`},
		{schema.Violation{Pointer: "/l", Keyword: "uniqueItems", Expected: "unique items", Actual: "items 1 and 2 are equal"}, "/l: expected unique items, but items 1 and 2 are equal"},
		{schema.Violation{Pointer: "/o", Keyword: "oneOf", Expected: "exactly one branch", Actual: "branches 0 and 1 match"}, "/o: expected exactly one branch, but branches 0 and 1 match"},
		{schema.Violation{Pointer: "/o", Keyword: "oneOf", Expected: "one branch", Actual: "null"}, "/o: expected one branch, got null"},
		{schema.Violation{Pointer: "/x", Keyword: "additionalProperties", Expected: "no such member", Actual: "null"}, "/x: not expected, got null"},
		{schema.Violation{Keyword: "validate", Expected: "what the schema registry takes as valid", Actual: "no agent"}, "(the whole): expected what the schema registry takes as valid, got no agent"},
	} {
		if got := tt.v.String(); got != tt.want {
			t.Errorf("%+v reads %q, want %q", tt.v, got, tt.want)
		}
	}
}
