package program

import (
	"slices"
	"strconv"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// maxFaults is how many faults an explanation collects. The members and items
// after that are not looked at: nobody reads them, and a payload could have as
// many as it has bytes.
const maxFaults = 1000

// maxKnown is of how many places an explanation remembers what it found, so
// that its memory stays within a few megabytes. Without it the budget still
// holds.
const maxKnown = 1 << 16

// Explain says what is wrong with a payload that Check refused, as the tree
// of errors that the library would have made: the same kinds, the same
// places, in the order of the payload. A subtree may stand in the tree more
// than once. The error is ErrBudget where finding all faults costs more than
// finding the first; a nil tree with a nil error means valid.
func (p *Program) Explain(doc *jsontape.Doc) (*santhosh.ValidationError, error) {
	if len(doc.Nodes()) == 0 {
		return nil, errNotParsed
	}
	r := p.runs.Get().(*run)
	r.begin(doc)
	x := &explainer{run: r, known: map[place]*santhosh.ValidationError{}}
	tree := x.node(p.root, 0, noMarks)
	spent := r.steps < 0
	r.release()
	p.runs.Put(r)
	if spent {
		return nil, ErrBudget
	}
	return tree, nil
}

// explainer walks a program as run does, but goes on after a fault. For what
// only needs a verdict it uses eval.
type explainer struct {
	*run
	path   []string
	faults int
	known  map[place]*santhosh.ValidationError // of nodes with branches; so that each is explained once
}

// place is a node applied to a value.
type place struct {
	id ref
	at uint32
}

// full reports whether enough faults are known not to look for more.
func (x *explainer) full(found []*santhosh.ValidationError) bool {
	return x.steps < 0 || len(found) > 0 && x.faults >= maxFaults
}

func (x *explainer) fault(id ref, k santhosh.ErrorKind) *santhosh.ValidationError {
	x.faults++
	return &santhosh.ValidationError{
		SchemaURL:        x.program.sources[id].location,
		InstanceLocation: slices.Clone(x.path),
		ErrorKind:        k,
	}
}

// group is several faults of one node, nil for none.
func (x *explainer) group(id ref, k santhosh.ErrorKind, causes []*santhosh.ValidationError) *santhosh.ValidationError {
	e := x.fault(id, k)
	x.faults--
	e.Causes = causes
	return e
}

// node returns what is wrong with the value at index at under the node at
// index id, or nil. m is as in eval.
func (x *explainer) node(id ref, at uint32, m marks) *santhosh.ValidationError {
	if x.steps--; x.steps < 0 {
		return nil
	}
	n, v := &x.program.nodes[id], &x.nodes[at]
	here := place{id, at}
	remember := n.inPlace != nil && m == noMarks && !x.program.dynamic
	if remember {
		if e, ok := x.known[here]; ok {
			return e
		}
	}
	entered := x.enter(n)
	e := x.nodeHere(n, v, id, at, m)
	if entered {
		x.scope = x.scope[:len(x.scope)-1]
	}
	if remember && len(x.known) < maxKnown {
		x.known[here] = e
	}
	return e
}

// nodeHere is node in the right scope. A wrong type, constant or format ends
// the check of a value, as what else is wrong follows from it.
func (x *explainer) nodeHere(n *node, v *jsontape.Node, id ref, at uint32, m marks) *santhosh.ValidationError {
	if n.kinds == 0 {
		return x.fault(id, &kind.FalseSchema{})
	}
	if n.kinds>>v.Kind&1 == 0 || v.Kind == jsontape.Number && n.integerOnly && !isInteger(x.raw[v.Off:v.End], v.Flags) {
		return x.fault(id, &kind.Type{Got: kindName(v.Kind), Want: x.program.sources[id].types.ToStrings()})
	}
	for set := n.values; set != nil; set = set.also {
		if x.contains(set, at) {
			continue
		}
		if set.single {
			return x.fault(id, &kind.Const{Want: set.want[0]})
		}
		return x.fault(id, &kind.Enum{Want: set.want})
	}
	if t := n.text; t != nil && t.format != nil && v.Kind == jsontape.String && !t.format.allows(x.text(v, at)) {
		return x.fault(id, &kind.Format{Want: t.format.name, Err: errFormat})
	}
	own := m
	if n.asks(v) {
		own = x.borrow(v)
	}
	found := x.ofKind(n, v, id, at, own)
	if n.inPlace != nil && !x.full(found) {
		found = append(found, x.inPlace(n.inPlace, v, id, at, own)...)
	}
	if n.asks(v) {
		if !x.full(found) {
			found = append(found, x.leftover(n, v, at, own)...)
		}
		if m != noMarks {
			x.fillMarks(m, v)
		}
		x.giveBack(own)
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return found[0]
	}
	return x.group(id, &kind.Group{}, found)
}

func (x *explainer) ofKind(n *node, v *jsontape.Node, id ref, at uint32, m marks) []*santhosh.ValidationError {
	switch {
	case v.Kind == jsontape.Number && n.number != nil:
		return x.number(n.number, v, id)
	case v.Kind == jsontape.String && n.text != nil:
		return x.string(n.text, v, id, at)
	case v.Kind == jsontape.Object && n.object != nil:
		return x.object(n.object, v, id, at, m)
	case v.Kind == jsontape.Array && n.array != nil:
		return x.array(n.array, v, id, at, m)
	}
	return nil
}

// child explains a member or an item.
func (x *explainer) child(sub ref, at uint32, token string) *santhosh.ValidationError {
	x.path = append(x.path, token)
	e := x.node(sub, at, noMarks)
	x.path = x.path[:len(x.path)-1]
	return e
}

func (x *explainer) leftover(n *node, v *jsontape.Node, at uint32, m marks) []*santhosh.ValidationError {
	var found []*santhosh.ValidationError
	i := at + 1
	for k := range int(v.Count) {
		value, sub, token := i, n.leftover.items, strconv.Itoa(k)
		if v.Kind == jsontape.Object {
			value, sub, token = i+1, n.leftover.members, string(x.text(&x.nodes[i], i))
			x.steps -= len(token) / textPerStep
		}
		if !x.marked(m, k) {
			if e := x.child(sub, value, token); e != nil {
				found = append(found, e)
			}
			if x.full(found) {
				break
			}
		}
		i = x.nodes[value].Next
	}
	return found
}
