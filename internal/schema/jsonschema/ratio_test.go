package jsonschema_test

import (
	"bytes"
	"crypto/sha256"
	"math"
	"testing"
	"time"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tidwall/gjson"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// BenchmarkRatio is what the path of an event does with a body, from bytes to
// verdict: strict scan, type, contact and id, validation. Beside ns/op it
// reports that cost as a multiple of three others, measured in turn in the
// same run: gjson's well-formedness check with two look-ups, which knows no
// schema; encoding/json with the library; SHA-256 of the same bytes. In one
// build these multiples depend on the layout of the program: see
// test/bench/layouts.
func BenchmarkRatio(b *testing.B) {
	for _, c := range corpus.Cases() {
		b.Run(c.Name, func(b *testing.B) {
			own := product(b, c)
			times := fastest(own, gjsonPair(b, c.Body), libraryPair(b, c), func() { sha256.Sum256(c.Body) })
			b.ReportAllocs()
			for b.Loop() {
				own()
			}
			b.ReportMetric(times[0], "least-ns")
			b.ReportMetric(times[0]/times[1], "x-gjson")
			b.ReportMetric(times[2]/times[0], "library/x")
			b.ReportMetric(times[0]/times[3], "x-sha256")
		})
	}
}

// fastest runs the contenders in turn and returns the least time of each, in
// nanoseconds. The windows are short, so that some of them pass undisturbed
// on a machine that is not idle.
func fastest(contenders ...func()) []float64 { return fastestOf(200, contenders...) }

func fastestOf(rounds int, contenders ...func()) []float64 {
	const window = 100 * time.Microsecond
	least, repeat := make([]float64, len(contenders)), make([]int, len(contenders))
	for i, run := range contenders {
		start := time.Now()
		for repeat[i] < 1 || time.Since(start) < 10*window {
			run()
			repeat[i]++
		}
		least[i], repeat[i] = math.Inf(1), max(1, repeat[i]/10)
	}
	for range rounds {
		for i, run := range contenders {
			start := time.Now()
			for range repeat[i] {
				run()
			}
			least[i] = min(least[i], float64(time.Since(start))/float64(repeat[i]))
		}
	}
	return least
}

func product(b *testing.B, c corpus.Case) func() {
	v, doc := compile(b, string(c.Draft7)), new(jsontape.Doc)
	paths := paths(b)
	return func() {
		if _, err := event.Parse(doc, c.Body, jsontape.Limits{}, &paths); err != nil {
			b.Fatal(err)
		}
		if _, violations, err := v.Check(doc, nil); violations != nil || err != nil {
			b.Fatal(violations, err)
		}
	}
}

func paths(b *testing.B) event.Paths {
	b.Helper()
	one := func(name string) []event.Path {
		p, err := event.ParsePath(name)
		if err != nil {
			b.Fatal(err)
		}
		return []event.Path{p}
	}
	return event.Paths{Type: one("actionType"), Contact: one("contactId"), ID: one("eventId")}
}

func gjsonPair(b *testing.B, body []byte) func() {
	return func() {
		if !gjson.ValidBytes(body) || gjson.GetBytes(body, "actionType").Str == "" || gjson.GetBytes(body, "contactId").Str == "" {
			b.Fatal("gjson does not take the body")
		}
	}
}

func libraryPair(b *testing.B, c corpus.Case) func() {
	s := plain(b, string(c.Draft7))
	return func() {
		v, err := santhosh.UnmarshalJSON(bytes.NewReader(c.Body))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
