package app_test

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/cxrelay/cxrelay/internal/reason"
)

const (
	webhookURL = "http://127.0.0.1:8080/cxone/webhook"
	adminURL   = "http://127.0.0.1:9640"
)

// scrape is one exposition, as a Prometheus server gets it.
type scrape struct {
	text       string
	help, kind map[string]string  // by family
	series     map[string]float64 // by name and labels, as they stand in the text
}

// scrape takes one from the admin listener.
func (w *world) scrape() scrape {
	w.t.Helper()
	s := scrape{help: map[string]string{}, kind: map[string]string{}, series: map[string]float64{}}
	status, text := w.get(adminURL + "/metrics")
	if status != http.StatusOK {
		w.t.Fatalf("scrape: %d %s", status, text)
	}
	s.text = text
	for line := range strings.Lines(s.text) {
		line = strings.TrimSuffix(line, "\n")
		switch fields := strings.SplitN(line, " ", 4); {
		case len(fields) == 4 && fields[1] == "HELP":
			s.help[fields[2]] = fields[3]
		case len(fields) == 4 && fields[1] == "TYPE":
			s.kind[fields[2]] = fields[3]
		default:
			cut := strings.LastIndexByte(line, ' ')
			v, err := strconv.ParseFloat(line[cut+1:], 64)
			if err != nil {
				w.t.Fatalf("line %q: %v", line, err)
			}
			s.series[line[:cut]] = v
		}
	}
	return s
}

// get asks one of the listeners and returns status and body.
func (w *world) get(address string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity") // hundreds of scrapes are not worth compressing
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// sum adds all series of a family.
func (s scrape) sum(family string) (total float64) {
	for name, v := range s.series {
		if name == family || strings.HasPrefix(name, family+"{") {
			total += v
		}
	}
	return total
}

// names returns the series in order.
func (s scrape) names() []string { return slices.Sorted(maps.Keys(s.series)) }

// eventSeries names the series of one reason.
func eventSeries(source string, r reason.Reason) string {
	return fmt.Sprintf(`cxrelay_events_total{reason=%q,source=%q}`, r, source)
}

// TestEveryReasonHasASeries: at zero, from the first scrape on, and for
// requests without a source only where the reason can occur.
func TestEveryReasonHasASeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		first := w.scrape()
		want := 0
		for _, r := range reason.All() {
			for source, possible := range map[string]bool{
				"cxone": r != reason.NotFound,
				"none":  r == reason.NotFound || r == reason.Internal,
			} {
				v, there := first.series[eventSeries(source, r)]
				if there != possible || v != 0 {
					t.Errorf("%s: there %t, value %v", eventSeries(source, r), there, v)
				}
				_, timed := first.series[fmt.Sprintf(`cxrelay_http_request_duration_seconds_count{reason=%q,source=%q}`, r, source)]
				if timed != possible {
					t.Errorf("duration of %s by %s: there %t", r, source, timed)
				}
				if possible {
					want++
				}
			}
		}
		got := 0
		for name := range first.series {
			if strings.HasPrefix(name, "cxrelay_events_total{") {
				got++
			}
		}
		if got != want {
			t.Errorf("%d series of cxrelay_events_total, want %d", got, want)
		}
	})
}

// TestSeedMetrics: dashboards made for the seed's program go on working.
func TestSeedMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		if why := w.send(event("QUEUE_TRANSFER", "c2", 0)); why != "accepted" {
			t.Fatal(why)
		}
		s := w.scrape()
		seed := map[string]string{
			"cxone_kafka_producer_pending":         "gauge",
			"cxone_kafka_deliveries_total":         "counter",
			"cxone_kafka_delivery_errors_total":    "counter",
			"cxone_kafka_delivery_latency_seconds": "histogram",
		}
		for name, kind := range s.kind {
			if strings.HasPrefix(name, "cxone_") && seed[name] != kind {
				t.Errorf("%s is a %s", name, kind)
			}
			delete(seed, name)
		}
		if len(seed) > 0 {
			t.Errorf("missing: %v", seed)
		}
		for series, want := range map[string]float64{
			"cxone_kafka_producer_pending": 0, "cxone_kafka_deliveries_total": 1, "cxone_kafka_delivery_errors_total": 0,
			"cxone_kafka_delivery_latency_seconds_count":              1,
			`cxone_kafka_delivery_latency_seconds_bucket{le="+Inf"}`:  1,
			`cxone_kafka_delivery_latency_seconds_bucket{le="0.005"}`: s.series[`cxone_kafka_delivery_latency_seconds_bucket{le="0.005"}`],
		} {
			if got, there := s.series[series]; !there || got != want {
				t.Errorf("%s = %v (there: %t), want %v", series, got, there, want)
			}
		}
	})
}

