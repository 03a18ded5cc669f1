package signature

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// A body that was parsed and written again has the same meaning and other
// bytes. Here it is written as the common libraries do. What they lose
// (members that occur twice, digits beyond float64) cannot be brought back; what
// was signed after the loss can be found.

const (
	maxReserialised = 256 << 10 // bytes of a body that is written anew in every way
	maxDepth        = 1000
)

// value is a JSON value with its members in order.
type value struct {
	kind    byte   // '{', '[', '"' or 0 for literals
	text    string // of a string, decoded; of a literal, as it stands
	names   []string
	members []value
}

func parseValue(body []byte) (value, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := readValue(dec, 0)
	if err == nil && len(bytes.TrimSpace(body[dec.InputOffset():])) > 0 {
		err = errors.New("more than one value")
	}
	return v, err
}

func readValue(dec *json.Decoder, depth int) (value, error) {
	t, err := dec.Token()
	if err != nil {
		return value{}, err
	}
	switch t := t.(type) {
	case json.Delim:
		if depth > maxDepth {
			return value{}, errors.New("too deep")
		}
		return readMembers(dec, byte(t), depth)
	case string:
		return value{kind: '"', text: t}, nil
	case json.Number:
		return value{text: t.String()}, nil
	case nil:
		return value{text: "null"}, nil
	default:
		return value{text: fmt.Sprint(t)}, nil
	}
}

func readMembers(dec *json.Decoder, kind byte, depth int) (value, error) {
	v := value{kind: kind}
	for dec.More() {
		if kind == '{' {
			name, err := dec.Token()
			if err != nil {
				return value{}, err
			}
			text, ok := name.(string)
			if !ok {
				return value{}, errors.New("a name is no string")
			}
			v.names = append(v.names, text)
		}
		m, err := readValue(dec, depth+1)
		if err != nil {
			return value{}, err
		}
		v.members = append(v.members, m)
	}
	_, err := dec.Token()
	return v, err
}

// unique returns v as a dictionary keeps it: of members with one name the first
// place and the last value. With byName, in the order of their names.
func (v value) unique(byName bool) value {
	out := value{kind: v.kind, text: v.text}
	place := make(map[string]int)
	for i, m := range v.members {
		m = m.unique(byName)
		if v.kind == '{' {
			if at, twice := place[v.names[i]]; twice {
				out.members[at] = m
				continue
			}
			place[v.names[i]] = len(out.names)
			out.names = append(out.names, v.names[i])
		}
		out.members = append(out.members, m)
	}
	if !byName || v.kind != '{' {
		return out
	}
	names, members := slices.Clone(out.names), slices.Clone(out.members)
	slices.Sort(out.names)
	for i, name := range names {
		at, _ := slices.BinarySearch(out.names, name)
		out.members[at] = members[i]
	}
	return out
}

// layout is where a writer puts white space.
type layout struct {
	name         string
	comma, colon string
	indent       string // "": all in one line
	newline      string
}

func layouts() []layout {
	return []layout{
		{"compact", ",", ":", "", ""},
		{"with a space after each comma and colon, as Python's json.dumps", ", ", ": ", "", ""},
		{"pretty, two spaces", ",", ": ", "  ", "\n"},
		{"pretty, four spaces", ",", ": ", "    ", "\n"},
		{"pretty, tabs", ",", ": ", "\t", "\n"},
		{"pretty, two spaces and CRLF", ",", ": ", "  ", "\r\n"},
		{"with a space after each colon", ",", ": ", "", ""},
	}
}

// escapes is how a writer writes the characters that JSON lets it choose.
type escapes struct {
	name   string
	ascii  bool   // what is not ASCII becomes \uXXXX
	upper  bool   // with upper-case digits
	set    string // ASCII characters that become \uXXXX
	slash  bool   // "/" becomes "\/"
	quote  bool   // the quote becomes \u0022
	lineUs bool   // U+2028 and U+2029 become \uXXXX
}

func escapings() []escapes {
	return []escapes{
		{name: ""},
		{name: `non-ASCII as \uXXXX, as Python's json.dumps`, ascii: true},
		{name: `<, > and & as \u003c, as Go's encoding/json`, set: "<>&", lineUs: true},
		{name: `slashes as \/`, slash: true},
		{name: `slashes as \/ and non-ASCII as \uXXXX, as PHP's json_encode`, slash: true, ascii: true},
		{name: `<, >, &, = and ' as \u003c, as Gson`, set: "<>&='", lineUs: true},
		{name: `quotes, <, >, &, +, ' and non-ASCII as \u0022, as .NET's System.Text.Json`, set: "<>&+'`", ascii: true, upper: true, quote: true},
	}
}

// numbers is how a writer writes numbers that it has parsed into a float64.
type numbers struct {
	name  string
	float bool
}

