//go:build storm

package storm_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
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
	o.Load.Habits = load.Habits{Waits: 0.5}
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
// none breaks anything (the judge says so), and good events are served.
func TestBadRequests(t *testing.T) {
	quiet := run(t, storm.Options{Length: 20 * time.Second, Calm: true})
	loud := run(t, storm.Options{Length: 30 * time.Second, Calm: true, Attacks: 500})
	if loud.Verdict.Attacks < 10_000 {
		t.Errorf("%d attacks only", loud.Verdict.Attacks)
	}
	t.Logf("p99 of good events: %s quiet, %s beside %d attacks", quiet.Answers.P99, loud.Answers.P99, loud.Verdict.Attacks)
	if loud.Verdict.Accepted != loud.Verdict.Events || loud.Answers.P99 > 2*quiet.Answers.P99+200*time.Millisecond { // a busy machine
		t.Errorf("%d of %d accepted, p99 %s, quiet %s", loud.Verdict.Accepted, loud.Verdict.Events, loud.Answers.P99, quiet.Answers.P99)
	}
}

// TestSlowClients: two thousand connections that crawl, and good events are served.
func TestSlowClients(t *testing.T) {
	r := run(t, storm.Options{Length: 25 * time.Second, Only: []string{"slow clients"}, Hold: 12 * time.Second, Slow: 2000})
	if r.Verdict.Accepted != r.Verdict.Events || r.Answers.Max > time.Second {
		t.Errorf("%d of %d accepted, slowest answer %s", r.Verdict.Accepted, r.Verdict.Events, r.Answers.Max)
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

// TestShortFaults: Kafka answers with errors for 100 ms, again and again.
func TestShortFaults(t *testing.T) {
	r := run(t, storm.Options{Length: 40 * time.Second, Only: []string{"for 100 ms"}})
	for _, w := range r.Faults {
		if w.Recovery > time.Second { // on a busy machine; the figure is in the log
			t.Errorf("%s: the last refusal came after %s", w.Fault, w.Recovery)
		}
	}
}

// TestClockJumps: the relay's clock jumps by an hour, forward and back, every
// two seconds, while brokers hang. Deadlines and back-off do not care. The
// relay is built with another time.Now.
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
	o := storm.Options{Relay: relay, ClockJumps: true, Length: 25 * time.Second, Only: []string{"the brokers hang"}, Hold: 3 * time.Second}
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
	r := run(t, storm.Options{Length: length, Only: []string{"the relay is killed"}, Hold: 500 * time.Millisecond})
	t.Logf("%d kills, at most %s to the first accepted event", r.Facts.Starts, r.Facts.Restart)
	if r.Facts.Restart > 10*time.Second {
		t.Errorf("%s from a start to the first accepted event", r.Facts.Restart)
	}
}
