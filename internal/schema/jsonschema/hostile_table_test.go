package jsonschema_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// The documented answers to a payload.
const (
	isValid     = "valid"
	isInvalid   = "schema_mismatch"
	isMalformed = "malformed"
	isComplex   = "too_complex"
)

// hostileCase is a payload that some parser or validator takes too long over,
// dies of, or understands in its own way.
type hostileCase struct{ name, schema, body, want string }

func hostileCases() []hostileCase {
	rep := strings.Repeat
	tree := `{"definitions":{"n":{"properties":{"a":{"$ref":"#/definitions/n"}},"items":{"$ref":"#/definitions/n"}}},"$ref":"#/definitions/n"}`
	forked := `{"anyOf":[{"properties":{"a":{"$ref":"#/definitions/n"}},"required":["x"]},{"properties":{"a":{"$ref":"#/definitions/n"}},"required":["y"]}],"type":"object"}`
	fork := `{"definitions":{"n":{"anyOf":[{"type":"null"},` + forked + `]}},"$ref":"#/definitions/n"}`
	return []hostileCase{
		// numbers
		{"exponent of seven digits, minimum", `{"minimum":0}`, `1e9999999`, isMalformed},
		{"exponent of six digits, minimum", `{"minimum":0}`, `1e999999`, isMalformed},
		{"exponent of six digits, enum", `{"enum":[1,2,3,4]}`, `1e999999`, isMalformed},
		{"400 exponents of six digits", `{"items":{"type":"integer"}}`, list(400, func(int) string { return "1e999999" }), isMalformed},
		{"largest exponent, minimum", `{"minimum":0}`, `1e400`, isValid},
		{"largest exponent, multipleOf", `{"multipleOf":0.01}`, `1e-400`, isInvalid},
		{"largest exponents, integers", `{"items":{"type":"integer"}}`, list(4000, func(int) string { return "1e400" }), isValid},
		{"1,000 digits", `{"multipleOf":7,"minimum":0}`, rep("7", 1000), isValid},
		{"many long numbers in an enum", `{"items":{"enum":[1,2]}}`, list(60, func(int) string { return rep("9", 1000) }), isInvalid},
		{"2^53 and one more", `{"maximum":9007199254740992}`, `9007199254740993`, isInvalid},
		{"19.99 in cents", `{"multipleOf":0.01}`, `19.99`, isValid},
		// nesting
		{"100,000 brackets, open", `true`, rep("[", 100_000), isMalformed},
		{"100,000 brackets, closed", `true`, rep("[", 100_000) + rep("]", 100_000), isMalformed},
		{"a million objects", `true`, rep(`{"a":`, 190_000), isMalformed},
		{"recursive schema, depth 9,000", tree, rep("[", 9000) + rep("]", 9000), isMalformed},
		{"recursive schema, depth 128", tree, rep("[", 128) + rep("]", 128), isValid},
		{"recursive schema, wide", tree, list(10_000, func(int) string { return `{"a":[]}` }), isValid},
		// combinations
		{"forked recursion, shallow", fork, rep(`{"a":`, 8) + "null" + rep("}", 8), isInvalid},
		{"forked recursion, deep", fork, rep(`{"a":`, 100) + "null" + rep("}", 100), isComplex},
		{"forked recursion, valid", fork, rep(`{"x":1,"a":`, 60) + "null" + rep("}", 60), isValid},
		{"30 doublings", ladder(30), `"x"`, isComplex},
		{"12 doublings", ladder(12), `"x"`, isValid},
		{"not, forked", `{"definitions":{"n":{"not":` + forked + `}},"$ref":"#/definitions/n"}`, rep(`{"a":`, 60) + "1" + rep("}", 60), isComplex},
		{"contains beside items, nested", `{"items":{"$ref":"#"},"contains":{"$ref":"#"}}`, rep("[", 100) + "1" + rep("]", 100), isComplex},
		{"two patterns, nested", `{"patternProperties":{"^a":{"$ref":"#"},"a$":{"$ref":"#"}}}`, rep(`{"a":`, 100) + "1" + rep("}", 100), isComplex},
		// collections
		{"4,000 unique objects", `{"uniqueItems":true}`, list(4000, func(i int) string { return fmt.Sprintf(`{"a":%d}`, i) }), isValid},
		{"4,000 objects, the last one twice", `{"uniqueItems":true}`, list(4000, func(i int) string { return fmt.Sprintf(`{"a":%d}`, min(i, 3998)) }), isInvalid},
		{"unique brackets", `{"uniqueItems":true}`, "[" + strings.Join(brackets(8), ",") + "]", isValid},
		{"names of one hash", `{"additionalProperties":{"type":"integer"}}`, `{` + sameHash(4000) + `}`, isValid},
		{"enum of 2,000 against 2,000", `{"items":{"enum":` + list(2000, func(i int) string { return fmt.Sprint(i) }) + `}}`, list(2000, func(i int) string { return fmt.Sprint(1999 - i) }), isValid},
		{"2,000 faults", `{"items":{"type":"null"}}`, list(2000, func(int) string { return "1" }), isInvalid},
		{"pattern with nested stars", `{"pattern":"^(a+)+$"}`, `"` + rep("a", 50_000) + `!"`, isInvalid},
		{"pattern with nested choices", `{"pattern":"^(a|aa)+$"}`, `"` + rep("a", 50_000) + `!"`, isInvalid},
		{"unevaluated, wide", `{` + draft2020 + `"allOf":[{"patternProperties":{"^n":true}}],"unevaluatedProperties":false}`, `{` + sameHash(2000) + `}`, isInvalid},
		// texts that parsers understand differently
		{"duplicate name", `true`, `{"a":1,"a":2}`, isMalformed},
		{"duplicate name by an escape", `true`, `{"a":1,"\u0061":2}`, isMalformed},
		{"names that differ in case", `true`, `{"a":1,"A":2}`, isValid},
		{"invalid UTF-8", `true`, "\"\xff\"", isMalformed},
		{"overlong UTF-8", `true`, "\"\xc0\x80\"", isMalformed},
		{"CESU-8", `true`, "\"\xed\xa0\xbd\xed\xb8\x80\"", isMalformed},
		{"lone surrogate", `true`, `"\ud800"`, isMalformed},
		{"reversed surrogates", `true`, `"\ude00\ud83d"`, isMalformed},
		{"NaN", `true`, `NaN`, isMalformed},
		{"Infinity", `true`, `-Infinity`, isMalformed},
		{"data after the value", `true`, `{"a":1} x`, isMalformed},
		{"two values", `true`, `{} {}`, isMalformed},
		{"leading zero", `true`, `01`, isMalformed},
		{"plus sign", `true`, `+1`, isMalformed},
		{"point without digits", `true`, `1.`, isMalformed},
		{"raw tab", `true`, "\"\t\"", isMalformed},
		{"raw NUL", `true`, "\"\x00\"", isMalformed},
		{"30 digits", `{"const":123456789012345678901234567890}`, `123456789012345678901234567890`, isValid},
		{"30 digits, one off", `{"const":123456789012345678901234567890}`, `123456789012345678901234567891`, isInvalid},
		{"byte order mark", `true`, "\xEF\xBB\xBF{}", isMalformed},
		{"UTF-16", `true`, "{\x00}\x00", isMalformed},
		{"empty", `true`, ``, isMalformed},
		{"blanks", `true`, " \n", isMalformed},
	}
}

