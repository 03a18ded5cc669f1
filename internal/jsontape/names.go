package jsontape

import (
	"bytes"
	"hash/maphash"
	"unsafe"
)

// nameSet finds the duplicate names of one object after the other, in two
// steps. Every name leaves a mark where its hash points to: as long as no mark
// is met twice, no two names are equal. What the marks cannot tell goes through
// an open-addressing hash table. Neither is cleared for the next object: marks
// and slots that do not have its number count as empty. The table's seed is
// random, so that a sender cannot choose names that share a slot.
type nameSet struct {
	object   uint8       // the number of the last object that was opened
	searches int         // in that object, for a name whose mark was met before
	marks    [1024]uint8 // by the low bits of a hash: the number of the object

	seed    maphash.Seed
	slots   []nameSlot
	round   uint32 // the number of the object in slots
	decoded []byte // the decoded form of a name with escapes
}

// nextObject begins an object. Numbers begin again after 255 objects.
func (s *nameSet) nextObject() {
	s.searches = 0
	if s.object++; s.object == 0 {
		clear(s.marks[:])
		s.object = 1
	}
}

// mark marks a hash and reports whether it was already marked since
// nextObject.
func (s *nameSet) mark(hash uint32) (before bool) {
	m := &s.marks[hash%uint32(len(s.marks))]
	before = *m == s.object
	*m = s.object
	return before
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
	return cap(s.slots)*int(unsafe.Sizeof(nameSlot{})) + cap(s.decoded) + int(unsafe.Sizeof(s.marks))
}

// maxSearches is how many names of an object are compared with all before
// them, by their own hashes. A sender can make hashes and marks equal; with
// more than so many, and where two hashes are equal, the object is checked
// with a seeded hash.
const maxSearches = 4

// checkNames refuses the object at node index obj when two of its names are
// equal once decoded. Most often no two leave one mark, and then no two are
// equal. The names themselves, which may be long, are not compared here.
func (d *Doc) checkNames(nodes []Node, obj int) *SyntaxError {
	d.names.nextObject()
	for i := obj + 1; i < int(nodes[obj].Next); i = int(nodes[i+1].Next) {
		if d.names.mark(nodes[i].Count) && d.names.maybeTwice(nodes, obj, i) {
			d.nodes = nodes
			return d.checkManyNames(obj)
		}
	}
	return nil
}

// maybeTwice reports whether the name at node index i of the object at obj,
// which left a known mark, may be that of a member before it: they have one
// hash, or there were too many such marks to search for each.
func (s *nameSet) maybeTwice(nodes []Node, obj, i int) bool {
	if s.searches++; s.searches > maxSearches {
		return true
	}
	for other := obj + 1; other < i; other = int(nodes[other+1].Next) {
		if nodes[other].Count == nodes[i].Count {
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
