// Package jsonschema is the validation engine for registry subjects of type
// JSON: it compiles a schema with its references and checks parsed payloads
// against it.
//
// What belongs here: the dialect rules, the formats, the refusal of schemas
// that could not be applied in bounded time, and the choice of the violations
// that a sender is told. What does not: fetching schemas (package schema),
// parsing payloads (package jsontape), and other schema languages.
//
// The specification is JSON Schema, drafts 4, 6, 7, 2019-09 and 2020-12
// (https://json-schema.org/specification-links). A schema without $schema is
// draft-07, as in Confluent's registry. DESIGN.md of this folder has the
// reasons.
package jsonschema

import (
	"errors"
	"fmt"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema/front"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema/program"
)

// typeJSON is the only schema type this engine takes.
const typeJSON = "JSON"

// Compile makes a Validator of a definition of type JSON. Nothing is fetched:
// a $ref leads into the schema itself, into one of def.References, or into
// one of the specification's own meta-schemas. The Validator keeps def's texts,
// for a judge that may be wanted later, and is safe for concurrent use.
//
// The error says why the definition cannot be used: another type, not JSON,
// not a schema of its draft, a $ref that leads nowhere, a pattern outside RE2
// (https://github.com/google/re2/wiki/Syntax), or a recursion whose cost has
// no bound (see RecursionError) in a schema that the fast path does not take.
//
// The Validator is a schema.Described. Compile is a schema.Compiler. For more
// than a few definitions use New, which reads the meta-schemas only once.
func Compile(def schema.Definition) (schema.Validator, error) {
	return New(Options{})(def)
}

// New returns Compile with options. What it returns is safe for concurrent
// use.
func New(opts Options) schema.Compiler {
	c := &compiler{opts: opts, metas: newMetaSchemas()}
	return func(def schema.Definition) (schema.Validator, error) { return c.compile(def) }
}

// compiler is what the definitions of one New have in common.
type compiler struct {
	opts  Options
	metas *metaSchemas
}

func (c *compiler) compile(def schema.Definition) (_ schema.Validator, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("json schema: the compiler panicked: %v", r)
		}
	}()
	if def.Type != typeJSON {
		return nil, fmt.Errorf("json schema: no engine for a schema of type %q: only JSON subjects can be validated", def.Type)
	}
	docs, err := parseDefinition(def)
	if err != nil {
		return nil, fmt.Errorf("json schema: %w", err)
	}
	e, err := c.assemble(def, docs)
	if err != nil {
		return nil, fmt.Errorf("json schema: %w", err)
	}
	e.shadow = newShadow(c.opts, def)
	if c.opts.Mutate != nil {
		return e, e.mutate(c.opts.Mutate(def))
	}
	return e, nil
}

// mutate puts another schema's program into e.
func (e *engine) mutate(def schema.Definition) error {
	other, err := Compile(def)
	if mutant, ok := other.(*engine); ok {
		e.program = mutant.program
	}
	return err
}

