package program

import "unicode/utf8"

// chain is an automaton without choices and loops, as of ^[A-Z]{2}-[0-9]{4}$:
// where a character stands is the state it is read in. So the characters can
// be looked at independently of each other, which is two to three times as fast
// as going from state to state.
type chain struct {
	class [256]uint8 // of a byte; those beyond ASCII have none of the automaton's
	taken []uint64   // per place: bits of the classes that may stand there
	atEnd []bool     // per length: a text of it matches
}

// noClass is a class that no place takes.
const noClass = 63

// newChain returns nil for an automaton that is none.
func newChain(a *automaton) *chain {
	if a.classes > noClass {
		return nil
	}
	c := &chain{}
	for i := range c.class {
		c.class[i] = noClass
		if i < utf8.RuneSelf {
			c.class[i] = a.ascii[i]
		}
	}
	beyond := uint64(0)
	for _, o := range a.others {
		beyond |= 1 << o.class
	}
	for state := int(stateStart); state < len(a.atEnd); state++ {
		taken := uint64(0)
		for class, next := range a.next[state*a.classes : (state+1)*a.classes] {
			switch int(next) / a.classes {
			case int(stateFailed):
			case state + 1:
				taken |= 1 << class
			default:
				return nil
			}
		}
		if taken&beyond != 0 {
			return nil
		}
		c.atEnd = append(c.atEnd, a.atEnd[state])
		if taken != 0 {
			c.taken = append(c.taken, taken)
		} else if state != len(a.atEnd)-1 {
			return nil
		}
	}
	return c
}

func (c *chain) match(b []byte) bool {
	if len(b) > len(c.taken) || !c.atEnd[len(b)] {
		return false
	}
	all := uint64(1)
	for i, taken := range c.taken[:len(b)] {
		all &= taken >> c.class[b[i]]
	}
	return all != 0
}
