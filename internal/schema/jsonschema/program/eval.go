package program

import "github.com/cxrelay/cxrelay/internal/jsontape"

// eval applies the node at index id to the value at index at and reports
// whether it is valid. What the node and those applied in place beside it
// evaluate of the value's members or items, it adds to m, if anybody asks. After a
// false, m is of no use. It stops at the first fault; explain finds them all.
func (r *run) eval(id ref, at uint32, m marks) bool {
	if r.steps--; r.steps < 0 {
		return false
	}
	n, v := &r.program.nodes[id], &r.nodes[at]
	switch t := n.tasks[v.Kind&7]; t {
	case taskNone:
		return true
	case taskMore:
		return r.keywords(n, v, at, m)
	default:
		return r.apply(t, n, v, at, m)
	}
}

// apply does one task of n with v. Its callers, the inner loops of a check,
// see to taskNone and taskMore themselves: there a call that only leads to the
// next one counts.
func (r *run) apply(t task, n *node, v *jsontape.Node, at uint32, m marks) bool {
	switch t {
	case taskRefuse:
		return false
	case taskInteger:
		if i, short := shortInt(r.raw[v.Off:v.End], v.Flags); short {
			return i >= n.number.lowest && i <= n.number.highest
		}
		r.steps -= textSteps(v) // a literal may have 1000 digits
		return n.allows(r.raw[v.Off:v.End], v.Flags)
	case taskNumber:
		r.steps -= textSteps(v)
		return n.allows(r.raw[v.Off:v.End], v.Flags)
	case taskLength:
		return n.text.surely(int(v.End-v.Off), n.text.sureEscaped) || r.textAllows(n.text, v, at)
	case taskFormat:
		if v.Flags&jsontape.Escaped == 0 {
			r.steps -= textSteps(v)
			return n.text.format.check(view(r.raw[v.Off:v.End]))
		}
		return r.textAllows(n.text, v, at)
	case taskText:
		return r.textAllows(n.text, v, at)
	case taskObject:
		return r.object(n.object, v, at, m)
	case taskArray:
		return r.array(n.array, v, at, m)
	case taskValue:
		return r.contains(n.values, at)
	case taskMarked:
		return r.evalSlow(n, v, at, m)
	}
	return r.keywords(n, v, at, m)
}

// evalSlow is eval for nodes that need more than their keywords: those that
// ask what was evaluated, and all nodes where the way matters.
func (r *run) evalSlow(n *node, v *jsontape.Node, at uint32, m marks) bool {
	entered := r.enter(n)
	var ok bool
	if n.asks(v) {
		own := r.borrow(v)
		ok = r.keywords(n, v, at, own) && r.leftover(n, v, at, own)
		if ok && m != noMarks {
			r.fillMarks(m, v)
		}
		r.giveBack(own)
	} else {
		ok = r.keywords(n, v, at, m)
	}
	if entered {
		r.scope = r.scope[:len(r.scope)-1]
	}
	return ok
}

// keywords is the verdict of everything but the kind and unevaluated….
func (r *run) keywords(n *node, v *jsontape.Node, at uint32, m marks) bool {
	switch v.Kind {
	case jsontape.Number:
		if n.number != nil || n.integerOnly {
			r.steps -= textSteps(v) // a literal may have 1000 digits
			if !n.allows(r.raw[v.Off:v.End], v.Flags) {
				return false
			}
		}
	case jsontape.String:
		if n.text != nil && !r.textAllows(n.text, v, at) {
			return false
		}
	case jsontape.Object:
		if n.object != nil && !r.object(n.object, v, at, m) {
			return false
		}
	case jsontape.Array:
		if n.array != nil && !r.array(n.array, v, at, m) {
			return false
		}
	}
	if set := n.values; set != nil && (!r.contains(set, at) || set.also != nil && !r.contains(set.also, at)) {
		return false
	}
	return n.inPlace == nil || r.inPlace(n.inPlace, v, at, m)
}

// object is the verdict of the keywords about objects.
func (r *run) object(o *objectRules, v *jsontape.Node, at uint32, m marks) bool {
	count := int(v.Count)
	if count < o.fewest || count > o.most || r.steps < 0 {
		return false
	}
	if !o.walk {
		return true
	}
	var few [4]uint64
	seen, base := few[:], len(r.words)
	if len(o.names.names) > 64*len(few) {
		seen = r.borrowWords((len(o.names.names) + 63) / 64)
	}
	ok := r.members(o, v, at, m, seen) && holds(o.required, seen)
	for i := range o.needs {
		if !ok {
			break
		}
		d := &o.needs[i]
		if seen[d.index>>6]>>(d.index&63)&1 == 1 {
			ok = holds(d.required, seen) && (d.sub == none || r.eval(d.sub, at, m))
		}
	}
	r.words = r.words[:base]
	return ok
}

