package storm

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
	"github.com/cxrelay/cxrelay/test/storm/judge"
)

// Facts are what a storm saw beside the journal.
type Facts struct {
	Faults   map[string]int  `json:"faults"`  // how often each happened
	Starts   int             `json:"starts"`  // of the relay, after the first
	Kills    int             `json:"kills"`   // of it, by SIGKILL
	Skipped  int             `json:"skipped"` // events that never came into being: their contact had too much to send
	Restart  time.Duration   `json:"restart"`
	Restarts []time.Duration `json:"restarts"` // from each start to the first accepted event
	Alive    time.Duration   `json:"alive"`    // from the last fault until it was sure that events are accepted
	Series   int             `json:"series"`
	Broken   []string        `json:"broken"` // limits and promises that the judge does not see
}

func (f *Facts) fault(format string, args ...any) {
	f.Broken = append(f.Broken, fmt.Sprintf(format, args...))
}

// Second is one second of the storm.
type Second struct {
	At       int            `json:"at"` // since the start
	Accepted int            `json:"accepted"`
	Refused  map[string]int `json:"refused"` // by reason
	P50      time.Duration  `json:"p50"`
	P99      time.Duration  `json:"p99"`
	Max      time.Duration  `json:"max"`
}

// Window is the time of one fault, until the next.
type Window struct {
	Fault    string         `json:"fault"`
	At       time.Duration  `json:"at"` // since the start
	Answers  int            `json:"answers"`
	Refused  map[string]int `json:"refused"`
	P50      time.Duration  `json:"p50"`
	P99      time.Duration  `json:"p99"`
	Max      time.Duration  `json:"max"`
	Recovery time.Duration  `json:"recovery"` // from the beginning to the last refusal; 0: none
}

// Report is all that there is to say about a storm.
type Report struct {
	Seed    uint64         `json:"seed"`
	Length  time.Duration  `json:"length"`
	Verdict *judge.Verdict `json:"verdict"`
	Facts   Facts          `json:"facts"`
	Answers Window         `json:"answers"` // of the whole
	Faults  []Window       `json:"windows"`
	Seconds []Second       `json:"seconds"`
	Samples []Sample       `json:"samples"`
	PeakRSS int64          `json:"peakRSS"`
}

// Good tells whether every promise and every limit was kept.
func (r *Report) Good() bool { return r.Verdict.Good() && len(r.Facts.Broken) == 0 }

// report puts everything together and holds it against the limits.
func (s *storm) report(v *judge.Verdict) (*Report, error) {
	r := &Report{Seed: s.Seed, Length: s.Length, Verdict: v, Samples: s.watch.samples}
	for _, sample := range r.Samples {
		r.PeakRSS = max(r.PeakRSS, sample.RSS)
	}
	times, err := readTimes(s.path("journal"))
	if err != nil {
		return nil, err
	}
	r.Seconds, r.Faults, r.Answers = times.seconds(), times.windows(), times.whole()
	s.limits(r)
	r.Facts = s.facts
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return nil, err
	}
	return r, errors.Join(os.WriteFile(s.path("report.json"), text, 0o600), os.WriteFile(s.path("report.txt"), []byte(r.String()), 0o600))
}

