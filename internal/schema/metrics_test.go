package schema_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/cxrelay/cxrelay/internal/schema"
)

func TestMetrics(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		reg := prometheus.NewPedanticRegistry()
		client := w.client(func(o *schema.ClientOptions) { o.Registerer = reg })
		c, err := schema.NewCache(schema.CacheOptions{
			Source: client, Pins: latest("a", "b"), Compile: compileText, Registerer: reg,
		})
		if err != nil {
			t.Fatal(err)
		}
		expectMetrics(t, reg, `
cxrelay_schema_age_seconds{pin="latest",subject="a"} 0
cxrelay_schema_age_seconds{pin="latest",subject="b"} 0
cxrelay_schema_refreshes_total{pin="latest",result="changed",subject="a"} 0
cxrelay_schema_refreshes_total{pin="latest",result="changed",subject="b"} 0
cxrelay_schema_refreshes_total{pin="latest",result="error",subject="a"} 0
cxrelay_schema_refreshes_total{pin="latest",result="error",subject="b"} 0
cxrelay_schema_refreshes_total{pin="latest",result="rejected",subject="a"} 0
cxrelay_schema_refreshes_total{pin="latest",result="rejected",subject="b"} 0
cxrelay_schema_refreshes_total{pin="latest",result="unchanged",subject="a"} 0
cxrelay_schema_refreshes_total{pin="latest",result="unchanged",subject="b"} 0
cxrelay_schema_snapshot_writes_total{result="error"} 0
cxrelay_schema_snapshot_writes_total{result="ok"} 0
cxrelay_schema_usable{pin="latest",subject="a"} 0
cxrelay_schema_usable{pin="latest",subject="b"} 0
cxrelay_schema_version{pin="latest",subject="a"} 0
cxrelay_schema_version{pin="latest",subject="b"} 0
`)
		if n, err := testutil.GatherAndCount(reg, "cxrelay_schema_registry_request_duration_seconds"); n != 4 || err != nil {
			t.Errorf("%d series of durations before the first request, %v", n, err)
		}

		w.register("a", object("one"))
		stop := run(t, c)
		defer stop()
		synctest.Wait()
		pass(75 * time.Second)
		age, err := strconv.ParseFloat(value(t, reg, `cxrelay_schema_age_seconds{pin="latest",subject="a"}`), 64)
		if err != nil || age < 3 || age > 27 { // confirmed 48 to 72 s after the start
			t.Errorf("age %g, %v", age, err)
		}
		w.register("a", object("broken"))
		pass(72 * time.Second)
		if got := value(t, reg, `cxrelay_schema_version{pin="latest",subject="a"}`); got != "1" {
			t.Errorf("version %s", got)
		}
		if got := value(t, reg, `cxrelay_schema_refreshes_total{pin="latest",result="rejected",subject="a"}`); got == "0" {
			t.Error("a rejected version is not counted")
		}
		rejectedFor := value(t, reg, `cxrelay_schema_age_seconds{pin="latest",subject="a"}`)
		w.register("a", object("three"))
		pass(72 * time.Second)
		if got := value(t, reg, `cxrelay_schema_version{pin="latest",subject="a"}`); got != "3" {
			t.Errorf("version %s", got)
		}
		for series, zero := range map[string]bool{
			`cxrelay_schema_usable{pin="latest",subject="a"}`:                                    false,
			`cxrelay_schema_usable{pin="latest",subject="b"}`:                                    true,
			`cxrelay_schema_refreshes_total{pin="latest",result="changed",subject="a"}`:          false,
			`cxrelay_schema_refreshes_total{pin="latest",result="unchanged",subject="a"}`:        false,
			`cxrelay_schema_refreshes_total{pin="latest",result="error",subject="a"}`:            true,
			`cxrelay_schema_refreshes_total{pin="latest",result="error",subject="b"}`:            false,
			`cxrelay_schema_registry_request_duration_seconds_count{result="ok"}`:                false,
			`cxrelay_schema_registry_request_duration_seconds_count{result="not_found"}`:         false,
			`cxrelay_schema_registry_request_duration_seconds_count{result="throttled"}`:         true,
			`cxrelay_schema_registry_request_duration_seconds_count{result="error"}`:             true,
			`cxrelay_schema_registry_request_duration_seconds_bucket{result="ok",le="+Inf"}`:     false,
			`cxrelay_schema_registry_request_duration_seconds_bucket{result="error",le="+Inf"}`:  true,
			`cxrelay_schema_registry_request_duration_seconds_bucket{result="ok",le="0.005"}`:    false,
			`cxrelay_schema_registry_request_duration_seconds_sum{result="ok"}`:                  true, // virtual time
			`cxrelay_schema_registry_request_duration_seconds_sum{result="not_found"}`:           true,
			`cxrelay_schema_registry_request_duration_seconds_bucket{result="error",le="0.005"}`: true,
		} {
			if got := value(t, reg, series); (got == "0") != zero {
				t.Errorf("%s is %s", series, got)
			}
		}
		if rejectedFor == "0" {
			t.Error("the age stands still while the registry's version is rejected")
		}
		lint(t, reg)
	})
}

func TestMetricsOfDurations(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		reg := prometheus.NewRegistry()
		c := w.client(func(o *schema.ClientOptions) { o.Registerer = reg })
		w.net.serve(home, hangs())
		_, _ = c.Latest(t.Context(), "s")
		w.net.serve(home, says(429, ""))
		_, _ = c.Latest(t.Context(), "s")
		if got := value(t, reg, `cxrelay_schema_registry_request_duration_seconds_sum{result="error"}`); got != "5" {
			t.Errorf("a hang took %s s", got)
		}
		if got := value(t, reg, `cxrelay_schema_registry_request_duration_seconds_count{result="throttled"}`); got != "1" {
			t.Errorf("%s throttled", got)
		}
	})
}

func TestMetricsTwice(t *testing.T) {
	w := newWorld(t)
	reg := prometheus.NewRegistry()
	o := schema.CacheOptions{Source: w.client(), Compile: compileText, Registerer: reg}
	if _, err := schema.NewCache(o); err != nil {
		t.Fatal(err)
	}
	if _, err := schema.NewCache(o); err == nil {
		t.Error("two caches share one set of series")
	}
}

// expectMetrics compares the gauges and counters; want has no HELP and TYPE.
func expectMetrics(t *testing.T, reg prometheus.Gatherer, want string) {
	t.Helper()
	var got strings.Builder
	for line := range strings.Lines(exposition(t, reg)) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, "_duration_seconds") {
			got.WriteString(line)
		}
	}
	if got.String() != strings.TrimPrefix(want, "\n") {
		t.Errorf("metrics:\n%s", &got)
	}
}

func value(t *testing.T, reg prometheus.Gatherer, series string) string {
	t.Helper()
	for line := range strings.Lines(exposition(t, reg)) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Errorf("no series %s", series)
	return ""
}

// exposition is what a scrape would get.
func exposition(t *testing.T, reg prometheus.Gatherer) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&buf, f); err != nil {
			t.Fatal(err)
		}
	}
	return buf.String()
}

func lint(t *testing.T, reg prometheus.Gatherer) {
	t.Helper()
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
