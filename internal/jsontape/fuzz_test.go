package jsontape_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// FuzzParse compares the scanner with two others. The laws:
//   - we take exactly what jsontext takes (it too refuses duplicate names,
//     invalid UTF-8 and lone surrogates), less what is over our limits;
//   - what we take is valid to encoding/json;
//   - the tape says what jsontext's token stream says, at the same offsets,
//     and both decode each string alike, as encoding/json does.
func FuzzParse(f *testing.F) {
	for _, c := range corpus.Cases() {
		f.Add(c.Body, uint8(0), uint8(0), uint8(0))
	}
	for _, texts := range [][]string{validTexts(), invalidTexts()} {
		for _, text := range texts {
			f.Add([]byte(text), uint8(0), uint8(0), uint8(0))
		}
	}
	for _, c := range choices() {
		f.Add([]byte(c.text), uint8(0), uint8(0), uint8(0))
	}
	f.Add([]byte(`{"a":[{"b":[-12.5e7]}]}`), uint8(4), uint8(7), uint8(7))
	f.Add(wideObject(50), uint8(1), uint8(2), uint8(0))
	var doc jsontape.Doc // reused, so that what one text leaves behind meets the next
	f.Fuzz(func(t *testing.T, text []byte, depth, numberLen, exponent uint8) {
		lim := jsontape.Limits{Depth: int(depth), NumberLen: int(numberLen), Exponent: int(exponent)}
		err := doc.Parse(text, lim)
		if err == nil && !json.Valid(text) {
			t.Fatalf("%q: encoding/json refuses it", text)
		}
		tokens, within := readTokens(text, lim)
		if want := tokens != nil && within; (err == nil) != want {
			t.Fatalf("%q: got %v; to jsontext valid=%v, within limits=%v", text, err, tokens != nil, within)
		}
		var fault *jsontape.SyntaxError
		if err != nil && (!errors.As(err, &fault) || fault.Offset < 0 || fault.Offset > len(text)) {
			t.Fatalf("%q: %v is no SyntaxError within the text", text, err)
		}
		if err == nil {
			c := comparison{T: t, doc: &doc, tokens: tokens}
			if next := c.value(0); next != len(doc.Nodes()) || len(c.tokens) != 0 {
				t.Fatalf("%q: %d of %d nodes reached, %d tokens left", text, next, len(doc.Nodes()), len(c.tokens))
			}
		}
	})
}

// token is one of jsontext's tokens, with the offset after it.
type token struct {
	kind byte
	text string // of a string (decoded) or number
	end  int
}

// readTokens reads text with jsontext. The tokens are nil when text is
// invalid; within tells whether it keeps to the limits.
func readTokens(text []byte, lim jsontape.Limits) (tokens []token, within bool) {
	orDefault := func(n, def int) int {
		if n == 0 {
			return def
		}
		return n
	}
	depth := orDefault(lim.Depth, jsontape.DefaultDepth)
	numberLen := orDefault(lim.NumberLen, jsontape.DefaultNumberLen)
	exponent := orDefault(lim.Exponent, jsontape.DefaultExponent)
	if !jsontext.Value(text).IsValid() {
		return nil, false
	}
	within = true
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return tokens, within
		}
		if err != nil {
			return nil, false
		}
		next := token{kind: byte(tok.Kind()), end: int(dec.InputOffset())}
		switch next.kind {
		case '"':
			next.text = tok.String()
		case '0':
			next.text = tok.String()
			within = within && len(next.text) <= numberLen && exponentOf(next.text) <= exponent
		}
		within = within && dec.StackDepth() <= depth
		tokens = append(tokens, next)
	}
}

// exponentOf returns the absolute exponent of a number literal, or a large
// number when it does not fit.
func exponentOf(literal string) int {
	_, digits, ok := strings.Cut(strings.ToLower(literal), "e")
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimLeft(digits, "+-"))
	if err != nil {
		return 1 << 30
	}
	return n
}

// comparison walks the tape along the tokens.
type comparison struct {
	*testing.T
	doc    *jsontape.Doc
	tokens []token
}

func (c *comparison) take(kind byte) token {
	c.Helper()
	if len(c.tokens) == 0 || c.tokens[0].kind != kind {
		c.Fatalf("%q: the tape has a %c, the tokens go on with %+v", c.doc.Raw(), kind, c.tokens)
	}
	next := c.tokens[0]
	c.tokens = c.tokens[1:]
	return next
}