func (s *storm) limits(r *Report) {
	l, f := s.Limits, &s.facts
	f.Kills, f.Skipped = int(s.kills.Load()), int(s.stats.Skipped.Load())
	if !s.reached() {
		f.fault("TOO SHORT: %d events and %d kills, %d and %d are wanted", r.Verdict.Events, f.Kills, s.Goals.Events, s.Goals.Kills)
	}
	if r.Verdict.Refused > 0 {
		f.fault("TURNED AWAY: %d attempts of our own senders were answered 4xx", r.Verdict.Refused)
	}
	if l.RSS > 0 && r.PeakRSS > l.RSS {
		f.fault("BOUNDS: %d MiB of memory, %d are allowed", r.PeakRSS>>20, l.RSS>>20)
	}
	if l.Late > 0 && r.Answers.Max > deadline+l.Late {
		f.fault("LATE: an answer took %s, the deadline is %s", r.Answers.Max, deadline)
	}
	if l.Restarted > 0 && f.Restart > l.Restarted {
		f.fault("SLOW: %s from the start of the relay to its first accepted event", f.Restart)
	}
	if n := len(r.Samples); n > 0 && len(r.Samples) > 20 {
		last := r.Samples[n-1]
		if most := s.Load.Connections + s.Slow + 500; last.Files > most {
			f.fault("BOUNDS: %d open files in the end", last.Files)
		} else if last.Goroutines > 3*most {
			f.fault("BOUNDS: %d goroutines in the end", last.Goroutines)
		}
	}
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %s\n%s", r.Seed, r.Length, r.Verdict)
	for _, broken := range r.Facts.Broken {
		fmt.Fprintln(&b, broken)
	}
	fmt.Fprintf(&b, "relay started %d times, killed %d times, at most %s to the first accepted event; alive %s after the last fault; peak RSS %d MiB; %d series\n",
		r.Facts.Starts, r.Facts.Kills, round(r.Facts.Restart), round(r.Facts.Alive), r.PeakRSS>>20, r.Facts.Series)
	fmt.Fprintf(&b, "arrivals that came to nothing, as their contact had too much to send: %d\n", r.Facts.Skipped)
	fmt.Fprintf(&b, "answers %d: p50 %s, p99 %s, max %s, refused %v\n", r.Answers.Answers, round(r.Answers.P50), round(r.Answers.P99), round(r.Answers.Max), r.Answers.Refused)
	fmt.Fprintf(&b, "%-62s %5s %8s %8s %8s %9s  %s\n", "fault", "times", "p50", "p99", "max", "recovery", "refused")
	for _, w := range r.byFault() {
		fmt.Fprintf(&b, "%-62s %5d %8s %8s %8s %9s  %v\n", w.Fault, r.Facts.Faults[w.Fault], round(w.P50), round(w.P99), round(w.Max), round(w.Recovery), w.Refused)
	}
	return b.String()
}

// byFault takes the worst of each kind.
func (r *Report) byFault() []Window {
	worst := map[string]Window{}
	for _, w := range r.Faults {
		all, ok := worst[w.Fault]
		if !ok {
			worst[w.Fault] = w
			continue
		}
		all.P50, all.P99, all.Max, all.Recovery = max(all.P50, w.P50), max(all.P99, w.P99), max(all.Max, w.Max), max(all.Recovery, w.Recovery)
		all.Refused = maps.Clone(all.Refused)
		for reason, n := range w.Refused {
			all.Refused[reason] += n
		}
		worst[w.Fault] = all
	}
	var list []Window
	for _, name := range slices.Sorted(maps.Keys(worst)) {
		list = append(list, worst[name])
	}
	return list
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}

// times are the answers, by time, and the marks of a journal.
type times struct {
	start   time.Time
	answers []answer
	marks   []mark
}

type answer struct {
	at     time.Time
	took   time.Duration
	reason string // of a refusal; "no answer"
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
				a.reason = "no answer"
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
		if a.reason != "no answer" {
			took = append(took, a.took)
		}
	}
	if n := len(took); n > 0 {
		slices.Sort(took)
		w.P50, w.P99, w.Max = took[n/2], took[n*99/100], took[n-1]
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

func (t *times) windows() []Window {
	var all []Window
	for i, m := range t.marks {
		if strings.HasPrefix(m.what, "end: ") {
			continue
		}
		end := time.Now()
		for _, next := range t.marks[i+1:] {
			if !strings.HasPrefix(next.what, "end: ") {
				end = next.at
				break
			}
		}
		some := t.between(m.at, end)
		w := sum(some)
		w.Fault, w.At = m.what, m.at.Sub(t.start)
		for _, a := range some {
			if a.reason != "" && a.reason != "no answer" {
				w.Recovery = max(w.Recovery, a.at.Sub(m.at))
			}
		}
		all = append(all, w)
	}
	return all
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
