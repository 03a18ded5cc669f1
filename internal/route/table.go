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
	t := &Table{rows: slices.Clone(rows)}
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
		if first, twice := t.taken(seen[r.Pattern], r); twice && r.Pattern != "" {
			fault(FieldPattern, fmt.Errorf("routes[%d] has this type already", first))
			continue
		}
		seen[r.Pattern] = append(seen[r.Pattern], i)
		t.exact = append(t.exact, i)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	slices.SortFunc(t.exact, func(a, b int) int {
		return strings.Compare(t.rows[a].Pattern, t.rows[b].Pattern)
	})
	return t, nil
}

// taken finds among earlier rows of the type of r one that takes the events of
// all its sources, so that r could never match.
func (t *Table) taken(earlier []int, r *Route) (by int, found bool) {
	for _, i := range earlier {
		if coversSources(t.rows[i].Sources, r.Sources) {
			return i, true
		}
	}
	return 0, false
}

// coversSources reports whether a row of the sources outer takes the events of
// every source of inner. No sources are all.
func coversSources(outer, inner []string) bool {
	if len(outer) == 0 {
		return true
	}
	missing := func(name string) bool { return !slices.Contains(outer, name) }
	return len(inner) > 0 && !slices.ContainsFunc(inner, missing)
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

// Match finds the row for an event type: an exact row beats a glob, among
// globs the first wins. Upper and lower case differ. It allocates nothing,
// and its time is linear in the length of the type. The row belongs to the
// table: do not change it.
func (t *Table) Match(eventType string) (*Route, bool) {
	i, j := 0, len(t.exact)
	for i < j { // written out: a closure over t would allocate
		m := int(uint(i+j) >> 1)
		if t.rows[t.exact[m]].Pattern < eventType {
			i = m + 1
		} else {
			j = m
		}
	}
	if i < len(t.exact) && t.rows[t.exact[i]].Pattern == eventType {
		return &t.rows[t.exact[i]], true
	}
	for _, g := range t.globs {
		if glob(t.rows[g].Pattern, eventType) {
			return &t.rows[g], true
		}
	}
	return nil, false
}

// Routes returns a copy of the rows, in order.
func (t *Table) Routes() []Route { return slices.Clone(t.rows) }

// Shadowed returns the glob rows that can never match because one earlier
// glob takes everything they could take. What only several earlier rows take
// together is not found.
func (t *Table) Shadowed() []Shadow {
	var shadows []Shadow
	for i, row := range t.globs {
		for _, earlier := range t.globs[:i] {
			if covers(t.rows[earlier].Pattern, t.rows[row].Pattern) {
				shadows = append(shadows, Shadow{Row: row, By: earlier})
				break
			}
		}
	}
	return shadows
}
