package judge

import (
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// Labels are what a record says of its event beside id and origin.
type Labels struct {
	Source, Type string    // headers cxrelay-source, cxrelay-type
	At           time.Time // timestamp
	Odd          string    // the first thing about its headers that docs/records.md does not allow; "": none
}

// labels takes them from a record.
func labels(r *kgo.Record) Labels {
	l := Labels{At: r.Timestamp}
	odd := func(text string) {
		if l.Odd == "" {
			l.Odd = text
		}
	}
	seen := map[string]bool{}
	for _, h := range r.Headers {
		value := string(h.Value)
		switch h.Key {
		case "cxrelay-event-id", "cxrelay-origin", "traceparent":
		case "cxrelay-source":
			l.Source = value
		case "cxrelay-type":
			l.Type = value
		case "cxrelay-schema-id":
			if n, err := strconv.ParseUint(value, 10, 31); err != nil || strconv.FormatUint(n, 10) != value {
				odd("schema id " + strconv.Quote(value))
			}
		default:
			odd("header " + strconv.Quote(h.Key))
		}
		if seen[h.Key] {
			odd("two headers " + h.Key)
		}
		seen[h.Key] = true
	}
	return l
}

// slack is how far the clocks of relay and senders, which are one, may be
// apart: a clock may be set while the storm blows.
const slack = 2 * time.Second

// label holds a record's labels against its event. A contact has one source.
func (j *Judge) label(r *Record, ev *event, where string) {
	l := &r.Labels
	source, known := j.sources[ev.contact]
	if !known {
		source = strings.Clone(l.Source)
		j.sources[ev.contact] = source
	}
	switch {
	case l.Odd != "":
		j.fault("MISLABELLED", "%s: %s", where, l.Odd)
	case l.Type != j.kinds.all[ev.kind]:
		j.fault("MISLABELLED", "%s: type %q, want %q", where, l.Type, j.kinds.all[ev.kind])
	case l.Source == "" || l.Source != source:
		j.fault("MISLABELLED", "%s: source %q, and before that %q", where, l.Source, source)
	}
	if j.AnyTime {
		return
	}
	// Of an event that was sent once the record was made before its answer.
	early := l.At.Before(time.Unix(0, ev.sent).Add(-slack))
	late := ev.accepted != 0 && ev.attempts == 1 && l.At.After(time.Unix(0, ev.accepted).Add(slack))
	if early || late {
		j.fault("MISTIMED", "%s: %s has the time %s, and was sent at %s", where, r.EventID, l.At, time.Unix(0, ev.sent))
	}
}

// definite tells whether an answer says that nothing was written, and that
// nothing will be (docs/answers.md).
func definite(a journal.Answer) bool {
	switch a.Reason {
	case "overloaded", "kafka_unavailable", "schema_unavailable", "draining":
		return a.Status == 503
	}
	return a.Status >= 400 && a.Status < 500
}

// due holds the answer to an attack against the one that it must have. A relay
// that is full, stopping or gone, or has not got the whole request, need not
// say more.
func (j *Judge) due(name string, a journal.Answer, due int) {
	if a.Status != 0 && a.Status != 503 && a.Status != due && a.Reason != "body_incomplete" {
		j.fault("MISANSWERED", "attack %q was answered %d %s, want %d", name, a.Status, a.Reason, due)
	}
}
