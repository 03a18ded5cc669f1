package devkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Override sets one member or element inside a JSON object.
type Override struct {
	names []string
	value json.RawMessage
}

// ParseOverride reads "a.b=1". The part before the first "=" is a path of
// names joined by dots, with `\.` for a dot and `\\` for a backslash inside a
// name. In an object a name is a member's; what is missing is created. In an
// array it is an index from 0, the number of elements being the place behind
// the last one. The part after it is taken as JSON, digit for digit, if it is
// JSON, and as a string if it is not.
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

// Apply returns body with the value set. body itself is not changed. It is an
// error, which names the place, if body is not a JSON object, or if the path
// leads through a string, a number, true, false or null, or to an element
// that the array does not have.
func (o Override) Apply(body []byte) ([]byte, error) {
	members, err := decodeObject(body)
	if err != nil {
		return nil, err
	}
	return setMember(members, o.names, 0, o.value)
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

// setMember sets the value at names[at:] of an object.
func setMember(members []member, names []string, at int, value json.RawMessage) ([]byte, error) {
	i := 0
	for i < len(members) && members[i].name != names[at] {
		i++
	}
	if i == len(members) {
		members = append(members, member{name: names[at], value: json.RawMessage("{}")})
	}
	set, err := setInside(members[i].value, names, at+1, value)
	if err != nil {
		return nil, err
	}
	members[i].value = set
	return encodeObject(members), nil
}

// setInside returns what stands at names[:at], with the value at names[at:] set.
func setInside(raw json.RawMessage, names []string, at int, value json.RawMessage) (json.RawMessage, error) {
	if at == len(names) {
		return value, nil
	}
	switch raw[0] { // without white space before it: the decoder has cut it out
	case '{':
		members, err := decodeObject(raw)
		if err != nil {
			return nil, err
		}
		return setMember(members, names, at, value)
	case '[':
		return setElement(raw, names, at, value)
	default:
		return nil, fmt.Errorf("%s is %s, which has no members", strings.Join(names[:at], "."), kindOf(raw))
	}
}

// setElement sets the value at names[at:] of an array.
func setElement(raw json.RawMessage, names []string, at int, value json.RawMessage) (json.RawMessage, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(names[at])
	if err != nil || i < 0 || i > len(elements) || strconv.Itoa(i) != names[at] {
		return nil, fmt.Errorf("%s is an array of %d: want an index from 0 to %d, not %q", strings.Join(names[:at], "."), len(elements), len(elements), names[at])
	}
	if i == len(elements) {
		elements = append(elements, json.RawMessage("{}"))
	}
	if elements[i], err = setInside(elements[i], names, at+1, value); err != nil {
		return nil, err
	}
	return encodeArray(elements), nil
}

// kindOf names the kind of a value that is neither an object nor an array.
func kindOf(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "a string"
	case 't', 'f', 'n':
		return string(raw)
	default:
		return "a number"
	}
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

func encodeArray(elements []json.RawMessage) []byte {
	out := []byte{'['}
	for i, e := range elements {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e...)
	}
	return append(out, ']')
}
