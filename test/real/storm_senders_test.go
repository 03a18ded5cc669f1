//go:build real

package real_test

import (
	"context"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/real/judge"
)

// The scenario of a relay that was thrown away after it had shown what the
// client's settings alone can do: 24 senders for 35 s, and how many answers of
// it were 503.
const (
	manySenders   = 24
	sendFor       = 35 * time.Second
	perSecond     = 43 // events of a sender that gets its 2xx in time
	throwawayTold = 104
)

// TestTwentyFourSenders: each waits for its 2xx, while one of three brokers is
// killed and restarted, another hangs for 10 s, and leaders move. How many 503
// they get shows how soon the relay follows Kafka: every sender gets one for
// each deadline that passes before Kafka has a new leader in sync, and should
// get none after that.
func TestTwentyFourSenders(t *testing.T) {
	const (
		tooMany = 2 * throwawayTold
		follows = 5 * time.Second // Kafka's new leaders take up to 3 s to have their followers
	)
	cluster := rig.Cluster(t, real.Brokers(3))
	relay := start(t, cluster, real.Setup{})
	var journal judge.Journal
	sender := judge.NewSender(relay.URL, secret, &journal)
	defer sender.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	topics := judge.Topics()

	late := judge.Watch(ctx)
	wait := sender.Crowd(ctx, judge.Crowd{
		Contacts: manySenders, Senders: 1, Events: perSecond * int(sendFor/time.Second), Over: sendFor, Until: time.Now().Add(sendFor),
	})
	var marks []mark
	say := func(what string) { marks = append(marks, mark{what, time.Now()}) }
	real.Pass(t, 3*time.Second)
	killed := cluster.Leader(topics[0], 0)
	say("a broker is killed")
	cluster.Kill(killed)
	real.Pass(t, 5*time.Second)
	say("it is started again")
	cluster.Restart(killed)
	cluster.InSync()
	say("leaders move")
	cluster.MoveLeaders(topics...)
	real.Pass(t, 2*time.Second)
	hung := killed%3 + 1
	controller := cluster.Controller()
	say("a broker hangs")
	cluster.Pause(hung)
	real.Until(t, "its partitions have other leaders", 30*time.Second, func() bool { return !cluster.Leads(hung, topics...) })
	moved := time.Since(marks[3].at)
	real.Pass(t, 10*time.Second-moved)
	say("it goes on")
	cluster.Continue(hung)
	cluster.InSync()
	say("leaders move again")
	cluster.MoveLeaders(topics...)
	wait()
	t.Logf("killed broker %d, hung broker %d, controller %d; the hung one led nothing after %s", killed, hung, controller, moved.Round(10*time.Millisecond))

	took := recoveries(t, &journal, marks)
	timely(t, &journal, late())
	settled(t, relay, &journal)
	report(t, judge.Judge(&journal, cluster.ReadMany(topics...), relay.Log(t)))
	if took[3] > moved+follows {
		t.Errorf("the last refusal was %s after the broker hung, and its partitions had other leaders after %s", took[3], moved)
	}
	refused := 0
	for _, n := range judge.Time(journal.Answers()).Refused {
		refused += n
	}
	t.Logf("%d of %d answers were 503; of the throw-away relay %d of 36,485", refused, len(journal.Answers()), throwawayTold)
	if refused > tooMany {
		t.Errorf("%d answers were 503, want at most %d", refused, tooMany)
	}
}
