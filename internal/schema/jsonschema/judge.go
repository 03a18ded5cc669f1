package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// judge is the library: it decides what the fast path does not take, and is
// what the fast path is compared with. Most schemas never need theirs, and it
// takes ten times as long to make as the rest, so it is made when it is first
// wanted. The compiled schema is not written after that; builders are pooled
// because their maps are most of what a check would allocate.
type judge struct {
	root     func() (*santhosh.Schema, error) // made once
	builders sync.Pool                        // of *builder
}

// newJudge keeps the texts of def.
func newJudge(def schema.Definition) *judge {
	return judgeOf(sync.OnceValues(func() (*santhosh.Schema, error) { return compileJudge(def) }))
}

func judgeOf(root func() (*santhosh.Schema, error)) *judge {
	return &judge{root: root, builders: newBuilders()}
}

// compileJudge compiles with the library, and puts our equality in its place.
func compileJudge(def schema.Definition) (_ *santhosh.Schema, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the compiler panicked: %v", r)
		}
	}()
	docs, err := parseDefinition(def)
	if err != nil {
		return nil, err
	}
	root, err := newCompiler(docs).Compile(rootURL)
	if err != nil {
		return nil, readable(err)
	}
	newGraph(root).replaceEquality()
	return root, nil
}

// prepare makes the judge, or says why it cannot be made: the same each time.
func (j *judge) prepare() error {
	_, err := j.root()
	return err
}

func newBuilders() sync.Pool { return sync.Pool{New: func() any { return new(builder) }} }

// errNoVerdict: a validator answered with something that is not about the payload.
var errNoVerdict = errors.New("json schema: the validator gave no verdict")

// check returns the violations of a payload, nil for a valid one. They hold
// no memory of doc.
func (j *judge) check(doc *jsontape.Doc) (_ []schema.Violation, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("json schema: the validator panicked: %v", r)
		}
	}()
	b := j.builders.Get().(*builder)
	violations, err := j.judge(b.build(doc))
	b.reset()
	j.builders.Put(b)
	return violations, err
}

// judge applies the schema to a value of nil, bool, string, json.Number,
// []any and map[string]any.
func (j *judge) judge(v any) ([]schema.Violation, error) {
	root, err := j.root()
	if err != nil {
		return nil, fmt.Errorf("json schema: no judge: %w", err)
	}
	if err = root.Validate(v); err == nil {
		return nil, nil
	}
	var invalid *santhosh.ValidationError
	if !errors.As(err, &invalid) {
		return nil, fmt.Errorf("json schema: %w", err)
	}
	return tell(sortedLeaves(invalid, v), v)
}

// tell makes violations of the leaves of an error tree.
func tell(leaves []leaf, instance any) ([]schema.Violation, error) {
	for _, l := range leaves {
		if l.broken() {
			return nil, fmt.Errorf("%w: %s", errNoVerdict, l.reason())
		}
	}
	violations := render(leaves, instance)
	if len(violations) == 0 {
		return nil, errNoVerdict
	}
	return violations, nil
}

// Bounds on what a builder keeps between two checks, so that one large body
// does not stay in memory for ever, nor make every later reset slow.
const (
	keepMaps    = 256
	keepMembers = 64
	keepItems   = 1024
)

// builder makes the value that the library wants out of a tape, with its maps
// and arrays reused. The value is good until reset. Not safe for concurrent
// use.
type builder struct {
	words
	maps  []map[string]any
	used  int // of maps
	items []any
}

func (b *builder) build(doc *jsontape.Doc) any {
	b.doc, b.nodes, b.text = doc, doc.Nodes(), string(doc.Raw())
	return b.value(0)
}

func (b *builder) reset() {
	b.doc, b.nodes, b.text = nil, nil, ""
	kept := b.maps[:0]
	for i, m := range b.maps {
		if i < b.used {
			if len(m) > keepMembers {
				continue
			}
			clear(m)
		}
		if len(kept) < keepMaps {
			kept = append(kept, m)
		}
	}
	clear(b.maps[len(kept):])
	b.maps, b.used = kept, 0
	clear(b.items)
	b.items = b.items[:0]
	if cap(b.items) > keepItems {
		b.items = nil
	}
	if cap(b.scratch) > keepItems {
		b.scratch = nil
	}
}

// value recurses as deep as the document is nested, which the scanner bounds.
func (b *builder) value(i uint32) any {
	n := &b.nodes[i]
	switch n.Kind {
	case jsontape.False:
		return false
	case jsontape.True:
		return true
	case jsontape.Number:
		return json.Number(b.text[n.Off:n.End])
	case jsontape.String:
		return b.str(i)
	case jsontape.Array:
		return b.array(i, int(n.Count))
	case jsontape.Object:
		return b.object(i, int(n.Count))
	}
	return nil
}

func (b *builder) object(i uint32, members int) map[string]any {
	m := b.newMap(members)
	at := i + 1
	for range members {
		m[b.str(at)] = b.value(at + 1)
		at = b.nodes[at+1].Next
	}
	return m
}

func (b *builder) newMap(members int) map[string]any {
	if b.used == len(b.maps) {
		b.maps = append(b.maps, make(map[string]any, members))
	}
	b.used++
	return b.maps[b.used-1]
}

func (b *builder) array(i uint32, elements int) []any {
	list := b.newItems(elements)
	at := i + 1
	for e := range list {
		list[e] = b.value(at)
		at = b.nodes[at].Next
	}
	return list
}

// newItems cuts n items off the arena. An arena that is too small is left to
// the arrays that were cut off it.
func (b *builder) newItems(n int) []any {
	if cap(b.items)-len(b.items) < n {
		b.items = make([]any, 0, max(2*cap(b.items), n, 64))
	}
	from := len(b.items)
	b.items = b.items[:from+n]
	return b.items[from:len(b.items):len(b.items)]
}
