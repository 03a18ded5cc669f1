//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/bench/traffic"
)

func window(cpu time.Duration, ok int, failed map[string]int) sample {
	return sample{cpu: cpu, Window: traffic.Window{OK: ok, Failed: failed, Elapsed: time.Second}}
}

// The ratio is the median of the rounds' own ratios, not a ratio of medians:
// a slow round of both must not count against either.
func TestRatioIsPairedByRound(t *testing.T) {
	ms := time.Millisecond
	floor := &server{name: "floor", samples: []sample{window(10*ms, 1000, nil), window(40*ms, 1000, nil), window(10*ms, 1000, nil)}}
	relay := &server{name: "relay", peak: 48 << 20, samples: []sample{window(20*ms, 1000, nil), window(80*ms, 1000, nil), window(50*ms, 1000, map[string]int{"503": 2, "error": 1})}}

	var out bytes.Buffer
	r := newReport(&out, "json")
	if failed := r.add(traffic.Case{Name: "x", Body: []byte("abc")}, []*server{floor, relay}); failed != 3 {
		t.Errorf("%d failed, want 3", failed)
	}
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	var rows [2]row
	decoder := json.NewDecoder(&out)
	for i := range rows {
		if err := decoder.Decode(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	if rows[0].Ratio != 1 || rows[0].CPUMicros != 10 {
		t.Errorf("floor: ratio %v at %v us, want 1 at 10 us", rows[0].Ratio, rows[0].CPUMicros)
	}
	want := row{Case: "x", Bytes: 3, Server: "relay", Rounds: 3, EventsPerSec: 1000, CPUMicros: 50, CPUMin: 20, CPUMax: 80, Ratio: 2, PeakMiB: 48, Failed: 3}
	if rows[1] != want {
		t.Errorf("relay:\n got %+v\nwant %+v", rows[1], want)
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1}, 5},
		{[]float64{3, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	text := &tail{limit: 4}
	for _, part := range []string{"abc", "def", "g"} {
		if n, err := text.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", part, n, err)
		}
	}
	if text.String() != "defg" {
		t.Errorf("kept %q, want defg", text.String())
	}
}

func TestPeakIsFound(t *testing.T) {
	for status, want := range map[string]int64{
		"Name:\trelay VmHWM: 1 kB\nVmPeak:\t  900 kB\nVmHWM:\t   48000 kB\nVmRSS:\t 40000 kB\n": 48000 << 10,
		"VmHWM:\t7 kB":        7 << 10,
		"VmRSS:\t 40000 kB\n": 0,
		"VmHWM:\t many kB\n":  0,
		"":                    0,
	} {
		got, err := parsePeak([]byte(status))
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v, want %d", status, got, err, want)
		}
	}
}
