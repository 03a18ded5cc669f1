package jsonschema_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator makes schemas and payloads of few names and values, so that they
// meet often.
type generator struct {
	*rand.Rand
	draft int
	defs  int // definitions that a $ref may lead to

	dynamic bool // two resources with one dynamic anchor, and references to it
}

func (g *generator) pick(list ...any) any { return list[g.IntN(len(list))] }

func (g *generator) name() string { return []string{"a", "b", "ab", "", "é", "x/y~"}[g.IntN(6)] }

func (g *generator) number() json.Number {
	return json.Number([]string{"0", "1", "-1", "2", "3", "1.0", "1.5", "-0", "1e2", "0.01", "19.99", "100", "9007199254740993", "1e-3", "123456789012345678901234567890", "2.50"}[g.IntN(16)])
}

func (g *generator) text() string {
	return []string{"", "a", "ab", "abc", "é", "aé\n", "2026-01-02", "2026-13-02", "127.0.0.1", "x@y", "12-34", "\u2019 \"q\" 😀"}[g.IntN(12)]
}

func (g *generator) pattern() string {
	return []string{"^a", "b$", "^[a-c]+$", "^.{2,3}$", "é", "^(a|ab)(c|bcd)?$", "^\\w+\\b", "[^a]", "^$", "(?i)^A", "\\d{2}-\\d{2}", "a.*b"}[g.IntN(12)]
}

// value is any JSON value.
func (g *generator) value(depth int) any {
	n := 8
	if depth <= 0 {
		n = 5
	}
	switch g.IntN(n) {
	case 0:
		return g.pick(nil, true, false)
	case 1, 2:
		return g.number()
	case 3, 4:
		return g.text()
	case 5:
		list := make([]any, g.IntN(5))
		for i := range list {
			list[i] = g.value(depth - 1)
		}
		return list
	default:
		obj := map[string]any{}
		for range g.IntN(5) {
			obj[g.name()] = g.value(depth - 1)
		}
		return obj
	}
}

// schema is a root with definitions. A $ref leads to a later definition, or
// anywhere from below properties or items.
func (g *generator) schema() any {
	root := map[string]any{}
	key := "definitions"
	switch g.draft {
	case 2019:
		root["$schema"], key = "https://json-schema.org/draft/2019-09/schema", "$defs"
	case 2020:
		root["$schema"], key = "https://json-schema.org/draft/2020-12/schema", "$defs"
	}
	g.defs = g.IntN(3)
	defs := map[string]any{}
	if g.dynamic = g.draft >= 2019 && g.IntN(3) == 0; g.dynamic {
		other := g.object(2, g.defs)
		other["$id"] = "http://example.com/other"
		g.anchor(root)
		g.anchor(other)
		defs["other"] = other
	}
	for i := range g.defs {
		defs[fmt.Sprint("d", i)] = g.sub(2, i+1)
	}
	for k, v := range g.object(3, 0) {
		root[k] = v
	}
	root[key] = defs
	return root
}

// anchor makes s a target of dynamic references, now and then.
func (g *generator) anchor(s map[string]any) {
	switch {
	case g.IntN(4) == 0:
	case g.draft == 2019:
		s["$recursiveAnchor"] = true
	default:
		s["$dynamicAnchor"] = "node"
	}
}

// child is a schema for a member or an item, which may refer to anything.
func (g *generator) child(depth int) any {
	switch {
	case g.IntN(12) == 0:
		return map[string]any{"$ref": "#"}
	case !g.dynamic || g.IntN(3) > 0:
		return g.sub(depth, 0)
	case g.IntN(3) == 0:
		return map[string]any{"$ref": "http://example.com/other"}
	case g.draft == 2019:
		return map[string]any{"$recursiveRef": "#", "type": g.pick("object", []any{"array", "object"})}
	default:
		return map[string]any{"$dynamicRef": "#node"}
	}
}

// sub is a schema; in place of the same value it may refer to definitions
// from first on.
func (g *generator) sub(depth, first int) any {
	if g.IntN(12) == 0 {
		return g.pick(true, false, map[string]any{})
	}
	return g.object(depth, first)
}

func (g *generator) object(depth, first int) map[string]any {
	s := map[string]any{}
	for range 1 + g.IntN(4) {
		g.keyword(s, depth, first)
	}
	return s
}

func (g *generator) names() []any {
	var list []any
	for _, n := range []string{"a", "b", "é", ""} {
		if g.IntN(3) == 0 {
			list = append(list, n)
		}
	}
	return append(list, "ab")
}

func (g *generator) subs(depth, first int) []any {
	list := make([]any, 1+g.IntN(3))
	for i := range list {
		list[i] = g.sub(depth, first)
	}
	return list
}

