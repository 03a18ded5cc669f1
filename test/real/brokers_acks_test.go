//go:build real

package real_test

import (
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/judge"
)

// acksOne is a relay that takes the leader's word for it. Such a producer
// cannot be idempotent.
var acksOne = real.Mutant{
	File: "internal/kafka/client.go",
	Old:  "kgo.RequiredAcks(kgo.AllISRAcks()),",
	New:  "kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite(),",
}

// TestLeaderDiesBeforeItsFollowers: both followers lag, then the leader is
// gone and one of them takes over. What only the leader had is lost, so it
// must not have been accepted.
func TestLeaderDiesBeforeItsFollowers(t *testing.T) {
	v := leaderDies(t, real.Mutant{})
	kept(t, v)
}

// TestAcksOneIsConvicted shows that the test above can fail: a relay with
// acks=1 accepts meanwhile, and loses it.
func TestAcksOneIsConvicted(t *testing.T) {
	v := leaderDies(t, acksOne)
	t.Logf("accepted %d, records %d, lost %d, faults %v", v.Accepted, v.Records, v.Faults["LOST"], v.Faults)
	if v.Faults["LOST"] == 0 {
		t.Error("a relay with acks=1 was not convicted")
	}
}

func leaderDies(t *testing.T, mutant real.Mutant) *judge.Verdict {
	cluster := rig.Cluster(t, real.Brokers(3))
	relay := start(t, cluster, real.Setup{Mutant: mutant})
	cluster.LeadBy(1, storm.Topics()...)
	book := newBook(t)

	wait := book.crowd(t, crowd{name: "c", contacts: 100, events: 40, over: 12 * time.Second, waits: 0.5, beside: 2}, relay)
	real.Pass(t, 2*time.Second)
	// Less than broker.session.timeout.ms and replica.lag.time.max.ms: the
	// followers must still count as in sync when they are asked to lead.
	cluster.Pause(2)
	cluster.Pause(3)
	lagging := time.Now()
	real.Pass(t, 1500*time.Millisecond)
	cluster.Kill(1)
	died := time.Now()
	cluster.Continue(2)
	cluster.Continue(3)
	real.Pass(t, 6*time.Second)
	cluster.Restart(1)
	wait()
	cluster.InSync()

	meanwhile := 0
	for _, e := range book.read(t) {
		if at, ok := e.Accepted(); ok && at.After(lagging.Add(100*time.Millisecond)) && at.Before(died) {
			meanwhile++
		}
	}
	t.Logf("accepted while only the leader had it: %d", meanwhile)
	recoveries(t, book, []mark{{"followers lag", lagging}, {"the leader dies", died}})
	if mutant == (real.Mutant{}) {
		settled(t, relay, book)
	}
	return book.judge(t, cluster.ReadMany(storm.Topics()...), relay.Log(t))
}
