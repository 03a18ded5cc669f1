package jsonschema_test

import (
	"errors"
	"testing"

	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema/front"
)

// What our own front end must take itself, each in a way that a registry may
// hold it.
func TestFrontTakes(t *testing.T) {
	refs := map[string]string{
		"n.json":    `{"$id":"http://a/n","definitions":{"x":{"$id":"#x","type":"number"}},"$ref":"#x"}`,
		"m.json":    `{` + draft2020 + `"$defs":{"y":{"$anchor":"y","items":{"$ref":"n.json"}}},"$ref":"#y"}`,
		"dir/o":     `{"allOf":[{"$ref":"../n.json#x"},{"$ref":"../n.json#/definitions/x"},{"$ref":"p"}]}`,
		"dir/p":     `true`,
		"twice":     `{"a":1,"a":2}`,
		"unused":    `{"type":5}`,
		"urn:a:b":   `{"definitions":{"x":{}},"$ref":"#/definitions/x"}`,
		"é ü":       `{"$schema":"http://json-schema.org/draft-04/schema","id":"http://b/","definitions":{"x":{"id":"#z","not":{}}},"allOf":[{"$ref":"#z"}]}`,
		"back.json": `{"items":{"$ref":"registry://local/~#/definitions/here"}}`,
	}
	for name, text := range map[string]string{
		"true":                         `true`,
		"empty":                        `{}`,
		"itself":                       `{"$ref":"#"}`,
		"reference":                    `{"$ref":"n.json"}`,
		"pointer into a reference":     `{"$ref":"./n.json#/definitions/x"}`,
		"plain name in a reference":    `{"items":[{"$ref":"n.json#x"},{"$ref":"http://a/n"}]}`,
		"another draft in a reference": `{"properties":{"m":{"$ref":"m.json"},"z":{"$ref":"%C3%A9%20%C3%BC"}}}`,
		"relative between references":  `{"$ref":"dir/o"}`,
		"urn":                          `{"$ref":"urn:a:b"}`,
		"back to the root":             `{"$ref":"back.json","definitions":{"here":{"type":"string"}}}`,
		"embedded resource":            `{"$id":"http://c/r","definitions":{"a":{"$id":"a/","definitions":{"b":{"$id":"b","items":{"$ref":"#"}},"c":{"$ref":"b"}}}},"allOf":[{"$ref":"a/b"},{"$ref":"#/definitions/a/definitions/c"},{"$ref":"/r"}]}`,
		"embedded, 2020":               `{` + draft2020 + `"$id":"http://c/r","$defs":{"a":{"$id":"a","$anchor":"n","$schema":"https://json-schema.org/draft/2020-12/schema"},"b":{"$anchor":"n"}},"anyOf":[{"$ref":"a#n"},{"$ref":"#n"},{"$ref":"a#"}]}`,
		"$defs in draft-07":            `{"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#/$defs/b"},"not":{"$ref":"#/$defs/a/items"}},"b":true}}`,
		"schemas anywhere":             `{"items":{"$ref":"#/components/schemas/0/x~1y~0"},"components":{"schemas":[{"x/y~":{"maxLength":2}}]}}`,
		"hidden by $ref":               `{"$ref":"#/definitions/a","$id":"http://hidden/","type":"object","properties":{"b":{"$ref":"nowhere"}},"if":true,"then":{"const":1},"definitions":{"a":{"default":{"$ref":"nowhere"}}}}`,
		"constant conditions":          `{"allOf":[{"if":true,"then":{"maxLength":1},"else":{"minLength":1}},{"if":false,"then":{"maxLength":1},"else":{"minLength":1}},{"then":false}]}`,
		"draft-04":                     `{"$schema":"http://json-schema.org/draft-04/schema#","id":"x","minimum":1,"exclusiveMinimum":true,"maximum":2,"exclusiveMaximum":false,"const":1,"contains":5}`,
		"numbers":                      `{"multipleOf":1e-2,"minimum":-12345678901234567890,"maximum":1e400,"minLength":1.0,"maxLength":2e1}`,
		"formats":                      `{"anyOf":[{"format":"date"},{"format":"duration"},{"format":"regex"},{"format":"none"},{"format":"json-pointer"},{"format":"semver"}]}`,
		"dependencies":                 `{"dependencies":{"a":["b"],"c":{"type":"null"},"d":false,"e":[]}}`,
		"2019":                         `{` + draft2019 + `"dependentRequired":{"a":["b"]},"dependentSchemas":{"a":{}},"contains":{},"minContains":0,"maxContains":2,"unevaluatedItems":{"deprecated":true},"unevaluatedProperties":false,"contentSchema":{"$ref":"nowhere"}}`,
		"annotations":                  `{"title":"a","description":"b","default":null,"$comment":"c","readOnly":true,"writeOnly":true,"examples":[1,[]]}`,
		"escaped names":                `{"properties":{"a/b~c d%é":{"$ref":"#/properties/x"},"x":{},"":{"$ref":"#/properties/a~1b~0c%20d%25%C3%A9"}}}`,
	} {
		def := definition(text, refs)
		var f fronts
		f.compare(t, name, def)
		if _, err := jsonschema.OwnFront(def); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is left to the library, with the reason. Where that finds a fault, its
// words are what the operator reads.
func TestFrontDeclines(t *testing.T) {
	refs := map[string]string{"twice.json": `{"minLength":1,"minLength":2}`, "fault.json": `{"type":5}`}
	for text, want := range map[string]string{
		`5`:                              "what the meta-schema does not allow",
		`{"type":5}`:                     "what the meta-schema does not allow",
		`{"$ref":"#x/%zz"}`:              "what the meta-schema does not allow",
		`{"pattern":"(?!a)"}`:            "pattern",
		`{"patternProperties":{"[":{}}}`: "pattern",
		`{"$ref":"#/definitions/a","pattern":"(","definitions":{"a":{}}}`: "pattern",
		`{"$ref":"#/definitions/a"}`:                                      "$ref",
		`{"$ref":"#a"}`:                                                   "$ref",
		`{"$ref":"#/type","type":"string"}`:                               "$ref",
		`{"$ref":"#/x/y","x":{"y":{"type":5}}}`:                           "$ref",
		`{"$ref":"#/allOf/00","allOf":[{}]}`:                              "$ref",
		`{"$ref":"#/x~2","x~2":{}}`:                                       "$ref",
		`{"$ref":"nowhere"}`:                                              "a text that is not there or not strict JSON",
		`{"$ref":"twice.json"}`:                                           "a text that is not there or not strict JSON",
		`{"$ref":"fault.json"}`:                                           "what the meta-schema does not allow",
		`{"a":1,"a":2}`:                                                   "a text that is not there or not strict JSON",
		`{"$ref":"http://json-schema.org/draft-07/schema"}`:               "a meta-schema",
		`{"$schema":"http://example.com/own"}`:                            "$schema",
		`{"definitions":{"a":{"$id":"a","$schema":"https://json-schema.org/draft/2020-12/schema"}}}`:          "$schema of another draft",
		`{"definitions":{"a":{"$id":"a"},"b":{"$id":"a"}}}`:                                                   "$id",
		`{"definitions":{"a":{"$id":"#a"},"b":{"$id":"#a"}}}`:                                                 "anchor",
		`{"$ref":"#/x/a","x":{"a":{"$id":"#x"}}}`:                                                             "anchor",
		`{"anyOf":[{"$ref":"#/x/a"}],"x":{"a":{"$id":"y"}}}`:                                                  "$id",
		`{"allOf":[{"allOf":[{"$ref":"#/x"}]},{"$ref":"#/x/not"}],"x":{"not":{}}}`:                            "a reference to what was read before",
		`{` + draft2019 + `"items":{"$recursiveRef":"#"}}`:                                                    "$recursiveRef",
		`{` + draft2019 + `"$recursiveAnchor":true}`:                                                          "$recursiveAnchor",
		`{` + draft2020 + `"$defs":{"a":{"$dynamicAnchor":"a"}}}`:                                             "$dynamicAnchor",
		`{` + draft2020 + `"$ref":"#a","$defs":{"a":{"$anchor":"a","items":{"$dynamicRef":"#a"}}}}`:           "$dynamicRef",
		`{` + draft2020 + `"additionalItems":{"type":5}}`:                                                     "additionalItems",
		`{"$schema":"http://json-schema.org/draft-04/schema#","$ref":7}`:                                      "what the meta-schema does not allow",
		`{"$schema":"http://json-schema.org/draft-04/schema#","patternProperties":{"(?=a)":{"type":"null"}}}`: "pattern",
	} {
		def := definition(text, refs)
		var f fronts
		f.compare(t, text, def)
		_, err := jsonschema.OwnFront(def)
		var declined *front.DeclinedError
		if !errors.As(err, &declined) || declined.What != want || declined.Location == "" {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
