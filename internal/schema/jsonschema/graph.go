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

	visit                 visitState // of the search for empty cycles
	index, low, component int        // of the search for components; index 0: not seen
	onStack               bool
}

type visitState uint8

const (
	unseen visitState = iota
	open
	done
)

// graph is what can be reached from the root schema: which schema applies
// which other one to which part of an instance.
type graph struct {
	nodes     []*node
	spare     []node // what new nodes are cut off
	edges     []edge // of the node that is being expanded
	bySchema  map[*santhosh.Schema]*node
	dynamic   map[string]*node // hub per anchor name of a truly dynamic $dynamicRef
	recursive *node            // hub of all truly recursive $recursiveRef
}

func newGraph(root *santhosh.Schema) *graph {
	g := &graph{bySchema: map[*santhosh.Schema]*node{}, dynamic: map[string]*node{}}
	g.grow(root)
	return g
}

// grow adds s and everything that its exported fields lead to. What was there
// before is expanded already.
func (g *graph) grow(s *santhosh.Schema) {
	i := len(g.nodes)
	for g.node(s); i < len(g.nodes); i++ {
		if n := g.nodes[i]; n.schema != nil {
			g.expand(n)
		}
	}
}

func (g *graph) node(s *santhosh.Schema) *node {
	if n, ok := g.bySchema[s]; ok {
		return n
	}
	n := g.newNode()
	n.schema = s
	g.bySchema[s] = n
	return n
}

func (g *graph) hub() *node { return g.newNode() }

func (g *graph) newNode() *node {
	if len(g.spare) == 0 {
		g.spare = make([]node, 64)
	}
	n := &g.spare[0]
	g.spare = g.spare[1:]
	g.nodes = append(g.nodes, n)
	return n
}

func (g *graph) expand(n *node) {
	g.edges = g.edges[:0]
	ignoreSiblings(n.schema)
	replaceRegex(n.schema)
	g.expandReferences(n.schema)
	g.expandInPlace(n.schema)
	g.expandObject(n.schema)
	g.expandArray(n.schema)
	if len(g.edges) > 0 {
		n.edges = slices.Clone(g.edges)
	}
	clear(g.edges)
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

// add and its relatives add an edge to the node that is being expanded.
func (g *graph) add(s *santhosh.Schema, keyword string, to step) {
	if s != nil {
		g.edges = append(g.edges, edge{to: g.node(s), keyword: keyword, step: to})
	}
}

// addAny adds what the library declares as "nil, bool or schema".
func (g *graph) addAny(v any, keyword string, to step) {
	if s, ok := v.(*santhosh.Schema); ok {
		g.add(s, keyword, to)
	}
}

func (g *graph) expandReferences(s *santhosh.Schema) {
	g.add(s.Ref, "$ref", toSelfByRef)
	if r := s.RecursiveRef; r != nil {
		if !r.RecursiveAnchor {
			g.add(r, "$recursiveRef", toSelfByRef)
		} else {
			if g.recursive == nil {
				g.recursive = g.hub()
			}
			g.addHub(g.recursive, r, "$recursiveRef")
		}
	}
	if d := s.DynamicRef; d != nil {
		if d.Anchor == "" || d.Ref.DynamicAnchor != d.Anchor {
			g.add(d.Ref, "$dynamicRef", toSelfByRef)
		} else {
			if g.dynamic[d.Anchor] == nil {
				g.dynamic[d.Anchor] = g.hub()
			}
			g.addHub(g.dynamic[d.Anchor], d.Ref, "$dynamicRef")
		}
	}
}

// addHub makes sure that the static target is in the graph: followDynamic
// finds it there with the other candidates.
func (g *graph) addHub(hub *node, static *santhosh.Schema, keyword string) {
	g.node(static)
	g.edges = append(g.edges, edge{to: hub, keyword: keyword, step: toSelfByRef})
}

func (g *graph) expandInPlace(s *santhosh.Schema) {
	for _, list := range []struct {
		keyword string
		schemas []*santhosh.Schema
	}{{"allOf", s.AllOf}, {"anyOf", s.AnyOf}, {"oneOf", s.OneOf}} {
		for _, sub := range list.schemas {
			g.add(sub, list.keyword, toSelf)
		}
	}
	g.add(s.Not, "not", toSelf)
	g.add(s.If, "if", toSelf)
	g.add(s.Then, "then", toSelf)
	g.add(s.Else, "else", toSelf)
	for _, name := range sortedNames(s.DependentSchemas) {
		g.add(s.DependentSchemas[name], "dependentSchemas", toSelf)
	}
	for _, name := range sortedNames(s.Dependencies) {
		g.addAny(s.Dependencies[name], "dependencies", toSelf)
	}
}

func (g *graph) expandObject(s *santhosh.Schema) {
	for _, name := range sortedNames(s.Properties) {
		g.edges = append(g.edges, edge{to: g.node(s.Properties[name]), keyword: "properties", step: toMember, name: name})
	}
	for pattern, sub := range s.PatternProperties {
		g.edges = append(g.edges, edge{to: g.node(sub), keyword: "patternProperties", step: toMatching, pattern: pattern})
	}
	g.addAny(s.AdditionalProperties, "additionalProperties", toOthers)
	g.add(s.UnevaluatedProperties, "unevaluatedProperties", toOthers)
	g.add(s.PropertyNames, "propertyNames", toName)
}

func (g *graph) expandArray(s *santhosh.Schema) {
	g.addAny(s.Items, "items", toElement)
	if tuple, ok := s.Items.([]*santhosh.Schema); ok {
		for _, sub := range tuple {
			g.add(sub, "items", toElement)
		}
	}
	g.addAny(s.AdditionalItems, "additionalItems", toElement)
	for _, sub := range s.PrefixItems {
		g.add(sub, "prefixItems", toElement)
	}
	g.add(s.Items2020, "items", toElement)
	g.add(s.UnevaluatedItems, "unevaluatedItems", toElement)
	g.add(s.Contains, "contains", toAnyElement)
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

// misjudged reports whether the library may give a wrong verdict: it follows
// $recursiveRef to the schema by which the outermost resource was entered, not
// to its root, and begins the way of dynamic references anew at propertyNames.
func (g *graph) misjudged() bool {
	var dynamic, names bool
	for _, n := range g.nodes {
		if s := n.schema; s != nil {
			if s.RecursiveRef != nil {
				return true
			}
			dynamic, names = dynamic || s.DynamicRef != nil, names || s.PropertyNames != nil
		}
	}
	return dynamic && names
}

// sortedNames returns the keys of m in order.
func sortedNames[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	names := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	slices.Sort(names)
	return names
}
