package route_test

import (
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/route"
)

// TestSameTypeOfSeveralSources: a type may have one row for each source, the
// narrower ones first.
func TestSameTypeOfSeveralSources(t *testing.T) {
	for name, c := range map[string]struct {
		sources []string // of each row, with commas
		fault   string   // row that has it, and the earlier one
	}{
		"one each":             {[]string{"a", "b"}, ""},
		"narrow, then all":     {[]string{"a", ""}, ""},
		"overlap":              {[]string{"a,b", "b,c"}, ""},
		"all, then narrow":     {[]string{"", "a"}, "1 0"},
		"twice":                {[]string{"a", "a"}, "1 0"},
		"twice all":            {[]string{"", ""}, "1 0"},
		"part of":              {[]string{"a,b", "b"}, "1 0"},
		"two that take it all": {[]string{"a", "b", "a,b"}, "2 0"},
		"later":                {[]string{"a", "b", "b"}, "2 1"},
	} {
		rows := make([]route.Route, len(c.sources))
		for i, s := range c.sources {
			rows[i] = route.Route{Pattern: "A", Topic: "t"}
			if s != "" {
				rows[i].Sources = strings.Split(s, ",")
			}
		}
		_, err := route.New(rows)
		got := ""
		if err != nil {
			got = err.Error()
		}
		want := ""
		if c.fault != "" {
			row, by, _ := strings.Cut(c.fault, " ")
			want = "routes[" + row + `] ("A"): routes[` + by + "] has this type already"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
