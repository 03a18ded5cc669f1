package devkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// The event types of the default routing table, in the order in which the
// life of one contact meets them.
const (
	InteractionCreated = "INTERACTION_CREATED"
	QueueTransfer      = "QUEUE_TRANSFER"
	CallDisconnected   = "CALL_DISCONNECTED"
	DispositionUpdated = "DISPOSITION_UPDATED"
)

// EventTypes returns the four types in the order of a contact's life. The
// caller owns the slice.
func EventTypes() []string {
	return []string{InteractionCreated, QueueTransfer, CallDisconnected, DispositionUpdated}
}

// Event is one webhook body and the facts about it that people want to see.
// The facts are read from the body; they are empty where it has none.
type Event struct {
	Body    []byte
	Type    string // actionType
	Contact string // contactId; a number gives its literal
	ID      string // eventId
}

// TrafficOptions says which events NewTraffic makes.
type TrafficOptions struct {
	// Types restricts the events to some of EventTypes, default all.
	Types []string

	// Contact, when not nil, is the contact id of every event, which may be
	// empty. Else Contacts, when above 0, is the number of contacts whose
	// lives are interleaved, each id being used over and over. Else every
	// life is a new contact.
	Contact  *string
	Contacts int

	// Body, when set, is every event's body, byte for byte; Types, Contact
	// and Contacts are not used then.
	Body []byte

	// Set is applied to every body, in order. Members on the way to a set
	// value are encoded anew, everything else keeps its bytes.
	Set []Override

	Seed  uint64    // the same options and seed give the same events
	Start time.Time // when the first contact begins; default 2026-01-05 08:00 UTC
}

// Traffic makes sample events: of the four types, unique in their eventId,
// realistic in shape and size (400 to 1500 bytes), and fit for the schema of
// cxrelay dev. Telephone numbers come from ranges reserved for fiction.
// Not safe for concurrent use.
type Traffic struct {
	opts  TrafficOptions
	fixed Event // every event, when opts.Body is set
	rng   *rand.Rand
	clock time.Time
	lives []life
}

// NewTraffic checks the options. It returns an error for a type that is not
// one of EventTypes, and for Set values that the Body, or the samples of one
// of the types, cannot take.
func NewTraffic(o TrafficOptions) (*Traffic, error) {
	if len(o.Types) == 0 {
		o.Types = EventTypes()
	}
	for _, t := range o.Types {
		if !slices.Contains(EventTypes(), t) {
			return nil, fmt.Errorf("unknown event type %q (known: %s)", t, strings.Join(EventTypes(), ", "))
		}
	}
	if o.Contacts < 0 {
		return nil, errors.New("the number of contacts is negative")
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	}
	if o.Body != nil {
		body, err := applyAll(o.Body, o.Set)
		if err != nil {
			return nil, err
		}
		o.Body = body
	} else if err := trySet(o); err != nil {
		return nil, err
	}
	return newTraffic(o), nil
}

func newTraffic(o TrafficOptions) *Traffic {
	t := &Traffic{opts: o, fixed: describe(o.Body), rng: rand.New(rand.NewPCG(o.Seed, 0x6378_7265_6c61_7921)), clock: o.Start.UTC()}
	t.lives = make([]life, max(1, o.Contacts))
	return t
}

// tries is how many events have shown every shape that samples come in: which
// members can be null, and how long each array can be.
const tries = 400

// trySet sets the values in samples of every shape, so that no later one
// refuses them.
func trySet(o TrafficOptions) error {
	if len(o.Set) == 0 {
		return nil
	}
	for e := range newTraffic(TrafficOptions{Types: o.Types, Start: o.Start}).Events(tries) {
		if _, err := applyAll(e.Body, o.Set); err != nil {
			return fmt.Errorf("%w (in a sample of %s)", err, e.Type)
		}
	}
	return nil
}

// Events returns the next n events, made one at a time while ranging.
func (t *Traffic) Events(n int) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for range n {
			if !yield(t.Next()) {
				return
			}
		}
	}
}