// reserialised adds the body as the common libraries would write it again.
func (l *bodyList) reserialised(body []byte) {
	bare := bytes.TrimPrefix(body, []byte(byteOrderMark))
	v, err := parseValue(bare)
	if err != nil || !json.Valid(bare) {
		return
	}
	for _, e := range escapings() {
		b := rewriteStrings(body, e)
		l.add(b, CauseReserialised, "with the body's strings written again"+suffix(e.name), remedyBody)
	}
	for _, n := range []numbers{{name: ""}, {name: "numbers through float64", float: true}} {
		for _, o := range []struct {
			name string
			v    value
		}{{"", v}, {"members sorted by name", v.unique(true)}, {"of members with one name the last", v.unique(false)}} {
			for _, e := range escapings() {
				for _, lay := range layouts() {
					l.addWritten(o.v, writer{lay, e, n}, o.name)
				}
			}
		}
	}
}

func (l *bodyList) addWritten(v value, w writer, order string) {
	b := w.append(nil, v, 0)
	how := "with the body written again: " + w.layout.name + suffix(order) + suffix(w.escapes.name) + suffix(w.numbers.name)
	l.add(b, CauseReserialised, how, remedyBody)
	if w.layout.indent == "" || w.layout.newline == "\n" {
		l.add(append(bytes.Clone(b), '\n'), CauseReserialised, how+", and a newline at the end", remedyBody)
	}
}

func suffix(name string) string {
	if name == "" {
		return ""
	}
	return ", " + name
}

type writer struct {
	layout
	escapes
	numbers
}

func (w writer) append(dst []byte, v value, depth int) []byte {
	switch v.kind {
	case '{', '[':
		return w.appendMembers(dst, v, depth)
	case '"':
		return w.escapes.append(dst, v.text)
	default:
		return append(dst, w.numbers.text(v.text)...)
	}
}

func (w writer) appendMembers(dst []byte, v value, depth int) []byte {
	dst = append(dst, v.kind)
	for i, m := range v.members {
		if i > 0 {
			dst = append(dst, w.comma...)
		}
		dst = w.appendBreak(dst, depth+1)
		if v.kind == '{' {
			dst = append(w.escapes.append(dst, v.names[i]), w.colon...)
		}
		dst = w.append(dst, m, depth+1)
	}
	if len(v.members) > 0 {
		dst = w.appendBreak(dst, depth)
	}
	return append(dst, v.kind+2) // '}' and ']' are two after their openers
}

func (w writer) appendBreak(dst []byte, depth int) []byte {
	if w.indent == "" {
		return dst
	}
	dst = append(dst, w.newline...)
	return append(dst, strings.Repeat(w.indent, depth)...)
}

// append writes one string.
func (e escapes) append(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' && e.quote:
			dst = e.appendUnit(dst, '"')
		case r == '"' || r == '\\' || r == '/' && e.slash:
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = e.appendControl(dst, r)
		case r < 0x80 && strings.ContainsRune(e.set, r), r == '\u2028' && e.lineUs, r == '\u2029' && e.lineUs:
			dst = e.appendUnit(dst, uint16(r))
		case r >= 0x7f && e.ascii && !(r == 0x7f && !e.upper):
			for _, u := range utf16.Encode([]rune{r}) {
				dst = e.appendUnit(dst, u)
			}
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}

func (e escapes) appendControl(dst []byte, r rune) []byte {
	if i := strings.IndexRune("\b\f\n\r\t", r); i >= 0 {
		return append(dst, '\\', "bfnrt"[i])
	}
	return e.appendUnit(dst, uint16(r))
}

func (e escapes) appendUnit(dst []byte, u uint16) []byte {
	if e.upper {
		return fmt.Appendf(dst, `\u%04X`, u)
	}
	return fmt.Appendf(dst, `\u%04x`, u)
}

// text writes a literal: as it stands, or as JavaScript and Go write a float64.
func (n numbers) text(s string) string {
	if !n.float || s == "" || !strings.ContainsRune("-0123456789", rune(s[0])) {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	b, err := json.Marshal(f)
	if err != nil {
		return s
	}
	return string(b)
}

// rewriteStrings writes every string anew and leaves everything between them.
// The body is valid JSON, perhaps after a byte order mark.
func rewriteStrings(body []byte, e escapes) []byte {
	var out []byte
	for i := 0; i < len(body); {
		if body[i] != '"' {
			out = append(out, body[i])
			i++
			continue
		}
		end := i + 1
		for body[end] != '"' {
			if body[end] == '\\' {
				end++
			}
			end++
		}
		var text string
		if json.Unmarshal(body[i:end+1], &text) != nil {
			text = string(body[i+1 : end])
		}
		out = e.append(out, text)
		i = end + 1
	}
	return out
}
