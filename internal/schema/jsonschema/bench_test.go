package jsonschema_test

import (
	"bytes"
	"sync/atomic"
	"testing"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// BenchmarkCheck is the cost of validation on the path of an event. The
// payload is parsed once, as on the path the scanner has run before.
func BenchmarkCheck(b *testing.B) {
	for _, c := range corpus.Cases() {
		v := compile(b, string(c.Draft7))
		doc := parse(b, string(c.Body))
		b.Run(c.Name, func(b *testing.B) {
			b.SetBytes(int64(len(c.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, violations, err := v.Check(doc, nil); violations != nil || err != nil {
					b.Fatal(violations, err)
				}
			}
		})
	}
}

// BenchmarkShadowNever is BenchmarkCheck with a shadow that picks nothing.
func BenchmarkShadowNever(b *testing.B) {
	var rate atomic.Uint64
	compiler := jsonschema.New(jsonschema.Options{Shadow: func() bool { return rate.Load() != 0 }})
	for _, c := range corpus.Cases() {
		v, err := compiler(definition(string(c.Draft7), nil))
		if err != nil {
			b.Fatal(err)
		}
		doc := parse(b, string(c.Body))
		b.Run(c.Name, func(b *testing.B) {
			b.SetBytes(int64(len(c.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, violations, err := v.Check(doc, nil); violations != nil || err != nil {
					b.Fatal(violations, err)
				}
			}
		})
	}
}

// BenchmarkSecondParse is the same schema with the library's own parse of the
// raw bytes instead of the tape: the alternative that was not taken.
func BenchmarkSecondParse(b *testing.B) {
	for _, c := range corpus.Cases() {
		v := compile(b, string(c.Draft7))
		b.Run(c.Name, func(b *testing.B) {
			b.SetBytes(int64(len(c.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if violations, err := jsonschema.CheckBySecondParse(v, c.Body); violations != nil || err != nil {
					b.Fatal(violations, err)
				}
			}
		})
	}
}

// BenchmarkCheckInvalid is a refusal with its violations.
func BenchmarkCheckInvalid(b *testing.B) {
	for _, c := range corpus.Cases() {
		v := compile(b, string(c.Draft7))
		doc := new(jsontape.Doc)
		body := bytes.Replace(c.Body, []byte(`"actionType"`), []byte(`"actionTipe"`), 1)
		if err := doc.Parse(body, jsontape.Limits{}); err != nil {
			b.Fatal(err)
		}
		b.Run(c.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, violations, err := v.Check(doc, nil); violations == nil || err != nil {
					b.Fatal(violations, err)
				}
			}
		})
	}
}

// BenchmarkCompile is the cost of a new schema version, off the path.
func BenchmarkCompile(b *testing.B) {
	for _, c := range corpus.Cases() {
		def := definition(string(c.Draft7), nil)
		b.Run(c.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jsonschema.CompileShared(def); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
