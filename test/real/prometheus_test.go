//go:build real

package real_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
)

// ledger has the equations of docs/metrics.md as differences: 0 at every scrape.
var ledger = []struct{ name, difference string }{
	{"events", `cxrelay_events_received_total - on(instance) sum by (instance) (cxrelay_events_total) - on(instance) cxrelay_events_in_flight`},
	{"records", `cxrelay_records_produced_total - cxrelay_records_acked_total - cxrelay_records_failed_total - cxrelay_records_pending`},
	{"acks", `cxrelay_records_acked_total - on(instance) sum by (instance) (cxrelay_events_total{reason="accepted"}) - on(instance) cxrelay_late_acks_total`},
}

// TestPrometheus: promtool finds nothing to complain about in a relay under
// load, and a Prometheus server that scrapes it every second for a minute sees
// a ledger that balances in every single scrape, also while a broker hangs.
func TestPrometheus(t *testing.T) {
	cluster := rig.Cluster(t, real.Brokers(3))
	relay := start(t, cluster, real.Setup{})
	book := newBook(t)
	sender := book.sender(t, relay)
	warm(t, sender)
	server := prometheus(t, relay)
	began := time.Now()
	wait := book.crowd(t, crowd{name: "c", contacts: 200, events: 60, over: time.Minute, waits: 0.5, beside: 3}, relay)
	real.Pass(t, 8*time.Second)
	promtool(t, relay)
	cluster.Pause(2)
	real.Pass(t, 5*time.Second)
	promtool(t, relay)
	cluster.Continue(2)
	wait()
	settled(t, relay, book)
	real.Pass(t, 1500*time.Millisecond) // one more scrape
	server.judge(t, began, time.Now())
	kept(t, book.judge(t, cluster.ReadMany(storm.Topics()...), relay.Log(t)))
}

// cooked are relays whose books are wrong in one place, and the equations that
// must convict them.
var cooked = []struct {
	name     string
	old, new string // in internal/gateway/ledger.go
	convicts []string
}{
	{"every other answer is not counted", "l.s.Events[row][r]++", "l.s.Events[row][r] += l.s.Received % 2", []string{"acks", "events"}},
	{"records are counted twice when they are produced", "l.s.Produced++", "l.s.Produced += 2", []string{"records"}},
	{"every ack counts as a late one too", "case event.Acked:\n", "case event.Acked:\n\t\tl.s.LateAcks++\n", []string{"acks"}},
}

// TestPrometheusConvicts: what TestPrometheus watches can be wrong, and then it
// says which equation.
func TestPrometheusConvicts(t *testing.T) {
	cluster := rig.Cluster(t, real.Brokers(3))
	setup := real.Setup{Brokers: cluster.Brokers(), Registry: rig.Registry(t).URL(), Secret: secret}
	rig.Registry(t).Register(t, subject, schema)
	cluster.Topics(8, storm.Topics()...)
	servers := make([]watcher, len(cooked))
	books, relays := make([]*book, len(cooked)), make([]*real.Relay, len(cooked))
	for i, c := range cooked {
		setup.Mutant = real.Mutant{File: "internal/gateway/ledger.go", Old: c.old, New: c.new}
		relay := rig.Relay(t, setup)
		servers[i], relays[i], books[i] = prometheus(t, relay), relay, newBook(t)
		warm(t, books[i].sender(t, relay))
	}
	began := time.Now()
	var waits []func()
	for i, b := range books {
		waits = append(waits, b.crowd(t, crowd{name: "c", contacts: 20, events: 10, over: 3 * time.Second, waits: 0.5, beside: 3}, relays[i]))
	}
	for _, wait := range waits {
		wait()
	}
	ended := time.Now()
	for i, c := range cooked {
		if wrong := slices.Sorted(maps.Keys(servers[i].outOfBalance(t, began, ended))); !slices.Equal(wrong, c.convicts) {
			t.Errorf("%s: out of balance: %v, want %v", c.name, wrong, c.convicts)
		}
	}
}

// promtool has Prometheus's own checks look at one scrape.
func promtool(t *testing.T, relay *real.Relay) {
	t.Helper()
	_, exposition := get(t, relay.Admin+"/metrics")
	cmd := exec.CommandContext(t.Context(), tool(t, "promtool"), "check", "metrics")
	cmd.Stdin = strings.NewReader(exposition)
	if said, err := cmd.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, said)
	}
}

// watcher is a Prometheus server.
type watcher string

