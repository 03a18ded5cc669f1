package jsonschema

import "github.com/cxrelay/cxrelay/internal/schema"

// Options are choices about all schemas of a compiler. The zero value is
// what Compile uses.
type Options struct {
	// Shadow is the share of checks, from 0 to 1, that the judge repeats after
	// the fast path. Where the two disagree the judge's verdict counts. A
	// schema that only one of them takes is not repeated.
	Shadow float64
	// Compared is told the outcome of every repeated check. It is called on
	// the path of an event, from any number of goroutines.
	Compared func(Comparison)
}

// Comparison is one check that both engines made.
type Comparison struct {
	Subject     string
	Version     int
	Fast, Judge bool  // valid
	Err         error // the judge gave no verdict; Judge means nothing
}

// Agreed reports whether both gave the same verdict.
func (c Comparison) Agreed() bool { return c.Err == nil && c.Fast == c.Judge }

type shadow struct {
	rate     float64
	compared func(Comparison)
	subject  string
	version  int
}

func newShadow(opts Options, def schema.Definition) shadow {
	return shadow{rate: opts.Shadow, compared: opts.Compared, subject: def.Subject, version: def.Version}
}

// compare tells the outcome, and reports whether the judge overrules.
func (s *shadow) compare(fast bool, violations []schema.Violation, err error) (overruled bool) {
	c := Comparison{Subject: s.subject, Version: s.version, Fast: fast, Judge: violations == nil, Err: err}
	if s.compared != nil {
		s.compared(c)
	}
	return err == nil && !c.Agreed()
}
