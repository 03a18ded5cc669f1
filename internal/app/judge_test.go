package app_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/reason"
)

// verdictOf is what a judgement found, for tests that expect duplicates.
type verdictOf struct{ accepted, records, duplicates int }

// judge reads every topic back and checks the promise against the journal:
// every 2xx is there byte for byte, each (topic, key) is in one partition,
// each origin's sequence ascends in it without a gap, who waited is in order,
// and every produce request was acks=all with a producer id.
func (w *world) judge() verdictOf {
	w.t.Helper()
	records, err := w.kafka.ReadAll(w.t.Context(), w.topics...)
	if err != nil {
		w.t.Fatal(err)
	}
	first := map[string]int{} // event id -> index of its first record
	v := verdictOf{records: len(records)}
	byPlace := map[string]map[int32]bool{}
	for i, r := range records {
		id := header(r, "cxrelay-event-id")
		if _, again := first[id]; again {
			v.duplicates++
		} else {
			first[id] = i
		}
		place := r.Topic + " " + string(r.Key)
		if byPlace[place] == nil {
			byPlace[place] = map[int32]bool{}
		}
		byPlace[place][r.Partition] = true
	}
	for place, partitions := range byPlace {
		if len(partitions) != 1 {
			w.t.Errorf("%s is in partitions %v", place, partitions)
		}
	}
	w.judgeEvents(records, first, &v)
	w.judgeSequences(records)
	w.judgeLedger()
	if n, wrong := w.kafka.Produced(); n == 0 || len(wrong) > 0 {
		w.t.Errorf("%d produce requests, wrong: %v", n, wrong)
	}
	return v
}

func (w *world) judgeEvents(records []*kgo.Record, first map[string]int, v *verdictOf) {
	w.t.Helper()
	known := map[string]*sent{}
	last := map[string]*kgo.Record{} // by waiting contact and topic
	for _, s := range w.journal.all {
		known[s.id] = s
		if !s.accepted() {
			continue
		}
		v.accepted++
		i, ok := first[s.id]
		if !ok {
			w.t.Errorf("LOST: %s was answered 200 and is in no topic", s.id)
			continue
		}
		r := records[i]
		if string(r.Value) != s.body || r.Topic != s.topic {
			w.t.Errorf("CHANGED: %s in %s: %q, sent %q for %s", s.id, r.Topic, r.Value, s.body, s.topic)
		}
		if even(s.contact) {
			if before := last[s.contact+s.topic]; before != nil && before.Offset >= r.Offset {
				w.t.Errorf("REORDERED: %s at %d, its predecessor at %d", s.id, r.Offset, before.Offset)
			}
			last[s.contact+s.topic] = r
		}
	}
	for id := range first {
		if known[id] == nil {
			w.t.Errorf("FORGED: %s was never sent", id)
		}
	}
}

func even(contact string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(contact, "c"))
	return err == nil && n%2 == 0
}

// judgeSequences: in each partition the sequence of each origin starts at 1
// and has no gap, but for what a log line says.
func (w *world) judgeSequences(records []*kgo.Record) {
	w.t.Helper()
	next := map[string]int{}
	for _, r := range records {
		origin := header(r, "cxrelay-origin")
		cut := strings.LastIndexByte(origin, '/')
		seq, err := strconv.Atoi(origin[cut+1:])
		if err != nil {
			w.t.Errorf("origin %q: %v", origin, err)
			continue
		}
		lane := fmt.Sprintf("%s %s/%d", origin[:cut], r.Topic, r.Partition)
		for next[lane]++; next[lane] < seq; next[lane]++ {
			if !strings.Contains(w.log.String(), fmt.Sprintf(`"partition":%d,"seq":%d,`, r.Partition, next[lane])) {
				w.t.Errorf("GAP: %s: %d is missing before %d, and no log line says why", lane, next[lane], seq)
			}
		}
		if seq < next[lane] {
			w.t.Errorf("SEQUENCE: %s: %d after %d", lane, seq, next[lane]-1)
			next[lane]--
		}
	}
}

// judgeLedger: the books balance and agree with the journal.
func (w *world) judgeLedger() {
	w.t.Helper()
	answers := map[string]uint64{}
	var received uint64
	for _, s := range w.journal.all {
		for _, why := range s.reasons {
			answers[why]++
			received++
		}
	}
	s := w.app.Books()
	if s.Received != received || s.InFlight != 0 {
		w.t.Errorf("received %d, in flight %d; senders have %d answers", s.Received, s.InFlight, received)
	}
	for _, r := range reason.All() {
		var n uint64
		for _, row := range s.Events {
			n += row[r]
		}
		if n != answers[r.String()] {
			w.t.Errorf("%s: counted %d, senders saw %d", r, n, answers[r.String()])
		}
	}
	if s.Produced != s.Acked+s.Failed+uint64(s.Pending) || s.Acked != answers["accepted"]+s.LateAcks || s.Pending != 0 {
		w.t.Errorf("records do not balance: %+v", s)
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
