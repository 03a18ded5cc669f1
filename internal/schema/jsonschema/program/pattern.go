package program

import (
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// pattern is a compiled pattern: a chain where that does it, else an automaton
// of modest size, else Go's own engine, which is RE2 as well. All take time
// linear in the text, and mean the same.
type pattern struct {
	chain     *chain
	automaton *automaton
	regexp    *regexp.Regexp
}

func newPattern(text string) (*pattern, error) {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	a := newAutomaton(re)
	if a == nil {
		p := &pattern{}
		p.regexp, err = regexp.Compile(text)
		return p, err
	}
	if c := newChain(a); c != nil {
		return &pattern{chain: c}, nil
	}
	return &pattern{automaton: a}, nil
}

// match reports whether b, which is valid UTF-8, contains a match.
func (p *pattern) match(b []byte) bool {
	switch {
	case p.chain != nil:
		return p.chain.match(b)
	case p.automaton != nil:
		return p.automaton.match(b)
	}
	return p.regexp.Match(b)
}

// automaton is a deterministic finite automaton over runes. Runes that no
// part of the pattern tells apart are one class.
type automaton struct {
	ascii   [utf8.RuneSelf]uint8 // class of an ASCII character
	others  []runeClass          // of the rest, sorted by their first rune
	classes int
	next    []uint16 // [state+class]; states are multiples of classes
	atEnd   []bool   // by number of the state: a text that ends here matches
}

type runeClass struct {
	first rune
	class uint8
}

// The states that end a match at once, and the one it begins in, by number.
const (
	stateFailed uint16 = iota // whatever follows, there is no match
	stateFound                // whatever follows, there is one
	stateStart
)

func (a *automaton) match(b []byte) bool {
	state, last := int(stateStart)*a.classes, int(stateFound)*a.classes
	for i := 0; i < len(b); {
		var class uint8
		if c := b[i]; c < utf8.RuneSelf {
			class = a.ascii[c]
			i++
		} else {
			r, n := utf8.DecodeRune(b[i:])
			class = a.class(r)
			i += n
		}
		if state = int(a.next[state+int(class)]); state <= last {
			return state == last
		}
	}
	return a.atEnd[state/a.classes]
}

// class finds the class of a rune beyond ASCII.
func (a *automaton) class(r rune) uint8 {
	lo, hi := 0, len(a.others)
	for hi-lo > 1 {
		if mid := int(uint(lo+hi) / 2); a.others[mid].first <= r {
			lo = mid
		} else {
			hi = mid
		}
	}
	return a.others[lo].class
}

// What an automaton may take. A counted repetition of a choice can need
// exponentially many states; such a pattern is left to Go's engine.
const (
	maxStates     = 512
	maxTransition = 1 << 14
	maxSteps      = 1 << 18 // instructions looked at while building
)

// newAutomaton returns nil for a pattern that it does not take: one with word
// boundaries or with lines, or too large.
func newAutomaton(re *syntax.Regexp) *automaton {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil
	}
	for i := range prog.Inst {
		inst := &prog.Inst[i]
		if inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(inst.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return nil
		}
	}
	b := builder{prog: prog, mark: make([]int, len(prog.Inst))}
	return b.build()
}
