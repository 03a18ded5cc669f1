package jsonschema

import (
	"errors"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// Options are choices about all schemas of a compiler. The zero value is
// what Compile uses.
type Options struct {
	// Shadow is asked at every check whether the judge repeats it after the
	// fast path; nil: never. Where the two disagree the judge's verdict counts.
	// It is called on the path of an event, from any number of goroutines.
	Shadow func() bool
	// Shadowing is asked once when a schema is compiled: if Shadow may draw soon,
	// the judge is made at once. Else it is made by Prepare, or by the first
	// check that is drawn. Nil: not soon.
	Shadowing func() bool
	// Compared is told the outcome of every check that Shadow picked, as
	// Shadow is called; may be nil.
	Compared func(Comparison)
	// Mutate is for tests of who watches: the fast path is made of what it
	// returns, and so is wrong where that is another schema. Nil: of the same.
	Mutate func(schema.Definition) schema.Definition
}

// Prepare makes the judge of a Validator of this package, if it may have one,
// so that no check has to. It takes up to ten times as long as compiling, and
// nothing the second time. Where the judge cannot be made, every Comparison
// says why. Any other Validator is left alone.
func Prepare(v schema.Validator) {
	if e, ok := v.(*engine); ok && e.judge != nil {
		_ = e.judge.prepare() // kept, see judge.check
	}
}

// ErrOneEngine says that only one of the engines takes the schema (see
// schema.Described), or that the judge is known to be wrong about such schemas,
// so that there is nothing to compare.
var ErrOneEngine = errors.New("json schema: only one engine takes this schema")

// Comparison is one check that both engines were to make.
type Comparison struct {
	Subject     string
	Version, ID int
	Body        []byte // what was checked: not to be changed, nor kept after the call
	Fast, Judge bool   // valid
	Err         error  // one gave no verdict, and Fast and Judge mean nothing: ErrOneEngine, or why
}

// Agreed reports whether both gave the same verdict.
func (c Comparison) Agreed() bool { return c.Err == nil && c.Fast == c.Judge }

type shadow struct {
	draw     func() bool
	compared func(Comparison)
	def      Comparison // what all comparisons have in common
}

func newShadow(opts Options, def schema.Definition) shadow {
	return shadow{draw: opts.Shadow, compared: opts.Compared, def: Comparison{Subject: def.Subject, Version: def.Version, ID: def.ID}}
}

func (s *shadow) drawn() bool { return s.draw != nil && s.draw() }

// compare tells the outcome, and reports whether the judge overrules.
func (s *shadow) compare(doc *jsontape.Doc, fast, judge bool, err error) (overruled bool) {
	c := s.def
	c.Body, c.Fast, c.Judge, c.Err = doc.Raw(), fast, judge, err
	if s.compared != nil {
		s.compared(c)
	}
	return err == nil && fast != judge
}
