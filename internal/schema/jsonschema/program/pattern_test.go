package program

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
	"unicode/utf8"
)

func patternTexts() []string {
	return []string{
		"", "a", "b", "ab", "abc", "aab", "abab", "A", "é", "aé", "日本語", "😀", "a\nb", "\n", " ", "+4930555017", "+0123456", "0d9e4c61-7a35-48f2-b1c8-62f0a7d3e594",
		"KD-2290417", "N-14", "joe@example.org", "joe@", "a b", "2026-11-18", "x.y_z", strings.Repeat("a", 200), strings.Repeat("é", 50) + "a", "ſ", "K", "k",
	}
}

// Each kind of matcher is named, so that a pattern that used to be fast does
// not quietly become slow.
func TestPatternsMeanWhatTheyMeanInGo(t *testing.T) {
	const chained, automatic, plain = "chain", "automaton", "regexp"
	tests := map[string]string{
		`^\+[1-9][0-9]{5,14}$`: chained, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`: chained, `^[A-Z]{2}-[0-9]{4,10}$`: chained,
		`^[a-z_][a-z0-9_.]{0,39}$`: chained, `^abc$`: chained, `^a?b?$`: automatic, `^[^@ ]+@[^@ ]+$`: automatic, `^[a-z]+$`: automatic,
		``: automatic, `a`: automatic, `^`: automatic, `$`: automatic, `^$`: chained, `a|b`: automatic, `^(a|ab)(c|bcd)?$`: automatic, `b$`: automatic, `^a`: automatic,
		`é`: automatic, `^é+$`: automatic, `[^a]`: automatic, `^.$`: automatic, `^(?s:.)$`: automatic, `^\p{L}+$`: automatic, `^\P{Greek}{2}$`: automatic, `(?i)^k$`: automatic, `(?i)ab`: automatic, `^[\x{1F600}-\x{1F64F}]$`: automatic,
		`a{3,5}b`: automatic, `(a*)*b`: automatic, `(^a|b$)`: automatic, `x*$^`: automatic, `\d{4}-\d{2}-\d{2}`: automatic, `\x00`: automatic,
		`\bab\b`: plain, `(?m)^b$`: plain, `\Bb`: plain, `(a|b)*a(a|b){12}`: plain,
	}
	for text, engine := range tests {
		p, err := newPattern(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got := plain
		if p.chain != nil {
			got = chained
		} else if p.automaton != nil {
			got = automatic
		}
		if got != engine {
			t.Errorf("%s is matched by a %s, want %s", text, got, engine)
		}
		re := regexp.MustCompile(text)
		parsed, err := syntax.Parse(text, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		a := newAutomaton(parsed)
		for _, s := range patternTexts() {
			if got, want := p.match([]byte(s)), re.MatchString(s); got != want {
				t.Errorf("%s matches %.40q: %v, want %v", text, s, got, want)
			}
			if a != nil && a.match([]byte(s)) != re.MatchString(s) {
				t.Errorf("%s: the automaton is wrong about %.40q", text, s)
			}
		}
	}
	if _, err := newPattern(`(?=a)`); err == nil {
		t.Error("look-ahead is taken")
	}
}

// FuzzPattern: a pattern matches exactly what it matches in Go.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{`^a+(b|c){2,3}$`, `é|[^é]x`, `(?i)straße$`, `^(\d|\pL)*\z`, `\A[[:alpha:]]?`, `^[a-c]{2}$`} {
		for _, s := range patternTexts() {
			f.Add(p, s)
		}
	}
	f.Fuzz(func(t *testing.T, text, s string) {
		re, err := regexp.Compile(text)
		if len(text) > 200 || !utf8.ValidString(s) {
			t.Skip()
		}
		p, ours := newPattern(text)
		if (err == nil) != (ours == nil) {
			t.Fatalf("%q: %v, in Go %v", text, ours, err)
		}
		if err == nil && p.match([]byte(s)) != re.MatchString(s) {
			t.Errorf("%q on %q: %v", text, s, p.match([]byte(s)))
		}
	})
}
