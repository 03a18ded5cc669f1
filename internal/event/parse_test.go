package event_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// pathsOf parses three lists of paths, each separated by spaces.
func pathsOf(t testing.TB, typ, contact, id string) *event.Paths {
	t.Helper()
	parse := func(list string) (all []event.Path) {
		for _, text := range strings.Fields(list) {
			p, err := event.ParsePath(text)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
		return all
	}
	return &event.Paths{Type: parse(typ), Contact: parse(contact), ID: parse(id)}
}

func defaultPaths(t testing.TB) *event.Paths {
	return pathsOf(t, "actionType", "contactId", "eventId")
}

func TestParse(t *testing.T) {
	paths := pathsOf(t, "type data.type", "master contactId data.contact.id", "id data.id")
	tests := []struct {
		name, body string
		want       event.Event
	}{
		{"all at the top", `{"type":"A","contactId":"c","id":"i"}`, event.Event{Type: "A", Contact: "c", HasContact: true, ID: "i"}},
		{
			"all below", `{"data":{"type":"A","contact":{"id":"c"},"id":"i"}}`,
			event.Event{Type: "A", Contact: "c", HasContact: true, ID: "i"},
		},
		{
			"the first path wins, not the first member", `{"contactId":"c","master":"m","data":{"type":"B","id":"j"},"type":"A","id":"i"}`,
			event.Event{Type: "A", Contact: "m", HasContact: true, ID: "i"},
		},
		{
			"what counts as absent lets the next path try", `{"type":7,"data":{"type":"B","id":"j"},"master":null,"contactId":" ","id":false}`,
			event.Event{Type: "B", ID: "j"},
		},
		{
			"escapes are decoded", `{"ty\u0070e":"\u0041\"","contactId":"\u00fc\ud83d\ude00","id":"a\/b"}`,
			event.Event{Type: `A"`, Contact: "ü😀", HasContact: true, ID: "a/b"},
		},
		{
			"nothing is trimmed or folded", `{"type":" A\t","contactId":" c ","id":"\u0130 "}`,
			event.Event{Type: " A\t", Contact: " c ", HasContact: true, ID: "\u0130 "},
		},
		{
			"numbers keep their literal", `{"type":"A","contactId":900719925474010002,"id":-1.50E+2}`,
			event.Event{Type: "A", Contact: "900719925474010002", HasContact: true, ID: "-1.50E+2"},
		},
		{"zero is a number", `{"type":"A","contactId":0,"id":-0}`, event.Event{Type: "A", Contact: "0", HasContact: true, ID: "-0"}},
		{"an exponent stays", `{"type":"A","contactId":1e3,"id":"i"}`, event.Event{Type: "A", Contact: "1e3", HasContact: true, ID: "i"}},
		{"names are case-sensitive", `{"type":"A","CONTACTID":"c","ContactId":"d","id":"i"}`, event.Event{Type: "A", ID: "i"}},
		{"no index into an array", `{"type":"A","data":[{"contact":{"id":"c"}}],"id":"i"}`, event.Event{Type: "A", ID: "i"}},
		{"no way through a string", `{"type":"A","data":{"contact":"c"},"id":"i"}`, event.Event{Type: "A", ID: "i"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := event.Parse(new(jsontape.Doc), []byte(tt.body), jsontape.Limits{}, paths)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// What a contact may be (and an id, which follows the same rule).
func TestContactValues(t *testing.T) {
	tests := []struct {
		value, want string // want "": absent
	}{
		{`"c"`, "c"}, {`" c"`, " c"}, {`"0"`, "0"}, {`12`, "12"}, {`-1.0`, "-1.0"}, {`1e400`, "1e400"},
		{`"\u0000"`, "\x00"}, {`"\u200b"`, "\u200b"}, {`"\ufeff"`, "\ufeff"}, {`"\u001f"`, "\x1f"}, {`"null"`, "null"},
		{`null`, ""}, {`true`, ""}, {`false`, ""}, {`""`, ""}, {`" "`, ""}, {`"\t\r\n"`, ""}, {`"\u000b\f"`, ""}, {`{}`, ""}, {`[]`, ""},
		{`["c"]`, ""}, {`{"id":"c"}`, ""}, {`"\u00a0"`, ""}, {`"\u0085"`, ""}, {`"\u1680\u2003\u2028\u2029\u202f\u205f\u3000"`, ""},
		{"\"\u3000\u00a0\"", ""}, {"\"\u3000x\"", "\u3000x"},
	}
	for _, tt := range tests {
		body := []byte(`{"actionType":"A","contactId":` + tt.value + `,"eventId":` + tt.value + `}`)
		got, err := event.Parse(new(jsontape.Doc), body, jsontape.Limits{}, defaultPaths(t))
		if err != nil {
			t.Fatalf("%s: %v", tt.value, err)
		}
		wantID := tt.want
		if tt.want == "" {
			wantID = event.BodyID(body)
		}
		if got.Contact != tt.want || got.HasContact != (tt.want != "") || got.ID != wantID {
			t.Errorf("%s: got %+v, want contact %q, id %q", tt.value, got, tt.want, wantID)
		}
	}
}

func TestTypeValues(t *testing.T) {
	for value, want := range map[string]string{
		`"A"`: "A", `" a"`: " a", `"\u0041"`: "A", `1`: "", `""`: "", `" \u00a0"`: "", `null`: "", `{}`: "", `["A"]`: "", `true`: "",
	} {
		body := []byte(`{"actionType":` + value + `,"contactId":"c","eventId":"i"}`)
		got, err := event.Parse(new(jsontape.Doc), body, jsontape.Limits{}, defaultPaths(t))
		if got.Type != want || errors.Is(err, event.ErrNoType) != (want == "") {
			t.Errorf("%s: type %q, error %v, want %q", value, got.Type, err, want)
		}
		if got.Contact != "c" || got.ID != "i" {
			t.Errorf("%s: contact %q and id %q are lost", value, got.Contact, got.ID)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for body, want := range map[string]error{
		`[{"actionType":"A"}]`: event.ErrNotObject,
		`"actionType"`:         event.ErrNotObject,
		`null`:                 event.ErrNotObject,
		`{}`:                   event.ErrNoType,
		`{"x":1}`:              event.ErrNoType,
	} {
		got, err := event.Parse(new(jsontape.Doc), []byte(body), jsontape.Limits{}, defaultPaths(t))
		if !errors.Is(err, want) || got != (event.Event{ID: event.BodyID([]byte(body))}) {
			t.Errorf("%s: got %+v, %v, want only the id, and %v", body, got, err, want)
		}
	}
	for _, body := range []string{``, `{"actionType":"A","eventId":"i"`, `{"eventId":"i","eventId":"j"}`, `{"a":[[1]]}`} {
		got, err := event.Parse(new(jsontape.Doc), []byte(body), jsontape.Limits{Depth: 2}, defaultPaths(t))
		var fault *jsontape.SyntaxError
		if !errors.As(err, &fault) || got != (event.Event{ID: event.BodyID([]byte(body))}) {
			t.Errorf("%q: got %+v, %v, want only the id, and a SyntaxError", body, got, err)
		}
	}
}

func TestNoPaths(t *testing.T) {
	body := []byte(`{"actionType":"A"}`)
	got, err := event.Parse(new(jsontape.Doc), body, jsontape.Limits{}, &event.Paths{Contact: make([]event.Path, 1)})
	if !errors.Is(err, event.ErrNoType) || got != (event.Event{ID: event.BodyID(body)}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLongID(t *testing.T) {
	for _, tt := range []struct {
		id  string
		own bool
	}{
		{strings.Repeat("x", 256), true},
		{strings.Repeat("x", 257), false},
		{strings.Repeat("é", 128), true},
		{strings.Repeat("é", 129), false},
		{strings.Repeat("x", 100_000), false},
	} {
		body := []byte(`{"actionType":"A","contactId":"` + tt.id + `","eventId":"` + tt.id + `"}`)
		got, err := event.Parse(new(jsontape.Doc), body, jsontape.Limits{}, defaultPaths(t))
		if err != nil {
			t.Fatal(err)
		}
		want := tt.id
		if !tt.own {
			want = event.BodyID(body)
		}
		if got.ID != want || got.Contact != tt.id || got.Type != "A" {
			t.Errorf("%d bytes: id %.80q, want %.80q", len(tt.id), got.ID, want)
		}
	}
}

// The digests are those of FIPS 180-2's examples, and of the empty text.
func TestBodyID(t *testing.T) {
	for body, want := range map[string]string{
		"":    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"abc": "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	} {
		if got := event.BodyID([]byte(body)); got != want {
			t.Errorf("%q: got %s, want %s", body, got, want)
		}
	}
}

// The strings of an Event survive the body's buffer.
func TestEventIsACopy(t *testing.T) {
	body := []byte(`{"actionType":"TYPE","contactId":12345,"eventId":"an id"}`)
	got, err := event.Parse(new(jsontape.Doc), body, jsontape.Limits{}, defaultPaths(t))
	if err != nil {
		t.Fatal(err)
	}
	clear(body)
	if want := (event.Event{Type: "TYPE", Contact: "12345", HasContact: true, ID: "an id"}); got != want {
		t.Errorf("got %+v after the body was cleared, want %+v", got, want)
	}
}

func TestAllocations(t *testing.T) {
	paths := defaultPaths(t)
	bodies := map[string][]byte{
		"no id":   []byte(`{"actionType":"A\n","contactId":"\u00e9"}`),
		"long id": []byte(`{"actionType":"A","contactId":1,"eventId":"` + strings.Repeat("x", 300) + `"}`),
	}
	for _, c := range corpus.Cases() {
		bodies[c.Name] = c.Body
	}
	for name, body := range bodies {
		var doc jsontape.Doc
		allocs := testing.AllocsPerRun(50, func() {
			if _, err := event.Parse(&doc, body, jsontape.Limits{}, paths); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 1 {
			t.Errorf("%s: %v allocations, want 1", name, allocs)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	paths := defaultPaths(b)
	for _, c := range corpus.Cases() {
		b.Run(c.Name, func(b *testing.B) {
			var doc jsontape.Doc
			b.SetBytes(int64(len(c.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := event.Parse(&doc, c.Body, jsontape.Limits{}, paths); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