// value compares the value at node i and returns the index after it.
func (c *comparison) value(i int) int {
	n := c.doc.Nodes()[i]
	next := i + 1
	switch n.Kind {
	case jsontape.Object:
		c.at(i, c.take('{').end, int(n.Off)+1)
		names := make([]string, 0, n.Count)
		for range n.Count {
			names = append(names, c.string(next))
			next = c.value(next + 1)
		}
		c.at(i, c.take('}').end, int(n.End))
		c.members(i, names)
	case jsontape.Array:
		c.at(i, c.take('[').end, int(n.Off)+1)
		for range n.Count {
			next = c.value(next)
		}
		c.at(i, c.take(']').end, int(n.End))
	case jsontape.String:
		c.string(i)
	case jsontape.Number:
		c.number(i)
	default:
		want := map[jsontape.Kind]string{jsontape.Null: "null", jsontape.False: "false", jsontape.True: "true"}[n.Kind]
		c.at(i, c.take(want[0]).end, int(n.End))
		if word := string(c.doc.Bytes(i)); word != want {
			c.Fatalf("%q: node %d of kind %d is the word %q", c.doc.Raw(), i, n.Kind, word)
		}
	}
	if next != int(n.Next) {
		c.Fatalf("%q: Next of node %d is %d, its subtree ends at %d", c.doc.Raw(), i, n.Next, next)
	}
	return next
}

func (c *comparison) at(i, got, want int) {
	c.Helper()
	if got != want {
		c.Fatalf("%q: node %d: the token ends at %d, the tape says %d", c.doc.Raw(), i, got, want)
	}
}

// members checks that each name of the object at i finds the value after it.
func (c *comparison) members(i int, names []string) {
	if len(names) > 64 {
		return // Member is linear: this check would be quadratic
	}
	at := i + 1
	for _, name := range names {
		if got, ok := c.doc.Member(i, name); !ok || got != at+1 {
			c.Fatalf("%q: member %q is at %d (found=%v), want %d", c.doc.Raw(), name, got, ok, at+1)
		}
		at = int(c.doc.Nodes()[at+1].Next)
	}
}

func (c *comparison) string(i int) string {
	n, tok := c.doc.Nodes()[i], c.take('"')
	c.at(i, tok.end, int(n.End)+1)
	got := string(c.doc.AppendString(nil, i))
	var std string
	if err := json.Unmarshal(c.doc.Raw()[n.Off-1:n.End+1], &std); err != nil || std != got || tok.text != got {
		c.Fatalf("%q: decoded to %q, by encoding/json to %q (%v), by jsontext to %q", c.doc.Raw(), got, std, err, tok.text)
	}
	if !c.doc.Equal(i, got) || c.doc.Equal(i, got+"x") || got != "" && c.doc.Equal(i, got[:len(got)-1]) {
		c.Fatalf("%q: Equal is wrong about %q", c.doc.Raw(), got)
	}
	wide := strings.ContainsFunc(got, func(r rune) bool { return r >= 0x80 })
	c.flag(i, jsontape.Escaped, bytes.ContainsRune(c.doc.Bytes(i), '\\'))
	c.flag(i, jsontape.NonASCII, wide)
	if int(n.Next) != i+1 {
		c.Fatalf("%q: Next of the string %d is %d", c.doc.Raw(), i, n.Next)
	}
	return got
}

func (c *comparison) number(i int) {
	tok, literal := c.take('0'), string(c.doc.Bytes(i))
	c.at(i, tok.end, int(c.doc.Nodes()[i].End))
	if literal != tok.text {
		c.Fatalf("%q: number %q, by jsontext %q", c.doc.Raw(), literal, tok.text)
	}
	c.flag(i, jsontape.Fraction, strings.ContainsAny(literal, ".eE"))
	c.flag(i, jsontape.Negative, literal[0] == '-')
}

func (c *comparison) flag(i int, flag jsontape.Flags, want bool) {
	c.Helper()
	if got := c.doc.Nodes()[i].Flags&flag != 0; got != want {
		c.Fatalf("%q: flag %b of node %d is %v", c.doc.Raw(), flag, i, got)
	}
}
