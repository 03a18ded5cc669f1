package event_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// FuzzParse looks for the facts a second time, in the map that encoding/json
// makes of the body. The laws: both find the same; the Event has an id of at
// most 256 bytes whatever the body is; and the error fits what was found.
func FuzzParse(f *testing.F) {
	for _, c := range corpus.Cases() {
		f.Add(c.Body)
	}
	for _, body := range []string{
		``, `[]`, `{}`, `{"actionType":"A","contactId":1e3,"eventId":"\u0069"}`, `{"data":{"type":"B","contact":{"id":" "},"id":0}}`,
		`{"actionType":" ","data":{"type":"\u00e9","contact":{"id":-0}}}`, `{"contactId":null,"data":{"contact":[]}}`, `{"actionType":"A",}`,
	} {
		f.Add([]byte(body))
	}
	paths := pathsOf(f, "actionType data.type", "contactId data.contact.id", "eventId data.id")
	var doc jsontape.Doc
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := event.Parse(&doc, body, jsontape.Limits{}, paths)
		want := event.Event{ID: event.BodyID(body)}
		var fault *jsontape.SyntaxError
		if errors.As(err, &fault) || errors.Is(err, event.ErrNotObject) {
			if got != want {
				t.Fatalf("%q: got %+v with %v, want only the id", body, got, err)
			}
			return
		}
		var members map[string]any
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		if err := dec.Decode(&members); err != nil {
			t.Fatalf("%q: encoding/json says %v", body, err)
		}
		var hasType bool
		want.Type, hasType = fact(members, false, "actionType", "data.type")
		want.Contact, want.HasContact = fact(members, true, "contactId", "data.contact.id")
		if id, ok := fact(members, true, "eventId", "data.id"); ok && len(id) <= event.MaxIDLen {
			want.ID = id
		}
		if got != want || errors.Is(err, event.ErrNoType) == hasType {
			t.Fatalf("%q: got %+v, %v, want %+v", body, got, err, want)
		}
	})
}

func fact(members map[string]any, numbers bool, paths ...string) (string, bool) {
	for _, path := range paths {
		var v any = members
		for name := range strings.SplitSeq(path, ".") {
			object, _ := v.(map[string]any)
			v = object[name]
		}
		switch v := v.(type) {
		case string:
			if strings.TrimFunc(v, unicode.IsSpace) != "" {
				return v, true
			}
		case json.Number:
			if numbers {
				return v.String(), true
			}
		}
	}
	return "", false
}
