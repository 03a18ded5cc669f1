package main

import (
	"strings"
	"testing"
)

func TestFigures(t *testing.T) {
	var all figures
	for _, text := range []string{
		"goos: linux\nBenchmarkRatio/flat-2 \t 227442\t 1208 ns/op\t 13.5 library/x\t 2.000 x-gjson\nPASS\n",
		"BenchmarkRatio/flat-2   99 9 ns/op 15.5 library/x 1.5 x-gjson 80 B/op\nBenchmarkBroken-2 1 x y z\n",
		"BenchmarkRatio/flat-2   99 9 ns/op 14 library/x 1.25 x-gjson",
	} {
		all.add(text)
	}
	var out strings.Builder
	if err := all.write(&out); err != nil {
		t.Fatal(err)
	}
	want := `
benchmark                        unit            median     least      most
Ratio/flat-2                     library/x           14      13.5      15.5
Ratio/flat-2                     x-gjson            1.5      1.25         2
Ratio/flat-2                     B/op                80        80        80
`
	if got := "\n" + out.String(); got != want {
		t.Errorf("got:%swant:%s", got, want)
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{1, 3, 4, 9}); got != 3.5 {
		t.Errorf("median of four is %v, want 3.5", got)
	}
}

func TestNothingFound(t *testing.T) {
	var all figures
	all.add("PASS\n")
	if err := all.write(&strings.Builder{}); err == nil {
		t.Error("a run without figures is no error")
	}
}