// Next makes one event. The caller owns it, but must not change the Body of
// an event when TrafficOptions.Body was set.
func (t *Traffic) Next() Event {
	if t.opts.Body != nil {
		return t.fixed
	}
	l := &t.lives[t.rng.IntN(len(t.lives))]
	if len(l.todo) == 0 {
		t.begin(l)
	}
	kind := l.todo[0]
	l.todo = l.todo[1:]
	s := t.build(l, kind)
	head := s.head()
	e := Event{Body: encode(s), Type: kind, Contact: head.ContactID, ID: head.EventID}
	if len(t.opts.Set) == 0 {
		return e
	}
	body, err := applyAll(e.Body, t.opts.Set)
	if err != nil {
		panic("devkit: " + err.Error()) // trySet has seen every shape
	}
	return describe(body)
}

// life is one contact on its way from the first ring to the disposition.
type life struct {
	todo      []string // types still to come, in order
	contact   string
	master    string
	caller    string
	called    string
	direction string
	media     string
	agent     agent
	queue     queue
	began     time.Time
	now       time.Time
	held      int
}

// begin starts a new life in l. A pooled contact keeps its ids.
func (t *Traffic) begin(l *life) {
	contact, master := l.contact, l.master
	if master == "" || (t.opts.Contacts == 0 && t.opts.Contact == nil) {
		contact = t.contactID()
		master = contact
		if t.rng.IntN(4) == 0 { // reached us by a transfer: the first leg's id is the master
			master = t.contactID()
		}
	}
	if t.opts.Contact != nil {
		contact = *t.opts.Contact
	}
	t.clock = t.clock.Add(t.between(200*time.Millisecond, 5*time.Second))
	*l = life{
		todo:      t.opts.Types,
		contact:   contact,
		master:    master,
		direction: pick(t.rng, "inbound", "inbound", "inbound", "outbound"),
		media:     pick(t.rng, "voice", "voice", "voice", "callback"),
		agent:     pick(t.rng, agents...),
		queue:     pick(t.rng, queues...),
		caller:    t.phone(),
		called:    t.phone(),
		began:     t.clock,
		now:       t.clock,
	}
}

func (t *Traffic) contactID() string {
	return fmt.Sprintf("%012d", 200_000_000_000+t.rng.Int64N(800_000_000_000))
}

// phone returns an E.164 number of a range that regulators keep free for
// drama: 555-01xx (NANPA), 020 7946 0xxx (Ofcom), 030 23125 xxx
// (Bundesnetzagentur).
func (t *Traffic) phone() string {
	switch t.rng.IntN(3) {
	case 0:
		return fmt.Sprintf("+1%d55501%02d", pick(t.rng, 212, 303, 415, 617), t.rng.IntN(100))
	case 1:
		return fmt.Sprintf("+442079460%03d", t.rng.IntN(1000))
	default:
		return fmt.Sprintf("+493023125%03d", t.rng.IntN(1000))
	}
}

func (t *Traffic) between(low, high time.Duration) time.Duration {
	return low + time.Duration(t.rng.Int64N(int64(high-low)))
}

// uuid returns a random UUID, version 4 (RFC 9562 §5.4).
func (t *Traffic) uuid() string {
	hi, lo := t.rng.Uint64(), t.rng.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&0xffff_ffff_ffff)
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// encode gives compact JSON that leaves <, > and & as they are, as most
// senders do.
func encode(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("devkit: sample event cannot be encoded: " + err.Error()) // only strings, integers and structs of them
	}
	return bytes.TrimRight(buf.Bytes(), "\n")
}

// describe reads the facts of a body, as far as it has any.
func describe(body []byte) Event {
	e := Event{Body: body}
	members, err := decodeObject(body)
	if err != nil {
		return e
	}
	for _, m := range members {
		switch m.name {
		case "actionType":
			e.Type = plain(m.value)
		case "contactId":
			e.Contact = plain(m.value)
		case "eventId":
			e.ID = plain(m.value)
		}
	}
	return e
}

// plain gives the text of a string and the literal of a number, else "".
func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if c := raw[0]; c == '-' || (c >= '0' && c <= '9') {
		return string(raw)
	}
	return ""
}
