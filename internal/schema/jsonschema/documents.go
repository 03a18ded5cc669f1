package jsonschema

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema/front"
)

// The compiler wants an absolute address for every document. The root stands
// at rootURL; a reference stands at its name resolved against baseURL and
// against every $id that a relative $ref could be resolved against.
const (
	baseURL = "registry://local/"
	rootURL = baseURL + "~"
)

// localNames strips the internal addresses from a text meant for people.
func localNames(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, rootURL, ""), baseURL, "")
}

var errNotReferenced = errors.New("not among the references")

// documents are the parsed texts of a definition. It is the compiler's loader
// and knows nothing but them.
type documents struct {
	byURL map[string]front.Text
}

// Load returns the document at an absolute address; it never does I/O.
func (d *documents) Load(u string) (any, error) {
	if doc, ok := d.byURL[u]; ok {
		return doc.Value, nil
	}
	return nil, errNotReferenced
}

// text is Load for our own front end.
func (d *documents) text(u string) (front.Text, bool) {
	doc, ok := d.byURL[u]
	return doc, ok
}

// dialect is the draft of every text without a $schema: the root's own, as a
// reference continues the root, and draft-07 where the root has none. A root
// with a meta-schema of its own has the draft of that.
func (d *documents) dialect() *santhosh.Draft {
	drafts := map[string]*santhosh.Draft{
		"http://json-schema.org/draft-04/schema":       santhosh.Draft4,
		"http://json-schema.org/draft-06/schema":       santhosh.Draft6,
		"http://json-schema.org/draft-07/schema":       santhosh.Draft7,
		"https://json-schema.org/draft/2019-09/schema": santhosh.Draft2019,
		"https://json-schema.org/draft/2020-12/schema": santhosh.Draft2020,
	}
	at := rootURL
	for range len(d.byURL) {
		obj, _ := d.byURL[at].Value.(map[string]any)
		dialect, _ := obj["$schema"].(string)
		at = strings.TrimSuffix(dialect, "#")
		if draft, ok := drafts[strings.Replace(at, "https://json-schema.org/draft-", "http://json-schema.org/draft-", 1)]; ok {
			return draft
		}
	}
	return santhosh.Draft7
}

// draft is the number of the dialect.
func (d *documents) draft() int {
	dialect := d.dialect()
	for number, draft := range drafts() {
		if draft == dialect {
			return number
		}
	}
	return 0 // never: no dialect but those
}

func parseDefinition(def schema.Definition) (*documents, error) {
	root, err := parseText(def.Text)
	if err != nil {
		return nil, err
	}
	d := &documents{byURL: map[string]front.Text{rootURL: root}}
	names := slices.Sorted(maps.Keys(def.References))
	refs := make(map[string]front.Text, len(names))
	for _, name := range names {
		doc, err := parseText(def.References[name])
		if err != nil {
			return nil, fmt.Errorf("reference %q: %w", name, err)
		}
		refs[name] = doc
	}
	for _, base := range basesOf(root, names, refs) {
		for _, name := range names {
			d.add(resolve(base, name), refs[name])
		}
	}
	for _, name := range names {
		d.add(resolve(baseURL, idOf(refs[name].Value)), refs[name])
	}
	return d, nil
}

// basesOf lists what a relative $ref can be resolved against, the root's own
// $id first, as the order decides when two names meet at one address.
func basesOf(root front.Text, names []string, refs map[string]front.Text) []string {
	bases := []string{baseURL}
	if id := resolve(baseURL, idOf(root.Value)); id != "" {
		bases = append(bases, id)
	}
	for _, name := range names {
		at := resolve(baseURL, name)
		if at != "" {
			bases = append(bases, at)
		}
		if id := resolve(at, idOf(refs[name].Value)); id != "" {
			bases = append(bases, id)
		}
	}
	return bases
}

func (d *documents) add(u string, doc front.Text) {
	if _, taken := d.byURL[u]; u != "" && !taken {
		d.byURL[u] = doc
	}
}

// resolve joins by RFC 3986 section 5 and drops the fragment. It returns ""
// for what is empty or no URI reference.
func resolve(base, ref string) string {
	ref, _, _ = strings.Cut(ref, "#")
	if ref == "" {
		return ""
	}
	b, err := url.Parse(base)
	if err != nil {
		return ""
	}
	r, err := url.Parse(ref)
	if err != nil {
		return ""
	}
	return b.ResolveReference(r).String()
}

// idOf returns the document's $id, or id in draft-04, or "".
func idOf(doc any) string {
	obj, _ := doc.(map[string]any)
	key := "$id"
	if dialect, _ := obj["$schema"].(string); strings.Contains(dialect, "json-schema.org/draft-04/") {
		key = "id"
	}
	id, _ := obj[key].(string)
	return id
}

// bridgeDefinitions lets "#/$defs/X" reach a top-level "definitions" entry,
// as Confluent's registry does: it rewrites such a $ref where $defs has no X.
func bridgeDefinitions(doc any) {
	root, _ := doc.(map[string]any)
	old, _ := root["definitions"].(map[string]any)
	if len(old) == 0 {
		return
	}
	modern, _ := root["$defs"].(map[string]any)
	b := bridge{missing: func(name string) bool {
		_, inOld := old[name]
		_, inModern := modern[name]
		return inOld && !inModern
	}}
	b.keywords(root)
}

type bridge struct{ missing func(name string) bool }

func (b bridge) keywords(obj map[string]any) {
	for k, item := range obj {
		b.keyword(obj, k, item)
	}
}

// schema walks into v, unless it is a document of its own, in which
// "#/$defs/X" means something else.
func (b bridge) schema(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			b.schema(item)
		}
	case map[string]any:
		if id := idOf(v); id == "" || id[0] == '#' {
			b.keywords(v)
		}
	}
}

func (b bridge) keyword(in map[string]any, k string, item any) {
	switch k {
	case "const", "enum", "default", "examples":
	case "properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies":
		named, _ := item.(map[string]any)
		for _, sub := range named {
			b.schema(sub)
		}
	case "$ref":
		ref, _ := item.(string)
		rest, ok := strings.CutPrefix(ref, "#/$defs/")
		name, _, _ := strings.Cut(rest, "/")
		if ok && b.missing(unescapePointer(name)) {
			in[k] = "#/definitions/" + rest
		}
	default:
		b.schema(item)
	}
}

// unescapePointer undoes the escapes of one token of a pointer in a URI
// fragment (RFC 6901 sections 4 and 6).
func unescapePointer(token string) string {
	if plain, err := url.PathUnescape(token); err == nil {
		token = plain
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}
