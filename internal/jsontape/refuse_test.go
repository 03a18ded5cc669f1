package jsontape_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

const (
	endsInString  = "the text ends inside a string"
	endsInObject  = "the text ends inside an object"
	endsInArray   = "the text ends inside an array"
	wantValue     = "expected a value"
	wantName      = "expected a member name"
	misspelt      = "expected a value (misspelt true, false or null)"
	wantColon     = "expected ':' after a member name"
	wantBrace     = "expected ',' or '}' after a member"
	wantBracket   = "expected ',' or ']' after an element"
	trailing      = "data after the JSON value"
	utf16         = "the text is UTF-16 or UTF-32, not UTF-8"
	bom           = "the text starts with a byte order mark"
	badUTF8       = "invalid UTF-8"
	control       = "unescaped control character in a string"
	badEscape     = "unknown escape in a string"
	badHex        = `\u is not followed by four hexadecimal digits`
	surrogate     = "lone or reversed surrogate escape"
	duplicate     = "duplicate member name"
	leadingZero   = "number with a leading zero"
	wantDigit     = "expected a digit after '-'"
	wantFraction  = "expected a digit after the decimal point"
	wantExponent  = "expected a digit in the exponent"
	longNumber    = "number longer than 1000 bytes"
	largeExponent = "number with an exponent beyond 400"
	tooDeep       = "nested deeper than 128 levels"
)

