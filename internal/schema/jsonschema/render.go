package jsonschema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/cxrelay/cxrelay/internal/schema"
)

const (
	maxViolations = 20
	maxText       = 128 // characters of Expected and Actual
)

// render puts sorted leaves into words, the first maxViolations of them,
// without repetitions (allOf may find the same fault twice).
func render(leaves []leaf, instance any) []schema.Violation {
	var out []schema.Violation
	for _, l := range leaves {
		if len(out) == maxViolations {
			break
		}
		expected, actual := l.words(instance)
		v := schema.Violation{Pointer: l.pointer, Keyword: l.keyword, Expected: cut(expected, maxText), Actual: cut(actual, maxText)}
		if !repeated(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func repeated(list []schema.Violation, v schema.Violation) bool {
	for _, old := range list {
		if old == v {
			return true
		}
	}
	return false
}

// broken: the library did not get as far as a verdict.
func (l leaf) broken() bool {
	switch l.err.ErrorKind.(type) {
	case *kind.RefCycle, *kind.InvalidJsonValue, nil:
		return true
	}
	return false
}

// reason is for faults of a schema text, where the cause helps most.
func (l leaf) reason() string {
	switch k := l.err.ErrorKind.(type) {
	case *kind.Format:
		return fmt.Sprintf("format %s: %v", k.Want, k.Err)
	case *kind.RefCycle:
		return "reference cycle at " + localNames(k.URL)
	case *kind.PropertyNames:
		if cause, ok := l.nameFault(); ok {
			return fmt.Sprintf("member %s: %s", quote(l.name), cause.reason())
		}
	case nil:
		return "no kind of error"
	}
	expected, actual := l.words(nil)
	return fmt.Sprintf("%s: want %s, have %s", l.keyword, cut(expected, maxText), cut(actual, maxText))
}

// nameFault is the first thing that is wrong with a member's name.
func (l leaf) nameFault() (leaf, bool) {
	c := &collector{instance: l.name, known: map[*santhosh.ValidationError][]leaf{}}
	causes := slices.Clone(c.collectAll(l.err.Causes, nil))
	if len(causes) == 0 {
		return leaf{}, false
	}
	sortLeaves(causes)
	return causes[0], true
}

func (l leaf) words(instance any) (expected, actual string) {
	at := l.err.InstanceLocation
	if l.expected != "" {
		return l.expected, describe(lookup(instance, at))
	}
	if expected, actual, ok := l.counts(); ok {
		return expected, actual
	}
	if expected, ok := l.numbers(); ok {
		return expected, describe(lookup(instance, at))
	}
	return l.values(instance)
}

func (l leaf) values(instance any) (expected, actual string) {
	value := lookup(instance, l.err.InstanceLocation)
	actual = describe(value)
	switch k := l.err.ErrorKind.(type) {
	case *kind.Type:
		if instance == nil {
			return strings.Join(k.Want, " or "), k.Got
		}
		return strings.Join(k.Want, " or "), describe(value)
	case *kind.Const:
		return literal(k.Want), l.got(k.Got, actual)
	case *kind.Enum:
		return oneOf(k.Want), l.got(k.Got, actual)
	case *kind.Format:
		return k.Want, l.got(k.Got, actual)
	case *kind.Pattern:
		return k.Want, l.got(k.Got, actual)
	case *kind.Required:
		return memberName(l.name), "absent"
	case *kind.Dependency:
		return fmt.Sprintf("%s (needed by %s)", memberName(l.name), memberName(k.Prop)), "absent"
	case *kind.DependentRequired:
		return fmt.Sprintf("%s (needed by %s)", memberName(l.name), memberName(k.Prop)), "absent"
	case *kind.AdditionalProperties:
		obj, _ := value.(map[string]any)
		return "no such member", describe(obj[l.name])
	case *kind.PropertyNames:
		if cause, ok := l.nameFault(); ok {
			expected, _ := cause.words(l.name)
			return cause.keyword + " " + expected, "member " + quote(l.name)
		}
		return "another member name", "member " + quote(l.name)
	case *kind.FalseSchema:
		return "no value", describe(value)
	case *kind.Not:
		return "no match", describe(value)
	case *kind.OneOf:
		if len(k.Subschemas) == 2 {
			return "exactly one branch", fmt.Sprintf("branches %d and %d match", k.Subschemas[0], k.Subschemas[1])
		}
		return "one branch", describe(value)
	case *kind.UniqueItems:
		return "unique items", fmt.Sprintf("items %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "an item that matches", describe(value)
	case *kind.AdditionalItems:
		list, _ := value.([]any)
		return "<= " + count(len(list)-k.Count, "item"), describe(value)
	}
	return "a match", describe(value)
}

// got is what a fault of a schema text found; for a payload's it is the value
// itself, which the explanation of the fast path does not repeat.
func (l leaf) got(fromLibrary any, value string) string {
	if fromLibrary == nil {
		return value
	}
	return describe(fromLibrary)
}

// counts are the keywords that compare a count.
func (l leaf) counts() (expected, actual string, ok bool) {
	switch k := l.err.ErrorKind.(type) {
	case *kind.MinLength:
		return ">= " + count(k.Want, "character"), count(k.Got, "character"), true
	case *kind.MaxLength:
		return "<= " + count(k.Want, "character"), count(k.Got, "character"), true
	case *kind.MinItems:
		return ">= " + count(k.Want, "item"), count(k.Got, "item"), true
	case *kind.MaxItems:
		return "<= " + count(k.Want, "item"), count(k.Got, "item"), true
	case *kind.MinProperties:
		return ">= " + count(k.Want, "member"), count(k.Got, "member"), true
	case *kind.MaxProperties:
		return "<= " + count(k.Want, "member"), count(k.Got, "member"), true
	case *kind.MinContains:
		return ">= " + count(k.Want, "matching item"), count(len(k.Got), "matching item"), true
	case *kind.MaxContains:
		return "<= " + count(k.Want, "matching item"), count(len(k.Got), "matching item"), true
	}
	return "", "", false
}

func (l leaf) numbers() (expected string, ok bool) {
	switch k := l.err.ErrorKind.(type) {
	case *kind.Minimum:
		return ">= " + decimalText(k.Want), true
	case *kind.Maximum:
		return "<= " + decimalText(k.Want), true
	case *kind.ExclusiveMinimum:
		return "> " + decimalText(k.Want), true
	case *kind.ExclusiveMaximum:
		return "< " + decimalText(k.Want), true
	case *kind.MultipleOf:
		return "a multiple of " + decimalText(k.Want), true
	}
	return "", false
}

// decimalText is exact: the bounds of a schema were decimal literals.
func decimalText(r *big.Rat) string {
	n, exact := r.FloatPrec()
	if !exact {
		return r.RatString()
	}
	return r.FloatString(n)
}

// memberName leaves no name invisible.
func memberName(name string) string {
	if name == "" {
		return `""`
	}
	return name
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}

// describe names a payload's value by its type, and shows it if it is small.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean " + strconv.FormatBool(v)
	case json.Number:
		return "number " + string(v)
	case string:
		return "string " + quote(v)
	case []any:
		return "array of " + count(len(v), "item")
	case map[string]any:
		return "object with " + count(len(v), "member")
	}
	return fmt.Sprintf("%T", v)
}

// literal shows a schema's value as JSON.
func literal(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return describe(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func oneOf(wants []any) string {
	if len(wants) == 1 {
		return literal(wants[0])
	}
	var b strings.Builder
	b.WriteString("one of ")
	for i, w := range wants {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(literal(w))
		if b.Len() > maxText*utf8.UTFMax {
			break // cut shortens it anyway
		}
	}
	return b.String()
}

// quote leaves no control or invisible character in a text that goes into
// logs.
func quote(s string) string { return strconv.Quote(cut(s, maxText)) }

// cut shortens s to at most n characters, the last of them an ellipsis.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	runes := 0
	for i := range s {
		if runes == n-1 {
			if _, last := utf8.DecodeRuneInString(s[i:]); i+last == len(s) {
				return s
			}
			return s[:i] + "…"
		}
		runes++
	}
	return s
}
