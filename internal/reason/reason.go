// Package reason is the closed set of answers that cxrelay gives.
//
// One word serves everywhere: it is the metric label, the log attribute, the
// member of the problem body, the row in the documentation and the argument
// of "explain". Adding, removing or renaming a reason, or changing its status,
// is a breaking change of the public contract and goes into CHANGELOG.md.
//
// The package imports nothing but the standard library and decides nothing:
// which reason an event gets is decided in package gateway.
package reason

import "net/http"

// Class says what a sender should do with an answer.
type Class uint8

// The classes.
const (
	Stop  Class = iota + 1 // done, nothing more to send
	Fix                    // sending the same again cannot succeed
	Retry                  // the same request may succeed later
)

// String returns "stop", "fix" or "retry".
func (c Class) String() string {
	switch c {
	case Stop:
		return "stop"
	case Fix:
		return "fix"
	case Retry:
		return "retry"
	default:
		return "unknown"
	}
}

// Reason is one member of the closed set. The zero value is no reason at all.
type Reason uint8

// The reasons, in the order in which the way of an event meets them.
const (
	Accepted Reason = iota + 1
	Dropped
	Malformed
	NoEventType
	NoContact
	Unrouted
	BodyIncomplete
	BadSignature
	Stale
	NotFound
	MethodNotAllowed
	TooLarge
	Unsupported
	SchemaMismatch
	TooComplex
	Internal
	Overloaded
	KafkaUnavailable
	DeliveryTimeout
	TopicUnavailable
	SchemaUnavailable
	Draining

	end // one past the last reason
)

// Count is the number of reasons plus one: an array indexed by Reason has
// this length, with index 0 unused.
const Count = int(end)

type row struct {
	name    string
	status  int
	class   Class
	meaning string
}

var table = [Count]row{
	Accepted:          {"accepted", http.StatusOK, Stop, "acked by Kafka, acks=all"},
	Dropped:           {"dropped", http.StatusOK, Stop, "the route says drop"},
	Malformed:         {"malformed", http.StatusBadRequest, Fix, "not strict JSON, over a JSON limit, or not an object"},
	NoEventType:       {"no_event_type", http.StatusBadRequest, Fix, "no configured path finds an event type"},
	NoContact:         {"no_contact", http.StatusBadRequest, Fix, "no configured path finds a contact id"},
	Unrouted:          {"unrouted", http.StatusBadRequest, Fix, "no route for this event type"},
	BodyIncomplete:    {"body_incomplete", http.StatusBadRequest, Retry, "the declared body never arrived: client gone, or read time-out"},
	BadSignature:      {"bad_signature", http.StatusUnauthorized, Fix, "signature wrong or missing"},
	Stale:             {"stale", http.StatusUnauthorized, Fix, "signed time outside the window"},
	NotFound:          {"not_found", http.StatusNotFound, Fix, "no source has this path; paths match exactly"},
	MethodNotAllowed:  {"method_not_allowed", http.StatusMethodNotAllowed, Fix, "only POST is accepted"},
	TooLarge:          {"too_large", http.StatusRequestEntityTooLarge, Fix, "over the body limit, or over the topic's max.message.bytes"},
	Unsupported:       {"unsupported", http.StatusUnsupportedMediaType, Fix, "content encoding other than identity, or charset other than UTF-8"},
	SchemaMismatch:    {"schema_mismatch", http.StatusUnprocessableEntity, Fix, "the payload violates its schema"},
	TooComplex:        {"too_complex", http.StatusUnprocessableEntity, Fix, "validation ran out of its work budget"},
	Internal:          {"internal", http.StatusInternalServerError, Retry, "a bug in cxrelay; the log has the details"},
	Overloaded:        {"overloaded", http.StatusServiceUnavailable, Retry, "a relay-wide bound is reached: bytes or records in flight, or connections"},
	KafkaUnavailable:  {"kafka_unavailable", http.StatusServiceUnavailable, Retry, "Kafka does not acknowledge; nothing was produced"},
	DeliveryTimeout:   {"delivery_timeout", http.StatusServiceUnavailable, Retry, "produced, but not acknowledged by the deadline; the record may still be written"},
	TopicUnavailable:  {"topic_unavailable", http.StatusServiceUnavailable, Retry, "this route's topic is missing, recreated, denied, or has fewer partitions than pinned"},
	SchemaUnavailable: {"schema_unavailable", http.StatusServiceUnavailable, Retry, "no usable schema for this route yet"},
	Draining:          {"draining", http.StatusServiceUnavailable, Retry, "the relay is stopping"},
}

// All returns every reason, in declaration order. The caller owns the slice.
func All() []Reason {
	all := make([]Reason, 0, Count-1)
	for r := Accepted; r < end; r++ {
		all = append(all, r)
	}
	return all
}

// Parse finds a reason by its word.
func Parse(word string) (Reason, bool) {
	for _, r := range All() {
		if table[r].name == word {
			return r, true
		}
	}
	return 0, false
}

func (r Reason) row() row {
	if r == 0 || r >= end {
		return row{name: "unknown", status: http.StatusInternalServerError, class: Retry, meaning: "not a reason"}
	}
	return table[r]
}

// String returns the word, such as "bad_signature".
func (r Reason) String() string { return r.row().name }

// Status returns the HTTP status code of the answer.
func (r Reason) Status() int { return r.row().status }

// Class returns what the sender should do.
func (r Reason) Class() Class { return r.row().class }

// Meaning returns one line for people.
func (r Reason) Meaning() string { return r.row().meaning }

// URN returns the problem type of RFC 9457, "urn:cxrelay:reason:<word>".
func (r Reason) URN() string { return "urn:cxrelay:reason:" + r.String() }
