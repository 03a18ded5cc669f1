package jsontape

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanString scans the content of a string from i, which stands after its
// opening quote and after plain ASCII at most, and returns the index of its
// closing quote.
func scanString(b []byte, i int) (end int, flags Flags, err *SyntaxError) {
	for {
		i = skipPlain(b, i)
		if i == len(b) {
			return 0, 0, fault(i, "the text ends inside a string")
		}
		switch c := b[i]; {
		case c == '"':
			return i, flags, nil
		case c == '\\':
			r, n, err := scanEscape(b, i)
			if err != nil {
				return 0, 0, err
			}
			flags |= Escaped
			if r >= utf8.RuneSelf {
				flags |= NonASCII
			}
			i += n
		case c < ' ':
			return 0, 0, fault(i, "unescaped control character in a string")
		default:
			flags |= NonASCII
			for i < len(b) && b[i] >= utf8.RuneSelf {
				// DecodeRune refuses overlong forms, surrogates and what is
				// beyond U+10FFFF (RFC 3629).
				r, n := utf8.DecodeRune(b[i:])
				if r == utf8.RuneError && n == 1 {
					return 0, 0, fault(i, "invalid UTF-8")
				}
				i += n
			}
		}
	}
}

// skipPlain returns the index of the first byte at or after i that ends a run
// of plain ASCII: a quote, a backslash, a control character or a byte from
// 0x80; or len(b).
func skipPlain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if m := special(binary.LittleEndian.Uint64(b[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// special has a bit set in the first byte of w that ends a run of plain ASCII.
// It tests eight bytes at once: in a word from which low times n was
// subtracted, the lowest byte with its high bit set is the first one that was
// less than n, if none has that bit from the start (bytes above it may be
// marked falsely by a borrow, and so they are never looked at). A control
// character or a quote, with bit 1 turned over, is less than 0x21, and no other ASCII is.
func special(w uint64) uint64 {
	const (
		low  = 0x0101010101010101
		high = 0x8080808080808080
	)
	control, slash := (w^low*2)-low*0x21, (w^low*'\\')-low
	return (control | slash | w) & high
}

// scanEscape checks the escape at b[i], a backslash, and returns its rune and
// length in bytes. Two escapes that form a surrogate pair are one (RFC 8259
// section 7).
func scanEscape(b []byte, i int) (r rune, n int, err *SyntaxError) {
	if i+1 == len(b) {
		return 0, 0, fault(i+1, "the text ends inside a string")
	}
	if b[i+1] != 'u' {
		if r := simpleEscape(b[i+1]); r != 0 {
			return r, 2, nil
		}
		return 0, 0, fault(i, "unknown escape in a string")
	}
	r, ok := hex4(b, i+2)
	switch {
	case !ok:
		return 0, 0, fault(i, `\u is not followed by four hexadecimal digits`)
	case r < 0xD800 || r > 0xDFFF:
		return r, 6, nil
	case r >= 0xDC00:
		return 0, 0, fault(i, "lone or reversed surrogate escape")
	}
	if i+7 < len(b) && b[i+6] == '\\' && b[i+7] == 'u' {
		if lo, ok := hex4(b, i+8); ok && lo >= 0xDC00 && lo <= 0xDFFF {
			return 0x10000 + (r-0xD800)<<10 + (lo - 0xDC00), 12, nil
		}
	}
	return 0, 0, fault(i, "lone or reversed surrogate escape")
}

// simpleEscape returns the character that a backslash and c stand for, or 0.
func simpleEscape(c byte) rune {
	switch c {
	case '"', '\\', '/':
		return rune(c)
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return 0
	}
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case isDigit(c):
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// AppendString appends the decoded content, in UTF-8, of the string (or
// name) at i to dst and returns the longer slice.
func (d *Doc) AppendString(dst []byte, i int) []byte {
	b := d.Bytes(i)
	if d.nodes[i].Flags&Escaped == 0 {
		return append(dst, b...)
	}
	return appendDecoded(dst, b)
}

// appendDecoded is AppendString for the content b of a string that has
// escapes and was checked.
func appendDecoded(dst, b []byte) []byte {
	for at := 0; ; {
		run := at
		for at < len(b) && b[at] != '\\' {
			at++
		}
		dst = append(dst, b[run:at]...)
		if at == len(b) {
			return dst
		}
		r, n, _ := scanEscape(b, at) // Parse has checked it
		dst = utf8.AppendRune(dst, r)
		at += n
	}
}

// Equal reports whether the decoded content of the string (or name) at i is
// s. It allocates nothing.
func (d *Doc) Equal(i int, s string) bool {
	n := &d.nodes[i]
	b := d.raw[n.Off:n.End]
	if n.Flags&Escaped == 0 {
		return string(b) == s
	}
	return equalEscaped(b, s)
}

// equalEscaped compares the content b of a string, which has escapes and was
// checked, with decoded text.
func equalEscaped[T string | []byte](b []byte, s T) bool {
	var buf [utf8.UTFMax]byte
	for len(b) > 0 {
		next, n := b[:1], 1
		if b[0] == '\\' {
			var r rune
			r, n, _ = scanEscape(b, 0)
			next = utf8.AppendRune(buf[:0], r)
		}
		if len(s) < len(next) || string(s[:len(next)]) != string(next) {
			return false
		}
		b, s = b[n:], s[len(next):]
	}
	return len(s) == 0
}
