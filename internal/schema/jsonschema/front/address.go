package front

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// pointed returns the place at a pointer into a resource.
func (c *compiler) pointed(to *resource, pointer string) *place {
	at := to.place.schema.Location + escapePath(pointer)
	if p := to.text.places[at]; p != nil {
		return p
	}
	if to != to.text.root {
		return nil
	}
	return c.readLate(to.text, pointer, at)
}

// readLate reads a schema where the draft has none, such as below $defs in
// draft-07: the library does so when a reference leads there, and checks it on
// its own. What is found then depends on the order of references if it has
// addresses of its own, or a part that was read before: that declines.
func (c *compiler) readLate(t *text, pointer, at string) *place {
	v, node, ok := t.source.find(pointer)
	if !ok {
		return nil
	}
	in := t.around(at)
	part := new(jsontape.Doc)
	if part.Parse(t.source.Tape.Bytes(node), jsontape.Limits{}) != nil || !c.opts.Valid(in.draft, part) {
		return nil
	}
	c.late = true
	defer func() { c.late = false }()
	return c.read(v, at, in)
}

// around returns the resource that a location within t is part of.
func (t *text) around(location string) *resource {
	for {
		slash := strings.LastIndexByte(location, '/')
		if slash <= len(t.address) {
			return t.root
		}
		location = location[:slash]
		if p := t.places[location]; p != nil {
			return p.in
		}
	}
}

// find returns the value at a pointer, and its node.
func (t Text) find(pointer string) (v any, node int, ok bool) {
	v = t.Value
	for token := range strings.SplitSeq(pointer[1:], "/") {
		switch in := v.(type) {
		case map[string]any:
			name, plain := unescapeToken(token)
			if v, ok = in[name]; !ok || !plain {
				return nil, 0, false
			}
			node, _ = t.Tape.Member(node, name)
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(in) || strconv.Itoa(i) != token {
				return nil, 0, false
			}
			v = in[i]
			for node++; i > 0; i-- {
				node = int(t.Tape.Nodes()[node].Next)
			}
		default:
			return nil, 0, false
		}
	}
	return v, node, true
}

// unescapeToken undoes the escapes of a token (RFC 6901 section 4), false if it has
// others.
func unescapeToken(token string) (name string, ok bool) {
	if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(token), "~") {
		return "", false
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(token), true
}

// splitFragment cuts a reference at its fragment, which it decodes.
func splitFragment(ref string) (address, fragment string, ok bool) {
	address, fragment, _ = strings.Cut(ref, "#")
	fragment, err := url.PathUnescape(fragment)
	return address, fragment, err == nil
}

// join resolves a reference without fragment against an address as the
// library does.
func join(base, ref string) (string, bool) {
	b, err := url.Parse(base)
	if err != nil {
		return "", false
	}
	r, err := url.Parse(ref)
	if err != nil {
		return "", false
	}
	joined := b.ResolveReference(r)
	if !r.IsAbs() && b.Opaque != "" { // golang.org/issue/66084
		joined.Opaque = b.Opaque
	}
	return joined.String(), true
}

// escapePath writes the tokens of a pointer as a URI fragment has them.
func escapePath(pointer string) string {
	var b strings.Builder
	for i, token := range strings.Split(pointer, "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(url.PathEscape(token))
	}
	return b.String()
}

// escapeToken writes a member's name as a token of a pointer in a URI
// fragment (RFC 6901 sections 3 and 6).
func escapeToken(name string) string {
	if strings.ContainsAny(name, "~/") {
		name = strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	}
	return url.PathEscape(name)
}
