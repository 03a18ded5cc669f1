package program

import "github.com/cxrelay/cxrelay/internal/jsontape"

// inPlace is the verdict of the keywords that apply other schemas to the same
// value. A schema that must hold shares m with the node itself, since m is
// lost anyway if it does not; a branch that may fail has marks of its own,
// which are added if it holds.
func (r *run) inPlace(in *inPlaceRules, v *jsontape.Node, at uint32, m marks) bool {
	if r.depth++; r.depth > maxDepth {
		r.steps = -1
		return false
	}
	ok := r.all(in, at, m) && r.any(in.anyOf, v, at, m) && r.one(in.oneOf, v, at, m) &&
		(in.not == none || !r.eval(in.not, at, noMarks)) && r.conditional(in, v, at, m)
	r.depth--
	return ok
}

// all: $ref, its dynamic relatives, and allOf.
func (r *run) all(in *inPlaceRules, at uint32, m marks) bool {
	if in.ref != none && !r.eval(in.ref, at, m) {
		return false
	}
	if in.dynamic != nil && !r.eval(r.target(in.dynamic), at, m) {
		return false
	}
	for _, sub := range in.allOf {
		if !r.eval(sub, at, m) {
			return false
		}
	}
	return true
}

// any: anyOf. Where marks are wanted every branch is tried.
func (r *run) any(branches []ref, v *jsontape.Node, at uint32, m marks) bool {
	if len(branches) == 0 {
		return true
	}
	ok := false
	for _, sub := range branches {
		if r.branch(sub, v, at, m) {
			if ok = true; m == noMarks {
				return true
			}
		}
	}
	return ok
}

// one: oneOf.
func (r *run) one(branches []ref, v *jsontape.Node, at uint32, m marks) bool {
	if len(branches) == 0 {
		return true
	}
	matched := 0
	for _, sub := range branches {
		if r.branch(sub, v, at, m) {
			if matched++; matched > 1 {
				return false
			}
		}
	}
	return matched == 1
}

// conditional: if, then, else.
func (r *run) conditional(in *inPlaceRules, v *jsontape.Node, at uint32, m marks) bool {
	if in.cond == none {
		return true
	}
	next := in.els
	if r.branch(in.cond, v, at, m) {
		next = in.then
	}
	return next == none || r.eval(next, at, m)
}

// branch applies a schema that may fail.
func (r *run) branch(sub ref, v *jsontape.Node, at uint32, m marks) bool {
	if m == noMarks {
		return r.eval(sub, at, noMarks)
	}
	own := r.borrow(v)
	ok := r.eval(sub, at, own)
	if ok {
		r.addMarks(m, own, v)
	}
	r.giveBack(own)
	return ok
}
