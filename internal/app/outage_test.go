package app_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestNothingWrong is the control of the outage tests: without faults every
// event is accepted at once and stands in Kafka exactly once.
func TestNothingWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		w.load(20, 40*time.Millisecond, time.Now().Add(3*time.Second))()
		v := w.judge()
		if v.accepted < 500 || v.records != v.accepted || v.duplicates != 0 {
			t.Errorf("%+v", v)
		}
		for _, s := range w.journal.all {
			if len(s.statuses) != 1 {
				t.Fatalf("%s needed %v", s.id, s.reasons)
			}
		}
	})
}

// TestBrokersAwayForMinutes: all refusals are 503 with the right reason,
// within the deadline, and everything accepted is there.
func TestBrokersAwayForMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		wait := w.load(10, 2*time.Second, time.Now().Add(310*time.Second))
		time.Sleep(2 * time.Second)
		w.kafka.Cut()
		w.until("not ready", 15*time.Second, func() bool { return !w.app.Readiness().Ready })
		time.Sleep(285 * time.Second)

		began := time.Now()
		if why := w.send(event("CALL_DISCONNECTED", "probe", 0)); why != "kafka_unavailable" && why != "delivery_timeout" {
			t.Errorf("during the outage: %s", why)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("answered after %s", took)
		}
		w.kafka.Heal()
		w.until("ready again", 30*time.Second, func() bool { return w.app.Readiness().Ready })
		wait()
		w.until("nothing pending", 30*time.Second, func() bool { return w.app.Books().Pending == 0 })
		v := w.judge()
		t.Logf("%+v, books %+v", v, w.app.Books())
		if v.accepted < 200 {
			t.Errorf("%+v", v)
		}
	})
}

func TestLeadersMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		wait := w.load(20, 40*time.Millisecond, time.Now().Add(5*time.Second))
		for range 20 {
			w.kafka.Cluster.ShufflePartitionLeaders()
			time.Sleep(200 * time.Millisecond)
		}
		wait()
		if v := w.judge(); v.accepted < 500 || v.duplicates != 0 {
			t.Errorf("%+v", v)
		}
	})
}

// TestBrokerErrors: errors that the producer retries show to nobody.
func TestBrokerErrors(t *testing.T) {
	for name, err := range map[string]*kerr.Error{
		"not enough replicas":              kerr.NotEnoughReplicas,
		"not enough replicas after append": kerr.NotEnoughReplicasAfterAppend,
		"timed out but applied":            kerr.RequestTimedOut,
		"not leader":                       kerr.NotLeaderForPartition,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				defer w.end()
				w.untilReady()
				wait := w.load(20, 40*time.Millisecond, time.Now().Add(4*time.Second))
				for range 30 {
					w.kafka.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: err})
					time.Sleep(100 * time.Millisecond)
				}
				wait()
				if v := w.judge(); v.accepted < 500 || v.duplicates != 0 {
					t.Errorf("%+v", v)
				}
			})
		})
	}
}

// TestOneHungBroker: partitions of the other brokers are answered 200 all the
// time; those of the hung one 503, first at the deadline, then at once.
func TestOneHungBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		wait := w.load(30, 200*time.Millisecond, time.Now().Add(60*time.Second))
		time.Sleep(time.Second)
		hung := w.kafka.Cluster.LeaderFor(seedTopics[0], 0)
		w.kafka.Hang(hung)
		time.Sleep(30 * time.Second)
		if !w.app.Readiness().Ready {
			t.Errorf("one hung broker of three made the relay not ready: %+v", w.app.Readiness())
		}
		w.kafka.Heal()
		wait()
		w.until("nothing pending", 30*time.Second, func() bool { return w.app.Books().Pending == 0 })
		w.judge()
		atOnce, refused := 0, map[string]int{}
		for _, s := range w.journal.all {
			if len(s.statuses) == 1 {
				atOnce++
			}
			for _, why := range s.reasons {
				refused[why]++
			}
		}
		if atOnce < len(w.journal.all)/2 || refused["delivery_timeout"] == 0 || refused["kafka_unavailable"] == 0 || refused["overloaded"] > 0 {
			t.Errorf("%d of %d at once; answers %v", atOnce, len(w.journal.all), refused)
		}
	})
}

