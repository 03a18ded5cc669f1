package jsontape

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
)

// none stands for "no container is open".
const none = math.MaxUint32

// scan fills d.nodes from d.raw. While a container is open, its node's Next
// holds the index of the container around it, so that no stack is needed.
//
// It is one function, longer than others, so that position, nodes and the
// open container stay in registers. What is usual is written out in it; what
// is rare (white space, long numbers, escapes, faults) is called.
//
//nolint:funlen // see above
func (d *Doc) scan(lim *Limits) *SyntaxError {
	b := d.raw[:len(d.raw):len(d.raw)]
	nodes := d.nodes[:cap(d.nodes)] // those before self are in use
	self, open, inObject, depth := 0, none, false, 0
	fresh := none // the object that was opened last, if its names so far are different
	i := skipSpace(b, 0)
values:
	for { // an element or a member is due at i
		if self+2 > len(nodes) {
			nodes = grow(nodes, self)
		}
		if inObject {
			if i >= len(b) || b[i] != '"' {
				return nameFault(i, len(b))
			}
			i++
			end, flags := i, Flags(0)
			for end+8 <= len(b) {
				w := word(b, end)
				if m := special(w); m != 0 {
					end += bits.TrailingZeros64(m) / 8
					break
				}
				end += 8
			}
			if end >= len(b) || b[end] != '"' {
				var err *SyntaxError
				if end, flags, err = scanString(b, end); err != nil {
					return err
				}
			}
			var hash uint32
			switch size := end - i; {
			case flags&Escaped != 0:
				hash = d.hashEscaped(b[i:end])
			case size < 8 && i+8 <= len(b):
				hash = hashWords(word(b, i)&(1<<(8*size&63)-1), 0, size)
			case size >= 8 && size <= 16:
				hash = hashWords(word(b, i), word(b, end-8), size)
			default:
				hash = hashName(b, i, size)
			}
			n := &nodes[self]
			self++
			n.set(i, end, self, String, flags)
			n.Count = hash
			if d.names.mark(hash) && open == fresh && d.names.maybeTwice(nodes, open, self-1) {
				fresh = none
			}
			i = end + 1
			if i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
			}
			if i >= len(b) || b[i] != ':' {
				return colonFault(i, len(b))
			}
			i++
			if i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
			}
		}
		if i >= len(b) {
			return endFault(i, open, inObject)
		}
		c := b[i]
		switch {
		case c == '"':
			i++
			end, flags := i, Flags(0)
			for end+8 <= len(b) {
				if m := special(word(b, end)); m != 0 {
					end += bits.TrailingZeros64(m) / 8
					break
				}
				end += 8
			}
			if end >= len(b) || b[end] != '"' {
				var err *SyntaxError
				if end, flags, err = scanString(b, end); err != nil {
					return err
				}
			}
			n := &nodes[self]
			self++
			n.set(i, end, self, String, flags)
			i = end + 1
		case c == '{' || c == '[':
			if depth == lim.Depth {
				return fault(i, "nested deeper than "+strconv.Itoa(lim.Depth)+" levels")
			}
			depth++
			kind, closer := Array, byte(']')
			if c == '{' {
				kind, closer = Object, '}'
				fresh = self
				d.names.nextObject()
			}
			n := &nodes[self]
			n.set(i, 0, open, kind, 0)
			open, inObject = self, c == '{'
			self++
			i++
			if i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
			}
			if i < len(b) && b[i] == closer {
				break // empty: the loop below closes it
			}
			n.Count = 1
			continue values
		case c == '-' || isDigit(c):
			end, flags, err := scanNumber(b, i, lim)
			if err != nil {
				return err
			}
			n := &nodes[self]
			self++
			n.set(i, end, self, Number, flags)
			i = end
		default:
			kind, size := literal(b[i:])
			if size == 0 {
				return literalFault(i, c)
			}
			n := &nodes[self]
			self++
			n.set(i, i+size, self, kind, 0)
			i += size
		}
		for { // a value has ended, or a container is empty: close what closes here
			if i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
			}
			if open >= len(nodes) { // none
				d.nodes = nodes[:self]
				if i < len(b) {
					return fault(i, "data after the JSON value")
				}
				return nil
			}
			if i >= len(b) {
				return endFault(i, open, inObject)
			}
			c, n := b[i], &nodes[open]
			i++
			if c == ',' {
				n.Count++
				if i < len(b) && b[i] <= ' ' {
					i = skipSpace(b, i)
				}
				continue values
			}
			if inObject && c != '}' || !inObject && c != ']' {
				return separatorFault(i-1, inObject)
			}
			n.End = uint32(i)
			parent := n.Next
			n.Next = uint32(self)
			if inObject && open != fresh && n.Count > 1 {
				if err := d.checkNames(nodes[:self], open); err != nil {
					return err
				}
			}
			open = int(parent)
			inObject = open < len(nodes) && nodes[open].Kind == Object
			depth--
		}
	}
}

