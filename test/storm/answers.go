package storm

import (
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// times are the answers, by time, and the marks of a journal.
type times struct {
	start   time.Time
	answers []answer
	marks   []mark
}

// noAnswer is the reason of an attempt that had none: its sender has hung up,
// or there was no relay.
const noAnswer = "no answer"

type answer struct {
	at     time.Time
	took   time.Duration
	reason string // of a refusal
}

type mark struct {
	at   time.Time
	what string
}

func readTimes(path string) (*times, error) {
	file, err := os.Open(path) //nolint:gosec // our own file
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t := &times{}
	err = journal.Read(file, func(e journal.Entry) error {
		switch e.Kind {
		case 'S':
			if t.start.IsZero() {
				t.start = e.At
			}
		case 'A':
			a := answer{at: e.At, took: e.Answer.Took}
			if e.Answer.Status == 0 {
				a.reason = noAnswer
			} else if e.Answer.Status != 200 {
				a.reason = e.Answer.Reason
			}
			t.answers = append(t.answers, a)
		case 'M':
			t.marks = append(t.marks, mark{e.At, e.Name})
		}
		return nil
	})
	// Senders take the time before they come to write it down.
	slices.SortFunc(t.answers, func(a, b answer) int { return a.at.Compare(b.at) })
	return t, err
}

// sum is what some answers have in common. Attempts without an answer are
// counted, but took no time: their sender may have hung up.
func sum(answers []answer) Window {
	w := Window{Answers: len(answers), Refused: map[string]int{}}
	var took []time.Duration
	for _, a := range answers {
		if a.reason != "" {
			w.Refused[a.reason]++
		}
		if a.reason != noAnswer {
			took = append(took, a.took)
		}
	}
	if n := len(took); n > 0 {
		slices.Sort(took)
		w.P50, w.P99, w.P999, w.Max = took[n/2], took[n*99/100], took[n*999/1000], took[n-1]
	}
	return w
}

func (t *times) whole() Window { return sum(t.answers) }

func (t *times) between(from, to time.Time) []answer {
	first := func(at time.Time) int {
		i, _ := slices.BinarySearchFunc(t.answers, at, func(a answer, at time.Time) int { return a.at.Compare(at) })
		return i
	}
	return t.answers[first(from):first(to)]
}

// windows are those of all faults. An answer belongs to the fault before it.
func (t *times) windows() []Window {
	var all []Window
	slow := t.slow()
	for i, m := range t.marks {
		if strings.HasPrefix(m.what, endMark) {
			continue
		}
		end, until := m.at, t.end()
		for _, next := range t.marks[i+1:] {
			if next.what == endMark+m.what {
				end = next.at
			} else if !strings.HasPrefix(next.what, endMark) {
				until = next.at
				break
			}
		}
		some := t.between(m.at, until)
		w := sum(some)
		w.Fault, w.At, w.Lasted = m.what, m.at.Sub(t.start), end.Sub(m.at)
		w.Recovery, w.Caught = recovery(some, end, slow), caught(some, m.at, end)
		all = append(all, w)
	}
	return all
}

// endMark is before the name of a fault that ends.
const endMark = "end: "

// end is when the last answer came.
func (t *times) end() time.Time {
	if n := len(t.answers); n > 0 {
		return t.answers[n-1].at.Add(1)
	}
	return t.start
}

// slow is how long an answer takes that is not as usual: ten times the median
// of the run, and 100 ms at least.
func (t *times) slow() time.Duration { return max(100*time.Millisecond, 10*t.whole().P50) }

// recovery is how long after the end of a fault all was well: for half a
// second, or until the next fault began, no answer was a refusal, none was
// slow, and no tenth of a second was without an accepted one.
func recovery(answers []answer, end time.Time, slow time.Duration) time.Duration {
	const calm, pause = 500 * time.Millisecond, 100 * time.Millisecond
	trouble, accepted := end, end
	for _, a := range answers {
		if a.reason == noAnswer || a.at.Before(end) {
			continue
		}
		from, well := a.at, a.reason == "" && a.took <= slow
		if a.reason == "" {
			if a.at.Sub(accepted) > pause {
				from, well = accepted, false
			}
			accepted = a.at
		}
		if well {
			continue
		}
		if from.Sub(trouble) > calm {
			break // that is another story
		}
		trouble = a.at
	}
	return trouble.Sub(end)
}

// caught are the attempts that were sent between the beginning of a fault and
// its end.
func caught(answers []answer, begin, end time.Time) Caught {
	var after []time.Duration
	for _, a := range answers {
		if sent := a.at.Add(-a.took); a.reason != noAnswer && !sent.Before(begin) && sent.Before(end) {
			after = append(after, max(0, a.at.Sub(end)))
		}
	}
	s := spread(after)
	return Caught{Answers: s.Count, P50: s.P50, P99: s.P99, Max: s.Max}
}

func (t *times) seconds() []Second {
	var all []Second
	by := map[int][]answer{}
	last := 0
	for _, a := range t.answers {
		n := int(a.at.Sub(t.start) / time.Second)
		by[n] = append(by[n], a)
		last = max(last, n)
	}
	for n := 0; n <= last; n++ {
		w := sum(by[n])
		refused := 0
		for _, k := range w.Refused {
			refused += k
		}
		all = append(all, Second{At: n, Accepted: w.Answers - refused, Refused: w.Refused, P50: w.P50, P99: w.P99, Max: w.Max})
	}
	return all
}
