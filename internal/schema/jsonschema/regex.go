package jsonschema

import (
	"strings"
	"unicode/utf8"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// replaceRegex puts this package's regex format where the library's is, which
// no registered format can replace.
func replaceRegex(s *santhosh.Schema) {
	if s.Format != nil && s.Format.Name == "regex" {
		s.Format = formatOf("regex", isRegex)
	}
}

// isRegex: Pattern of ECMA-262, section 22.2.1 with annex B.1.2, as the draft
// wants; a payload may hold what our own patterns, which are RE2, may not. It
// is lenient where engines are, but takes no escaped letter without a meaning.
//
// It looks at the text once: to parse it with Go's regexp took seconds for a
// payload of \pL, which is three bytes and hundreds of ranges.
func isRegex(s string) bool {
	depth := 0    // of open groups
	atom := false // whether there is something to repeat
	for s != "" {
		c := s[0]
		s = s[1:]
		ok := true
		switch c {
		case '(':
			depth++
			s, ok = afterGroupStart(s)
			atom = false
		case ')':
			depth--
			atom, ok = true, depth >= 0
		case '[':
			s, ok = afterClass(s)
			atom = true
		case '\\':
			atom = s != "" && s[0] != 'b' && s[0] != 'B'
			s, ok = afterEscape(s)
		case '|', '^', '$':
			atom = false
		case '*', '+', '?':
			s = strings.TrimPrefix(s, "?")
			atom, ok = false, atom
		case '{':
			rest, counted, inOrder := afterCount(s)
			if !counted {
				atom = true // a brace like any other character
				continue
			}
			s = strings.TrimPrefix(rest, "?")
			atom, ok = false, atom && inOrder
		default:
			atom = true
		}
		if !ok {
			return false
		}
	}
	return depth == 0
}

// afterGroupStart skips what may follow an opening parenthesis: nothing, or a
// question mark and the kind of the group.
func afterGroupStart(s string) (rest string, ok bool) {
	kind, special := strings.CutPrefix(s, "?")
	if !special {
		return s, true
	}
	for _, k := range []string{":", "=", "!", "<=", "<!"} {
		if rest, ok := strings.CutPrefix(kind, k); ok {
			return rest, true
		}
	}
	if named, ok := strings.CutPrefix(kind, "<"); ok {
		name, rest, closed := strings.Cut(named, ">")
		return rest, closed && name != "" && !isDigit(name[0])
	}
	flags := strings.TrimLeft(kind, "ims-")
	return strings.TrimPrefix(flags, ":"), len(flags) < len(kind) && strings.HasPrefix(flags, ":")
}

// escapes are the letters that mean something behind a backslash.
const escapes = "bBcdDfknpPrsStuvwWx"

func afterEscape(s string) (rest string, ok bool) {
	if s == "" || isAlnum(s[0]) && !isDigit(s[0]) && strings.IndexByte(escapes, s[0]) < 0 {
		return s, false
	}
	return s[1:], true
}

// afterClass skips a class of characters, its bracket included. A range must
// be in order where both ends are plain characters.
func afterClass(s string) (rest string, ok bool) {
	s = strings.TrimPrefix(s, "^")
	for {
		from, rest, ok := afterMember(s)
		if !ok {
			return s, false
		}
		if s = rest; from == classEnd {
			return s, true
		}
		if len(s) < 2 || s[0] != '-' || s[1] == ']' {
			continue
		}
		to, rest, ok := afterMember(s[1:])
		if !ok || from >= 0 && to >= 0 && from > to {
			return s, false
		}
		s = rest
	}
}

const (
	classEnd  rune = -1
	classSome rune = -2 // something that was escaped
)

// afterMember takes one member of a class.
func afterMember(s string) (member rune, rest string, ok bool) {
	if s == "" {
		return 0, s, false
	}
	switch s[0] {
	case ']':
		return classEnd, s[1:], true
	case '\\':
		rest, ok = afterEscape(s[1:])
		return classSome, rest, ok
	}
	r, size := utf8.DecodeRuneInString(s)
	return r, s[size:], true
}

// afterCount skips {n}, {n,} or {n,m}. Anything else is no count.
func afterCount(s string) (rest string, counted, inOrder bool) {
	rest = afterDigits(s)
	least := s[:len(s)-len(rest)]
	most := least
	if more, ok := strings.CutPrefix(rest, ","); ok {
		rest = afterDigits(more)
		most = more[:len(more)-len(rest)]
	}
	rest, closed := strings.CutPrefix(rest, "}")
	return rest, closed && s[0] != ',' && s[0] != '}', most == "" || !less(most, least)
}

// less compares two numbers in digits.
func less(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return len(a) < len(b) || len(a) == len(b) && a < b
}
