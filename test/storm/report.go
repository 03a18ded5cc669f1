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

	"github.com/cxrelay/cxrelay/test/storm/judge"
)

// Facts are what a storm saw beside the journal.
type Facts struct {
	Faults   map[string]int  `json:"faults"`   // how often each happened
	Starts   int             `json:"starts"`   // of the relay, after the first
	Kills    int             `json:"kills"`    // of it, by SIGKILL
	Skipped  int             `json:"skipped"`  // events that never came into being: their contact had too much to send
	Restart  time.Duration   `json:"restart"`  // the longest
	Restarts []time.Duration `json:"restarts"` // from each start to the first accepted event
	Alive    time.Duration   `json:"alive"`    // from the last fault until it was sure that events are accepted
	Series   int             `json:"series"`
	Crash    int             `json:"crash"`  // events that were under way when the relay was made to dump its stacks, in the end
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
	At       time.Duration  `json:"at"`     // since the start
	Lasted   time.Duration  `json:"lasted"` // the fault itself; 0: it happened at once
	Answers  int            `json:"answers"`
	Refused  map[string]int `json:"refused"`
	P50      time.Duration  `json:"p50"`
	P99      time.Duration  `json:"p99"`
	P999     time.Duration  `json:"p999"`
	Max      time.Duration  `json:"max"`
	Recovery time.Duration  `json:"recovery"` // from the end of the fault until all was well for half a second
	Caught   Caught         `json:"caught"`
}

// Caught are the attempts that were sent while a fault lasted: how long after
// its end they were answered, or at once.
type Caught struct {
	Answers int           `json:"answers"`
	P50     time.Duration `json:"p50"`
	P99     time.Duration `json:"p99"`
	Max     time.Duration `json:"max"`
}

// Report is all that there is to say about a storm.
type Report struct {
	Seed       uint64         `json:"seed"`
	Start      time.Time      `json:"start"`
	Length     time.Duration  `json:"length"`
	Verdict    *judge.Verdict `json:"verdict"`
	Facts      Facts          `json:"facts"`
	PerMillion float64        `json:"perMillion"` // duplicates among a million records
	PerKill    float64        `json:"perKill"`    // duplicates, all of them, for one kill of the relay; 0: none was
	Answers    Window         `json:"answers"`    // of the whole
	Faults     []Window       `json:"windows"`
	Restarts   Spread         `json:"restarts"`   // from a start to the first accepted event
	Recoveries Spread         `json:"recoveries"` // of all faults
	Seconds    []Second       `json:"seconds"`
	Samples    []Sample       `json:"samples"`
	Processes  []Process      `json:"processes"` // of the relay, one after the other
	PeakRSS    int64          `json:"peakRSS"`   // of the largest
	Minutes    []int64        `json:"minutes"`   // the highest RSS of each minute
}

// Spread is how some times are spread.
type Spread struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
	Max   time.Duration `json:"max"`
}

func spread(all []time.Duration) Spread {
	n := len(all)
	if n == 0 {
		return Spread{}
	}
	all = slices.Sorted(slices.Values(all))
	return Spread{Count: n, P50: all[n/2], P99: all[n*99/100], Max: all[n-1]}
}

func (s Spread) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, max %s", round(s.P50), round(s.P99), round(s.Max))
}

// Good tells whether every promise and every limit was kept.
func (r *Report) Good() bool { return r.Verdict.Good() && len(r.Facts.Broken) == 0 }

// report puts everything together and holds it against the limits.
func (s *storm) report(v *judge.Verdict) (*Report, error) {
	r := &Report{Seed: s.Seed, Length: s.Length, Verdict: v, Samples: s.watch.samples, Processes: s.watch.processes()}
	for _, p := range r.Processes {
		r.PeakRSS = max(r.PeakRSS, p.Peak)
	}
	times, err := readTimes(s.path("journal"))
	if err != nil {
		return nil, err
	}
	r.Start, r.Seconds, r.Faults, r.Answers = times.start, times.seconds(), times.windows(), times.whole()
	r.Minutes, r.Restarts = minutes(r.Samples), spread(s.facts.Restarts)
	var recoveries []time.Duration
	for _, w := range r.Faults {
		recoveries = append(recoveries, w.Recovery)
	}
	r.Recoveries = spread(recoveries)
	if v.Records > 0 {
		r.PerMillion = float64(v.Duplicates) * 1e6 / float64(v.Records)
	}
	if kills := s.kills.Load(); kills > 0 {
		r.PerKill = float64(v.Duplicates) / float64(kills)
	}
	s.limits(r)
	r.Facts = s.facts
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return nil, err
	}
	return r, errors.Join(os.WriteFile(s.path("report.json"), text, 0o600), os.WriteFile(s.path("report.txt"), []byte(r.String()), 0o600))
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %s\n%s", r.Seed, r.Length, r.Verdict)
	for _, broken := range r.Facts.Broken {
		fmt.Fprintln(&b, broken)
	}
	f := &r.Facts
	if f.Kills > 0 {
		fmt.Fprintf(&b, "relay killed %d times, %.1f duplicates for each kill\n", f.Kills, r.PerKill)
	}
	if f.Starts > 0 {
		fmt.Fprintf(&b, "relay started %d times; to the first accepted event: %s\n", f.Starts, r.Restarts)
	}
	if len(r.Faults) > 0 {
		fmt.Fprintf(&b, "%d faults; from the end of each until all was well: %s; after the last one alive within %s\n", len(r.Faults), r.Recoveries, round(f.Alive))
	}
	fmt.Fprintf(&b, "peak RSS %d MiB (VmHWM), most goroutines %d, %d series\n", r.PeakRSS>>20, goroutines(r.Samples), f.Series)
	if len(r.Minutes) > 5 {
		fmt.Fprintf(&b, "RSS by minute, MiB:%s\n", inMiB(r.Minutes))
	}
	if f.Skipped > 0 {
		fmt.Fprintf(&b, "arrivals that came to nothing, as their contact had too much to send: %d\n", f.Skipped)
	}
	w := r.Answers
	fmt.Fprintf(&b, "answers %d: p50 %s, p99 %s, p99.9 %s, max %s, refused %v\n", w.Answers, round(w.P50), round(w.P99), round(w.P999), round(w.Max), w.Refused)
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

func inMiB(all []int64) string {
	var b strings.Builder
	for _, n := range all {
		fmt.Fprintf(&b, " %d", n>>20)
	}
	return b.String()
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
