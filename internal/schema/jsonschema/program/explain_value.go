package program

import (
	"errors"
	"math/big"
	"strconv"
	"unicode/utf8"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

var errFormat = errors.New("not of that format")

func (x *explainer) number(rules *numberRules, v *jsontape.Node, id ref) []*santhosh.ValidationError {
	var found []*santhosh.ValidationError
	x.steps -= textSteps(v)
	d := ParseDecimal(x.raw[v.Off:v.End])
	var got *big.Rat // what was sent is told from the payload
	for i := range rules.bounds {
		b := &rules.bounds[i]
		if !b.order.holds(d.compare(&b.at)) {
			found = append(found, x.fault(id, b.order.fault(got, b.rat)))
		}
	}
	for i := range rules.divisors {
		if m := &rules.divisors[i]; !m.divides(&d) {
			found = append(found, x.fault(id, &kind.MultipleOf{Got: got, Want: m.rat}))
		}
	}
	return found
}

func (k boundKind) fault(got, want *big.Rat) santhosh.ErrorKind {
	switch k {
	case minimum:
		return &kind.Minimum{Got: got, Want: want}
	case exclusiveMinimum:
		return &kind.ExclusiveMinimum{Got: got, Want: want}
	case maximum:
		return &kind.Maximum{Got: got, Want: want}
	default:
		return &kind.ExclusiveMaximum{Got: got, Want: want}
	}
}

func (x *explainer) string(t *textRules, v *jsontape.Node, id ref, at uint32) []*santhosh.ValidationError {
	var found []*santhosh.ValidationError
	b := x.text(v, at)
	x.steps -= len(b) / textPerStep
	length := utf8.RuneCountInString(view(b))
	if length < t.shortest {
		found = append(found, x.fault(id, &kind.MinLength{Got: length, Want: t.shortest}))
	}
	if length > t.longest {
		found = append(found, x.fault(id, &kind.MaxLength{Got: length, Want: t.longest}))
	}
	if t.pattern != nil && !t.pattern.match(b) {
		found = append(found, x.fault(id, &kind.Pattern{Got: string(b), Want: t.patternText}))
	}
	return found
}

func (x *explainer) array(a *arrayRules, v *jsontape.Node, id ref, at uint32, m marks) []*santhosh.ValidationError {
	var found []*santhosh.ValidationError
	count := int(v.Count)
	if count < a.fewest {
		found = append(found, x.fault(id, &kind.MinItems{Got: count, Want: a.fewest}))
	}
	if count > a.most {
		found = append(found, x.fault(id, &kind.MaxItems{Got: count, Want: a.most}))
	}
	if a.closed && count > len(a.first) {
		found = append(found, x.fault(id, &kind.AdditionalItems{Count: count - len(a.first)}))
	}
	if a.unique && count > 1 {
		if first, second, ok := x.unique(at); !ok {
			found = append(found, x.fault(id, &kind.UniqueItems{Duplicates: [2]int{first, second}}))
		}
	}
	x.steps -= count
	var matched []int
	i := at + 1
	for k := range count {
		sub := a.rest
		if k < len(a.first) {
			sub = a.first[k]
		}
		if sub != none && !x.full(found) {
			if e := x.child(sub, i, strconv.Itoa(k)); e != nil {
				found = append(found, e)
			}
		}
		taken := a.takesRest || k < len(a.first)
		if a.contains != none && x.eval(a.contains, i, noMarks) {
			matched = append(matched, k)
			taken = taken || a.containsCounts
		}
		if taken {
			x.mark(m, k)
		}
		i = x.nodes[i].Next
	}
	return append(found, x.contained(a, id, matched)...)
}

func (x *explainer) contained(a *arrayRules, id ref, matched []int) []*santhosh.ValidationError {
	var found []*santhosh.ValidationError
	switch {
	case a.contains == none:
		return nil
	case a.countGiven && len(matched) < a.least:
		found = append(found, x.fault(id, &kind.MinContains{Got: matched, Want: a.least}))
	case !a.countGiven && len(matched) == 0:
		found = append(found, x.fault(id, &kind.Contains{}))
	}
	if a.atMost >= 0 && len(matched) > a.atMost {
		found = append(found, x.fault(id, &kind.MaxContains{Got: matched, Want: a.atMost}))
	}
	return found
}
