package devkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Override sets one member of a JSON object.
type Override struct {
	names []string
	value json.RawMessage
}

// ParseOverride reads "a.b=1". The part before the first "=" is a path of
// member names joined by dots, with `\.` for a dot and `\\` for a backslash
// inside a name; it creates the objects it needs and replaces what is in its
// way. The part after it is taken as JSON, digit for digit, if it is JSON,
// and as a string if it is not.
func ParseOverride(s string) (Override, error) {
	path, text, found := strings.Cut(s, "=")
	if !found {
		return Override{}, fmt.Errorf("override %q: want name=value", s)
	}
	if !utf8.ValidString(s) {
		return Override{}, fmt.Errorf("override %q: not UTF-8", s)
	}
	names, err := splitPath(path)
	if err != nil {
		return Override{}, fmt.Errorf("override %q: %w", s, err)
	}
	value := json.RawMessage(strings.TrimSpace(text))
	if !json.Valid(value) {
		value = encode(text)
	}
	return Override{names: names, value: value}, nil
}

func splitPath(path string) ([]string, error) {
	var names []string
	var name strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; c {
		case '\\':
			i++
			if i == len(path) || (path[i] != '.' && path[i] != '\\') {
				return nil, errors.New(`a backslash stands only before "." or another one`)
			}
			name.WriteByte(path[i])
		case '.':
			names = append(names, name.String())
			name.Reset()
		default:
			name.WriteByte(c)
		}
	}
	names = append(names, name.String())
	for _, n := range names {
		if n == "" {
			return nil, errors.New("empty member name")
		}
	}
	return names, nil
}

// Apply returns body with the member set. body itself is not changed. It is
// an error if body is not a JSON object.
func (o Override) Apply(body []byte) ([]byte, error) {
	members, err := decodeObject(body)
	if err != nil {
		return nil, err
	}
	return setMember(members, o.names, o.value), nil
}

func applyAll(body []byte, overrides []Override) ([]byte, error) {
	for _, o := range overrides {
		var err error
		if body, err = o.Apply(body); err != nil {
			return nil, fmt.Errorf("set %s: %w", strings.Join(o.names, "."), err)
		}
	}
	return body, nil
}

// member keeps its value as the bytes that stood in the body, so that number
// literals, escapes and the order of members survive.
type member struct {
	name  string
	value json.RawMessage
}

func setMember(members []member, names []string, value json.RawMessage) []byte {
	i := 0
	for i < len(members) && members[i].name != names[0] {
		i++
	}
	if i == len(members) {
		members = append(members, member{name: names[0], value: json.RawMessage("{}")})
	}
	if len(names) == 1 {
		members[i].value = value
		return encodeObject(members)
	}
	inner, err := decodeObject(members[i].value)
	if err != nil {
		inner = nil // not an object: replaced by one
	}
	members[i].value = setMember(inner, names[1:], value)
	return encodeObject(members)
}

var errNotObject = errors.New("the body is not a JSON object")

func decodeObject(raw []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errNotObject
	}
	var members []member
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotObject, err)
		}
		m := member{name: name.(string)} // a name, since the decoder is inside an object
		if err := dec.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("%w: %w", errNotObject, err)
		}
		members = append(members, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotObject, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: data after it", errNotObject)
	}
	return members, nil
}

func encodeObject(members []member) []byte {
	out := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, encode(m.name)...)
		out = append(out, ':')
		out = append(out, m.value...)
	}
	return append(out, '}')
}
