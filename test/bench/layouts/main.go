// Command layouts runs Go benchmarks in several builds of the same code that
// differ only in where the linker puts the functions.
//
// A tight loop can run a sixth faster or slower with its place in the program,
// which any change elsewhere moves. So a figure of one build is partly chance;
// the median over several builds can be repeated, and the span between the
// least and the most says how much chance there is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

type options struct {
	pkg, bench string
	layouts    int
}

func main() {
	var o options
	flag.StringVar(&o.pkg, "package", "./internal/schema/jsonschema", "the package with the benchmarks")
	flag.StringVar(&o.bench, "bench", "Ratio", "which benchmarks, as in go test -bench")
	flag.IntVar(&o.layouts, "layouts", 7, "how many builds")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "layouts:", err)
		os.Exit(1)
	}
}

// run writes a table of all figures to out. It leaves no files.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	if flag.NArg() > 0 || o.layouts < 1 {
		return errors.New("usage: layouts [-package DIR] [-bench REGEXP] [-layouts N], N at least 1")
	}
	bin, err := os.MkdirTemp("", "layouts")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	var all figures
	for layout := 1; layout <= o.layouts; layout++ {
		program := filepath.Join(bin, strconv.Itoa(layout))
		build := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-randlayout="+strconv.Itoa(layout), "-o", program, o.pkg)
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build layout %d: %w\n%s", layout, err, text)
		}
		measure := exec.CommandContext(ctx, program, "-test.run=^$", "-test.bench="+o.bench, "-test.benchtime=100ms")
		measure.Dir = o.pkg
		text, err := measure.CombinedOutput()
		if err != nil {
			return fmt.Errorf("run layout %d: %w\n%s", layout, err, text)
		}
		all.add(string(text))
	}
	return all.write(out)
}

// figures are all values of each unit of each benchmark, in the order in which
// they were first seen.
type figures struct {
	names  []string
	values map[string][]float64
}

// add takes the lines of a run: a name, a count of iterations, and pairs of a
// value and its unit. The time that goes with a count (ns/op) is left out: it
// is of one window, and of another than the metrics.
func (f *figures) add(text string) {
	if f.values == nil {
		f.values = map[string][]float64{}
	}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		for pair := range slices.Chunk(fields[2:], 2) {
			value, err := strconv.ParseFloat(pair[0], 64)
			if err != nil || len(pair) < 2 || pair[1] == "ns/op" {
				continue
			}
			name := fmt.Sprintf("%-32s %-12s", strings.TrimPrefix(fields[0], "Benchmark"), pair[1])
			if f.values[name] == nil {
				f.names = append(f.names, name)
			}
			f.values[name] = append(f.values[name], value)
		}
	}
}

func (f *figures) write(out io.Writer) error {
	if len(f.names) == 0 {
		return errors.New("no benchmark of that name, or none with a metric")
	}
	_, err := fmt.Fprintf(out, "%-32s %-12s %9s %9s %9s\n", "benchmark", "unit", "median", "least", "most")
	for _, name := range f.names {
		v := slices.Sorted(slices.Values(f.values[name]))
		_, failed := fmt.Fprintf(out, "%s %9.4g %9.4g %9.4g\n", name, median(v), v[0], v[len(v)-1])
		err = errors.Join(err, failed)
	}
	return err
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
