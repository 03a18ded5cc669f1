//go:build real && storm

package storm_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/chaos"
)

// apache is a cluster of three real brokers. Only the goroutine of the faults
// uses it while the storm blows.
type apache struct {
	*real.Cluster
	next int // the broker whose turn it is
}

// Brokers implements storm.Kafka.
func (a *apache) Brokers() []string { return strings.Split(a.Cluster.Brokers(), ",") }

// Forgetful implements storm.Kafka.
func (a *apache) Forgetful() bool { return false }

// Faults are what may happen to one broker of three: the cluster goes on.
func (a *apache) Faults() []chaos.Fault {
	turn := func(do func(id int)) func(context.Context) error {
		return func(context.Context) error { do(a.next%3 + 1); return nil }
	}
	whole := func(mend func(id int)) func(context.Context) error {
		return func(context.Context) error {
			mend(a.next%3 + 1)
			a.InSync(storm.Topics()...)
			a.next++
			return nil
		}
	}
	return []chaos.Fault{
		{Name: "a broker is killed", Min: time.Second, Max: 5 * time.Second, Begin: turn(a.Kill), End: whole(a.Restart)},
		{Name: "a broker hangs", Min: 2 * time.Second, Max: 10 * time.Second, Begin: turn(a.Pause), End: whole(a.Continue)},
		{Name: "leaders move", Begin: func(context.Context) error { a.MoveLeaders(storm.Topics()...); return nil }},
	}
}

// TestOnKafka: the storm on three brokers of Apache Kafka. STORM_LENGTH says
// how long.
func TestOnKafka(t *testing.T) {
	length := 2 * time.Minute
	if text := os.Getenv("STORM_LENGTH"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	cluster := real.Start(t, real.Brokers(3))
	cluster.Topics(storm.Partitions, storm.Topics()...)
	report := blow(t, &apache{Cluster: cluster}, t.TempDir(), storm.Options{
		Length: length, Attacks: 20, Slow: 200, Only: []string{"a broker", "leaders move", "the relay", "slow clients", "the registry is cut off", "the registry answers nothing"},
	})
	if report.Facts.Starts == 0 {
		t.Errorf("the relay was never killed in %s", length)
	}
}
