package gateway_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// sink answers as the test says, and plays the producer's part of the books.
type sink struct {
	ledger  *gateway.Ledger
	outcome event.Outcome
	err     error
	panics  bool
	records []*event.Record
}

func (s *sink) Deliver(rec *event.Record, _ time.Time) (event.Receipt, error) {
	if s.panics {
		panic("boom")
	}
	s.records = append(s.records, &event.Record{
		Topic: rec.Topic, Key: append([]byte(nil), rec.Key...), Value: append([]byte(nil), rec.Value...),
		Headers: rec.Headers, Timestamp: rec.Timestamp,
	})
	if s.outcome != event.NotProduced {
		s.ledger.Produced()
	}
	if s.outcome != event.Pending {
		rec.Release()
	}
	return event.Receipt{Outcome: s.outcome, Topic: rec.Topic, Partition: 3, Offset: 7, Seq: 1}, s.err
}

// schemas knows one subject; its validator finds what the test says.
type schemas struct {
	violations []schema.Violation
	err        error // of the engine
	panics     bool
}

func (s *schemas) Lookup(subject string, _ int) (*schema.Schema, error) {
	if subject == "unknown" {
		return nil, fmt.Errorf("%w: subject %s is not in the registry", schema.ErrUnavailable, subject)
	}
	return &schema.Schema{Subject: subject, Version: 2, ID: 0x01020304, Validator: s}, nil
}

func (s *schemas) Check(doc *jsontape.Doc, _ []byte) ([]byte, []schema.Violation, error) {
	if s.panics {
		panic("boom")
	}
	return doc.Raw(), s.violations, s.err
}

type rig struct {
	t        testing.TB
	gateway  *gateway.Gateway
	ledger   *gateway.Ledger
	budget   *gateway.Budget
	bodies   *gateway.Bodies
	source   *gateway.Source
	sink     *sink
	schemas  *schemas
	log      *lockedBuffer
	registry *prometheus.Registry
	secret   signature.Secret
	scheme   signature.Scheme
}

