package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/httpd"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// answer is what a sender gets.
type answer struct {
	status  int
	header  http.Header
	members map[string]any
}

// do sends one request and reads its answer.
func (w *world) do(req *http.Request) answer {
	w.t.Helper()
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.read(resp)
}

func (w *world) read(resp *http.Response) answer {
	w.t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header}
	if err := json.Unmarshal(b, &a.members); err != nil {
		w.t.Fatalf("%d %q: %v", resp.StatusCode, b, err)
	}
	return a
}

// way is how one reason comes about, end to end.
type way struct {
	options  worldOptions
	notReady bool // the world is not waited for
	arrange  func(*world)
	send     func(*world) answer
	source   string // "" for cxone
	signed   bool   // the answer and the log name the event
	detail   bool   // the answer has a detail
	produced uint64 // records
}

const (
	goodBody = `{"eventId":"e-1","actionType":"QUEUE_TRANSFER","contactId":"c-1"}`
	fileTop  = "sources:\n  - name: cxone\n    path: /cxone/webhook\n    signature: {preset: %s, secrets: [{id: a, value: %q}]}\n    event: {type: [actionType], contact: [contactId], id: [eventId]}\n"
)

// branching doubles the work with each level of "n".
const branching = `{"properties":{"n":{"anyOf":[{"properties":{"n":{"$ref":"#/properties/n"}},"required":["x"]},{"properties":{"n":{"$ref":"#/properties/n"}},"required":["y"]}]}}}`

func signedBody(body string) func(*world) answer {
	return func(w *world) answer { return w.do(w.signed(body)) }
}

func with(change func(*http.Request)) func(*world) answer {
	return func(w *world) answer {
		req := w.signed(goodBody)
		change(req)
		return w.do(req)
	}
}

