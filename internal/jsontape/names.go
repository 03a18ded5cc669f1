package jsontape

import (
	"bytes"
	"hash/maphash"
	"unsafe"
)

// nameSet finds the duplicate names of one object after the other. It is an
// open-addressing hash table that is never cleared: a slot counts as empty
// when its round is not the current one. The seed is random, so that a sender
// cannot choose names that share a slot.
type nameSet struct {
	seed    maphash.Seed
	slots   []nameSlot
	round   uint32
	decoded []byte // the decoded form of a name with escapes
}

type nameSlot struct {
	round uint32
	node  uint32
}

// begin makes the set empty with room for count names, at most half full, and
// returns the mask that takes a hash to a slot.
func (s *nameSet) begin(count int) (mask uint64) {
	size := 8
	for size < 2*count {
		size *= 2
	}
	s.round++
	if len(s.slots) < size || s.round == 0 { // 0 marks slots never used
		s.slots, s.round = make([]nameSlot, max(size, len(s.slots))), 1
	}
	return uint64(size - 1)
}

func (s *nameSet) size() int {
	return cap(s.slots)*int(unsafe.Sizeof(nameSlot{})) + cap(s.decoded)
}

// fewNames is up to how many names an object is checked with the names' own
// hashes, which a sender can make equal. A larger object, and one where two
// hashes are equal, is checked with a seeded hash.
const fewNames = 64

// checkNames refuses the object at node index obj when two of its names are
// equal once decoded. Most often no two hashes share one of 1024 bits, and
// then no two names are equal; if they share one, the whole hashes are compared
// with each other, never the names, which may be long.
func (d *Doc) checkNames(nodes []Node, obj int) *SyntaxError {
	d.nodes = nodes
	o := &nodes[obj]
	if o.Count > fewNames {
		return d.checkManyNames(obj)
	}
	var seen [16]uint64
	for i := obj + 1; i < int(o.Next); i = int(nodes[i+1].Next) {
		hash := nodes[i].Count
		word, bit := &seen[hash>>6&15], uint64(1)<<(hash&63)
		if *word&bit != 0 && d.hashSeenBefore(obj, i) {
			return d.checkManyNames(obj)
		}
		*word |= bit
	}
	return nil
}

// hashSeenBefore reports whether the name of a member before the one at node
// index i has its hash.
func (d *Doc) hashSeenBefore(obj, i int) bool {
	for other := obj + 1; other < i; other = int(d.nodes[other+1].Next) {
		if d.nodes[other].Count == d.nodes[i].Count {
			return true
		}
	}
	return false
}

// hashEscaped hashes a name with escapes, given as it stands in the text.
func (d *Doc) hashEscaped(name []byte) uint32 {
	d.names.decoded = appendDecoded(d.names.decoded[:0], name)
	n := len(d.names.decoded)
	d.names.decoded = append(d.names.decoded, make([]byte, 8)...)
	return hashName(d.names.decoded, 0, n)
}

// checkManyNames is checkNames with a seeded hash.
func (d *Doc) checkManyNames(obj int) *SyntaxError {
	s, o, nodes := &d.names, d.nodes[obj], d.nodes
	mask := s.begin(int(o.Count))
	for i := obj + 1; i < int(o.Next); i = int(nodes[i+1].Next) {
		n := &nodes[i]
		name := d.raw[n.Off:n.End]
		if n.Flags&Escaped != 0 {
			s.decoded = d.AppendString(s.decoded[:0], i)
			name = s.decoded
		}
		at := maphash.Bytes(s.seed, name) & mask
		for s.slots[at].round == s.round {
			if d.equalBytes(int(s.slots[at].node), name) {
				return fault(int(d.nodes[i].Off)-1, "duplicate member name")
			}
			at = (at + 1) & mask
		}
		s.slots[at] = nameSlot{round: s.round, node: uint32(i)}
	}
	return nil
}

// equalBytes is Equal for bytes.
func (d *Doc) equalBytes(i int, name []byte) bool {
	b := d.Bytes(i)
	if d.nodes[i].Flags&Escaped == 0 {
		return bytes.Equal(b, name)
	}
	return equalEscaped(b, name)
}
