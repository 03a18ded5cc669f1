//go:build real

package real_test

import (
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/journal"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// TestLeaders: leaders go where the tests want them.
func TestLeaders(t *testing.T) {
	cluster := rig.Cluster(t, real.Brokers(3))
	cluster.Topic("led", 6)
	cluster.LeadBy(2, "led")
	cluster.MoveLeaders("led")
	real.Until(t, "broker 2 leads nothing", 10*time.Second, func() bool {
		for p := range int32(6) {
			if cluster.Leader("led", p) == 2 {
				return false
			}
		}
		return true
	})
}

// How many answers were 503 of a relay that was thrown away after it had shown
// what the client's settings alone can do, with the senders of TestBrokersFail.
const throwawayTold = 104

// TestBrokersFail: one of three brokers is killed and restarted, another hangs
// for 10 s, and leaders move. Meanwhile 500 contacts send 20,000 events, which
// must all be accepted in the end; and 24 senders that wait for each 2xx show
// how soon the relay follows Kafka: each gets one 503 for each deadline that
// passes before Kafka has a new leader in sync, and should get none after that.
func TestBrokersFail(t *testing.T) {
	const (
		tooMany = 2 * throwawayTold
		follows = 5 * time.Second // Kafka's new leaders take up to 3 s to have their followers
	)
	many := crowd{name: "c", contacts: 500, events: 40, over: 50 * time.Second, waits: 0.5, beside: 3}
	cluster := rig.Cluster(t, real.Brokers(3))
	relay := start(t, cluster, real.Setup{})
	book := newBook(t)
	began, late := time.Now(), pace.Watch(t.Context())
	waits := []func(){
		book.crowd(t, many, relay),
		book.crowd(t, crowd{name: "waits", contacts: 24, events: 25 * 35, over: 35 * time.Second, waits: 1, queue: 1}, relay),
	}
	marks, moved := breakBrokers(t, cluster)
	for _, wait := range waits {
		wait()
	}
	t.Logf("everything sent after %s", time.Since(began).Round(time.Millisecond))

	took := recoveries(t, book, marks)
	timely(t, book, late())
	settled(t, relay, book)
	v := kept(t, book.judge(t, cluster.ReadMany(storm.Topics()...), relay.Log(t)))
	if v.Accepted != v.Events {
		t.Errorf("%d of %d events were accepted in the end", v.Accepted, v.Events)
	}
	if took[hangMark] > moved+follows {
		t.Errorf("the last refusal was %s after the broker hung, and its partitions had other leaders after %s", took[hangMark], moved)
	}
	waiting, sent := of("waits"), 0
	for _, s := range book.read(t) {
		if !waiting(s) {
			sent++
		}
	}
	if sent != many.all() {
		t.Errorf("the %d contacts sent %d events, want %d", many.contacts, sent, many.all())
	}
	told := journal.Time(book.attempts(t, waiting))
	refused := 0
	for _, n := range told.Refused {
		refused += n
	}
	t.Logf("24 senders: %d of %d answers were 503; of the throw-away relay %d of 36,485", refused, told.Answers, throwawayTold)
	if refused > tooMany {
		t.Errorf("%d answers were 503, want at most %d", refused, tooMany)
	}
}

// breakBrokers does to a cluster, one after the other, what a cluster of three
// must survive, and returns when it did what, and how long it took until a
// broker that hung led nothing. That is the mark with the index hangMark.
func breakBrokers(t *testing.T, cluster *real.Cluster) (marks []mark, moved time.Duration) {
	t.Helper()
	topics := storm.Topics()
	say := func(what string) { marks = append(marks, mark{what, time.Now()}) }
	real.Pass(t, 4*time.Second)
	killed := cluster.Leader(topics[0], 0)
	say("a broker is killed")
	cluster.Kill(killed)
	real.Pass(t, 6*time.Second)
	say("it is started again")
	cluster.Restart(killed)
	cluster.InSync()
	say("leaders move")
	cluster.MoveLeaders(topics...)
	real.Pass(t, 2*time.Second)
	hung := killed%3 + 1 // leads a third of the partitions, as each one does
	controller := cluster.Controller()
	say("a broker hangs")
	cluster.Pause(hung)
	real.Until(t, "its partitions have other leaders", 30*time.Second, func() bool { return !cluster.Leads(hung, topics...) })
	moved = time.Since(marks[hangMark].at)
	real.Pass(t, 10*time.Second-moved)
	say("it goes on")
	cluster.Continue(hung)
	cluster.InSync()
	say("leaders move again")
	cluster.MoveLeaders(topics...)
	real.Pass(t, 4*time.Second)
	say("and again")
	cluster.MoveLeaders(topics...)
	t.Logf("killed broker %d, hung broker %d, controller %d; the hung one led nothing after %s", killed, hung, controller, moved.Round(10*time.Millisecond))
	return marks, moved
}

const hangMark = 3

// TestTwoOfThreeGone: no record can be in sync, so nothing is accepted; every
// answer says so, and it works again when the brokers are back.
func TestTwoOfThreeGone(t *testing.T) {
	cluster := rig.Cluster(t, real.Brokers(3))
	relay := start(t, cluster, real.Setup{})
	book := newBook(t)
	sender := book.sender(t, relay)
	late := pace.Watch(t.Context())
	wait := book.crowd(t, crowd{name: "c", contacts: 40, events: 30, over: 30 * time.Second, waits: 0.5, beside: 2}, relay)
	real.Pass(t, 3*time.Second)
	marks := []mark{{"two of three are killed", time.Now()}}
	cluster.Kill(2)
	cluster.Kill(3)
	gone := time.Now()
	real.Pass(t, 15*time.Second)
	probe := refusedAtOnce(t, sender)
	t.Logf("ready while two of three are gone: %t", relay.Ready())
	marks = append(marks, mark{"they are started", time.Now()})
	cluster.Heal()
	marks = append(marks, mark{"they are in sync", time.Now()})
	wait()
	sender.Insist(t.Context(), probe)

	recoveries(t, book, marks)
	timely(t, book, late())
	for _, e := range book.read(t) {
		at, ok := e.Accepted()
		if !ok {
			t.Errorf("%s was never accepted", e.ID())
		}
		// What was acknowledged just before may be answered just after.
		if since := at.Sub(gone); since > 500*time.Millisecond && at.Before(marks[1].at) {
			t.Errorf("%s was accepted %s after two of three brokers were gone", e.ID(), since)
		}
	}
	settled(t, relay, book)
	kept(t, book.judge(t, cluster.ReadMany(storm.Topics()...), relay.Log(t)))
	for reason := range journal.Time(book.attempts(t)).Refused {
		if reason != "delivery_timeout" && reason != "kafka_unavailable" {
			t.Errorf("refused with %s", reason)
		}
	}
}

// refusedAtOnce sends one more event of a contact whose partition has waited
// for long: it is refused without a wait.
func refusedAtOnce(t *testing.T, s *load.Sender) *load.Event {
	t.Helper()
	e := s.Event("c-0", storm.Types()[0])
	if a := s.Send(t.Context(), e); a.Reason != "kafka_unavailable" || a.Took > 200*time.Millisecond {
		t.Errorf("during the outage: %d %s after %s", a.Status, a.Reason, a.Took)
	}
	return e
}
