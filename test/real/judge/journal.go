// Package judge sends events as webhook senders do, remembers every answer,
// and judges from that journal, from what is in Kafka and from the relay's
// log whether the relay kept its promise.
//
// It knows neither how the relay nor how Kafka is started, and it shares no
// code with the relay: signatures, keys and headers are worked out here again.
package judge

import (
	"fmt"
	"sync"
	"time"
)

// The relay's built-in routes: types and their topics.
var topics = map[string]string{
	"INTERACTION_CREATED": "cxone.interactions.raw",
	"DISPOSITION_UPDATED": "cxone.dispositions.raw",
	"QUEUE_TRANSFER":      "cxone.transfers.raw",
	"CALL_DISCONNECTED":   "cxone.calls.terminated",
}

// Types returns the event types that the relay routes without a
// configuration file, in a fixed order.
func Types() []string {
	return []string{"INTERACTION_CREATED", "DISPOSITION_UPDATED", "QUEUE_TRANSFER", "CALL_DISCONNECTED"}
}

// Topics returns their topics, in the same order.
func Topics() []string {
	var all []string
	for _, kind := range Types() {
		all = append(all, topics[kind])
	}
	return all
}

// Event is one event of a journal with everything its sender was told.
type Event struct {
	ID, Type, Contact, Topic string
	Body                     string
	Sent                     time.Time // first
	Answers                  []Answer  // one per attempt
}

// Answer is how one attempt ended.
type Answer struct {
	At     time.Time
	Took   time.Duration // from the last byte of the request to the last of the answer
	Status int           // 0: no answer
	Reason string
	Err    error // of the transport
}

// Accepted tells whether the sender was told that the event is safe, and when.
func (e *Event) Accepted() (time.Time, bool) {
	if len(e.Answers) == 0 {
		return time.Time{}, false
	}
	last := e.Answers[len(e.Answers)-1]
	return last.At, last.Status == 200
}

// NewEvent makes an event whose spacing, escapes and numbers are such that
// decoding and encoding it again would show.
func NewEvent(kind, contact string, n int) *Event {
	id := fmt.Sprintf("%s-%d", contact, n)
	return &Event{ID: id, Type: kind, Contact: contact, Topic: topics[kind], Body: fmt.Sprintf(
		"{ \"eventId\":%q ,\t\"z\":1.0e+2,\"actionType\":%q,\n \"contactId\":%q,\"a\":900719925474010%02d,\"é\":\"\\u00e9<&>\\/ 📞\" }", id, kind, contact, n%100)}
}

// Journal is everything that senders did. Safe for concurrent use; what it
// holds may be read when all senders have ended.
type Journal struct {
	mu     sync.Mutex
	events []*Event
}

func (j *Journal) add(e *Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// Events returns all events, in the order of their first attempt.
func (j *Journal) Events() []*Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]*Event(nil), j.events...)
}

// Answers returns every answer of every event.
func (j *Journal) Answers() []Answer {
	var all []Answer
	for _, e := range j.Events() {
		all = append(all, e.Answers...)
	}
	return all
}
