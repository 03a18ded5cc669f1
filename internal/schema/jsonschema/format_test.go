package jsonschema_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

func TestFormats(t *testing.T) {
	tests := map[string]struct{ good, bad []string }{
		"date-time": {
			good: []string{"2026-11-20T04:03:22.417Z", "2026-11-20t04:03:22z", "2024-02-29T23:59:59+23:59", "1990-12-31T23:59:60Z", "1990-12-31T15:59:60-08:00", "1998-12-31T23:59:60.123Z", "0000-01-01T00:00:00-00:00"},
			bad: []string{"", "2026-11-20", "2026-11-20T+4:03:22.417Z", "2026-11-20T04:03:22", "2026-11-20 04:03:22Z", "2026-11-20T04:03:22.Z", "2026-11-20T24:00:00Z", "2026-02-29T00:00:00Z",
				"2026-11-20T04:03:60Z", "1990-12-31T22:59:60Z", "2026-11-20T04:03:22+4:00", "2026-11-20T04:03:22+24:00", "2026-11-20T04:03:22+0400", "2026-11-20T04:03:22,5Z", "2026-11-2०T04:03:22Z", "2026-1-20T04:03:22Z", "+026-11-20T04:03:22Z", "2026-11-20T04:03:22Z ", "2026-11-20T04:03Z"},
		},
		"date": {
			good: []string{"2024-02-29", "2000-02-29", "2026-12-31", "2026-04-30"},
			bad:  []string{"2026-02-29", "1900-02-29", "2026-13-01", "2026-00-01", "2026-04-31", "2026-01-00", "26-01-01", "2026-1-1", "2026/01/01", "2026-01-01Z", "-026-01-01"},
		},
		"time": {
			good: []string{"00:00:00Z", "23:59:59.999999999999+00:00", "01:29:60+01:30", "23:29:60+23:30", "00:29:60+00:30"},
			bad:  []string{"00:00:00", "0:00:00Z", "00:00:00.+00:00", "-1:00:00Z", "00:00:60Z", "12:60:00Z", "00:00:00+00:60", "00:00:00+-0:00", "000:00:0Z"},
		},
		"uuid": {
			good: []string{"2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2EB8AA08-AA98-11EA-B4AA-73B441D16380", "00000000-0000-0000-0000-000000000000"},
			bad:  []string{"", "2eb8aa08aa9811eab4aa73b441d16380", "2eb8aa08-aa98-11ea-b4aa-73b441d1638", "2eb8aa08-aa98-11ea-b4aa-73b441d1638g", "{eb8aa08-aa98-11ea-b4aa-73b441d1638}", "2eb8aa08-aa98-11ea-b4aa_73b441d16380"},
		},
		"ipv4": {
			good: []string{"0.0.0.0", "255.255.255.255", "192.168.0.1"},
			bad:  []string{"", "1.2.3", "1.2.3.4.5", "256.0.0.1", "+1.2.3.4", "01.2.3.4", "1.2.3.4/8", "0x1.2.3.4", "::1", "1.2.3.４"},
		},
		"email": {
			good: []string{"joe@example.com", "a+b~c@example.com", `"joe bloggs"@example.com`, `"a\"b"@example.com`, "a.b@[127.0.0.1]", "a@[IPv6:::1]", "te~st@x"},
			bad:  []string{"", "joe", "@x", "a@", ".a@x", "a.@x", "a..b@x", "a b@x", "a@x_y", "a@[127.0.0.300]", "a@[::1]", "a@[IPv6:::1", `"a"b"@x`, `"a\"@x`, "é@x", strings.Repeat("a", 65) + "@x"},
		},
		"hostname": {
			good: []string{"a", "example.com", "xn--4gbwdl.xn--wgbh1c", "1.2.3", strings.Repeat("a", 63) + ".x"},
			bad:  []string{"", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "a b", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "aa", "é.com"},
		},
		"uri": {
			good: []string{"http://foo.bar/?baz=qux#quux", "http://user:p%20w@[2001:db8::7]:8080/a;b=1/c", "urn:oasis:names", "mailto:a@b", "http://", "file:///a", "http://[v1.a:b]/", "a:", "tel:+1-816", "http://foo.bar/?q=Test%20URL-encoded%20stuff"},
			bad:  []string{"", "//foo.bar", "/abc", "foo", `\\WIN\x`, "http:// a", "http://a/<b>", "bar,baz:x", "1http://a", ":a", "http://a/%zz", "http://a/%2", "http://a#b#c", "http://a:b/", "http://[::1", "http://[::1]x", "http://[::1%25eth0]/", "http://a/ü", "http://a/{b}", "http://a/b|c", "http://a/^", "http://a/[x]", "http://[v.a]/", "http://a b:80/"},
		},
		"uri-reference": {
			good: []string{"", "/abc", "#f", "//h/p", "a/b:c", "?q", "http://a/b?c#d", "./a:b"},
			bad:  []string{`\\WIN\x`, "a b", "1a:b", "http://a/%zz", "a#b#c", "//h:p/", "é"},
		},
		"iri": {
			good: []string{"http://ƒøø.ßår/?∂éœ=πîx#πîüx", "urn:é", "http://a/?\ue000", "http://a"},
			bad:  []string{"", "/ü", "http://ü b", "http://a/\ue000", "http://a/\u0085", "http://a/\ufdd0", "a:\U0001fffe"},
		},
		"iri-reference": {
			good: []string{"", "/ü", "#ƒrägmênt", "//ƒøø.ßår/"},
			bad:  []string{`\\ü`, "ü:a", "ü b"},
		},
		"uri-template": {
			good: []string{"", "http://x/a'b", "http://x/{id}", "{+path}/here", "{#x,hello,y}", "{/list*,path:4}", "{.dom*}", "{;x,empty}", "{?a.b,c_d}", "{&x:9999}", "{%41}", "%41{a}", "é{b}", "{|a}"},
			bad:  []string{"{", "}", "{}", "a}b{", "{a", "{{a}}", "{a b}", "{a,}", "{,a}x{", "{a:0}", "{a:01}", "{a:10000}", "{a:}", "{a**}", "{a.}", "{a..b}", "{$a}", "a b{c}", "%4{a}", "<{a}>", "{é}"},
		},
		"json-pointer": {
			good: []string{"", "/", "/a/~0~1/b", "/é", "//"},
			bad:  []string{"a", "#/a", "/~", "/~2", "/a~", "/~0~"},
		},
		"relative-json-pointer": {
			good: []string{"0", "1/a", "0#", "10/", "120/~0"},
			bad:  []string{"", "01/a", "-1", "+1/a", "/a", "0##", "1a", "#", "1/~"},
		},
		"duration": {
			good: []string{"P1D", "P1Y2M3DT4H5M6S", "PT36H", "P4W", "P1Y2D", "PT1H2S", "P0D"},
			bad:  []string{"", "P", "PT", "1D", "P1", "P1DT", "P1W2D", "P1D2W", "PW", "P1D2H", "P2S", "PT1D", "P2M1Y", "P1Y1Y", "p1d", "PT0.5S", "P-1D", "P1DT1HT1M", "P１D"},
		},
	}
	for name, tt := range tests {
		v := compile(t, `{"format":"`+name+`"}`)
		for _, s := range tt.good {
			if !accepts(t, v, quoteJSON(s)) {
				t.Errorf("%s refuses %q", name, s)
			}
		}
		for _, s := range tt.bad {
			if accepts(t, v, quoteJSON(s)) {
				t.Errorf("%s accepts %q", name, s)
			}
		}
		if !accepts(t, v, `1`) {
			t.Errorf("%s says something about a number", name)
		}
	}
}

