package jsonschema_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema/front"
)

// fronts counts what our own front end does with definitions.
type fronts struct {
	own, library, refused int
	declined              map[string]int // by what
}

// compare is the law of the front end: it declines, or it makes the graph of
// schemas that the library makes. The library refuses nothing that it takes.
func (f *fronts) compare(t testing.TB, where string, def schema.Definition) {
	t.Helper()
	own, declined := jsonschema.OwnFront(def)
	library, err := jsonschema.LibraryFront(def)
	var reason *front.DeclinedError
	switch {
	case declined == nil && err != nil:
		t.Errorf("%s: taken, and the library says %v", where, err)
	case declined == nil:
		f.own++
		g := graphs{seen: map[*santhosh.Schema]*santhosh.Schema{}}
		if diff := g.schemas(own, library); diff != "" {
			t.Errorf("%s: %s\n%.2000s", where, diff, def.Text)
		}
	case err != nil:
		f.refused++
	default:
		f.library++
		if errors.As(declined, &reason) {
			if f.declined == nil {
				f.declined = map[string]int{}
			}
			f.declined[reason.What]++
		}
	}
}

// expect asserts how much of what the library takes our own front end took.
func (f *fronts) expect(t *testing.T, percent int) {
	t.Helper()
	t.Logf("%d by our own, %d by the library (%v), %d refused", f.own, f.library, f.declined, f.refused)
	if n := f.declined["what the meta-schema does not allow"]; n > 0 {
		t.Errorf("the program of a meta-schema refused %d texts that the library takes", n)
	}
	if f.own == 0 || 100*f.own < percent*(f.own+f.library) {
		t.Errorf("less than %d %% by our own", percent)
	}
}

// graphs compares two graphs of schemas.
type graphs struct {
	seen map[*santhosh.Schema]*santhosh.Schema
}

func (g *graphs) schemas(a, b *santhosh.Schema) string {
	if a == nil || b == nil {
		if a == b {
			return ""
		}
		return "a schema is missing"
	}
	if other, ok := g.seen[a]; ok {
		if other != b {
			return fmt.Sprintf("%s is one schema, and two in the library's", a.Location)
		}
		return ""
	}
	g.seen[a] = b
	va, vb := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range va.NumField() {
		field := va.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		if diff := g.values(va.Field(i).Interface(), vb.Field(i).Interface()); diff != "" {
			if strings.Contains(diff, "\n") {
				return diff
			}
			return fmt.Sprintf("%s of %s: %s\n", field.Name, a.Location, diff)
		}
	}
	return ""
}

func (g *graphs) values(a, b any) string {
	if reflect.TypeOf(a) != reflect.TypeOf(b) {
		if re, ok := a.(santhosh.Regexp); ok {
			if other, ok := b.(santhosh.Regexp); ok && re.String() == other.String() {
				return ""
			}
		}
		return fmt.Sprintf("%T %v, not %T %v", a, a, b, b)
	}
	switch a := a.(type) {
	case *santhosh.Schema:
		return g.schemas(a, b.(*santhosh.Schema))
	case []*santhosh.Schema:
		b := b.([]*santhosh.Schema)
		if len(a) != len(b) || (a == nil) != (b == nil) {
			return fmt.Sprintf("%d schemas, not %d", len(a), len(b))
		}
		for i := range a {
			if diff := g.schemas(a[i], b[i]); diff != "" {
				return diff
			}
		}
		return ""
	case map[string]*santhosh.Schema:
		return compareMaps(g, a, b.(map[string]*santhosh.Schema))
	case map[string]any:
		return compareMaps(g, a, b.(map[string]any))
	case map[santhosh.Regexp]*santhosh.Schema:
		return compareMaps(g, byText(a), byText(b.(map[santhosh.Regexp]*santhosh.Schema)))
	case *santhosh.Format:
		b := b.(*santhosh.Format)
		if (a == nil) != (b == nil) || a != nil && a.Name != b.Name {
			return "another format"
		}
		return ""
	case *santhosh.Enum:
		b := b.(*santhosh.Enum)
		if (a == nil) != (b == nil) || a != nil && !reflect.DeepEqual(a.Values, b.Values) {
			return "another enum"
		}
		return ""
	case *big.Rat:
		b := b.(*big.Rat)
		if (a == nil) != (b == nil) || a != nil && a.Cmp(b) != 0 {
			return "another number"
		}
		return ""
	}
	if !reflect.DeepEqual(a, b) {
		return fmt.Sprintf("%#v, not %#v", a, b)
	}
	return ""
}

