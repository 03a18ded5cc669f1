package jsontape_test

import (
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/jsontape"
)

func BenchmarkParse(b *testing.B) {
	cases := corpus.Cases()
	cases = append(cases,
		corpus.Case{Name: "japanese", Body: []byte(`{"text":"` + strings.Repeat("ご利用ありがとうございます。", 20) + `"}`)},
		corpus.Case{Name: "wide", Body: wideObject(2000)},
	)
	for _, c := range cases {
		b.Run(c.Name, func(b *testing.B) {
			var doc jsontape.Doc
			b.SetBytes(int64(len(c.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := doc.Parse(c.Body, jsontape.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMember looks for the last member of the flat case.
func BenchmarkMember(b *testing.B) {
	var doc jsontape.Doc
	if err := doc.Parse(corpus.Cases()[0].Body, jsontape.Limits{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := doc.Member(0, "schemaRev"); !ok {
			b.Fatal("not found")
		}
	}
}
