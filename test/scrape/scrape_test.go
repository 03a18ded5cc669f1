package scrape_test

import (
	"maps"
	"testing"

	"github.com/cxrelay/cxrelay/test/scrape"
)

func TestParse(t *testing.T) {
	got := scrape.Parse("# HELP a b 1\n# TYPE a counter\na 1\nb{x=\"y z\"} 2.5e+01\nc NaN-ish\n\n")
	if want := map[string]float64{"a": 1, `b{x="y z"}`: 25}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
