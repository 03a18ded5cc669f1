package jsonschema

import (
	"maps"
	"slices"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// step says to which part of an instance an edge of the graph leads.
type step uint8

const (
	toSelfByRef  step = iota // $ref, $dynamicRef, $recursiveRef: the instance itself
	toSelf                   // any other in-place applicator: the instance itself
	toMember                 // properties: the member of that name
	toMatching               // patternProperties: the members whose names match
	toOthers                 // additional and unevaluated properties: the members that nothing else took
	toName                   // propertyNames: a member's name
	toElement                // items and its relatives: each element at most once over all of them
	toAnyElement             // contains: every element, whatever else took it
)

type edge struct {
	to      *node
	keyword string
	step    step
	name    string          // toMember
	pattern santhosh.Regexp // toMatching
}

// node is one compiled schema, or a hub: the set of all targets that a
// dynamic reference may have at run time, of which it takes one.
type node struct {
	schema *santhosh.Schema // nil: hub
	edges  []edge

	index, low, component int // of the search for components; index 0: not seen
	onStack               bool
}

// graph is what can be reached from the root schema: which schema applies
// which other one to which part of an instance.
type graph struct {
	nodes     []*node
	bySchema  map[*santhosh.Schema]*node
	dynamic   map[string]*node // hub per anchor name of a truly dynamic $dynamicRef
	recursive *node            // hub of all truly recursive $recursiveRef
}

func newGraph(root *santhosh.Schema) *graph {
	g := &graph{bySchema: map[*santhosh.Schema]*node{}, dynamic: map[string]*node{}}
	g.grow(root)
	return g
}

// grow adds s and everything that its exported fields lead to.
func (g *graph) grow(s *santhosh.Schema) {
	first := g.node(s)
	for i := slices.Index(g.nodes, first); i < len(g.nodes); i++ {
		if n := g.nodes[i]; n.schema != nil && n.edges == nil {
			g.expand(n)
		}
	}
}

func (g *graph) node(s *santhosh.Schema) *node {
	if n, ok := g.bySchema[s]; ok {
		return n
	}
	n := &node{schema: s}
	g.bySchema[s] = n
	g.nodes = append(g.nodes, n)
	return n
}

func (g *graph) hub() *node {
	n := &node{}
	g.nodes = append(g.nodes, n)
	return n
}

func (g *graph) expand(n *node) {
	n.edges = []edge{} // expanded, even if it stays empty
	ignoreSiblings(n.schema)
	replaceRegex(n.schema)
	g.expandReferences(n)
	g.expandInPlace(n)
	g.expandObject(n)
	g.expandArray(n)
}

// ignoreSiblings takes away what up to draft-07 stands beside a $ref: it is to
// be ignored (draft-07 core, section 8.3), and the library reads some of it.
func ignoreSiblings(s *santhosh.Schema) {
	if s.Ref == nil || s.DraftVersion >= 2019 {
		return
	}
	s.Const = nil
	s.Contains, s.PropertyNames = nil, nil
	s.If, s.Then, s.Else = nil, nil, nil
}

func (g *graph) add(n *node, s *santhosh.Schema, keyword string, to step) {
	if s != nil {
		n.edges = append(n.edges, edge{to: g.node(s), keyword: keyword, step: to})
	}
}

// addAny adds what the library declares as "nil, bool or schema".
func (g *graph) addAny(n *node, v any, keyword string, to step) {
	if s, ok := v.(*santhosh.Schema); ok {
		g.add(n, s, keyword, to)
	}
}

func (g *graph) expandReferences(n *node) {
	s := n.schema
	g.add(n, s.Ref, "$ref", toSelfByRef)
	if r := s.RecursiveRef; r != nil {
		if !r.RecursiveAnchor {
			g.add(n, r, "$recursiveRef", toSelfByRef)
		} else {
			if g.recursive == nil {
				g.recursive = g.hub()
			}
			g.addHub(n, g.recursive, r, "$recursiveRef")
		}
	}
	if d := s.DynamicRef; d != nil {
		if d.Anchor == "" || d.Ref.DynamicAnchor != d.Anchor {
			g.add(n, d.Ref, "$dynamicRef", toSelfByRef)
		} else {
			if g.dynamic[d.Anchor] == nil {
				g.dynamic[d.Anchor] = g.hub()
			}
			g.addHub(n, g.dynamic[d.Anchor], d.Ref, "$dynamicRef")
		}
	}
}

// addHub makes sure that the static target is in the graph: followDynamic
// finds it there with the other candidates.
func (g *graph) addHub(n, hub *node, static *santhosh.Schema, keyword string) {
	g.node(static)
	n.edges = append(n.edges, edge{to: hub, keyword: keyword, step: toSelfByRef})
}

func (g *graph) expandInPlace(n *node) {
	s := n.schema
	for _, list := range []struct {
		keyword string
		schemas []*santhosh.Schema
	}{{"allOf", s.AllOf}, {"anyOf", s.AnyOf}, {"oneOf", s.OneOf}} {
		for _, sub := range list.schemas {
			g.add(n, sub, list.keyword, toSelf)
		}
	}
	g.add(n, s.Not, "not", toSelf)
	g.add(n, s.If, "if", toSelf)
	g.add(n, s.Then, "then", toSelf)
	g.add(n, s.Else, "else", toSelf)
	for _, name := range slices.Sorted(maps.Keys(s.DependentSchemas)) {
		g.add(n, s.DependentSchemas[name], "dependentSchemas", toSelf)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Dependencies)) {
		g.addAny(n, s.Dependencies[name], "dependencies", toSelf)
	}
}

func (g *graph) expandObject(n *node) {
	s := n.schema
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		n.edges = append(n.edges, edge{to: g.node(s.Properties[name]), keyword: "properties", step: toMember, name: name})
	}
	for pattern, sub := range s.PatternProperties {
		n.edges = append(n.edges, edge{to: g.node(sub), keyword: "patternProperties", step: toMatching, pattern: pattern})
	}
	g.addAny(n, s.AdditionalProperties, "additionalProperties", toOthers)
	g.add(n, s.UnevaluatedProperties, "unevaluatedProperties", toOthers)
	g.add(n, s.PropertyNames, "propertyNames", toName)
}

func (g *graph) expandArray(n *node) {
	s := n.schema
	g.addAny(n, s.Items, "items", toElement)
	if tuple, ok := s.Items.([]*santhosh.Schema); ok {
		for _, sub := range tuple {
			g.add(n, sub, "items", toElement)
		}
	}
	g.addAny(n, s.AdditionalItems, "additionalItems", toElement)
	for _, sub := range s.PrefixItems {
		g.add(n, sub, "prefixItems", toElement)
	}
	g.add(n, s.Items2020, "items", toElement)
	g.add(n, s.UnevaluatedItems, "unevaluatedItems", toElement)
	g.add(n, s.Contains, "contains", toAnyElement)
}

// schemas lists the compiled schemas of the graph.
func (g *graph) schemas() []*santhosh.Schema {
	var list []*santhosh.Schema
	for _, n := range g.nodes {
		if n.schema != nil {
			list = append(list, n.schema)
		}
	}
	return list
}
