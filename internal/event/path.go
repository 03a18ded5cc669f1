package event

import (
	"fmt"
	"slices"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// Path names a place in a JSON text by the members that lead to it. It goes
// through objects only: there is no way to name an element of an array. The
// zero Path finds nothing. A Path is immutable and safe for concurrent use.
type Path struct {
	text  string
	names []string
}

// PathError says what is wrong with the text of a path, and where.
type PathError struct {
	Path   string
	Offset int // of the byte that is wrong, from 0; the length of Path when it ends too early
	Msg    string
}

func (e *PathError) Error() string {
	return fmt.Sprintf("path %q: %s at byte %d", e.Path, e.Msg, e.Offset)
}

// ParsePath parses names joined by ".", with `\.` for a dot and `\\` for a
// backslash inside a name. A name has at least one character; it is compared
// with a member's decoded name byte for byte. The error is a *PathError.
func ParsePath(s string) (Path, error) {
	if s == "" {
		return Path{}, &PathError{s, 0, "empty path"}
	}
	var names []string
	var name []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.' && len(name) == 0:
			return Path{}, &PathError{s, i, "empty name"}
		case c == '.':
			names, name = append(names, string(name)), name[:0]
		case c != '\\':
			name = append(name, c)
		case i+1 == len(s):
			return Path{}, &PathError{s, i, "backslash with nothing after it"}
		case s[i+1] != '.' && s[i+1] != '\\':
			return Path{}, &PathError{s, i, `unknown escape (only \. and \\ are known)`}
		default:
			i++
			name = append(name, s[i])
		}
	}
	if len(name) == 0 {
		return Path{}, &PathError{s, len(s), "empty name"}
	}
	return Path{text: s, names: append(names, string(name))}, nil
}

// String returns the text that ParsePath took.
func (p Path) String() string { return p.text }

// Names returns the names that lead to the place, outermost first.
func (p Path) Names() []string { return slices.Clone(p.names) }

// find returns the node index of the value that p names in doc, whose root is
// an object.
func (p *Path) find(doc *jsontape.Doc) (node int, ok bool) {
	for _, name := range p.names {
		if node, ok = doc.Member(node, name); !ok {
			return 0, false
		}
	}
	return node, ok
}
