package program

import (
	"encoding/binary"
	"math/bits"
)

// nameTable gives each of a fixed set of texts its index. It is an open
// addressing table, at most half full and never written after the program is
// compiled, so a payload cannot make a look-up longer than the texts of the schema do, and
// its hash needs no seed. Names of members are looked up by the hash that the
// scanner gave them, other texts by hash.
type nameTable struct {
	slots []nameSlot // a power of two; nil: the empty set
	shift uint8      // of a hash, to the bits that choose a slot
	names []string
}

type nameSlot struct {
	first, last uint64 // eight bytes of a name of at most 16; they may overlap
	mask        uint64 // of first: a name of less than eight bytes has fewer
	sub         *node  // of a member with that name; may be nil
	length      int32  // of such a name plus one, else 0
	index       uint32 // plus one; 0 marks an empty slot
	hash        uint32
}

// fewNames is up to how many texts a table is looked for that has each of
// them in the first slot that its hash leads to.
const fewNames = 64

// newNameTable keeps names, which must all be different.
func newNameTable(names []string, hash func(string) uint32) nameTable {
	if len(names) == 0 {
		return nameTable{}
	}
	hashes := make([]uint32, len(names))
	for i, name := range names {
		hashes[i] = hash(name)
	}
	size := 4
	for size < 2*len(names) {
		size *= 2
	}
	t := nameTable{names: names}
	if len(names) <= fewNames {
		size, t.shift = roomFor(hashes, size)
	}
	t.slots = make([]nameSlot, size)
	for i, name := range names {
		s := t.slot(hashes[i])
		for at := int(hashes[i]>>t.shift) + 1; s.index != 0; at++ {
			s = &t.slots[at&(size-1)]
		}
		s.hash, s.index = hashes[i], uint32(i)+1
		s.remember(name)
	}
	return t
}

// roomFor returns the size and the shift of a table in which no two hashes
// share a slot, if one of up to four times the least size is, and else the
// least size.
func roomFor(hashes []uint32, least int) (size int, shift uint8) {
	taken := make([]bool, 4*least)
	for size := least; size <= 4*least; size *= 2 {
		for shift := range uint8(24) {
			clear(taken)
			shared := false
			for _, h := range hashes {
				at := int(h>>shift) & (size - 1)
				shared = shared || taken[at]
				taken[at] = true
			}
			if !shared {
				return size, shift
			}
		}
	}
	return least, 0
}

// remember fills in what is needs of a name of usual length.
func (s *nameSlot) remember(name string) {
	if len(name) > 16 {
		return
	}
	var first [8]byte
	copy(first[:], name)
	s.first, s.length = binary.LittleEndian.Uint64(first[:]), int32(len(name)+1)
	s.mask = ^uint64(0)
	if len(name) < 8 {
		s.mask = 1<<(8*len(name)) - 1
	} else {
		s.last = binary.LittleEndian.Uint64([]byte(name[len(name)-8:]))
	}
}

// slot is the first one that a hash leads to. The table has names.
func (t *nameTable) slot(h uint32) *nameSlot {
	return &t.slots[int(h>>(t.shift&31))&(len(t.slots)-1)]
}

// is reports whether the n bytes of text from off on are the name of the
// slot, if that has usual length and eight bytes can be read. It never calls
// anything; search knows the rest.
func (s *nameSlot) is(text []byte, off, n int) bool {
	if int(s.length) != n+1 || off+8 > len(text) || word(text, off)&s.mask != s.first {
		return false
	}
	return n <= 8 || word(text, off+n-8) == s.last
}

// word is the eight bytes of b from i on, the first one lowest.
func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8 : i+8]) }

// find returns the index of a text with that hash, or -1.
func (t *nameTable) find(b []byte, h uint32) int {
	if s := t.search(b, h); s != nil {
		return int(s.index - 1)
	}
	return -1
}

// search returns the slot of a text with that hash, or nil.
func (t *nameTable) search(b []byte, h uint32) *nameSlot {
	if len(t.slots) == 0 {
		return nil
	}
	for at := int(h >> (t.shift & 31)); ; at++ {
		s := &t.slots[at&(len(t.slots)-1)]
		if s.index == 0 {
			return nil
		}
		if s.hash == h && t.names[s.index-1] == string(b) {
			return s
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
