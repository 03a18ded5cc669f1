package journal

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Story is one event with all that became of it: for runs that are small
// enough to be kept in memory.
type Story struct {
	Event
	Sent     time.Time // first; zero: never
	Attempts []Attempt // that have ended
}

// Attempt is how one of them ended, and when.
type Attempt struct {
	At time.Time
	Answer
}

// Accepted tells when the sender was told first that the event is safe, and
// whether it was.
func (s *Story) Accepted() (time.Time, bool) {
	for _, a := range s.Attempts {
		if a.Status >= 200 && a.Status < 300 {
			return a.At, true
		}
	}
	return time.Time{}, false
}

// Stories reads a journal whole. The n-th of them is event n.
func Stories(from io.Reader) ([]*Story, error) {
	var all []*Story
	err := Read(from, func(e Entry) error {
		switch e.Kind {
		case 'E':
			all = append(all, &Story{Event: e.Event})
			return nil
		case 'S', 'A':
		default:
			return nil
		}
		if e.Event.Number < 0 || e.Event.Number >= len(all) {
			return fmt.Errorf("event %d is not known", e.Event.Number)
		}
		s := all[e.Event.Number]
		if e.Kind == 'A' {
			s.Attempts = append(s.Attempts, Attempt{At: e.At, Answer: e.Answer})
		} else if s.Sent.IsZero() {
			s.Sent = e.At
		}
		return nil
	})
	return all, err
}

// Timing is how long answers took. Attempts without one are counted, and took
// no time.
type Timing struct {
	Answers             int
	P50, P99, P999, Max time.Duration
	Refused             map[string]int // by reason; "no answer"
}

// Time sums up how attempts ended.
func Time(attempts []Attempt) Timing {
	t := Timing{Answers: len(attempts), Refused: map[string]int{}}
	var took []time.Duration
	for _, a := range attempts {
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
