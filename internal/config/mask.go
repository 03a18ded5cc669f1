package config

import (
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// What an excerpt must not show: values of secret keys, all that stands in a
// list of secrets, values under an unknown key that looks like a secret or
// stands beside one, and addresses with credentials. All else is shown: it is
// what the reader has to mend.

// hideMisfit hides the secrets of a value that does not fit the place it
// stands at.
func (ld *loader) hideMisfit(path string, n node, y ast.Node) {
	secret := inSecrets(path) || path == "" // a file that is no configuration may be a secret's
	switch n := n.(type) {
	case *scalar:
		secret = secret || n.secret
	case object: // what stands in its place may be the secret itself
		secret = secret || n.holdsSecrets()
	}
	ld.hideBelow(y, secret)
}

// hideBelow hides y whole, or only the secrets in it.
func (ld *loader) hideBelow(y ast.Node, whole bool) {
	if whole {
		ld.hide(y)
	} else {
		ld.hideSecrets(y)
	}
}

// hideSecrets hides what stands under the names of secrets below y, and
// addresses with credentials.
func (ld *loader) hideSecrets(y ast.Node) {
	switch y := y.(type) {
	case *ast.MappingNode:
		for _, pair := range y.Values {
			ld.hideSecrets(pair)
		}
	case *ast.MappingValueNode:
		name, ok := scalarText(y.Key)
		if !ok || holdsCredentials(name) {
			ld.hide(y)
			return
		}
		ld.hideBelow(y.Value, looksSecret(name))
	case *ast.SequenceNode:
		for _, item := range y.Values {
			ld.hideSecrets(item)
		}
	case *ast.TagNode:
		ld.hideSecrets(y.Value)
	case *ast.AnchorNode:
		ld.hideSecrets(y.Value)
	case *ast.AliasNode: // a name
	default:
		if text, ok := scalarText(y); !ok || holdsCredentials(text) {
			ld.hide(y)
		}
	}
}

func inSecrets(path string) bool { return strings.Contains(path, ".secrets") }

// holdsSecrets reports whether a secret, or a list of secrets, is among the
// keys of o.
func (o object) holdsSecrets() bool {
	for _, k := range o {
		if k.isSecret() {
			return true
		}
	}
	return false
}

func (k key) isSecret() bool {
	s, ok := k.node.(*scalar)
	return ok && s.secret || k.name == "secrets"
}

// maybeSecret reports whether the unknown key name of o may stand for a
// secret; near is the key that it is most likely meant to be, or "".
func (o object) maybeSecret(path, name, near string) bool {
	if inSecrets(path) || looksSecret(name) {
		return true
	}
	for _, k := range o {
		if k.name == near {
			return k.isSecret()
		}
	}
	return o.holdsSecrets() && !harmless(name)
}

// looksSecret reports whether a name is, or may be meant to be, one of a
// secret. The name of a file is none.
func looksSecret(name string) bool {
	name = strings.ToLower(name)
	if strings.HasSuffix(name, "file") {
		return false
	}
	for _, part := range []string{"pass", "pw", "secret", "token", "key", "cred", "jaas", "auth"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		for _, secret := range []string{"password", "secret", "secrets", "token", "value"} {
			if distance(word, secret) <= 2 {
				return true
			}
		}
	}
	return false
}

// harmless reports whether a name is known somewhere, and nowhere a secret's.
func harmless(name string) bool {
	known, secret := false, name == "secrets"
	eachName(func(path string, isSecret bool) {
		if path[strings.LastIndexByte(path, '.')+1:] == name {
			known, secret = true, secret || isSecret
		}
	})
	return known && !secret
}

// holdsSecrets reports whether a mapping of that name has secrets among its
// keys.
func holdsSecrets(name string) (holds bool) {
	eachName(func(path string, isSecret bool) {
		parts := strings.Split(path, ".")
		if n := len(parts); n > 1 && (isSecret || parts[n-1] == "secrets") {
			holds = holds || parts[n-2] == name
		}
	})
	return holds
}

// hide keeps everything below y out of all excerpts: from the first token of
// each value to the token that follows it.
func (ld *loader) hide(y ast.Node) {
	if y == nil {
		return
	}
	ast.Walk(hider{ld.text}, y)
}

type hider struct{ text *text }

// Visit hides one node; it is called by ast.Walk.
func (h hider) Visit(y ast.Node) ast.Visitor {
	switch y := y.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		return h
	case *ast.LiteralNode:
		h.add(y.GetToken(), y.Value.GetToken())
		return nil
	case *ast.NullNode:
		return nil
	default:
		h.add(y.GetToken(), y.GetToken())
		return h
	}
}

// add hides from first to what follows last. The parser's columns are not
// always right (behind a tag, or over several lines): where the source does not show the
// token at its place, whole lines are hidden.
func (h hider) add(first, last *token.Token) {
	if first == nil || first.Position == nil {
		return
	}
	start, end := place{first.Position.Line, first.Position.Column}, h.text.end()
	exact := h.text.shows(first)
	if last != nil && last.Next != nil && last.Next.Position != nil {
		end = place{last.Next.Position.Line, last.Next.Position.Column}
		exact = exact && h.text.shows(last.Next)
	}
	switch {
	case !start.before(end):
		start, end = place{firstLine(first), 1}, h.text.end()
	case !exact:
		start, end = place{firstLine(first), 1}, place{end.line + 1, 1}
	}
	h.text.hidden = append(h.text.hidden, span{start, end})
}

// firstLine is the first line that a token can begin in whose position is
// wrong: that of a plain text over several lines is where it ends.
func firstLine(t *token.Token) int {
	line := t.Position.Line - strings.Count(t.Origin, "\n")
	if t.Prev != nil && t.Prev.Position != nil {
		line = min(line, t.Prev.Position.Line)
	}
	return max(1, line)
}

// shows reports whether the first line of t stands where t says.
func (t *text) shows(tk *token.Token) bool {
	if tk.Position.Line < 1 || tk.Position.Line > len(t.lines) || tk.Position.Column < 1 {
		return false
	}
	line := []rune(t.lines[tk.Position.Line-1])
	if tk.Position.Column > len(line) {
		return false
	}
	source, _, _ := strings.Cut(strings.TrimSpace(tk.Origin), "\n")
	return source != "" && strings.HasPrefix(string(line[tk.Position.Column-1:]), strings.TrimRight(source, " "))
}
