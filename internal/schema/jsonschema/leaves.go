package jsonschema

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// leaf is one fault at the bottom of the library's error tree, before it is
// put into words.
type leaf struct {
	err      *santhosh.ValidationError
	pointer  string // RFC 6901
	depth    int    // tokens of pointer
	keyword  string
	name     string // of the member, for keywords that speak of members
	expected string // set where several branches were made into one fault
}

// sortedLeaves flattens an error tree, one branch of each anyOf and oneOf, in
// a stable order: pointer, keyword, name, place in the schema. (The library
// walks maps, so its own order changes from run to run.)
func sortedLeaves(err *santhosh.ValidationError, instance any) []leaf {
	c := &collector{instance: instance}
	leaves := c.collect(err, nil)
	sortLeaves(leaves)
	return leaves
}

// maxLeaves is how many faults of one error are looked at. An explanation of
// ours shares subtrees, which could hold 2^30 of them when written out.
const maxLeaves = 1000

// boundedLeaves is sortedLeaves for a tree of package program, whose order is
// the payload's: the first maxLeaves of each error, each collected once.
func boundedLeaves(err *santhosh.ValidationError, instance any) []leaf {
	c := &collector{instance: instance, known: map[*santhosh.ValidationError][]leaf{}}
	leaves := c.collect(err, nil)
	sortLeaves(leaves)
	return leaves
}

func sortLeaves(leaves []leaf) {
	slices.SortFunc(leaves, func(a, b leaf) int {
		return cmp.Or(
			strings.Compare(a.pointer, b.pointer),
			strings.Compare(a.keyword, b.keyword),
			strings.Compare(a.name, b.name),
			strings.Compare(a.err.SchemaURL, b.err.SchemaURL),
		)
	})
}

type collector struct {
	instance any
	known    map[*santhosh.ValidationError][]leaf // nil: the tree shares nothing, and no error is cut
}

// collect returns the leaves below e, which the caller does not change. above
// is the location of the nearest error above e.
func (c *collector) collect(e *santhosh.ValidationError, above []string) []leaf {
	if c.known == nil {
		return c.leavesOf(e, above)
	}
	leaves, ok := c.known[e]
	if !ok {
		if leaves = c.leavesOf(e, above); len(leaves) > maxLeaves {
			leaves = leaves[:maxLeaves]
		}
		c.known[e] = leaves
	}
	return leaves
}

func (c *collector) leavesOf(e *santhosh.ValidationError, above []string) []leaf {
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		return c.collectAll(e.Causes, e.InstanceLocation)
	case *kind.AnyOf:
		return c.branch(e, "anyOf")
	case *kind.OneOf:
		if len(k.Subschemas) == 0 {
			return c.branch(e, "oneOf")
		}
		return []leaf{newLeaf(e, "oneOf", "")}
	case *kind.Required:
		return perName(e, "required", k.Missing)
	case *kind.Dependency:
		return perName(e, "dependencies", k.Missing)
	case *kind.DependentRequired:
		return perName(e, "dependentRequired", k.Missing)
	case *kind.AdditionalProperties:
		leaves := perName(e, "additionalProperties", k.Properties)
		for i := range leaves {
			leaves[i].pointer = appendToken(leaves[i].pointer, leaves[i].name)
			leaves[i].depth++
		}
		return leaves
	case *kind.PropertyNames:
		return []leaf{c.propertyName(e, k.Property, above)}
	case *kind.FalseSchema:
		return []leaf{newLeaf(e, keywordOf(e.SchemaURL), "")}
	case *kind.Not:
		return []leaf{newLeaf(e, "not", "")}
	case nil:
		return []leaf{newLeaf(e, "", "")}
	default:
		keyword := ""
		if path := k.KeywordPath(); len(path) > 0 {
			keyword = path[0]
		}
		return []leaf{newLeaf(e, keyword, "")}
	}
}

func (c *collector) collectAll(errs []*santhosh.ValidationError, above []string) []leaf {
	if len(errs) == 1 {
		return c.collect(errs[0], above)
	}
	leaves := make([]leaf, 0, len(errs))
	for _, e := range errs {
		if leaves = append(leaves, c.collect(e, above)...); c.known != nil && len(leaves) > maxLeaves {
			break
		}
	}
	return leaves
}

