// Package judge decides from a journal, from everything that is in Kafka and
// from the relay's log whether the relay kept its promise. It shares no code
// with the relay: keys and headers are worked out here again.
//
// What it looks for, by the word that a fault begins with:
//
//	LOST        an event was answered 2xx and is in no topic
//	CHANGED     a record's value is not what was signed
//	MISROUTED   a record is in another topic than its type's
//	MISKEYED    a record's key is not its contact's
//	MISLABELLED a record's headers are not its event's, or not those of docs/records.md
//	MISTIMED    a record's timestamp is not of the time when its event was sent
//	MOVED       a contact is in two partitions of one topic
//	REORDERED   an event that was accepted before another of its contact and
//	            topic was first sent stands behind it
//	SEQUENCE    the numbers of one writer in one partition do not ascend
//	GAP         a number is missing there, and no log line says why
//	FORGED      a record that no sender of ours signed
//	ADMITTED    an attack was answered 2xx
//	BROKEN      an attack was answered 5xx
//	MISANSWERED an attack was answered otherwise than it must be: one that is not
//	            signed with 401, so that it learns nothing
//	UNTRUE      an event was answered 2xx with another reason than accepted, or
//	            with the id of another event
//	REFUSED     an event is there of which every attempt was answered that nothing was written
//	MULTIPLIED  an event has more records than attempts that may have written one
//	REPEATED    a record is there twice, with the same number of its writer: not
//	            the relay wrote it again, but Kafka
//	TOO FEW     the run is too small to say anything
package judge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// Record is one record of Kafka.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
	EventID   string // header cxrelay-event-id
	Origin    string // header cxrelay-origin
	Labels    Labels
}

// Judge collects the evidence of one run: the journal first, then the records
// of each partition in the order of their offsets, and the log at any time.
// Not safe for concurrent use.
type Judge struct {
	// Forgetful brokers forget, when they are killed, which records of a
	// producer they have, so that its retry is written again. Then what is
	// repeated is counted and is no fault. Kafka's own brokers do not forget.
	Forgetful bool

	// AnyTime: the relay's clock is not that of the senders.
	AnyTime bool

	events   []event
	contacts names
	topics   names
	own      map[string]int32   // events whose id is not that of their number
	keys     []string           // by contact
	homes    map[[2]int32]int32 // contact and topic: partition
	lanes    map[lane]int       // the highest number so far
	kinds    names              // of events
	sources  map[int32]string   // by contact
	gaps     []gap              // to be explained
	failed   map[place]bool     // what the log says was never written

	verdict Verdict
}

// event is what is known of one event. There may be ten million of them.
type event struct {
	sum      [16]byte // front of the SHA-256
	sent     int64    // first attempt
	accepted int64    // first answer 2xx; 0: none
	offset   int64    // first record
	contact  int32
	topic    int32
	attempts uint16
	refused  uint16 // attempts of which the answer says that they wrote nothing
	records  uint16
	kind     int16
	named    bool // has an id of its own
}

// lane is one writer in one partition.
type lane struct {
	writer    string
	topic     int32
	partition int32
}

// place is one record of one start of the relay, as far as a log line tells it.
type place struct {
	topic     string
	partition int
	seq       int
}

type gap struct {
	place
	before string
}

// names gives small numbers to texts.
type names struct {
	byName map[string]int32
	all    []string
}

func (n *names) number(name string) int32 {
	if i, ok := n.byName[name]; ok {
		return i
	}
	if n.byName == nil {
		n.byName = make(map[string]int32)
	}
	i := int32(len(n.all))
	n.byName[name] = i
	n.all = append(n.all, name)
	return i
}

// New returns a judge that has seen nothing yet.
func New() *Judge {
	return &Judge{sources: map[int32]string{}, own: map[string]int32{}, homes: map[[2]int32]int32{}, lanes: map[lane]int{}, failed: map[place]bool{}}
}

// Journal takes what the senders wrote.
func (j *Judge) Journal(from io.Reader) error {
	return journal.Read(from, j.entry)
}

func (j *Judge) entry(e journal.Entry) error {
	switch e.Kind {
	case 'E':
		return j.born(e.Event)
	case 'X':
		j.attacked(e.Name, e.Answer)
		return nil
	case 'F':
		j.attacked(e.Name, e.Answer)
		j.due(e.Name, e.Answer, e.Due)
		return nil
	case 'M':
		return nil
	}
	if e.Event.Number >= len(j.events) {
		return fmt.Errorf("event %d is not known", e.Event.Number)
	}
	ev := &j.events[e.Event.Number]
	if e.Kind == 'S' {
		j.verdict.Attempts++
		ev.attempts++
		if ev.sent == 0 {
			ev.sent = e.At.UnixNano()
		}
		return nil
	}
	switch status := e.Answer.Status; {
	case status >= 200 && status < 300:
		if e.Answer.Reason != "accepted" {
			j.fault("UNTRUE", "event %d was answered %d %s", e.Event.Number, status, e.Answer.Reason)
		}
		if ev.accepted == 0 {
			j.verdict.Accepted++
			ev.accepted = e.At.UnixNano()
		}
	case definite(e.Answer):
		ev.refused++
		if status < 500 && e.Answer.Reason != "body_incomplete" {
			j.verdict.Refused++
		}
	}
	return nil
}

