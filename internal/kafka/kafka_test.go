package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/kafka"
)

// rig is a client on a virtual cluster, with what it said and got.
type rig struct {
	*kafka.Client
	t       *testing.T
	cluster *devkit.VirtualKafka
	stop    func()

	mu     sync.Mutex
	topics map[string]kafka.Topic
	acked  map[int32][]int // values per partition, in the order of settlement
	failed []error
}

func newRig(t *testing.T, brokers int, topics ...string) *rig {
	t.Helper()
	return newRigDialing(t, func(d dialFunc) dialFunc { return d }, brokers, topics...)
}

type dialFunc = func(ctx context.Context, network, host string) (net.Conn, error)

// newRigDialing is newRig with something between client and brokers.
func newRigDialing(t *testing.T, between func(dialFunc) dialFunc, brokers int, topics ...string) *rig {
	t.Helper()
	cluster, err := devkit.NewVirtualKafka(brokers, kfake.SeedTopics(4, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, cluster: cluster, topics: map[string]kafka.Topic{}, acked: map[int32][]int{}}
	r.Client, err = kafka.New(kafka.Options{
		Brokers: cluster.Brokers, Topics: topics, ClientID: "test",
		MaxRecords: 100_000, MaxBytes: 64 << 20, Log: slog.New(slog.DiscardHandler), Dial: between(cluster.Dial),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.run()
	return r
}

// run starts the watch; stop ends it, the client and the cluster.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = r.Run(ctx, func(topic kafka.Topic) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.topics[topic.Name] = topic
		})
	})
	r.stop = func() {
		cancel()
		r.Close()
		wg.Wait()
		r.cluster.Close()
	}
}

func (r *rig) topic(name string) (kafka.Topic, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.topics[name]
	return t, ok
}

// until waits, in virtual time, for a condition.
func until(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func (r *rig) send(topic string, partition int32, n int) {
	rec := &event.Record{Topic: topic, Key: []byte("k"), Value: fmt.Appendf(nil, "%d", n), Timestamp: time.Now()}
	r.Produce(rec, partition, func(_ int64, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.failed = append(r.failed, err)
			return
		}
		r.acked[partition] = append(r.acked[partition], n)
	})
}

func (r *rig) settled() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.failed)
	for _, a := range r.acked {
		n += len(a)
	}
	return n
}

// judge reads everything back: each acked value is there once, in order, in
// its partition, and every produce request was acks=all and idempotent.
func (r *rig) judge(topic string) {
	r.t.Helper()
	records, err := r.cluster.ReadAll(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	got := map[int32][]string{}
	for _, rec := range records {
		got[rec.Partition] = append(got[rec.Partition], string(rec.Value))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for partition, values := range r.acked {
		if want := strings.Trim(fmt.Sprint(values), "[]"); want != strings.Join(got[partition], " ") {
			r.t.Errorf("partition %d: acked %s, topic holds %v", partition, want, got[partition])
		}
	}
	if n, wrong := r.cluster.Produced(); n == 0 || len(wrong) > 0 {
		r.t.Errorf("%d produce requests, wrong: %v", n, wrong)
	}
}

func TestTopicsAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a", "missing")
		defer r.stop()
		until(t, "both topics reported", time.Second, func() bool {
			_, a := r.topic("a")
			_, m := r.topic("missing")
			return a && m
		})
		if a, _ := r.topic("a"); a.Err != nil || a.Partitions != 4 || a.MaxMessageBytes != 1_048_588 {
			t.Errorf("a: %+v", a)
		}
		if m, _ := r.topic("missing"); !errors.Is(m.Err, event.ErrTopicUnavailable) || !errors.Is(m.Err, kerr.UnknownTopicOrPartition) {
			t.Errorf("missing: %v", m.Err)
		}
		if err := r.cluster.Cluster.CreateTopic("missing", 2, map[string]string{"max.message.bytes": "2000"}); err != nil {
			t.Fatal(err)
		}
		until(t, "the created topic is usable", 2*time.Second, func() bool { m, _ := r.topic("missing"); return m.Err == nil })
		if m, _ := r.topic("missing"); m.Partitions != 2 || m.MaxMessageBytes != 2000 {
			t.Errorf("created: %+v", m)
		}
	})
}

