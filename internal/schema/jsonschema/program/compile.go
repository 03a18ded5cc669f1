package program

import (
	"fmt"
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// Options are what a program needs to know beside the schema itself.
type Options struct {
	// Formats are checks by the name of the format. A format that is not
	// among them is checked by the library, which allocates.
	Formats map[string]func(string) bool
	// Schemas are all schemas that a dynamic reference may lead to.
	Schemas []*santhosh.Schema
	// Resource names the schema resource that a schema stands in.
	Resource func(*santhosh.Schema) string
	// Root is the schema at the root of a resource, or nil.
	Root func(resource string) *santhosh.Schema
	// Nodes is about how many schemas there are, or 0.
	Nodes int
	// Visits is how many schemas may be applied to one value, where that is
	// known, else 0.
	Visits int
}

// DeclinedError says what the fast path does not take, and where it stands.
type DeclinedError struct {
	Keyword  string
	Location string // of the schema
	Reason   string
}

func (e *DeclinedError) Error() string {
	return fmt.Sprintf("%s (%s)", e.Keyword, e.Reason)
}

// Compile makes a program of a schema, or returns a *DeclinedError.
func Compile(root *santhosh.Schema, opts Options) (*Program, error) {
	c := &compiler{
		opts:      opts,
		program:   &Program{seed: maphash.MakeSeed(), visits: opts.Visits, nodes: make([]node, 0, opts.Nodes)},
		refs:      make(map[*santhosh.Schema]ref, opts.Nodes),
		schemas:   make([]*santhosh.Schema, 0, opts.Nodes),
		patterns:  map[string]*pattern{},
		resources: map[string]int32{},
	}
	p := c.program
	p.root = c.ref(root)
	c.fillAll()
	c.bindDynamic()
	if c.declined != nil {
		return nil, c.declined
	}
	p.sources = sourcesOf(c.schemas)
	if !p.dynamic {
		p.skipReferences()
	}
	p.settle()
	p.runs.New = func() any { return &run{program: p} }
	return p, nil
}

// sourcesOf keeps of the schemas what an explanation needs of them.
func sourcesOf(schemas []*santhosh.Schema) []source {
	sources := make([]source, len(schemas))
	for i, s := range schemas {
		sources[i] = source{location: s.Location, types: s.Types}
	}
	return sources
}

type compiler struct {
	opts      Options
	program   *Program
	schemas   []*santhosh.Schema // per node
	refs      map[*santhosh.Schema]ref
	patterns  map[string]*pattern
	resources map[string]int32
	filled    int // nodes
	pending   []pendingDynamic
	declined  *DeclinedError
}

// pendingDynamic is a dynamic reference whose targets are bound when all
// nodes are known.
type pendingDynamic struct {
	to     *dynamicRef
	anchor string // of $dynamicRef
}

// ref returns the node of a schema, which fill will fill.
func (c *compiler) ref(s *santhosh.Schema) ref {
	if s == nil {
		return none
	}
	if r, ok := c.refs[s]; ok {
		return r
	}
	r := ref(len(c.program.nodes))
	c.refs[s] = r
	c.program.nodes = append(c.program.nodes, node{})
	c.schemas = append(c.schemas, s)
	return r
}

// list returns the nodes of several schemas.
func (c *compiler) list(schemas []*santhosh.Schema) []ref {
	if len(schemas) == 0 {
		return nil
	}
	refs := make([]ref, len(schemas))
	for i, s := range schemas {
		refs[i] = c.ref(s)
	}
	return refs
}

func (c *compiler) decline(s *santhosh.Schema, keyword, reason string) {
	if c.declined == nil {
		c.declined = &DeclinedError{Keyword: keyword, Location: s.Location, Reason: reason}
	}
}

// fillAll fills the nodes that have not been, and those which that brings.
func (c *compiler) fillAll() {
	for ; c.filled < len(c.program.nodes) && c.declined == nil; c.filled++ {
		c.fill(ref(c.filled))
	}
}

// fill makes the node at r of its schema.
func (c *compiler) fill(r ref) {
	s := c.schemas[r]
	n := node{kinds: anyKind}
	switch {
	case s.Bool != nil && !*s.Bool:
		n.kinds = 0
	case s.Bool != nil:
	default:
		c.types(&n, s)
		c.values(&n, s)
		if s.Ref == nil || s.DraftVersion >= 2019 {
			c.number(&n, s)
			c.text(&n, s)
			c.object(&n, s)
			c.array(&n, s)
			c.leftover(&n, s)
		}
		c.inPlace(&n, s)
		c.unknown(s)
	}
	n.pass = n.passes()
	c.program.nodes[r] = n
}

// passes returns the kinds of which the node checks nothing but the kind.
func (n *node) passes() kindSet {
	if n.values != nil || n.inPlace != nil || n.leftover != nil {
		return 0
	}
	pass := n.kinds
	if n.number != nil || n.integerOnly {
		pass &^= 1 << jsontape.Number
	}
	if n.text != nil {
		pass &^= 1 << jsontape.String
	}
	if n.object != nil {
		pass &^= 1 << jsontape.Object
	}
	if n.array != nil {
		pass &^= 1 << jsontape.Array
	}
	return pass
}

// unknown declines what only a changed front end would bring.
func (c *compiler) unknown(s *santhosh.Schema) {
	switch {
	case len(s.Extensions) > 0:
		c.decline(s, "vocabulary", "a keyword outside the specification")
	case s.ContentEncoding != nil:
		c.decline(s, "contentEncoding", "asserted content")
	case s.ContentMediaType != nil:
		c.decline(s, "contentMediaType", "asserted content")
	case s.ContentSchema != nil:
		c.decline(s, "contentSchema", "asserted content")
	}
}

func (c *compiler) types(n *node, s *santhosh.Schema) {
	if s.Types == nil || s.Types.IsEmpty() {
		return
	}
	n.kinds = 0
	number, integer := false, false
	for _, t := range s.Types.ToStrings() {
		switch t {
		case "null":
			n.kinds |= 1 << jsontape.Null
		case "boolean":
			n.kinds |= 1<<jsontape.False | 1<<jsontape.True
		case "number":
			number = true
		case "integer":
			integer = true
		case "string":
			n.kinds |= 1 << jsontape.String
		case "array":
			n.kinds |= 1 << jsontape.Array
		case "object":
			n.kinds |= 1 << jsontape.Object
		default:
			c.decline(s, "type", "unknown type "+t)
		}
	}
	if number || integer {
		n.kinds |= 1 << jsontape.Number
		n.integerOnly = !number
	}
}

// values joins const and enum: one set, as a value must be in both.
func (c *compiler) values(n *node, s *santhosh.Schema) {
	switch {
	case s.Const != nil && s.Enum != nil:
		n.values = newValueSet([]any{*s.Const}, true)
		rest := newValueSet(s.Enum.Values, false)
		n.values.also = rest
	case s.Const != nil:
		n.values = newValueSet([]any{*s.Const}, true)
	case s.Enum != nil:
		n.values = newValueSet(s.Enum.Values, false)
	}
}

func (c *compiler) number(n *node, s *santhosh.Schema) {
	if s.Minimum == nil && s.Maximum == nil && s.ExclusiveMinimum == nil && s.ExclusiveMaximum == nil && s.MultipleOf == nil {
		return
	}
	rules := numberRules{lowest: math.MinInt64, highest: math.MaxInt64}
	rules.addBound(s.Minimum, minimum)
	rules.addBound(s.Maximum, maximum)
	rules.addBound(s.ExclusiveMinimum, exclusiveMinimum)
	rules.addBound(s.ExclusiveMaximum, exclusiveMaximum)
	if s.MultipleOf != nil {
		d, ok := newDivisor(s.MultipleOf)
		if !ok {
			c.decline(s, "multipleOf", "a divisor of more than 19 digits")
		}
		rules.divisors = []divisor{d}
	}
	n.number = &rules
}

func (c *compiler) text(n *node, s *santhosh.Schema) {
	if s.MinLength == nil && s.MaxLength == nil && s.Pattern == nil && s.Format == nil {
		return
	}
	n.text = &textRules{shortest: orElse(s.MinLength, 0), longest: orElse(s.MaxLength, math.MaxInt)}
	// A character takes at most four bytes, and as an escaped surrogate pair
	// twelve.
	few := min(n.text.shortest, math.MaxInt/12)
	n.text.sureDecoded, n.text.sureEscaped = utf8.UTFMax*few, 12*few
	if s.Format != nil {
		n.text.format = &format{name: s.Format.Name, check: c.opts.Formats[s.Format.Name], library: s.Format}
	}
	if s.Pattern != nil {
		n.text.patternText = s.Pattern.String()
		n.text.pattern = c.pattern(s, "pattern", n.text.patternText)
	}
}

// pattern compiles each text once.
func (c *compiler) pattern(s *santhosh.Schema, keyword, text string) *pattern {
	if p, ok := c.patterns[text]; ok {
		return p
	}
	p, err := newPattern(text)
	if err != nil {
		c.decline(s, keyword, "not RE2")
		return nil
	}
	c.patterns[text] = p
	return p
}

func orElse(n *int, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return *n
}

func (c *compiler) array(n *node, s *santhosh.Schema) {
	if s.MinItems == nil && s.MaxItems == nil && !s.UniqueItems && s.Items == nil && s.AdditionalItems == nil &&
		s.PrefixItems == nil && s.Items2020 == nil && s.Contains == nil {
		return
	}
	a := arrayRules{
		fewest: orElse(s.MinItems, 0), most: orElse(s.MaxItems, math.MaxInt), unique: s.UniqueItems,
		rest: none, contains: c.ref(s.Contains), least: orElse(s.MinContains, 1), atMost: orElse(s.MaxContains, -1),
		countGiven: s.MinContains != nil, containsCounts: s.DraftVersion >= 2020,
	}
	if s.DraftVersion >= 2020 {
		a.first, a.rest = c.list(s.PrefixItems), c.ref(s.Items2020)
		a.takesRest = a.rest != none
	} else {
		switch items := s.Items.(type) {
		case *santhosh.Schema:
			a.rest, a.takesRest = c.ref(items), true
		case []*santhosh.Schema:
			a.first = c.list(items)
			switch more := s.AdditionalItems.(type) {
			case bool:
				a.takesRest, a.closed = true, !more
			case *santhosh.Schema:
				a.rest, a.takesRest = c.ref(more), true
			}
		}
	}
	a.plain = len(a.first) == 0 && a.rest != none && a.contains == none
	a.walk = len(a.first) > 0 || a.rest != none || a.contains != none
	if s.MinItems != nil || s.MaxItems != nil || a.unique || len(a.first) > 0 || a.takesRest || a.contains != none {
		n.array = &a
	}
}

func (c *compiler) leftover(n *node, s *santhosh.Schema) {
	if s.UnevaluatedProperties != nil || s.UnevaluatedItems != nil {
		n.leftover = &leftoverRules{members: c.ref(s.UnevaluatedProperties), items: c.ref(s.UnevaluatedItems)}
	}
}

func (c *compiler) inPlace(n *node, s *santhosh.Schema) {
	if s.Ref == nil && s.AllOf == nil && s.AnyOf == nil && s.OneOf == nil && s.Not == nil && s.If == nil &&
		s.RecursiveRef == nil && s.DynamicRef == nil {
		return
	}
	in := inPlaceRules{ref: none, not: none, cond: none, then: none, els: none}
	has := false
	if s.Ref != nil {
		in.ref, in.refOnly, has = c.ref(s.Ref), s.DraftVersion < 2019, true
	}
	if !in.refOnly {
		in.allOf, in.anyOf, in.oneOf = c.list(s.AllOf), c.list(s.AnyOf), c.list(s.OneOf)
		in.not, in.cond = c.ref(s.Not), c.ref(s.If)
		if in.cond != none {
			in.then, in.els = c.ref(s.Then), c.ref(s.Else)
		}
		in.dynamic = c.dynamicRef(s)
		has = has || len(in.allOf)+len(in.anyOf)+len(in.oneOf) > 0 || in.not != none || in.cond != none || in.dynamic != nil
	}
	if has {
		n.inPlace = &in
	}
}

// sortedPatterns orders patternProperties, which the library keeps in a map.
func sortedPatterns(m map[santhosh.Regexp]*santhosh.Schema) []santhosh.Regexp {
	if len(m) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Keys(m), func(a, b santhosh.Regexp) int {
		return strings.Compare(a.String(), b.String())
	})
}
