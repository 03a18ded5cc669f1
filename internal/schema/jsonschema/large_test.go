package jsonschema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// largeSchema is a schema of at least that many bytes: definitions of objects
// with the usual keywords, each used once.
func largeSchema(bytes int) string {
	var defs, uses []string
	for i, size := 0, 0; size < bytes; i++ {
		def := fmt.Sprintf(`"type%d":{"type":"object","description":"The %d-th of many kinds of events, with a text that tells what it is for.",
			"required":["id","kind"],"additionalProperties":false,"properties":{
			"id":{"type":"string","format":"uuid","description":"the id"},"kind":{"const":"kind-%d"},"at":{"type":"string","format":"date-time"},
			"code":{"type":"string","pattern":"^[A-Z]{2}%d-[0-9]{4,10}$"},"count":{"type":"integer","minimum":0,"maximum":%d},
			"state":{"enum":["new","open","closed","state-%d"]},"tags":{"type":"array","maxItems":20,"items":{"type":"string","maxLength":40}}}}`, i, i, i, i%20, i+10, i)
		defs = append(defs, def)
		uses = append(uses, fmt.Sprintf(`"event%d":{"$ref":"#/definitions/type%d"}`, i, i))
		size += len(def)
	}
	return `{"definitions":{` + strings.Join(defs, ",") + `},"properties":{` + strings.Join(uses, ",") + `}}`
}

// BenchmarkCompileLarge is the cost of a new version of a 200 KB schema, in
// milliseconds and as a share of the library's.
func BenchmarkCompileLarge(b *testing.B) {
	def := definition(largeSchema(200<<10), nil)
	b.SetBytes(int64(len(def.Text)))
	times := fastestOf(5, func() {
		if _, err := jsonschema.CompileShared(def); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if _, err := jsonschema.Library(def); err != nil {
			b.Fatal(err)
		}
	})
	for b.Loop() {
		if _, err := jsonschema.CompileShared(def); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(times[0]/1e6, "ms")
	b.ReportMetric(times[0]/times[1], "x-library")
}