// holds reports whether seen has all bits of want.
func holds(want, seen []uint64) bool {
	for i, w := range want {
		if seen[i]&w != w {
			return false
		}
	}
	return true
}

// members looks at every member, and sets the bits of the known names.
func (r *run) members(o *objectRules, v *jsontape.Node, at uint32, m marks, seen []uint64) bool {
	r.steps -= int(v.Count)
	if o.plain && m == noMarks {
		return r.plainMembers(o, int(v.Count), at, seen)
	}
	i := at + 1
	for k := range int(v.Count) {
		name := &r.nodes[i]
		key := r.text(name, i)
		taken := false
		if index := o.names.find(key, name.Hash()); index >= 0 {
			seen[index>>6] |= 1 << (index & 63)
			if sub := o.members[index]; sub != none {
				taken = true
				if !r.eval(sub, i+1, noMarks) {
					return false
				}
			}
		}
		for p := range o.patterns {
			if r.steps -= 1 + len(key)/textPerStep; o.patterns[p].pattern.match(r.text(name, i)) {
				taken = true
				if !r.eval(o.patterns[p].sub, i+1, noMarks) {
					return false
				}
			}
		}
		if !taken && o.takesOthers {
			taken = true
			if o.closed || o.others != none && !r.eval(o.others, i+1, noMarks) {
				return false
			}
		}
		if o.nameRule != none && !r.eval(o.nameRule, i, noMarks) {
			return false
		}
		if taken {
			r.mark(m, k)
		}
		i = r.nodes[i+1].Next
	}
	return true
}

// plainMembers is members for an object of properties and
// additionalProperties alone, where nobody asks what was evaluated. Most
// objects are such, and most of a check is spent here.
func (r *run) plainMembers(o *objectRules, count int, at uint32, seen []uint64) bool {
	r.steps -= count // for the schemas; object and array test the budget
	nodes, names, known := r.nodes, &o.names, uint64(0)
	for i := at + 1; count > 0; count-- {
		name, value := &nodes[i], &nodes[i+1]
		s, sub := names.slot(name.Hash()), o.other
		if name.Flags&jsontape.Escaped != 0 || !s.is(r.raw, int(name.Off), int(name.End-name.Off)) {
			s = names.search(r.text(name, i), name.Hash())
		}
		if s != nil {
			known |= 1 << ((s.index - 1) & 63)
			sub = s.sub
		}
		if sub == nil {
			if o.closed {
				return false
			}
			i = value.Next
			continue
		}
		switch t := sub.tasks[value.Kind&7]; t {
		case taskNone:
		case taskMore:
			if !r.keywords(sub, value, i+1, noMarks) {
				return false
			}
		default:
			if !r.apply(t, sub, value, i+1, noMarks) {
				return false
			}
		}
		i = value.Next
	}
	seen[0] = known
	return true
}

// array is the verdict of the keywords about arrays.
func (r *run) array(a *arrayRules, v *jsontape.Node, at uint32, m marks) bool {
	count := int(v.Count)
	if r.steps < 0 || count < a.fewest || count > a.most || a.closed && count > len(a.first) {
		return false
	}
	if a.unique && count > 1 {
		if _, _, ok := r.unique(at); !ok {
			return false
		}
	}
	if !a.walk && m == noMarks {
		return true
	}
	r.steps -= count
	if a.plain && m == noMarks {
		return r.plainItems(a.rest, count, at)
	}
	matched, i := 0, at+1
	for k := range count {
		sub := a.rest
		if k < len(a.first) {
			sub = a.first[k]
		}
		if sub != none && !r.eval(sub, i, noMarks) {
			return false
		}
		taken := a.takesRest || k < len(a.first)
		if a.contains != none && r.eval(a.contains, i, noMarks) {
			matched++
			taken = taken || a.containsCounts
		}
		if taken {
			r.mark(m, k)
		}
		i = r.nodes[i].Next
	}
	return a.contains == none || matched >= a.least && (a.atMost < 0 || matched <= a.atMost)
}

// plainItems applies one schema to every item, as plainMembers does.
func (r *run) plainItems(id ref, count int, at uint32) bool {
	n := &r.program.nodes[id]
	for i := at + 1; count > 0; count-- {
		v := &r.nodes[i]
		switch t := n.tasks[v.Kind&7]; t {
		case taskNone:
		case taskMore:
			if !r.keywords(n, v, i, noMarks) {
				return false
			}
		default:
			if !r.apply(t, n, v, i, noMarks) {
				return false
			}
		}
		i = v.Next
	}
	return true
}