func newLeaf(e *santhosh.ValidationError, keyword, name string) leaf {
	return leaf{
		err: e, keyword: keyword, name: name,
		pointer: pointerOf(e.InstanceLocation), depth: len(e.InstanceLocation),
	}
}

func perName(e *santhosh.ValidationError, keyword string, names []string) []leaf {
	leaves := make([]leaf, len(names))
	for i, name := range names {
		leaves[i] = newLeaf(e, keyword, name)
	}
	return leaves
}

// propertyName mends the location: for this one keyword the library returns a
// slice that it goes on writing to, so that its tokens may belong to a later
// sibling. If the object there has no such member, the first object below
// above that has one is meant, or above itself if there is none.
func (c *collector) propertyName(e *santhosh.ValidationError, name string, above []string) leaf {
	at := e.InstanceLocation
	if obj, _ := lookup(c.instance, at).(map[string]any); obj == nil || !has(obj, name) {
		at = above
		if found, ok := findMember(lookup(c.instance, above), above, name); ok {
			at = found
		}
	}
	return leaf{err: e, keyword: "propertyNames", name: name, pointer: pointerOf(at), depth: len(at)}
}

// maxPointer bounds a pointer, in bytes. A sender may choose names as long as
// a payload, and a thousand faults below one of them.
const maxPointer = 1024

// pointerOf is the string form of RFC 6901 section 3. One longer than
// maxPointer is cut and ends with an ellipsis.
func pointerOf(tokens []string) string {
	if len(tokens) == 0 {
		return ""
	}
	b := make([]byte, 0, 64)
	for _, t := range tokens {
		if len(b) > maxPointer {
			break
		}
		b = append(append(b, '/'), escapePointer(start(t, 2*maxPointer))...)
	}
	return cutPointer(string(b))
}

// appendToken is pointerOf for one token more.
func appendToken(pointer, token string) string {
	return cutPointer(pointer + "/" + escapePointer(start(token, 2*maxPointer)))
}

func cutPointer(p string) string {
	const ellipsis = "…"
	if len(p) <= maxPointer {
		return p
	}
	return start(p, maxPointer-len(ellipsis)) + ellipsis
}

// start returns the first characters of s that take at most n bytes.
func start(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func escapePointer(token string) string {
	if !strings.ContainsAny(token, "~/") {
		return token
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

// lookup returns the value at a location, or nil.
func lookup(v any, location []string) any {
	for _, token := range location {
		switch parent := v.(type) {
		case map[string]any:
			v = parent[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(parent) {
				return nil
			}
			v = parent[i]
		default:
			return nil
		}
	}
	return v
}

func has(obj map[string]any, name string) bool {
	_, ok := obj[name]
	return ok
}

// findMember returns the location of the first object at or below v, which
// stands at location, that has a member of that name.
func findMember(v any, location []string, name string) ([]string, bool) {
	switch v := v.(type) {
	case map[string]any:
		if has(v, name) {
			return slices.Clone(location), true
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if at, ok := findMember(v[k], append(location, k), name); ok {
				return at, true
			}
		}
	case []any:
		for i, item := range v {
			if at, ok := findMember(item, append(location, strconv.Itoa(i)), name); ok {
				return at, true
			}
		}
	}
	return nil, false
}

// keywordOf names the keyword under which a schema stands, for a schema that
// is just false: "properties" for ".../properties/x", "items" for ".../items"
// and for ".../items/0".
func keywordOf(location string) string {
	_, fragment, _ := strings.Cut(location, "#")
	tokens := strings.Split(fragment, "/")
	if len(tokens) < 2 {
		return "false" // the root
	}
	last, parent := tokens[len(tokens)-1], tokens[len(tokens)-2]
	switch parent {
	case "properties", "patternProperties", "dependencies", "dependentSchemas", "definitions", "$defs",
		"items", "prefixItems", "allOf", "anyOf", "oneOf":
		return parent
	}
	return last
}
