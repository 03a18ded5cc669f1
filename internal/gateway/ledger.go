package gateway

import (
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
	Events   [][reason.Count]uint64 // by source index; index 0 is "none"

	Produced uint64
	Acked    uint64
	Failed   uint64
	Pending  int64
	LateAcks uint64

	DeliveryErrors uint64 // the seed's cxone_kafka_delivery_errors_total
}

// NewLedger returns a ledger for the given number of sources, "none" not counted.
func NewLedger(sources int) *Ledger {
	return &Ledger{s: Snapshot{Events: make([][reason.Count]uint64, sources+1)}}
}

// Snapshot returns a copy of the books.
func (l *Ledger) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.s
	s.Events = append([][reason.Count]uint64(nil), l.s.Events...)
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
func (l *Ledger) end(source int, r reason.Reason, o event.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.s.InFlight--
	l.s.Events[source][r]++
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
