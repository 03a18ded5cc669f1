package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/signature"
)

const testSecret = "virtual-secret"

var seedTopics = []string{"cxone.interactions.raw", "cxone.dispositions.raw", "cxone.transfers.raw", "cxone.calls.terminated"}

var topicByType = map[string]string{
	"INTERACTION_CREATED": seedTopics[0], "DISPOSITION_UPDATED": seedTopics[1],
	"QUEUE_TRANSFER": seedTopics[2], "CALL_DISCONNECTED": seedTopics[3],
}

// world is the whole relay in virtual time: its listeners, its Kafka and its
// registry are on in-memory networks. What its senders saw is in the journal.
type world struct {
	t        *testing.T
	kafka    *devkit.VirtualKafka
	registry *registry
	front    *kfake.VirtualNetwork // between senders and relays
	mu       sync.Mutex            // of relays, app and log, while relays are started
	relays   []*relay
	serving  atomic.Pointer[relay] // the last of them
	app      *app.App              // its
	log      *logBuffer            // its
	client   *http.Client
	journal  journal
	stop     func() error
	source   config.Source
	level    slog.Level // of the logs
	mutate   func(schema.Definition) schema.Definition

	files  *files         // what the configuration is read from, where it can be reloaded
	hangup chan os.Signal // SIGHUP
	secret atomic.Value   // string: what senders sign with; testSecret
	scheme string         // of the webhook URL; http
	topics []string       // that the judge reads

	ticks   atomic.Int64 // order of what senders see, where virtual time stands still
	deleted []deletion   // of topics
	reader  []kgo.Opt    // what the judge needs to log in
}

// logBuffer is a log that many goroutines write.
type logBuffer struct {
	mu     sync.Mutex
	b      strings.Builder
	frozen bool
}

// freeze ends the log: what is written to it from now on is lost.
func (l *logBuffer) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = true
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen {
		return len(p), nil
	}
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// registry is a schema registry that answers as the test says.
type registry struct {
	mu       sync.Mutex
	handle   http.HandlerFunc // nil: the schema
	padding  int64            // bytes that follow what handle writes
	schema   string
	version  int
	requests int
}

func (r *registry) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.requests++
	handle, padding, schema, version := r.handle, r.padding, r.schema, r.version
	r.mu.Unlock()
	w := httptest.NewRecorder()
	if handle != nil {
		handle(w, req)
	} else {
		_ = json.NewEncoder(w).Encode(map[string]any{"subject": "cxone-data-action-v1", "version": version, "id": 100 + version, "schemaType": "JSON", "schema": schema})
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	resp := w.Result()
	resp.Request = req
	if padding > 0 {
		resp.Body = io.NopCloser(io.MultiReader(resp.Body, io.LimitReader(zeros{}, padding)))
	}
	return resp, nil
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (r *registry) set(change func(*registry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

type worldOptions struct {
	cluster   []kfake.Opt
	brokers   int
	topics    []string // made at the start
	overrides map[string]string
	away      bool   // brokers refuse at the start
	file      string // a configuration file; "" for none
	registry  http.HandlerFunc
	schema    string // of the subject; "" for dev's
	padding   int64  // of the registry's answers
	files     *files // with relay.yaml: the configuration can be reloaded
	env       []string
	level     slog.Level
	mutate    func(schema.Definition) schema.Definition // of what the fast path is made
}

func newWorld(t *testing.T, o worldOptions) *world {
	t.Helper()
	if o.brokers == 0 {
		o.brokers = 3
	}
	if o.topics == nil {
		o.topics = seedTopics
	}
	cluster, err := devkit.NewVirtualKafka(o.brokers, append(o.cluster, kfake.SeedTopics(8, o.topics...))...)
	if err != nil {
		t.Fatal(err)
	}
	if o.away {
		cluster.Cut()
	}
	if o.schema == "" {
		o.schema = devkit.DevSchema
	}
	w := &world{
		t: t, kafka: cluster, front: &kfake.VirtualNetwork{}, source: sourceOf(o), mutate: o.mutate, level: o.level, scheme: "http", topics: union(seedTopics, o.topics),
		hangup: make(chan os.Signal, 1), files: o.files, registry: &registry{version: 1, schema: o.schema, handle: o.registry, padding: o.padding},
	}
	w.secret.Store(testSecret)
	w.newClient()
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	w.stop = sync.OnceValue(func() error { return w.halt(synctest.Wait) })
	t.Cleanup(func() {
		if t.Failed() {
			for _, r := range w.relays {
				t.Logf("log of the relay %s:\n%s", r.instance, r.log)
			}
		}
	})
	return w
}

// union returns what is in either list, once.
func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

// end stops the relay; every test ends with it.
func (w *world) end() {
	w.t.Helper()
	if err := w.stop(); err != nil {
		w.t.Errorf("Run: %v", err)
	}
}

// until waits, in virtual time, for a condition.
func (w *world) until(what string, limit time.Duration, ok func() bool) {
	w.t.Helper()
	for began := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > limit {
			w.t.Fatalf("not within %s: %s (readiness: %+v)", limit, what, w.app.Readiness())
		}
	}
}

func (w *world) untilReady() {
	w.t.Helper()
	w.until("ready", 5*time.Second, func() bool { return w.app.Readiness().Ready })
}

// sent is one event and what its sender was told, in the order of the answers.
type sent struct {
	id, contact, topic string
	n                  int // of the contact
	body               string
	statuses           []int
	reasons            []string

	path, secret string // "": /cxone/webhook, and the world's secret
	key          string // of its record; "": not judged
	evil         bool   // must be answered no 2xx, and be in no topic

	// Ticks; see world.ticks.
	mu         sync.Mutex
	attempts   int
	unanswered int
	firstSent  int64
	acceptedAt int64 // the first 2xx; 0: none
	lastSent   int64 // when the last attempt that was answered 2xx was sent
}

func (s *sent) accepted() bool { return s.acceptedAt > 0 }

// begin notes an attempt before it is sent.
func (s *sent) begin(tick int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	if s.firstSent == 0 {
		s.firstSent = tick
	}
}

// answered notes an answer, to the attempt that was sent at a tick.
func (s *sent) answered(status int, why string, sent, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statuses, s.reasons = append(s.statuses, status), append(s.reasons, why)
	if status/100 == 2 {
		s.lastSent = max(s.lastSent, sent)
		if s.acceptedAt == 0 {
			s.acceptedAt = now
		}
	}
}

// gone notes that an attempt has no answer.
func (s *sent) gone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unanswered++
}

// journal is everything that senders did.
type journal struct {
	mu  sync.Mutex
	all []*sent
}

func (j *journal) add(s *sent) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = append(j.all, s)
}