// answerStatus is a registry that says nothing but a status.
func answerStatus(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// ways has every reason but internal, which needs a bug; see TestInternal.
func ways() map[reason.Reason][]way {
	type list = []way
	refused := func(body string) list {
		return list{{send: signedBody(body), signed: true, detail: true}}
	}
	const staleSecret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
	return map[reason.Reason][]way{
		reason.Accepted: {{send: signedBody(goodBody), signed: true, produced: 1}},
		reason.Dropped: {{
			options: worldOptions{file: "routes:\n  - {type: \"QUEUE_*\", drop: true}\n"},
			send:    signedBody(goodBody), signed: true, notReady: true,
		}},
		reason.Malformed:   append(refused(`{"actionType":`), refused(`[1]`)...),
		reason.NoEventType: refused(`{"eventId":"e-1","contactId":"c-1"}`),
		reason.NoContact:   refused(`{"eventId":"e-1","actionType":"QUEUE_TRANSFER","contactId":null}`),
		reason.Unrouted:    refused(`{"eventId":"e-1","actionType":"OTHER","contactId":"c-1"}`),
		reason.BodyIncomplete: {{send: func(w *world) answer {
			conn := w.dial()
			defer conn.Close()
			return w.raw(conn, "POST /cxone/webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"actionType\"")
		}}},
		reason.BadSignature: {
			{send: with(func(r *http.Request) { r.Header.Del("X-Cxone-Signature") })},
			{send: with(func(r *http.Request) { r.Header.Set("X-Cxone-Signature", strings.Repeat("0", 64)) })},
		},
		reason.Stale: {{
			options: worldOptions{file: fmt.Sprintf(fileTop, "standard-webhooks", staleSecret)},
			send: func(w *world) answer {
				scheme, _ := signature.Preset("standard-webhooks")
				return w.do(w.signedAs(scheme, staleSecret, goodBody, time.Now().Add(-time.Hour)))
			},
		}},
		reason.NotFound: {{source: "none", send: with(func(r *http.Request) { r.URL.Path += "/" })}},
		reason.MethodNotAllowed: {{send: with(func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = http.MethodGet, nil, 0
		})}},
		reason.TooLarge: {
			{
				options: worldOptions{overrides: map[string]string{"limits.body": "1KiB"}}, detail: true,
				send: signedBody(`{"a":"` + strings.Repeat("x", 2<<10) + `"}`),
			},
			{arrange: smallTopic, options: worldOptions{topics: seedTopics[:2]}, send: signedBody(goodBody), signed: true, detail: true},
		},
		reason.Unsupported: {
			{send: with(func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }), detail: true},
			{send: with(func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=latin1") }), detail: true},
		},
		reason.SchemaMismatch: refused(strings.TrimSuffix(goodBody, "}") + `,"agentId":"seven"}`),
		reason.TooComplex: {{
			options: worldOptions{schema: branching}, signed: true,
			send: signedBody(strings.TrimSuffix(goodBody, "}") + strings.Repeat(`,"n":{"a":1`, 40) + strings.Repeat("}", 41)),
		}},
		reason.Overloaded: {{
			options: worldOptions{overrides: map[string]string{"limits.in_flight_records": "1"}},
			arrange: func(w *world) { w.hangAll(); w.underWay() },
			send:    signedBody(goodBody), signed: true,
		}},
		reason.KafkaUnavailable: {{options: worldOptions{away: true}, notReady: true, arrange: schemaLoaded, send: signedBody(goodBody), signed: true}},
		reason.DeliveryTimeout:  {{arrange: (*world).hangAll, send: signedBody(goodBody), signed: true, produced: 1}},
		reason.TopicUnavailable: {{options: worldOptions{topics: seedTopics[:2]}, send: signedBody(goodBody), signed: true}},
		reason.SchemaUnavailable: {{
			options: worldOptions{registry: answerStatus(500)}, notReady: true, send: signedBody(goodBody), signed: true,
		}},
		reason.Draining: {{send: whileStopping}},
	}
}

func schemaLoaded(w *world) {
	w.until("a schema", 5*time.Second, func() bool { return !strings.Contains(fmt.Sprint(w.app.Readiness().Missing), "schema") })
}

// smallTopic makes the topic of goodBody, with room for nothing.
func smallTopic(w *world) {
	if err := w.kafka.Cluster.CreateTopic(seedTopics[2], 8, map[string]string{"max.message.bytes": "100"}); err != nil {
		w.t.Fatal(err)
	}
	w.until("the topic is usable", 5*time.Second, func() bool { return len(w.app.Readiness().Degraded) == 1 })
}

// underWay starts a request that waits for Kafka, in another partition than
// goodBody's, and returns when it is in flight.
func (w *world) underWay() (done <-chan answer) {
	answered := make(chan answer, 1)
	before := w.app.Books().Produced
	req := w.signed(`{"eventId":"e-0","actionType":"CALL_DISCONNECTED","contactId":"c-0"}`)
	go func() { answered <- w.do(req) }()
	w.until("a record is pending", time.Second, func() bool { return w.app.Books().Produced > before })
	return answered
}

// whileStopping sends on a connection that was open before the stop began.
func whileStopping(w *world) answer {
	conn := w.dial()
	defer conn.Close()
	if a := w.raw(conn, "GET /cxone/webhook HTTP/1.1\r\nHost: a\r\n\r\n"); a.status != 405 {
		w.t.Fatalf("%+v", a)
	}
	w.hangAll()
	w.underWay()
	stop, stopped := w.stop, make(chan error, 1)
	go func() { stopped <- stop() }()
	w.stop = func() error { return <-stopped }
	synctest.Wait()
	return w.raw(conn, fmt.Sprintf("POST /cxone/webhook HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(goodBody), goodBody))
}

// TestEveryReason walks the closed table from a real request to the answer,
// the count and the log line.
func TestEveryReason(t *testing.T) {
	all := ways()
	for _, r := range reason.All() {
		if r == reason.Internal {
			continue
		}
		if len(all[r]) == 0 {
			t.Errorf("no way leads to %s", r)
		}
		for i, c := range all[r] {
			t.Run(fmt.Sprint(r, " ", i), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { c.walk(t, r) })
			})
		}
	}
}

func (c way) walk(t *testing.T, r reason.Reason) {
	w := newWorld(t, c.options)
	defer w.end()
	defer w.kafka.Heal()
	if !c.notReady {
		w.untilReady()
	}
	if c.arrange != nil {
		c.arrange(w)
	}
	before, produced, logged := w.scrape(), w.app.Books().Produced, len(w.log.String())
	w.checkAnswer(c.send(w), r, c)
	synctest.Wait()
	after := w.scrape()
	w.balances(after)

	source := c.source
	if source == "" {
		source = "cxone"
	}
	expect := map[string]float64{eventSeries(source, r): 1}
	if r == reason.Draining { // the way there
		expect[eventSeries("cxone", reason.MethodNotAllowed)] = 1
	}
	got := map[string]float64{}
	for name, v := range after.series {
		if strings.HasPrefix(name, "cxrelay_events_total{") && v > before.series[name] {
			got[name] = v - before.series[name]
		}
	}
	if !maps.Equal(got, expect) {
		t.Errorf("counted %v, want %v", got, expect)
	}
	if n := w.app.Books().Produced - produced; n != c.produced && r != reason.Draining {
		t.Errorf("%d records produced, want %d", n, c.produced)
	}
	var wantErrors float64
	switch r {
	case reason.DeliveryTimeout, reason.KafkaUnavailable, reason.TopicUnavailable:
		wantErrors = 1
	}
	const seedErrors = "cxone_kafka_delivery_errors_total"
	if n := after.series[seedErrors] - before.series[seedErrors]; n != wantErrors {
		t.Errorf("%v delivery errors, want %v", n, wantErrors)
	}
	w.checkLine(w.log.String()[logged:], r, c)
}

// checkAnswer checks status, header and members of one answer.
func (w *world) checkAnswer(a answer, r reason.Reason, c way) {
	w.t.Helper()
	if a.status != r.Status() || a.members["reason"] != r.String() {
		w.t.Fatalf("%d %v, want %d %s", a.status, a.members, r.Status(), r)
	}
	want, kind := []string{"reason"}, "application/json"
	if a.status != 200 {
		want, kind = append(want, "status", "title", "type"), "application/problem+json"
		if a.members["type"] != r.URN() || a.members["title"] != r.Meaning() || a.members["status"] != float64(r.Status()) {
			w.t.Errorf("%v", a.members)
		}
	}
	if c.signed {
		want = append(want, "eventId")
		if id, _ := a.members["eventId"].(string); id != "e-1" && !strings.HasPrefix(id, "sha256:") {
			w.t.Errorf("eventId %q", id)
		}
	}
	if c.detail {
		want = append(want, "detail")
	}
	if r == reason.SchemaMismatch {
		want = append(want, "errors")
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(a.members)); !slices.Equal(got, want) {
		w.t.Errorf("members %v, want %v", got, want)
	}
	if got := a.header.Get("Content-Type"); got != kind {
		w.t.Errorf("Content-Type %s, want %s", got, kind)
	}
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if is503 := a.status == 503; is503 && (err != nil || seconds < 1 || seconds > 5) || !is503 && a.header.Get("Retry-After") != "" {
		w.t.Errorf("%d with Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	if (a.header.Get("Allow") == "POST") != (r == reason.MethodNotAllowed) {
		w.t.Errorf("Allow %q", a.header.Get("Allow"))
	}
}

// checkLine: a refusal has one log line with its reason, a success none.
func (w *world) checkLine(log string, r reason.Reason, c way) {
	w.t.Helper()
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, fmt.Sprintf(`"reason":%q`, r)) {
			lines = append(lines, line)
		}
	}
	if r.Class() == reason.Stop {
		if len(lines) > 0 {
			w.t.Errorf("a line for an event that is well: %s", lines)
		}
		return
	}
	if len(lines) != 1 {
		w.t.Fatalf("%d lines with the reason, want one:\n%s", len(lines), log)
	}
	if signed := strings.Contains(lines[0], `"event_id"`); signed != c.signed {
		w.t.Errorf("event_id in the line: %t, want %t: %s", signed, c.signed, lines[0])
	}
	if !c.signed && strings.Contains(lines[0], "c-1") {
		w.t.Errorf("the line shows an unsigned body: %s", lines[0])
	}
}

