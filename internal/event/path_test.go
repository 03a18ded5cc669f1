package event_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/jsontape"
)

func TestParsePath(t *testing.T) {
	for _, text := range []string{"a", "a.b", "data.contact.id", `a\.b`, `\.`, `\\`, `a\\.b`, `a\\\.b.c`, " ", "é.ü", "a b", "0", `"`, "$", "[0]"} {
		p, err := event.ParsePath(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if p.String() != text {
			t.Errorf("%q: String is %q", text, p.String())
		}
	}
}

func TestParsePathErrors(t *testing.T) {
	const unknown = `unknown escape (only \. and \\ are known)`
	tests := []struct {
		text   string
		offset int
		msg    string
	}{
		{"", 0, "empty path"},
		{".", 0, "empty name"},
		{".a", 0, "empty name"},
		{"a.", 2, "empty name"},
		{"a..b", 2, "empty name"},
		{`a\..`, 4, "empty name"},
		{`\`, 0, "backslash with nothing after it"},
		{`a\`, 1, "backslash with nothing after it"},
		{`a.\\\`, 4, "backslash with nothing after it"},
		{`a\n`, 1, unknown},
		{`ab.\"`, 3, unknown},
	}
	for _, tt := range tests {
		_, err := event.ParsePath(tt.text)
		var fault *event.PathError
		if !errors.As(err, &fault) {
			t.Errorf("%q: got %v, want a PathError", tt.text, err)
			continue
		}
		if fault.Offset != tt.offset || fault.Msg != tt.msg || fault.Path != tt.text {
			t.Errorf("%q: got %+v, want %q at byte %d", tt.text, *fault, tt.msg, tt.offset)
		}
	}
	_, err := event.ParsePath("a..b")
	if got, want := err.Error(), `path "a..b": empty name at byte 2`; got != want {
		t.Errorf("the error reads %q, want %q", got, want)
	}
}

// joinPath is the inverse of ParsePath.
func joinPath(names []string) string {
	escaped := make([]string, len(names))
	for i, name := range names {
		escaped[i] = strings.NewReplacer(`\`, `\\`, `.`, `\.`).Replace(name)
	}
	return strings.Join(escaped, ".")
}

// FuzzPathNames makes a path of names and a body with a value at the end of
// these names. The law: the path parses, keeps its text, and finds the value;
// and when the last name is spelt otherwise, it finds nothing.
func FuzzPathNames(f *testing.F) {
	f.Add("data\ncontact\nid")
	f.Add("a.b\n\\\n\\.\n..")
	f.Add("é\nÉ\n\u0000\n\"")
	f.Add(" ")
	f.Fuzz(func(t *testing.T, joined string) {
		if !utf8.ValidString(joined) {
			t.Skip("no member has such a name")
		}
		names := strings.FieldsFunc(joined, func(r rune) bool { return r == '\n' })
		if len(names) == 0 || len(names) > 100 {
			t.Skip()
		}
		p, err := event.ParsePath(joinPath(names))
		if err != nil {
			t.Fatalf("%q: %v", names, err)
		}
		if p.String() != joinPath(names) {
			t.Fatalf("%q: String is %q", names, p.String())
		}
		paths := &event.Paths{Contact: []event.Path{p}}
		if ev, _ := event.Parse(new(jsontape.Doc), nest(t, names), jsontape.Limits{}, paths); ev.Contact != "found" {
			t.Fatalf("%q: path %q finds %q", names, p, ev.Contact)
		}
		names[len(names)-1] += "x"
		if ev, _ := event.Parse(new(jsontape.Doc), nest(t, names), jsontape.Limits{}, paths); ev.HasContact {
			t.Fatalf("%q: path %q finds %q", names, p, ev.Contact)
		}
	})
}

// nest returns an object with "found" at the end of names.
func nest(t *testing.T, names []string) []byte {
	t.Helper()
	body := []byte(`"found"`)
	for i := len(names) - 1; i >= 0; i-- {
		name, err := json.Marshal(names[i])
		if err != nil {
			t.Fatal(err)
		}
		body = append(append(append([]byte("{"), name...), ':'), append(body, '}')...)
	}
	return body
}

// FuzzParsePath: a text that parses is the only spelling of its names; one
// that does not has its fault at a place within it.
func FuzzParsePath(f *testing.F) {
	for _, text := range []string{"a", "a.b", `a\.b`, `a\\.b`, `\`, "a..b", `\x`, ".", "a.", `\\\.`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := event.ParsePath(text)
		var fault *event.PathError
		switch {
		case err == nil:
			if got := joinPath(event.Names(p)); got != text || p.String() != text {
				t.Fatalf("%q: names %q join to %q, String is %q", text, event.Names(p), got, p)
			}
		case !errors.As(err, &fault) || fault.Offset < 0 || fault.Offset > len(text):
			t.Fatalf("%q: %v is no PathError within the text", text, err)
		}
	})
}

func TestPathNames(t *testing.T) {
	for text, want := range map[string]string{"a": "a", "data.contact.id": "data|contact|id", `a\.b.c\\`: `a.b|c\`} {
		p, err := event.ParsePath(text)
		if err != nil {
			t.Fatal(err)
		}
		names := p.Names()
		if got := strings.Join(names, "|"); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		names[0] = "changed"
		if p.Names()[0] == "changed" {
			t.Errorf("%s: the path has changed", text)
		}
	}
}
