package jsonschema

import "fmt"

// maxVisits bounds how many schemas may be applied to one value of a payload
// through branches that do not recurse. Thirty definitions, each an allOf of
// the one before taken twice, would apply 2^30.
const maxVisits = 10_000

// RecursionError says that the cost of applying a schema has no sensible
// bound, and where in the schema the reason stands. The library has no work
// budget: with a recursive anyOf of two branches, 109 bytes cost 7 s of CPU.
type RecursionError struct {
	Location string // fragment of the schema, such as "#/definitions/node/anyOf/1"
	Reason   string
	Declined string // what keeps the fast path, which has a budget, from taking the schema; "" if nothing could
}

func (e *RecursionError) Error() string {
	text := fmt.Sprintf("%s at %s", e.Reason, e.Location)
	if e.Declined != "" {
		text += "; the evaluator that counts its steps does not take " + e.Declined
	}
	return text
}

// cost is what the lint found out about a graph.
type cost struct {
	endless   *RecursionError // nothing may apply the schema
	unbounded *RecursionError // nothing without a work budget may
	visits    int             // if neither: how many schemas are applied to one value at most
}

// warnings is what an author should know of a schema that only the program
// may run.
func (c *cost) warnings() []string {
	if c.unbounded == nil {
		return nil
	}
	return []string{c.unbounded.Error() + "; a payload that spends the work budget is answered too_complex"}
}

// lint looks for one value of a payload that could be visited a number of
// times that grows exponentially with its depth or with the size of the
// schema. The rules, in the terms of the graph's strongly connected
// components (the sets of schemas that recurse into each other):
//
//  1. no in-place applicator leads from a component into itself;
//  2. no two edges that can meet the same value lead from one schema of a
//     component back into it;
//  3. no schema returns to itself without going into the payload;
//  4. all ways that do not recurse apply at most maxVisits schemas to a value.
//
// By 1 and 2 a component visits a value at most once per schema. DESIGN.md
// has the argument. A graph against rule 3 has no meaning and is never used;
// one against another rule costs too much without a budget.
func (g *graph) lint() cost {
	if e := g.emptyCycle(); e != nil {
		return cost{endless: e}
	}
	count := g.components()
	var c cost
	keep := func(e *RecursionError) {
		if e != nil && (c.unbounded == nil || e.Location < c.unbounded.Location) {
			c.unbounded = e
		}
	}
	for _, n := range g.nodes {
		if n.schema != nil {
			keep(applicatorCycle(n))
			keep(overlappingCycles(n))
		}
	}
	if c.unbounded == nil {
		c.visits, c.unbounded = g.countVisits(count)
	}
	return c
}

func recursion(n *node, format string, args ...any) *RecursionError {
	return &RecursionError{Location: localNames(n.schema.Location), Reason: fmt.Sprintf(format, args...)}
}

// recurses: the edge leads back into the set of schemas that n recurses with.
func (n *node) recurses(e edge) bool { return e.to.component == n.component }

// applicatorCycle is rule 1.
func applicatorCycle(n *node) *RecursionError {
	for _, e := range n.edges {
		if e.step == toSelf && n.recurses(e) {
			return recursion(e.to, "the schema recurses through %s, and the cost of that has no bound,", e.keyword)
		}
	}
	return nil
}

// overlappingCycles is rule 2.
func overlappingCycles(n *node) *RecursionError {
	var back []edge
	for _, e := range n.edges {
		if n.recurses(e) {
			back = append(back, e)
		}
	}
	if p := overlap(back); p != nil {
		return recursion(n, "the schema recurses through %s and %s into the same values, and the cost of that has no bound,", p[0], p[1])
	}
	return nil
}