// TestHungBrokerLosesItsPartitions: Kafka gives the partitions of a broker
// that hangs to others, and so does the relay, without waiting for it.
func TestHungBrokerLosesItsPartitions(t *testing.T) {
	for name, moved := range map[string]time.Duration{"after the relay has let go": 5 * time.Second, "before": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				defer w.end()
				w.untilReady()
				wait := w.load(30, 200*time.Millisecond, time.Now().Add(20*time.Second))
				time.Sleep(time.Second)
				hung := w.kafka.Cluster.LeaderFor(seedTopics[0], 0)
				w.kafka.Hang(hung)
				began := time.Now()
				time.Sleep(moved)
				for _, topic := range seedTopics {
					for p := range int32(8) {
						if w.kafka.Cluster.LeaderFor(topic, p) != hung {
							continue
						}
						if err := w.kafka.Cluster.MoveTopicPartition(topic, p, (hung+1)%3); err != nil {
							t.Fatal(err)
						}
					}
				}
				// The relay lets go 2 s after the hang, and asks for leaders
				// every 250 ms.
				time.Sleep(max(moved, 2*time.Second) + time.Second - time.Since(began))
				for i := range 100 {
					if s := event("QUEUE_TRANSFER", fmt.Sprintf("after-%d", i), 0); w.send(s) != "accepted" {
						t.Errorf("%s: %v", s.id, s.reasons)
					}
				}
				time.Sleep(10 * time.Second)
				w.kafka.Heal()
				wait()
				w.until("nothing pending", time.Second, func() bool { return w.app.Books().Pending == 0 })
				if v := w.judge(); v.accepted < 500 {
					t.Errorf("%+v", v)
				}
			})
		})
	}
}

// TestQuietHours: a relay that has nothing to do hears of its brokers once a
// second. That is no outage, however short limits.oldest_unacked is.
func TestQuietHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{overrides: map[string]string{"limits.oldest_unacked": "300ms"}})
		defer w.end()
		w.untilReady()
		for n := range 20 {
			time.Sleep(time.Duration(n) * 170 * time.Millisecond)
			if s := event("QUEUE_TRANSFER", "c2", n); w.send(s) != "accepted" {
				t.Errorf("%s: %v", s.id, s.reasons)
			}
		}
		// A real one is noticed all the same.
		w.hangAll()
		time.Sleep(5 * time.Second)
		if why := w.send(event("QUEUE_TRANSFER", "c2", 20)); why != "kafka_unavailable" {
			t.Errorf("while every broker hangs: %s", why)
		}
		w.kafka.Heal()
		w.judge()
	})
}

// TestMissingTopic: only its route is refused, and it works once created.
func TestMissingTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{topics: seedTopics[:3]})
		defer w.end()
		w.untilReady()
		if why := w.send(event("CALL_DISCONNECTED", "c2", 0)); why != "topic_unavailable" {
			t.Errorf("missing topic: %s", why)
		}
		if why := w.send(event("QUEUE_TRANSFER", "c2", 1)); why != "accepted" {
			t.Errorf("other topic: %s", why)
		}
		if r := w.app.Readiness(); len(r.Degraded) == 0 {
			t.Errorf("not degraded: %+v", r)
		}
		if err := w.kafka.Cluster.CreateTopic(seedTopics[3], 8, nil); err != nil {
			t.Fatal(err)
		}
		w.until("the topic is usable", 3*time.Second, func() bool { return len(w.app.Readiness().Degraded) == 0 })
		if why := w.send(event("CALL_DISCONNECTED", "c2", 2)); why != "accepted" {
			t.Errorf("created topic: %s", why)
		}
		w.judge()
	})
}

// TestRecreatedTopic: refused for a moment, then it works without a restart.
func TestRecreatedTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		if why := w.send(event("CALL_DISCONNECTED", "x", 0)); why != "accepted" {
			t.Fatal(why)
		}
		w.journal.all = nil // its topic goes
		before := w.app.Books()
		topic := topicByType["CALL_DISCONNECTED"]
		if err := w.kafka.Cluster.DeleteTopic(topic); err != nil {
			t.Fatal(err)
		}
		if err := w.kafka.Cluster.CreateTopic(topic, 8, nil); err != nil {
			t.Fatal(err)
		}
		s := event("CALL_DISCONNECTED", "c2", 1)
		began := time.Now()
		w.insist(s)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("accepted after %s (%v)", took, s.reasons)
		}
		for _, why := range s.reasons[:len(s.reasons)-1] {
			if why != "topic_unavailable" && why != "delivery_timeout" {
				t.Errorf("refused with %s", why)
			}
		}
		records, err := w.kafka.ReadAll(t.Context(), topic)
		if err != nil || len(records) == 0 || string(records[0].Value) != s.body {
			t.Errorf("%d records, %v", len(records), err)
		}
		if after := w.app.Books(); after.Acked <= before.Acked {
			t.Errorf("books %+v", after)
		}
	})
}

