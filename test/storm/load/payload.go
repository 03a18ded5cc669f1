package load

import (
	"fmt"
	"net/http"
	"strings"
)

// payload is an attack that is signed, and no event that may be written: it
// is answered with this status.
func payload(due int, name string, body func(a *attacker) []byte, headers ...string) Attack {
	return Attack{Name: name, due: due, make: func(a *attacker) []byte {
		b := body(a)
		return a.post(b, append(headers[:len(headers):len(headers)], a.right(b))...)
	}}
}

// text is a body, with an id of its own for ID.
func text(format string) func(a *attacker) []byte {
	return func(a *attacker) []byte { return []byte(strings.ReplaceAll(format, "ID", a.id())) }
}

// front is that of an event that only lacks its contact.
const front = `{"eventId":"ID","actionType":"QUEUE_TRANSFER"`

const bad = http.StatusBadRequest

// payloads are JSON, and no events of ours.
func payloads() []Attack {
	return []Attack{
		payload(bad, "an unknown type", text(`{"eventId":"ID","actionType":"NOBODY","contactId":"e"}`)),
		payload(bad, "a type that nobody has used before", text(`{"eventId":"ID","actionType":"T-ID","contactId":"e"}`)),
		payload(bad, "a topic for a type", text(`{"eventId":"ID","actionType":"cxone.transfers.raw","contactId":"e"}`)),
		payload(bad, "a path for a type", text(`{"eventId":"ID","actionType":"../QUEUE_TRANSFER","contactId":"e"}`)),
		payload(bad, "a type with a line feed and a colour", text(`{"eventId":"ID","actionType":"QUEUE_TRANSFER\n\u001b[31m","contactId":"e"}`)),
		payload(bad, "no type", text(`{"eventId":"ID","contactId":"e"}`)),
		payload(bad, "a type in other letters", text(`{"eventId":"ID","actiontype":"QUEUE_TRANSFER","contactId":"e"}`)),
		payload(bad, "no contact", text(front+`}`)),
		payload(bad, "a contact in other letters", text(front+`,"CONTACTID":"e"}`)),
		payload(bad, "an empty contact", text(front+`,"contactId":""}`)),
		payload(bad, "a contact of spaces", text(front+`,"contactId":"  "}`)),
		payload(bad, "a list of contacts", text(front+`,"contactId":["e"]}`)),
		payload(http.StatusUnprocessableEntity, "a schema violation", text(front+`,"contactId":"e","a":"1"}`)),
		payload(http.StatusUnsupportedMediaType, "gzip", func(a *attacker) []byte { return compressed(a.evil()) }, "Content-Encoding: gzip"),
		payload(http.StatusUnsupportedMediaType, "gzip behind identity", func(a *attacker) []byte { return compressed(a.evil()) }, "Content-Encoding: identity, gzip"),
		payload(http.StatusUnsupportedMediaType, "gzip in a second line", func(a *attacker) []byte { return compressed(a.evil()) }, "Content-Encoding: identity", "Content-Encoding: x-gzip"),
		payload(http.StatusUnsupportedMediaType, "gzip that is none", (*attacker).evil, "Content-Encoding: gzip"),
		payload(http.StatusUnsupportedMediaType, "an unknown coding of the content", (*attacker).evil, "Content-Encoding: zstd"),
		payload(bad, "gzip without a word of it", func(a *attacker) []byte { return compressed(a.evil()) }),
		{Name: "gzip, and the signature of what is in it", due: http.StatusUnsupportedMediaType, make: func(a *attacker) []byte {
			b := a.evil()
			return a.post(compressed(b), a.right(b), "Content-Encoding: gzip")
		}},
		payload(http.StatusUnsupportedMediaType, "another charset", (*attacker).evil, "Content-Type: application/json; charset=utf-16"),
		payload(http.StatusRequestEntityTooLarge, "a body over the limit", func(a *attacker) []byte {
			return fmt.Appendf(nil, `{"eventId":%q,"actionType":"QUEUE_TRANSFER","contactId":"e","x":%q}`, a.id(), strings.Repeat("x", a.o.MaxBody))
		}),
	}
}

// broken are no JSON, or none that everybody reads alike.
func broken() []Attack {
	const e = `,"contactId":"e"`
	return []Attack{
		payload(bad, "no body", func(*attacker) []byte { return nil }),
		payload(bad, "a space", func(*attacker) []byte { return []byte(" ") }),
		payload(bad, "cut off JSON", text(front+e)),
		payload(bad, "a repeated name", text(front+e+`,"contactId":"f"}`)),
		payload(bad, "a repeated name, written otherwise", text(front+e+`,"contact\u0049d":"f"}`)),
		payload(bad, "two values", text(front+e+`}{}`)),
		payload(bad, "broken UTF-8", text(front+",\"contactId\":\"\xff\"}")),
		payload(bad, "UTF-8 that is too long", text(front+",\"contactId\":\"\xc0\xaf\"}")),
		payload(bad, "a lone surrogate", text(front+`,"contactId":"\ud800"}`)),
		payload(bad, "a byte order mark", text("\xef\xbb\xbf"+front+e+`}`)),
		payload(bad, "an array", text(`[`+front+e+`}]`)),
		payload(bad, "a text", text(`"ID"`)),
		payload(bad, "a comma too many", text(front+e+`,}`)),
		payload(bad, "a comment", text(front+e+`/* ID */}`)),
		payload(bad, "single quotes", text(`{'eventId':'ID','actionType':'QUEUE_TRANSFER','contactId':'e'}`)),
		payload(bad, "NaN", text(front+e+`,"x":NaN}`)),
		payload(bad, "a number with a zero before it", text(front+e+`,"x":01}`)),
		payload(bad, "a tab in a text", text(front+",\"contactId\":\"e\t\"}")),
		payload(bad, "a zero byte in a text", text(front+",\"contactId\":\"e\x00\"}")),
		payload(bad, "an exponent of ten digits", text(front+e+`,"x":1e9999999999}`)),
		payload(bad, "a number of 2000 digits", text(front+`,"contactId":`+strings.Repeat("9", 2000)+`}`)),
		payload(bad, "ten thousand brackets", text(front+e+`,"x":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`}`)),
	}
}
