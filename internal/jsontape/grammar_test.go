package jsontape_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// validTexts are JSON texts by RFC 8259, which we take.
func validTexts() []string {
	return []string{
		// any value may stand at the top
		`null`, `true`, `false`, `0`, `-0`, `42`, `""`, `"a"`, `[]`, `{}`, " 1 ", "\t\r\n [ ] \r\n",
		// numbers
		`[0.0]`, `[-0.0]`, `[1.5]`, `[10e2]`, `[1E2]`, `[1e+2]`, `[1e-2]`, `[0e0]`, `[-0e-0]`, `[1.25E+10]`, `[0.000001]`,
		`[9007199254740993]`, `[123456789012345678901234567890]`, `[-0.1e1]`, `[1e0001]`, `[1e400]`, `[1e-400]`,
		// strings
		`["\"\\\/\b\f\n\r\t"]`, `["\u0041\u00e9\u20AC"]`, `["\ud83d\ude00"]`, `["\uD834\uDD1E"]`, `["\u0000"]`, `["\u001f"]`,
		`["é€😀"]`, "[\"\u007f\"]", "[\"\u0080\"]", "[\"\u2028\u2029\"]", "[\"\ufeff\"]", "[\"\ufffe\uffff\"]", "[\"\U0010ffff\"]",
		`["\udbff\udfff"]`, `["\ufdd0"]`, `["\\u0041"]`, `["a/b"]`, `["\\\\"]`, `["\\\""]`,
		// strings whose end lies at each place of a word of eight bytes
		`["1"]`, `["12"]`, `["123"]`, `["1234"]`, `["12345"]`, `["123456"]`, `["1234567"]`, `["12345678"]`, `["123456789"]`,
		`["1234567\n"]`, `["12345678\n"]`, `["1234567é"]`, `["123456é"]`,
		// arrays and objects
		`[[]]`, `[[],{}]`, `[1,2,3]`, `[null,true,false,0,"",[],{}]`, `{"a":1}`, `{"":0}`, `{"a":{"b":{"c":[]}}}`, `{"a":[],"b":{}}`,
		`{"a":1,"A":2}`, `{"a":1,"a ":2}`, `{"é":1,"É":2}`, `{"a":{"a":{"a":1}}}`, `[{"a":1},{"a":1}]`, "{ \"a\" : 1 ,\n\"b\" : [ 1 , 2 ] }",
		`{"\u0000":1,"":2}`, `{"\"":1,"\\":2}`, `{"constructor":1,"__proto__":2}`,
		strings.Repeat("[", 128) + strings.Repeat("]", 128),
	}
}

// invalidTexts are none by RFC 8259.
func invalidTexts() []string {
	return []string{
		``, ` `, `[`, `]`, `{`, `}`, `[}`, `{]`, `[1`, `{"a"`, `{"a":`, `{"a":1`, `"a`, `"\`, `"\u`, `"\u00`, `"\"`,
		`[1,]`, `[,]`, `[,1]`, `[1,,2]`, `[1 2]`, `{,}`, `{"a":1,}`, `{"a":1,,"b":2}`, `{"a" "b"}`, `{"a"::1}`, `{:1}`, `{"a":}`,
		`{a:1}`, `{'a':'b'}`, `{1:2}`, `{null:1}`, `{"a":1}}`, `[]]`, `{}{}`, `1 1`, `"a" "b"`, `null,`, `,`, `:`,
		`nul`, `Null`, `TRUE`, `truefalse`, `[tru]`, `nan`, `NaN`, `[-NaN]`, `Infinity`, `[-Infinity]`, `undefined`,
		`01`, `-01`, `00`, `+1`, `1.`, `.1`, `-.1`, `1.e1`, `1e`, `1e+`, `1e1.5`, `1ee1`, `--1`, `- 1`, `1 .5`, `0x1`, `0b1`, `1_0`, `１`, `1,5`, `2.e-3`, `-`,
		`["\x41"]`, `["\'"]`, `["\0"]`, `["\u{41}"]`, `["\u004"]`, `["\u00gg"]`, "[\"\\\n\"]", "[\"a\nb\"]", "[\"\x00\"]", "[\"\x1f\"]", `['a']`, "[`a`]",
		`/* c */ 1`, `1 // c`, `# c`, "[1]\f", "\v[1]", "\u00a0[1]", "\u2028[1]", "[1]\x00", "\x00", "<a/>", "a=1&b=2",
	}
}