// TestOutage: five minutes without any broker lose, repeat and reorder nothing.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		n := 0
		for ; n < 100; n++ {
			r.send("a", int32(n%4), n)
		}
		until(t, "acks", time.Second, func() bool { return r.settled() == 100 })
		contact := r.Contact()
		r.cluster.Cut()
		for ; n < 400; n++ {
			r.send("a", int32(n%4), n)
			time.Sleep(time.Second)
		}
		if quiet := time.Since(r.Contact()); quiet < 299*time.Second || r.Contact().Before(contact) {
			t.Errorf("contact %s ago during an outage", quiet)
		}
		if r.settled() != 100 {
			t.Errorf("%d settled during the outage", r.settled()-100)
		}
		r.cluster.Heal()
		until(t, "everything acked", 30*time.Second, func() bool { return r.settled() == 400 })
		if len(r.failed) > 0 {
			t.Errorf("failed: %v", r.failed)
		}
		r.judge("a")
	})
}

// TestFaults: what a broker may answer, and what becomes of the record.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault  *kerr.Error
		within time.Duration
		want   error // nil: acked in the end
	}{
		"not leader":                  {kerr.NotLeaderForPartition, time.Second, nil},
		"not enough replicas":         {kerr.NotEnoughReplicas, time.Second, nil},
		"after append":                {kerr.NotEnoughReplicasAfterAppend, time.Second, nil},
		"timed out but applied":       {kerr.RequestTimedOut, time.Second, nil},
		"storage error":               {kerr.KafkaStorageError, time.Second, nil},
		"out of order sequence":       {kerr.OutOfOrderSequenceNumber, 6 * time.Second, nil},
		"message too large":           {kerr.MessageTooLarge, time.Second, event.ErrTopicUnavailable},
		"denied":                      {kerr.TopicAuthorizationFailed, time.Second, event.ErrTopicUnavailable},
		"invalid record":              {kerr.InvalidRecord, time.Second, event.ErrTopicUnavailable},
		"policy violation":            {kerr.PolicyViolation, time.Second, event.ErrTopicUnavailable},
		"an error that says nothing":  {kerr.UnknownServerError, time.Second, event.ErrOutcomeUnknown},
		"cluster authorization":       {kerr.ClusterAuthorizationFailed, time.Second, event.ErrOutcomeUnknown},
		"leader moved (fenced epoch)": {kerr.FencedLeaderEpoch, time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 3, "a")
				defer r.stop()
				until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
				r.send("a", 0, 0)
				until(t, "first ack", time.Second, func() bool { return r.settled() == 1 })
				r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "a", Err: c.fault})
				r.send("a", 0, 1)
				until(t, "settled", c.within, func() bool { return r.settled() == 2 })
				r.send("a", 0, 2)
				until(t, "the next one", time.Second, func() bool { return r.settled() == 3 })
				switch {
				case c.want == nil && len(r.failed) > 0:
					t.Errorf("failed: %v", r.failed)
				case c.want != nil && (len(r.failed) != 1 || !errors.Is(r.failed[0], c.want)):
					t.Errorf("failed %v, want %v", r.failed, c.want)
				}
				r.judge("a")
			})
		})
	}
}

func TestLeaderMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		for n := range 300 {
			r.send("a", int32(n%4), n)
			if n%20 == 0 {
				r.cluster.Cluster.ShufflePartitionLeaders()
			}
			time.Sleep(5 * time.Millisecond)
		}
		until(t, "everything acked", 5*time.Second, func() bool { return r.settled() == 300 })
		if len(r.failed) > 0 {
			t.Errorf("failed: %v", r.failed)
		}
		r.judge("a")
	})
}

