package judge

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Verdict is what a judge found.
type Verdict struct {
	Events     int            `json:"events"`
	Attempts   int            `json:"attempts"`
	Accepted   int            `json:"accepted"` // events answered 2xx
	Refused    int            `json:"refused"`  // attempts answered 4xx, those aside whose body never arrived
	Attacks    int            `json:"attacks"`
	Records    int            `json:"records"`
	Duplicates int            `json:"duplicates"` // records beyond the first of an event
	Repeated   int            `json:"repeated"`   // records that Kafka wrote twice; not among the duplicates
	Explained  int            `json:"explained"`  // missing numbers that the log explains
	Faults     map[string]int `json:"faults"`     // by the word that they begin with
	Examples   []string       `json:"examples"`   // the first faults of each kind
}

// Good tells whether no promise was broken.
func (v *Verdict) Good() bool { return len(v.Faults) == 0 }

// examplesOfKind is how many faults of one kind are told in words.
const examplesOfKind = 5

func (j *Judge) fault(kind, format string, args ...any) {
	v := &j.verdict
	if v.Faults == nil {
		v.Faults = map[string]int{}
	}
	if v.Faults[kind]++; v.Faults[kind] <= examplesOfKind {
		v.Examples = append(v.Examples, kind+": "+fmt.Sprintf(format, args...))
	}
}

// Log takes a log of the relay: JSON, one object a line. A line that is cut
// short, as a killed relay leaves it, is passed over.
func (j *Judge) Log(from io.Reader) error {
	lines := bufio.NewReaderSize(from, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		var l struct {
			Msg, Reason, Topic string
			Partition, Seq     int
		}
		// An answer delivery_timeout says that the outcome is unknown: it explains nothing.
		if json.Unmarshal(line, &l) == nil && l.Seq > 0 &&
			(l.Msg == "record failed after its event was answered" || l.Msg == "event refused" && l.Reason != "delivery_timeout") {
			j.failed[place{l.Topic, l.Partition, l.Seq}] = true
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
	}
}

// Verdict judges. A run with fewer than minimum accepted events does not
// count. The judge is of no use afterwards.
func (j *Judge) Verdict(minimum int) *Verdict {
	j.verdict.Events = len(j.events)
	for n := range j.events {
		ev := &j.events[n]
		switch {
		case ev.accepted != 0 && ev.records == 0:
			j.fault("LOST", "event %d of contact %s was accepted and is in no topic", n, j.contacts.all[ev.contact])
		case ev.attempts > 0 && ev.refused == ev.attempts && ev.records > 0:
			j.fault("REFUSED", "event %d was sent %d times, in vain by each answer, and is there", n, ev.attempts)
		}
	}
	for _, g := range j.gaps {
		if j.failed[g.place] {
			j.verdict.Explained++
		} else {
			j.fault("GAP", "%s/%d: number %d is missing before %s, and no log line says why", g.topic, g.partition, g.seq, g.before)
		}
	}
	j.order()
	if j.verdict.Accepted < minimum {
		j.fault("TOO FEW", "%d events were accepted, fewer than %d say nothing", j.verdict.Accepted, minimum)
	}
	return &j.verdict
}

// order checks, per contact and topic, every pair of which one was accepted
// before the other was first sent. Of those accepted before an event was
// sent, only the one that stands last matters.
func (j *Judge) order() {
	sent := make([]int32, 0, len(j.events))
	for n := range j.events {
		if j.events[n].records > 0 {
			sent = append(sent, int32(n))
		}
	}
	slices.SortFunc(sent, func(a, b int32) int {
		x, y := &j.events[a], &j.events[b]
		return cmp.Or(cmp.Compare(x.contact, y.contact), cmp.Compare(x.topic, y.topic), cmp.Compare(x.sent, y.sent))
	})
	for len(sent) > 0 {
		first, end := &j.events[sent[0]], 1
		for end < len(sent) && j.events[sent[end]].contact == first.contact && j.events[sent[end]].topic == first.topic {
			end++
		}
		j.orderOf(sent[:end])
		sent = sent[end:]
	}
}

// orderOf takes the events of one contact and topic, by the time they were sent.
func (j *Judge) orderOf(sent []int32) {
	accepted := slices.DeleteFunc(slices.Clone(sent), func(n int32) bool { return j.events[n].accepted == 0 })
	slices.SortFunc(accepted, func(a, b int32) int { return cmp.Compare(j.events[a].accepted, j.events[b].accepted) })
	last := int32(-1)
	for _, n := range sent {
		for len(accepted) > 0 && j.events[accepted[0]].accepted < j.events[n].sent {
			if last < 0 || j.events[accepted[0]].offset > j.events[last].offset {
				last = accepted[0]
			}
			accepted = accepted[1:]
		}
		if last >= 0 && j.events[last].offset > j.events[n].offset {
			j.fault("REORDERED", "event %d stands at %d and was accepted before event %d, at %d, was sent (contact %s)",
				last, j.events[last].offset, n, j.events[n].offset, j.contacts.all[j.events[n].contact])
		}
	}
}

// String says it in lines for people.
func (v *Verdict) String() string {
	var b strings.Builder
	perMillion := 0.0
	if v.Records > 0 {
		perMillion = float64(v.Duplicates) * 1e6 / float64(v.Records)
	}
	fmt.Fprintf(&b, "events %d, attempts %d, accepted %d, attacks %d, records %d\n", v.Events, v.Attempts, v.Accepted, v.Attacks, v.Records)
	fmt.Fprintf(&b, "lost %d, reordered %d, forged %d; duplicates %d (%.0f per million records), repeated by the brokers %d\n",
		v.Faults["LOST"], v.Faults["REORDERED"]+v.Faults["MOVED"]+v.Faults["SEQUENCE"], v.Faults["FORGED"]+v.Faults["ADMITTED"], v.Duplicates, perMillion, v.Repeated)
	for _, e := range v.Examples {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}
