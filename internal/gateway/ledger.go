package gateway

import (
	"slices"
	"sync"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/reason"
)

// Ledger counts events and records so that the books balance at every
// moment: one lock guards all of it, and a Snapshot is taken under that lock.
//
//	received = Σ events[source][reason] + in flight
//	produced = acked + failed + pending
//	acked    = Σ events[source][accepted] + late acks
//
// Safe for concurrent use.
type Ledger struct {
	mu sync.Mutex
	s  Snapshot
}

// Snapshot is one consistent view of the ledger.
type Snapshot struct {
	Received uint64
	InFlight int64
	Sources  []string               // that ever were, in the order of their coming; the first is "none"
	Events   [][reason.Count]uint64 // by index in Sources

	Produced uint64
	Acked    uint64
	Failed   uint64
	Pending  int64
	LateAcks uint64

	DeliveryErrors uint64 // the seed's cxone_kafka_delivery_errors_total
}

// NewLedger returns a ledger that knows of no source yet.
func NewLedger() *Ledger {
	return &Ledger{s: Snapshot{Sources: []string{sourceNone}, Events: make([][reason.Count]uint64, 1)}}
}

// row returns the index of a source by its name, a new one for a new name.
// Rows stay for good: what was counted is never taken back.
func (l *Ledger) row(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.s.Sources, name); i >= 0 {
		return i
	}
	l.s.Sources = append(l.s.Sources, name)
	l.s.Events = append(l.s.Events, [reason.Count]uint64{})
	return len(l.s.Sources) - 1
}

// Snapshot returns a copy of the books.
func (l *Ledger) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.s
	s.Events = slices.Clone(l.s.Events) // the names are never written to again
	return s
}

// begin counts one event at intake.
func (l *Ledger) begin() {
	l.mu.Lock()
	l.s.Received++
	l.s.InFlight++
	l.mu.Unlock()
}

// end counts the answer of one event together with what became of its
// record, in one step: an ack and its accepted event are never seen apart.
func (l *Ledger) end(row int, r reason.Reason, o event.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.s.InFlight--
	l.s.Events[row][r]++
	switch o {
	case event.Acked:
		l.s.Acked++
		l.s.Pending--
	case event.Failed:
		l.s.Failed++
		l.s.Pending--
	case event.NotProduced, event.Pending:
	}
	switch {
	case r == reason.DeliveryTimeout, r == reason.KafkaUnavailable, r == reason.TopicUnavailable, o == event.Failed:
		l.s.DeliveryErrors++
	}
}

// Produced counts a record that is about to be handed to the Kafka client.
func (l *Ledger) Produced() {
	l.mu.Lock()
	l.s.Produced++
	l.s.Pending++
	l.mu.Unlock()
}

// LateAck counts the ack of a record whose event was answered already.
func (l *Ledger) LateAck() {
	l.mu.Lock()
	l.s.Acked++
	l.s.LateAcks++
	l.s.Pending--
	l.mu.Unlock()
}

// LateFailure counts the failure of a record whose event was answered
// already. The event was counted as a delivery error when it was answered.
func (l *Ledger) LateFailure() {
	l.mu.Lock()
	l.s.Failed++
	l.s.Pending--
	l.mu.Unlock()
}
