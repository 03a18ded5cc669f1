// Package jsontape is the strict one-pass JSON scanner of cxrelay: the only
// parser on the path of an event. It turns a text into a flat tape of nodes
// which point into the text, and decodes a string only when asked to.
//
// It takes what RFC 8259 calls a JSON text, in UTF-8, and nothing else. Where
// RFC 8259 leaves a choice, the choice is the one that lets no two readers of
// the text see different values: duplicate member names (compared after
// decoding), lone or reversed surrogate escapes and a byte order mark are
// refused, as RFC 7493 (I-JSON) asks. Depth and the size of numbers are
// bounded (Limits; RFC 8259 section 9 allows that).
//
// What a member means belongs to package event, what a value may be to the
// engines of package schema. This package imports only the standard library.
package jsontape

import (
	"fmt"
	"hash/maphash"
	"math"
	"unsafe"
)

// Kind is the type of a JSON value.
type Kind uint8

// The kinds of a value.
const (
	Null Kind = iota
	False
	True
	Number
	String
	Array
	Object
)

// Node is one value (or one member name) of a parsed text.
type Node struct {
	Off, End uint32 // bytes of the value in Raw; for strings and names the content without the quotes
	Next     uint32 // index of the node after this value's whole subtree
	Count    uint32 // members of an object, elements of an array; of a member's name its Hash
	Kind     Kind
	Flags    Flags
}

// Hash returns the hash of a member's name, HashName of its decoded form. It
// has no meaning for other nodes.
func (n *Node) Hash() uint32 { return n.Count }

// Flags are facts about a node that the scanner met on the way.
type Flags uint8

// The flags.
const (
	Escaped  Flags = 1 << iota // string: has at least one escape
	NonASCII                   // string: decodes to at least one non-ASCII rune
	Fraction                   // number: has a fraction or an exponent
	Negative                   // number: starts with a minus sign
)

// The largest text that Parse takes, in bytes, and the defaults of Limits.
const (
	MaxLen           = math.MaxInt32
	DefaultDepth     = 128
	DefaultNumberLen = 1000
	DefaultExponent  = 400
)

// Limits bound what Parse takes. A field that is zero or less means its
// default. There is no limit on the count of values: the caller's cap on the
// length of a text is one, since every value takes at least two bytes of it
// (its own and a separator).
type Limits struct {
	Depth     int // nested arrays and objects; default 128
	NumberLen int // bytes of one number literal; default 1000

	// Exponent is the absolute value of a number's exponent; default 400. It
	// is the number written after "e" that counts, whatever stands before it:
	// 1e0000000400 and 0e400 are within the default, 1e401 and 0e401 are not.
	Exponent int
}

func (l Limits) withDefaults() Limits {
	if l.Depth <= 0 {
		l.Depth = DefaultDepth
	}
	if l.NumberLen <= 0 {
		l.NumberLen = DefaultNumberLen
	}
	if l.Exponent <= 0 {
		l.Exponent = DefaultExponent
	}
	l.Exponent = min(l.Exponent, math.MaxInt32)
	return l
}

// SyntaxError says what was wrong and at which byte. Its text never quotes
// the JSON text.
type SyntaxError struct {
	Offset int // of the first byte that is wrong, from 0; the length of the text when it ends too early
	Msg    string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.Msg, e.Offset) }

// Doc is one parsed JSON text. The zero value is ready to use; Parse reuses
// its memory, so that a Doc that has seen texts of this size allocates
// nothing. A Doc refers to the text it was given: the text must not change
// while the Doc is read. Parse and Reset need exclusive use of a Doc; after
// Parse any number of goroutines may read it.
//
// A Doc holds at most 10 bytes of nodes for a byte of text, plus what append
// leaves unused, plus 16 to 32 bytes for every name of its largest object,
// plus 1 KiB.
type Doc struct {
	raw   []byte
	nodes []Node
	names nameSet
}

// Parse scans raw in one pass, in time linear in its length. On success
// the nodes describe raw. On failure it returns a *SyntaxError and the Doc
// has no nodes. Only one fault is reported: the first one in the text, except
// that a duplicate name is noticed where its object closes.
func (d *Doc) Parse(raw []byte, lim Limits) error {
	if d.names.seed == (maphash.Seed{}) {
		d.names.seed = maphash.MakeSeed()
	}
	d.raw, d.nodes = raw, d.nodes[:0]
	err := checkStart(raw)
	if err == nil {
		lim = lim.withDefaults()
		err = d.scan(&lim)
	}
	if err != nil {
		d.nodes = d.nodes[:0]
		return err
	}
	return nil
}

// Reset makes the Doc forget its text and nodes, and keeps its memory for the
// next Parse. A Doc that waits in a pool is reset, so that it does not keep
// the text alive.
func (d *Doc) Reset() { d.raw, d.nodes = nil, d.nodes[:0] }

// Size returns how many bytes of memory the Doc holds, the text not counted,
// for the owner of a pool who does not keep large ones.
func (d *Doc) Size() int {
	return cap(d.nodes)*int(unsafe.Sizeof(Node{})) + d.names.size()
}

// Raw returns the text given to Parse.
func (d *Doc) Raw() []byte { return d.raw }

// Nodes returns the tape: node 0 is the root; the members of an object are
// pairs of a name node (Kind String) and its value's subtree. The first child
// of a container at i is at i+1, the sibling after a value at j is at its
// Next. The slice is valid until the next Parse or Reset and is not to be
// changed.
func (d *Doc) Nodes() []Node { return d.nodes }

// Bytes returns the literal of the node at i as it stands in the text: a
// number's digits, the content of a string without its quotes and with its
// escapes, a container from its first to its last bracket. It is part of Raw.
func (d *Doc) Bytes(i int) []byte {
	n := &d.nodes[i]
	return d.raw[n.Off:n.End:n.End]
}

// Member finds the value of a member of the object at node index obj by its
// decoded name, case-sensitively, and returns its node index. A node that is
// no object has no members. It looks at the names one by one: its time grows
// with their count.
func (d *Doc) Member(obj int, name string) (value int, ok bool) {
	o := &d.nodes[obj]
	if o.Kind != Object {
		return 0, false
	}
	hash := HashName(name)
	for i := obj + 1; i < int(o.Next); i = int(d.nodes[i+1].Next) {
		if d.nodes[i].Count == hash && d.Equal(i, name) {
			return i + 1, true
		}
	}
	return 0, false
}
