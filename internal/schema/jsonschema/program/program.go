// Package program is the fast path of the JSON Schema engine: a schema that
// santhosh-tekuri's compiler has read, checked and resolved becomes a flat
// list of nodes, and the nodes are applied to the tape of a payload without
// building a value and without allocating.
//
// It takes a schema whole or declines it at compile time, naming the keyword;
// it never gives another verdict than the specification. Its work is counted,
// and a check that costs too much ends with ErrBudget.
//
// What belongs here: what a keyword means, exactly and fast, and the tree of
// errors that explains a refusal. What does not: which schemas may be loaded,
// which formats there are, and the words that a sender reads (package
// jsonschema). DESIGN.md of the folder above tells how to add a keyword.
package program

import (
	"errors"
	"hash/maphash"
	"sync"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// ErrBudget means that a check was given up: the payload and the schema
// together ask for too much work. It is no verdict.
var ErrBudget = errors.New("the work budget is spent")

// ref is the index of a node in a program, or none.
type ref int32

const none ref = -1

// kindSet has one bit for each jsontape.Kind.
type kindSet uint8

const anyKind kindSet = 1<<jsontape.Null | 1<<jsontape.False | 1<<jsontape.True | 1<<jsontape.Number |
	1<<jsontape.String | 1<<jsontape.Array | 1<<jsontape.Object

// node is one schema. Groups of keywords that it does not have are nil, so
// that a value passes them with one test.
type node struct {
	kinds       kindSet // what type (and a schema that is false) leaves
	pass        kindSet // of these, the ones with nothing else to check
	integerOnly bool    // a number must be an integer
	slow        bool    // it has leftover rules, or the program is dynamic
	tasks       [8]task // by kind: what follows from all of this
	resource    int32   // the schema resource that it stands in; used for dynamic references only
	values      *valueSet
	number      *numberRules
	text        *textRules
	object      *objectRules
	array       *arrayRules
	inPlace     *inPlaceRules
	leftover    *leftoverRules
}

// textRules are the keywords about strings; lengths are in characters.
type textRules struct {
	shortest, longest int
	sureDecoded       int // so many bytes of UTF-8 are at least shortest characters
	sureEscaped       int // the same for bytes as they stand in a JSON text
	pattern           *pattern
	patternText       string
	format            *format
}

// format is an asserted format.
type format struct {
	name    string
	check   func(string) bool
	library *santhosh.Format // where check is nil
}

// objectRules are the keywords about objects. Names that any of them knows
// have an index in names, and so a bit in the set of names seen.
type objectRules struct {
	fewest, most int
	walk         bool // members must be looked at one by one
	plain        bool // only properties and additionalProperties look at them, and 64 names at most are known
	names        nameTable
	members      []ref    // properties, by index; none: the name is only asked for
	required     []uint64 // bits
	patterns     []patternMember
	others       ref   // additionalProperties
	other        *node // the same, or nil
	takesOthers  bool  // additionalProperties is there, even if it is true
	nameRule     ref   // propertyNames
	needs        []need
	requiredList []string // in the schema's order, for the explanation
	closed       bool     // additionalProperties is false itself
}

type patternMember struct {
	pattern *pattern
	sub     ref
}

// need is dependencies, dependentRequired or dependentSchemas for one name.
type need struct {
	name     string // that triggers it
	index    int    // of that name
	required []uint64
	list     []string
	sub      ref
	old      bool // it stands under dependencies
}

// arrayRules are the keywords about arrays.
type arrayRules struct {
	fewest, most   int
	unique         bool
	walk           bool  // items must be looked at one by one
	plain          bool  // one schema for all of them is all there is
	first          []ref // items as a list, prefixItems
	rest           ref   // items, additionalItems
	takesRest      bool  // rest is given, even if it is true
	closed         bool  // additionalItems is false itself
	contains       ref
	least, atMost  int  // of the items that contains wants; atMost -1: no limit
	countGiven     bool // minContains is given
	containsCounts bool // contains evaluates items (from 2020-12 on)
}

// inPlaceRules are the keywords that apply other schemas to the same value.
type inPlaceRules struct {
	ref             ref
	refOnly         bool // up to draft-07 nothing stands beside $ref
	dynamic         *dynamicRef
	allOf           []ref
	anyOf           []ref
	oneOf           []ref
	not             ref
	cond, then, els ref
}

// leftoverRules are unevaluatedProperties and unevaluatedItems.
type leftoverRules struct {
	members, items ref
}

// dynamicRef is $dynamicRef or $recursiveRef with a target that depends on
// the schema resources that were entered on the way.
type dynamicRef struct {
	keyword  string
	fallback ref
	// targets by resource: of $dynamicRef the schema with that anchor, of
	// $recursiveRef a root with $recursiveAnchor; none where there is neither.
	// nil: it is static after all.
	targets []ref
}

// source is what an explanation needs to know of a schema. The schema itself
// is not kept.
type source struct {
	location string
	types    *santhosh.Types
}

// Program is a compiled schema. It is never written after Compile and safe
// for concurrent use.
type Program struct {
	nodes   []node
	sources []source // per node
	root    ref
	dynamic bool // it has dynamic references, so that the way matters
	visits  int
	seed    maphash.Seed // of uniqueItems
	runs    sync.Pool    // of *run
}

// Nodes returns how many schemas the program has.
func (p *Program) Nodes() int { return len(p.nodes) }

// The budget of a check, in steps: a step is one schema applied to one value,
// or one member, item or 32 bytes of text looked at. It grows with payload
// and schema between two bounds.
const (
	leastSteps   = 250_000
	mostSteps    = 20_000_000
	stepsPerNode = 16
	stepsPerView = 4  // of one schema on one value
	textPerStep  = 32 // bytes
)

// Budget returns the steps that a check of a payload with that many values,
// in a text of that many bytes, may take. Text counts as one more value for
// each 32 bytes, since looking at so many is a step.
func (p *Program) Budget(values, bytes int) int {
	values += bytes / textPerStep
	perValue := max(stepsPerNode*len(p.nodes), stepsPerView*p.visits)
	if values > mostSteps/perValue {
		return mostSteps
	}
	return max(leastSteps, values*perValue)
}

// Check returns whether doc is valid. The error is ErrBudget, or says that
// doc was never parsed. Steps is what it took.
func (p *Program) Check(doc *jsontape.Doc) (valid bool, steps int, err error) {
	if len(doc.Nodes()) == 0 {
		return false, 0, errNotParsed
	}
	r := p.runs.Get().(*run)
	valid, steps, err = r.check(doc)
	r.release()
	p.runs.Put(r)
	return valid, steps, err
}

var errNotParsed = errors.New("the document was not parsed")
