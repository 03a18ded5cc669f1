package program

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// builder makes an automaton of a compiled pattern by the subset
// construction: a state is the set of instructions that the text so far may
// have led to.
type builder struct {
	prog    *syntax.Prog
	samples []rune // one rune of every class
	states  map[string]uint16
	sets    [][]uint32 // per state: sorted instructions that wait for a rune or for the end
	a       automaton

	mark  []int // per instruction: the closure that has seen it last
	round int
	steps int
}

func (b *builder) build() *automaton {
	if !b.classify() {
		return nil
	}
	b.states = map[string]uint16{}
	b.sets = make([][]uint32, stateStart, stateStart+8)
	b.a.atEnd = []bool{stateFailed: false, stateFound: true}
	b.a.next = make([]uint16, int(stateStart)*b.a.classes)
	start, found := b.closure([]uint32{uint32(b.prog.Start)}, syntax.EmptyBeginText)
	if found {
		// An empty match is a match wherever it stands.
		for range b.a.classes {
			b.a.next = append(b.a.next, stateFound*uint16(b.a.classes))
		}
		b.a.atEnd = append(b.a.atEnd, true)
		return &b.a
	}
	// Only the start may pass a "begin of text", so no other state is it.
	b.sets = append(b.sets, start)
	b.a.atEnd = append(b.a.atEnd, b.endsHere(start, syntax.EmptyBeginText))
	for state := int(stateStart); state < len(b.sets); state++ {
		for _, r := range b.samples {
			b.a.next = append(b.a.next, b.step(b.sets[state], r)*uint16(b.a.classes))
		}
		if len(b.sets) > maxStates || len(b.sets)*b.a.classes > maxTransition || b.steps > maxSteps {
			return nil
		}
	}
	return &b.a
}

// step returns the state after one more rune.
func (b *builder) step(set []uint32, r rune) uint16 {
	from := []uint32{uint32(b.prog.Start)} // a match may also begin after this rune
	for _, pc := range set {
		b.steps++
		if inst := &b.prog.Inst[pc]; isRune(inst) && inst.MatchRune(r) {
			from = append(from, inst.Out)
		}
	}
	to, found := b.closure(from, 0)
	switch {
	case found:
		return stateFound
	case len(to) == 0:
		return stateFailed
	}
	key := make([]byte, 0, 4*len(to))
	for _, pc := range to {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	state, known := b.states[string(key)]
	if !known {
		state = uint16(len(b.sets))
		b.states[string(key)] = state
		b.sets = append(b.sets, to)
		b.a.atEnd = append(b.a.atEnd, b.endsHere(to, 0))
	}
	return state
}

func isRune(inst *syntax.Inst) bool {
	switch inst.Op {
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		return true
	}
	return false
}

// endsHere reports whether a text that ends in the state of set matches.
func (b *builder) endsHere(set []uint32, at syntax.EmptyOp) bool {
	_, found := b.closure(set, at|syntax.EmptyEndText)
	return found
}

// closure follows what needs no rune from the instructions of from, given
// what holds at this place of the text. It returns the instructions that wait
// for a rune or for a place that this one is not, or found if there is a match.
func (b *builder) closure(from []uint32, at syntax.EmptyOp) (waiting []uint32, found bool) {
	b.round++
	stack := slices.Clone(from)
	for len(stack) > 0 {
		pc := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if b.mark[pc] == b.round {
			continue
		}
		b.mark[pc] = b.round
		b.steps++
		switch inst := &b.prog.Inst[pc]; inst.Op {
		case syntax.InstMatch:
			return nil, true
		case syntax.InstAlt, syntax.InstAltMatch:
			stack = append(stack, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			stack = append(stack, inst.Out)
		case syntax.InstEmptyWidth:
			switch need := syntax.EmptyOp(inst.Arg); {
			case need&^at == 0:
				stack = append(stack, inst.Out)
			case need&syntax.EmptyBeginText&^at == 0:
				waiting = append(waiting, pc) // for the end
			} // else the begin is over
		case syntax.InstFail:
		default:
			waiting = append(waiting, pc)
		}
	}
	slices.Sort(waiting)
	return waiting, false
}

// classify cuts the runes where any instruction begins or ends to take them,
// and joins the parts that all instructions treat alike.
func (b *builder) classify() bool {
	cuts := b.cuts()
	classOf := map[string]uint8{}
	signature := make([]byte, 0, len(b.prog.Inst))
	for i, first := range cuts {
		signature = signature[:0]
		for pc := range b.prog.Inst {
			if inst := &b.prog.Inst[pc]; isRune(inst) {
				taken := byte('0')
				if inst.MatchRune(first) {
					taken = '1'
				}
				signature = append(signature, taken)
				b.steps++
			}
		}
		class, known := classOf[string(signature)]
		if !known {
			if len(b.samples) == 256 {
				return false
			}
			class = uint8(len(b.samples))
			classOf[string(signature)] = class
			b.samples = append(b.samples, first)
		}
		end := rune(unicode.MaxRune + 1)
		if i+1 < len(cuts) {
			end = cuts[i+1]
		}
		for r := first; r < end && r < utf8.RuneSelf; r++ {
			b.a.ascii[r] = class
		}
		if first >= utf8.RuneSelf {
			b.a.others = append(b.a.others, runeClass{first, class})
		}
		if b.steps > maxSteps {
			return false
		}
	}
	b.a.classes = len(b.samples)
	return true
}

// cuts returns the sorted runes at which a class may begin.
func (b *builder) cuts() []rune {
	cuts := []rune{0, '\n', '\n' + 1, utf8.RuneSelf}
	for pc := range b.prog.Inst {
		inst := &b.prog.Inst[pc]
		if inst.Op != syntax.InstRune && inst.Op != syntax.InstRune1 {
			continue
		}
		if len(inst.Rune) == 1 { // a literal, perhaps in any case
			first := inst.Rune[0]
			for r := first; ; {
				cuts = append(cuts, r, r+1)
				if r = unicode.SimpleFold(r); r == first {
					break
				}
			}
			continue
		}
		for i := 0; i+1 < len(inst.Rune); i += 2 {
			cuts = append(cuts, inst.Rune[i], inst.Rune[i+1]+1)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for len(cuts) > 0 && cuts[len(cuts)-1] > unicode.MaxRune {
		cuts = cuts[:len(cuts)-1]
	}
	return cuts
}
