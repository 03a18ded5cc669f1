package program

import (
	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// inPlace explains what run.inPlace judges.
func (x *explainer) inPlace(in *inPlaceRules, v *jsontape.Node, id ref, at uint32, m marks) []*santhosh.ValidationError {
	if x.depth++; x.depth > maxDepth {
		x.steps = -1
		return nil
	}
	var found []*santhosh.ValidationError
	add := func(e *santhosh.ValidationError) {
		if e != nil {
			found = append(found, e)
		}
	}
	add(x.all(in, v, id, at, m))
	if len(in.anyOf) > 0 {
		add(x.any(in.anyOf, v, id, at, m))
	}
	if len(in.oneOf) > 0 {
		add(x.one(in.oneOf, v, id, at, m))
	}
	if in.not != none && x.branch(in.not, v, at, m) {
		add(x.fault(id, &kind.Not{}))
	}
	if in.cond != none {
		next := in.els
		if x.branch(in.cond, v, at, m) {
			next = in.then
		}
		if next != none {
			add(x.must(next, v, at, m))
		}
	}
	x.depth--
	return found
}

// all explains the schemas that must hold; they are told like one.
func (x *explainer) all(in *inPlaceRules, v *jsontape.Node, id ref, at uint32, m marks) *santhosh.ValidationError {
	var found []*santhosh.ValidationError
	try := func(sub ref) {
		if x.full(found) {
			return
		}
		if e := x.must(sub, v, at, m); e != nil {
			found = append(found, e)
		}
	}
	if in.ref != none {
		try(in.ref)
	}
	if in.dynamic != nil {
		try(x.target(in.dynamic))
	}
	for _, sub := range in.allOf {
		try(sub)
	}
	if len(found) == 0 {
		return nil
	}
	return x.group(id, &kind.AllOf{}, found)
}

// must explains a schema that must hold. If it does not, it has evaluated
// nothing, so that unevaluated… is told of what it is about as well.
func (x *explainer) must(sub ref, v *jsontape.Node, at uint32, m marks) *santhosh.ValidationError {
	if m == noMarks {
		return x.node(sub, at, noMarks)
	}
	own := x.borrow(v)
	e := x.node(sub, at, own)
	if e == nil {
		x.addMarks(m, own, v)
	}
	x.giveBack(own)
	return e
}

// any explains anyOf: why no branch holds.
func (x *explainer) any(branches []ref, v *jsontape.Node, id ref, at uint32, m marks) *santhosh.ValidationError {
	if x.run.any(branches, v, at, m) {
		return nil
	}
	return x.group(id, &kind.AnyOf{}, x.branches(branches, at))
}

// one explains oneOf: why no branch holds, or which two.
func (x *explainer) one(branches []ref, v *jsontape.Node, id ref, at uint32, m marks) *santhosh.ValidationError {
	var matched []int
	for i, sub := range branches {
		if !x.branch(sub, v, at, m) {
			continue
		}
		if matched = append(matched, i); len(matched) == 2 {
			return x.fault(id, &kind.OneOf{Subschemas: matched})
		}
	}
	if len(matched) == 1 {
		return nil
	}
	return x.group(id, &kind.OneOf{}, x.branches(branches, at))
}

// branches explains branches of which none holds. What they evaluated is of
// no use, so no marks are made.
func (x *explainer) branches(branches []ref, at uint32) []*santhosh.ValidationError {
	causes := make([]*santhosh.ValidationError, 0, len(branches))
	for _, sub := range branches {
		if e := x.node(sub, at, noMarks); e != nil {
			causes = append(causes, e)
		}
		if x.steps < 0 {
			break
		}
	}
	return causes
}
