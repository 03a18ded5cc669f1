package signature

import (
	"errors"
	"fmt"
	"strings"
)

// Template says which bytes are signed: literals and the placeholders {body},
// {timestamp} and {id}, as in "{id}.{timestamp}.{body}". A literal cannot hold
// a brace. The text is the template; [ParseTemplate] checks it.
type Template string

// BodyOnly signs the body and nothing else.
const BodyOnly Template = "{body}"

// A slot is what a placeholder stands for; slotNone marks a literal.
type slot string

const (
	slotNone      slot = ""
	slotBody      slot = "{body}"
	slotTimestamp slot = "{timestamp}"
	slotID        slot = "{id}"
)

// part is a placeholder, or a literal when slot is slotNone.
type part struct {
	slot    slot
	literal string
}

// ParseTemplate checks s: known placeholders only, {body} exactly once, the
// others at most once.
func ParseTemplate(s string) (Template, error) {
	if _, err := Template(s).parts(); err != nil {
		return "", err
	}
	return Template(s), nil
}

func (t Template) parts() ([]part, error) {
	var parts []part
	for rest := string(t); rest != ""; {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			i = len(rest)
		}
		if i > 0 {
			parts = append(parts, part{literal: rest[:i]})
			rest = rest[i:]
			continue
		}
		s, err := cutSlot(rest)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{slot: s})
		rest = rest[len(s):]
	}
	if count(parts, slotBody) != 1 {
		return nil, errors.New("a signed template holds {body} exactly once")
	}
	for _, s := range []slot{slotTimestamp, slotID} {
		if count(parts, s) > 1 {
			return nil, fmt.Errorf("a signed template holds %s at most once", s)
		}
	}
	return parts, nil
}

// cutSlot reads the placeholder at the start of s, which begins with a brace.
func cutSlot(s string) (slot, error) {
	for _, p := range []slot{slotBody, slotTimestamp, slotID} {
		if strings.HasPrefix(s, string(p)) {
			return p, nil
		}
	}
	end := strings.IndexByte(s, '}') + 1
	if end <= 1 {
		end = 1
	}
	return slotNone, fmt.Errorf("%q is no placeholder, want {body}, {timestamp} or {id}", s[:end])
}

func count(parts []part, s slot) (n int) {
	for _, p := range parts {
		if p.slot == s {
			n++
		}
	}
	return n
}

// has reports whether the template uses the placeholder.
func (t Template) has(s slot) bool { return strings.Contains(string(t), string(s)) }

// split returns what stands before and after {body}. The parts are those of a
// template that parsed.
func split(parts []part) (head, tail []part) {
	for i, p := range parts {
		if p.slot == slotBody {
			return parts[:i], parts[i+1:]
		}
	}
	return nil, nil
}

// appendParts appends the parts with their placeholders filled in.
func appendParts(dst []byte, parts []part, timestamp, id string) []byte {
	for _, p := range parts {
		switch p.slot {
		case slotTimestamp:
			dst = append(dst, timestamp...)
		case slotID:
			dst = append(dst, id...)
		default:
			dst = append(dst, p.literal...)
		}
	}
	return dst
}