// sameHash are members whose names the scanner gives one hash.
func sameHash(count int) string {
	var b strings.Builder
	for i := range count {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"begin---%08dmiddle--........end-----":%d`, i, i)
	}
	return b.String()
}

// answer is what the relay would say of a payload.
func answer(t testing.TB, v schema.Validator, doc *jsontape.Doc, body []byte) string {
	t.Helper()
	if doc.Parse(body, jsontape.Limits{}) != nil {
		return isMalformed
	}
	_, violations, err := v.Check(doc, nil)
	switch {
	case errors.Is(err, schema.ErrTooComplex):
		return isComplex
	case err != nil:
		t.Fatal(err)
	case violations != nil:
		return isInvalid
	}
	return isValid
}

// Every case gets its documented answer. That it is quick is counted in
// steps; the clock only catches what is not counted, and is generous.
func TestHostileTable(t *testing.T) {
	for _, c := range hostileCases() {
		t.Run(c.name, func(t *testing.T) {
			v, doc := compile(t, c.schema), new(jsontape.Doc)
			start := time.Now()
			if got := answer(t, v, doc, []byte(c.body)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
			if len(doc.Nodes()) == 0 {
				return
			}
			steps, budget, err := jsonschema.Steps(v, doc)
			if steps > 250_000 || steps > budget || (err != nil) != (c.want == isComplex) {
				t.Errorf("%d steps of %d: %v", steps, budget, err)
			}
		})
	}
}

// BenchmarkHostile reports the least time of each case in milliseconds, and
// the worst of all.
func BenchmarkHostile(b *testing.B) {
	worst := 0.0
	for _, c := range hostileCases() {
		v, doc := compile(b, c.schema), new(jsontape.Doc)
		ms := fastestOf(5, func() { answer(b, v, doc, []byte(c.body)) })[0] / 1e6
		worst = math.Max(worst, ms)
		if ms > 1 {
			b.Logf("%s: %.2f ms", c.name, ms)
		}
	}
	for b.Loop() {
	}
	b.ReportMetric(worst, "worst-ms")
}
