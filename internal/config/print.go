package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// YAML writes the configuration with every value that is in force, so that
// Load reads it again and gives the same, but for secrets: they are written
// as "***". One that Source.Unused has excused because variables are not set is
// written as the variables that the file names. Files are named by absolute
// paths. With sources each value has a comment that says where it came from:
// default, preset NAME, FILE:LINE, env NAME or flag.
func (c *Config) YAML(sources bool) []byte {
	p := printer{cfg: c, sources: sources}
	p.object("", c.keys(), defaults(true).keys(), "", false)
	return []byte(p.out.String())
}

type printer struct {
	cfg     *Config
	sources bool
	out     strings.Builder
	dash    bool // the next line begins an element of a list
}

// object prints the keys of o; base is what they were before anything set
// them. When brief, keys that are as in base are left out.
func (p *printer) object(path string, o, base object, indent string, brief bool) {
	for i, k := range o {
		at, was := member(path, k.name), base[i].node
		switch n := k.node.(type) {
		case object:
			if p.printed(at, n, was.(object)) {
				p.line(indent, k.name, "", "")
				p.object(at, n, was.(object), indent+"  ", brief)
			}
		case *list:
			p.list(at, k.name, n, was.(*list), indent)
		case *dict:
			p.dict(at, k.name, n, indent)
		case *scalar:
			if !p.untouched(at, n, was.(*scalar), brief) {
				p.line(indent, k.name, p.value(at, n, n.text()), at)
			}
		}
	}
}

// untouched reports whether a line for s would say nothing.
func (p *printer) untouched(path string, s, base *scalar, brief bool) bool {
	return s.text() == base.text() && (brief || s.text() == "") && p.cfg.read.origins[path].unset == ""
}

// printed reports whether anything below o has a line.
func (p *printer) printed(path string, o, base object) bool {
	for i, k := range o {
		at := member(path, k.name)
		switch n := k.node.(type) {
		case object:
			if p.printed(at, n, base[i].node.(object)) {
				return true
			}
		case *list:
			if n.len() > 0 || n.always {
				return true
			}
		case *dict:
			if len(n.values()) > 0 {
				return true
			}
		case *scalar:
			if !p.untouched(at, n, base[i].node.(*scalar), false) {
				return true
			}
		}
	}
	return false
}

func (p *printer) list(path, name string, l, base *list, indent string) {
	switch {
	case l.len() == 0 && base.len() == 0 && !l.always:
	case l.scalars || l.len() == 0:
		var items []string
		for i := range l.len() {
			if s, ok := l.at(i).(*scalar); ok {
				items = append(items, p.value(element(path, i), s, s.text()))
			}
		}
		p.line(indent, name, "["+strings.Join(items, ", ")+"]", path)
	default:
		p.line(indent, name, "", "")
		for i := range l.len() {
			p.dash = true
			p.object(element(path, i), l.at(i).(object), l.fresh(i).(object), indent+"    ", l.brief)
		}
	}
}

func (p *printer) dict(path, name string, d *dict, indent string) {
	if len(d.values()) == 0 {
		return
	}
	p.line(indent, name, "", "")
	for _, k := range d.names() {
		p.line(indent+"  ", quoteYAML(k), d.values()[k], member(path, k))
	}
}

// line writes a key with its value, or with what follows indented when the
// value is empty.
func (p *printer) line(indent, name, value, path string) {
	if p.dash {
		indent = strings.TrimSuffix(indent, "  ") + "- "
		p.dash = false
	}
	fmt.Fprintf(&p.out, "%s%s:", indent, name)
	if value != "" {
		p.out.WriteString(" " + value)
	}
	if p.sources && path != "" {
		p.out.WriteString("  # " + p.cfg.Origin(path))
		if p.cfg.read.origins[path].unset != "" {
			p.out.WriteString(", not set here")
		}
	}
	p.out.WriteString("\n")
}

// value is a text as YAML. A text in which a variable that is named like a
// secret was filled in is one.
func (p *printer) value(path string, s *scalar, text string) string {
	switch unset := p.cfg.read.origins[path].unset; {
	case unset != "":
		return strconv.Quote(unset)
	case p.cfg.read.origins[path].hidden || holdsCredentials(text):
		text = masked
	case s.file && text != "":
		if abs, err := filepath.Abs(text); err == nil {
			text = abs
		}
	}
	return quoteYAML(text)
}

// quoteYAML writes a text so that it is read again as it is: also as part of
// a flow list, and although ${ begins a variable.
func quoteYAML(s string) string {
	plain := regexp.MustCompile(`^[A-Za-z0-9_/.]([A-Za-z0-9_/.+-]*[A-Za-z0-9_/.+])?$`)
	word := strings.ToLower(s)
	if plain.MatchString(s) && word != "null" && word != "..." {
		return s
	}
	return strconv.Quote(strings.ReplaceAll(s, "${", "$${"))
}

// Origin says where the value of a key came from: default, preset NAME,
// FILE:LINE, env NAME or flag. The path has indices for the elements of lists,
// as those of problems.
func (c *Config) Origin(path string) string {
	o, ok := c.read.origins[path]
	filled := regexp.MustCompile(`^routes\[\d+\]\.(subject|version)$`).FindStringSubmatch(path)
	preset := regexp.MustCompile(`^sources\[(\d+)\]\.signature\.`).FindStringSubmatch(path)
	switch {
	case ok && o.layer == fromFile:
		return c.read.file + ":" + strconv.Itoa(o.place.line)
	case ok && o.layer == fromEnv:
		return "env " + o.env
	case ok && o.layer == fromFlag:
		return "flag"
	case filled != nil:
		return c.Origin("schema." + filled[1])
	case preset != nil && !strings.HasSuffix(path, ".preset") && !inSecrets(path):
		if i, err := strconv.Atoi(preset[1]); err == nil && i < len(c.Sources) && c.Sources[i].Preset != "" {
			return "preset " + c.Sources[i].Preset
		}
	}
	return "default"
}