// TestRecreated: a topic that is deleted and made anew fails its records for
// a moment and then works again, without a restart.
func TestRecreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		r.send("a", 0, 0)
		until(t, "ack", time.Second, func() bool { return r.settled() == 1 })
		old, _ := r.topic("a")
		if err := r.cluster.Cluster.DeleteTopic("a"); err != nil {
			t.Fatal(err)
		}
		if err := r.cluster.Cluster.CreateTopic("a", 4, nil); err != nil {
			t.Fatal(err)
		}
		r.send("a", 0, 1)
		until(t, "the record is settled", 10*time.Second, func() bool { return r.settled() == 2 })
		for _, err := range r.failed {
			if !errors.Is(err, event.ErrTopicUnavailable) {
				t.Errorf("failed with %v", err)
			}
		}
		until(t, "the new topic is known", 20*time.Second, func() bool { now, _ := r.topic("a"); return now.ID != old.ID && now.Err == nil })
		before := r.settled()
		failed := len(r.failed)
		r.send("a", 0, 2)
		until(t, "an ack from the new topic", 2*time.Second, func() bool { return r.settled() == before+1 })
		if len(r.failed) != failed {
			t.Errorf("after the recreation: %v", r.failed)
		}
	})
}

func TestDeletedTopicIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a", "b")
		defer r.stop()
		until(t, "topics", time.Second, func() bool { _, ok := r.topic("b"); return ok })
		r.send("a", 0, 0)
		r.send("b", 0, 0)
		until(t, "acks", time.Second, func() bool { return r.settled() == 2 })
		if err := r.cluster.Cluster.DeleteTopic("a"); err != nil {
			t.Fatal(err)
		}
		r.send("a", 0, 1)
		until(t, "the topic is reported missing", 20*time.Second, func() bool { a, _ := r.topic("a"); return a.Err != nil })
		until(t, "its record is settled", 20*time.Second, func() bool { return r.settled() == 3 })
		r.send("b", 0, 1)
		until(t, "the other topic goes on", time.Second, func() bool { return r.settled() == 4 })
		if len(r.failed) != 1 || !errors.Is(r.failed[0], event.ErrTopicUnavailable) {
			t.Errorf("failed: %v", r.failed)
		}
	})
}

// TestOneHungBroker: the partitions of the other brokers go on, pings still
// say that Kafka is there, and what was held is acked when the broker goes on.
func TestOneHungBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		for p := range int32(4) {
			r.send("a", p, int(p))
		}
		until(t, "acks", time.Second, func() bool { return r.settled() == 4 })
		hung := r.cluster.Cluster.LeaderFor("a", 0)
		r.cluster.Hang(hung)
		want := 4
		for p := range int32(4) {
			r.send("a", p, int(p)+10)
			if r.cluster.Cluster.LeaderFor("a", p) != hung {
				want++
			}
		}
		until(t, "the others' acks", time.Second, func() bool { return r.settled() == want })
		time.Sleep(20 * time.Second)
		if r.settled() != want {
			t.Errorf("%d settled, want %d", r.settled(), want)
		}
		if quiet := time.Since(r.Contact()); quiet > 4*time.Second {
			t.Errorf("no contact for %s although two brokers answer", quiet)
		}
		r.cluster.Heal()
		until(t, "all acked", 20*time.Second, func() bool { return r.settled() == 8 })
		r.judge("a")
	})
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		r.send("a", 0, 0)
		if err := r.Flush(t.Context()); err != nil || r.settled() != 1 {
			t.Errorf("%v, %d settled", err, r.settled())
		}
		r.cluster.Cut()
		r.send("a", 0, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flush without brokers: %v", err)
		}
	})
}

func BenchmarkProduce(b *testing.B) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(8, "a"), kfake.BlackholeProduce())
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Close()
	c, err := kafka.New(kafka.Options{Brokers: cluster.ListenAddrs(), Topics: []string{"a"}, ClientID: "bench", MaxRecords: 1 << 20, MaxBytes: 1 << 30, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	value, header := make([]byte, 554), []byte("0123456789")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		done := make(chan error, 1)
		for pb.Next() {
			rec := &event.Record{Topic: "a", Key: header, Value: value, Headers: []event.Header{{Key: "cxrelay-event-id", Value: header}}}
			c.Produce(rec, 0, func(_ int64, err error) { done <- err })
			if err := <-done; err != nil {
				b.Error(err)
			}
		}
	})
}