// TestMetricsAreClean: names, units and help texts as Prometheus wants them.
func TestMetricsAreClean(t *testing.T) {
	var text string
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		w.send(event("QUEUE_TRANSFER", "c2", 0))
		s := w.scrape()
		text = s.text
		problems, err := promlint.New(strings.NewReader(s.text)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
		for name, kind := range s.kind {
			if kind == "histogram" && !strings.HasSuffix(name, "_seconds") && !strings.HasSuffix(name, "_bytes") {
				t.Errorf("histogram %s has no base unit", name)
			}
			if strings.HasPrefix(name, "cx") && !strings.HasSuffix(s.help[name], ".") {
				t.Errorf("%s: help %q is no sentence", name, s.help[name])
			}
		}
	})
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		return // promlint is the same linter
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// TestNoSeriesFromOutside: whatever is sent, no request makes a new series.
func TestNoSeriesFromOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		before := w.scrape()
		random := rand.New(rand.NewPCG(4, 2))
		for range 200 {
			w.hostile(random)
		}
		after := w.scrape()
		if !slices.Equal(before.names(), after.names()) {
			t.Errorf("before:\n%s\nafter:\n%s", before.text, after.text)
		}
		if n := after.sum("cxrelay_events_received_total"); n != 200 {
			t.Errorf("%v requests were counted", n)
		}
		for _, r := range []reason.Reason{reason.Accepted, reason.Unrouted, reason.Malformed, reason.BadSignature, reason.MethodNotAllowed} {
			if after.series[eventSeries("cxone", r)] == 0 {
				t.Errorf("no request was %s: the test is too tame", r)
			}
		}
		if after.series[eventSeries("none", reason.NotFound)] == 0 {
			t.Error("no request was not_found: the test is too tame")
		}
	})
}

// hostile sends one request of which everything may be wrong.
func (w *world) hostile(random *rand.Rand) {
	w.t.Helper()
	word := func(n int) string {
		letters := []rune("aZ09_-{}\"\\=,é\u2028 \t/.%")
		out := make([]rune, 1+random.IntN(n))
		for i := range out {
			out[i] = letters[random.IntN(len(letters))]
		}
		return string(out)
	}
	pick := func(values ...string) string { return values[random.IntN(len(values))] }
	body := pick(
		fmt.Sprintf("{%q:%q,%q:%q}", "actionType", word(20), "contactId", word(20)),
		event(pick("QUEUE_TRANSFER", "CALL_DISCONNECTED"), word(5), random.IntN(9)).body,
		event(word(200), "c1", 0).body, "{"+word(9), "[1]", "",
	)
	req := w.signed(body)
	req.Method = pick("POST", "POST", "POST", "GET", "PURGE", "M-"+strconv.Itoa(random.IntN(99)))
	if random.IntN(4) == 0 {
		req.URL = &url.URL{Scheme: "http", Host: "127.0.0.1:8080", Path: "/" + word(12)}
	}
	if random.IntN(4) == 0 {
		req.Header.Set("X-Cxone-Signature", url.QueryEscape(word(70)))
	}
	req.Header.Set("Traceparent", url.QueryEscape(word(60)))
	req.Header.Set("Content-Type", pick("application/json", "text/"+strconv.Itoa(random.IntN(99))+"; charset=x"+strconv.Itoa(random.IntN(99)), "application/json"))
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		w.t.Error(err)
	}
}
