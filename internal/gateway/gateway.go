// Package gateway is the path: what happens to one delivery, from the
// received bytes to the answer.
//
// Accept observes and decide works; decide can be read on one screen and is
// the order of events. classify is the only place where an error becomes a
// reason. Everything that the sender, the log and the metrics learn of an
// event passes through here, once.
//
// No HTTP, no Kafka and no registry client belongs into this package.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// Sink delivers records.
type Sink interface {
	// Deliver hands rec to Kafka and waits for the ack or the deadline.
	// It returns nil only if all in-sync replicas have acknowledged rec.
	// From the call on rec belongs to the sink, which calls rec.Release
	// exactly once, possibly long after Deliver has returned. Errors wrap
	// those of package event; the receipt's outcome is set in every case.
	Deliver(rec *event.Record, deadline time.Time) (event.Receipt, error)
}

// Schemas gives the current schema for a subject and a version of it, 0 for
// the latest, without I/O.
type Schemas interface {
	Lookup(subject string, version int) (*schema.Schema, error)
}

// NoContact is the rule for events in which no contact id is found.
type NoContact uint8

// The rules.
const (
	Reject  NoContact = iota // answer no_contact
	EventID                  // make the key of the event id
	NullKey                  // no key, any partition
)

// Source is one configured sender. Immutable.
type Source struct {
	Name      string
	Path      string // of its requests, decoded
	Verifier  *signature.Verifier
	Paths     event.Paths
	NoContact NoContact
	Deadline  time.Duration // from the last body byte to the answer

	// Certified: Verifier verifies nothing, and intake lets through only what
	// comes over a connection whose sender has shown a certificate.
	Certified bool
}

// Options are what New needs. All but OnVerdict are required.
type Options struct {
	Rules      Rules // until Swap
	Sink       Sink
	Ledger     *Ledger
	Log        *slog.Logger
	Registerer prometheus.Registerer
	OnVerdict  func(*Verdict) // called after each answer is decided; must not block, and changes nothing by a panic
}

// Gateway decides about deliveries. Safe for concurrent use.
type Gateway struct {
	opts    Options
	rules   atomic.Pointer[ruleset]
	metrics *metrics
	refused *refusals
	docs    sync.Pool // *jsontape.Doc
}

// New returns a gateway. Run must run for the log lines of refused
// signatures to appear.
func New(o Options) (*Gateway, error) {
	g := &Gateway{opts: o, refused: newRefusals(o.Log)}
	m, err := newMetrics(o)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	g.metrics = m
	g.Swap(o.Rules)
	g.docs.New = func() any { return new(jsontape.Doc) }
	return g, nil
}

// Run writes the log lines that are worked out off the path, until ctx ends.
func (g *Gateway) Run(ctx context.Context) error { return g.refused.run(ctx) }

// Delivery is one request of a sender, wholly read.
type Delivery struct {
	Path        string           // decoded, compared byte for byte; "" is nobody's
	Source      *Source          // set by Begin; nil: no source has this path
	Header      signature.Header // stays valid after the answer
	Body        *Body            // Accept and Refuse take it over; may be nil for Refuse
	ReceivedAt  time.Time
	ReadAt      time.Time // last body byte; the deadline counts from here
	Traceparent string
	Remote      string // peer address, for the log

	rules  *ruleset // set by Begin, kept to the end
	seat   *seat    // likewise
	ticket bool     // counted by Begin
}

// Verdict is what was decided about a delivery.
type Verdict struct {
	Reason     reason.Reason
	Source     string
	Verified   bool        // the signature was right: the event fields may be shown
	Event      event.Event // as far as known
	Detail     string      // for the sender; never set on a 401
	Violations []schema.Violation
	Route      *route.Route // nil: not routed
	Receipt    event.Receipt
	Cause      error // for the log only
	Elapsed    time.Duration
	Remote     string
}

// Begin counts a request at intake, finds its source, and takes the rules that
// hold for it to the end. Exactly one Accept or Refuse must follow.
func (g *Gateway) Begin(d *Delivery) {
	d.rules = g.rules.Load()
	d.seat = d.rules.at(d.Path)
	d.Source = d.seat.source
	d.ticket = true
	g.opts.Ledger.begin()
}

