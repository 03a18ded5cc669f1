// Package front reads schemas as santhosh-tekuri's compiler does, and in a
// tenth of its time: it makes the same graph of schemas, as far as the
// exported fields go, out of parsed texts.
//
// It takes a definition whole or declines it, and then the library's own
// compiler has to read it. It declines what is rare, what it is not sure of,
// and every text with a fault: it never says what is wrong with one.
//
// What belongs here: addresses, anchors and resources (JSON Schema core), and
// which keyword of which draft becomes which field. What does not: what a
// keyword means (package program), and which texts and formats there are
// (package jsonschema). The schemas that it returns have none of the library's
// private fields and so must not be validated with.
package front

import (
	"fmt"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// Text is a parsed schema text.
type Text struct {
	// Value is what it says, of nil, bool, string, json.Number, []any and
	// map[string]any.
	Value any
	// Tape is the same as the scanner saw it, or nil if the scanner does not
	// take it. References may be written otherwise in it, as long as that makes no
	// difference to a meta-schema.
	Tape *jsontape.Doc
}

// Options are what a compiler needs to know of its surroundings.
type Options struct {
	// Load returns the text at an absolute address without fragment.
	Load func(address string) (Text, bool)
	// Draft is that of a text without $schema: 4, 6, 7, 2019 or 2020.
	Draft int
	// Format returns the format of that name, nil if it is only told. It is
	// called where the draft asserts formats.
	Format func(name string) *santhosh.Format
	// Valid reports whether a text is valid against the meta-schema of a draft.
	// Patterns need not be looked at.
	Valid func(draft int, tape *jsontape.Doc) bool
}

// DeclinedError says what is left to the library, and where it stands.
type DeclinedError struct {
	What     string
	Location string // address with fragment
}

func (e *DeclinedError) Error() string { return fmt.Sprintf("%s at %s", e.What, e.Location) }

// Compile reads the text at an absolute address and everything that it refers
// to. The error is a *DeclinedError. Nothing of what it returns is shared with
// another call but the strings and values of the texts.
func Compile(address string, opts Options) (*santhosh.Schema, error) {
	c := &compiler{opts: opts, texts: map[string]*text{}, patterns: map[string]*pattern{}}
	if t := c.load(address); t != nil {
		c.reach(t.root.place)
		for i := 0; i < len(c.reached) && c.declined == nil; i++ {
			c.follow(c.reached[i])
		}
		if c.declined == nil {
			return t.root.place.schema, nil
		}
	}
	return nil, c.declined
}

type compiler struct {
	opts     Options
	texts    map[string]*text
	patterns map[string]*pattern
	reached  []*place // from the root; those that were not followed yet come last
	declined *DeclinedError
	late     bool // what is being read was found by a reference only

	spare   []place // what new places and schemas are cut off, many at once
	schemas []santhosh.Schema
}

// batch is how many schemas are allocated at once.
const batch = 16

// text is what stands at one address.
type text struct {
	source    Text
	address   string
	root      *resource
	resources map[string]*resource // by their addresses
	places    map[string]*place    // by their locations
}

// resource is a schema resource: the root of a text, or a schema with an $id
// (JSON Schema core, 2020-12, section 4.3.5).
type resource struct {
	text    *text
	address string // without fragment
	self    string // what a reference that is only a fragment leads to: address, normalized
	draft   int
	place   *place // its root
	anchors map[string]*place
}

// place is a schema within a text. There is one for every place where the
// draft has a schema, used or not.
type place struct {
	schema  *santhosh.Schema
	in      *resource
	ref     *string // $ref
	reached bool
	below   *place // the first of the schemas that its keywords apply
	next    *place // the next one of those that its parent's apply
}

// decline remembers the first thing that was not taken.
func (c *compiler) decline(what, location string) {
	if c.declined == nil {
		c.declined = &DeclinedError{What: what, Location: location}
	}
}

// load reads the text at an address, once. It returns nil if that declines.
func (c *compiler) load(address string) *text {
	if t, ok := c.texts[address]; ok {
		return t
	}
	if specification(address) {
		c.decline("a meta-schema", address)
		return nil
	}
	source, ok := c.opts.Load(address)
	if !ok || source.Tape == nil {
		c.decline("a text that is not there or not strict JSON", address)
		return nil
	}
	draft := c.opts.Draft
	if obj, ok := source.Value.(map[string]any); ok {
		if draft = declaredDraft(obj, draft); draft == 0 {
			c.decline("$schema", address+"#")
			return nil
		}
	}
	if !c.opts.Valid(draft, source.Tape) {
		c.decline("what the meta-schema does not allow", address+"#")
		return nil
	}
	t := &text{source: source, address: address, resources: map[string]*resource{}, places: make(map[string]*place, len(source.Tape.Nodes())/8)}
	c.readRoot(t, source.Value, draft)
	if c.declined != nil {
		return nil
	}
	c.texts[address] = t
	return t
}

// specification: the library has texts of its own at such addresses.
func specification(address string) bool {
	return strings.HasPrefix(address, "http://json-schema.org/") || strings.HasPrefix(address, "https://json-schema.org/")
}

// declaredDraft returns the draft that $schema names, otherwise where there is
// none, and 0 for one that is not known here.
func declaredDraft(obj map[string]any, otherwise int) int {
	v, ok := obj["$schema"]
	if !ok {
		return otherwise
	}
	address, _ := v.(string)
	address = strings.TrimSuffix(address, "#")
	if rest, ok := strings.CutPrefix(address, "http://"); ok {
		address = rest
	} else if address, ok = strings.CutPrefix(address, "https://"); !ok {
		return 0
	}
	switch address {
	case "json-schema.org/draft-04/schema":
		return 4
	case "json-schema.org/draft-06/schema":
		return 6
	case "json-schema.org/draft-07/schema":
		return 7
	case "json-schema.org/draft/2019-09/schema":
		return 2019
	case "json-schema.org/draft/2020-12/schema":
		return 2020
	}
	return 0
}

// reach adds a place to what belongs to the result.
func (c *compiler) reach(p *place) {
	if !p.reached {
		p.reached = true
		c.reached = append(c.reached, p)
	}
}

// follow adds everything that p leads to: the root of its resource, as the
// library compiles that as well, what its keywords apply, and its reference.
func (c *compiler) follow(p *place) {
	c.reach(p.in.place)
	for sub := p.below; sub != nil; sub = sub.next {
		c.reach(sub)
	}
	if p.ref == nil {
		return
	}
	target := c.resolve(p.in, *p.ref)
	if target == nil {
		c.decline("$ref", p.schema.Location)
		return
	}
	p.schema.Ref = target.schema
	c.reach(target)
}

// resolve finds what a reference in a resource leads to, nil if that is
// nothing that is known here.
func (c *compiler) resolve(from *resource, ref string) *place {
	ref, fragment, ok := splitFragment(ref)
	if !ok {
		return nil
	}
	address := from.self
	if ref != "" {
		if address, ok = join(from.address, ref); !ok {
			return nil
		}
	}
	to := from.text.root
	if address != from.text.address {
		if to = from.text.resources[address]; to == nil {
			t := c.load(address)
			if t == nil {
				return nil
			}
			to = t.root
		}
	}
	switch {
	case fragment == "":
		return to.place
	case fragment[0] == '/':
		return c.pointed(to, fragment)
	}
	return to.anchors[fragment]
}