// grow makes room for at least two more nodes after the first used ones.
func grow(nodes []Node, used int) []Node {
	nodes = slices.Grow(nodes[:used], 2)
	return nodes[:cap(nodes)]
}

// word is the eight bytes of b from i on, the first one lowest.
func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8 : i+8]) }

// set writes every field of n in place. (A composite literal, or append of
// one, is built on the stack and copied in wider steps than it was written
// in, which stalls the processor: a quarter of the time of a scan.)
func (n *Node) set(off, end, next int, kind Kind, flags Flags) {
	n.Off, n.End, n.Next, n.Count = uint32(off), uint32(end), uint32(next), 0
	n.Kind, n.Flags = kind, flags
}

// literal returns the kind and length of the word at the start of b, or a
// length of 0.
func literal(b []byte) (kind Kind, size int) {
	switch {
	case len(b) >= 4 && string(b[:4]) == "true":
		return True, 4
	case len(b) >= 5 && string(b[:5]) == "false":
		return False, 5
	case len(b) >= 4 && string(b[:4]) == "null":
		return Null, 4
	default:
		return 0, 0
	}
}

// literalFault is the fault of a text with no value at off, where c stands.
func literalFault(off int, c byte) *SyntaxError {
	if c == 't' || c == 'f' || c == 'n' {
		return fault(off, "expected a value (misspelt true, false or null)")
	}
	return fault(off, "expected a value")
}

// skipSpace returns the index of the first byte at or after i that is not
// white space (RFC 8259 section 2), or len(b).
func skipSpace(b []byte, i int) int {
	const spaces = 1<<' ' | 1<<'\t' | 1<<'\n' | 1<<'\r'
	for i < len(b) && b[i] <= ' ' && uint64(spaces)>>b[i]&1 != 0 {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func fault(off int, msg string) *SyntaxError { return &SyntaxError{Offset: off, Msg: msg} }

// endFault is the fault of a text that ends at off where a value or a
// separator is due.
func endFault(off int, open int, inObject bool) *SyntaxError {
	switch {
	case open == none:
		return fault(off, "the text is only white space")
	case inObject:
		return fault(off, "the text ends inside an object")
	default:
		return fault(off, "the text ends inside an array")
	}
}

// nameFault is the fault of a text with no member name at off.
func nameFault(off, end int) *SyntaxError {
	if off == end {
		return fault(off, "the text ends inside an object")
	}
	return fault(off, "expected a member name")
}

// colonFault is the fault of a text with no colon at off.
func colonFault(off, end int) *SyntaxError {
	if off == end {
		return fault(off, "the text ends inside an object")
	}
	return fault(off, "expected ':' after a member name")
}

func separatorFault(off int, inObject bool) *SyntaxError {
	if inObject {
		return fault(off, "expected ',' or '}' after a member")
	}
	return fault(off, "expected ',' or ']' after an element")
}

// checkStart refuses a text by its length or by its first bytes, so that the
// likeliest mistakes of encoding get a message of their own. JSON text in
// UTF-16 or UTF-32 has a NUL among its first two bytes (RFC 4627 section 3).
func checkStart(b []byte) *SyntaxError {
	switch {
	case len(b) == 0:
		return fault(0, "the text is empty")
	case len(b) > MaxLen:
		return fault(MaxLen, "the text is 2 GiB or longer")
	case len(b) == 1 || b[0] > 0 && b[0] < 0x80 && b[1] != 0:
		return nil
	case b[0] == 0 || b[1] == 0, b[0] == 0xFE && b[1] == 0xFF, b[0] == 0xFF && b[1] == 0xFE:
		return fault(0, "the text is UTF-16 or UTF-32, not UTF-8")
	case len(b) >= 3 && string(b[:3]) == "\xEF\xBB\xBF":
		return fault(0, "the text starts with a byte order mark")
	default:
		return nil
	}
}
