package program

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

func literals() []string {
	return []string{
		"0", "-0", "0.0", "0e5", "-0.00e-7", "1", "-1", "1.0", "10e-1", "100e-2", "0.1e1", "1e0", "2", "10", "1e1", "0.5", "5e-1", "-0.5", "0.25", "1.5", "-1.5", "19.99", "0.01", "0.010", "1e-2",
		"9007199254740992", "9007199254740993", "9007199254740992.5", "999999999999999999", "-999999999999999999", "1000000000000000000", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551616",
		"123456789012345678901234567890", "123456789012345678901234567890.5", "1e30", "1e400", "-1e400", "1e-400", "12345.6789e3", "0.000123456789e9", "100", "1e2", "1.00e2", "86399.999999999999", "86400",
		strings.Repeat("9", 1000), "0." + strings.Repeat("0", 900) + "1", "1" + strings.Repeat("0", 300) + ".5",
	}
}

func rat(t testing.TB, literal string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(literal)
	if !ok {
		t.Fatalf("no number: %s", literal)
	}
	return r
}

func flagsOf(literal string) jsontape.Flags {
	var flags jsontape.Flags
	if strings.ContainsAny(literal, ".eE") {
		flags |= jsontape.Fraction
	}
	if literal[0] == '-' {
		flags |= jsontape.Negative
	}
	return flags
}

// Law: comparison, equality of keys, and being an integer are those of the
// rationals.
func TestDecimal(t *testing.T) {
	for _, a := range literals() {
		x := ParseDecimal([]byte(a))
		if got, want := isInteger([]byte(a), flagsOf(a)), rat(t, a).IsInt(); got != want {
			t.Errorf("%.40s is an integer: %v, want %v", a, got, want)
		}
		for _, b := range literals() {
			y := ParseDecimal([]byte(b))
			want := rat(t, a).Cmp(rat(t, b))
			if got := x.compare(&y); got != want {
				t.Errorf("%.40s against %.40s: %d, want %d", a, b, got, want)
			}
			if got := string(x.AppendKey(nil)) == string(y.AppendKey(nil)); got != (want == 0) {
				t.Errorf("%.40s and %.40s share a key: %v", a, b, got)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	kinds := map[boundKind]func(order int) bool{
		minimum:          func(o int) bool { return o >= 0 },
		exclusiveMinimum: func(o int) bool { return o > 0 },
		maximum:          func(o int) bool { return o <= 0 },
		exclusiveMaximum: func(o int) bool { return o < 0 },
	}
	for _, limit := range literals() {
		for kind, want := range kinds {
			rules := numberRules{lowest: math.MinInt64, highest: math.MaxInt64}
			rules.addBound(rat(t, limit), kind)
			for _, a := range literals() {
				if got := rules.allow([]byte(a), flagsOf(a)); got != want(rat(t, a).Cmp(rat(t, limit))) {
					t.Errorf("bound %d at %.40s allows %.40s: %v", kind, limit, a, got)
				}
			}
		}
	}
}

func TestMultipleOf(t *testing.T) {
	for _, m := range []string{"1", "2", "3", "10", "100", "0.01", "0.1", "1.5", "1e-3", "0.0075", "1e2", "1e300", "9999999999999999999", "7e-400"} {
		d, ok := newDivisor(rat(t, m))
		if !ok {
			t.Fatalf("%s is declined", m)
		}
		for _, a := range literals() {
			x := ParseDecimal([]byte(a))
			if got, want := d.divides(&x), new(big.Rat).Quo(rat(t, a), rat(t, m)).IsInt(); got != want {
				t.Errorf("%.40s is a multiple of %s: %v, want %v", a, m, got, want)
			}
		}
	}
	if _, ok := newDivisor(rat(t, "12345678901234567891")); ok {
		t.Error("a divisor beyond 19 digits is taken")
	}
}

// FuzzNumber: bounds and divisors decide as the rationals do.
func FuzzNumber(f *testing.F) {
	for _, a := range literals() {
		f.Add(a, "1.5")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, literal := range []string{a, b} {
			var doc jsontape.Doc
			if doc.Parse([]byte(literal), jsontape.Limits{}) != nil || doc.Nodes()[0].Kind != jsontape.Number || strings.TrimSpace(literal) != literal {
				t.Skip()
			}
		}
		order := rat(t, a).Cmp(rat(t, b))
		for _, kind := range []boundKind{minimum, exclusiveMinimum, maximum, exclusiveMaximum} {
			rules := numberRules{lowest: math.MinInt64, highest: math.MaxInt64}
			rules.addBound(rat(t, b), kind)
			if rules.allow([]byte(a), flagsOf(a)) != kind.holds(order) {
				t.Errorf("bound %d at %s and %s", kind, b, a)
			}
		}
		if rat(t, b).Sign() <= 0 {
			return
		}
		if d, ok := newDivisor(rat(t, b)); ok {
			x := ParseDecimal([]byte(a))
			if d.divides(&x) != new(big.Rat).Quo(rat(t, a), rat(t, b)).IsInt() {
				t.Errorf("%s a multiple of %s", a, b)
			}
		}
	})
}