// assemble decides which engines a definition may have, and makes them. The
// judge waits until it is needed, if it is not by now.
func (c *compiler) assemble(def schema.Definition, docs *documents) (*engine, error) {
	plan, err := c.read(docs)
	if err != nil {
		return nil, err
	}
	e, err := plan.engine()
	if err != nil {
		return nil, err
	}
	if e.judge = newJudge(def); len(e.warnings) > 0 {
		e.judge = nil
	} else if e.program == nil || c.opts.Shadowing != nil && c.opts.Shadowing() {
		if err := e.judge.prepare(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// plan is a compiled schema with what the lint and the program need to know.
type plan struct {
	root      *santhosh.Schema
	graph     *graph
	resources *resources // nil: nothing is dynamic
}

// read compiles the texts: our own front end does, or the library where that
// declines.
func (c *compiler) read(docs *documents) (*plan, error) {
	if root, err := c.ownFront(docs); err == nil {
		return &plan{root: root, graph: newGraph(root)}, nil
	}
	library := newCompiler(docs)
	root, err := library.Compile(rootURL)
	if err != nil {
		return nil, readable(err)
	}
	p := &plan{root: root, graph: newGraph(root), resources: newResources(library)}
	p.graph.followDynamic(p.resources, docs)
	return p, nil
}

// ownFront reads the texts without the library. The error is a
// *front.DeclinedError.
func (c *compiler) ownFront(docs *documents) (*santhosh.Schema, error) {
	known := formats()
	return front.Compile(rootURL, front.Options{
		Load: docs.text, Draft: docs.draft(), Format: func(name string) *santhosh.Format { return known[name] }, Valid: c.metas.valid,
	})
}

// engine lints the graph and compiles the program.
func (p *plan) engine() (*engine, error) {
	cost := p.graph.lint()
	if cost.endless != nil {
		return nil, cost.endless
	}
	opts := program.Options{Formats: ownFormats(), Visits: cost.visits, Nodes: len(p.graph.nodes)}
	if p.resources != nil {
		opts.Schemas, opts.Resource, opts.Root = p.graph.schemas(), p.resources.of, p.resources.schema
	}
	prog, declined, err := fastPath(p.root, opts)
	if err != nil {
		return nil, err
	}
	e := &engine{program: prog, builders: newBuilders(), warnings: cost.warnings(), errs: p.resources != nil && p.graph.misjudged()}
	if declined != nil {
		e.declined = fmt.Sprintf("%v at %s", declined, localNames(declined.Location))
		if cost.unbounded != nil {
			cost.unbounded.Declined = e.declined
			return nil, cost.unbounded
		}
	}
	return e, nil
}

// fastPath compiles the program, or says why there is none.
func fastPath(root *santhosh.Schema, opts program.Options) (*program.Program, *program.DeclinedError, error) {
	prog, err := program.Compile(root, opts)
	var declined *program.DeclinedError
	if errors.As(err, &declined) {
		return nil, declined, nil
	}
	return prog, nil, err
}

// newCompiler is the library's compiler for these texts.
func newCompiler(docs *documents) *santhosh.Compiler {
	c := santhosh.NewCompiler()
	c.DefaultDraft(docs.dialect())
	c.UseLoader(docs)
	for _, f := range formats() {
		c.RegisterFormat(f)
	}
	return c
}

// CompileError says why a schema text is not usable, without the internal
// addresses under which the compiler holds the documents.
type CompileError struct {
	text  string
	cause error
}

func (e *CompileError) Error() string { return e.text }

// Unwrap returns the compiler's own error.
func (e *CompileError) Unwrap() error { return e.cause }

// maxFaults bounds how many faults of a schema text one error names.
const maxFaults = 3

// readable turns an error of the compiler into one for the operator.
func readable(err error) error {
	text := localNames(err.Error())
	var (
		load  *santhosh.LoadURLError
		meta  *santhosh.SchemaValidationError
		regex *santhosh.InvalidRegexError
	)
	switch {
	case errors.As(err, &load):
		text = fmt.Sprintf("%q is not among the schema's references: nothing is fetched from the network or from disk", localNames(load.URL))
	case errors.As(err, &regex):
		text = fmt.Sprintf("pattern %q at %s is not RE2: %v", regex.Regex, localNames(regex.URL), regex.Err)
	case errors.As(err, &meta):
		text = metaFaults(meta)
	}
	return &CompileError{text: cut(text, 1024), cause: err}
}

// metaFaults tells what the meta-schema does not allow in a schema text.
func metaFaults(err *santhosh.SchemaValidationError) string {
	var invalid *santhosh.ValidationError
	if !errors.As(err.Err, &invalid) {
		return localNames(err.Error())
	}
	leaves := sortedLeaves(invalid, nil)
	var b strings.Builder
	b.WriteString("not a valid schema")
	for i, l := range leaves {
		if i == maxFaults {
			fmt.Fprintf(&b, "; and %d more", len(leaves)-maxFaults)
			break
		}
		sep := ": "
		if i > 0 {
			sep = "; "
		}
		fmt.Fprintf(&b, "%s%s%s: %s", sep, localNames(err.URL), l.pointer, l.reason())
	}
	return b.String()
}
