package jsonschema_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// A payload that is valid costs no allocation, whatever keywords judge it.
func TestAcceptAllocatesNothing(t *testing.T) {
	tests := map[string][2]string{
		"formats":      {`{"items":[{"format":"date-time"},{"format":"uuid"},{"format":"ipv4"},{"format":"ipv6"},{"format":"email"},{"format":"hostname"},{"format":"uri"}]}`, `["2026-11-20T04:03:22.417Z","2eb8aa08-aa98-11ea-b4aa-73b441d16380","127.0.0.1","::1","a@b.c","a.b","https://a.b/c?d#e"]`},
		"more formats": {`{"items":[{"format":"uri-reference"},{"format":"iri"},{"format":"iri-reference"},{"format":"uri-template"},{"format":"json-pointer"},{"format":"relative-json-pointer"},{"format":"duration"},{"format":"date"},{"format":"time"}]}`, `["/a?b#c","http://é/","é","/a{?b,c*}","/a~0","0#","P1DT2H","2026-11-20","04:03:22Z"]`},
		"patterns":     {`{"items":{"pattern":"^[^@ ]+@[^@ ]+$"}}`, `["a@b","é@ü","\u0061@b"]`},
		"numbers":      {`{"items":{"multipleOf":0.01,"minimum":-1e3,"exclusiveMaximum":1e30}}`, `[19.99,1e2,123456789012345678901234567.89,-0]`},
		"equality":     {`{"uniqueItems":true,"items":{"enum":[{"a":[1,2]},{"b":"x","c":null},"y",1.5]}}`, `[{"a":[1,2.0]},{"c":null,"b":"x"},"y",15e-1]`},
		"branches":     {`{"oneOf":[{"type":"string"},{"required":["b"]},{"required":["a"]}],"anyOf":[{"type":"null"},true],"not":{"type":"null"},"if":{"type":"object"},"then":{"minProperties":1}}`, `{"a":1}`},
		"unevaluated":  {`{` + draft2020 + `"allOf":[{"properties":{"a":true}}],"anyOf":[{"properties":{"b":true}},{"properties":{"c":true}}],"unevaluatedProperties":false}`, `{"a":1,"b":2,"c":3}`},
		"dynamic":      {`{` + draft2020 + `"$dynamicAnchor":"node","properties":{"children":{"items":{"$dynamicRef":"#node"}}}}`, `{"children":[{"children":[]},{}]}`},
		"300 names":    {`{"required":["n7"],"properties":{` + properties(300) + `}}`, `{"n7":1,"n299":2}`},
		"escapes":      {`{"properties":{"é":{"maxLength":3}},"propertyNames":{"minLength":1}}`, `{"\u00e9":"\u0041\ud83d\ude00"}`},
	}
	for _, c := range corpus.Cases() {
		tests[c.Name+", draft-07"] = [2]string{string(c.Draft7), string(c.Body)}
		tests[c.Name+", 2020-12"] = [2]string{string(c.Draft2020), string(c.Body)}
	}
	for name, tt := range tests {
		v, doc, raw := compile(t, tt[0]), new(jsontape.Doc), []byte(tt[1])
		run := func() {
			if err := doc.Parse(raw, jsontape.Limits{}); err != nil {
				t.Fatal(err)
			}
			if _, violations, err := v.Check(doc, nil); violations != nil || err != nil {
				t.Fatalf("%s: %q, %v", name, violations, err)
			}
		}
		run()
		if n := testing.AllocsPerRun(200, run); n >= 1 && !forgetful {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func properties(count int) string {
	list := make([]string, count)
	for i := range list {
		list[i] = fmt.Sprintf(`"n%d":true`, i)
	}
	return strings.Join(list, ",")
}

// Where the explanation would cost more than the verdict may, the payload is
// refused all the same.
func TestExplanationGivenUp(t *testing.T) {
	branch := `{"minProperties":5,"properties":{"a":{"$dynamicRef":"#n"}}}`
	v := compile(t, `{`+draft2020+`"$dynamicAnchor":"n","anyOf":[`+branch+`,`+branch+`,`+branch+`]}`)
	body := strings.Repeat(`{"a":`, 60) + "{}" + strings.Repeat("}", 60)
	got := rows(check(t, v, body))
	want := [][4]string{{"", "schema", "a match", "object with 1 member"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	// With a reference that leads to one place, each is explained once.
	v = compile(t, strings.ReplaceAll(`{"anyOf":[`+branch+`,`+branch+`,`+branch+`]}`, `"$dynamicRef":"#n"`, `"$ref":"#"`))
	if got := rows(check(t, v, body)); len(got) == 0 || got[0][1] != "minProperties" {
		t.Errorf("got %q, want minProperties", got)
	}
}

// comparisons collects what a compiler with a shadow tells.
type comparisons struct {
	sync.Mutex
	list []jsonschema.Comparison
}

func (c *comparisons) add(x jsonschema.Comparison) {
	c.Lock()
	defer c.Unlock()
	c.list = append(c.list, x)
}

func always() bool { return true }

// withShadow compiles a schema whose every check the judge repeats; fast, if
// not empty, is what its fast path is made of.
func (c *comparisons) withShadow(t *testing.T, text, fast string) schema.Validator {
	t.Helper()
	opts := jsonschema.Options{Shadow: always, Compared: c.add}
	if fast != "" {
		opts.Mutate = func(def schema.Definition) schema.Definition {
			def.Text = fast
			return def
		}
	}
	v, err := jsonschema.New(opts)(definition(text, nil))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestShadow(t *testing.T) {
	var seen comparisons
	v := seen.withShadow(t, `{"type":"integer"}`, "")
	if !accepts(t, v, `1`) || accepts(t, v, `"x"`) {
		t.Error("a wrong verdict")
	}
	want := []jsonschema.Comparison{
		{Subject: "s", Version: 1, ID: 1, Body: []byte(`1`), Fast: true, Judge: true},
		{Subject: "s", Version: 1, ID: 1, Body: []byte(`"x"`)},
	}
	if !reflect.DeepEqual(seen.list, want) || !want[0].Agreed() || !want[1].Agreed() {
		t.Errorf("told %+v, want %+v", seen.list, want)
	}
	if (jsonschema.Comparison{Fast: true}).Agreed() || (jsonschema.Comparison{Err: errors.New("test")}).Agreed() {
		t.Error("a disagreement is none")
	}
}

// What only one engine decides is told, and decided by that one.
func TestShadowOfOneEngine(t *testing.T) {
	for name, tt := range map[string]struct {
		schema, valid, invalid string
	}{
		"not for the judge": {`{"type":"object","properties":{"x":{"anyOf":[{"type":"null"},{"$ref":"#"}]}}}`, `{"x":null}`, `{"x":1}`},
		"declined":          {`{"multipleOf":1.00000000000000000001}`, `0`, `1`},
		"recursive":         {`{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"properties":{"a":{"$recursiveRef":"#"}},"additionalProperties":false}`, `{"a":{}}`, `{"a":{"b":1}}`},
		"dynamic, of names": {`{` + draft2020 + `"$dynamicAnchor":"node","properties":{"a":{"$dynamicRef":"#node"}},"propertyNames":{"maxLength":1}}`, `{"a":{}}`, `{"a":{"bb":1}}`},
	} {
		var seen comparisons
		v := seen.withShadow(t, tt.schema, "")
		if !accepts(t, v, tt.valid) || accepts(t, v, tt.invalid) {
			t.Errorf("%s: a wrong verdict", name)
		}
		for _, c := range seen.list {
			if !errors.Is(c.Err, jsonschema.ErrOneEngine) {
				t.Errorf("%s: told %+v", name, c)
			}
		}
		if len(seen.list) != 2 {
			t.Errorf("%s: told %d outcomes, want 2", name, len(seen.list))
		}
	}
}

// Where the two disagree, the judge's verdict and its words count.
func TestShadowOverrules(t *testing.T) {
	for _, tt := range []struct{ fast, judge string }{
		{`{"type":"integer"}`, `{"type":"string"}`},
		{`{"type":"string"}`, `{"type":"integer"}`},
	} {
		var seen comparisons
		v := seen.withShadow(t, tt.judge, tt.fast)
		if got, want := rows(check(t, v, `1`)), rows(check(t, compile(t, tt.judge), `1`)); !reflect.DeepEqual(got, want) {
			t.Errorf("fast %s, judge %s: %q, want %q", tt.fast, tt.judge, got, want)
		}
		if len(seen.list) != 1 || seen.list[0].Agreed() || seen.list[0].Err != nil {
			t.Errorf("told %+v", seen.list)
		}
	}
}

// A check that was not drawn is the fast path's alone, and Shadow is asked for each.
func TestShadowIsASample(t *testing.T) {
	var seen comparisons
	asked := 0
	v, err := jsonschema.New(jsonschema.Options{Compared: seen.add, Shadow: func() bool { asked++; return asked%10 == 0 }})(definition(`true`, nil))
	if err != nil {
		t.Fatal(err)
	}
	doc := parse(t, `{}`)
	for range 200 {
		if _, _, err := v.Check(doc, nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen.list) != 20 || asked != 200 {
		t.Errorf("%d of 200 were repeated, asked %d times", len(seen.list), asked)
	}
	if _, ok := v.(schema.Described); !ok {
		t.Error("not Described")
	}
}