func byText(m map[santhosh.Regexp]*santhosh.Schema) map[string]*santhosh.Schema {
	if m == nil {
		return nil
	}
	out := map[string]*santhosh.Schema{}
	for re, s := range m {
		out[re.String()] = s
	}
	return out
}

func compareMaps[V any](g *graphs, a, b map[string]V) string {
	if len(a) != len(b) || (a == nil) != (b == nil) {
		return fmt.Sprintf("%d members, not %d", len(a), len(b))
	}
	for name, v := range a {
		other, ok := b[name]
		if !ok {
			return fmt.Sprintf("no member %q", name)
		}
		if diff := g.values(v, other); diff != "" {
			return diff
		}
	}
	return ""
}

var allDrafts = []string{
	"http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-06/schema#", "http://json-schema.org/draft-07/schema#",
	"https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema",
}

// inDraft returns a text that says it is of another draft. It need not make
// sense there.
func inDraft(t testing.TB, text, draft string) string {
	t.Helper()
	value, err := santhosh.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	obj, ok := value.(map[string]any)
	if !ok {
		return text
	}
	obj["$schema"] = draft
	if id, ok := obj["$id"]; ok && strings.Contains(draft, "draft-04") {
		obj["id"] = id
	}
	out, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// The schemas of the official suite, as they are and as schemas of every draft.
func TestFrontOfSuite(t *testing.T) {
	dir := suiteDir(t)
	remotes := suiteRemotes(t, dir)
	for suite, percent := range map[string]int{"draft7": 95, "draft2020-12": 85} {
		t.Run(suite, func(t *testing.T) {
			var plain, moved fronts
			for file, groups := range suiteFiles(t, dir, suite) {
				for _, g := range groups {
					where := file + ": " + g.Description
					refs := remotes
					if !strings.Contains(string(g.Schema), "localhost") {
						refs = nil // they take most of the time
					}
					plain.compare(t, where, definition(string(g.Schema), refs))
					for _, draft := range allDrafts {
						moved.compare(t, where+" in "+draft, definition(inDraft(t, string(g.Schema), draft), refs))
					}
				}
			}
			plain.expect(t, percent)
			moved.expect(t, percent)
		})
	}
}

// libraryDir finds the library in the module cache.
func libraryDir(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/santhosh-tekuri/jsonschema/v6").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// The library's own tests of what is no schema, and its meta-schemas.
func TestFrontOfTheLibrarysTests(t *testing.T) {
	dir := libraryDir(t)
	text, err := os.ReadFile(filepath.Join(dir, "testdata", "invalid_schemas.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Description string
		Schema      json.RawMessage
		Remotes     map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	var f fronts
	for _, c := range cases {
		refs := map[string]string{}
		for name, text := range c.Remotes {
			refs[name] = string(text)
		}
		f.compare(t, c.Description, definition(string(c.Schema), refs))
	}
	t.Logf("%d cases: %+v", len(cases), f)
	if len(cases) < 19 || f.refused < 16 {
		t.Errorf("%d of %d refused", f.refused, len(cases))
	}
	extra, err := filepath.Glob(filepath.Join(dir, "testdata", "Extra-Test-Suite", "tests", "*", "*.json"))
	if err != nil || len(extra) == 0 {
		t.Fatal(err, len(extra))
	}
	var own fronts
	for _, name := range extra {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var groups []suiteGroup
		if err := json.Unmarshal(text, &groups); err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			own.compare(t, name+": "+g.Description, definition(string(g.Schema), nil))
		}
	}
	own.expect(t, 60)
	metas, err := filepath.Glob(filepath.Join(dir, "metaschemas", "draft*", "schema"))
	if err != nil || len(metas) == 0 {
		t.Fatal(err, len(metas))
	}
	for _, name := range metas {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		own.compare(t, name, definition(string(text), nil))
	}
}

func TestFrontOfCorpus(t *testing.T) {
	var f fronts
	for _, c := range corpus.Cases() {
		f.compare(t, c.Name, definition(string(c.Draft7), nil))
		f.compare(t, c.Name, definition(string(c.Draft2020), nil))
	}
	f.compare(t, "large", definition(largeSchema(200<<10), nil))
	for i, text := range fuzzSchemas() {
		f.compare(t, fmt.Sprint(i), definition(text, nil))
	}
	f.expect(t, 100)
}

// frontGenerated compares the front ends on a generated schema, and on ones
// that are like it and often wrong.
func frontGenerated(t testing.TB, plain, spoilt *fronts, seed uint64) {
	t.Helper()
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), draft: []int{7, 2019, 2020}[seed%3]}
	text := g.encode(g.schema())
	plain.compare(t, fmt.Sprint("seed ", seed), definition(text, nil))
	for range 4 {
		spoilt.compare(t, fmt.Sprint("spoilt, seed ", seed), definition(g.spoil(t, text), map[string]string{"r.json": text}))
	}
}

func TestFrontOfGenerated(t *testing.T) {
	var plain, spoilt fronts
	for seed := range uint64(500) {
		frontGenerated(t, &plain, &spoilt, seed)
	}
	plain.expect(t, 75)
	spoilt.expect(t, 80)
	if spoilt.refused < 1000 || spoilt.own < 400 {
		t.Errorf("%+v: the generator has become lopsided", spoilt)
	}
}

// FuzzFront goes on where TestFrontOfGenerated stops.
func FuzzFront(f *testing.F) {
	f.Add(uint64(1 << 40))
	f.Fuzz(func(t *testing.T, seed uint64) {
		var counts fronts
		frontGenerated(t, &counts, &counts, seed)
	})
}

// FuzzFrontText is the same law for any text.
func FuzzFrontText(f *testing.F) {
	for _, text := range fuzzSchemas() {
		f.Add(text, `{"$id":"http://a/b","definitions":{"x":{"$id":"#x"}}}`)
	}
	f.Fuzz(func(t *testing.T, text, reference string) {
		textsAgree(t, text)
		textsAgree(t, reference)
		var counts fronts
		counts.compare(t, "fuzz", definition(text, map[string]string{"r": reference}))
	})
}

// textsAgree is the law of how texts are read: the scanner makes what the
// library's parser makes, and refuses no less than our bounds.
func textsAgree(t testing.TB, text string) (scanned bool) {
	t.Helper()
	got, scanned, err := jsonschema.SchemaText(text)
	want, wantErr := jsonschema.SlowText(text)
	if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
		t.Fatalf("%q: %v, want %v", text, err, wantErr)
	}
	if err == nil && !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: %#v, want %#v", text, got, want)
	}
	return scanned
}

