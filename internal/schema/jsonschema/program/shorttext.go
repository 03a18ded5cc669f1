package program

import "math/bits"

// shortText is a text of at most 16 bytes, as its length and two words.
type shortText struct {
	first, last uint64 // the first eight bytes; the last eight of more than eight
	length      int
}

// cut is the text of n bytes at off. The words may reach beyond it, and so the
// text around it must have eight bytes from off on.
func cut(around []byte, off, n int) shortText {
	t := shortText{first: word(around, off), length: n}
	switch {
	case n > 8:
		t.last = word(around, off+n-8)
	case n < 8:
		t.first &= 1<<(8*n&63) - 1
	}
	return t
}

// shortSet is a fixed set of short texts in which every text has a slot of
// its own, so that a look-up is one comparison.
type shortSet struct {
	slots  []shortText // a power of two
	factor uint64
	shift  uint8
}

const maxShortTexts = 32

// newShortSet returns nil where a text is long, there are too many, or no
// factor gives each a slot of its own.
func newShortSet(texts []string) *shortSet {
	if len(texts) == 0 || len(texts) > maxShortTexts {
		return nil
	}
	list := make([]shortText, len(texts))
	for i, text := range texts {
		if len(text) > 16 {
			return nil
		}
		list[i] = cut(append([]byte(text), make([]byte, 8)...), 0, len(text))
	}
	width := bits.Len(uint(len(list) - 1))
	for ; 1<<width <= 4*len(list); width++ {
		s := &shortSet{slots: make([]shortText, 1<<width), shift: uint8(64 - width)}
		for try := range uint64(200) {
			s.factor = (2*try + 1) * 0x9E3779B97F4A7C15
			if s.fill(list) {
				return s
			}
		}
	}
	return nil
}

// fill reports whether every text of the list got a slot of its own.
func (s *shortSet) fill(list []shortText) bool {
	for i := range s.slots {
		s.slots[i].length = -1
	}
	for _, t := range list {
		slot := s.slot(&t)
		if slot.length >= 0 {
			return false
		}
		*slot = t
	}
	return true
}

func (s *shortSet) slot(t *shortText) *shortText {
	key := (t.first ^ bits.RotateLeft64(t.last, 23) ^ uint64(t.length)) * s.factor
	return &s.slots[int(key>>s.shift)&(len(s.slots)-1)]
}

func (s *shortSet) has(t shortText) bool { return *s.slot(&t) == t }
