//go:build storm

package storm_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/mutant"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// programs are what a storm needs, built once.
type programs struct{ relay, broker string }

var built programs

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "storm-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		root, err := mutant.Root()
		if err != nil {
			panic(err)
		}
		built = programs{filepath.Join(dir, "cxrelay"), filepath.Join(dir, "broker")}
		for command, binary := range map[string]string{"./cmd/cxrelay": built.relay, "./test/storm/broker": built.broker} {
			if err := mutant.Build(context.Background(), root, dir, command, binary); err != nil {
				panic(err)
			}
		}
		return m.Run()
	}())
}

// run is one storm of the given options on brokers of its own, the rest being usual.
func run(t *testing.T, o storm.Options) *storm.Report {
	t.Helper()
	dir := t.TempDir()
	kafka, err := storm.StartFake(t.Context(), built.broker, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	return blow(t, kafka, dir, o)
}

// blow is one storm on some brokers.
func blow(t *testing.T, kafka storm.Kafka, dir string, o storm.Options) *storm.Report {
	t.Helper()
	if o.Relay == "" {
		o.Relay = built.relay
	}
	o.Dir, o.Kafka, o.Seed, o.Log = dir, kafka, 1, slog.New(slog.NewTextHandler(t.Output(), nil))
	if o.Load.Rate == 0 {
		o.Load.Rate = 500
	}
	o.Load.Contacts, o.Load.Connections, o.Load.Drain = 200, 300, 20*time.Second
	o.Load.Habits.Waits = 0.5
	o.Limits.Accepted, o.Limits.Alive = 1000, 20*time.Second
	report, err := storm.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", report)
	if !report.Good() {
		t.Errorf("%v %v", report.Verdict.Faults, report.Facts.Broken)
	}
	return report
}

// TestBadRequests: ten thousand attacks beside good senders: none gets in,
// none breaks anything (the judge says so), and good events are served. The
// attackers come and go, so that a machine that is busy with other things is so
// in both. What is compared are the medians of the windows'
// p99. The senders take processor time from the relay, too: a run in which
// attacks seem to double the p99 is repeated, twice at most.
func TestBadRequests(t *testing.T) {
	for try := 1; ; try++ {
		r := run(t, storm.Options{Length: 47 * time.Second, Calm: true, Attacks: 600, Waves: storm.Waves{Come: 4 * time.Second, Go: 2 * time.Second}})
		if r.Verdict.Attacks < 10_000 {
			t.Errorf("%d attacks only", r.Verdict.Attacks)
		}
		allAccepted(t, r)
		quiet, loud := p99(r, storm.Quiet), p99(r, storm.Attacked)
		t.Logf("p99 of good events, medians of windows: %s quiet, %s beside %d attacks", quiet, loud, r.Verdict.Attacks)
		if t.Failed() || loud <= 2*quiet+5*time.Millisecond { // of which some are the timer's
			return
		}
		if try == 3 {
			t.Errorf("p99 %s, quiet %s, the third time", loud, quiet)
			return
		}
	}
}

// allAccepted: but for those that were under way when the relay was ended.
func allAccepted(t *testing.T, r *storm.Report) {
	t.Helper()
	if r.Verdict.Accepted < r.Verdict.Events-r.Facts.Crash {
		t.Errorf("%d of %d accepted", r.Verdict.Accepted, r.Verdict.Events)
	}
}

// p99 is the median of those of the windows with this name.
func p99(r *storm.Report, name string) time.Duration {
	var all []time.Duration
	for _, w := range r.Faults {
		if w.Fault == name && w.Answers > 500 { // the last one may have been cut short
			all = append(all, w.P99)
		}
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// TestSlowClients: two thousand connections that crawl, and good events are served.
func TestSlowClients(t *testing.T) {
	r := run(t, storm.Options{Length: 25 * time.Second, Only: []string{"slow clients"}, Hold: 12 * time.Second, Slow: 2000})
	allAccepted(t, r)
	if r.Answers.Max > time.Second {
		t.Errorf("slowest answer %s", r.Answers.Max)
	}
}

// TestMemory: Kafka is away, senders go on, and memory stays within bounds.
// STORM_AWAY says for how long; 5m is the promise.
func TestMemory(t *testing.T) {
	away := 40 * time.Second
	if text := os.Getenv("STORM_AWAY"); text != "" {
		var err error
		if away, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, storm.Options{
		Length: away + 12*time.Second, Only: []string{"the brokers are killed"}, Hold: away, Env: []string{"GOMEMLIMIT=128MiB"},
		Limits: storm.Limits{RSS: 200 << 20}, Load: load.Options{Rate: 500},
	})
	t.Logf("peak RSS %d MiB in %s without Kafka", r.PeakRSS>>20, away)
}

// TestShortFaults: Kafka answers with errors for 100 ms, again and again. What
// was sent meanwhile is answered soon after: 99 of 100 within 300 ms, which
// the median of the faults must keep; the worst of them, and the time until all
// is well, may be disturbed by a busy machine.
func TestShortFaults(t *testing.T) {
	r := run(t, storm.Options{Length: 42 * time.Second, Only: []string{"for 100 ms"}})
	var all []time.Duration
	answers := 0
	for _, w := range r.Faults {
		t.Logf("%-80s %4d caught: p99 %s, max %s; all well after %s", w.Fault, w.Caught.Answers, w.Caught.P99, w.Caught.Max, w.Recovery)
		if w.Recovery > 2*time.Second { // a topic that is denied is asked for again only now and then
			t.Errorf("%s: all was well after %s", w.Fault, w.Recovery)
		}
		if w.Caught.Answers > 0 {
			answers += w.Caught.Answers
			all = append(all, w.Caught.P99)
		}
	}
	if len(all) < 10 || answers < 300 {
		t.Fatalf("%d faults caught %d attempts: that says nothing", len(all), answers)
	}
	slices.Sort(all)
	typical, worst := all[len(all)/2], all[len(all)-1]
	t.Logf("p99 after a fault of 100 ms: %s, in the worst of %d faults %s; all was well after: %s", typical, len(all), worst, r.Recoveries)
	if typical > 300*time.Millisecond || worst > time.Second {
		t.Errorf("p99 after a fault of 100 ms: %s, in the worst case %s", typical, worst)
	}
}

// TestClockJumps: the relay's clock jumps by an hour, forward and back, every
// two seconds, while brokers hang and every second sender hangs up. Deadlines and
// back-off do not care, nor do the events beside those that were left. The relay
// is built with another time.Now.
func TestClockJumps(t *testing.T) {
	root, err := mutant.Root()
	if err != nil {
		t.Fatal(err)
	}
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	relay := filepath.Join(t.TempDir(), "cxrelay")
	if err := mutant.Build(t.Context(), root, t.TempDir(), "./cmd/cxrelay", relay, mutant.Edit{
		File: filepath.Join(strings.TrimSpace(string(goroot)), "src/time/time.go"),
		Old:  "\tmono -= startNano\n\tsec += unixToInternal - minWall\n",
		New:  "\tmono -= startNano\n\tsec += [4]int64{0, 3600, -3600, 1}[mono/2e9%4]\n\tsec += unixToInternal - minWall\n",
	}); err != nil {
		t.Fatal(err)
	}
	o := storm.Options{Relay: relay, ClockJumps: true, Load: load.Options{Rate: 250, Habits: load.Habits{Disconnect: 0.5}}, Length: 25 * time.Second, Only: []string{"the brokers hang"}, Hold: 3 * time.Second}
	o.Limits.Late = time.Second
	run(t, o)
}

// TestKills: the relay is killed at random moments, and comes back.
// STORM_KILLS says for how long.
func TestKills(t *testing.T) {
	length := 30 * time.Second
	if text := os.Getenv("STORM_KILLS"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, storm.Options{Length: length, Only: []string{"the relay is killed", "the relay is killed while the brokers hang"}, Hold: 500 * time.Millisecond})
	t.Logf("%d kills; from a start to the first accepted event: %s; %.1f duplicates for each kill", r.Facts.Kills, r.Restarts, r.PerKill)
	if r.Restarts.P50 > time.Second || r.Restarts.Max > 10*time.Second { // a busy machine may hold one of them up
		t.Errorf("from a start to the first accepted event: %s", r.Restarts)
	}
}
