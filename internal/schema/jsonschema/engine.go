package jsonschema

import (
	"errors"
	"fmt"
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
	errs     bool             // the judge is known to be wrong about such schemas
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
		if violations, err = e.judge.check(doc); e.shadow.drawn() {
			e.shadow.compare(doc, false, false, ErrOneEngine)
		}
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
	if e.shadow.drawn() {
		if violations, overruled := e.repeat(doc, valid, err); overruled {
			return violations, nil
		}
	}
	switch {
	case errors.Is(err, program.ErrBudget):
		return nil, fmt.Errorf("json schema: %w", schema.ErrTooComplex)
	case err != nil:
		return nil, fmt.Errorf("json schema: %w", err)
	case valid:
		return nil, nil
	}
	return e.explain(doc)
}

// repeat has the judge make a check of the program's again. A verdict that the
// program could not reach is no disagreement.
func (e *engine) repeat(doc *jsontape.Doc, valid bool, err error) (_ []schema.Violation, overruled bool) {
	if e.judge == nil || e.errs {
		err = ErrOneEngine
	}
	var violations []schema.Violation
	if err == nil {
		violations, err = e.judge.check(doc)
	}
	return violations, e.shadow.compare(doc, valid, violations == nil, err)
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