// event makes the n-th event of a contact; spacing and number are such that
// any re-encoding would show.
func event(kind, contact string, n int) *sent {
	id := fmt.Sprintf("%s-%d", contact, n)
	body := fmt.Sprintf("{ \"eventId\":%q ,\"actionType\":%q,\"contactId\":%q, \"x\":1.0e+2,\"n\":%d,\"é\":\"\\u00e9<&>\"}", id, kind, contact, n)
	return &sent{id: id, contact: contact, topic: topicByType[kind], n: n, body: body}
}

// request makes the request of an event, signed.
func (w *world) request(ctx context.Context, s *sent) (*http.Request, error) {
	scheme, _ := signature.Preset("cxone")
	secret, path := s.secret, s.path
	if secret == "" {
		secret, _ = w.secret.Load().(string)
	}
	if path == "" {
		path = "/cxone/webhook"
	}
	fields, err := signature.Sign(scheme, signature.Secret{ID: "a", Value: []byte(secret)}, []byte(s.body), time.Now(), "")
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.scheme+"://127.0.0.1:8080"+path, strings.NewReader(s.body))
	if err != nil {
		return nil, err
	}
	for _, f := range fields {
		req.Header.Set(f.Name, f.Value)
	}
	return req, nil
}

// deliver sends a request for an event, once. An error means that there is no
// answer.
func (w *world) deliver(s *sent, req *http.Request) (int, string, error) {
	sent := w.ticks.Add(1)
	s.begin(sent)
	resp, err := w.client.Do(req)
	if err != nil {
		s.gone()
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.gone()
		return 0, "", err
	}
	var answer struct{ Reason, EventID string }
	if err := json.Unmarshal(b, &answer); err != nil {
		w.t.Errorf("%s: %q: %v", s.id, b, err)
	}
	if resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" {
		w.t.Errorf("%s: a 503 without Retry-After", s.id)
	}
	s.answered(resp.StatusCode, answer.Reason, sent, w.ticks.Add(1))
	return resp.StatusCode, answer.Reason, nil
}

// post sends an event once and returns status and reason.
func (w *world) post(s *sent) (int, string) {
	req, err := w.request(w.t.Context(), s)
	if err != nil {
		w.t.Error(err)
		return 0, ""
	}
	status, why, err := w.deliver(s, req)
	if err != nil {
		w.t.Errorf("%s: %v", s.id, err)
	}
	return status, why
}

// send sends one event once, into the journal.
func (w *world) send(s *sent) string {
	w.journal.add(s)
	_, why := w.post(s)
	return why
}

// insist sends until the answer is not retryable, with a pause as a sender has it.
func (w *world) insist(s *sent) {
	w.journal.add(s)
	for pause := 500 * time.Millisecond; len(s.statuses) < 1000; pause = min(2*pause, 5*time.Second) {
		if status, _ := w.post(s); status < 500 {
			return
		}
		time.Sleep(pause)
	}
	w.t.Errorf("%s was never accepted", s.id)
}

// load lets contacts send every so often: those with an even number wait for
// each 2xx, the others send on meanwhile, so that several are under way.
func (w *world) load(contacts int, pace time.Duration, until time.Time) (wait func()) {
	kinds := make([]string, 0, len(topicByType))
	for k := range topicByType {
		kinds = append(kinds, k)
	}
	var wg sync.WaitGroup
	for c := range contacts {
		contact, kind, every := fmt.Sprintf("c%d", c), kinds[c%len(kinds)], pace+time.Duration(c)*time.Millisecond
		wg.Go(func() {
			var burst sync.WaitGroup
			for n := 0; time.Now().Before(until); n++ {
				if c%2 == 0 {
					w.insist(event(kind, contact, n))
				} else {
					burst.Go(func() { w.insist(event(kind, contact, n)) })
				}
				time.Sleep(every)
			}
			burst.Wait()
		})
	}
	return wg.Wait
}

// grow gives a topic more partitions, as an operator would.
func (w *world) grow(topic string, partitions int) {
	w.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Brokers...), kgo.Dialer(w.kafka.Dial))
	if err != nil {
		w.t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).UpdatePartitions(w.t.Context(), partitions, topic); err != nil {
		w.t.Fatal(err)
	}
}

// pass lets virtual time pass: whoever calls it runs in a bubble of synctest.
func pass(d time.Duration) { time.Sleep(d) }