// Accept decides about d, counts and logs the outcome once, and returns it
// for the answer. It waits for Kafka, but never longer than the source's
// deadline; it does not depend on the sender staying connected. A panic below
// it becomes the reason internal.
func (g *Gateway) Accept(d *Delivery) *Verdict {
	v := &Verdict{}
	var handed bool // the sink releases the body
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = NewPanic(p)
			}
		}()
		return g.decide(d, v, &handed)
	}()
	g.observe(d, v, err)
	if !handed {
		d.Body.Release()
	}
	return v
}

// Refuse ends a delivery that intake turned down, with the same counting and
// logging as Accept.
func (g *Gateway) Refuse(d *Delivery, err error) *Verdict {
	v := &Verdict{}
	g.observe(d, v, err)
	if d.Body != nil {
		d.Body.Release()
	}
	return v
}

// decide is the way of an event. A nil error means accepted or dropped.
func (g *Gateway) decide(d *Delivery, v *Verdict, handed *bool) error {
	src, raw, clock := d.Source, d.Body.Bytes(), g.metrics.clock(d)

	secret, err := src.Verifier.Verify(d.Header, raw, d.ReceivedAt)
	clock.done(stageVerify)
	if err != nil {
		return err
	}
	v.Verified = true
	d.Body.verify()
	d.seat.matches[secret].Inc()

	doc := g.docs.Get().(*jsontape.Doc)
	defer func() { g.putDoc(doc) }()
	v.Event, err = event.Parse(doc, raw, jsontape.Limits{}, &src.Paths)
	clock.done(stageParse)
	if err != nil {
		return err
	}

	rt, ok := d.rules.table.Match(src.Name, v.Event.Type)
	v.Route = rt
	d.rules.arrived(rt, d.ReceivedAt)
	if !ok {
		return errUnrouted
	}
	if rt.Drop {
		return nil
	}
	keyed, err := src.NoContact.keyOf(&v.Event)
	if err != nil {
		return err
	}

	sch, err := d.rules.schemas.Lookup(rt.Subject, rt.Version)
	if err != nil {
		return err
	}
	deadline := d.ReadAt.Add(src.Deadline)
	value, violations, err := sch.Check(doc, nil, deadline)
	clock.done(stageValidate)
	if err != nil {
		return fmt.Errorf("validate against %s version %d: %w", sch.Subject, sch.Version, err)
	}
	if violations != nil {
		v.Violations = violations
		return errMismatch
	}
	if rt.Wire == route.Prefix {
		value = d.Body.framed(sch.ID)
	}

	if err := d.Body.record(len(v.Event.ID) + len(v.Event.Type) + len(v.Event.Contact)); err != nil {
		return err
	}
	rec := d.record(&v.Event, keyed, rt, sch, value)
	g.putDoc(doc) // nobody needs it while Kafka is waited for
	doc = nil
	*handed = true
	v.Receipt, err = g.opts.Sink.Deliver(rec, deadline)
	clock.done(stageDeliver)
	return err
}

// keptDoc is the most memory, in bytes, that a pooled document may keep.
const keptDoc = 256 << 10

// putDoc gives a document back; nil has been already.
func (g *Gateway) putDoc(doc *jsontape.Doc) {
	if doc != nil && doc.Size() <= keptDoc {
		doc.Reset() // lets go of the body
		g.docs.Put(doc)
	}
}

// keyOf returns what the record key is made of; "" means no key.
func (n NoContact) keyOf(ev *event.Event) (string, error) {
	switch {
	case ev.HasContact:
		return ev.Contact, nil
	case n == EventID:
		return ev.ID, nil
	case n == NullKey:
		return "", nil
	default:
		return "", errNoContact
	}
}

var (
	errNoContact = errors.New("no configured path finds a contact id")
	errUnrouted  = errors.New("no route for this event type")
	errMismatch  = errors.New("the payload violates its schema")
)