func TestSchemaTexts(t *testing.T) {
	for text, scanned := range map[string]bool{
		`{}`: true, `[]`: true, `[[],{},null,true,false,"",0]`: true, `"\u0061\/\u00e9\ud83d\ude00"`: true, `{"a":1,"a":2}`: false, `"\ud800"`: false, `{"a":[1.0,-0,1e2]}`: true,
		`{"maxLength":999999999999999999}`: true, `{"maxLength":1000000000000000000}`: false, `{"maxLength":1e18}`: false, `{"maxLength":1e17}`: true, `{"maxLength":10000000000000000000e-5}`: true,
		`{"minimum":1e400}`: true, `{"minimum":1e401}`: false, `{"minimum":` + strings.Repeat("1", 1001) + `}`: false, `{"const":{"minLength":1e300}}`: false, `{"const":{"minimum":1e300}}`: true,
		`{"$ref":"#/$defs/a","definitions":{"a":{}}}`: true, `{"$ref":"#\/$defs\/a","definitions":{"a":{}}}`: true, `{"$ref":"#/\u0024defs/a","definitions":{"a":{}}}`: true,
		strings.Repeat("[", 200) + strings.Repeat("]", 200): false, "": false, `{`: false, `{} {}`: false, "\ufeff{}": false, "\"\xff\"": false,
	} {
		if got := textsAgree(t, text); got != scanned {
			t.Errorf("%.60q is scanned: %v, want %v", text, got, scanned)
		}
	}
}

