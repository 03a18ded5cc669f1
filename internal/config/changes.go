package config

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// reading is where a configuration was read.
type reading struct {
	file    string            // the YAML file, or empty
	origins map[string]origin // of the paths that are no defaults

	replaced []Replacement // by Trial
	absent   []Problem     // excused by Source.Unused
	text     *text
}

// Problem returns a fault that was found only after Load, of the value at path:
// with its place and the line there, as the faults of Load have them.
func (c *Config) Problem(path, message, hint string) Problem {
	p := problemAt(c.read.file, Fault, path, originOf(c.read.origins, path), message, hint)
	if p.Line > 0 {
		p.Excerpt = c.read.text.excerpt(place{p.Line, p.Column})
	}
	return p
}

// Shown returns the text of the value at path, and "" for one that is no single
// value, that is not there, or that may hold a secret.
func (c *Config) Shown(path string) string {
	shown := ""
	walkScalars("", c.keys(), func(at string, s *scalar) {
		if at == path && !s.secret && !c.read.origins[path].expanded && !holdsCredentials(s.text()) {
			shown = s.text()
		}
	})
	return shown
}

// Absent returns what Source.Unused has excused, in the order of the file: the
// secrets and certificates that are not on this machine, or not for this user.
func (c *Config) Absent() []Problem { return c.read.absent }

// Files returns the names of all files that this configuration was read from:
// the YAML file first, then those that hold secrets, certificates and
// authorities, each once. When none of them changes, Load gives the same
// again, environment and flags being the same. A file that others read while
// the relay runs (kafka.sasl.oauth.token_file, schema.snapshot_dir) is not
// among them.
func (c *Config) Files() []string {
	var files []string
	add := func(name string) {
		if name != "" && !slices.Contains(files, name) {
			files = append(files, name)
		}
	}
	add(c.read.file)
	walkScalars("", c.keys(), func(_ string, s *scalar) {
		if s.file && len(s.held()) > 0 {
			add(s.text())
		}
	})
	return files
}

// Changes returns the paths of the keys whose values differ: those that a
// running relay takes over, and those that need a restart, both in the order
// of the documentation. A secret or a certificate differs when it does itself,
// wherever it was read; of its value nothing is told. A list is compared
// element by element, so that an element that is only in one of them is one
// path: routes[4].
func Changes(was, is *Config) (reloadable, refused []string) {
	compare("", was.keys(), is.keys(), func(path string, n node) {
		if canReload(path, n) && !was.Listen.TLS.turns(path, &is.Listen.TLS) {
			reloadable = append(reloadable, path)
		} else {
			refused = append(refused, path)
		}
	})
	return reloadable, refused
}

// canReload reports whether a running relay takes over a change of n:
// sources, routes, schema and limits, and secrets and certificates wherever
// they stand.
func canReload(path string, n node) bool {
	top, _, _ := strings.Cut(path, ".")
	top, _, _ = strings.Cut(top, "[")
	if slices.Contains([]string{"sources", "routes", "schema", "limits"}, top) {
		return true
	}
	s, ok := n.(*scalar)
	return ok && s.content != nil
}

// turns reports whether path, a key of t, makes the listener start or end
// speaking TLS: no listener can do that while it is open.
func (t *ListenTLS) turns(path string, other *ListenTLS) bool {
	return strings.HasPrefix(path, "listen.tls.") && (t.CertFile == "") != (other.CertFile == "")
}

// compare visits every node in which a and b, trees of the same shape, differ.
func compare(path string, a, b node, visit func(path string, n node)) {
	switch a := a.(type) {
	case object:
		for i, k := range a {
			compare(member(path, k.name), k.node, b.(object)[i].node, visit)
		}
	case *list:
		compareLists(path, a, b.(*list), visit)
	case *dict:
		if !maps.Equal(a.values(), b.(*dict).values()) {
			visit(path, a)
		}
	case *scalar:
		if b := b.(*scalar); a.text() != b.text() || !bytes.Equal(a.held(), b.held()) {
			visit(path, a)
		}
	}
}

func compareLists(path string, a, b *list, visit func(path string, n node)) {
	if a.scalars {
		if !slices.Equal(a.items(), b.items()) {
			visit(path, a)
		}
		return
	}
	for i := range max(a.len(), b.len()) {
		p := element(path, i)
		switch {
		case i >= a.len():
			visit(p, b.at(i))
		case i >= b.len():
			visit(p, a.at(i))
		default:
			compare(p, a.at(i), b.at(i), visit)
		}
	}
}

// items are the texts of a list of scalars.
func (l *list) items() []string {
	all := make([]string, l.len())
	for i := range all {
		if s, ok := l.at(i).(*scalar); ok {
			all[i] = s.text()
		}
	}
	return all
}

func (s *scalar) held() []byte {
	if s.content == nil {
		return nil
	}
	return s.content()
}