// overlap returns the keywords of two edges that can meet the same value. It
// is linear for everything but names against patterns.
func overlap(edges []edge) []string {
	var element, anyElement, ref *edge
	var patterns []edge
	for i := range edges {
		e := &edges[i]
		if ref != nil {
			return []string{ref.keyword, e.keyword}
		}
		switch e.step {
		case toSelfByRef:
			if i > 0 {
				return []string{e.keyword, edges[0].keyword}
			}
			ref = e
		case toMatching:
			patterns = append(patterns, *e)
		case toElement:
			element = e
		case toAnyElement:
			anyElement = e
		}
	}
	switch {
	case element != nil && anyElement != nil:
		return []string{anyElement.keyword, element.keyword}
	case len(patterns) > 1:
		return []string{"patternProperties", "another of its patterns"}
	case len(patterns) == 1:
		for _, e := range edges {
			if e.step == toMember && patterns[0].pattern.MatchString(e.name) {
				return []string{"properties", "patternProperties"}
			}
		}
	}
	return nil
}

// emptyCycle is rule 3. Only static edges: what a hub stands for is more than
// what can happen. A dynamic reference that does come back to its start makes
// Check return an error.
func (g *graph) emptyCycle() *RecursionError {
	var worst *RecursionError
	var visit func(n *node)
	visit = func(n *node) {
		n.visit = open
		for _, e := range n.edges {
			if e.step != toSelfByRef && e.step != toSelf || e.to.schema == nil {
				continue
			}
			switch e.to.visit {
			case unseen:
				visit(e.to)
			case open:
				found := recursion(e.to, "%s leads back to its start without going into the payload", e.keyword)
				if worst == nil || found.Location < worst.Location {
					worst = found
				}
			}
		}
		n.visit = done
	}
	for _, n := range g.nodes {
		if n.schema != nil && n.visit == unseen {
			visit(n)
		}
	}
	return worst
}

// components finds the strongly connected components (Tarjan) and numbers
// them so that every edge leads to the same or a lower number.
func (g *graph) components() int {
	s := search{}
	for _, n := range g.nodes {
		if n.index == 0 {
			s.visit(n)
		}
	}
	return s.count
}

type search struct {
	next, count int
	stack       []*node
}

func (s *search) visit(n *node) {
	s.next++
	n.index, n.low, n.onStack = s.next, s.next, true
	s.stack = append(s.stack, n)
	for _, e := range n.edges {
		if e.to.index == 0 {
			s.visit(e.to)
			n.low = min(n.low, e.to.low)
		} else if e.to.onStack {
			n.low = min(n.low, e.to.index)
		}
	}
	if n.low != n.index {
		return
	}
	for {
		top := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		top.onStack = false
		top.component = s.count
		if top == n {
			break
		}
	}
	s.count++
}

// countVisits is rule 4. cost[c] bounds the schemas that component c, and
// what it leads to, apply along one way down an instance: branches on the
// same value add up, branches into different parts do not.
func (g *graph) countVisits(count int) (visits int, _ *RecursionError) {
	members := make([][]*node, count)
	for _, n := range g.nodes {
		members[n.component] = append(members[n.component], n)
	}
	cost := make([]int, count)
	for c, nodes := range members {
		for _, n := range nodes {
			own := n.visits(cost)
			if own > maxVisits && n.schema != nil {
				return 0, recursion(n, "the branches of the schema apply more than %d schemas to one value", maxVisits)
			}
			cost[c] = max(cost[c], own)
			visits = max(visits, own)
		}
	}
	return visits, nil
}

// visits needs the costs of all lower components; edges inside the component
// count nothing.
func (n *node) visits(cost []int) int {
	var inPlace, target, matching, member, element, anyElement int
	for _, e := range n.edges {
		if e.to.component == n.component {
			continue
		}
		c := cost[e.to.component]
		switch e.step {
		case toSelfByRef, toSelf:
			inPlace += c
			target = max(target, c)
		case toMember, toOthers, toName:
			member = max(member, c)
		case toMatching:
			matching += c
		case toElement:
			element = max(element, c)
		case toAnyElement:
			anyElement += c
		}
	}
	if n.schema == nil { // a hub stands for one of its targets
		return target
	}
	total := 1 + inPlace + max(member+matching, element+anyElement)
	return min(total, maxVisits+1)
}
