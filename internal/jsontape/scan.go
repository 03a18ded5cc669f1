package jsontape

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
)

// none stands for "no container is open".
const none = math.MaxUint32

// scan fills d.nodes from d.raw. While a container is open, its node's Next
// holds the index of the container around it, so that no stack is needed.
//
// It is one function, longer than others, so that position, nodes and the
// open container stay in registers: with the scalars in a function of their
// own the corpus took a third longer.
//
//nolint:funlen // see above
func (d *Doc) scan(lim *Limits) *SyntaxError {
	b, nodes := d.raw, d.nodes
	open, inObject, depth := uint32(none), false, 0
	i := skipSpace(b, 0)
values:
	for { // an element or a member is due at i
		if inObject {
			if i == len(b) || b[i] != '"' {
				return nameFault(i, len(b))
			}
			end, flags := skipPlain(b, i+1), Flags(0)
			if end == len(b) || b[end] != '"' {
				var err *SyntaxError
				if end, flags, err = scanString(b, end); err != nil {
					return err
				}
			}
			self := uint32(len(nodes))
			nodes = push(nodes)
			n := &nodes[self]
			n.set(i+1, end, self+1, String, flags)
			switch size := end - i - 1; {
			case flags&Escaped != 0:
				d.nodes = nodes
				n.Count = d.hashEscaped(int(self))
			case size >= 8 && size <= 16: // the usual, without a call
				n.Count = hashWords(binary.LittleEndian.Uint64(b[i+1:]), binary.LittleEndian.Uint64(b[end-8:]), size)
			default:
				n.Count = hashName(b, i+1, size)
			}
			if i = skipSpace(b, end+1); i == len(b) || b[i] != ':' {
				return colonFault(i, len(b))
			}
			i = skipSpace(b, i+1)
		}
		if i == len(b) {
			return endFault(i, open, inObject)
		}
		self := uint32(len(nodes))
		switch c := b[i]; c {
		case '"':
			end, flags := skipPlain(b, i+1), Flags(0)
			if end == len(b) || b[end] != '"' {
				var err *SyntaxError
				if end, flags, err = scanString(b, end); err != nil {
					return err
				}
			}
			nodes = push(nodes)
			nodes[self].set(i+1, end, self+1, String, flags)
			i = end + 1
		case '{', '[':
			if depth == lim.Depth {
				return fault(i, "nested deeper than "+strconv.Itoa(lim.Depth)+" levels")
			}
			depth++
			kind, closer := Array, byte(']')
			if c == '{' {
				kind, closer = Object, '}'
			}
			nodes = push(nodes)
			nodes[self].set(i, 0, open, kind, 0)
			open, inObject = self, c == '{'
			i = skipSpace(b, i+1)
			if i < len(b) && b[i] == closer {
				break // empty: the loop below closes it
			}
			nodes[self].Count = 1
			continue values
		case 't', 'f', 'n':
			kind, word := literal(c)
			end := i + len(word)
			if end > len(b) || string(b[i:end]) != word {
				return fault(i, "expected a value (misspelt true, false or null)")
			}
			nodes = push(nodes)
			nodes[self].set(i, end, self+1, kind, 0)
			i = end
		default:
			if c != '-' && !isDigit(c) {
				return fault(i, "expected a value")
			}
			end, flags, err := scanNumber(b, i, lim)
			if err != nil {
				return err
			}
			nodes = push(nodes)
			nodes[self].set(i, end, self+1, Number, flags)
			i = end
		}
		for { // a value has ended, or a container is empty: close what closes here
			i = skipSpace(b, i)
			if open == none {
				d.nodes = nodes
				if i < len(b) {
					return fault(i, "data after the JSON value")
				}
				return nil
			}
			if i == len(b) {
				return endFault(i, open, inObject)
			}
			c := b[i]
			if c == ',' {
				nodes[open].Count++
				i = skipSpace(b, i+1)
				continue values
			}
			if inObject && c != '}' || !inObject && c != ']' {
				return separatorFault(i, inObject)
			}
			i++
			n := &nodes[open]
			parent := n.Next
			n.End, n.Next = uint32(i), uint32(len(nodes))
			if inObject && n.Count > 1 {
				d.nodes = nodes
				if err := d.checkNames(int(open)); err != nil {
					return err
				}
			}
			open = parent
			inObject = open != none && nodes[open].Kind == Object
			depth--
		}
	}
}

// push makes room for one more node, which the caller sets.
func push(nodes []Node) []Node {
	if len(nodes) == cap(nodes) {
		nodes = slices.Grow(nodes, 1)
	}
	return nodes[:len(nodes)+1]
}

// set writes every field of n in place. (A composite literal, or append of
// one, is built on the stack and copied in wider steps than it was written
// in, which stalls the processor: a quarter of the time of a scan.)
func (n *Node) set(off, end int, next uint32, kind Kind, flags Flags) {
	n.Off, n.End, n.Next, n.Count = uint32(off), uint32(end), next, 0
	n.Kind, n.Flags = kind, flags
}

// literal returns the word that starts with c, which is t, f or n.
func literal(c byte) (Kind, string) {
	switch c {
	case 't':
		return True, "true"
	case 'f':
		return False, "false"
	default:
		return Null, "null"
	}
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
func endFault(off int, open uint32, inObject bool) *SyntaxError {
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
