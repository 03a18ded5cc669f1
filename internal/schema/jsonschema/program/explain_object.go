package program

import (
	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

func (x *explainer) object(o *objectRules, v *jsontape.Node, id ref, at uint32, m marks) []*santhosh.ValidationError {
	var found []*santhosh.ValidationError
	count := int(v.Count)
	if count < o.fewest {
		found = append(found, x.fault(id, &kind.MinProperties{Got: count, Want: o.fewest}))
	}
	if count > o.most {
		found = append(found, x.fault(id, &kind.MaxProperties{Got: count, Want: o.most}))
	}
	seen := make([]uint64, (len(o.names.names)+63)/64)
	found = append(found, x.members(o, v, id, at, m, seen)...)
	if missing := absent(o, o.requiredList, seen); missing != nil {
		found = append(found, x.fault(id, &kind.Required{Missing: missing}))
	}
	for i := range o.needs {
		d := &o.needs[i]
		if seen[d.index>>6]>>(d.index&63)&1 == 0 || x.full(found) {
			continue
		}
		if d.sub != none {
			if e := x.must(d.sub, v, at, m); e != nil {
				found = append(found, e)
			}
		} else if missing := absent(o, d.list, seen); missing != nil {
			found = append(found, x.fault(id, d.fault(missing)))
		}
	}
	return found
}

func (d *need) fault(missing []string) santhosh.ErrorKind {
	if d.old {
		return &kind.Dependency{Prop: d.name, Missing: missing}
	}
	return &kind.DependentRequired{Prop: d.name, Missing: missing}
}

// absent returns the names of the list that were not seen.
func absent(o *objectRules, list []string, seen []uint64) []string {
	var missing []string
	for _, name := range list {
		if i := o.names.find([]byte(name), jsontape.HashName(name)); seen[i>>6]>>(i&63)&1 == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}

func (x *explainer) members(o *objectRules, v *jsontape.Node, id ref, at uint32, m marks, seen []uint64) []*santhosh.ValidationError {
	var found, names []*santhosh.ValidationError
	var unwanted []string
	i := at + 1
	x.steps -= int(v.Count)
	for k := range int(v.Count) {
		name := string(x.text(&x.nodes[i], i))
		x.steps -= len(name) / textPerStep
		taken := false
		try := func(sub ref) {
			taken = true
			if x.full(found) {
				return
			}
			if e := x.child(sub, i+1, name); e != nil {
				found = append(found, e)
			}
		}
		if index := o.names.find([]byte(name), x.nodes[i].Hash()); index >= 0 {
			seen[index>>6] |= 1 << (index & 63)
			if sub := o.members[index]; sub != none {
				try(sub)
			}
		}
		for p := range o.patterns {
			if x.steps -= 1 + len(name)/textPerStep; o.patterns[p].pattern.match([]byte(name)) {
				try(o.patterns[p].sub)
			}
		}
		if !taken && o.takesOthers {
			taken = true
			if o.others != none {
				try(o.others)
			} else if o.closed && len(unwanted) < maxFaults {
				unwanted = append(unwanted, name)
			}
		}
		if o.nameRule != none && !x.full(names) {
			if e := x.name(o.nameRule, id, i, name); e != nil {
				names = append(names, e)
			}
		}
		if taken {
			x.mark(m, k)
		}
		i = x.nodes[i+1].Next
	}
	if len(unwanted) > 0 {
		found = append(found, x.fault(id, &kind.AdditionalProperties{Properties: unwanted}))
	}
	return append(found, names...)
}

// name explains propertyNames for one name, which is a value of its own.
func (x *explainer) name(sub, id ref, at uint32, name string) *santhosh.ValidationError {
	outer := x.path
	x.path = nil
	cause := x.node(sub, at, noMarks)
	x.path = outer
	if cause == nil {
		return nil
	}
	e := x.group(id, &kind.PropertyNames{Property: name}, []*santhosh.ValidationError{cause})
	e.SchemaURL = x.program.sources[sub].location
	return e
}
