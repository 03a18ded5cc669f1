//go:build linux

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/cxrelay/cxrelay/test/bench/traffic"
)

// row is one server under one case: one line of text, or one JSON object.
type row struct {
	Case         string  `json:"case"`
	Bytes        int     `json:"bytes"` // of the body
	Server       string  `json:"server"`
	Rounds       int     `json:"rounds"`
	EventsPerSec float64 `json:"events_per_second"`
	CPUMicros    float64 `json:"cpu_us_per_event"` // median over the rounds
	CPUMin       float64 `json:"cpu_us_per_event_min"`
	CPUMax       float64 `json:"cpu_us_per_event_max"`
	Ratio        float64 `json:"ratio"` // to the floor, median over the rounds
	P50Micros    float64 `json:"p50_us"`
	P99Micros    float64 `json:"p99_us"`
	PeakMiB      float64 `json:"peak_rss_mib"`
	Failed       int     `json:"failed"`
}

// summarize turns the samples of s into a row; ref has as many rounds.
func summarize(c traffic.Case, s, ref *server) row {
	var cpu, ratio, rate, p50, p99 []float64
	failed := 0
	for i, x := range s.samples {
		cpu = append(cpu, x.perEvent())
		ratio = append(ratio, x.perEvent()/ref.samples[i].perEvent())
		rate = append(rate, float64(x.OK)/x.Elapsed.Seconds())
		p50 = append(p50, micros(x.P50))
		p99 = append(p99, micros(x.P99))
		failed += x.Failures()
	}
	return row{
		Case: c.Name, Bytes: len(c.Body), Server: s.name, Rounds: len(s.samples),
		EventsPerSec: median(rate),
		CPUMicros:    median(cpu), CPUMin: slices.Min(cpu), CPUMax: slices.Max(cpu),
		Ratio:     median(ratio),
		P50Micros: median(p50), P99Micros: median(p99),
		PeakMiB: float64(s.peak) / (1 << 20),
		Failed:  failed,
	}
}

// perEvent returns microseconds of CPU time per accepted event.
func (s sample) perEvent() float64 { return micros(s.cpu) / float64(s.OK) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// median returns the middle of a non-empty list.
func median(values []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare)
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// report prints rows as a table at flush, or as JSON lines at once.
type report struct {
	table *tabwriter.Writer
	json  *json.Encoder
	err   error
}

func newReport(w io.Writer, format string) *report {
	if format == "json" {
		return &report{json: json.NewEncoder(w)}
	}
	r := &report{table: tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)}
	fmt.Fprintln(r.table, "case\tbytes\tserver\tevents/s\tCPU us/event\tmin\tmax\tratio\tp50 ms\tp99 ms\tpeak RSS MiB\tfailed\t")
	return r
}

// add takes the servers of one case, the reference first, and returns how
// many of their requests failed.
func (r *report) add(c traffic.Case, servers []*server) (failed int) {
	for _, s := range servers {
		line := summarize(c, s, servers[0])
		failed += line.Failed
		if r.json != nil {
			r.err = cmp.Or(r.err, r.json.Encode(line))
			continue
		}
		fmt.Fprintf(r.table, "%s\t%d\t%s\t%.0f\t%.1f\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t%.0f\t%d\t\n",
			line.Case, line.Bytes, line.Server, line.EventsPerSec, line.CPUMicros, line.CPUMin, line.CPUMax,
			line.Ratio, line.P50Micros/1000, line.P99Micros/1000, line.PeakMiB, line.Failed)
	}
	return failed
}

func (r *report) flush() error {
	if r.table != nil {
		return r.table.Flush()
	}
	return r.err
}
