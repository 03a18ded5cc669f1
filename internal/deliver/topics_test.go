package deliver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/kafka"
)

// names of the topics in the status.
func (r *rig) names() string {
	var all []string
	for _, s := range r.Status() {
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

// sendTo delivers one record of a topic and returns its receipt.
func (r *rig) sendTo(t *testing.T, topic string) event.Receipt {
	t.Helper()
	receipt, err := r.Deliver(&event.Record{Topic: topic, Key: []byte("k"), Value: []byte("v")}, time.Now().Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// TestTopicsComeAndGo: a topic that is dropped and comes back goes on with its
// partitions and its sequence, for the origin in its records is the same.
func TestTopicsComeAndGo(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Topics = []string{"a"} })
	r.producer.auto = true
	seen := func(topic string, partitions int32) {
		r.TopicChanged(kafka.Topic{Name: topic, Partitions: partitions, MaxMessageBytes: 1000})
	}
	seen("a", 4)
	if _, err := r.Deliver(&event.Record{Topic: "new", Value: []byte("v")}, time.Now().Add(time.Second)); !errors.Is(err, event.ErrTopicUnavailable) {
		t.Errorf("before Add: %v", err)
	}
	r.Add([]string{"a", "new"}, map[string]int32{"new": 2})
	if _, err := r.Deliver(&event.Record{Topic: "new", Value: []byte("v")}, time.Now().Add(time.Second)); !errors.Is(err, event.ErrKafkaUnavailable) {
		t.Errorf("before it was seen: %v", err)
	}
	if got := r.sendTo(t, "a"); got.Seq != 1 {
		t.Errorf("a lost its state: %+v", got)
	}
	seen("new", 3)
	first := r.sendTo(t, "new")
	if first.Seq != 1 || r.Pinned("new") != 2 || r.lanes.Load() != 6 {
		t.Errorf("%+v, pinned %d, %d lanes", first, r.Pinned("new"), r.lanes.Load())
	}
	r.Retain([]string{"a"})
	r.Retain([]string{"a"})
	if got := r.names(); got != "a" || r.lanes.Load() != 4 {
		t.Errorf("after the drop: %s, %d lanes", got, r.lanes.Load())
	}
	if late := r.sendTo(t, "new"); late.Seq != 2 {
		t.Errorf("a record on its way: %+v", late)
	}
	r.TopicChanged(kafka.Topic{Name: "new", Err: event.ErrTopicUnavailable}) // nobody looks any more
	r.Add([]string{"new"}, nil)
	if _, err := r.Deliver(&event.Record{Topic: "new", Value: []byte("v")}, time.Now().Add(time.Second)); !errors.Is(err, event.ErrKafkaUnavailable) {
		t.Errorf("back, but not seen: %v", err)
	}
	seen("new", 8)
	if again := r.sendTo(t, "new"); again.Seq != 3 || again.Partition != first.Partition || r.Pinned("new") != 2 || r.lanes.Load() != 6 {
		t.Errorf("%+v, pinned %d, %d lanes", again, r.Pinned("new"), r.lanes.Load())
	}
}

// TestUnseenTopicComesBack: a topic that had a route and was never seen counts
// for new when it comes back: a trial that fails pins nothing.
func TestUnseenTopicComesBack(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Topics = []string{"a", "b"} })
	r.producer.auto = true
	r.Retain([]string{"a"})
	fresh := r.Add([]string{"b"}, map[string]int32{"b": 80})
	r.TopicChanged(kafka.Topic{Name: "b", Partitions: 8, MaxMessageBytes: 1000})
	if err := r.Await(t.Context(), []string{"b"}); err == nil || len(fresh) != 1 {
		t.Fatalf("80 partitions of 8: %v, fresh %v", err, fresh)
	}
	r.Retain([]string{"a"})
	r.Forget(fresh)
	if got := r.Pinned("b"); got != 0 {
		t.Errorf("the trial has left a pin of %d", got)
	}
	r.Add([]string{"b"}, map[string]int32{"b": 8})
	r.TopicChanged(kafka.Topic{Name: "b", Partitions: 8, MaxMessageBytes: 1000})
	if got := r.sendTo(t, "b"); got.Seq != 1 || r.Pinned("b") != 8 || r.lanes.Load() != 8 {
		t.Errorf("%+v, pinned %d, %d lanes", got, r.Pinned("b"), r.lanes.Load())
	}
}

