package jsonschema

import (
	"sync"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema/program"
)

// drafts are the drafts by their numbers.
func drafts() map[int]*santhosh.Draft {
	return map[int]*santhosh.Draft{4: santhosh.Draft4, 6: santhosh.Draft6, 7: santhosh.Draft7, 2019: santhosh.Draft2019, 2020: santhosh.Draft2020}
}

// metaSchemas check schema texts: the fast path of each draft's meta-schema,
// compiled when it is first needed. Safe for concurrent use.
type metaSchemas struct {
	programs map[int]func() (*program.Program, error)
}

func newMetaSchemas() *metaSchemas {
	m := &metaSchemas{programs: map[int]func() (*program.Program, error){}}
	for number, draft := range drafts() {
		m.programs[number] = sync.OnceValues(func() (*program.Program, error) { return compileMeta(draft) })
	}
	return m
}

// valid reports whether a schema text is known to be valid, whatever stands
// in its patterns: the front end parses all of them. Where this says no, the
// library's compiler says why.
func (m *metaSchemas) valid(draft int, tape *jsontape.Doc) bool {
	p, err := m.programs[draft]()
	if err != nil {
		return false
	}
	valid, _, err := p.Check(tape)
	return err == nil && valid
}

// compileMeta makes the program of a meta-schema. Its formats are the
// library's, as they are when that checks a text.
func compileMeta(draft *santhosh.Draft) (*program.Program, error) {
	c := santhosh.NewCompiler()
	c.AssertFormat()
	root, err := c.Compile(draft.String())
	if err != nil {
		return nil, err
	}
	g, places := newGraph(root), newResources(c)
	g.followDynamic(places, &documents{})
	return program.Compile(root, program.Options{
		Formats: map[string]func(string) bool{"regex": func(string) bool { return true }},
		Schemas: g.schemas(), Resource: places.of, Root: places.schema,
	})
}