// TestGrownTopic: keys keep their partition until a restart.
func TestGrownTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		wait := w.load(20, 200*time.Millisecond, time.Now().Add(60*time.Second))
		time.Sleep(10 * time.Second)
		w.grow(seedTopics[0], 24)
		w.grow(seedTopics[3], 24)
		wait()
		if v := w.judge(); v.duplicates != 0 {
			t.Errorf("%+v", v)
		}
	})
}

// TestTooLargeForTheTopic: 413 before anything is produced.
func TestTooLargeForTheTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{topics: seedTopics[:3]})
		defer w.end()
		if err := w.kafka.Cluster.CreateTopic(seedTopics[3], 8, map[string]string{"max.message.bytes": "400"}); err != nil {
			t.Fatal(err)
		}
		w.untilReady()
		w.until("the topic is usable", 3*time.Second, func() bool { return len(w.app.Readiness().Degraded) == 0 })
		produced := w.app.Books().Produced
		big := event("CALL_DISCONNECTED", "c4", 0)
		if why := w.send(big); why != "too_large" || big.statuses[0] != 413 {
			t.Errorf("%s %v", why, big.statuses)
		}
		if w.app.Books().Produced != produced {
			t.Error("something was produced")
		}
		w.send(event("QUEUE_TRANSFER", "c4", 1))
		w.judge()
	})
}

// TestKafkaAwayAtStart: it starts, is not ready, answers 503 with the reason,
// and recovers by itself.
func TestKafkaAwayAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{away: true})
		defer w.end()
		time.Sleep(20 * time.Second)
		if r := w.app.Readiness(); r.Ready || len(r.Missing) == 0 {
			t.Errorf("%+v", r)
		}
		if why := w.send(event("QUEUE_TRANSFER", "c2", 0)); why != "kafka_unavailable" {
			t.Errorf("answered %s", why)
		}
		w.kafka.Heal()
		w.until("ready", 15*time.Second, func() bool { return w.app.Readiness().Ready })
		if why := w.send(event("QUEUE_TRANSFER", "c2", 1)); why != "accepted" {
			t.Errorf("answered %s", why)
		}
		w.judge()
	})
}

// TestRecreatedBeforeItsFirstEvent: an ack must never be one for a record of
// the topic's former life.
func TestRecreatedBeforeItsFirstEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		topic := topicByType["CALL_DISCONNECTED"]
		if err := errors.Join(w.kafka.Cluster.DeleteTopic(topic), w.kafka.Cluster.CreateTopic(topic, 8, nil)); err != nil {
			t.Fatal(err)
		}
		for n := range 6 {
			w.insist(event("CALL_DISCONNECTED", "c2", n))
			if n == 2 {
				time.Sleep(20 * time.Second) // the watch sees the new topic
			}
		}
		if v := w.judge(); v.accepted != 6 {
			t.Errorf("%+v", v)
		}
	})
}

// TestNoProducerID: while the cluster gives no producer id nothing is
// produced, an operator can see why, and it heals without a restart.
func TestNoProducerID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{away: true})
		defer w.end()
		fault := w.kafka.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.UnknownServerError, Count: -1})
		w.kafka.Heal()
		w.until("degraded, with the cause", 10*time.Second, func() bool {
			return strings.Contains(fmt.Sprint(w.app.Readiness().Degraded), "UNKNOWN_SERVER_ERROR")
		})
		if why := w.send(event("QUEUE_TRANSFER", "c2", 1)); why != "topic_unavailable" {
			t.Errorf("answered %s", why)
		}
		fault.Remove()
		s := event("QUEUE_TRANSFER", "c2", 2)
		began := time.Now()
		w.insist(s)
		if took := time.Since(began); took > 40*time.Second {
			t.Errorf("accepted after %s", took)
		}
		w.judge()
	})
}
