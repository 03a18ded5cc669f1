package jsonschema_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// Work that grows with the bytes of a value is counted by its bytes: else a
// schema that may look at one long value 100,000 times takes minutes within
// its budget.
func TestLongTextIsCounted(t *testing.T) {
	const size = 32_000
	long, digits := strings.Repeat("x", size), strings.Repeat("7", 960)
	wide := `{` + strings.TrimSuffix(strings.Repeat(`"%d":1,`, 4096), ",") + `}`
	numbers := make([]any, 4096)
	for i := range numbers {
		numbers[i] = i * 4095 % 4096
	}
	tests := map[string]struct {
		schema, body string
		least, most  int
	}{
		"string not in an enum":     {`{"enum":["a","b"]}`, `"` + long + `"`, 0, 10},
		"escaped, not in an enum":   {`{"enum":["a","b"]}`, `"\u0061` + long + `"`, size / 32, 4 * size / 32},
		"array in an enum":          {`{"enum":[["b"]]}`, `["` + long + `"]`, size / 32, 4 * size / 32},
		"escaped name":              {`{"properties":{"a":true}}`, `{"\u0061` + long + `":1}`, size / 32, 4 * size / 32},
		"escaped name, one pattern": {`{"patternProperties":{"^b":true}}`, `{"\u0061` + long + `":1}`, 2 * size / 32, 6 * size / 32},
		"unique strings":            {`{"uniqueItems":true}`, `["` + long + `",1]`, size / 32, 4 * size / 32},
		"bound of a long number":    {`{"minimum":` + digits + `}`, digits, 960 / 32, 100},
		"divisor of a long number":  {`{"multipleOf":7}`, digits, 960 / 32, 100},
		"const of a long number":    {`{"const":` + digits + `}`, digits, 960 / 32, 100},
		"sorted names":              {`{"const":{"a":1}}`, fmt.Sprintf(wide, numbers...), 4096 * 12, 4096 * 30},
	}
	for name, tt := range tests {
		v := compile(t, tt.schema)
		steps, _, err := jsonschema.Steps(v, parse(t, tt.body))
		if err != nil || steps < tt.least || steps > tt.most {
			t.Errorf("%s: %d steps (%v), want %d to %d", name, steps, err, tt.least, tt.most)
		}
	}
}

// The budget grows with the text, so that a schema without recursion is not
// stopped by one long string.
func TestBudgetCountsText(t *testing.T) {
	patterns := make([]string, 20)
	for i := range patterns {
		patterns[i] = fmt.Sprintf(`{"pattern":"^x+[^%d]*$"}`, i)
	}
	v := compile(t, `{"allOf":[`+strings.Join(patterns, ",")+`]}`)
	if !accepts(t, v, `"`+strings.Repeat("x", 1<<20)+`"`) {
		t.Error("refused")
	}
}

// A name as long as a payload does not come back once for each fault below it.
func TestLongNamesAreCut(t *testing.T) {
	name := strings.Repeat("é/", 100_000)
	members := strings.TrimPrefix(strings.Repeat(`,"%d":1`, 1000), ",")
	numbers := make([]any, 1000)
	for i := range numbers {
		numbers[i] = i
	}
	tests := map[string]struct{ schema, body string }{
		"items":          {`{"additionalProperties":{"items":{"type":"null"}}}`, `{"` + name + `":` + list(1000, func(int) string { return "1" }) + `}`},
		"members":        {`{"additionalProperties":{"additionalProperties":false}}`, `{"` + name + `":{` + fmt.Sprintf(members, numbers...) + `}}`},
		"the name":       {`{"additionalProperties":false}`, `{"` + name + `":1}`},
		"a second name":  {`{"additionalProperties":{"additionalProperties":false}}`, `{"` + name + `":{"` + name + `":1}}`},
		"property names": {`{"additionalProperties":{"propertyNames":{"maxLength":1}}}`, `{"` + name + `":{"` + name + `":1}}`},
	}
	for what, tt := range tests {
		for engine, v := range engines(t, tt.schema) {
			violations, used := checkAllocating(t, v, tt.body)
			if len(violations) == 0 || used > 24<<20 {
				t.Errorf("%s, %s: %d violations took %d bytes", what, engine, len(violations), used)
			}
			lawful(t, violations)
		}
	}
}

// checkAllocating is check with the bytes that it allocated in all.
func checkAllocating(t *testing.T, v schema.Validator, body string) (violations []schema.Violation, used uint64) {
	t.Helper()
	doc := parse(t, body)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, violations, err := v.Check(doc, nil)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	return violations, after.TotalAlloc - before.TotalAlloc
}

// An explanation remembers places so as not to explain them twice, but not
// every place of a long payload.
func TestExplanationIsOfBoundedMemory(t *testing.T) {
	branches := strings.Repeat(`{"anyOf":[{"type":"integer"},{"type":"string"}]},`, 9)
	v := compile(t, `{"items":{"allOf":[`+branches+`{"anyOf":[{"const":0},{"const":2}]}]}}`)
	const items = 50_000
	body := list(items, func(i int) string { return fmt.Sprint(i / (items - 1)) })
	if violations, used := checkAllocating(t, v, body); len(violations) != 1 || used > 16<<20 {
		t.Errorf("%q took %d bytes", violations, used)
	}
}
