// Package event holds what travels along the path: the event as it was
// signed, the record made of it, and the receipt or error that delivery gave.
package event

import (
	"errors"
	"time"
)

// Event is what the relay acts on. Its strings are copies: they stay valid
// when the body's buffer has gone back to its pool.
type Event struct {
	Type       string
	Contact    string
	HasContact bool   // false: no configured path found a contact id
	ID         string // the event's own id, or "sha256:<64 hex digits>" of the body
}

// Paths are the ordered lists of places where the three facts are looked for.
type Paths struct {
	Type, Contact, ID []Path
}

// Errors of Parse, besides *jsontape.SyntaxError.
var (
	ErrNotObject = errors.New("the top-level JSON value is not an object")
	ErrNoType    = errors.New("no configured path finds an event type")
)

// Header is one record header.
type Header struct {
	Key   string
	Value []byte
}

// Record is one event on its way into Kafka.
type Record struct {
	EventID   string // for the log
	Topic     string
	Key       []byte // nil: no key, any partition
	Value     []byte
	Headers   []Header
	Timestamp time.Time // when the request was received

	// Held is how many bytes of memory the record holds until Release, Value's
	// included, for the bounds on what is in flight. Delivery counts a record
	// by its batch where that is more.
	Held int64

	// Release gives the memory behind Value back. Delivery calls it exactly
	// once, after the last use of Value. May be nil.
	Release func()
}

// Outcome says what is known of a record when Deliver returns.
type Outcome uint8

// The outcomes.
const (
	NotProduced Outcome = iota // the record never reached the Kafka client
	Pending                    // produced, unknown yet: it may still be written
	Acked                      // acknowledged by all in-sync replicas
	Failed                     // produced and given up: no ack will come; it may be written if an answer was lost
)

// Receipt is what delivery knows of one record.
type Receipt struct {
	Outcome   Outcome
	Topic     string
	Partition int32 // -1: none was chosen
	Offset    int64 // -1: unknown
	Seq       uint64
}

// Errors of delivery. What a Kafka client or an operator needs to know is
// wrapped around them; callers test with errors.Is.
var (
	ErrOverloaded       = errors.New("relay-wide bound on records or bytes in flight reached")
	ErrKafkaUnavailable = errors.New("kafka does not acknowledge")
	ErrTopicUnavailable = errors.New("topic cannot be written")
	ErrDeliveryTimeout  = errors.New("no acknowledgement by the deadline")
	ErrOutcomeUnknown   = errors.New("no acknowledgement, and the record may have been written")
	ErrTooLarge         = errors.New("record is larger than the topic's max.message.bytes")
	ErrDraining         = errors.New("the relay is stopping")
)