// lockedBuffer is a log that two goroutines may write.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func paths(t testing.TB, texts ...string) (all []event.Path) {
	t.Helper()
	for _, s := range texts {
		p, err := event.ParsePath(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func newRig(t testing.TB, change func(*gateway.Options)) *rig {
	t.Helper()
	scheme, _ := signature.Preset("cxone")
	r := &rig{
		t: t, ledger: gateway.NewLedger(), budget: gateway.NewBudget(1 << 20), schemas: &schemas{},
		log: &lockedBuffer{}, registry: prometheus.NewRegistry(), scheme: scheme,
		secret: signature.Secret{ID: "2026-11", Value: []byte("s3cret-value")},
	}
	r.bodies = gateway.NewBodies(r.budget, true)
	r.sink = &sink{ledger: r.ledger, outcome: event.Acked}
	verifier, err := signature.NewVerifier(scheme, []signature.Secret{r.secret})
	if err != nil {
		t.Fatal(err)
	}
	table, err := route.New([]route.Route{
		{Pattern: "CALL", Topic: "calls", Subject: "s"},
		{Pattern: "FRAMED", Topic: "framed", Subject: "s", Wire: route.Prefix, Key: route.KeyRaw},
		{Pattern: "NO_SCHEMA", Topic: "calls", Subject: "unknown"},
		{Pattern: "TYPING_*", Drop: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.source = &gateway.Source{
		Name: "cxone", Path: "/hook", Verifier: verifier, Deadline: 2 * time.Second,
		Paths: event.Paths{Type: paths(t, "actionType"), Contact: paths(t, "contactId"), ID: paths(t, "eventId")},
	}
	o := gateway.Options{
		Rules: gateway.Rules{Sources: []*gateway.Source{r.source}, Routes: table, Schemas: r.schemas}, Sink: r.sink, Ledger: r.ledger,
		Log:        slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: r.registry,
	}
	if change != nil {
		change(&o)
	}
	if r.gateway, err = gateway.New(o); err != nil {
		t.Fatal(err)
	}
	return r
}

// delivery makes a request of body, signed with secret.
func (r *rig) delivery(body string, secret signature.Secret) *gateway.Delivery {
	r.t.Helper()
	fields, err := signature.Sign(r.scheme, secret, []byte(body), time.Now(), "")
	if err != nil {
		r.t.Fatal(err)
	}
	d := &gateway.Delivery{Path: r.source.Path, ReceivedAt: time.Now(), ReadAt: time.Now(), Remote: "192.0.2.7:4711", Body: r.body(body)}
	d.Header = func(name string) (values []string) {
		for _, f := range fields {
			if strings.EqualFold(f.Name, name) {
				values = append(values, f.Value)
			}
		}
		return values
	}
	return d
}

func (r *rig) body(text string) *gateway.Body {
	r.t.Helper()
	b := r.bodies.Get(int64(len(text)))
	for len(text) > 0 {
		n := copy(b.Spare(), text)
		if err := b.Advance(n); err != nil {
			r.t.Fatal(err)
		}
		text = text[n:]
	}
	return b
}

func (r *rig) accept(body string) *gateway.Verdict {
	r.t.Helper()
	d := r.delivery(body, r.secret)
	r.gateway.Begin(d)
	return r.gateway.Accept(d)
}

// balanced checks the ledger's three laws and that no body bytes are held.
func (r *rig) balanced() gateway.Snapshot {
	r.t.Helper()
	s := r.ledger.Snapshot()
	var events, accepted uint64
	for _, row := range s.Events {
		for _, n := range row {
			events += n
		}
		accepted += row[reason.Accepted]
	}
	if s.Received != events+uint64(s.InFlight) {
		r.t.Errorf("received %d, answered %d, in flight %d", s.Received, events, s.InFlight)
	}
	if s.Produced != s.Acked+s.Failed+uint64(s.Pending) {
		r.t.Errorf("produced %d, acked %d, failed %d, pending %d", s.Produced, s.Acked, s.Failed, s.Pending)
	}
	if s.Acked != accepted+s.LateAcks {
		r.t.Errorf("acked %d, accepted %d, late %d", s.Acked, accepted, s.LateAcks)
	}
	return s
}

const good = `{"eventId":"e-1","actionType":"CALL","contactId":"c-1"}`

func TestAccepted(t *testing.T) {
	r := newRig(t, nil)
	d := r.delivery(good, r.secret)
	d.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	r.gateway.Begin(d)
	if s := r.balanced(); s.Received != 1 || s.InFlight != 1 {
		t.Errorf("after Begin: %+v", s)
	}
	v := r.gateway.Accept(d)
	if v.Reason != reason.Accepted || v.Event.ID != "e-1" || v.Receipt.Offset != 7 || !v.Verified {
		t.Errorf("%+v", v)
	}
	s := r.balanced()
	want := gateway.Snapshot{Received: 1, Sources: s.Sources, Events: s.Events, Produced: 1, Acked: 1}
	if fmt.Sprint(s) != fmt.Sprint(want) || s.Events[1][reason.Accepted] != 1 {
		t.Errorf("books %+v", s)
	}
	rec := r.sink.records[0]
	if rec.Topic != "calls" || string(rec.Key) != "pk-"+fnv("c-1") || string(rec.Value) != good || !rec.Timestamp.Equal(d.ReceivedAt) {
		t.Errorf("record %+v", rec)
	}
	var headers []string
	for _, h := range rec.Headers {
		headers = append(headers, h.Key+"="+string(h.Value))
	}
	if got := strings.Join(headers, " "); got != "cxrelay-event-id=e-1 cxrelay-source=cxone cxrelay-type=CALL cxrelay-schema-id=16909060 traceparent="+d.Traceparent {
		t.Errorf("headers %s", got)
	}
	if used := r.budget.Used(); used != 0 {
		t.Errorf("%d body bytes held", used)
	}
}

// fnv is FNV-1a 64 as the seed has it, written down again.
func fnv(s string) string {
	h := uint64(14695981039346656037)
	for _, c := range []byte(s) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return fmt.Sprintf("%016x", h)
}

func TestFramedAndRawKey(t *testing.T) {
	r := newRig(t, nil)
	body := `{"actionType":"FRAMED","contactId":900719925474010002}`
	if v := r.accept(body); v.Reason != reason.Accepted {
		t.Fatalf("%+v", v)
	}
	rec := r.sink.records[0]
	if string(rec.Value) != "\x00\x01\x02\x03\x04"+body || string(rec.Key) != "900719925474010002" {
		t.Errorf("value %q, key %q", rec.Value, rec.Key)
	}
}

// TestReasons walks every way out of decide and Refuse: the reason, what is
// shown, and that exactly this was counted.
func TestReasons(t *testing.T) {
	mismatch := []schema.Violation{{Pointer: "/agentId", Keyword: "type", Expected: "integer", Actual: "string"}}
	wrap := func(err error) error { return fmt.Errorf("broker 1: %w", err) }
	for name, c := range map[string]struct {
		body    string
		arrange func(*rig)
		want    reason.Reason
		detail  string // a part of it; "" means none may be shown
		errors  bool   // counts as a delivery error of the seed
		acked   uint64
		failed  uint64
		pending int64
	}{
		"dropped":             {body: `{"actionType":"TYPING_STARTED"}`, want: reason.Dropped},
		"malformed":           {body: `{"actionType":"CALL"`, want: reason.Malformed, detail: "byte 20"},
		"not an object":       {body: `[1]`, want: reason.Malformed, detail: "object"},
		"no type":             {body: `{"contactId":"1"}`, want: reason.NoEventType, detail: "type"},
		"no contact":          {body: `{"actionType":"CALL","contactId":null}`, want: reason.NoContact, detail: "contact"},
		"unrouted":            {body: `{"actionType":"OTHER","contactId":"1"}`, want: reason.Unrouted, detail: "route"},
		"schema unavailable":  {body: `{"actionType":"NO_SCHEMA","contactId":"1"}`, want: reason.SchemaUnavailable},
		"mismatch":            {body: good, arrange: func(r *rig) { r.schemas.violations = mismatch }, want: reason.SchemaMismatch, detail: "schema"},
		"too complex":         {body: good, arrange: func(r *rig) { r.schemas.err = fmt.Errorf("engine: %w", schema.ErrTooComplex) }, want: reason.TooComplex},
		"engine failed":       {body: good, arrange: func(r *rig) { r.schemas.err = errors.New("engine") }, want: reason.Internal},
		"engine panics":       {body: good, arrange: func(r *rig) { r.schemas.panics = true }, want: reason.Internal},
		"sink panics":         {body: good, arrange: func(r *rig) { r.sink.panics = true }, want: reason.Internal},
		"too large":           {body: good, arrange: not(event.ErrTooLarge), want: reason.TooLarge, detail: "max.message.bytes"},
		"overloaded":          {body: good, arrange: not(event.ErrOverloaded), want: reason.Overloaded},
		"kafka unavailable":   {body: good, arrange: not(event.ErrKafkaUnavailable), want: reason.KafkaUnavailable, errors: true},
		"topic unavailable":   {body: good, arrange: not(wrap(event.ErrTopicUnavailable)), want: reason.TopicUnavailable, errors: true},
		"draining":            {body: good, arrange: not(event.ErrDraining), want: reason.Draining},
		"timeout":             {body: good, arrange: outcome(event.Pending, event.ErrDeliveryTimeout), want: reason.DeliveryTimeout, errors: true, pending: 1},
		"refused by kafka":    {body: good, arrange: outcome(event.Failed, event.ErrTooLarge), want: reason.TooLarge, detail: "max.message.bytes", errors: true, failed: 1},
		"failed, no topic":    {body: good, arrange: outcome(event.Failed, event.ErrTopicUnavailable), want: reason.TopicUnavailable, errors: true, failed: 1},
		"an error of no kind": {body: good, arrange: outcome(event.Failed, errors.New("odd")), want: reason.Internal, errors: true, failed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			if c.arrange != nil {
				c.arrange(r)
			}
			v := r.accept(c.body)
			if v.Reason != c.want || !v.Verified || v.Event.ID == "" {
				t.Errorf("%s, verified %t, id %q: %v", v.Reason, v.Verified, v.Event.ID, v.Cause)
			}
			if (c.detail == "") != (v.Detail == "") || !strings.Contains(v.Detail, c.detail) {
				t.Errorf("detail %q, want %q", v.Detail, c.detail)
			}
			s := r.balanced()
			if s.Received != 1 || s.InFlight != 0 || s.Events[1][c.want] != 1 || s.Acked != c.acked || s.Failed != c.failed || s.Pending != c.pending || (s.DeliveryErrors == 1) != c.errors {
				t.Errorf("books %+v", s)
			}
			if log := r.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "reason="+c.want.String()) {
				t.Errorf("want one line with the reason, got:\n%s", log)
			}
		})
	}
}

// TestWatcherPanics: who watches the verdicts changes none of them.
func TestWatcherPanics(t *testing.T) {
	r := newRig(t, func(o *gateway.Options) { o.OnVerdict = func(*gateway.Verdict) { panic("boom") } })
	for body, want := range map[string]reason.Reason{good: reason.Accepted, `{"actionType":"OTHER","contactId":"1"}`: reason.Unrouted} {
		if v := r.accept(body); v.Reason != want {
			t.Errorf("%s, want %s", v.Reason, want)
		}
	}
	if s := r.balanced(); s.Received != 2 || s.InFlight != 0 || s.Events[1][reason.Accepted] != 1 || s.Events[1][reason.Unrouted] != 1 {
		t.Errorf("books %+v", s)
	}
	if n := strings.Count(r.log.String(), "panic in who watches"); n != 2 {
		t.Errorf("%d lines about the panics, want 2:\n%s", n, r.log)
	}
	counted := strings.NewReader(`# HELP cxrelay_panics_total Panics while an event was decided, which is answered internal, or shown to who watches; each one is a bug.
# TYPE cxrelay_panics_total counter
cxrelay_panics_total 2
`)
	if err := testutil.GatherAndCompare(r.registry, counted, "cxrelay_panics_total"); err != nil {
		t.Error(err)
	}
}

func not(err error) func(*rig) { return outcome(event.NotProduced, err) }

func outcome(o event.Outcome, err error) func(*rig) {
	return func(r *rig) { r.sink.outcome, r.sink.err = o, err }
}

func TestLateResults(t *testing.T) {
	r := newRig(t, nil)
	r.sink.outcome, r.sink.err = event.Pending, event.ErrDeliveryTimeout
	for range 3 {
		r.accept(good)
	}
	if s := r.balanced(); s.Pending != 3 || s.Produced != 3 {
		t.Errorf("books %+v", s)
	}
	r.ledger.LateAck()
	r.balanced()
	r.ledger.LateFailure()
	s := r.balanced()
	if s.Pending != 1 || s.Acked != 1 || s.LateAcks != 1 || s.Failed != 1 || s.DeliveryErrors != 3 {
		t.Errorf("books %+v", s)
	}
}

// TestRefuse: what intake turns down is counted and logged like the rest.
func TestRefuse(t *testing.T) {
	for want, err := range map[reason.Reason]error{
		reason.NotFound:         gateway.ErrNotFound,
		reason.MethodNotAllowed: gateway.ErrMethod,
		reason.TooLarge:         fmt.Errorf("%w of 10 bytes", gateway.ErrBodyLimit),
		reason.Unsupported:      fmt.Errorf("%w: content encoding gzip", gateway.ErrUnsupported),
		reason.BodyIncomplete:   fmt.Errorf("%w: unexpected EOF", gateway.ErrIncomplete),
		reason.Overloaded:       gateway.ErrBudget,
		reason.Draining:         gateway.ErrDraining,
		reason.Internal:         gateway.NewPanic("boom"),
	} {
		t.Run(want.String(), func(t *testing.T) {
			r := newRig(t, nil)
			d := &gateway.Delivery{Path: r.source.Path, ReceivedAt: time.Now(), Body: r.body("abc")}
			index := 1
			if want == reason.NotFound {
				d.Path, index = "/elsewhere", 0
			}
			r.gateway.Begin(d)
			v := r.gateway.Refuse(d, err)
			if v.Reason != want || v.Verified || v.Event.ID != "" {
				t.Errorf("%+v", v)
			}
			if s := r.balanced(); s.Events[index][want] != 1 || s.InFlight != 0 || r.budget.Used() != 0 {
				t.Errorf("books %+v, %d bytes held", s, r.budget.Used())
			}
		})
	}
	r := newRig(t, nil)
	d := &gateway.Delivery{Path: r.source.Path, ReceivedAt: time.Now()}
	r.gateway.Begin(d)
	if v := r.gateway.Refuse(d, gateway.ErrConnections); v.Reason != reason.Overloaded {
		t.Errorf("connections: %s", v.Reason)
	}
}

func TestNoContactRules(t *testing.T) {
	for rule, want := range map[gateway.NoContact]string{gateway.EventID: "pk-" + fnv("e-9"), gateway.NullKey: ""} {
		r := newRig(t, nil)
		r.source.NoContact = rule
		if v := r.accept(`{"eventId":"e-9","actionType":"CALL","contactId":" "}`); v.Reason != reason.Accepted {
			t.Fatalf("%s: %v", v.Reason, v.Cause)
		}
		if got := string(r.sink.records[0].Key); got != want {
			t.Errorf("rule %d: key %q, want %q", rule, got, want)
		}
	}
}

// TestUnsigned: nothing of an unsigned body is looked at, shown or kept.
func TestUnsigned(t *testing.T) {
	r := newRig(t, nil)
	d := r.delivery(`{"eventId":"EVIL-1","actionType":"CALL","contactId":"c"}`, signature.Secret{ID: "x", Value: []byte("wrong")})
	r.gateway.Begin(d)
	v := r.gateway.Accept(d)
	if v.Reason != reason.BadSignature || v.Verified || v.Event.ID != "" || v.Detail != "" {
		t.Errorf("%+v", v)
	}
	if len(r.sink.records) != 0 || r.balanced().Produced != 0 || r.budget.Used() != 0 {
		t.Error("an unsigned request got further than the signature")
	}
}

// BenchmarkAccept is the path without HTTP, Kafka and the schema engine.
func BenchmarkAccept(b *testing.B) {
	r := newRig(b, nil)
	body := corpus.Cases()[0].Body
	table, err := route.New([]route.Route{{Pattern: "*", Topic: "calls", Subject: "s"}})
	if err != nil {
		b.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{
		Rules: gateway.Rules{Sources: []*gateway.Source{r.source}, Routes: table, Schemas: r.schemas}, Sink: instant{}, Ledger: r.ledger,
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	fields, err := signature.Sign(r.scheme, r.secret, body, time.Now(), "")
	if err != nil {
		b.Fatal(err)
	}
	values := []string{fields[0].Value}
	header := func(string) []string { return values }
	bodies := gateway.NewBodies(r.budget, false)
	b.ReportAllocs()
	for b.Loop() {
		got := bodies.Get(int64(len(body)))
		if err := got.Advance(copy(got.Spare(), body)); err != nil {
			b.Fatal(err)
		}
		d := &gateway.Delivery{Path: r.source.Path, Header: header, Body: got, ReceivedAt: time.Now(), ReadAt: time.Now()}
		g.Begin(d)
		if v := g.Accept(d); v.Reason != reason.Accepted {
			b.Fatal(v.Reason, v.Cause)
		}
	}
}

// instant is a sink that acknowledges at once.
type instant struct{}

func (instant) Deliver(rec *event.Record, _ time.Time) (event.Receipt, error) {
	rec.Release()
	return event.Receipt{}, nil
}
