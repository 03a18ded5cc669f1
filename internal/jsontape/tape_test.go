package jsontape_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/jsontape"
)

func parse(t *testing.T, text string) *jsontape.Doc {
	t.Helper()
	doc := new(jsontape.Doc)
	if err := doc.Parse([]byte(text), jsontape.Limits{}); err != nil {
		t.Fatalf("%.60q: %v", text, err)
	}
	return doc
}

func TestNodes(t *testing.T) {
	doc := parse(t, ` {"a\n": [1.5, -2], "é":{}, "":null, "t":true,"f":false} `)
	want := []jsontape.Node{
		{Off: 1, End: 57, Next: 13, Count: 5, Kind: jsontape.Object},
		{Off: 3, End: 6, Next: 2, Kind: jsontape.String, Flags: jsontape.Escaped},
		{Off: 9, End: 18, Next: 5, Count: 2, Kind: jsontape.Array},
		{Off: 10, End: 13, Next: 4, Kind: jsontape.Number, Flags: jsontape.Fraction},
		{Off: 15, End: 17, Next: 5, Kind: jsontape.Number, Flags: jsontape.Negative},
		{Off: 21, End: 23, Next: 6, Kind: jsontape.String, Flags: jsontape.NonASCII},
		{Off: 25, End: 27, Next: 7, Kind: jsontape.Object},
		{Off: 30, End: 30, Next: 8, Kind: jsontape.String},
		{Off: 32, End: 36, Next: 9, Kind: jsontape.Null},
		{Off: 39, End: 40, Next: 10, Kind: jsontape.String},
		{Off: 42, End: 46, Next: 11, Kind: jsontape.True},
		{Off: 48, End: 49, Next: 12, Kind: jsontape.String},
		{Off: 51, End: 56, Next: 13, Kind: jsontape.False},
	}
	for i, name := range map[int]string{1: "a\n", 5: "é", 7: "", 9: "t", 11: "f"} {
		want[i].Count = jsontape.HashName(name)
	}
	got := doc.Nodes()
	if len(got) != len(want) {
		t.Fatalf("%d nodes, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("node %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	if got := string(doc.Bytes(2)); got != "[1.5, -2]" {
		t.Errorf("Bytes of the array: %q", got)
	}
	if got := string(doc.Bytes(1)); got != `a\n` {
		t.Errorf("Bytes of the name: %q", got)
	}
}

func TestStrings(t *testing.T) {
	tests := []struct {
		text, want string
		flags      jsontape.Flags
	}{
		{`""`, "", 0},
		{`"plain"`, "plain", 0},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", jsontape.Escaped},
		{`"\u0041\u00e9\u20AC"`, "Aé€", jsontape.Escaped | jsontape.NonASCII},
		{`"x\u0000y"`, "x\x00y", jsontape.Escaped},
		{`"\ud83d\ude00!"`, "😀!", jsontape.Escaped | jsontape.NonASCII},
		{`"é\t😀"`, "é\t😀", jsontape.Escaped | jsontape.NonASCII},
		{`"\ufffd"`, "\ufffd", jsontape.Escaped | jsontape.NonASCII},
		{"\"\ufffd\"", "\ufffd", jsontape.NonASCII},
	}
	for _, tt := range tests {
		doc := parse(t, tt.text)
		if got := string(doc.AppendString([]byte("<"), 0)); got != "<"+tt.want {
			t.Errorf("%s: decoded to %q, want %q after the <", tt.text, got, tt.want)
		}
		if got := doc.Nodes()[0].Flags; got != tt.flags {
			t.Errorf("%s: flags %b, want %b", tt.text, got, tt.flags)
		}
		if !doc.Equal(0, tt.want) {
			t.Errorf("%s: not Equal to %q", tt.text, tt.want)
		}
		for _, other := range []string{tt.want + "x", "x" + tt.want, strings.ToUpper(tt.want) + "\x00", tt.want[:max(0, len(tt.want)-1)]} {
			if other != tt.want && doc.Equal(0, other) {
				t.Errorf("%s: Equal to %q", tt.text, other)
			}
		}
	}
}

// Each byte that ends a run of plain ASCII is seen at each place of the eight
// that are tested at once, and no other byte is.
func TestEveryByteAtEveryPlace(t *testing.T) {
	var doc jsontape.Doc
	for c := range 256 {
		for at := range 16 {
			text := []byte(`"` + strings.Repeat("a", 24) + `"`)
			text[1+at] = byte(c)
			err := doc.Parse(text, jsontape.Limits{})
			plain := c >= ' ' && c < 0x80 && c != '"' && c != '\\'
			if (err == nil) != plain {
				t.Errorf("byte %#02x at %d: got %v, want taken=%v", c, at, err, plain)
			}
		}
	}
}

func TestMember(t *testing.T) {
	doc := parse(t, `{"a":{"b":1,"c":[{"b":2}]},"b":3,"\u0064\"":4,"":5,"é":6,"a.b":7}`)
	tests := []struct {
		name, want string
	}{
		{"a", `{"b":1,"c":[{"b":2}]}`}, {"b", "3"}, {`d"`, "4"}, {"", "5"}, {"é", "6"}, {"a.b", "7"},
		{"A", ""}, {"c", ""}, {"d", ""}, {`\u0064\"`, ""}, {"e\u0301", ""}, {" a", ""},
	}
	for _, tt := range tests {
		i, ok := doc.Member(0, tt.name)
		if ok != (tt.want != "") {
			t.Errorf("%q: found=%v", tt.name, ok)
		} else if ok && string(doc.Bytes(i)) != tt.want {
			t.Errorf("%q is %s, want %s", tt.name, doc.Bytes(i), tt.want)
		}
	}
	a, _ := doc.Member(0, "a")
	if b, ok := doc.Member(a, "b"); !ok || string(doc.Bytes(b)) != "1" {
		t.Error("the member of a nested object is not found")
	}
	for _, text := range []string{`[{"a":1}]`, `"a"`, `1`, `{}`, `[]`} {
		if _, ok := parse(t, text).Member(0, "a"); ok {
			t.Errorf("%s has a member a", text)
		}
	}
}

// A Doc that was used before answers as a new one does.
func TestReuse(t *testing.T) {
	texts := []string{`{"a":1,"b":{"c":2}}`, `[`, `{"a":1,"a":2}`, `[1,2,3]`, `{"b":1,"a":2}`, ``, `{"a":1,"b":2,"c":3,"d":4,"e":5}`}
	texts = append(texts, string(wideObject(300)), `{"attribute_1":1,"x":2}`)
	var used jsontape.Doc
	for range 3 {
		for _, text := range texts {
			var fresh jsontape.Doc
			want := fresh.Parse([]byte(text), jsontape.Limits{})
			got := used.Parse([]byte(text), jsontape.Limits{})
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%.40q: got %v, want %v", text, got, want)
			}
			if fmt.Sprint(used.Nodes()) != fmt.Sprint(fresh.Nodes()) {
				t.Errorf("%.40q: the nodes differ", text)
			}
			if !bytes.Equal(used.Raw(), []byte(text)) {
				t.Errorf("%.40q: Raw is %.40q", text, used.Raw())
			}
		}
	}
}

func TestReset(t *testing.T) {
	doc := parse(t, string(wideObject(100)))
	size := doc.Size()
	if least := 100 * 2 * 20; size < least {
		t.Errorf("Size is %d after 201 nodes, want at least %d", size, least)
	}
	doc.Reset()
	if doc.Raw() != nil || len(doc.Nodes()) != 0 {
		t.Error("Reset keeps the text or its nodes")
	}
	if doc.Size() != size {
		t.Errorf("Reset changed the size from %d to %d", size, doc.Size())
	}
	if err := doc.Parse([]byte("[1]"), jsontape.Limits{}); err != nil {
		t.Error(err)
	}
}

func TestNoAllocations(t *testing.T) {
	texts := map[string][]byte{
		"wide":     wideObject(500),
		"escapes":  []byte(`{"a\n":"\u00e9\ud83d\ude00","b\t":[1.5e3,-2],"a\r":"x"}`),
		"repeated": []byte(strings.Replace(`[{"a":1,"b\n":2,"c":3}*]`, "*", strings.Repeat(`,{"a":1,"b\n":2,"c":3}`, 200), 1)),
	}
	for _, c := range corpus.Cases() {
		texts[c.Name] = c.Body
	}
	var doc jsontape.Doc
	decoded := make([]byte, 0, 64)
	for name, text := range texts {
		allocs := testing.AllocsPerRun(50, func() {
			if err := doc.Parse(text, jsontape.Limits{}); err != nil {
				t.Fatal(err)
			}
			if i, ok := doc.Member(0, "a\n"); ok {
				decoded = doc.AppendString(decoded[:0], i)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// Hostile texts end, one way or the other, in a Doc whose memory is bounded
// by the length of the text.
func TestHostile(t *testing.T) {
	taken := map[string]bool{
		"nested to the limit, often": true, "objects nested to the limit": true, "empty arrays": true, "empty objects": true,
		"small objects": true, "one-digit elements": true, "distinct names": true, "names alike but in the middle": true,
		"names of one length": true, "names that are escapes": true, "names with a zero": true, "names of a long common prefix": true,
		"long names of escapes alike": true, "numbers at the limit": true, "white space between": true, "long string": true,
		"escapes": true, "surrogate pairs": true, "emoji": true, "alternating widths": true,
	}
	for name, text := range hostileTexts() {
		var doc jsontape.Doc
		err := doc.Parse([]byte(text), jsontape.Limits{})
		if (err == nil) != taken[name] {
			t.Errorf("%s: got %v, want taken=%v", name, err, taken[name])
		}
		var fault *jsontape.SyntaxError
		if errors.As(err, &fault) && (fault.Offset < 0 || fault.Offset > len(text)) {
			t.Errorf("%s: offset %d is outside of the text", name, fault.Offset)
		}
		if most := 40*len(text) + 4096 + 1024; doc.Size() > most {
			t.Errorf("%s: %d bytes held for a text of %d", name, doc.Size(), len(text))
		}
	}
}

// Reading a Doc is safe from several goroutines (the race detector looks on).
func TestConcurrentReaders(t *testing.T) {
	doc := parse(t, string(wideObject(200)))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 1; i < len(doc.Nodes()); i = int(doc.Nodes()[i+1].Next) {
				name := string(doc.AppendString(nil, i))
				if at, ok := doc.Member(0, name); !ok || at != i+1 {
					t.Errorf("member %q not found", name)
				}
			}
		})
	}
	wg.Wait()
}
