package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/kafka"
)

// settle sends a record and waits for its result.
func (r *rig) settle(topic string, partition int32, n int) {
	r.t.Helper()
	before := r.settled()
	r.send(topic, partition, n)
	until(r.t, fmt.Sprintf("record %d is settled", n), 20*time.Second, func() bool { return r.settled() == before+1 })
}

func (r *rig) setLimit(topic, value string) {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...), kgo.Dialer(r.cluster.Dial))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).AlterTopicConfigs(r.t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &value}}, topic); err != nil {
		r.t.Fatal(err)
	}
}

// TestRecreatedUnseen: a topic is deleted and made anew after the first look
// and before its first record. The producer knows the new topic only, so no
// record fails, and forgetting the topic would start its sequences again under
// the same producer id: an ack for a record that is not in the log.
func TestRecreatedUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		old, _ := r.topic("a")
		if err := errors.Join(r.cluster.Cluster.DeleteTopic("a"), r.cluster.Cluster.CreateTopic("a", 4, nil)); err != nil {
			t.Fatal(err)
		}
		r.settle("a", 0, 0)
		until(t, "the new topic is seen", 20*time.Second, func() bool { now, _ := r.topic("a"); return now.ID != old.ID && now.Err == nil })
		for n := 1; n < 4; n++ {
			r.settle("a", 0, n)
		}
		if len(r.acked[0]) != 4 {
			t.Errorf("acked %v, failed %v", r.acked, r.failed)
		}
		r.judge("a")
	})
}

// TestTopicUnknownForAMoment: a leader that does not know its partition for a
// while must not make the producer start anew.
func TestTopicUnknownForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		began := time.Now()
		if err := errors.Join(r.cluster.Cluster.MoveTopicPartition("a", 0, 0), r.cluster.Cluster.MoveTopicPartition("a", 1, 1)); err != nil {
			t.Fatal(err)
		}
		r.settle("a", 0, 0)
		r.settle("a", 1, 1)
		r.cluster.Cluster.ControlKey(int16(kmsg.DescribeConfigs), func(kmsg.Request) (kmsg.Response, error, bool) {
			r.cluster.Cluster.SleepControl(func() { time.Sleep(2 * time.Second) }) // the watch is busy
			return nil, nil, false
		})
		time.Sleep(time.Until(began.Add(14500 * time.Millisecond)))
		r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "a", Partitions: []int32{0}, Err: kerr.UnknownTopicOrPartition, Count: 5})
		r.settle("a", 0, 2)
		r.settle("a", 1, 3)
		time.Sleep(10 * time.Second)
		r.settle("a", 1, 4)
		r.settle("a", 0, 5)
		if len(r.failed) != 1 || !errors.Is(r.failed[0], event.ErrTopicUnavailable) {
			t.Errorf("failed %v", r.failed)
		}
		r.judge("a")
	})
}

// TestLimitChanges: max.message.bytes is followed at run time, up and down,
// and what a batch of several records hits is no record's fault.
func TestLimitChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		r.settle("a", 0, 0)
		limit := func(n int32) func() bool {
			return func() bool { now, _ := r.topic("a"); return now.MaxMessageBytes == n && now.Err == nil }
		}
		r.setLimit("a", "2000")
		until(t, "the lower limit is known", 20*time.Second, limit(2000))
		before := r.settled()
		for n := 1; n <= 100; n++ { // more than fit into one batch of 2000 bytes
			r.send("a", 0, n)
		}
		until(t, "all settled", 5*time.Second, func() bool { return r.settled() == before+100 })

		r.setLimit("a", "100000")
		until(t, "the higher limit is known", 20*time.Second, limit(100_000))
		done := make(chan error, 1)
		rec := &event.Record{Topic: "a", Value: []byte(strings.Repeat("\x01\x02\x03", 2000)), Timestamp: time.Now()}
		r.Produce(rec, 1, func(_ int64, err error) { done <- err })
		if err := <-done; err != nil {
			t.Errorf("a record under the new limit: %v", err)
		}
		if len(r.failed) != 0 {
			t.Errorf("failed %v", r.failed)
		}
	})
}

