package program

import (
	"math"
	"slices"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// nameSet are the names that an object's keywords know, sorted. The index of a
// name is its place.
type nameSet []string

// newNameSet joins sorted names with those of other keywords.
func newNameSet(sorted, required []string, needs []need) nameSet {
	if len(required)+len(needs) == 0 {
		return sorted
	}
	all := slices.Concat(sorted, required)
	for i := range needs {
		all = append(append(all, needs[i].name), needs[i].list...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// index finds a name that is one of them.
func (x nameSet) index(name string) int {
	i, _ := slices.BinarySearch(x, name)
	return i
}

// bits returns the set of names; all of them are known.
func (x nameSet) bits(names []string) []uint64 {
	set := make([]uint64, (len(x)+63)/64)
	for _, name := range names {
		i := x.index(name)
		set[i>>6] |= 1 << (i & 63)
	}
	return set
}

func (c *compiler) object(n *node, s *santhosh.Schema) {
	if !asksObject(s) {
		return
	}
	o := &objectRules{
		fewest: orElse(s.MinProperties, 0), most: orElse(s.MaxProperties, math.MaxInt),
		others: none, nameRule: c.ref(s.PropertyNames), requiredList: s.Required,
	}
	o.needs = c.needs(s)
	properties := sortedNames(s.Properties)
	x := newNameSet(properties, s.Required, o.needs)
	o.members = make([]ref, len(x))
	for i, name := range x {
		o.members[i] = c.ref(s.Properties[name])
	}
	o.names = newNameTable(x, jsontape.HashName)
	if len(s.Required) > 0 {
		o.required = x.bits(s.Required)
	}
	for i := range o.needs {
		o.needs[i].index, o.needs[i].required = x.index(o.needs[i].name), x.bits(o.needs[i].list)
	}
	for _, re := range sortedPatterns(s.PatternProperties) {
		o.patterns = append(o.patterns, patternMember{
			pattern: c.pattern(s, "patternProperties", re.String()),
			sub:     c.ref(s.PatternProperties[re]),
		})
	}
	switch others := s.AdditionalProperties.(type) {
	case bool:
		o.takesOthers, o.closed = true, !others
	case *santhosh.Schema:
		o.takesOthers, o.others = true, c.ref(others)
	}
	o.walk = len(x) > 0 || len(o.patterns) > 0 || o.takesOthers || o.nameRule != none
	o.plain = len(o.patterns) == 0 && o.nameRule == none && len(x) > 0 && len(x) <= 64
	if o.walk || s.MinProperties != nil || s.MaxProperties != nil {
		n.object = o
	}
}

// asksObject reports whether a schema has keywords about objects.
func asksObject(s *santhosh.Schema) bool {
	return s.Properties != nil || s.Required != nil || s.AdditionalProperties != nil || s.PatternProperties != nil ||
		s.PropertyNames != nil || s.MinProperties != nil || s.MaxProperties != nil ||
		s.Dependencies != nil || s.DependentRequired != nil || s.DependentSchemas != nil
}

// sortedNames returns the keys of m in order.
func sortedNames[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// needs collects what the presence of a name asks for, in the order of the
// names.
func (c *compiler) needs(s *santhosh.Schema) []need {
	var needs []need
	for _, name := range sortedNames(s.Dependencies) {
		switch d := s.Dependencies[name].(type) {
		case []string:
			needs = append(needs, need{name: name, list: d, sub: none, old: true})
		case *santhosh.Schema:
			needs = append(needs, need{name: name, sub: c.ref(d), old: true})
		}
	}
	for _, name := range sortedNames(s.DependentRequired) {
		needs = append(needs, need{name: name, list: s.DependentRequired[name], sub: none})
	}
	for _, name := range sortedNames(s.DependentSchemas) {
		needs = append(needs, need{name: name, sub: c.ref(s.DependentSchemas[name])})
	}
	return needs
}

// dynamicRef makes the reference that depends on the way, or returns nil. One
// that is static after all becomes a plain one.
func (c *compiler) dynamicRef(s *santhosh.Schema) *dynamicRef {
	var d *dynamicRef
	switch {
	case s.RecursiveRef != nil:
		d = &dynamicRef{keyword: "$recursiveRef", fallback: c.ref(s.RecursiveRef)}
		if s.RecursiveRef.RecursiveAnchor {
			c.pending = append(c.pending, pendingDynamic{to: d})
		}
		if s.DynamicRef != nil {
			c.decline(s, "$dynamicRef", "beside $recursiveRef")
		}
	case s.DynamicRef != nil:
		d = &dynamicRef{keyword: "$dynamicRef", fallback: c.ref(s.DynamicRef.Ref)}
		if anchor := s.DynamicRef.Anchor; anchor != "" && s.DynamicRef.Ref.DynamicAnchor == anchor {
			c.pending = append(c.pending, pendingDynamic{to: d, anchor: anchor})
		}
	}
	return d
}

// bindDynamic numbers the resources and gives the dynamic references their
// targets. The targets need not be reachable otherwise: they become nodes
// here, which may bring further dynamic references.
func (c *compiler) bindDynamic() {
	if len(c.pending) == 0 {
		return
	}
	p := c.program
	p.dynamic = true
	for _, s := range c.opts.Schemas {
		c.ref(s)
	}
	for done := 0; done < len(p.nodes); {
		c.fillAll()
		for ; done < len(p.nodes); done++ {
			s := c.schemas[done]
			p.nodes[done].resource = c.resource(s)
			c.ref(c.recursiveRoot(c.opts.Resource(s)))
		}
		if c.declined != nil {
			return
		}
	}
	for _, d := range c.pending {
		if d.anchor == "" {
			c.bindRecursive(d.to)
		} else {
			c.bindAnchor(d.to, d.anchor)
		}
	}
}

func (c *compiler) resource(s *santhosh.Schema) int32 {
	name := c.opts.Resource(s)
	id, ok := c.resources[name]
	if !ok {
		id = int32(len(c.resources))
		c.resources[name] = id
	}
	return id
}

func (c *compiler) bindAnchor(d *dynamicRef, anchor string) {
	d.targets = make([]ref, len(c.resources))
	for i := range d.targets {
		d.targets[i] = none
	}
	for i, s := range c.schemas {
		if s.DynamicAnchor == anchor {
			d.targets[c.program.nodes[i].resource] = ref(i)
		}
	}
}

func (c *compiler) bindRecursive(d *dynamicRef) {
	d.targets = make([]ref, len(c.resources))
	for name, id := range c.resources {
		d.targets[id] = c.ref(c.recursiveRoot(name))
	}
}

// recursiveRoot returns the root of a resource if it has $recursiveAnchor,
// else nil.
func (c *compiler) recursiveRoot(resource string) *santhosh.Schema {
	if root := c.opts.Root(resource); root != nil && root.RecursiveAnchor {
		return root
	}
	return nil
}
