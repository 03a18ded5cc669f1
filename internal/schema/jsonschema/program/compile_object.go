package program

import (
	"maps"
	"math"
	"slices"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// nameIndex gives every name that an object's keywords know an index.
type nameIndex struct {
	names []string
	index map[string]int
}

func (x *nameIndex) add(name string) int {
	i, ok := x.index[name]
	if !ok {
		i = len(x.names)
		x.index[name] = i
		x.names = append(x.names, name)
	}
	return i
}

func (x *nameIndex) addAll(names []string) {
	for _, name := range names {
		x.add(name)
	}
}

// bits returns the set of names; all of them were added.
func (x *nameIndex) bits(names []string) []uint64 {
	set := make([]uint64, (len(x.names)+63)/64)
	for _, name := range names {
		i := x.index[name]
		set[i>>6] |= 1 << (i & 63)
	}
	return set
}

func (c *compiler) object(n *node, s *santhosh.Schema) {
	o := objectRules{
		fewest: orElse(s.MinProperties, 0), most: orElse(s.MaxProperties, math.MaxInt),
		others: none, nameRule: c.ref(s.PropertyNames), requiredList: s.Required,
	}
	needs := c.needs(s)
	x := &nameIndex{index: map[string]int{}}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		x.add(name)
		o.members = append(o.members, c.ref(s.Properties[name]))
	}
	x.addAll(s.Required)
	for i := range needs {
		needs[i].index = x.add(needs[i].name)
		x.addAll(needs[i].list)
	}
	for len(o.members) < len(x.names) {
		o.members = append(o.members, none)
	}
	o.names = newNameTable(x.names, jsontape.HashName)
	if len(s.Required) > 0 {
		o.required = x.bits(s.Required)
	}
	for i := range needs {
		needs[i].required = x.bits(needs[i].list)
	}
	o.needs = needs
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
	o.walk = len(x.names) > 0 || len(o.patterns) > 0 || o.takesOthers || o.nameRule != none
	o.plain = len(o.patterns) == 0 && o.nameRule == none && len(x.names) > 0 && len(x.names) <= 64
	if o.walk || s.MinProperties != nil || s.MaxProperties != nil {
		n.object = &o
	}
}

// needs collects what the presence of a name asks for, in the order of the
// names.
func (c *compiler) needs(s *santhosh.Schema) []need {
	var needs []need
	for _, name := range slices.Sorted(maps.Keys(s.Dependencies)) {
		switch d := s.Dependencies[name].(type) {
		case []string:
			needs = append(needs, need{name: name, list: d, sub: none, old: true})
		case *santhosh.Schema:
			needs = append(needs, need{name: name, sub: c.ref(d), old: true})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.DependentRequired)) {
		needs = append(needs, need{name: name, list: s.DependentRequired[name], sub: none})
	}
	for _, name := range slices.Sorted(maps.Keys(s.DependentSchemas)) {
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
	for done := 0; done < len(p.sources); {
		c.fillAll()
		for ; done < len(p.nodes); done++ {
			s := p.sources[done]
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
	for i, s := range c.program.sources {
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
