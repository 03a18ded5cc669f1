package program

import "github.com/cxrelay/cxrelay/internal/jsontape"

// skipReferences lets every reference to a node that is nothing but a $ref
// lead to the end of the chain. (Where the way matters, for dynamic
// references, the chain must be walked.)
func (p *Program) skipReferences() {
	to := make([]ref, len(p.nodes))
	for i := range p.nodes {
		to[i] = p.endOfChain(ref(i))
	}
	at := func(r *ref) {
		if *r != none {
			*r = to[*r]
		}
	}
	all := func(list []ref) {
		for i := range list {
			at(&list[i])
		}
	}
	at(&p.root)
	for i := range p.nodes {
		n := &p.nodes[i]
		if o := n.object; o != nil {
			all(o.members)
			at(&o.others)
			at(&o.nameRule)
			for k := range o.patterns {
				at(&o.patterns[k].sub)
			}
			for k := range o.needs {
				at(&o.needs[k].sub)
			}
		}
		if a := n.array; a != nil {
			all(a.first)
			at(&a.rest)
			at(&a.contains)
		}
		if in := n.inPlace; in != nil {
			all(in.allOf)
			all(in.anyOf)
			all(in.oneOf)
			at(&in.ref)
			at(&in.not)
			at(&in.cond)
			at(&in.then)
			at(&in.els)
		}
		if l := n.leftover; l != nil {
			at(&l.members)
			at(&l.items)
		}
	}
}

// endOfChain follows nodes that only refer. A chain that comes back to its
// start, which the lint refuses, ends somewhere on it.
func (p *Program) endOfChain(r ref) ref {
	for range p.nodes {
		n := &p.nodes[r]
		if n.kinds != anyKind || n.inPlace == nil || n.inPlace.ref == none || !n.onlyRef() {
			return r
		}
		r = n.inPlace.ref
	}
	return r
}

func (n *node) onlyRef() bool {
	in := n.inPlace
	return n.values == nil && n.number == nil && n.text == nil && n.object == nil && n.array == nil && n.leftover == nil &&
		in.dynamic == nil && len(in.allOf)+len(in.anyOf)+len(in.oneOf) == 0 && in.not == none && in.cond == none
}

// kindName is the name of a kind in JSON Schema.
func kindName(k jsontape.Kind) string {
	switch k {
	case jsontape.Null:
		return "null"
	case jsontape.False, jsontape.True:
		return "boolean"
	case jsontape.Number:
		return "number"
	case jsontape.String:
		return "string"
	case jsontape.Array:
		return "array"
	default:
		return "object"
	}
}