// TestLimitLoweredUnseen: between two looks a whole batch is too large. None
// of its records is to blame.
func TestLimitLoweredUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		r.settle("a", 0, 0)
		r.setLimit("a", "2000")
		r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "a", Err: kerr.MessageTooLarge})
		r.settle("a", 0, 1)
		if len(r.failed) != 1 || errors.Is(r.failed[0], event.ErrTooLarge) || !errors.Is(r.failed[0], event.ErrTopicUnavailable) {
			t.Errorf("failed %v", r.failed)
		}
		until(t, "the limit is looked up at once", 3*time.Second, func() bool { now, _ := r.topic("a"); return now.MaxMessageBytes == 2000 && now.Err == nil })
		r.settle("a", 0, 2)
		if len(r.failed) != 1 {
			t.Errorf("failed %v", r.failed)
		}
		r.judge("a")
	})
}

func TestLimitIsKeptWhenAQuestionFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a")
		defer r.stop()
		r.setLimit("a", "2000")
		until(t, "the limit is known", 20*time.Second, func() bool { now, _ := r.topic("a"); return now.MaxMessageBytes == 2000 })
		asked := r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.UnknownServerError, Count: 1})
		until(t, "the question failed", 20*time.Second, func() bool { return asked.Hits() > 0 })
		time.Sleep(time.Second)
		if now, _ := r.topic("a"); now.MaxMessageBytes != 2000 {
			t.Errorf("limit %d", now.MaxMessageBytes)
		}
	})
}

// TestNoProducerID: kgo keeps a refused producer id for ever; the relay does
// not. Until there is one the topic is not usable, and somebody can see why.
func TestNoProducerID(t *testing.T) {
	for _, err := range []*kerr.Error{kerr.ClusterAuthorizationFailed, kerr.UnknownServerError} {
		t.Run(err.Message, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, open := newRigLater(t, "a")
				defer r.stop()
				fault := r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: err, Count: -1})
				open.Store(true)
				seen := func() string {
					now, _ := r.topic("a")
					return fmt.Sprint(now.Err, r.Problems())
				}
				until(t, "the cause can be seen", 10*time.Second, func() bool { return strings.Contains(seen(), err.Message) || strings.Contains(seen(), "ACL denies") })
				before := fault.Hits()
				time.Sleep(3 * time.Minute)
				if n := fault.Hits() - before; n > 190 {
					t.Errorf("asked for a producer id %d times in three minutes", n)
				}
				if now, known := r.topic("a"); known && now.Err == nil {
					t.Error("the topic counts as usable")
				}
				fault.Remove()
				until(t, "usable", 40*time.Second, func() bool { now, known := r.topic("a"); return known && now.Err == nil })
				r.settle("a", 0, 1)
				if len(r.failed) != 0 {
					t.Errorf("failed %v", r.failed)
				}
				r.judge("a")
			})
		})
	}
}

// TestProducerIDComesLater: a broker that waits in vain for the controller to
// give it producer ids (KIP-730) says COORDINATOR_LOAD_IN_PROGRESS, or up to
// Kafka 3.5 REQUEST_TIMED_OUT. That passes and says nothing of a topic: none may
// be called unavailable, and no producer is replaced.
func TestProducerIDComesLater(t *testing.T) {
	for _, err := range []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.RequestTimedOut} {
		t.Run(err.Message, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, open := newRigLater(t, "a", "b")
				defer r.stop()
				fault := r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: err, Count: 5})
				open.Store(true)
				for _, name := range []string{"a", "b"} {
					var seen kafka.Topic
					until(t, "the first sight of "+name, 10*time.Second, func() (known bool) { seen, known = r.topic(name); return known })
					if seen.Err != nil {
						t.Errorf("topic %s at first sight: %v", name, seen.Err)
					}
				}
				if fault.Hits() != 5 {
					t.Errorf("%d of 5 answers: this shows little", fault.Hits())
				}
				r.settle("a", 0, 0)
				if len(r.failed) != 0 {
					t.Errorf("failed %v", r.failed)
				}
			})
		})
	}
}

