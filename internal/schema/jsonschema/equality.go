package jsonschema

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// The keywords of equality, uniqueItems, enum and const, are this package's
// own where the library's cost too much. Both of its ways were measured:
//
//   - uniqueItems buckets by a hash of the items' preorder in which nested
//     arrays have no end mark, so that all arrays of k nested brackets share a
//     bucket and are compared pairwise: seconds for half a megabyte;
//   - enum and const parse both sides of every comparison of numbers into
//     rationals: ten values against 150,000 times 1e400 took five seconds.
//
// Here a value is written once, in a form that only equal values share.

// uniqueItems is the keyword of that name.
type uniqueItems struct{}

// Validate implements santhosh.SchemaExt.
func (uniqueItems) Validate(ctx *santhosh.ValidatorContext, v any) {
	items, ok := v.([]any)
	if !ok || len(items) < 2 {
		return
	}
	seen := make(map[string]int, len(items))
	var key []byte
	for i, item := range items {
		key = appendKey(key[:0], item)
		if first, dup := seen[string(key)]; dup {
			ctx.AddError(&kind.UniqueItems{Duplicates: [2]int{first, i}})
			return
		}
		seen[string(key)] = i
	}
}

// enumeration is enum, or const as an enum of one value.
type enumeration struct {
	keys       map[string]struct{}
	containers bool // one of the values is an object or an array
	fault      func(got any) santhosh.ErrorKind
}

func newEnumeration(values []any, fault func(got any) santhosh.ErrorKind) enumeration {
	e := enumeration{keys: make(map[string]struct{}, len(values)), fault: fault}
	for _, v := range values {
		e.keys[string(appendKey(nil, v))] = struct{}{}
		e.containers = e.containers || isContainer(v)
	}
	return e
}

// Validate implements santhosh.SchemaExt.
func (e enumeration) Validate(ctx *santhosh.ValidatorContext, v any) {
	var buffer [64]byte
	if e.containers || !isContainer(v) { // else not one of them, and not worth writing out
		if _, found := e.keys[string(appendKey(buffer[:0], v))]; found {
			return
		}
	}
	ctx.AddError(e.fault(v))
}

func isContainer(v any) bool {
	switch v.(type) {
	case []any, map[string]any:
		return true
	}
	return false
}

// hasNumber reports whether a number stands anywhere in v.
func hasNumber(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return true
	case []any:
		return slices.ContainsFunc(v, hasNumber)
	case map[string]any:
		for _, item := range v {
			if hasNumber(item) {
				return true
			}
		}
	}
	return false
}

// replaceEquality puts this package's keywords where the library's are. An
// enum or const without numbers is cheap and stays.
func (g *graph) replaceEquality() {
	for _, n := range g.nodes {
		s := n.schema
		if s == nil {
			continue
		}
		if s.UniqueItems {
			s.UniqueItems = false
			s.Extensions = append(s.Extensions, uniqueItems{})
		}
		if s.Enum != nil && hasNumber(s.Enum.Values) {
			want := s.Enum.Values
			s.Enum = nil
			s.Extensions = append(s.Extensions, newEnumeration(want, func(got any) santhosh.ErrorKind {
				return &kind.Enum{Got: got, Want: want}
			}))
		}
		if s.Const != nil && hasNumber(*s.Const) {
			want := *s.Const
			s.Const = nil
			s.Extensions = append(s.Extensions, newEnumeration([]any{want}, func(got any) santhosh.ErrorKind {
				return &kind.Const{Got: got, Want: want}
			}))
		}
	}
}

// appendKey appends a text for v that is equal exactly for equal values
// (JSON Schema core, "instance equality"): every part carries its length or
// an end mark.
func appendKey(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, 'n')
	case bool:
		if v {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case json.Number:
		d, ok := parseDecimal(string(v))
		if !ok {
			return appendStringKey(append(dst, '?'), string(v))
		}
		return d.appendKey(append(dst, '#'))
	case string:
		return appendStringKey(dst, v)
	case []any:
		dst = append(dst, '[')
		for _, item := range v {
			dst = appendKey(dst, item)
		}
		return append(dst, ']')
	case map[string]any:
		dst = append(dst, '{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			dst = appendKey(appendStringKey(dst, name), v[name])
		}
		return append(dst, '}')
	}
	return append(dst, '?')
}

func appendStringKey(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	return append(append(dst, ':'), s...)
}

// decimal is a JSON number in its one canonical form: the digits without
// leading or trailing zeros, and the power of ten by which they are
// multiplied. Zero has no digits, no sign and exponent 0. Two literals are
// equal numbers exactly if their decimals are equal.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// parseDecimal reads a literal of RFC 8259 section 6. It never expands the
// exponent.
func parseDecimal(literal string) (d decimal, ok bool) {
	rest, negative := strings.CutPrefix(literal, "-")
	mantissa, exponent := rest, 0
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		n, err := strconv.Atoi(rest[i+1:])
		if err != nil {
			return decimal{}, false
		}
		mantissa, exponent = rest[:i], n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	if trimmed == "" {
		return decimal{}, whole != ""
	}
	exponent += len(digits) - len(trimmed) - len(fraction)
	return decimal{negative: negative, digits: trimmed, exponent: exponent}, true
}

// appendKey appends a text that no other number has and that ends by itself.
func (d decimal) appendKey(dst []byte) []byte {
	if d.negative {
		dst = append(dst, '-')
	}
	dst = append(dst, d.digits...)
	dst = append(dst, 'e')
	dst = strconv.AppendInt(dst, int64(d.exponent), 10)
	return append(dst, ';')
}
