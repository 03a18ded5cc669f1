package judge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Verdict is what a judgement found.
type Verdict struct {
	Accepted   int // events answered 2xx
	Records    int
	Duplicates int      // records beyond the first of an event
	Faults     []string // broken promises: "LOST: …"; empty if the relay kept them
}

func (v *Verdict) fault(format string, args ...any) {
	v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
}

// Count returns how many faults are of one kind: LOST, CHANGED, FORGED,
// MOVED, REORDERED, GAP, SEQUENCE.
func (v *Verdict) Count(kind string) (n int) {
	for _, f := range v.Faults {
		if strings.HasPrefix(f, kind+":") {
			n++
		}
	}
	return n
}

// Judge checks the promise. Records are all records of the journal's topics,
// in order per partition; log is the relay's, JSON, one object a line. The
// relay must have nothing pending any more.
//
//   - every event answered 2xx is in its topic, byte for byte (LOST, CHANGED)
//   - nothing else is (FORGED)
//   - each key of a topic is in one partition (MOVED)
//   - an event that was accepted before another of its contact and topic was
//     first sent stands before it (REORDERED)
//   - in each partition the sequence of each origin ascends from 1 without a
//     gap, but for what a log line explains (SEQUENCE, GAP)
func Judge(j *Journal, records []*kgo.Record, log string) *Verdict {
	v := &Verdict{Records: len(records)}
	first := map[string]*kgo.Record{}
	places := map[string]int32{}
	for _, r := range records {
		id := Header(r, "cxrelay-event-id")
		if first[id] != nil {
			v.Duplicates++
		} else {
			first[id] = r
		}
		place := r.Topic + " " + string(r.Key)
		if p, ok := places[place]; !ok {
			places[place] = r.Partition
		} else if p != r.Partition {
			v.fault("MOVED: %s is in partitions %d and %d", place, p, r.Partition)
		}
	}
	v.events(j.Events(), first)
	v.order(j.Events(), first)
	v.sequences(records, explained(log))
	return v
}

// events compares what was accepted with what is there.
func (v *Verdict) events(events []*Event, first map[string]*kgo.Record) {
	known := map[string]*Event{}
	for _, e := range events {
		known[e.ID] = e
		at, ok := e.Accepted()
		if !ok {
			continue
		}
		v.Accepted++
		if first[e.ID] == nil {
			v.fault("LOST: %s was accepted at %s and is in no topic", e.ID, at.Format(time.TimeOnly))
		}
	}
	for id, r := range first {
		e := known[id]
		switch {
		case e == nil:
			v.fault("FORGED: %s/%d@%d: event %q was never sent", r.Topic, r.Partition, r.Offset, id)
		case string(r.Value) != e.Body || r.Topic != e.Topic:
			v.fault("CHANGED: %s in %s: %q, sent %q for %s", id, r.Topic, r.Value, e.Body, e.Topic)
		}
	}
}

// order checks, per contact and topic, every pair of which one was accepted
// before the other was first sent.
func (v *Verdict) order(events []*Event, first map[string]*kgo.Record) {
	byContact := map[string][]*Event{}
	for _, e := range events {
		if first[e.ID] != nil {
			byContact[e.Contact+" "+e.Topic] = append(byContact[e.Contact+" "+e.Topic], e)
		}
	}
	for _, sent := range byContact {
		accepted := slices.DeleteFunc(slices.Clone(sent), func(e *Event) bool { _, ok := e.Accepted(); return !ok })
		slices.SortFunc(accepted, func(a, b *Event) int {
			x, _ := a.Accepted()
			y, _ := b.Accepted()
			return x.Compare(y)
		})
		slices.SortFunc(sent, func(a, b *Event) int { return a.Sent.Compare(b.Sent) })
		var last *Event // of those accepted before e was sent, the one that stands last
		for _, e := range sent {
			for len(accepted) > 0 {
				at, _ := accepted[0].Accepted()
				if !at.Before(e.Sent) {
					break
				}
				if last == nil || first[accepted[0].ID].Offset > first[last.ID].Offset {
					last = accepted[0]
				}
				accepted = accepted[1:]
			}
			if last != nil && first[last.ID].Offset > first[e.ID].Offset {
				v.fault("REORDERED: %s at %d, accepted before %s at %d was sent", last.ID, first[last.ID].Offset, e.ID, first[e.ID].Offset)
			}
		}
	}
}

// sequences checks the origin header: <instance>/<start id>/<seq>.
func (v *Verdict) sequences(records []*kgo.Record, explained map[string]bool) {
	next := map[string]int{}
	for _, r := range records {
		origin := Header(r, "cxrelay-origin")
		cut := strings.LastIndexByte(origin, '/')
		seq, err := strconv.Atoi(origin[cut+1:])
		if err != nil {
			v.fault("SEQUENCE: %s/%d@%d: origin %q", r.Topic, r.Partition, r.Offset, origin)
			continue
		}
		lane := fmt.Sprintf("%s %s/%d", origin[:max(cut, 0)], r.Topic, r.Partition)
		if seq <= next[lane] {
			v.fault("SEQUENCE: %s@%d: %d after %d", lane, r.Offset, seq, next[lane])
			continue
		}
		for next[lane]++; next[lane] < seq; next[lane]++ {
			if !explained[fmt.Sprintf("%s/%d %d", r.Topic, r.Partition, next[lane])] {
				v.fault("GAP: %s@%d: %d is missing before %d, and no log line says why", lane, r.Offset, next[lane], seq)
			}
		}
	}
}

// explained collects the records that the log says were never written, as
// "<topic>/<partition> <seq>". An answer delivery_timeout is no such line: it
// says that the outcome is unknown.
func explained(log string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(log) {
		var l struct {
			Msg, Reason, Topic string
			Partition          int
			Seq                int
		}
		if json.Unmarshal([]byte(line), &l) != nil || l.Seq == 0 {
			continue
		}
		if l.Msg == "record failed after its event was answered" || l.Msg == "event refused" && l.Reason != "delivery_timeout" {
			all[fmt.Sprintf("%s/%d %d", l.Topic, l.Partition, l.Seq)] = true
		}
	}
	return all
}

// Header returns the value of a record's header, or "".
func Header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// Timing is how long answers took.
type Timing struct {
	Answers             int
	P50, P99, P999, Max time.Duration
	Refused             map[string]int // by reason; transport errors as "no answer"
}

// Time sums up the answers of a journal.
func Time(answers []Answer) Timing {
	t := Timing{Answers: len(answers), Refused: map[string]int{}}
	var took []time.Duration
	for _, a := range answers {
		switch {
		case a.Status == 0:
			t.Refused["no answer"]++
			continue
		case a.Status != 200:
			t.Refused[a.Reason]++
		}
		took = append(took, a.Took)
	}
	if len(took) == 0 {
		return t
	}
	slices.Sort(took)
	at := func(perMille int) time.Duration { return took[min(len(took)*perMille/1000, len(took)-1)] }
	t.P50, t.P99, t.P999, t.Max = at(500), at(990), at(999), took[len(took)-1]
	return t
}
