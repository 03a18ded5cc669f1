package jsonschema

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema/program"
)

// The engines by name, for Engine.
const (
	fastEngine  = "fast"
	judgeEngine = "judge"
)

// engine is a schema.Validator and a schema.Described. The program decides
// wherever there is one; without it the judge does.
type engine struct {
	program  *program.Program // nil: declined
	declined string           // by which keyword
	judge    *judge           // nil: the library must not run this schema
	warnings []string
	builders sync.Pool // of *builder, for violations
	shadow   shadow
}

// Check implements schema.Validator. A valid payload returns doc.Raw(); dst is
// not used, as a JSON value goes into the record as it was signed. At most 20
// violations are returned, ordered by pointer, then keyword. They hold no
// memory of doc. The error is schema.ErrTooComplex if the work budget is
// spent, and else a fault of this package or of the schema.
func (e *engine) Check(doc *jsontape.Doc, _ []byte) (value []byte, violations []schema.Violation, err error) {
	if e.program == nil {
		violations, err = e.judge.check(doc)
	} else {
		violations, err = e.fast(doc)
	}
	if err != nil || violations != nil {
		return nil, violations, err
	}
	return doc.Raw(), nil, nil
}

// Engine implements schema.Described.
func (e *engine) Engine() (name, declined string) {
	if e.program == nil {
		return judgeEngine, e.declined
	}
	return fastEngine, ""
}

// Warnings implements schema.Described.
func (e *engine) Warnings() []string { return e.warnings }

// fast lets the program decide, and the judge too if this check is drawn.
func (e *engine) fast(doc *jsontape.Doc) (_ []schema.Violation, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("json schema: the evaluator panicked: %v", r)
		}
	}()
	valid, _, err := e.program.Check(doc)
	switch {
	case errors.Is(err, program.ErrBudget):
		return nil, fmt.Errorf("json schema: %w", schema.ErrTooComplex)
	case err != nil:
		return nil, fmt.Errorf("json schema: %w", err)
	}
	if e.shadow.rate > 0 && e.judge != nil && rand.Float64() < e.shadow.rate {
		if violations, err := e.judge.check(doc); e.shadow.compare(valid, violations, err) {
			return violations, nil
		}
	}
	if valid {
		return nil, nil
	}
	return e.explain(doc)
}

// explain says why a payload is not valid.
func (e *engine) explain(doc *jsontape.Doc) ([]schema.Violation, error) {
	b := e.builders.Get().(*builder)
	defer func() {
		b.reset()
		e.builders.Put(b)
	}()
	instance := b.build(doc)
	tree, err := e.program.Explain(doc)
	switch {
	case errors.Is(err, program.ErrBudget):
		return []schema.Violation{{Keyword: "schema", Expected: "a match", Actual: describe(instance)}}, nil
	case err != nil:
		return nil, fmt.Errorf("json schema: %w", err)
	case tree == nil:
		return nil, fmt.Errorf("%w: refused, and nothing is wrong", errNoVerdict)
	}
	return tell(boundedLeaves(tree, instance), instance)
}
