package jsonschema_test

import (
	"cmp"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// compareEngines generates a schema and payloads from a seed. Law: the fast
// path, the judge and the library itself give one verdict, and the fast path
// and the library tell the same violations.
func compareEngines(t *testing.T, seed uint64) (compiled bool, valid, invalid int) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), draft: []int{7, 2019, 2020}[seed%3]}
	text := g.encode(g.schema())
	def := definition(text, nil)
	v, err := jsonschema.Compile(def)
	if err != nil {
		return false, 0, 0 // a reference in a circle, or the like
	}
	if name, declined := v.(schema.Described).Engine(); name != "fast" {
		t.Fatalf("seed %d: %s declines %s", seed, text, declined)
	}
	library, err := jsonschema.Library(def)
	if err != nil {
		t.Fatal(err)
	}
	judge := jsonschema.JudgeOnly(v)
	if judge == nil { // recursion without a bound, but these payloads are shallow
		judge = library
	}
	for range 12 {
		body := g.encode(g.value(3))
		if _, _, err := judge.Check(parse(t, body), nil); err != nil {
			continue // a dynamic reference came back to its start
		}
		got, want, plain := check(t, v, body), check(t, judge, body), check(t, library, body)
		if (got == nil) != (want == nil) || (got == nil) != (plain == nil) {
			t.Fatalf("seed %d: schema %s\nbody %s\nfast    %q\njudge   %q\nlibrary %q", seed, text, body, got, want, plain)
		}
		if got == nil {
			valid++
			continue
		}
		invalid++
		lawful(t, got)
		if len(got) == mostViolations || len(plain) == mostViolations {
			continue // what was cut off depends on the places of wrong names, see comparable
		}
		if a, b := comparable(got), comparable(plain); !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d: schema %s\nbody %s\nfast    %q\nlibrary %q", seed, text, body, a, b)
		}
	}
	return true, valid, invalid
}

// mostViolations is how many are told of one payload.
const mostViolations = 20

// comparable leaves out what the library does not know for sure: which two
// items of several pairs are equal, and the place of a wrong member name (see
// collector.propertyName).
func comparable(violations []schema.Violation) []schema.Violation {
	out := make([]schema.Violation, len(violations))
	for i, v := range violations {
		switch out[i] = v; v.Keyword {
		case "uniqueItems":
			out[i].Actual = ""
		case "propertyNames":
			out[i].Pointer = ""
		}
	}
	slices.SortFunc(out, func(a, b schema.Violation) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Keyword, b.Keyword),
			strings.Compare(a.Expected, b.Expected), strings.Compare(a.Actual, b.Actual))
	})
	return slices.Compact(out)
}

func TestEnginesAgree(t *testing.T) {
	compiled, valid, invalid := 0, 0, 0
	for seed := range uint64(1500) {
		ok, v, i := compareEngines(t, seed)
		if ok {
			compiled++
		}
		valid, invalid = valid+v, invalid+i
	}
	t.Logf("%d schemas, %d valid and %d invalid payloads", compiled, valid, invalid)
	if compiled < 1200 || valid < 5000 || invalid < 5000 {
		t.Error("the generator has become lopsided")
	}
}

// FuzzEnginesAgree goes on where TestEnginesAgree stops.
func FuzzEnginesAgree(f *testing.F) {
	f.Add(uint64(1 << 40))
	f.Fuzz(func(t *testing.T, seed uint64) { compareEngines(t, seed) })
}
