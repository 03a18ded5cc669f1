package jsonschema

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// resources tells which schema resource a schema stands in: the nearest
// schema with an $id at or above it, else the document (JSON Schema core,
// section 4.3.5).
type resources struct {
	compiler *santhosh.Compiler
	known    map[string]string // place of a schema: place of its resource
}

func newResources(c *santhosh.Compiler) *resources {
	return &resources{compiler: c, known: map[string]string{}}
}

// of returns the place of the resource of s.
func (r *resources) of(s *santhosh.Schema) string { return r.at(s.Location) }

func (r *resources) at(place string) string {
	if found, ok := r.known[place]; ok {
		return found
	}
	found := place
	document, pointer, _ := strings.Cut(place, "#")
	if cut := strings.LastIndexByte(pointer, '/'); cut >= 0 {
		if s := r.schema(place); s == nil || s.ID == "" {
			found = r.at(document + "#" + pointer[:cut])
		}
	}
	r.known[place] = found
	return found
}

// schema returns what stands at a place, nil if that is no schema.
func (r *resources) schema(place string) *santhosh.Schema {
	s, err := r.compiler.Compile(place)
	if err != nil {
		return nil
	}
	return s
}

// followDynamic gives the hubs their edges. Which schema a dynamic reference
// means depends on the way by which it was reached, so every candidate counts.
// The candidates of a $dynamicRef need not be reachable otherwise: they are
// looked for in the texts, by their $dynamicAnchor.
func (g *graph) followDynamic(r *resources, docs *documents) {
	if len(g.dynamic) > 0 {
		for _, at := range slices.Sorted(maps.Keys(docs.byURL)) {
			anchors(docs.byURL[at].Value, at+"#", func(location string) {
				if s := r.schema(location); s != nil {
					g.grow(s)
				} // else it stands in an example or the like
			})
		}
	}
	for i := 0; i < len(g.nodes); i++ { // it may grow
		n := g.nodes[i]
		if n.schema == nil {
			continue
		}
		if hub := g.dynamic[n.schema.DynamicAnchor]; hub != nil {
			hub.edges = append(hub.edges, edge{to: n, keyword: "$dynamicRef", step: toSelfByRef})
		}
		if g.recursive == nil {
			continue
		}
		// The target is the root of a resource with $recursiveAnchor. The
		// library takes the schema by which the resource was entered.
		if root := r.schema(r.of(n.schema)); root != nil && root.RecursiveAnchor {
			g.grow(root)
			g.recursive.edges = append(g.recursive.edges, edge{to: n, keyword: "$recursiveRef", step: toSelfByRef})
		}
	}
}

// anchors calls found with the address of every object below v that has a
// $dynamicAnchor.
func anchors(v any, at string, found func(location string)) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			anchors(item, at+"/"+strconv.Itoa(i), found)
		}
	case map[string]any:
		if _, ok := v["$dynamicAnchor"].(string); ok {
			found(at)
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			anchors(v[name], at+"/"+url.PathEscape(escapePointer(name)), found)
		}
	}
}