// prometheus starts one that scrapes the relay every second and evaluates the
// alert rules that we ship.
func prometheus(t *testing.T, relay *real.Relay) watcher {
	t.Helper()
	dir, address := t.TempDir(), real.FreeAddress(t)
	rules, err := filepath.Abs("../../deploy/prometheus/cxrelay.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	target := strings.TrimPrefix(relay.Admin, "http://")
	configuration := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs: [{job_name: cxrelay, static_configs: [{targets: [%q]}]}]\n", rules, target)
	if err := os.WriteFile(configuration, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Process(t, tool(t, "prometheus"), "--config.file="+configuration, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	server := watcher("http://" + address)
	real.Until(t, "Prometheus has scraped the relay", 20*time.Second, func() bool {
		series, err := server.query("query", url.Values{"query": {"up == 1"}})
		return err == nil && len(series) == 1
	})
	return server
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install prometheus", name)
	}
	return path
}

// judge evaluates the ledger in PromQL at every scrape of the range.
func (w watcher) judge(t *testing.T, from, to time.Time) {
	t.Helper()
	scrapes := w.at(t, from, to, `timestamp(cxrelay_events_received_total)`)
	seen := map[float64]bool{}
	for _, at := range scrapes {
		seen[at] = true
	}
	if least := int(to.Sub(from).Seconds()) - 3; len(seen) < least {
		t.Errorf("%d scrapes in %s, want %d", len(seen), to.Sub(from).Round(time.Second), least)
	}
	for equation, times := range w.outOfBalance(t, from, to) {
		t.Errorf("%s: out of balance at %v", equation, times)
	}
	// Equations between values that stand still would hold anyway.
	moving := map[string]int{}
	for _, gauge := range []string{"cxrelay_events_in_flight", "cxrelay_records_pending"} {
		for _, v := range w.at(t, from, to, gauge) {
			if v > 0 {
				moving[gauge]++
			}
		}
		if moving[gauge] == 0 {
			t.Errorf("%s was 0 at every scrape: this shows little", gauge)
		}
	}
	for at, up := range w.at(t, from, to, "up") {
		if up != 1 {
			t.Errorf("a scrape failed before %.3f", at)
		}
	}
	w.rules(t)
	t.Logf("%d scrapes, looked at %d times; above 0: %v", len(seen), len(scrapes), moving)
}

// outOfBalance evaluates the ledger in PromQL at every scrape of the range, and
// returns when which equation did not hold.
func (w watcher) outOfBalance(t *testing.T, from, to time.Time) map[string][]float64 {
	t.Helper()
	wrong := map[string][]float64{}
	for _, e := range ledger {
		for at, difference := range w.at(t, from, to, e.difference) {
			if difference != 0 {
				wrong[e.name] = append(wrong[e.name], at)
			}
		}
	}
	return wrong
}

// at evaluates an expression that gives one series, four times a second, so
// that no scrape is missed. An instant uses the last scrape for all its parts.
func (w watcher) at(t *testing.T, from, to time.Time, expression string) map[float64]float64 {
	t.Helper()
	seconds := func(at time.Time) string { return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64) }
	series, err := w.query("query_range", url.Values{"query": {expression}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {"0.25"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(series) != 1 {
		t.Fatalf("%s: %d series, want one", expression, len(series))
	}
	values := map[float64]float64{}
	for _, point := range series[0].Values {
		v, err := strconv.ParseFloat(point[1].(string), 64)
		if err != nil {
			t.Fatal(err)
		}
		values[point[0].(float64)] = v
	}
	if want := int(to.Sub(from) / (250 * time.Millisecond)); len(values) < want-1 {
		t.Errorf("%s has %d values, want %d", expression, len(values), want)
	}
	return values
}

type series struct {
	Values [][2]any // time, value as text
}

func (w watcher) query(what string, args url.Values) ([]series, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, string(w)+"/api/v1/"+what+"?"+args.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []series }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: %s", args.Get("query"), answer.Error)
	}
	return answer.Data.Result, nil
}

// rules checks that Prometheus could evaluate every alert rule.
func (w watcher) rules(t *testing.T) {
	t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError, State string }
			}
		}
	}
	_, text := get(t, string(w)+"/api/v1/rules")
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	var total int
	var active []string
	for _, group := range answer.Data.Groups {
		for _, rule := range group.Rules {
			total++
			if rule.Health != "ok" {
				t.Errorf("rule %s: %s %s", rule.Name, rule.Health, rule.LastError)
			}
			if rule.State != "inactive" {
				active = append(active, rule.Name+" "+rule.State)
			}
		}
	}
	if total == 0 {
		t.Error("no alert rules are loaded")
	}
	t.Logf("%d alert rules evaluated; not inactive: %v", total, active)
}

func get(t *testing.T, address string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
