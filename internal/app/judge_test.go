package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/devkit"
	events "github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/reason"
)

// deletion is a topic that was deleted: what was sent before may be gone.
type deletion struct {
	topic string
	tick  int64
}

// keyOf is the default key of a contact's records.
func keyOf(contact string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(contact))
	return fmt.Sprintf("pk-%016x", h.Sum64())
}

// verdictOf is what a judgement found, for tests that expect duplicates.
type verdictOf struct{ accepted, records, duplicates int }

// judge reads every topic back and checks the promise against the journal:
// every 2xx is there byte for byte, nothing is that was refused for good or
// never sent, each (topic, key) is in one partition, each origin's sequence
// ascends in it without a gap, who was answered before another was sent stands
// before it, and every produce request was acks=all with a producer id.
func (w *world) judge() verdictOf {
	w.t.Helper()
	records, err := devkit.ReadAll(w.t.Context(), w.topics, append(w.reader, kgo.SeedBrokers(w.kafka.Brokers...), kgo.Dialer(w.kafka.Dial))...)
	if err != nil {
		w.t.Fatal(err)
	}
	first := map[string]*kgo.Record{} // by event id
	copies := map[string]int{}
	v := verdictOf{records: len(records)}
	byPlace := map[string]map[int32]bool{}
	for _, r := range records {
		id := header(r, "cxrelay-event-id")
		copies[id]++
		if first[id] != nil {
			v.duplicates++
		} else {
			first[id] = r
		}
		place := r.Topic + " " + string(r.Key)
		if byPlace[place] == nil {
			byPlace[place] = map[int32]bool{}
		}
		byPlace[place][r.Partition] = true
	}
	for place, partitions := range byPlace {
		if len(partitions) != 1 {
			w.t.Errorf("MOVED: %s is in partitions %v", place, partitions)
		}
	}
	w.judgeEvents(first, copies, &v)
	w.judgeOrder(records)
	w.judgeSequences(records)
	w.judgeLedger()
	if n, wrong := w.kafka.Produced(); n == 0 || len(wrong) > 0 {
		w.t.Errorf("%d produce requests, wrong: %v", n, wrong)
	}
	return v
}

func (w *world) judgeEvents(first map[string]*kgo.Record, copies map[string]int, v *verdictOf) {
	w.t.Helper()
	known := map[string]*sent{}
	for _, s := range w.journal.all {
		known[s.id] = s
		r := first[s.id]
		switch {
		case s.evil && s.accepted():
			w.t.Errorf("ADMITTED: %s was answered %v", s.id, s.statuses)
		case s.evil && r != nil:
			w.t.Errorf("FORGED: %s is in %s", s.id, r.Topic)
		case !s.accepted() && r != nil && s.refused():
			w.t.Errorf("REFUSED: %s was answered %v and is in %s", s.id, s.reasons, r.Topic)
		}
		if s.accepted() {
			v.accepted++
		}
		if r == nil {
			if s.accepted() && !w.wiped(s, s.lastSent) && !slices.Contains(s.reasons, "dropped") {
				w.t.Errorf("LOST: %s was answered 200 and is in no topic", s.id)
			}
			continue
		}
		if string(r.Value) != s.body || r.Topic != s.topic || s.key != "" && string(r.Key) != s.key {
			w.t.Errorf("CHANGED: %s in %s under %s: %q, sent %q for %s", s.id, r.Topic, r.Key, r.Value, s.body, s.topic)
		}
		if copies[s.id] > s.attempts && !w.kafka.Confused(r.Topic, r.Partition) {
			w.t.Errorf("MULTIPLIED: %s was sent %d times and is there %d times", s.id, s.attempts, copies[s.id])
		}
	}
	for id := range first {
		if known[id] == nil {
			w.t.Errorf("FORGED: %s was never sent", id)
		}
	}
}

// refused tells whether every attempt was answered by a reason after which
// nothing may be written.
func (s *sent) refused() bool {
	for i, status := range s.statuses {
		switch why := s.reasons[i]; {
		case status/100 == 4 && why != reason.BodyIncomplete.String():
		case why == "kafka_unavailable", why == "schema_unavailable", why == "draining":
		default:
			return false
		}
	}
	return s.unanswered == 0
}

// wiped tells whether the topic was deleted after an attempt was sent, so that
// its record may be gone.
func (w *world) wiped(s *sent, attempt int64) bool {
	return slices.ContainsFunc(w.deleted, func(d deletion) bool { return d.topic == s.topic && attempt < d.tick })
}