// TestProducerIDComesLate: while the broker has none to give, a topic takes no
// records, for which kgo would ask without a pause. The relay asks ten times a
// second at most, and says why it waits.
func TestProducerIDComesLate(t *testing.T) {
	for _, tc := range []struct {
		name, cause string
		err         *kerr.Error
		renewal     bool
	}{
		{"first sight", "REQUEST_TIMED_OUT", kerr.RequestTimedOut, false},
		{"renewal", "REQUEST_TIMED_OUT", kerr.RequestTimedOut, true},
		{"asked again by kgo", "not within 3s", kerr.CoordinatorLoadInProgress, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, open := newRigLater(t, "a")
				defer r.stop()
				usable := func() bool { now, known := r.topic("a"); return known && now.Err == nil }
				if tc.renewal {
					open.Store(true)
					until(t, "usable", 10*time.Second, usable)
				}
				fault := r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: tc.err, Count: -1})
				want := event.ErrKafkaUnavailable
				if tc.renewal {
					want = event.ErrTopicUnavailable
					r.setLimit("a", "2000")
				}
				open.Store(true)
				until(t, "the cause can be seen", 30*time.Second, func() bool {
					now, _ := r.topic("a")
					return errors.Is(now.Err, want) && strings.Contains(now.Err.Error(), "no producer id yet: "+tc.cause)
				})
				before := fault.Hits()
				time.Sleep(3 * time.Minute)
				if n := fault.Hits() - before; n > 10*180 || n < 60 {
					t.Errorf("asked for a producer id %d times in three minutes", n)
				}
				if usable() {
					t.Error("the topic counts as usable")
				}
				fault.Remove()
				until(t, "usable again", 4*time.Second, usable)
				r.settle("a", 0, 1)
				if len(r.failed) != 0 {
					t.Errorf("failed %v", r.failed)
				}
				r.judge("a")
			})
		})
	}
}

// newRigLater has a broker that refuses connections until open is set.
func newRigLater(t *testing.T, topics ...string) (r *rig, open *atomic.Bool) {
	open = new(atomic.Bool)
	return newRigDialing(t, func(dial dialFunc) dialFunc {
		return func(ctx context.Context, network, host string) (net.Conn, error) {
			if !open.Load() {
				return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
			}
			return dial(ctx, network, host)
		}
	}, 1, topics...), open
}

// lossy closes the connection of the next produce request when its answer comes.
type lossy struct {
	net.Conn
	lose     *atomic.Bool
	then     func()
	produces atomic.Bool
}

func (c *lossy) Write(b []byte) (int, error) {
	if len(b) > 6 && b[4] == 0 && b[5] == 0 { // api key 0
		c.produces.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *lossy) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.produces.Load() && c.lose.CompareAndSwap(true, false) {
		c.then()
		_ = c.Conn.Close()
		return 0, io.EOF
	}
	return n, err
}

// TestRefusedAfterALostAnswer: the record is in the log although the second
// try was refused. Nothing may be claimed that says otherwise.
func TestRefusedAfterALostAnswer(t *testing.T) {
	for _, refusal := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.UnknownServerError, kerr.InvalidTimestamp, kerr.MessageTooLarge} {
		t.Run(refusal.Message, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lose atomic.Bool
				var r *rig
				r = newRigDialing(t, func(dial dialFunc) dialFunc {
					return func(ctx context.Context, network, host string) (net.Conn, error) {
						c, err := dial(ctx, network, host)
						if err != nil {
							return nil, err
						}
						return &lossy{Conn: c, lose: &lose, then: func() {
							r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "a", Err: refusal})
						}}, nil
					}
				}, 1, "a")
				defer r.stop()
				until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
				r.settle("a", 0, 0)
				lose.Store(true)
				r.settle("a", 0, 1)
				records, err := r.cluster.ReadAll(t.Context(), "a")
				if err != nil || len(records) != 2 {
					t.Fatalf("%d records, %v: the answer was not lost after the append", len(records), err)
				}
				if len(r.failed) != 1 || !errors.Is(r.failed[0], event.ErrTopicUnavailable) && !errors.Is(r.failed[0], event.ErrOutcomeUnknown) {
					t.Errorf("failed %v", r.failed)
				}
			})
		})
	}
}

// TestManyRefusalsAskSeldom: refused records make the watch look early, not often.
func TestManyRefusalsAskSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "a", Err: kerr.TopicAuthorizationFailed, Count: -1})
		asked := r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Observe: true, Count: -1})
		for n := range 1000 {
			r.send("a", 0, n)
			time.Sleep(10 * time.Millisecond)
		}
		if n := asked.Hits(); n > 12 {
			t.Errorf("%d looks in ten seconds", n)
		}
	})
}