// Everything that Go prints as RFC 3339 is a date-time.
func FuzzDateTime(f *testing.F) {
	v := compile(f, `{"format":"date-time"}`)
	f.Add(int64(0), int32(0))
	f.Add(int64(-62167219200), int32(-86399))
	f.Add(int64(253402300799), int32(50400))
	f.Fuzz(func(t *testing.T, unix int64, offset int32) {
		at := time.Unix(unix%253402300800, 0).In(time.FixedZone("", int(offset)%86400/60*60))
		if at.Year() < 0 || at.Year() > 9999 {
			t.Skip()
		}
		if s := at.Format(time.RFC3339); !accepts(t, v, `"`+s+`"`) {
			t.Errorf("refused %s", s)
		}
	})
}

func quoteJSON(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// Every format of the specification (2020-12 validation, section 7.3): which
// value it takes and which it does not, where formats are asserted. A format
// without a bad value is never asserted: it is only told.
func TestFormatVerdicts(t *testing.T) {
	tests := []struct{ name, good, bad string }{
		{"date-time", `"1963-06-19T08:30:06.283185Z"`, `"1990-02-31T15:59:59.123-08:00"`},
		{"date", `"1963-06-19"`, `"06/19/1963"`},
		{"time", `"08:30:06Z"`, `"08:30:06"`},
		{"duration", `"P4DT12H30M5S"`, `"PT1D"`},
		{"email", `"joe.bloggs@example.com"`, `"2962"`},
		{"idn-email", `"2962"`, ""},
		{"hostname", `"www.example.com"`, `"-a-host-name-that-starts-with--"`},
		{"idn-hostname", `"-"`, ""},
		{"ipv4", `"192.168.0.1"`, `"127.0.0.0.1"`},
		{"ipv6", `"::abcd"`, `"12345::"`},
		{"uri", `"http://foo.bar/?baz=qux#quux"`, `"//foo.bar/?baz=qux#quux"`},
		{"uri-reference", `"/abc"`, `"\\\\WINDOWS\\fileshare"`},
		{"iri", `"http://ƒøø.ßår/?∂éœ=πîx#πîüx"`, `"/abc"`},
		{"iri-reference", `"/âππ"`, `"\\\\WINDOWS\\filëßåré"`},
		{"uuid", `"2eb8aa08-aa98-11ea-b4aa-73b441d16380"`, `"2eb8aa08-aa98-11ea-b4aa-73b441d1638"`},
		{"uri-template", `"http://example.com/dictionary/{term:1}/{term}"`, `"http://example.com/dictionary/{term:1}/{term"`},
		{"json-pointer", `"/foo/bar~0/baz~1/%a"`, `"/foo/bar~"`},
		{"relative-json-pointer", `"120/foo/bar"`, `"/foo/bar"`},
		{"regex", `"([abc])+\\s+$"`, `"^(abc]"`},
		{"unknown", `"anything"`, ""},
	}
	for _, tt := range tests {
		v := compile(t, `{"format":"`+tt.name+`"}`)
		for _, body := range []string{tt.good, `12`, `{}`, `null`} {
			if !accepts(t, v, body) {
				t.Errorf("%s refuses %s", tt.name, body)
			}
		}
		if tt.bad != "" && accepts(t, v, tt.bad) {
			t.Errorf("%s takes %s", tt.name, tt.bad)
		}
		told := compile(t, `{`+draft2020+`"format":"`+tt.name+`"}`)
		if tt.bad != "" && !accepts(t, told, tt.bad) {
			t.Errorf("2020-12 asserts %s", tt.name)
		}
	}
}

// The short cut for usual date-times changes no verdict: whatever byte stands
// wherever.
func TestDateTimeShortCut(t *testing.T) {
	for _, base := range []string{"2026-11-20T04:03:22Z", "2024-02-28t23:59:59.5+01:00", "1999-12-31T23:59:60Z", "2026-10-09T10:09:59.000000-23:59", "0000-01-28T00:00:00z"} {
		if !jsonschema.DateTime(base) {
			t.Errorf("%s is refused", base)
		}
		for i := range base {
			for c := range 256 {
				s := base[:i] + string([]byte{byte(c)}) + base[i+1:]
				if got, want := jsonschema.DateTime(s), jsonschema.DateTimeInSteps(s); got != want {
					t.Errorf("%q: %v, in steps %v", s, got, want)
				}
			}
			if got, want := jsonschema.DateTime(base[:i]), jsonschema.DateTimeInSteps(base[:i]); got != want {
				t.Errorf("%q: %v, in steps %v", base[:i], got, want)
			}
		}
	}
	for n := range 10_000 {
		s := fmt.Sprintf("20%02d-%02d-%02dT%02d:%02d:%02dZ", n%100, n%15, n%33, n%26, n%63, n%62)
		if got, want := jsonschema.DateTime(s), jsonschema.DateTimeInSteps(s); got != want {
			t.Errorf("%q: %v, in steps %v", s, got, want)
		}
	}
}

// A format makes no copy of a text, whether it takes it or not.
func TestFormatsCopyNothing(t *testing.T) {
	for name, ok := range jsonschema.Formats() {
		for _, part := range []string{"/", "{a}", "a.", "a,", ":", "T1", "1", "1D", "~0", "é", "%41", "[", "@", "x@", `\"`, `\pL`, "(", "[a-b]", "a{2}"} {
			for _, front := range []string{"", "P", "/", "a:", "//", "{"} {
				s := front + strings.Repeat(part, 1000)
				if n := testing.AllocsPerRun(1, func() { ok(s) }); n > 1 { // an error, at most
					t.Errorf("%s: %q and many %q: %v allocations", name, front, part, n)
				}
			}
		}
	}
}

// Names that no draft has are annotations, whatever the library makes of them.
func TestUnknownFormats(t *testing.T) {
	for _, name := range []string{"period", "semver", "idn-hostname", "idn-email", "color", "int32"} {
		for engine, v := range engines(t, `{"format":"`+name+`"}`) {
			if !accepts(t, v, `"\u0000 anything"`) {
				t.Errorf("%s asserts %s", engine, name)
			}
		}
	}
}

// TestFormatPage: the table of docs/schemas.md names every format that is
// asserted, and its examples are right.
func TestFormatPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/schemas.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Formats\n")
	table, _, _ = strings.Cut(table, "\n## ")
	left, code := jsonschema.Formats(), regexp.MustCompile("`([^`]*)`")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " |")
		if len(cells) < 5 || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, name := range code.FindAllStringSubmatch(cells[0], -1) {
			delete(left, name[1])
			v := compile(t, `{"format":"`+name[1]+`"}`)
			for i, want := range []bool{true, false} {
				examples := code.FindAllStringSubmatch(cells[2+i], -1)
				if want && len(examples) == 0 {
					t.Errorf("no example of %s", name[1])
				}
				for _, e := range examples {
					if accepts(t, v, quoteJSON(e[1])) != want {
						t.Errorf("%s takes %q: not %v", name[1], e[1], want)
					}
				}
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("the page does not tell of %v", slices.Sorted(maps.Keys(left)))
	}
}