// TestDroppedInFlight: a topic stays in the status while its records are in
// flight.
func TestDroppedInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.TopicChanged(kafka.Topic{Name: "a", Partitions: 1, MaxMessageBytes: 1000})
		var wg sync.WaitGroup
		wg.Go(func() { r.sendTo(t, "a") })
		synctest.Wait()
		r.Retain([]string{"b"})
		if got := r.names(); got != "a b" {
			t.Errorf("with a record in flight: %s", got)
		}
		r.producer.settleAll(nil)
		wg.Wait()
		if got := r.names(); got != "b" {
			t.Errorf("without: %s", got)
		}
	})
}

func TestAwait(t *testing.T) {
	missing := fmt.Errorf("%w: %w", event.ErrTopicUnavailable, kerr.UnknownTopicOrPartition)
	for name, c := range map[string]struct {
		seen kafka.Topic
		want string // "": nil
		took time.Duration
	}{
		"usable":           {seen: kafka.Topic{Partitions: 4}},
		"does not exist":   {seen: kafka.Topic{Err: missing}, want: "remedy: kafka-topics.sh", took: time.Second},
		"too few":          {seen: kafka.Topic{Partitions: 2}, want: "3 partitions pinned, the topic has 2", took: time.Second},
		"may become good":  {seen: kafka.Topic{Err: fmt.Errorf("%w: %w", event.ErrTopicUnavailable, kerr.LeaderNotAvailable)}, want: "LEADER_NOT_AVAILABLE", took: 10 * time.Second},
		"nothing was seen": {want: "no metadata yet", took: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.TopicChanged(kafka.Topic{Name: "a", Partitions: 4, MaxMessageBytes: 1000})
				r.Add([]string{"new"}, map[string]int32{"new": 3})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				began := time.Now()
				time.AfterFunc(time.Second, func() {
					r.TopicChanged(kafka.Topic{Name: "b", Partitions: 4}) // of no interest
					if c.seen.Partitions > 0 || c.seen.Err != nil {
						c.seen.Name, c.seen.MaxMessageBytes = "new", 1000
						r.TopicChanged(c.seen)
					}
				})
				err := r.Await(ctx, []string{"a", "new"})
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "topic new")) {
					t.Errorf("%v, want %q", err, c.want)
				}
				if took := time.Since(began); c.took > 0 && took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
			})
		})
	}
}

// TestLimitsChange: the new bounds hold for the next record, what is in flight
// stays.
func TestLimitsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.TopicChanged(kafka.Topic{Name: "a", Partitions: 4, MaxMessageBytes: 1000})
		deliver := func(key string) error {
			_, err := r.Deliver(&event.Record{Topic: "a", Key: []byte(key), Value: []byte("v")}, time.Now().Add(100*time.Millisecond))
			return err
		}
		for i := range 3 {
			if err := deliver(fmt.Sprint("k", i)); !errors.Is(err, event.ErrDeliveryTimeout) {
				t.Fatal(err)
			}
		}
		r.SetLimits(Limits{Records: 3, Bytes: 1 << 20, OldestUnacked: 10 * time.Second})
		if err := deliver("k7"); !errors.Is(err, event.ErrOverloaded) && !errors.Is(err, event.ErrKafkaUnavailable) {
			t.Errorf("over the new bound: %v", err)
		}
		r.SetLimits(Limits{Records: 4, Bytes: 1 << 20, OldestUnacked: 50 * time.Millisecond})
		if err := deliver("k0"); !errors.Is(err, event.ErrKafkaUnavailable) {
			t.Errorf("over the new age: %v", err)
		}
		r.SetLimits(Limits{Records: 100, Bytes: 1 << 20, OldestUnacked: time.Minute})
		if err := deliver("k0"); !errors.Is(err, event.ErrDeliveryTimeout) {
			t.Errorf("within the bounds: %v", err)
		}
		if r.Pending() != 4 {
			t.Errorf("%d pending", r.Pending())
		}
		r.producer.settleAll(nil)
	})
}
