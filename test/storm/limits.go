package storm

import (
	"fmt"
	"slices"
	"time"
)

// limits holds a report against everything that is not the promise itself.
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
	most := s.Load.Connections + s.Slow + attackers + 500
	if n := len(r.Samples); n > 20 && r.Samples[n-1].Files > most {
		f.fault("BOUNDS: %d open files in the end", r.Samples[n-1].Files)
	}
	if n := goroutines(r.Samples); n > 3*most {
		f.fault("BOUNDS: %d goroutines, for %d connections at most", n, most)
	}
	if f.Series > mostSeries {
		f.fault("BOUNDS: %d series of metrics", f.Series)
	}
	for _, problem := range append(growing(r), notFlat(r.Samples)...) {
		f.fault("BOUNDS: %s", problem)
	}
}

// mostSeries is more than all sources, topics, partitions and reasons of the
// storm make together, however many words attackers bring.
const mostSeries = 2000

// goroutines are the most that a sample saw.
func goroutines(samples []Sample) int {
	most := 0
	for _, s := range samples {
		most = max(most, s.Goroutines)
	}
	return most
}

// growing tells of each fault of ten seconds and more during which there were
// more and more goroutines: in its second half by more than a tenth and 50
// than in the first.
func growing(r *Report) (problems []string) {
	const long = 10 * time.Second
	for _, w := range r.Faults {
		if w.Lasted < long {
			continue
		}
		begin := r.Start.Add(w.At)
		middle, end := begin.Add(w.Lasted/2), begin.Add(w.Lasted)
		between := func(from, to time.Time) int {
			return goroutines(slices.DeleteFunc(slices.Clone(r.Samples), func(s Sample) bool { return s.At.Before(from) || !s.At.Before(to) }))
		}
		if first, second := between(begin, middle), between(middle, end); second > first*11/10+50 {
			problems = append(problems, fmt.Sprintf("%s, for %s: %d goroutines in the first half of it, %d in the second", w.Fault, round(w.Lasted), first, second))
		}
	}
	return problems
}

// minutes are the highest RSS of each minute since the first sample.
func minutes(samples []Sample) []int64 {
	var all []int64
	for _, s := range samples {
		n := int(s.At.Sub(samples[0].At) / time.Minute)
		for len(all) <= n {
			all = append(all, 0)
		}
		all[n] = max(all[n], s.RSS)
	}
	return all
}

// notFlat tells whether a relay that nobody killed takes more memory the longer
// it runs. It looks at the highest RSS of each minute, without the first and
// the last, which may be short, and allows for what garbage there is by chance, and
// for a machine that is busier at one time than at another:
//
//   - the highest of the second half is no more than a quarter and 4 MiB above
//     the highest of minutes two to five;
//   - the median of the last quarter is no more than a tenth and 4 MiB above
//     that of the second quarter. This finds a leak of half a mebibyte a minute
//     in an hour, which is three bytes an event.
//
// Runs below ten minutes, and those with another process, say nothing.
func notFlat(samples []Sample) []string {
	all := minutes(samples)
	if len(all) < 10 || samples[0].PID != samples[len(samples)-1].PID {
		return nil
	}
	sorted := func(from, to int) []int64 { return slices.Sorted(slices.Values(all[from:to])) }
	n := len(all) - 1
	const some = 4 << 20
	var problems []string
	early, late := sorted(1, 5), sorted(n/2, n)
	if a, b := early[len(early)-1], late[len(late)-1]; b > a*5/4+some {
		problems = append(problems, fmt.Sprintf("memory grows: at most %d MiB in minutes two to five, %d MiB in the second half of the run", a>>20, b>>20))
	}
	early, late = sorted(n/4, n/2), sorted(n*3/4, n)
	if a, b := early[len(early)/2], late[len(late)/2]; b > a*11/10+some {
		problems = append(problems, fmt.Sprintf("memory grows: %d MiB in the second quarter of the run, %d MiB in the last", a>>20, b>>20))
	}
	return problems
}
