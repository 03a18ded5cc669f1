package config

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// Description is what there is to say of one key.
type Description struct {
	Path       string // with [] for the elements of lists
	Type       string // for people: "duration", or its words
	Default    string // as it would be written; empty: none
	Env        string // the variable that sets it; empty: none
	Reloadable bool   // a running relay takes over a change
	Doc        string // one sentence of Markdown, without its full stop
	Group      bool   // it only holds other keys
}

// Describe returns every key in the order of the documentation.
func Describe() []Description {
	var all []Description
	eachKey("", described(), func(path string, k key) {
		d := Description{Path: path, Doc: k.doc, Reloadable: canReload(path, k.node)}
		inList := strings.Contains(path, "[]")
		switch n := k.node.(type) {
		case object:
			d.Group = true
		case *dict:
			d.Type = "mapping of " + n.form.name + "s"
		case *list:
			d.Type, d.Group = "list", !n.scalars
			if items := n.items(); n.scalars && len(items) > 0 {
				d.Default = "[" + strings.Join(items, ", ") + "]"
			}
			d.Env = map[string]string{"kafka.brokers": envBrokers, "schema.registry.urls": envRegistry}[path]
		case *scalar:
			d.Type, d.Default = n.form.name, n.text()
			if len(n.form.words) > 0 && n.form.name == "word" {
				d.Type = "`" + strings.Join(n.form.words, "` `") + "`"
			}
			if !inList {
				d.Env = EnvName(path)
			}
		}
		all = append(all, d)
	})
	return all
}

// described is a configuration with the defaults of a file, and with no
// element in its lists but those that every new one has.
func described() object {
	c := defaults(true)
	c.Routes = nil
	return c.keys()
}

// JSONSchema returns the JSON Schema (draft-07, which editors know best) of a
// configuration file. What it refuses, Load refuses, too; Load knows more. Any
// single value may hold ${NAME}.
func JSONSchema() []byte {
	doc := members{
		{"$schema", "http://json-schema.org/draft-07/schema#"},
		{"title", "configuration of cxrelay"},
	}
	doc = append(doc, schemaOf(described())...)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		panic(err) // strings, numbers and booleans only
	}
	return out.Bytes()
}

func schemaOf(n node) members {
	switch n := n.(type) {
	case object:
		props := members{}
		for _, k := range n {
			props = append(props, pair{k.name, append(members{{"description", strings.ReplaceAll(k.doc, "`", "")}}, schemaOf(k.node)...)})
		}
		return members{{"type", "object"}, {"additionalProperties", false}, {"properties", props}}
	case *list:
		return members{{"type", "array"}, {"items", schemaOf(n.fresh(-1))}}
	case *dict:
		return members{{"type", "object"}, {"additionalProperties", n.form.schema()}}
	case *scalar:
		s := n.form.schema()
		if text := n.text(); text != "" && !n.secret {
			s = append(s, pair{"default", n.form.typed(text)})
		}
		return s
	default:
		return nil
	}
}

// variable is a text in which Load fills in variables.
const variable = `\$\{`

func (f form) schema() members {
	switch {
	case len(f.words) > 0:
		words := []any{}
		for _, w := range f.words {
			words = append(words, f.typed(w))
			if f.typed(w) != any(w) {
				words = append(words, w) // quoted
			}
		}
		return members{{"anyOf", []members{{{"enum", words}}, {{"type", "string"}, {"pattern", variable}}}}}
	case f.pattern == "":
		return members{{"type", []string{"string", "number", "boolean"}}}
	}
	m := members{{"type", "string"}}
	switch {
	case f.share:
		m = members{{"type", []string{"string", "number"}}, {"minimum", 0}, {"maximum", 1}}
	case f.number:
		m = members{{"type", []string{"string", "integer"}}, {"minimum", 0}}
	}
	if f.most > 0 {
		m = append(m, pair{"maximum", f.most})
	}
	return append(m, pair{"pattern", "^(" + f.pattern + ")$|" + variable})
}

// typed is the value that YAML makes of a text of this form.
func (f form) typed(text string) any {
	if f.name == "true or false" {
		return text == "true"
	}
	if n, err := strconv.Atoi(text); err == nil && (f.number || f.share) && n <= math.MaxInt32 {
		return n
	}
	return text
}

// members is a JSON object that keeps its order.
type members []pair

type pair struct {
	name  string
	value any
}

// MarshalJSON writes the members in order.
func (m members) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, p := range m {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(strconv.Quote(p.name) + ":")
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(p.value); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
