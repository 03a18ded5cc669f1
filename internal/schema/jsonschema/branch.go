package jsonschema

import (
	"cmp"
	"slices"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// branch chooses what to tell of an anyOf or oneOf of which no branch took the
// value: one branch's faults, or one fault that speaks for all branches.
func (c *collector) branch(e *santhosh.ValidationError, keyword string) []leaf {
	branches := make([][]leaf, len(e.Causes))
	for i, cause := range e.Causes {
		branches[i] = slices.Clone(c.collect(cause, e.InstanceLocation))
		sortLeaves(branches[i])
	}
	here := newLeaf(e, keyword, "")
	if len(branches) == 0 {
		return []leaf{here}
	}
	if types, ok := onlyTypes(branches, here.pointer); ok {
		here.expected = strings.Join(types, " or ")
		return []leaf{here}
	}
	if l, ok := noDiscriminator(branches, here); ok {
		return []leaf{l}
	}
	return slices.MinFunc(branches, func(a, b []leaf) int { return rank(a, here).compare(rank(b, here)) })
}

// onlyTypes: every branch wanted nothing but another type.
func onlyTypes(branches [][]leaf, pointer string) (types []string, ok bool) {
	for _, leaves := range branches {
		if len(leaves) != 1 || leaves[0].pointer != pointer {
			return nil, false
		}
		k, isType := leaves[0].err.ErrorKind.(*kind.Type)
		if !isType {
			return nil, false
		}
		for _, t := range k.Want {
			if !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
	}
	return types, true
}

// noDiscriminator: every branch refused the same member by a const or enum,
// not all by the same one, so the member is what tells the branches apart and
// its value is none of theirs. What else the branches found rests on a guess
// and is not told.
func noDiscriminator(branches [][]leaf, here leaf) (leaf, bool) {
	for _, candidate := range branches[0] {
		if !discriminates(candidate, here) {
			continue
		}
		wants, ok := wantedByAll(branches, candidate.pointer, here)
		if own := wanted(candidate); ok && len(wants) > len(own) {
			candidate.keyword = here.keyword
			candidate.expected = oneOf(wants)
			return candidate, true
		}
	}
	return leaf{}, false
}

// wantedByAll collects the different values that the branches want at
// pointer; ok is false if one of them found no fault there.
func wantedByAll(branches [][]leaf, pointer string, here leaf) (wants []any, ok bool) {
	seen := map[string]bool{}
	for _, leaves := range branches {
		i := slices.IndexFunc(leaves, func(l leaf) bool { return l.pointer == pointer && discriminates(l, here) })
		if i < 0 {
			return nil, false
		}
		for _, want := range wanted(leaves[i]) {
			if key := literal(want); !seen[key] {
				seen[key] = true
				wants = append(wants, want)
			}
		}
	}
	return wants, true
}

// discriminates: a const or enum that the value itself, or one of its own
// members, does not meet.
func discriminates(l, here leaf) bool {
	if l.depth > here.depth+1 {
		return false
	}
	switch l.err.ErrorKind.(type) {
	case *kind.Const, *kind.Enum:
		return l.expected == ""
	}
	return false
}

func wanted(l leaf) []any {
	switch k := l.err.ErrorKind.(type) {
	case *kind.Const:
		return []any{k.Want}
	case *kind.Enum:
		return k.Want
	}
	return nil
}

// score orders branches: the sender most likely meant the one whose type is
// right, whose discriminators match, and which has the fewest faults; among
// equals the one whose faults lie deepest, then the first.
type score struct {
	wrongType, constants, enums, faults, depth int
}

func (s score) compare(o score) int {
	return cmp.Or(
		cmp.Compare(s.wrongType, o.wrongType),
		cmp.Compare(s.constants, o.constants),
		cmp.Compare(s.enums, o.enums),
		cmp.Compare(s.faults, o.faults),
		cmp.Compare(o.depth, s.depth),
	)
}

func rank(leaves []leaf, here leaf) score {
	s := score{faults: len(leaves)}
	for _, l := range leaves {
		s.depth = max(s.depth, l.depth)
		if discriminates(l, here) {
			if len(wanted(l)) == 1 {
				s.constants++
			} else {
				s.enums++
			}
		}
		if l.depth == here.depth && (l.keyword == "type" || isFalse(l)) {
			s.wrongType = 1
		}
	}
	return s
}

func isFalse(l leaf) bool {
	_, ok := l.err.ErrorKind.(*kind.FalseSchema)
	return ok
}
