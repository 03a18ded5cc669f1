package route_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/route"
)

// reference is the definition of a glob: a table over all pairs of a prefix
// of the pattern and a prefix of the text.
func reference(pattern, text string) bool {
	t := []rune(text)
	row := make([]bool, len(t)+1)
	row[0] = true
	for _, c := range pattern {
		next := make([]bool, len(t)+1)
		for j := range next {
			switch {
			case c == '*':
				next[j] = row[j] || j > 0 && next[j-1]
			case j > 0:
				next[j] = row[j-1] && (c == '?' || c == t[j-1])
			}
		}
		row = next
	}
	return row[len(t)]
}

// want is the rule of the table, written without any regard for speed.
func want(rows []route.Route, source, eventType string) int {
	of := func(r route.Route) bool { return len(r.Sources) == 0 || slices.Contains(r.Sources, source) }
	for i, r := range rows {
		if of(r) && r.Pattern == eventType && !strings.ContainsAny(r.Pattern, "*?") {
			return i
		}
	}
	for i, r := range rows {
		if of(r) && strings.ContainsAny(r.Pattern, "*?") && reference(r.Pattern, eventType) {
			return i
		}
	}
	return -1
}

// row reads "PATTERN@a@b": a row for the sources a and b.
func row(text string) route.Route {
	parts := strings.Split(text, "@")
	return route.Route{Pattern: parts[0], Topic: "t", Sources: parts[1:]}
}

// FuzzTable: a table that New takes follows the reference for every type,
// finds each of its exact rows, and says "shadowed" only of rows that an
// earlier row beats.
func FuzzTable(f *testing.F) {
	f.Add("CALL_*\nCALL_ENDED\n*", "CALL_ENDED")
	f.Add("*??\na*b*c\n?", "€")
	f.Add("*a*a*a*b", "aaaaaaaaaaaaaaaa")
	f.Add("A\nA\n\n", "\xff\xfe")
	f.Add("?\ufffd*", "a\xff")
	f.Add("CALL@a\nCALL@b@a\nC*@b\nC*\nCALL*@b", "CALL")
	f.Fuzz(func(t *testing.T, patterns, eventType string) {
		if len(patterns) > 400 || len(eventType) > 400 {
			return
		}
		var rows []route.Route
		for _, p := range strings.Split(patterns, "\n") {
			rows = append(rows, row(p))
		}
		table, err := route.New(rows)
		if err != nil {
			return
		}
		shadowed := map[int]bool{}
		for _, s := range table.Shadowed() {
			shadowed[s.Row] = true
		}
		texts := []string{eventType}
		for _, r := range rows {
			texts = append(texts, r.Pattern, strings.NewReplacer("*", "", "?", "x").Replace(r.Pattern))
		}
		for _, text := range texts {
			for _, source := range []string{"a", "b", "other"} {
				i := want(rows, source, text)
				row, ok := table.Match(source, text)
				if ok != (i >= 0) || ok && !reflect.DeepEqual(*row, rows[i]) {
					t.Fatalf("Match(%q, %q) over %q = %+v, %t; want row %d", source, text, patterns, row, ok, i)
				}
				if i >= 0 && shadowed[i] {
					t.Fatalf("row %d of %q is called shadowed, but matches %q", i, patterns, text)
				}
			}
		}
	})
}
