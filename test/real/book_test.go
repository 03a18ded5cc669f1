//go:build real

package real_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/pace"
	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/journal"
	"github.com/cxrelay/cxrelay/test/storm/judge"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// What is promised of answers: the deadline of the built-in source, and what
// a busy machine may add to it.
const (
	deadline  = 2 * time.Second
	slackP999 = 100 * time.Millisecond
	slackMax  = 500 * time.Millisecond
)

// patient is how the senders of these tests repeat.
var patient = load.Pauses{First: 500 * time.Millisecond, Longest: 5 * time.Second, Steady: true}

// book is the journal of one test, and what those who write into it need. It
// is written until somebody wants to know what is in it.
type book struct {
	writer  *journal.Writer
	path    string
	closed  bool
	stories []*journal.Story
}

func newBook(t *testing.T) *book {
	t.Helper()
	b := &book{path: filepath.Join(t.TempDir(), "journal")}
	var err error
	if b.writer, err = journal.Create(b.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !b.closed {
			_ = b.writer.Close() // nobody wants to know
		}
	})
	return b
}

// sender sends events to relays in turn, one by one.
func (b *book) sender(t *testing.T, relays ...*real.Relay) *load.Sender {
	t.Helper()
	s := load.NewSender(load.Options{URLs: urls(relays), Secret: secret, Journal: b.writer, Habits: load.Habits{Pauses: patient}})
	t.Cleanup(s.Close)
	return s
}

// crowd is many contacts that send at once, and insist. Those that wait do so
// for each 2xx before they send on; of the others several events are under way.
type crowd struct {
	name     string // of the contacts, before a minus and their number
	contacts int
	events   int // of each contact, more or less
	over     time.Duration
	waits    float64 // share of the contacts
	beside   int     // events under way of one that does not wait
	queue    int     // events that one has before it, at most; 0: 256
}

func (c crowd) all() int { return c.contacts * c.events }

