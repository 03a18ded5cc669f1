package program

import "github.com/cxrelay/cxrelay/internal/jsontape"

// marks is the set of members or items of one value that were evaluated, for
// unevaluatedProperties and unevaluatedItems (JSON Schema core, 2020-12,
// section 11): an index into run.words, or noMarks where nobody asks.
type marks int

const noMarks marks = -1

func wordsOf(v *jsontape.Node) int { return (int(v.Count) + 63) / 64 }

// borrow returns an empty set for the members or items of v. Sets are given
// back in reverse order.
func (r *run) borrow(v *jsontape.Node) marks {
	at := len(r.words)
	r.borrowWords(wordsOf(v))
	return marks(at)
}

func (r *run) borrowWords(n int) []uint64 {
	at := len(r.words)
	r.steps -= n
	for range n {
		r.words = append(r.words, 0)
	}
	return r.words[at:]
}

func (r *run) giveBack(m marks) { r.words = r.words[:m] }

func (r *run) mark(m marks, k int) {
	if m != noMarks {
		r.words[int(m)+k>>6] |= 1 << (k & 63)
	}
}

func (r *run) marked(m marks, k int) bool { return r.words[int(m)+k>>6]>>(k&63)&1 == 1 }

// addMarks adds what from has to m.
func (r *run) addMarks(m, from marks, v *jsontape.Node) {
	for i := range wordsOf(v) {
		r.words[int(m)+i] |= r.words[int(from)+i]
	}
}

// fillMarks: after unevaluated… held, everything was evaluated.
func (r *run) fillMarks(m marks, v *jsontape.Node) {
	for i := range wordsOf(v) {
		r.words[int(m)+i] = ^uint64(0)
	}
}

// asks reports whether the node wants to know what of v was evaluated.
func (n *node) asks(v *jsontape.Node) bool {
	return n.leftover != nil &&
		(v.Kind == jsontape.Object && n.leftover.members != none || v.Kind == jsontape.Array && n.leftover.items != none)
}

// leftover applies unevaluatedProperties or unevaluatedItems to what is not
// in m.
func (r *run) leftover(n *node, v *jsontape.Node, at uint32, m marks) bool {
	i := at + 1
	for k := range int(v.Count) {
		value, sub := i, n.leftover.items
		if v.Kind == jsontape.Object {
			value, sub = i+1, n.leftover.members
		}
		if !r.marked(m, k) && !r.eval(sub, value, noMarks) {
			return false
		}
		i = r.nodes[value].Next
	}
	return true
}

// enter notes that the way leads into the resource of n, if it is another
// one. The caller takes it off the scope again.
func (r *run) enter(n *node) bool {
	if !r.program.dynamic {
		return false
	}
	if top := len(r.scope) - 1; top >= 0 && r.scope[top] == n.resource {
		return false
	}
	r.scope = append(r.scope, n.resource)
	return true
}

// target is where a dynamic reference leads from here: into the outermost
// resource on the way that has what it asks for.
func (r *run) target(d *dynamicRef) ref {
	if d.targets == nil {
		return d.fallback
	}
	for _, resource := range r.scope {
		if to := d.targets[resource]; to != none {
			return to
		}
	}
	return d.fallback
}
