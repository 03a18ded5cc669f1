//go:build real

package real_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/real/judge"
)

// What is promised of answers: the deadline of the built-in source, and what
// a busy machine may add to it.
const (
	deadline  = 2 * time.Second
	slackP999 = 100 * time.Millisecond
	slackMax  = 500 * time.Millisecond
)

// mark is a moment at which the test broke or mended something.
type mark struct {
	what string
	at   time.Time
}

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

// TestBrokersFail: 20,000 events of 500 contacts, while one of three brokers
// is killed and restarted, another hangs for 10 s, and leaders move.
func TestBrokersFail(t *testing.T) {
	cluster := rig.Cluster(t, real.Brokers(3))
	relay := start(t, cluster, real.Setup{})
	var journal judge.Journal
	sender := judge.NewSender(relay.URL, secret, &journal)
	defer sender.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	began, late := time.Now(), judge.Watch(ctx)
	wait := sender.Crowd(ctx, judge.Crowd{Contacts: 500, Events: 40, Senders: 3, Over: 50 * time.Second})
	var marks []mark
	say := func(what string) { marks = append(marks, mark{what, time.Now()}) }
	topics := judge.Topics()
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
	real.Pass(t, 4*time.Second)
	hung := killed%3 + 1 // leads a third of the partitions, as each one does
	say("a broker hangs")
	cluster.Pause(hung)
	real.Pass(t, 10*time.Second)
	say("it goes on")
	cluster.Continue(hung)
	cluster.InSync()
	say("leaders move again")
	cluster.MoveLeaders(topics...)
	real.Pass(t, 4*time.Second)
	say("and again")
	cluster.MoveLeaders(topics...)
	wait()
	t.Logf("everything sent after %s; killed broker %d, hung broker %d", time.Since(began).Round(time.Millisecond), killed, hung)

	recoveries(t, &journal, marks)
	timely(t, &journal, late())
	settled(t, relay, &journal)
	v := judge.Judge(&journal, cluster.ReadMany(topics...), relay.Log(t))
	report(t, v)
	if v.Accepted != 20_000 {
		t.Errorf("%d of 20000 events were accepted in the end", v.Accepted)
	}
}

// recoveries prints, for each mark, what was refused until the next one, and
// returns after how long the last of that was.
func recoveries(t *testing.T, j *judge.Journal, marks []mark) []time.Duration {
	t.Helper()
	answers := j.Answers()
	took := make([]time.Duration, len(marks))
	for i, m := range marks {
		end := time.Now()
		if i+1 < len(marks) {
			end = marks[i+1].at
		}
		var some []judge.Answer
		var last time.Time
		for _, a := range answers {
			if a.At.Before(m.at) || a.At.After(end) {
				continue
			}
			some = append(some, a)
			if a.Status != http.StatusOK && a.At.After(last) {
				last = a.At
			}
		}
		tm := judge.Time(some)
		recovery := "nothing refused"
		if !last.IsZero() {
			took[i] = last.Sub(m.at)
			recovery = "last refusal after " + took[i].Round(time.Millisecond).String()
		}
		t.Logf("%-20s %5d answers, refused %v, %s; slowest answer %s", m.what, tm.Answers, tm.Refused, recovery, tm.Max.Round(time.Millisecond))
	}
	return took
}

// timely checks how long answers took, and that all refusals are 503. What
// the machine itself was late by is not held against the relay.
func timely(t *testing.T, j *judge.Journal, late judge.Lateness) {
	t.Helper()
	answers := j.Answers()
	for _, a := range answers {
		if a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
			t.Errorf("answered %d %s %v after %s", a.Status, a.Reason, a.Err, a.Took)
		} else if a.Err != nil {
			t.Error(a.Err)
		}
	}
	tm := judge.Time(answers)
	t.Logf("%d answers, refused %v; p50 %s, p99 %s, p99.9 %s, max %s", tm.Answers, tm.Refused, tm.P50.Round(10*time.Microsecond),
		tm.P99.Round(time.Millisecond), tm.P999.Round(time.Millisecond), tm.Max.Round(time.Millisecond))
	t.Logf("timers of this machine were late by p99.9 %s, max %s", late.P999.Round(10*time.Microsecond), late.Max.Round(time.Millisecond))
	if tm.P999 > deadline+slackP999+late.P999 || tm.Max > deadline+slackMax+late.Max {
		t.Errorf("answers are late: deadline %s, p99.9 %s, max %s", deadline, tm.P999, tm.Max)
	}
}

// TestTwoOfThreeGone: no record can be in sync, so nothing is accepted; every
// answer says so, and it works again when the brokers are back.
func TestTwoOfThreeGone(t *testing.T) {
	cluster := rig.Cluster(t, real.Brokers(3))
	relay := start(t, cluster, real.Setup{})
	var journal judge.Journal
	sender := judge.NewSender(relay.URL, secret, &journal)
	defer sender.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	late := judge.Watch(ctx)
	wait := sender.Crowd(ctx, judge.Crowd{Contacts: 40, Events: 30, Senders: 2, Over: 30 * time.Second})
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
	sender.Again(ctx, probe)

	recoveries(t, &journal, marks)
	timely(t, &journal, late())
	for _, e := range journal.Events() {
		at, ok := e.Accepted()
		if !ok {
			t.Errorf("%s was never accepted", e.ID)
		}
		// What was acknowledged just before may be answered just after.
		if since := at.Sub(gone); since > 500*time.Millisecond && at.Before(marks[1].at) {
			t.Errorf("%s was accepted %s after two of three brokers were gone", e.ID, since)
		}
	}
	settled(t, relay, &journal)
	report(t, judge.Judge(&journal, cluster.ReadMany(judge.Topics()...), relay.Log(t)))
	for reason := range judge.Time(journal.Answers()).Refused {
		if reason != "delivery_timeout" && reason != "kafka_unavailable" {
			t.Errorf("refused with %s", reason)
		}
	}
}

// refusedAtOnce sends one more event of a contact whose partition has waited
// for long: it is refused without a wait.
func refusedAtOnce(t *testing.T, s *judge.Sender) *judge.Event {
	t.Helper()
	e := judge.NewEvent(judge.Types()[0], "c0", 1000)
	if a := s.Send(t.Context(), e, nil); a.Reason != "kafka_unavailable" || a.Took > 200*time.Millisecond {
		t.Errorf("during the outage: %d %s after %s", a.Status, a.Reason, a.Took)
	}
	return e
}