// spoil returns a text like the given one, with a few changes of which most
// make no sense, in any draft.
func (g *generator) spoil(t testing.TB, text string) string {
	t.Helper()
	value, err := santhosh.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for range 1 + g.IntN(3) {
		var objects []map[string]any
		collect(value, &objects)
		if len(objects) == 0 {
			break
		}
		g.change(objects[g.IntN(len(objects))])
	}
	if obj, ok := value.(map[string]any); ok && g.IntN(3) > 0 {
		obj["$schema"] = allDrafts[g.IntN(len(allDrafts))]
	}
	return g.encode(value)
}

func collect(v any, objects *[]map[string]any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			collect(item, objects)
		}
	case map[string]any:
		*objects = append(*objects, v)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			collect(v[name], objects)
		}
	}
}

var keywords = strings.Fields(`$id id $anchor $ref $schema $defs definitions $comment $dynamicAnchor $dynamicRef $recursiveRef $recursiveAnchor $vocabulary
	type const enum minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern format minItems maxItems uniqueItems
	minProperties maxProperties required dependentRequired dependencies properties patternProperties additionalProperties propertyNames items
	additionalItems prefixItems contains minContains maxContains allOf anyOf oneOf not if then else dependentSchemas unevaluatedItems
	unevaluatedProperties contentSchema title description default examples readOnly writeOnly deprecated unknown`)

// change puts a keyword into an object, with a value that suits it or not.
func (g *generator) change(obj map[string]any) {
	word := keywords[g.IntN(len(keywords))]
	at := []any{
		"#", "", "#/definitions/d0", "#/$defs/d0", "#/definitions/other", "#x", "#y", "r.json", "r.json#/properties/a", "r.json#/definitions/d1", "http://example.com/other", "/b",
		"http://example.com/x#x", "#/definitions/d0/items", "#/properties/~1", "#/properties/%C3%A9", "#/properties/a%2Fb", "#/allOf/0", "#/allOf/00", "nowhere.json", "%zz", "#%zz", "urn:a:b", "#/unknown",
		"http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema", "r.json#x", "./r.json", "registry://local/~", "registry://local/r.json",
	}
	switch word {
	case "$ref", "$id", "id", "$schema":
		obj[word] = at[g.IntN(len(at))]
		return
	case "$anchor":
		obj[word] = g.pick("x", "y", "", "1", "a")
		return
	}
	switch g.IntN(8) {
	case 0:
		obj[word] = g.pick("x", "^a", "(?!a)", "[", "", "date", "regex", "duration", "nothing")
	case 1:
		obj[word] = g.pick(json.Number("1"), json.Number("1.0"), json.Number("-1"), json.Number("1e2"), json.Number("0.5"), json.Number("12345678901234567"))
	case 2:
		obj[word] = g.pick(true, false, nil)
	case 3:
		obj[word] = g.pick([]any{}, []any{"a"}, []any{"a", "a"}, []any{true}, []any{map[string]any{}, false}, []any{json.Number("1")})
	case 4:
		obj[word] = g.pick(map[string]any{}, map[string]any{"a": true}, map[string]any{"a/b~c %": []any{"x"}}, map[string]any{"(?!a)": map[string]any{}, "b": false})
	default:
		obj[word] = g.sub(2, 0)
	}
}