// Each refusal has a message of its own and the offset of the byte that is
// wrong.
func TestRefusals(t *testing.T) {
	tests := []struct {
		text   string
		offset int
		msg    string
	}{
		// what is no text
		{"", 0, "the text is empty"},
		{" \t\r\n", 4, "the text is only white space"},
		{"\xEF\xBB\xBF{}", 0, bom},
		{"{\x00}\x00", 0, utf16},
		{"\x00{\x00}", 0, utf16},
		{"\xFF\xFE{\x00", 0, utf16},
		{"\xFE\xFF\x00{", 0, utf16},
		{"\xFF\xFE\x00\x00{\x00\x00\x00", 0, utf16},
		{"\x00\x00\x00{", 0, utf16},
		{"\x00", 0, wantValue},
		{"\xEF\xBB", 0, wantValue},

		// where it ends
		{"{", 1, endsInObject},
		{`{"a"`, 4, endsInObject},
		{`{"a": `, 6, endsInObject},
		{`{"a":1`, 6, endsInObject},
		{`{"a":1, `, 8, endsInObject},
		{`{"a":[1`, 7, endsInArray},
		{"[", 1, endsInArray},
		{"[1 ", 3, endsInArray},
		{"[1,", 3, endsInArray},
		{`"abc`, 4, endsInString},
		{`{"ab`, 4, endsInString},
		{`"a\`, 3, endsInString},
		{`{} {}`, 3, trailing},
		{`{}x`, 2, trailing},
		{"{}\x00", 2, trailing},
		{`1 2`, 2, trailing},
		{`"a""b"`, 3, trailing},
		{`null//`, 4, trailing},

		// structure
		{`[1 2]`, 3, wantBracket},
		{`[1}`, 2, wantBracket},
		{`{"a":1]`, 6, wantBrace},
		{`{"a":1 "b":2}`, 7, wantBrace},
		{`{"a":1:2}`, 6, wantBrace},
		{`[1,]`, 3, wantValue},
		{`[,1]`, 1, wantValue},
		{`]`, 0, wantValue},
		{`{"a":}`, 5, wantValue},
		{`{"a":1,}`, 7, wantName},
		{`{,}`, 1, wantName},
		{`{a:1}`, 1, wantName},
		{`{'a':1}`, 1, wantName},
		{`{1:1}`, 1, wantName},
		{`{"a" 1}`, 5, wantColon},
		{`{"a",1}`, 4, wantColon},
		{`{"a"}`, 4, wantColon},

		// literals
		{`[nul]`, 1, misspelt},
		{`tru`, 0, misspelt},
		{`True`, 0, wantValue},
		{`[TRUE]`, 1, wantValue},
		{`[fals€]`, 1, misspelt},
		{`nulls`, 4, trailing},
		{`NaN`, 0, wantValue},
		{`[Infinity]`, 1, wantValue},
		{`undefined`, 0, wantValue},
		{"[\u00a01]", 1, wantValue},
		{"[1\f]", 2, wantBracket},

		// numbers
		{`01`, 0, leadingZero},
		{`[-012]`, 2, leadingZero},
		{`-`, 1, wantDigit},
		{`[-a]`, 2, wantDigit},
		{`-Infinity`, 1, wantDigit},
		{`+1`, 0, wantValue},
		{`.5`, 0, wantValue},
		{`1.`, 2, wantFraction},
		{`[1.e3]`, 3, wantFraction},
		{`1e`, 2, wantExponent},
		{`1E+`, 3, wantExponent},
		{`[1e-x]`, 4, wantExponent},
		{`0x1F`, 1, trailing},
		{`[1_000]`, 2, wantBracket},
		{`1e401`, 0, largeExponent},
		{`[1e-401]`, 1, largeExponent},
		{`0e9999999`, 0, largeExponent},
		{`1e99999999999999999999999999`, 0, largeExponent},
		{`[ 1` + strings.Repeat("0", 1000) + `]`, 2, longNumber},
		{`1e` + strings.Repeat("0", 998) + `1`, 0, longNumber},
		{`-1.` + strings.Repeat("5", 998), 0, longNumber},

		// strings
		{"\"a\tb\"", 2, control},
		{"\"12345678\n\"", 9, control},
		{"{\"a\x00\":1}", 3, control},
		{"\"\x1f\"", 1, control},
		{`"\a"`, 1, badEscape},
		{`"ab\'"`, 3, badEscape},
		{`"\U0041"`, 1, badEscape},
		{"\"\\\x00\"", 1, badEscape},
		{`"\u12"`, 1, badHex},
		{`"\u12g4"`, 1, badHex},
		{`"\u`, 1, badHex},
		{`"\ud83d"`, 1, surrogate},
		{`"\ud83dx"`, 1, surrogate},
		{`"\ud83d\n"`, 1, surrogate},
		{`"\ud83d\u0041"`, 1, surrogate},
		{`"\ud83d\ud83d"`, 1, surrogate},
		{`"\ud83d\u12"`, 1, surrogate},
		{`"x\uDE00"`, 2, surrogate},
		{`"\ude00\ud83d"`, 1, surrogate},
		{`"\ude00\ude00"`, 1, surrogate},
		{`{"\udc00":1}`, 2, surrogate},
		{"\"\xff\"", 1, badUTF8},
		{"\"abcdefgh\x80\"", 9, badUTF8},
		{"\"é\xC3\"", 3, badUTF8},
		{"\"\xC0\xAF\"", 1, badUTF8},         // overlong
		{"\"\xE0\x80\xAF\"", 1, badUTF8},     // overlong
		{"\"\xED\xA0\xBD\"", 1, badUTF8},     // surrogate in UTF-8
		{"\"\xF4\x90\x80\x80\"", 1, badUTF8}, // beyond U+10FFFF
		{"\"\xF0\x9F\x98", 1, badUTF8},
		{"[\xE9]", 1, wantValue},

		// names
		{`{"a":1,"a":2}`, 7, duplicate},
		{`{"a":1,"\u0061":2}`, 7, duplicate},
		{`{"\u0061":1,"a":2}`, 12, duplicate},
		{`{"\/":1,"\u002f":2}`, 8, duplicate},
		{`{"":1,"b":2,"":3}`, 12, duplicate},
		{`{"é":1,"\u00e9":2}`, 8, duplicate},
		{`{"\ud83d\ude00":1,"😀":2}`, 18, duplicate},
		{`[{"x":{"b":1,"c":{},"b":2}}]`, 20, duplicate},
		{`{"a":{"a":1,"b":2},"b":2,"a":3}`, 25, duplicate},

		// depth
		{strings.Repeat("[", 129), 128, tooDeep},
		{strings.Repeat(`{"a":`, 128) + "[]", 640, tooDeep},
	}
	var doc jsontape.Doc
	for _, tt := range tests {
		err := doc.Parse([]byte(tt.text), jsontape.Limits{})
		var fault *jsontape.SyntaxError
		if !errors.As(err, &fault) {
			t.Errorf("%.60q: got %v, want a SyntaxError", tt.text, err)
			continue
		}
		if fault.Offset != tt.offset || fault.Msg != tt.msg {
			t.Errorf("%.60q: got %q at byte %d, want %q at byte %d", tt.text, fault.Msg, fault.Offset, tt.msg, tt.offset)
		}
		if len(doc.Nodes()) != 0 {
			t.Errorf("%.60q: %d nodes after a refusal", tt.text, len(doc.Nodes()))
		}
	}
}

func TestSyntaxErrorText(t *testing.T) {
	err := new(jsontape.Doc).Parse([]byte(`[1,]`), jsontape.Limits{})
	if got, want := err.Error(), "expected a value at byte 3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The last text within each limit is taken, the first one beyond it is not.
func TestLimits(t *testing.T) {
	nest := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	digits := func(n int) string { return strings.Repeat("9", n) }
	tests := []struct {
		name     string
		lim      jsontape.Limits
		in, over string
		msg      string
	}{
		{"depth by default", jsontape.Limits{}, nest(128), nest(129), tooDeep},
		{"depth", jsontape.Limits{Depth: 2}, `{"a":[1],"b":[]}`, `{"a":[{}]}`, "nested deeper than 2 levels"},
		{"depth 1000", jsontape.Limits{Depth: 1000}, nest(1000), nest(1001), "nested deeper than 1000 levels"},
		{"length by default", jsontape.Limits{}, digits(1000), digits(1001), longNumber},
		{"length counts the sign", jsontape.Limits{NumberLen: 4}, "-123", "-1234", "number longer than 4 bytes"},
		{"length counts the exponent", jsontape.Limits{NumberLen: 4}, "1e10", "1.0e1", "number longer than 4 bytes"},
		{"exponent by default", jsontape.Limits{}, "1e400", "1e401", largeExponent},
		{"negative exponent", jsontape.Limits{}, "1E-0400", "1E-0401", largeExponent},
		{"exponent counts by value", jsontape.Limits{}, "1e0000000400", "1e0000000401", largeExponent},
		{"exponent", jsontape.Limits{Exponent: 5}, "0.1e+5", "0.1e+6", "number with an exponent beyond 5"},
		{
			"exponent is capped", jsontape.Limits{Exponent: math.MaxInt}, "1e2147483647", "1e2147483648",
			"number with an exponent beyond 2147483647",
		},
		{"negative limits mean the default", jsontape.Limits{Depth: -1, NumberLen: -1, Exponent: -1}, "1e400", "1e401", largeExponent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var doc jsontape.Doc
			if err := doc.Parse([]byte(tt.in), tt.lim); err != nil {
				t.Errorf("%.40q: %v", tt.in, err)
			}
			err := doc.Parse([]byte(tt.over), tt.lim)
			var fault *jsontape.SyntaxError
			if !errors.As(err, &fault) || fault.Msg != tt.msg {
				t.Errorf("%.40q: got %v, want %q", tt.over, err, tt.msg)
			}
		})
	}
}
