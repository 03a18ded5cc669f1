package load

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// Event is one event with its bytes and its signature.
type Event struct {
	journal.Event
	Header http.Header // of its requests, beside the usual

	body      []byte
	signature string
	stamped   bool // goes to the source of that kind
	attempts  atomic.Int64
}

// Sender sends events one by one, as a test wants them. Safe for concurrent
// use, of one event not.
type Sender struct{ load *load }

// mostOfSender is how many attempts of a Sender may be under way.
const mostOfSender = 10_000

// NewSender returns a sender; of the options it needs URLs, Secret and
// Journal, and heeds Habits.Pauses. Close it.
func NewSender(o Options) *Sender {
	o.Connections = mostOfSender
	return &Sender{load: newLoad(o, new(Stats))}
}

// Close closes idle connections.
func (s *Sender) Close() { s.load.client.CloseIdleConnections() }

// Event brings an event into being, with a body as Run makes it.
func (s *Sender) Event(contact string, kind Type) *Event {
	return s.load.born(journal.Event{Contact: contact, Type: kind.Name, Topic: kind.Topic}, plan{kind: kind}, nil, false)
}

// Given brings an event into being whose body is given. Of e everything but
// the number and the hash is needed; its contact is the one in the body.
func (s *Sender) Given(e journal.Event, body string) *Event {
	return s.load.born(e, plan{}, []byte(body), false)
}

// Send sends an event once.
func (s *Sender) Send(ctx context.Context, e *Event) journal.Answer {
	return s.load.attempt(ctx, e, false)
}

// Insist sends an event until it is accepted or refused for good, or ctx
// ends, and returns the last answer.
func (s *Sender) Insist(ctx context.Context, e *Event) journal.Answer {
	all := func(pause time.Duration) time.Duration { return pause }
	a, _ := s.load.insist(ctx, e, 0, all, func() bool { return false })
	return a
}

// Once brings one event of a contact into being, of the first type, and sends
// it once, over a connection of its own.
func Once(ctx context.Context, o Options, contact string) journal.Answer {
	s := NewSender(o)
	defer s.Close()
	return s.Send(ctx, s.Event(contact, o.Types[0]))
}