func (j *Judge) born(e journal.Event) error {
	if e.Number != len(j.events) {
		return fmt.Errorf("event %d where %d was expected", e.Number, len(j.events))
	}
	sum, err := hex.DecodeString(e.SHA256)
	if err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("event %d: %q is no SHA-256", e.Number, e.SHA256)
	}
	ev := event{contact: j.contacts.number(e.Contact), topic: j.topics.number(e.Topic), kind: int16(j.kinds.number(e.Type))}
	copy(ev.sum[:], sum)
	if int(ev.contact) == len(j.keys) {
		h := fnv.New64a()
		_, _ = io.WriteString(h, e.Contact) // a hash takes everything
		j.keys = append(j.keys, fmt.Sprintf("pk-%016x", h.Sum64()))
	}
	if ev.named = e.Own != ""; ev.named {
		if _, known := j.number(e.Own); known {
			return fmt.Errorf("event %d: there is another with the id %q", e.Number, e.Own)
		}
		j.own[e.Own] = int32(e.Number)
	}
	j.events = append(j.events, ev)
	return nil
}

// attacked: a relay that is full, stopping or without a schema yet may say so,
// which is before it asks Kafka. net/http answers some broken requests itself,
// without a reason; 501 is its word for a transfer coding that it does not know,
// 505 for a version of HTTP.
func (j *Judge) attacked(name string, a journal.Answer) {
	j.verdict.Attacks++
	switch {
	case a.Status >= 200 && a.Status < 300:
		j.fault("ADMITTED", "attack %q was answered %d %s", name, a.Status, a.Reason)
	case a.Status == 503 && slices.Contains([]string{"overloaded", "draining", "schema_unavailable"}, a.Reason), (a.Status == 501 || a.Status == 505) && a.Reason == "":
	case a.Status >= 500:
		j.fault("BROKEN", "attack %q was answered %d %s", name, a.Status, a.Reason)
	}
}

// Record takes one record.
func (j *Judge) Record(r *Record) {
	j.verdict.Records++
	topic := j.topics.number(r.Topic)
	where := fmt.Sprintf("%s/%d@%d", r.Topic, r.Partition, r.Offset)
	n, ok := j.number(r.EventID)
	if !ok {
		j.sequence(r, topic, where, false)
		j.fault("FORGED", "%s: no sender of ours sent event %q", where, r.EventID)
		return
	}
	ev := &j.events[n]
	if j.sequence(r, topic, where, ev.records > 0) {
		return
	}
	if sum := sha256.Sum256(r.Value); !slices.Equal(sum[:len(ev.sum)], ev.sum[:]) {
		j.fault("CHANGED", "%s: the value of %s is not what was signed", where, r.EventID)
	}
	if topic != ev.topic {
		j.fault("MISROUTED", "%s: %s belongs to %s", where, r.EventID, j.topics.all[ev.topic])
	}
	if key := j.keys[ev.contact]; string(r.Key) != key {
		j.fault("MISKEYED", "%s: %s has the key %q, want %q", where, r.EventID, r.Key, key)
	}
	j.label(r, ev, where)
	home := [2]int32{ev.contact, topic}
	if p, ok := j.homes[home]; !ok {
		j.homes[home] = r.Partition
	} else if p != r.Partition {
		j.fault("MOVED", "%s: contact %s was in partition %d", where, j.contacts.all[ev.contact], p)
	}
	if ev.records == 0 {
		ev.offset = r.Offset
	} else {
		j.verdict.Duplicates++
	}
	ev.records++
	if ev.records > ev.attempts-ev.refused && ev.refused < ev.attempts { // else it is REFUSED
		j.fault("MULTIPLIED", "%s: record %d of %s, which was sent %d times, %d of them in vain", where, ev.records, r.EventID, ev.attempts, ev.refused)
	}
}

// sequence checks the origin: <instance>/<start id>/<seq>. It returns whether
// the record is one that Kafka has written before; known tells whether its
// event has a record already.
func (j *Judge) sequence(r *Record, topic int32, where string, known bool) (repeated bool) {
	cut := strings.LastIndexByte(r.Origin, '/')
	seq, err := strconv.Atoi(r.Origin[cut+1:])
	if err != nil || cut < 0 || seq < 1 {
		j.fault("SEQUENCE", "%s: origin %q", where, r.Origin)
		return false
	}
	l := lane{writer: r.Origin[:cut], topic: topic, partition: r.Partition}
	last := j.lanes[l]
	switch {
	case seq <= last && known:
		j.verdict.Repeated++
		if !j.Forgetful {
			j.fault("REPEATED", "%s: %d of %s is there a second time, after %d", where, seq, l.writer, last)
		}
		return true
	case seq <= last:
		j.fault("SEQUENCE", "%s: %d of %s after %d", where, seq, l.writer, last)
		return false
	}
	for n := last + 1; n < seq && len(j.gaps) < mostGaps; n++ {
		j.gaps = append(j.gaps, gap{place{r.Topic, int(r.Partition), n}, where})
	}
	j.lanes[l] = seq
	return false
}

// mostGaps bounds memory: so many are a disaster however many they are.
const mostGaps = 100_000
