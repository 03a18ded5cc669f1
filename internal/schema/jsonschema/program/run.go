package program

import (
	"bytes"
	"unicode/utf8"
	"unsafe"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// run is one check: the payload, the work that is left, and scratch memory
// that is kept for the next one. Not safe for concurrent use.
type run struct {
	program *Program
	doc     *jsontape.Doc
	nodes   []jsontape.Node
	raw     []byte
	steps   int // left; below zero the verdict means nothing
	depth   int // of schemas applied in place

	words   []uint64 // sets of members and items, a stack
	scope   []int32  // schema resources entered, outermost first
	decoded []byte   // the last string with escapes
	keys    []byte   // canonical forms
	order   []uint32 // members being sorted, a stack
	slots   []uniqueSlot
	round   uint32
}

// maxDepth bounds the recursion through schemas applied to one and the same
// value, and so the stack.
const maxDepth = 20_000

func (r *run) begin(doc *jsontape.Doc) {
	r.doc, r.nodes, r.raw = doc, doc.Nodes(), doc.Raw()
	r.steps, r.depth = r.program.Budget(len(r.nodes), len(r.raw)), 0
}

func (r *run) check(doc *jsontape.Doc) (valid bool, steps int, err error) {
	r.begin(doc)
	budget := r.steps
	valid = r.eval(r.program.root, 0, noMarks)
	if r.steps < 0 {
		return false, budget, ErrBudget
	}
	return valid, budget - r.steps, nil
}

// kept is how many bytes of each kind of scratch memory a run keeps, so that
// one large payload does not stay in memory for ever.
const kept = 16 << 10

func (r *run) release() {
	r.doc, r.nodes, r.raw = nil, nil, nil
	r.words, r.scope, r.order = r.words[:0], r.scope[:0], r.order[:0]
	if cap(r.decoded) > kept {
		r.decoded = nil
	}
	if cap(r.keys) > kept {
		r.keys = nil
	}
	if cap(r.words)*8 > kept {
		r.words = nil
	}
	if cap(r.order)*4 > kept {
		r.order = nil
	}
	if cap(r.slots)*int(unsafe.Sizeof(uniqueSlot{})) > kept {
		r.slots = nil
	}
}

// text returns the decoded content of the string or name at index at, until
// the next call of text.
func (r *run) text(n *jsontape.Node, at uint32) []byte {
	if n.Flags&jsontape.Escaped == 0 {
		return r.raw[n.Off:n.End]
	}
	r.steps -= textSteps(n)
	r.decoded = r.doc.AppendString(r.decoded[:0], int(at))
	return r.decoded
}

// textSteps is the work of looking at every byte of a value once.
func textSteps(n *jsontape.Node) int { return int(n.End-n.Off) / textPerStep }

// compareNames orders two names by their decoded bytes, as Go sorts strings.
func (r *run) compareNames(a, b uint32) int {
	x, y := &r.nodes[a], &r.nodes[b]
	if (x.Flags|y.Flags)&jsontape.Escaped == 0 {
		return bytes.Compare(r.raw[x.Off:x.End], r.raw[y.Off:y.End])
	}
	var buf [64]byte
	first := r.doc.AppendString(buf[:0], int(a))
	return bytes.Compare(first, r.text(y, b))
}

// view is b as a string without a copy, for checks that keep nothing of it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// textAllows is the verdict of the keywords about strings, format included.
func (r *run) textAllows(t *textRules, v *jsontape.Node, at uint32) bool {
	if t.pattern == nil && t.format == nil && t.surely(int(v.End-v.Off), t.sureEscaped) {
		return true
	}
	b := r.text(v, at)
	r.steps -= len(b) / textPerStep
	if v.Flags&jsontape.NonASCII == 0 {
		if len(b) < t.shortest || len(b) > t.longest {
			return false
		}
	} else if !t.surely(len(b), t.sureDecoded) {
		if length := utf8.RuneCountInString(view(b)); length < t.shortest || length > t.longest {
			return false
		}
	}
	if t.pattern != nil && !t.pattern.match(b) {
		return false
	}
	return t.format == nil || t.format.allows(b)
}

// surely reports whether a string of that many bytes is neither too short nor
// too long, whatever its characters are.
func (t *textRules) surely(bytes, enough int) bool { return bytes <= t.longest && bytes >= enough }

func (f *format) allows(b []byte) bool {
	if f.check != nil {
		return f.check(view(b))
	}
	return f.library.Validate(string(b)) == nil
}
