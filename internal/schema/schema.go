// Package schema fetches, caches and applies the schemas of a Schema Registry
// that speaks the Confluent REST API.
//
// Here belong the registry client, the cache that keeps the last good schema
// of every subject, and the types that every schema engine shares. The engines
// themselves live in folders beside this file (jsonschema), and neither HTTP
// answers to senders nor Kafka belong here. DESIGN.md tells what is kept when.
package schema

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// Violation is one way in which a payload breaks its schema.
type Violation struct {
	Pointer  string `json:"pointer"` // RFC 6901; cut at 1024 bytes, and then ends with "…"
	Keyword  string `json:"keyword"`
	Expected string `json:"expected"`
	Actual   string `json:"actual"`
}

// Validator applies one compiled schema. Safe for concurrent use.
type Validator interface {
	// Check validates doc. A nil violations slice and nil error mean valid;
	// value is then what goes into the record: doc's raw bytes for JSON
	// Schema, or bytes appended to dst by an encoding engine. err is not a
	// verdict about the payload: the engine failed.
	Check(doc *jsontape.Doc, dst []byte) (value []byte, violations []Violation, err error)
}

// Asker is a Validator that asks somebody else, and so takes time.
type Asker interface {
	Validator
	// CheckUntil is Check, but returns before the deadline; a zero deadline
	// is none. An error that wraps ErrUnavailable means that no verdict was
	// to be had by then.
	CheckUntil(doc *jsontape.Doc, dst []byte, deadline time.Time) (value []byte, violations []Violation, err error)
}

// Pin names a schema as a route asks for it.
type Pin struct {
	Subject string
	Version int // 0: the latest, whichever that is
}

// String names the subject, and the version if it is a fixed one.
func (p Pin) String() string {
	if p.Version == 0 {
		return p.Subject
	}
	return p.Subject + " version " + p.label()
}

// label is the value of the metrics' label pin.
func (p Pin) label() string {
	if p.Version == 0 {
		return "latest"
	}
	return strconv.Itoa(p.Version)
}

// Described is what a Validator may also be: it tells operators how it works.
type Described interface {
	// Engine names what decides. Where an engine has a fast path and the schema
	// does not go through it, declined is the keyword for which it does not.
	Engine() (name, declined string)
	// Warnings says what an author should know of a schema that is usable all
	// the same. The caller must not change them.
	Warnings() []string
}

// Reference names another schema that a schema refers to.
type Reference struct {
	Name    string
	Subject string
	Version int
}

// Definition is a schema as the registry holds it, with the texts of all its
// references, transitively, keyed by reference name.
type Definition struct {
	Subject    string
	Version    int
	ID         int
	Type       string // "JSON", "AVRO", "PROTOBUF"
	Text       string
	References map[string]string
}

// Compiler turns a definition into a Validator, or says why it cannot. It may
// return a *RefusedError to choose the whole wording of the reason.
type Compiler func(Definition) (Validator, error)

// ByType is a Compiler that leaves each definition to the engine of its type
// and refuses the types that have none. The map must not change afterwards.
func ByType(engines map[string]Compiler) Compiler {
	return func(def Definition) (Validator, error) {
		compile, ok := engines[def.Type]
		if !ok {
			return nil, &RefusedError{
				Version: def.Version, ID: def.ID,
				Reason: fmt.Sprintf("schema type %s is not supported", def.Type),
			}
		}
		return compile(def)
	}
}

// Schema is one usable schema: id, version and engine belong together. Version
// and ID are 0 where there is no schema: the registry validates, or nobody does.
type Schema struct {
	Subject   string
	Version   int
	ID        int
	Validator Validator
	FetchedAt time.Time // when this version was taken over
}

// Check validates doc as Validator.Check does. A validator that asks somebody
// else gets until the deadline.
func (s *Schema) Check(doc *jsontape.Doc, dst []byte, deadline time.Time) ([]byte, []Violation, error) {
	if asker, ok := s.Validator.(Asker); ok {
		return asker.CheckUntil(doc, dst, deadline)
	}
	return s.Validator.Check(doc, dst)
}

// ErrUnavailable means that the subject has no usable schema yet.
var ErrUnavailable = errors.New("no usable schema")