// judgeOrder: in each contact and topic, the first record of an event that was
// accepted before another one was sent stands before that of the other.
func (w *world) judgeOrder(records []*kgo.Record) {
	w.t.Helper()
	known := map[string]*sent{}
	for _, s := range w.journal.all {
		known[s.id] = s
	}
	latest := map[string]*sent{} // by contact and topic: of those before, the one that was sent last
	seen := map[*sent]bool{}
	for _, r := range records {
		s := known[header(r, "cxrelay-event-id")]
		if s == nil || seen[s] {
			continue
		}
		seen[s] = true
		before := latest[s.contact+" "+s.topic]
		if before != nil && s.accepted() && s.acceptedAt < before.firstSent && !w.wiped(s, s.firstSent) {
			w.t.Errorf("REORDERED: %s at %s/%d@%d was accepted before %s was sent, and stands behind it", s.id, r.Topic, r.Partition, r.Offset, before.id)
		}
		if before == nil || before.firstSent < s.firstSent {
			latest[s.contact+" "+s.topic] = s
		}
	}
}

// judgeSequences: in each partition the sequence of each origin starts at 1
// and has no gap, but for what a log line says. What a deleted topic held is
// in no log; the sequence goes on behind it.
func (w *world) judgeSequences(records []*kgo.Record) {
	w.t.Helper()
	next := map[string]int{}
	said := w.said()
	for _, r := range records {
		origin := header(r, "cxrelay-origin")
		cut := strings.LastIndexByte(origin, '/')
		seq, err := strconv.Atoi(origin[cut+1:])
		if err != nil {
			w.t.Errorf("origin %q: %v", origin, err)
			continue
		}
		instance, _, _ := strings.Cut(origin, "/")
		place := fmt.Sprintf("%s/%d", r.Topic, r.Partition)
		lane := origin[:cut] + " " + place
		wiped := slices.ContainsFunc(w.deleted, func(d deletion) bool { return d.topic == r.Topic })
		if next[lane] == 0 && wiped {
			next[lane] = seq - 1
		}
		for next[lane]++; next[lane] < seq; next[lane]++ {
			if !said[fmt.Sprintf("%s %s/%d", instance, place, next[lane])] {
				w.t.Errorf("GAP: %s: %d is missing before %d, and no log line says why", lane, next[lane], seq)
			}
		}
		if seq < next[lane] {
			next[lane]--
			if !w.kafka.Confused(r.Topic, r.Partition) {
				w.t.Errorf("SEQUENCE: %s: %d after %d", lane, seq, next[lane])
			}
		}
	}
}

// said are the places of records of which a log line says that Kafka did not
// take them, by instance. That an answer did not come in time explains nothing,
// nor may a record depend on its sender.
func (w *world) said() map[string]bool {
	all := map[string]bool{}
	for _, r := range w.relays {
		for line := range strings.Lines(r.log.String()) {
			if !strings.Contains(line, `"seq":`) {
				continue
			}
			var l struct {
				Topic, Cause string
				Partition    int32
				Seq          int
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				w.t.Errorf("log line %q: %v", line, err)
			}
			if strings.Contains(l.Cause, events.ErrDeliveryTimeout.Error()) || strings.Contains(l.Cause, context.Canceled.Error()) {
				continue
			}
			all[fmt.Sprintf("%s %s/%d/%d", r.instance, l.Topic, l.Partition, l.Seq)] = true
		}
	}
	return all
}

// judgeLedger: the books of all relays balance, and agree with the journal:
// every answer was counted, and nothing else but attempts whose answer nobody
// got.
func (w *world) judgeLedger() {
	w.t.Helper()
	answers := map[string]uint64{}
	var answered, unanswered uint64
	for _, s := range w.journal.all {
		for _, why := range s.reasons {
			answers[why]++
			answered++
		}
		unanswered += uint64(s.unanswered) //nolint:gosec // a count
	}
	counted := map[string]uint64{}
	var received, acked, late uint64
	for _, r := range w.relays {
		s := r.app.Books()
		received, acked, late = received+s.Received, acked+s.Acked, late+s.LateAcks
		w.balancesAtTheEnd(r, s)
		for _, why := range reason.All() {
			for _, row := range s.Events {
				counted[why.String()] += row[why]
			}
		}
	}
	if received < answered || received > answered+unanswered {
		w.t.Errorf("received %d; senders have %d answers, and %d times none", received, answered, unanswered)
	}
	for why, n := range counted {
		if n < answers[why] || n > answers[why]+unanswered {
			w.t.Errorf("%s: counted %d, senders saw %d, and %d times nothing", why, n, answers[why], unanswered)
		}
	}
	if acked != counted["accepted"]+late {
		w.t.Errorf("acked %d, accepted %d, late %d", acked, counted["accepted"], late)
	}
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}
