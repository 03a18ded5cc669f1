package jsonschema_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// optionalDeviations are the cases of the optional suite that we decide
// otherwise, by file and group: how many, "refused" where the schema does not
// load. Everything else is as the suite says.
var optionalDeviations = map[string]string{
	// content* keywords are annotations.
	"draft7/content.json: validation of string-encoded content based on media type":           "1",
	"draft7/content.json: validation of binary string-encoding":                               "1",
	"draft7/content.json: validation of binary-encoded media type documents":                  "2",
	"draft7/format/idn-email.json: validation of an internationalized e-mail addresses":       "2", // not asserted
	"draft7/format/idn-hostname.json: validation of internationalized host names":             "29",
	"draft2020-12/format/idn-email.json: validation of an internationalized e-mail addresses": "2",
	"draft2020-12/format/idn-hostname.json: validation of internationalized host names":       "29",

	// Patterns are RE2: no \c, and white space is that of ASCII without \v.
	`draft7/ecmascript-regex.json: ECMA 262 regex escapes control codes with \c and upper letter`:       "refused",
	`draft7/ecmascript-regex.json: ECMA 262 regex escapes control codes with \c and lower letter`:       "refused",
	`draft7/ecmascript-regex.json: ECMA 262 \s matches whitespace`:                                      "5",
	`draft7/ecmascript-regex.json: ECMA 262 \S matches everything but whitespace`:                       "5",
	`draft2020-12/ecmascript-regex.json: ECMA 262 regex escapes control codes with \c and upper letter`: "refused",
	`draft2020-12/ecmascript-regex.json: ECMA 262 regex escapes control codes with \c and lower letter`: "refused",
	`draft2020-12/ecmascript-regex.json: ECMA 262 \s matches whitespace`:                                "5",
	`draft2020-12/ecmascript-regex.json: ECMA 262 \S matches everything but whitespace`:                 "5",

	// From 2019-09 on, a format (of the meta-schema, here) is only told.
	`draft2020-12/ecmascript-regex.json: \a is not an ECMA 262 control escape`: "1",

	// "format-assertion": false asks for less than the suite expects.
	"draft2020-12/format-assertion.json: schema that uses custom metaschema with format-assertion: false": "1",
}

const (
	annotates      = "https://json-schema.org/draft/2020-12/schema"
	assertsFormats = "http://localhost:1234/draft2020-12/format-assertion-true.json"
	optionalSuite  = "testdata/optional"
)

// TestOptionalSuite runs the optional part of the official suite. The formats
// of draft 2020-12 are asserted by a meta-schema that asks for it.
func TestOptionalSuite(t *testing.T) {
	remotes := suiteRemotes(t, suiteDir(t))
	suite := os.DirFS(optionalSuite)
	for file, text := range jsonFiles(t, suite, "remotes") {
		remotes[remoteURL(file)] = text
	}
	left, cases := maps.Clone(optionalDeviations), 0
	for _, draft := range []string{"draft7", "draft2020-12"} {
		for file, text := range jsonFiles(t, suite, draft) {
			if path.Base(path.Dir(file)) == "format" {
				text = strings.ReplaceAll(text, annotates, assertsFormats)
			}
			var groups []suiteGroup
			if err := json.Unmarshal([]byte(text), &groups); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, g := range groups {
				cases += len(g.Tests)
				where := file + ": " + g.Description
				if got := deviation(t, where, g, remotes); got != left[where] {
					t.Errorf("%s: %q cases are decided otherwise, want %q", where, got, left[where])
				}
				delete(left, where)
			}
		}
	}
	if len(left) > 0 || cases < 1150 {
		t.Errorf("%d cases; no group is called %q", cases, slices.Sorted(maps.Keys(left)))
	}
	t.Logf("%d cases", cases)
}

// deviation counts the cases of one group that are not as the suite says.
func deviation(t *testing.T, where string, g suiteGroup, remotes map[string]string) string {
	v, err := jsonschema.Compile(definition(string(g.Schema), remotes))
	if err != nil {
		t.Logf("%s: %v", where, err)
		return "refused"
	}
	n := 0
	for _, c := range g.Tests {
		if accepts(t, v, string(c.Data)) != c.Valid {
			t.Logf("%s: %s: not %v", where, c.Description, c.Valid)
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// jsonFiles returns the texts of all files below a folder.
func jsonFiles(t *testing.T, from fs.FS, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(from, folder, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(file) != ".json" {
			return err
		}
		text, err := fs.ReadFile(from, file)
		files[file] = string(text)
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s: %v", len(files), folder, err)
	}
	return files
}