func (g *generator) keyword(s map[string]any, depth, first int) {
	if depth > 0 && g.IntN(2) == 0 {
		g.applicator(s, depth-1, first)
		return
	}
	switch g.IntN(17) {
	case 0, 1:
		s["type"] = g.pick("null", "boolean", "number", "integer", "string", "array", "object", []any{"string", "null"}, []any{"integer", "object", "array"})
	case 2:
		s["const"] = g.value(2)
	case 3:
		list := []any{g.value(1)}
		for range g.IntN(4) {
			list = append(list, g.value(1))
		}
		s["enum"] = list
	case 4:
		s["minimum"] = g.number()
	case 5:
		s["exclusiveMaximum"] = g.number()
	case 6:
		s["maximum"] = g.number()
		s["exclusiveMinimum"] = g.number()
	case 7:
		s["multipleOf"] = g.pick(json.Number("0.01"), json.Number("2"), json.Number("1.5"), json.Number("1e-3"), json.Number("10"), json.Number("3"))
	case 8:
		s["minLength"] = g.IntN(4)
	case 9:
		s["maxLength"] = g.IntN(4)
	case 10:
		s["pattern"] = g.pattern()
	case 11:
		s["format"] = g.pick("date", "ipv4", "email", "uuid", "ipv6", "json-pointer", "unknown")
	case 12:
		s[g.pick("minItems", "maxItems", "minProperties", "maxProperties").(string)] = g.IntN(4)
	case 13:
		s["uniqueItems"] = true
	case 14, 15:
		s["required"] = g.names()
	case 16:
		if g.draft >= 2019 {
			s["dependentRequired"] = map[string]any{g.name(): g.names()}
		} else {
			s["dependencies"] = map[string]any{g.name(): g.names()}
		}
	}
}

func (g *generator) applicator(s map[string]any, depth, first int) {
	switch g.IntN(17) {
	case 0, 1, 2:
		m := map[string]any{}
		for range 1 + g.IntN(3) {
			m[g.name()] = g.child(depth)
		}
		s["properties"] = m
	case 3:
		s["patternProperties"] = map[string]any{g.pattern(): g.sub(depth, 0), "^a": g.sub(depth, 0)}
	case 4:
		s["additionalProperties"] = g.child(depth)
	case 5:
		s["propertyNames"] = g.sub(0, g.defs)
	case 6:
		g.items(s, depth)
	case 7:
		s["contains"] = g.sub(depth, 0)
		if g.draft >= 2019 && g.IntN(2) == 0 {
			s["minContains"], s["maxContains"] = g.IntN(3), g.IntN(3)
		}
	case 8:
		s["allOf"] = g.subs(depth, first)
	case 9:
		s["anyOf"] = g.subs(depth, first)
	case 10:
		s["oneOf"] = g.subs(depth, first)
	case 11:
		s["not"] = g.sub(depth, first)
	case 12:
		s["if"] = g.sub(depth, first)
		s["then"] = g.sub(depth, first)
		s["else"] = g.sub(depth, first)
	case 13:
		if first < g.defs {
			at := "#/definitions/d"
			if g.draft >= 2019 {
				at = "#/$defs/d"
			}
			s["$ref"] = fmt.Sprint(at, first+g.IntN(g.defs-first))
		}
	case 14:
		if g.draft >= 2019 {
			s["dependentSchemas"] = map[string]any{g.name(): g.sub(depth, first)}
		} else {
			s["dependencies"] = map[string]any{g.name(): g.sub(depth, first)}
		}
	case 15:
		if g.draft >= 2019 {
			s["unevaluatedProperties"] = g.sub(depth, 0)
		}
	case 16:
		if g.draft >= 2019 {
			s["unevaluatedItems"] = g.sub(depth, 0)
		}
	}
}

func (g *generator) items(s map[string]any, depth int) {
	switch {
	case g.IntN(2) == 0:
		s["items"] = g.child(depth)
	case g.draft >= 2020:
		s["prefixItems"] = g.subs(depth, 0)
		if g.IntN(2) == 0 {
			s["items"] = g.sub(depth, 0)
		}
	default:
		s["items"] = g.subs(depth, 0)
		if g.IntN(2) == 0 {
			s["additionalItems"] = g.sub(depth, 0)
		}
	}
}

// encode writes v as JSON, now and then with an escape that is not needed.
func (g *generator) encode(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // a generator that makes no JSON
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if g.IntN(4) == 0 {
		text = strings.ReplaceAll(text, `"a"`, `"\u0061"`)
	}
	return text
}
