package front

import (
	"net/url"
	"strconv"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// reader reads one schema, an object, into its place.
type reader struct {
	*compiler
	place  *place
	schema *santhosh.Schema
	obj    map[string]any
	at     string // location
	draft  int
	// refOnly: up to draft-07 $ref hides its siblings. The library leaves out
	// those of draft-04 and reads the others.
	refOnly bool
}

// readRoot reads a whole text.
func (c *compiler) readRoot(t *text, v any, draft int) {
	t.root = &resource{text: t, address: t.address, draft: draft, anchors: map[string]*place{}}
	c.read(v, t.address+"#", t.root)
	if t.root.place == nil {
		c.decline("no schema", t.address+"#")
	}
}

// read makes a place of the schema v, and of all schemas below it. It returns
// nil where v is no schema.
func (c *compiler) read(v any, at string, in *resource) *place {
	switch v := v.(type) {
	case bool:
		p := c.newPlace(at, in)
		p.schema.Bool = &v
		return p
	case map[string]any:
		return c.readObject(v, at, in)
	}
	return nil
}

// newPlace makes a place with an empty schema.
func (c *compiler) newPlace(at string, in *resource) *place {
	if len(c.spare) == 0 {
		c.spare, c.schemas = make([]place, batch), make([]santhosh.Schema, batch)
	}
	p := &c.spare[0]
	p.schema, p.in = &c.schemas[0], in
	c.spare, c.schemas = c.spare[1:], c.schemas[1:]
	p.schema.Location, p.schema.DraftVersion = at, in.draft
	if in.place == nil {
		in.place = p
	}
	if c.late && in.text.places[at] != nil {
		c.decline("a reference to what was read before", at)
	}
	in.text.places[at] = p
	return p
}

func (c *compiler) readObject(obj map[string]any, at string, in *resource) *place {
	_, hasRef := obj["$ref"]
	id := c.id(obj, at, in)
	isRoot := in.place == nil
	if _, ok := obj["$schema"]; ok && !isRoot && declaredDraft(obj, 0) != in.draft {
		c.decline("$schema of another draft", at)
	}
	address, _, _ := strings.Cut(id, "#")
	if address != "" && !(hasRef && in.draft < 2019) {
		in = c.resource(in, address, at, isRoot)
	} else if isRoot {
		in = c.register(in, at)
	}
	p := c.newPlace(at, in)
	r := reader{compiler: c, place: p, schema: p.schema, obj: obj, at: at, draft: in.draft, refOnly: hasRef && in.draft < 2019}
	if len(obj) == 0 {
		yes := true
		r.schema.Bool = &yes
		return r.place
	}
	r.identity(id, in)
	for keyword, v := range obj {
		r.keyword(keyword, v)
	}
	return r.place
}

// id returns the text of $id, or id in draft-04.
func (c *compiler) id(obj map[string]any, at string, in *resource) string {
	keyword := "$id"
	if in.draft == 4 {
		keyword = "id"
	}
	v, ok := obj[keyword]
	id, isText := v.(string)
	if ok && !isText {
		c.decline(keyword, at)
	}
	return id
}

// resource makes the resource of a schema with an $id, or gives the root's
// its address.
func (c *compiler) resource(around *resource, id, at string, isRoot bool) *resource {
	address, ok := join(around.address, id)
	if !ok {
		c.decline("$id", at)
		return around
	}
	if isRoot {
		around.address = address
		return c.register(around, at)
	}
	return c.register(&resource{text: around.text, address: address, draft: around.draft, anchors: map[string]*place{}}, at)
}

func (c *compiler) register(r *resource, at string) *resource {
	self, ok := join(r.address, "")
	if _, taken := r.text.resources[r.address]; taken || !ok || c.late {
		c.decline("$id", at)
	}
	r.self = self
	r.text.resources[r.address] = r
	return r
}

// identity reads what a schema is called, and its reference.
func (r *reader) identity(id string, in *resource) {
	address, fragment, _ := strings.Cut(id, "#")
	if v, ok := r.obj["$ref"]; ok {
		ref, isText := v.(string)
		if !isText {
			r.decline("$ref", r.at)
		}
		r.place.ref = &ref
	}
	if !r.refOnly {
		r.schema.ID = address
	}
	if r.draft < 2019 {
		r.plainName(fragment, in)
		return
	}
	for _, keyword := range []string{"$recursiveRef", "$recursiveAnchor", "$dynamicRef", "$dynamicAnchor"} {
		if _, ok := r.obj[keyword]; ok {
			r.decline(keyword, r.at)
		}
	}
	if v, ok := r.obj["$anchor"]; ok {
		name, _ := v.(string)
		r.anchor(name, in)
		r.schema.Anchor = name
	}
}

// plainName is an $id that is a fragment, or has one: the way to write an
// anchor up to draft-07.
func (r *reader) plainName(fragment string, in *resource) {
	name, err := url.PathUnescape(fragment)
	if err != nil {
		r.decline("$id", r.at)
	}
	r.schema.Anchor = name
	if name != "" && name[0] != '/' && !r.refOnly {
		r.anchor(name, in)
	}
}

func (r *reader) anchor(name string, in *resource) {
	if _, taken := in.anchors[name]; taken || name == "" || r.late {
		r.decline("anchor", r.at)
	}
	in.anchors[name] = r.place
}

// sub reads the schema under a keyword.
func (r *reader) sub(keyword string, v any) *place {
	return r.read(v, r.at+"/"+keyword, r.place.in)
}

// list reads the schemas of an array under a keyword, and applies them if that
// is what the keyword does.
func (r *reader) list(keyword string, v any, applies bool) []*santhosh.Schema {
	items, ok := v.([]any)
	if !ok {
		return nil
	}
	schemas := make([]*santhosh.Schema, len(items))
	for i, item := range items {
		schemas[i] = r.apply(r.read(item, r.at+"/"+keyword+"/"+strconv.Itoa(i), r.place.in), applies)
	}
	return schemas
}

// named reads the schemas of an object under a keyword, like list.
func (r *reader) named(keyword string, v any, applies bool) map[string]*santhosh.Schema {
	members, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	var schemas map[string]*santhosh.Schema
	if applies {
		schemas = make(map[string]*santhosh.Schema, len(members))
	}
	prefix := r.at + "/" + keyword + "/"
	for name, item := range members {
		s := r.apply(r.read(item, prefix+escapeToken(name), r.place.in), applies)
		if applies {
			schemas[name] = s
		}
	}
	return schemas
}

// apply notes that a keyword of this schema applies p, and returns p's schema.
func (r *reader) apply(p *place, applies bool) *santhosh.Schema {
	switch {
	case !applies:
		return nil
	case p == nil:
		r.decline("no schema", r.at)
		return nil
	}
	p.next, r.place.below = r.place.below, p
	return p.schema
}
