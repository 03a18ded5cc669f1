package program

import (
	"math"
	"math/big"
	"math/bits"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// numberRules are the keywords about numbers.
type numberRules struct {
	lowest, highest int64 // the integers of at most 18 digits that the bounds admit
	bounds          []bound
	divisors        []divisor
}

// bound is one of minimum, maximum and their exclusive forms.
type bound struct {
	at    Decimal
	rat   *big.Rat // the same, for the explanation
	order boundKind
}

type boundKind uint8

const (
	minimum boundKind = iota
	exclusiveMinimum
	maximum
	exclusiveMaximum
)

// holds is given how a number compares with the bound.
func (k boundKind) holds(order int) bool {
	switch k {
	case minimum:
		return order >= 0
	case exclusiveMinimum:
		return order > 0
	case maximum:
		return order <= 0
	default:
		return order < 0
	}
}

func (r *numberRules) addBound(rat *big.Rat, kind boundKind) {
	if rat == nil {
		return
	}
	r.bounds = append(r.bounds, bound{at: decimalOf(rat), rat: rat, order: kind})
	below := new(big.Int).Div(rat.Num(), rat.Denom()) // Euclidean: the floor, as denominators are positive
	switch kind {
	case minimum:
		if !rat.IsInt() {
			below.Add(below, big.NewInt(1))
		}
		r.lowest = max(r.lowest, saturate(below))
	case exclusiveMinimum:
		r.lowest = max(r.lowest, saturate(below.Add(below, big.NewInt(1))))
	case maximum:
		r.highest = min(r.highest, saturate(below))
	case exclusiveMaximum:
		if rat.IsInt() {
			below.Sub(below, big.NewInt(1))
		}
		r.highest = min(r.highest, saturate(below))
	}
}

// saturate keeps an integer beyond 64 bits beyond all of 18 digits.
func saturate(n *big.Int) int64 {
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return math.MinInt64
	default:
		return math.MaxInt64
	}
}

// decimalOf is exact: the bounds of a schema were decimal literals.
func decimalOf(rat *big.Rat) Decimal {
	places, _ := rat.FloatPrec()
	return ParseDecimal([]byte(rat.FloatString(places)))
}

// divisor is multipleOf: mantissa × 10^exponent.
type divisor struct {
	mantissa uint64
	exponent int
	rat      *big.Rat
}

func newDivisor(rat *big.Rat) (divisor, bool) {
	d := decimalOf(rat)
	m, ok := d.mantissa()
	return divisor{mantissa: m, exponent: d.exponent, rat: rat}, ok && m > 0
}

// divides reports whether d is a multiple. Neither the digits' 10^k nor the
// quotient is ever written out.
func (v *divisor) divides(d *Decimal) bool {
	if d.zero() {
		return true
	}
	shift := d.exponent - v.exponent
	if shift < 0 {
		return false // the divisor would have to divide digits by 10, and they end in no zero
	}
	rest := appendDigits(appendDigits(0, d.head, v.mantissa), d.tail, v.mantissa)
	return mulMod(rest, powMod(10, shift, v.mantissa), v.mantissa) == 0
}

// appendDigits returns what rest, with digits written after it, leaves modulo m.
func appendDigits(rest uint64, digits []byte, m uint64) uint64 {
	for len(digits) > 0 {
		part, scale := uint64(0), uint64(1)
		n := min(len(digits), 18) // as many as are below 2^63
		for _, c := range digits[:n] {
			part, scale = part*10+uint64(c-'0'), scale*10
		}
		rest = addMod(mulMod(rest, scale, m), part%m, m)
		digits = digits[n:]
	}
	return rest
}

func mulMod(a, b, m uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return bits.Rem64(hi, lo, m)
}

func addMod(a, b, m uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	return bits.Rem64(carry, sum, m)
}

func powMod(base uint64, n int, m uint64) uint64 {
	result, square := 1%m, base%m
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result = mulMod(result, square, m)
		}
		square = mulMod(square, square, m)
	}
	return result
}

// isInteger reports whether a number literal is an integer.
func isInteger(literal []byte, flags jsontape.Flags) bool {
	if flags&jsontape.Fraction == 0 {
		return true
	}
	d := ParseDecimal(literal)
	return d.whole()
}

// shortInt reads an integer literal of at most 18 digits.
func shortInt(literal []byte, flags jsontape.Flags) (n int64, ok bool) {
	if flags&jsontape.Fraction != 0 || len(literal) > 18 {
		return 0, false
	}
	digits := literal
	if flags&jsontape.Negative != 0 {
		digits = literal[1:]
	}
	for _, c := range digits {
		n = n*10 + int64(c-'0')
	}
	if flags&jsontape.Negative != 0 {
		n = -n
	}
	return n, true
}

// floorOf returns the integer below or at a literal of at most 18 bytes without
// an exponent, and whether the literal is that integer.
func floorOf(literal []byte, flags jsontape.Flags) (n int64, whole, ok bool) {
	if len(literal) > 18 {
		return 0, false, false
	}
	rest := literal
	if flags&jsontape.Negative != 0 {
		rest = literal[1:]
	}
	i := 0
	for ; i < len(rest) && rest[i] != '.'; i++ {
		c := rest[i] - '0'
		if c > 9 {
			return 0, false, false
		}
		n = n*10 + int64(c)
	}
	below := byte(0) // the digits after the point together
	for i++; i < len(rest); i++ {
		c := rest[i] - '0'
		if c > 9 {
			return 0, false, false
		}
		below |= c
	}
	if flags&jsontape.Negative != 0 {
		n = -n
		if below != 0 {
			n--
		}
	}
	return n, below == 0, true
}

// allows is the verdict of type and of the number keywords on a number.
func (n *node) allows(literal []byte, flags jsontape.Flags) bool {
	if n.integerOnly && flags&jsontape.Fraction != 0 && !isInteger(literal, flags) {
		return false
	}
	return n.number == nil || n.number.allow(literal, flags)
}

// allow is the verdict of the number keywords.
func (r *numberRules) allow(literal []byte, flags jsontape.Flags) bool {
	n, short := shortInt(literal, flags)
	if short {
		if n < r.lowest || n > r.highest {
			return false
		}
		if len(r.divisors) == 0 {
			return true
		}
	}
	if !short && len(r.divisors) == 0 {
		floor, whole, ok := floorOf(literal, flags)
		if ok && floor >= r.lowest && (floor < r.highest || whole && floor == r.highest) {
			return true // with the integers around it, if it is none itself
		}
	}
	d := ParseDecimal(literal)
	if !short {
		for i := range r.bounds {
			if b := &r.bounds[i]; !b.order.holds(d.compare(&b.at)) {
				return false
			}
		}
	}
	for i := range r.divisors {
		if !r.divisors[i].divides(&d) {
			return false
		}
	}
	return true
}
