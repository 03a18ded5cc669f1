package jsonschema

import (
	"bytes"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// JudgeOnly returns v as if the fast path had declined its schema, or nil if
// the judge may not run it.
func JudgeOnly(v schema.Validator) schema.Validator {
	j := v.(*engine).judge
	if j == nil {
		return nil
	}
	return &engine{judge: j, declined: "everything"}
}

// Formats are the checks of the formats that are asserted.
func Formats() map[string]func(string) bool {
	all := ownFormats()
	delete(all, "period")
	delete(all, "semver")
	return all
}

// Steps returns the work of a check in steps of the budget, and the budget.
func Steps(v schema.Validator, doc *jsontape.Doc) (steps, budget int, err error) {
	p := v.(*engine).program
	_, steps, err = p.Check(doc)
	return steps, p.Budget(len(doc.Nodes()), len(doc.Raw())), err
}

// CheckBySecondParse is Check without the tape: the library parses raw again.
func CheckBySecondParse(v schema.Validator, raw []byte) ([]schema.Violation, error) {
	value, err := santhosh.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return v.(*engine).judge.judge(value)
}

// Library returns the library's own engine for a definition, with nothing of
// ours in it but the formats.
func Library(def schema.Definition) (schema.Validator, error) {
	docs, err := parseDefinition(def)
	if err != nil {
		return nil, err
	}
	root, err := newCompiler(docs).Compile(rootURL)
	if err != nil {
		return nil, err
	}
	newGraph(root) // takes away what it must
	return &engine{judge: judgeOf(func() (*santhosh.Schema, error) { return root, nil })}, nil
}

// DateTime is the check of the format, and DateTimeInSteps the same without
// its short cut.
func DateTime(s string) bool { return isDateTime(s) }

// DateTimeInSteps see DateTime.
func DateTimeInSteps(s string) bool {
	return len(s) > 11 && s[10]|0x20 == 't' && isDate(s[:10]) && isTime(s[11:])
}

// OwnFront is a definition as our own front end reads it. The error is a
// *front.DeclinedError, or says that a text is no JSON.
func OwnFront(def schema.Definition) (*santhosh.Schema, error) {
	docs, err := parseDefinition(def)
	if err != nil {
		return nil, err
	}
	return shared.ownFront(docs)
}

// LibraryFront is a definition as the library reads it.
func LibraryFront(def schema.Definition) (*santhosh.Schema, error) {
	docs, err := parseDefinition(def)
	if err != nil {
		return nil, err
	}
	return newCompiler(docs).Compile(rootURL)
}

// shared has the meta-schemas for all tests.
var shared = &compiler{metas: newMetaSchemas()}

// CompileShared is Compile with the meta-schemas of the compilations before.
func CompileShared(def schema.Definition) (schema.Validator, error) { return shared.compile(def) }

// SchemaText is a text as Compile reads it, and whether the scanner took it.
func SchemaText(text string) (value any, scanned bool, err error) {
	t, err := parseText(text)
	return t.Value, t.Tape != nil, err
}

// SlowText is a text as it is read without the scanner.
func SlowText(text string) (any, error) {
	t, err := parseUnscanned(text)
	return t.Value, err
}

// WithBrokenJudge is v with a judge that cannot be made.
func WithBrokenJudge(v schema.Validator, err error) schema.Validator {
	e := v.(*engine)
	return &engine{program: e.program, builders: newBuilders(), shadow: e.shadow, judge: judgeOf(func() (*santhosh.Schema, error) { return nil, err })}
}
