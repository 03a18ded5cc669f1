// Package corpus holds three event bodies and their JSON Schemas, as yardsticks
// for tests and benchmarks: one flat and small, one nested, one with long
// arrays. Type, contact and event id stand where the built-in source looks for
// them, so that the bodies also travel through a whole relay.
//
// The schemas ask for far more than the subject that the dev mode registers.
// Nothing but data belongs here, and the package imports only embed.
package corpus

import _ "embed"

// Case is one body with one schema in two drafts. The body is valid under
// both.
type Case struct {
	Name      string
	Body      []byte
	Draft7    []byte // JSON Schema, draft-07
	Draft2020 []byte // JSON Schema, 2020-12
}

var (
	//go:embed flat.json
	flatBody string
	//go:embed flat.draft7.schema.json
	flatDraft7 string
	//go:embed flat.draft2020.schema.json
	flatDraft2020 string

	//go:embed nested.json
	nestedBody string
	//go:embed nested.draft7.schema.json
	nestedDraft7 string
	//go:embed nested.draft2020.schema.json
	nestedDraft2020 string

	//go:embed array.json
	arrayBody string
	//go:embed array.draft7.schema.json
	arrayDraft7 string
	//go:embed array.draft2020.schema.json
	arrayDraft2020 string
)

// Cases returns the three cases, small to large: flat (554 bytes, 22 members),
// nested (about 1.5 KB, five levels, a oneOf of three), array (about 8.3 KB,
// the same with 24 segments and 26 attributes). Each call returns copies,
// which the caller may change.
func Cases() []Case {
	return []Case{
		{"flat", []byte(flatBody), []byte(flatDraft7), []byte(flatDraft2020)},
		{"nested", []byte(nestedBody), []byte(nestedDraft7), []byte(nestedDraft2020)},
		{"array", []byte(arrayBody), []byte(arrayDraft7), []byte(arrayDraft2020)},
	}
}