// buggy panics where the gateway asks for a schema.
type buggy struct{}

func (buggy) Lookup(string, int) (*schema.Schema, error) { panic("boom") }

// TestInternal: a panic on the path is a 500 that says nothing of it, is
// counted, and the next request is served. No request is known that makes the
// relay panic, so here listener and gateway stand before a schema cache that
// does.
func TestInternal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ledger := newBuggyWorld(t)
		defer w.end()
		for range 2 {
			before := len(w.log.String())
			w.checkAnswer(w.do(w.signed(goodBody)), reason.Internal, way{signed: true})
			line := w.log.String()[before:]
			w.checkLine(line, reason.Internal, way{signed: true})
			if !strings.Contains(line, `"level":"ERROR"`) || !strings.Contains(line, "boom") || !strings.Contains(line, "Lookup") {
				t.Errorf("the line does not say where: %s", line)
			}
		}
		if s := ledger.Snapshot(); s.Received != 2 || s.Events[1][reason.Internal] != 2 || s.InFlight != 0 {
			t.Errorf("books %+v", s)
		}
	})
}

// newBuggyWorld is a world of which only listener and gateway are real.
func newBuggyWorld(t *testing.T) (*world, *gateway.Ledger) {
	front, metrics := &kfake.VirtualNetwork{}, prometheus.NewRegistry()
	w := &world{t: t, log: &logBuffer{}, client: &http.Client{Transport: &http.Transport{DialContext: front.DialContext}}}
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	cfg, _, err := config.Load(config.Source{Env: []string{"CXONE_WEBHOOK_SECRET=" + testSecret, "KAFKA_BROKERS=none:1", "SCHEMA_REGISTRY_URL=http://none"}})
	if err != nil {
		t.Fatal(err)
	}
	builtin := &cfg.Sources[0]
	verifier, err := signature.NewVerifier(builtin.Scheme, builtin.Keys())
	routes, err2 := route.New(cfg.Routes)
	listener, err3 := front.Listen("tcp", "127.0.0.1:8080")
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	source := &gateway.Source{Name: builtin.Name, Path: builtin.Path, Verifier: verifier, Paths: builtin.Event, Deadline: builtin.Deadline}
	ledger := gateway.NewLedger()
	path, err := gateway.New(gateway.Options{Rules: gateway.Rules{Sources: []*gateway.Source{source}, Routes: routes, Schemas: buggy{}}, Ledger: ledger, Log: log, Registerer: metrics})
	if err != nil {
		t.Fatal(err)
	}
	server, err := httpd.New(httpd.Options{
		Gateway: path, Bodies: gateway.NewBodies(gateway.NewBudget(1<<20), true), Listener: listener,
		BodyLimit: 1 << 10, Log: log, Registerer: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	w.stop = func() error {
		w.client.CloseIdleConnections()
		cancel()
		return <-done
	}
	return w, ledger
}
