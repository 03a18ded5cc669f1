package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"unicode"
	"unicode/utf8"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// MaxIDLen is the length in bytes up to which an event's own id is used as it
// is; a longer one would weigh on every header, answer and log line.
const MaxIDLen = 256

// Parse scans raw into doc, as one JSON text whose top-level value must be an
// object, and finds the three facts:
//
//   - Type is the first value of paths.Type that is a string with a character
//     other than white space (Unicode's White_Space).
//   - Contact is the first value of paths.Contact that is such a string, or a
//     number. A string gives its decoded UTF-8, neither trimmed nor folded; a
//     number gives its literal, so that 1e3 and 900719925474010002 stay
//     themselves and "123" and 123 are one contact. All else (null, "",
//     blanks, booleans, objects, arrays) counts as absent.
//   - ID is found as Contact is. Where there is none, or it is longer than
//     MaxIDLen, it is BodyID(raw).
//
// Names are compared case-sensitively. That there is no contact is no error
// here: the source's policy decides. Other errors are a *jsontape.SyntaxError,
// ErrNotObject and ErrNoType. With each of them the returned Event has an ID:
// with ErrNoType also the contact and the event's own id as far as they were
// found, with the other two BodyID(raw).
//
// On return doc refers to raw, the Event does not. Parse makes one allocation
// for all strings of the Event, two when they are longer than 512 bytes
// together; it is safe for concurrent use, each call with its own doc.
func Parse(doc *jsontape.Doc, raw []byte, lim jsontape.Limits, paths *Paths) (Event, error) {
	if err := doc.Parse(raw, lim); err != nil {
		return Event{ID: BodyID(raw)}, err
	}
	if doc.Nodes()[0].Kind != jsontape.Object {
		return Event{ID: BodyID(raw)}, ErrNotObject
	}
	var buf [512]byte
	b, hasType := appendFirst(buf[:0], doc, paths.Type, false)
	typeEnd := len(b)
	b, hasContact := appendFirst(b, doc, paths.Contact, true)
	contactEnd := len(b)
	b, hasID := appendFirst(b, doc, paths.ID, true)
	if !hasID || len(b)-contactEnd > MaxIDLen {
		b = appendBodyID(b[:contactEnd], raw)
	}
	all := string(b)
	ev := Event{
		Type:       all[:typeEnd],
		Contact:    all[typeEnd:contactEnd],
		HasContact: hasContact,
		ID:         all[contactEnd:],
	}
	if !hasType {
		return ev, ErrNoType
	}
	return ev, nil
}

// BodyID returns the id of an event that has none of its own: "sha256:" and
// the 64 lower-case hexadecimal digits of the body's SHA-256, so that a
// repeated delivery has the same one.
func BodyID(raw []byte) string { return string(appendBodyID(nil, raw)) }

func appendBodyID(dst, raw []byte) []byte {
	sum := sha256.Sum256(raw)
	return hex.AppendEncode(append(dst, "sha256:"...), sum[:])
}

// appendFirst appends to dst the first fact that one of the paths finds, a
// string that is not blank or, if numbers is set, a number.
func appendFirst(dst []byte, doc *jsontape.Doc, paths []Path, numbers bool) (longer []byte, ok bool) {
	for i := range paths {
		node, ok := paths[i].find(doc)
		if !ok {
			continue
		}
		switch doc.Nodes()[node].Kind {
		case jsontape.String:
			longer := doc.AppendString(dst, node)
			if !blank(longer[len(dst):]) {
				return longer, true
			}
		case jsontape.Number:
			if numbers {
				return append(dst, doc.Bytes(node)...), true
			}
		}
	}
	return dst, false
}

func blank(b []byte) bool {
	if len(b) > 0 && b[0] > ' ' && b[0] < utf8.RuneSelf {
		return false // the usual
	}
	return bytes.IndexFunc(b, func(r rune) bool { return !unicode.IsSpace(r) }) < 0
}
