package program

import (
	"encoding/binary"
	"math/bits"
)

// nameTable gives each of a fixed set of texts its index. It is an open
// addressing table, at most half full and never written after newNameTable, so
// a payload cannot make a look-up longer than the texts of the schema do, and
// its hash needs no seed. Names of members are looked up by the hash that the
// scanner gave them, other texts by hash.
type nameTable struct {
	slots []nameSlot // a power of two; nil: the empty set
	names []string
}

type nameSlot struct {
	hash        uint32
	index       uint32 // plus one; 0 marks an empty slot
	first, last uint64 // eight bytes of a name of at most 16; they may overlap
	mask        uint64 // of first: a name of less than eight bytes has fewer
	length      int    // of such a name plus one, else 0
}

// newNameTable keeps names, which must all be different.
func newNameTable(names []string, hash func(string) uint32) nameTable {
	if len(names) == 0 {
		return nameTable{}
	}
	size := 4
	for size < 2*len(names) {
		size *= 2
	}
	t := nameTable{slots: make([]nameSlot, size), names: names}
	for i, name := range names {
		h := hash(name)
		at := h & uint32(size-1)
		for t.slots[at].index != 0 {
			at = (at + 1) & uint32(size-1)
		}
		t.slots[at] = nameSlot{hash: h, index: uint32(i) + 1}
		t.slots[at].remember(name)
	}
	return t
}

// remember fills in what is needs of a name of usual length.
func (s *nameSlot) remember(name string) {
	if len(name) > 16 {
		return
	}
	var first [8]byte
	copy(first[:], name)
	s.first, s.length = binary.LittleEndian.Uint64(first[:]), len(name)+1
	s.mask = ^uint64(0)
	if len(name) < 8 {
		s.mask = 1<<(8*len(name)) - 1
	} else {
		s.last = binary.LittleEndian.Uint64([]byte(name[len(name)-8:]))
	}
}

// is reports whether the n bytes of text from off on are the name of the
// slot, if that has usual length and eight bytes can be read. It never calls
// anything; find knows the rest.
func (s *nameSlot) is(text []byte, off, n int, h uint32) bool {
	if s.hash != h || s.length != n+1 || off+8 > len(text) || binary.LittleEndian.Uint64(text[off:])&s.mask != s.first {
		return false
	}
	return n <= 8 || binary.LittleEndian.Uint64(text[off+n-8:]) == s.last
}

// find returns the index of a text with that hash, or -1.
func (t *nameTable) find(b []byte, h uint32) int {
	slots := t.slots
	if len(slots) == 0 {
		return -1
	}
	for at := int(h); ; at++ {
		s := &slots[at&(len(slots)-1)]
		if s.index == 0 {
			return -1
		}
		if s.hash == h && t.names[s.index-1] == string(b) {
			return int(s.index - 1)
		}
	}
}

func hashText(s string) uint32 { return hash([]byte(s)) }

// hash folds eight bytes at a time; the last eight may overlap with those
// before them.
func hash(b []byte) uint32 {
	const k = 0xC2B2AE3D27D4EB4F
	h, n := uint64(len(b))*k, len(b)
	switch {
	case n > 8:
		for i := 0; i < n-8; i += 8 {
			h = fold(h ^ binary.LittleEndian.Uint64(b[i:]))
		}
		h = fold(h ^ binary.LittleEndian.Uint64(b[n-8:]))
	case n >= 4:
		h = fold(h ^ (uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32))
	case n > 0:
		h = fold(h ^ (uint64(b[0]) | uint64(b[n>>1])<<8 | uint64(b[n-1])<<16))
	}
	return uint32(h ^ h>>32)
}

func fold(h uint64) uint64 {
	hi, lo := bits.Mul64(h, 0x9E3779B97F4A7C15)
	return hi ^ lo
}