// crowd starts sending to relays in turn, and returns a function that waits
// until everything has been accepted.
func (b *book) crowd(t *testing.T, c crowd, relays ...*real.Relay) (wait func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		done <- load.Run(t.Context(), load.Options{
			URLs: urls(relays), Secret: secret, Journal: b.writer, Seed: 1, Name: c.name, Contacts: c.contacts, Types: storm.Types(),
			Events: c.all(), Rate: float64(c.all()) / c.over.Seconds(), Connections: 1000, Drain: 90 * time.Second,
			Habits: load.Habits{Waits: c.waits, Beside: c.beside, Queue: c.queue, Pauses: patient},
		}, new(load.Stats))
	}()
	return func() {
		t.Helper()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func urls(relays []*real.Relay) []string {
	var all []string
	for _, r := range relays {
		all = append(all, r.URL)
	}
	return all
}

// read ends the book, and returns its events.
func (b *book) read(t *testing.T) []*journal.Story {
	t.Helper()
	if b.closed {
		return b.stories
	}
	b.closed = true
	if err := b.writer.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(b.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if b.stories, err = journal.Stories(file); err != nil {
		t.Fatal(err)
	}
	return b.stories
}

// attempts are those of all events, or of those that are of interest.
func (b *book) attempts(t *testing.T, some ...func(*journal.Story) bool) (all []journal.Attempt) {
	t.Helper()
	for _, s := range b.read(t) {
		if len(some) == 0 || some[0](s) {
			all = append(all, s.Attempts...)
		}
	}
	return all
}

// of tells whether an event is one of a crowd, by its name.
func of(name string) func(*journal.Story) bool {
	return func(s *journal.Story) bool { return strings.HasPrefix(s.Contact, name+"-") }
}

// judge ends the book and has the storm's judge decide. The relays must have
// nothing pending any more; log is theirs.
func (b *book) judge(t *testing.T, records []*kgo.Record, log string) *judge.Verdict {
	t.Helper()
	b.read(t)
	j := judge.New()
	file, err := os.Open(b.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := j.Journal(file); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		j.Record(judge.Of(r))
	}
	if err := j.Log(strings.NewReader(log)); err != nil {
		t.Fatal(err)
	}
	return j.Verdict(1)
}

// kept shows a verdict and fails the test for each kind of fault, with the
// first few of them.
func kept(t *testing.T, v *judge.Verdict) *judge.Verdict {
	t.Helper()
	t.Logf("accepted %d, records %d, duplicates %d, faults %v", v.Accepted, v.Records, v.Duplicates, v.Faults)
	for _, example := range v.Examples {
		t.Error(example)
	}
	if !v.Good() {
		t.Errorf("faults: %v", v.Faults)
	}
	return v
}

// settled waits until the relay has nothing pending, and checks its books
// against what the senders saw.
func settled(t *testing.T, relay *real.Relay, b *book) {
	t.Helper()
	m := idle(t, relay)
	produced, acked, failed := m["cxrelay_records_produced_total"], m["cxrelay_records_acked_total"], m["cxrelay_records_failed_total"]
	if produced == 0 || produced != acked+failed {
		t.Errorf("books: produced %v, acked %v, failed %v", produced, acked, failed)
	}
	if accepted := m[`cxrelay_events_total{reason="accepted",source="cxone"}`]; acked != accepted+m["cxrelay_late_acks_total"] {
		t.Errorf("books: acked %v, accepted %v, late %v", acked, accepted, m["cxrelay_late_acks_total"])
	}
	saw := map[string]float64{}
	for _, a := range b.attempts(t) {
		if a.Status == 0 {
			t.Logf("no answer: %s", a.Reason)
			return // what the relay meant to say is not known
		}
		saw[a.Reason]++
	}
	for reason, n := range saw {
		if counted := m[`cxrelay_events_total{reason="`+reason+`",source="cxone"}`]; counted != n {
			t.Errorf("books: %s counted %v, senders saw %v", reason, counted, n)
		}
	}
}

// idle waits until a relay has nothing pending, and returns its metrics.
func idle(t *testing.T, relay *real.Relay) (m map[string]float64) {
	t.Helper()
	real.Until(t, "nothing is pending", settleLimit, func() bool {
		m = relay.Metrics(t)
		return m["cxrelay_records_pending"] == 0 && m["cxrelay_events_in_flight"] == 0
	})
	return m
}

// mark is a moment at which the test broke or mended something.
type mark struct {
	what string
	at   time.Time
}

// recoveries prints, for each mark, what was refused until the next one, and
// returns after how long the last of that was.
func recoveries(t *testing.T, b *book, marks []mark) []time.Duration {
	t.Helper()
	all := b.attempts(t)
	took := make([]time.Duration, len(marks))
	for i, m := range marks {
		end := time.Now()
		if i+1 < len(marks) {
			end = marks[i+1].at
		}
		some := slices.DeleteFunc(slices.Clone(all), func(a journal.Attempt) bool { return a.At.Before(m.at) || a.At.After(end) })
		for _, a := range some {
			if a.Status != http.StatusOK {
				took[i] = max(took[i], a.At.Sub(m.at))
			}
		}
		recovery := "nothing refused"
		if took[i] > 0 {
			recovery = "last refusal after " + took[i].Round(time.Millisecond).String()
		}
		tm := journal.Time(some)
		t.Logf("%-20s %5d answers, refused %v, %s; slowest answer %s", m.what, tm.Answers, tm.Refused, recovery, tm.Max.Round(time.Millisecond))
	}
	return took
}

// timely checks how long answers took, and that all refusals are 503. What
// the machine itself was late by is not held against the relay.
func timely(t *testing.T, b *book, late pace.Lateness) {
	t.Helper()
	all := b.attempts(t)
	for _, a := range all {
		switch {
		case a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable:
			t.Errorf("answered %d %s after %s", a.Status, a.Reason, a.Took)
		case a.Reason == "" || strings.HasSuffix(a.Reason, load.NoRetryAfter):
			t.Errorf("answered %d %q", a.Status, a.Reason)
		}
	}
	tm := journal.Time(all)
	t.Logf("%d answers, refused %v; p50 %s, p99 %s, p99.9 %s, max %s", tm.Answers, tm.Refused, tm.P50.Round(10*time.Microsecond),
		tm.P99.Round(time.Millisecond), tm.P999.Round(time.Millisecond), tm.Max.Round(time.Millisecond))
	t.Logf("timers of this machine were late by p99.9 %s, max %s", late.P999.Round(10*time.Microsecond), late.Max.Round(time.Millisecond))
	if tm.P999 > deadline+slackP999+late.P999 || tm.Max > deadline+slackMax+late.Max {
		t.Errorf("answers are late: deadline %s, p99.9 %s, max %s", deadline, tm.P999, tm.Max)
	}
}