// choice is one text with our answer.
type choice struct {
	why, text string
	taken     bool
}

// choices are texts whose fate RFC 8259 leaves to the reader, or which
// readers are known to disagree on, with our documented answer.
func choices() []choice {
	return []choice{
		{"names should be unique (section 4)", `{"a":1,"a":1}`, false},
		{"names are compared decoded (8.3)", `{"a":1,"\u0061":2}`, false},
		{"names are not normalized: two forms of é differ", "{\"\u00e9\":1,\"e\u0301\":2}", true},
		{"names are case-sensitive", `{"id":1,"ID":2}`, true},
		{"a byte order mark may be ignored or refused (8.1)", "\xEF\xBB\xBF{}", false},
		{"a byte order mark inside a string is a character", "[\"\ufeff\"]", true},
		{"the text is UTF-8 (8.1): UTF-16, little-endian", "[\x001\x00]\x00", false},
		{"the text is UTF-8 (8.1): UTF-16, big-endian", "\x00[\x001\x00]", false},
		{"a lone high surrogate is no character (8.2)", `["\ud800"]`, false},
		{"a lone low surrogate is no character (8.2)", `["\udfff"]`, false},
		{"a reversed pair is two lone surrogates", `["\ude00\ud83d"]`, false},
		{"a pair of which one half is UTF-8 is none", "[\"\\ud83d\xED\xB8\x80\"]", false},
		{"invalid UTF-8: stray continuation", "[\"\x80\"]", false},
		{"invalid UTF-8: overlong NUL", "[\"\xC0\x80\"]", false},
		{"invalid UTF-8: encoded surrogate (CESU-8)", "[\"\xED\xA0\xBD\xED\xB8\x80\"]", false},
		{"invalid UTF-8: Latin-1", "[\"caf\xE9\"]", false},
		{"noncharacters are characters of the grammar", "[\"\uffff\"]", true},
		{"an escaped NUL is a character", `["\u0000"]`, true},
		{"DEL is no control character of the grammar", "[\"\x7f\"]", true},
		{"depth may be limited (9)", strings.Repeat("[", 129) + strings.Repeat("]", 129), false},
		{"the range of numbers may be limited (9): exponent", `[1e401]`, false},
		{"an exponent beyond float64 but within 400 is kept as text", `[1e399]`, true},
		{"a zero with a large exponent is refused for what is written", `[0e401]`, false},
		{"leading zeros of an exponent do not count", `[1e0000000400]`, true},
		{"the precision of numbers may be limited (9): 1,000 digits", `[` + strings.Repeat("7", 1000) + `]`, true},
		{"the precision of numbers may be limited (9): 1,001 digits", `[` + strings.Repeat("7", 1001) + `]`, false},
		{"integers beyond 2^53 are kept as text", `[9007199254740993]`, true},
		{"minus zero is a number", `[-0]`, true},
		{"a scalar is a text (2)", `"a"`, true},
		{"U+2028 in a string is no line end", "[\"\u2028\"]", true},
	}
}

func TestGrammar(t *testing.T) {
	var doc jsontape.Doc
	valid, invalid := append(validTexts(), moreValidTexts()...), append(invalidTexts(), moreInvalidTexts()...)
	choices := append(choices(), moreChoices()...)
	if n := len(valid) + len(invalid) + len(choices); n < 300 {
		t.Errorf("%d texts", n)
	}
	for _, text := range valid {
		if !json.Valid([]byte(text)) {
			t.Errorf("the table is wrong: %.60q is invalid", text)
		}
		if err := doc.Parse([]byte(text), jsontape.Limits{}); err != nil {
			t.Errorf("%.60q refused: %v", text, err)
		}
	}
	for _, text := range invalid {
		if json.Valid([]byte(text)) {
			t.Errorf("the table is wrong: %.60q is valid", text)
		}
		if doc.Parse([]byte(text), jsontape.Limits{}) == nil {
			t.Errorf("%.60q taken", text)
		}
	}
	for _, c := range choices {
		if err := doc.Parse([]byte(c.text), jsontape.Limits{}); (err == nil) != c.taken {
			t.Errorf("%s: %.60q: got %v, want taken=%v", c.why, c.text, err, c.taken)
		}
	}
}
