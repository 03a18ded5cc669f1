package jsonschema

import (
	"encoding/json"
	"slices"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/cxrelay/cxrelay/internal/schema/jsonschema/program"
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
		key = program.AppendKey(key[:0], item)
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
		e.keys[string(program.AppendKey(nil, v))] = struct{}{}
		e.containers = e.containers || isContainer(v)
	}
	return e
}

// Validate implements santhosh.SchemaExt.
func (e enumeration) Validate(ctx *santhosh.ValidatorContext, v any) {
	var buffer [64]byte
	if e.containers || !isContainer(v) { // else not one of them, and not worth writing out
		if _, found := e.keys[string(program.AppendKey(buffer[:0], v))]; found {
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
