package route_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/route"
)

func to(pattern, topic string) route.Route { return route.Route{Pattern: pattern, Topic: topic} }

func TestMatch(t *testing.T) {
	table, err := route.New([]route.Route{
		to("CALL_*", "calls"),
		to("*", "rest"),
		to("CALL_ENDED", "ended"),
		{Pattern: "TYPING_?", Drop: true},
		to("Ünïcode", "uni"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for eventType, want := range map[string]string{
		"CALL_ENDED":  "CALL_ENDED", // exact, although a glob stands first
		"CALL_":       "CALL_*",
		"CALL_ENDED2": "CALL_*",
		"call_ended":  "*",
		"TYPING_A":    "*", // the first glob wins
		"Ünïcode":     "Ünïcode",
		"":            "*",
	} {
		row, ok := table.Match("", eventType)
		if !ok || row.Pattern != want {
			t.Errorf("Match(%q) = %+v, %t; want the row %q", eventType, row, ok, want)
		}
	}
}

func TestNoMatch(t *testing.T) {
	for _, rows := range [][]route.Route{nil, {to("A", "a")}, {to("A?", "a"), to("B*C", "b")}} {
		table, err := route.New(rows)
		if err != nil {
			t.Fatal(err)
		}
		for _, eventType := range []string{"", "B", "Aéé", "BCD", "a"} {
			if row, ok := table.Match("", eventType); ok {
				t.Errorf("Match(%q) over %v = %+v", eventType, rows, row)
			}
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true},
		{"**", "abc", true},
		{"?", "", false},
		{"?", "é", true},
		{"*??", "€", false}, // ? takes a character, not a byte
		{"a*b*c", "a__b__b__c", true},
		{"a*b*c", "acb", false},
		{"*ab", "aab", true},
		{"*?b", "b", false},
		{"a?c*", "abc", true},
	} {
		table, err := route.New([]route.Route{to(c.pattern, "t")})
		if err != nil {
			t.Fatal(err)
		}
		if _, got := table.Match("", c.text); got != c.want {
			t.Errorf("%q against %q: %t", c.pattern, c.text, got)
		}
	}
}

func TestNewFindsEveryFault(t *testing.T) {
	rows := []route.Route{
		to("", "ok"),
		to("A", ""),
		to("B", "no spaces"),
		to("C", strings.Repeat("x", 250)),
		to("D", ".."),
		{Pattern: "E", Topic: "t", Drop: true},
		{Pattern: "F", Subject: "s", Drop: true},
		to("A", "again"),
		to(strings.Repeat("p", 257), "long"),
		to("\xff", "bad"),
		to("G*", "fine"),
	}
	table, err := route.New(rows)
	if table != nil {
		t.Error("a table beside an error")
	}
	var faults route.Errors
	if !errors.As(err, &faults) {
		t.Fatalf("error %v is no route.Errors", err)
	}
	want := []string{
		`routes[0] (""): a route needs a type`,
		`routes[1] ("A"): a route needs a topic, unless it drops`,
		`routes[2] ("B"): a topic name has only a-z, A-Z, 0-9, dot, underscore and minus, not ' '`,
		`routes[3] ("C"): a topic name has at most 249 characters, this one has 250`,
		`routes[4] ("D"): a topic is not named "." or ".."`,
		`routes[5] ("E"): a route that drops has no topic`,
		`routes[6] ("F"): a route that drops has no subject`,
		`routes[7] ("A"): routes[1] has this type already`,
		`routes[8] ("` + strings.Repeat("p", 257) + `"): a type has at most 256 bytes, this one has 257`,
		`routes[9] ("\xff"): a type is valid UTF-8`,
	}
	if got := err.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestLegalTopic(t *testing.T) {
	for name, legal := range map[string]bool{
		"cxone.interactions.raw": true, "A-b_c.9": true, "...": true, strings.Repeat("x", 249): true,
		"": false, ".": false, "..": false, strings.Repeat("x", 250): false, "a/b": false, "é": false, "a\n": false,
	} {
		if err := route.LegalTopic(name); (err == nil) != legal {
			t.Errorf("LegalTopic(%q) = %v", name, err)
		}
	}
}

// from is a row for some sources only.
func from(pattern, topic string, sources ...string) route.Route {
	return route.Route{Pattern: pattern, Topic: topic, Sources: sources}
}

func TestMatchBySource(t *testing.T) {
	table, err := route.New([]route.Route{
		from("CALL", "of-a", "a"),
		from("CALL", "of-b", "b", "a"), // a was first taken by the row above
		from("CHAT", "chat-of-b", "b"),
		from("C*", "rest-of-a", "a"),
		to("C*", "rest"),
		from("ONLY", "only-a", "a"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ source, eventType, want string }{
		{"a", "CALL", "of-a"}, {"b", "CALL", "of-b"}, {"c", "CALL", "rest"},
		{"b", "CHAT", "chat-of-b"}, {"a", "CHAT", "rest-of-a"}, {"c", "CHAT", "rest"},
		{"a", "ONLY", "only-a"}, {"b", "ONLY", ""},
	} {
		got := ""
		if row, ok := table.Match(c.source, c.eventType); ok {
			got = row.Topic
		}
		if got != c.want {
			t.Errorf("%s of source %s: %q, want %q", c.eventType, c.source, got, c.want)
		}
	}
}

// TestOneTypeTwice: a type may stand in several rows as long as each of them
// is left a source.
func TestOneTypeTwice(t *testing.T) {
	for name, c := range map[string]struct {
		rows []route.Route
		want string // "": fine
	}{
		"own sources":      {rows: []route.Route{from("A", "t", "a"), from("A", "t", "b")}},
		"the rest":         {rows: []route.Route{from("A", "t", "a"), to("A", "t")}},
		"after all":        {rows: []route.Route{to("A", "t"), from("A", "t", "a")}, want: "routes[1] (\"A\"): routes[0] has this type already"},
		"the same source":  {rows: []route.Route{from("A", "t", "a"), from("A", "t", "a")}, want: "routes[1] (\"A\"): routes[0] has this type already"},
		"some overlap":     {rows: []route.Route{from("A", "t", "a"), from("A", "t", "a", "b")}},
		"taken in pieces":  {rows: []route.Route{from("A", "t", "a"), from("A", "t", "b"), from("A", "t", "b", "a")}, want: "routes[2] (\"A\"): routes[0] has this type already"},
		"the rest, twice":  {rows: []route.Route{from("A", "t", "a"), to("A", "t"), to("A", "t")}, want: "routes[2] (\"A\"): routes[1] has this type already"},
		"not of all types": {rows: []route.Route{from("A", "t", "a"), from("B", "t", "a")}},
	} {
		_, err := route.New(c.rows)
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestShadowedBySource(t *testing.T) {
	for _, c := range []struct {
		first, second []string // sources of A* and of AB*
		want          bool
	}{
		{nil, nil, true}, {nil, []string{"a"}, true}, {[]string{"a"}, nil, false},
		{[]string{"a"}, []string{"a"}, true}, {[]string{"a"}, []string{"a", "b"}, false}, {[]string{"b", "a"}, []string{"a"}, true},
	} {
		table, err := route.New([]route.Route{from("A*", "t", c.first...), from("AB*", "t", c.second...)})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(table.Shadowed()) == 1; got != c.want {
			t.Errorf("%v before %v: shadowed %t", c.first, c.second, got)
		}
	}
}

func TestRoutesIsACopy(t *testing.T) {
	rows := []route.Route{from("A", "a", "s")}
	table, err := route.New(rows)
	if err != nil {
		t.Fatal(err)
	}
	rows[0].Topic, rows[0].Sources[0] = "changed", "changed"
	table.Routes()[0].Topic = "changed"
	table.Routes()[0].Sources[0] = "changed"
	if row, ok := table.Match("s", "A"); !ok || row.Topic != "a" {
		t.Errorf("the table changed: %+v", row)
	}
}

func TestShadowed(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		want     []route.Shadow
	}{
		{[]string{"A*", "AB*", "AB"}, []route.Shadow{{Row: 1, By: 0}}}, // exact rows are never shadowed
		{[]string{"AB*", "A*"}, nil},
		{[]string{"A?", "A*"}, nil},
		{[]string{"A*", "A?"}, []route.Shadow{{Row: 1, By: 0}}},
		{[]string{"?*", "*"}, nil}, // * also takes the empty type
		{[]string{"X?", "*", "??", "X?"}, []route.Shadow{{Row: 2, By: 1}, {Row: 3, By: 0}}},
	} {
		var rows []route.Route
		for _, p := range c.patterns {
			rows = append(rows, to(p, "t"))
		}
		table, err := route.New(rows)
		if err != nil {
			t.Fatal(err)
		}
		got := table.Shadowed()
		if len(got) != len(c.want) {
			t.Errorf("%v: %v, want %v", c.patterns, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%v: %v, want %v", c.patterns, got, c.want)
			}
		}
	}
}

func TestWords(t *testing.T) {
	for _, w := range []route.Wire{route.Raw, route.Prefix} {
		if got, err := route.ParseWire(w.String()); err != nil || got != w {
			t.Errorf("ParseWire(%q) = %v, %v", w, got, err)
		}
	}
	for _, k := range []route.Key{route.KeyHash, route.KeyRaw} {
		if got, err := route.ParseKey(k.String()); err != nil || got != k {
			t.Errorf("ParseKey(%q) = %v, %v", k, got, err)
		}
	}
	if route.KeyHash.String() != "fnv" {
		t.Error("the word of the default key rule changed")
	}
	for _, bad := range []string{"", "unknown", "RAW", "hash"} {
		if _, err := route.ParseWire(bad); err == nil {
			t.Errorf("ParseWire(%q) gave no error", bad)
		}
		if _, err := route.ParseKey(bad); err == nil {
			t.Errorf("ParseKey(%q) gave no error", bad)
		}
	}
	if route.Wire(9).String() != "unknown" || route.Key(9).String() != "unknown" {
		t.Error("a value outside the enum has a word")
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	table, err := route.New([]route.Route{to("A", "a"), to("B*D?", "b"), from("C", "x", "x"), to("C", "c")})
	if err != nil {
		t.Fatal(err)
	}
	for _, eventType := range []string{"A", "C", "BxxDé", "none"} {
		if n := testing.AllocsPerRun(100, func() { table.Match("", eventType) }); n != 0 {
			t.Errorf("Match(%q): %v allocations", eventType, n)
		}
	}
}

// A matcher that retries every star, not only the last one, does not come
// back from this one.
func TestHostileGlobEnds(t *testing.T) {
	table, err := route.New([]route.Route{to(strings.Repeat("*a", 127)+"*b", "t")})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := table.Match("", strings.Repeat("a", 20_000)); ok {
		t.Error("matched without a b")
	}
}

func BenchmarkMatch(b *testing.B) {
	table, err := route.New([]route.Route{
		to("INTERACTION_CREATED", "a"), to("DISPOSITION_UPDATED", "b"), to("QUEUE_TRANSFER", "c"),
		to("CALL_DISCONNECTED", "d"), {Pattern: "TYPING_*", Drop: true}, to("*_ARCHIVED_*", "e"),
	})
	if err != nil {
		b.Fatal(err)
	}
	for name, eventType := range map[string]string{
		"exact": "QUEUE_TRANSFER", "glob": "TYPING_STARTED", "last glob": "CALL_ARCHIVED_NOW", "none": "AGENT_STATE_CHANGED",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Match("", eventType)
			}
		})
	}
}
