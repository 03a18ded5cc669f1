package jsonschema_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// The texts were put to V8's RegExp, with flag u.
func TestRegex(t *testing.T) {
	good := []string{"", "^a+$", "a|b|", "|", "()", "(a)(?:b)(?=c)(?!d)(?<=e)(?<!f)(?<year>\\d{4})\\k<year>", "(?i:a)", "[]", "[^]", "[]a", "[^\\]-]", "[a-z\\d-]", "[\\w-a]", "[-a]",
		"x{1000000}", "a{2}?", "a{2,}", "a{02,2}", "a{,5}", "{", "}", "]", "a{b}", "\\.\\/\\-\\@\\é", "\\1", "\\p{L}\\u0041\\u{1F600}\\x41\\cA\\0", "(?=a)*", "é*", "[α-ω]", "(?:a*)*", ".*?"}
	bad := []string{"(", ")", "a)", "(a", "(?", "(?a)", "(?<>a)", "(?<1>a)", "(?<n", "[", "[a", "[^", "[z-a]", "[\\", "\\", "*", "+a", "a**", "a|*", "^*", "$+", "(*a)", "(?:+)", "\\b*", "a{2,1}", "a{2}{3}", "{2}", "a{5,0}", "a{10,9}", "\\Z", "\\a", "[\\q]"}
	for want, texts := range map[bool][]string{true: good, false: bad} {
		for _, s := range texts {
			if jsonschema.Formats()["regex"](s) != want {
				t.Errorf("%q: not %v", s, want)
			}
		}
	}
}

// What is quoted is a regular expression, and so is one in a group, or beside
// itself; one more parenthesis never is.
func FuzzRegex(f *testing.F) {
	for _, s := range []string{"a{2,3}?|[^b-\\d]", "(?<n>x)\\k<n>", "[\\]]{", "\\", "(?i:é)"} {
		f.Add(s)
	}
	is := jsonschema.Formats()["regex"]
	f.Fuzz(func(t *testing.T, s string) {
		if quoted := regexp.QuoteMeta(s); !is(quoted) {
			t.Errorf("%q, quoted, is refused", quoted)
		}
		ok := is(s)
		for _, whole := range []string{"(" + s + ")", "(?:" + s + ")*", s + "|" + s} {
			if ok && !is(whole) {
				t.Errorf("%q is taken, and %q is not", s, whole)
			}
		}
		if ok && (is(s+")") || is(s+"(")) {
			t.Errorf("%q is taken with one parenthesis more", s)
		}
	})
}

// A long one costs little: parsed by Go's regexp, \pL took seconds.
func BenchmarkRegexFormat(b *testing.B) {
	text := strings.Repeat(`\pL`, 300_000)
	b.SetBytes(int64(len(text)))
	for is := jsonschema.Formats()["regex"]; b.Loop(); {
		if !is(text) {
			b.Fatal("refused")
		}
	}
}
