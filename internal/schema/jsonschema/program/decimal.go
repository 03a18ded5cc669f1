package program

import (
	"cmp"
	"strconv"
)

// Decimal is a JSON number taken apart without expanding its exponent:
// digits × 10^exponent. The digits, first those of head and then those of
// tail, have neither leading nor trailing zeros; zero has none, no sign and
// exponent 0. So two literals are the same number exactly if sign, digits and
// exponent are the same. A Decimal refers to the literal that it was read
// from.
type Decimal struct {
	negative   bool
	head, tail []byte
	exponent   int
}

// farExponent stands for every exponent beyond it, so that sums cannot
// overflow. The scanner's own limit is far below.
const farExponent = 1 << 30

// ParseDecimal reads a literal of RFC 8259 section 6, which it does not check.
func ParseDecimal(literal []byte) Decimal {
	var d Decimal
	if literal[0] == '-' {
		d.negative, literal = true, literal[1:]
	}
	i := skipDigits(literal, 0)
	d.head = literal[:i]
	if i < len(literal) && literal[i] == '.' {
		end := skipDigits(literal, i+1)
		d.tail = literal[i+1 : end]
		i = end
	}
	if i < len(literal) { // at the "e"
		d.exponent = parseExponent(literal[i+1:])
	}
	d.exponent -= len(d.tail)
	d.trim()
	return d
}

// trim brings d into its canonical form.
func (d *Decimal) trim() {
	d.head = trimLeading(d.head)
	if len(d.head) == 0 {
		d.tail = trimLeading(d.tail)
	}
	end := len(d.tail)
	for end > 0 && d.tail[end-1] == '0' {
		end--
	}
	d.exponent += len(d.tail) - end
	d.tail = d.tail[:end]
	if end > 0 {
		return
	}
	end = len(d.head)
	for end > 0 && d.head[end-1] == '0' {
		end--
	}
	d.exponent += len(d.head) - end
	if d.head = d.head[:end]; end == 0 {
		*d = Decimal{}
	}
}

func trimLeading(b []byte) []byte {
	for len(b) > 0 && b[0] == '0' {
		b = b[1:]
	}
	return b
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

func parseExponent(b []byte) int {
	negative := b[0] == '-'
	if negative || b[0] == '+' {
		b = b[1:]
	}
	n := 0
	for _, c := range b {
		if n = n*10 + int(c-'0'); n > farExponent {
			n = farExponent
		}
	}
	if negative {
		return -n
	}
	return n
}

func (d *Decimal) zero() bool { return len(d.head)+len(d.tail) == 0 }

// Size is how many digits stand before the decimal point; it is negative
// where zeros stand after it.
func (d *Decimal) Size() int { return len(d.head) + len(d.tail) + d.exponent }

// whole reports whether d is an integer: 1.0 and 1e2 are.
func (d *Decimal) whole() bool { return d.exponent >= 0 }

// compare is negative, zero or positive as d is less than, equal to or
// greater than e.
func (d *Decimal) compare(e *Decimal) int {
	switch {
	case d.zero() && e.zero():
		return 0
	case d.zero():
		return sign(!e.negative)
	case e.zero():
		return sign(d.negative)
	case d.negative != e.negative:
		return sign(d.negative)
	}
	order := cmp.Compare(d.Size(), e.Size())
	n := max(len(d.head)+len(d.tail), len(e.head)+len(e.tail))
	for i := 0; order == 0 && i < n; i++ {
		order = cmp.Compare(d.digit(i), e.digit(i))
	}
	if d.negative {
		return -order
	}
	return order
}

// sign is -1 if less, else 1.
func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

// digit is the i-th digit from the left, '0' beyond the last.
func (d *Decimal) digit(i int) byte {
	if i < len(d.head) {
		return d.head[i]
	}
	if i -= len(d.head); i < len(d.tail) {
		return d.tail[i]
	}
	return '0'
}

// AppendKey appends a text that no other number has and that ends by itself.
func (d *Decimal) AppendKey(dst []byte) []byte {
	if d.negative {
		dst = append(dst, '-')
	}
	dst = append(append(dst, d.head...), d.tail...)
	dst = strconv.AppendInt(append(dst, 'e'), int64(d.exponent), 10)
	return append(dst, ';')
}

// mantissa returns the digits as a number, if there are at most 19.
func (d *Decimal) mantissa() (m uint64, ok bool) {
	n := len(d.head) + len(d.tail)
	if n > 19 {
		return 0, false
	}
	for i := range n {
		m = m*10 + uint64(d.digit(i)-'0')
	}
	return m, true
}
