package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// RowError is one fault of one row given to New.
type RowError struct {
	Row   int    // index of the row
	Field Field  // what is wrong in it
	Err   error  // why; does not repeat the row
	Rule  string // the pattern of the row, for people
}

// Field names a part of a row.
type Field uint8

// The parts.
const (
	FieldPattern Field = iota
	FieldTopic
	FieldSubject
)

// Error names the row by its index, and the fault.
func (e *RowError) Error() string { return fmt.Sprintf("routes[%d] (%q): %v", e.Row, e.Rule, e.Err) }

// Unwrap returns Err.
func (e *RowError) Unwrap() error { return e.Err }

// Errors is every fault of a table, by row.
type Errors []*RowError

// Error joins the faults, one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, row := range e {
		lines[i] = row.Error()
	}
	return strings.Join(lines, "\n")
}

// Shadow is a row that can never match because an earlier one takes all it
// could take.
type Shadow struct {
	Row int // index of the row that never matches
	By  int // index of the earlier row
}

// Table is an immutable routing table; safe for concurrent use.
type Table struct {
	rows  []Route
	exact []int // rows without * and ?, sorted by pattern
	globs []int // rows with them, in order
}

// New checks and compiles the rows, in order. It copies them. A failure is of
// type Errors and holds every fault. An empty table is valid and matches
// nothing.
func New(rows []Route) (*Table, error) {
	t := &Table{rows: clone(rows)}
	var faults Errors
	seen := make(map[string][]int, len(rows))
	for i := range t.rows {
		r := &t.rows[i]
		fault := func(f Field, err error) {
			if err != nil {
				faults = append(faults, &RowError{Row: i, Field: f, Err: err, Rule: r.Pattern})
			}
		}
		fault(FieldPattern, legalPattern(r.Pattern))
		r.checkTarget(fault)
		if isGlob(r.Pattern) {
			t.globs = append(t.globs, i)
			continue
		}
		if first := t.taken(seen[r.Pattern], r); first >= 0 && r.Pattern != "" {
			fault(FieldPattern, fmt.Errorf("routes[%d] has this type already", first))
			continue
		}
		seen[r.Pattern] = append(seen[r.Pattern], i)
		t.exact = append(t.exact, i)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	slices.SortStableFunc(t.exact, func(a, b int) int {
		return strings.Compare(t.rows[a].Pattern, t.rows[b].Pattern)
	})
	return t, nil
}

// clone copies rows with all that they hold.
func clone(rows []Route) []Route {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Sources = slices.Clone(rows[i].Sources)
	}
	return rows
}

// taken returns an earlier row with r's pattern if those together leave r no
// source, else -1: one that does so alone, where there is one.
func (t *Table) taken(earlier []int, r *Route) int {
	for _, i := range earlier {
		if t.rows[i].takesAllOf(r) {
			return i
		}
	}
	left := func(source string) bool {
		return !slices.ContainsFunc(earlier, func(i int) bool { return t.rows[i].takes(source) })
	}
	if len(earlier) == 0 || len(r.Sources) == 0 || slices.ContainsFunc(r.Sources, left) {
		return -1
	}
	return earlier[0]
}

// takes tells whether the row is for events of a source.
func (r *Route) takes(source string) bool {
	return len(r.Sources) == 0 || slices.Contains(r.Sources, source)
}

// takesAllOf tells whether every source of other is one of r's.
func (r *Route) takesAllOf(other *Route) bool {
	if len(r.Sources) == 0 || len(other.Sources) == 0 {
		return len(r.Sources) == 0
	}
	return !slices.ContainsFunc(other.Sources, func(s string) bool { return !r.takes(s) })
}

func (r *Route) checkTarget(fault func(Field, error)) {
	switch {
	case !r.Drop && r.Topic == "":
		fault(FieldTopic, errors.New("a route needs a topic, unless it drops"))
	case !r.Drop:
		fault(FieldTopic, LegalTopic(r.Topic))
	case r.Topic != "":
		fault(FieldTopic, errors.New("a route that drops has no topic"))
	case r.Subject != "":
		fault(FieldSubject, errors.New("a route that drops has no subject"))
	}
}

// maxPattern bounds the work of one match: at most this many steps for each
// character of the event type.
const maxPattern = 256

func legalPattern(p string) error {
	switch {
	case p == "":
		return errors.New("a route needs a type")
	case len(p) > maxPattern:
		return fmt.Errorf("a type has at most %d bytes, this one has %d", maxPattern, len(p))
	case !utf8.ValidString(p):
		return errors.New("a type is valid UTF-8")
	}
	return nil
}

// Match finds the row for an event type of a source. Rows for other sources
// do not count; among the rest an exact row beats a glob, then the first wins.
// Upper and lower case differ. It allocates nothing, and its time is linear in
// the length of the type. The row belongs to the table: do not change it.
func (t *Table) Match(source, eventType string) (*Route, bool) {
	i, j := 0, len(t.exact)
	for i < j { // written out: a closure over t would allocate
		m := int(uint(i+j) >> 1)
		if t.rows[t.exact[m]].Pattern < eventType {
			i = m + 1
		} else {
			j = m
		}
	}
	for ; i < len(t.exact) && t.rows[t.exact[i]].Pattern == eventType; i++ {
		if r := &t.rows[t.exact[i]]; r.takes(source) {
			return r, true
		}
	}
	for _, g := range t.globs {
		if r := &t.rows[g]; r.takes(source) && glob(r.Pattern, eventType) {
			return r, true
		}
	}
	return nil, false
}

// Routes returns a copy of the rows, in order.
func (t *Table) Routes() []Route { return clone(t.rows) }

// Shadowed returns the glob rows that can never match because one earlier
// glob takes everything they could take, from every source of theirs. What
// only several earlier rows take together is not found.
func (t *Table) Shadowed() []Shadow {
	var shadows []Shadow
	for i, row := range t.globs {
		for _, earlier := range t.globs[:i] {
			if t.rows[earlier].takesAllOf(&t.rows[row]) && covers(t.rows[earlier].Pattern, t.rows[row].Pattern) {
				shadows = append(shadows, Shadow{Row: row, By: earlier})
				break
			}
		}
	}
	return shadows
}
