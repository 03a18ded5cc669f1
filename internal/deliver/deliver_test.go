package deliver

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/kafka"
)

// producer is a Producer that holds records until a test settles them.
type producer struct {
	mu   sync.Mutex
	held []held
	auto bool // ack at once, from another goroutine

	contact time.Time // zero: just now
}

type held struct {
	rec       *event.Record
	partition int32
	settle    func(int64, error)
}

func (p *producer) Produce(rec *event.Record, partition int32, settle func(int64, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = append(p.held, held{rec, partition, settle})
	if p.auto {
		offset := int64(len(p.held) - 1)
		go settle(offset, nil)
	}
}

// Contact says that Kafka answers, unless the test says when it last did.
func (p *producer) Contact() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.contact.IsZero() {
		return time.Now()
	}
	return p.contact
}

func (p *producer) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

func (p *producer) settleAll(err error) {
	p.mu.Lock()
	held := p.held
	p.held = nil
	p.mu.Unlock()
	for i, h := range held {
		h.settle(int64(i), err)
	}
}

// books counts what the ledger would.
type books struct {
	mu                        sync.Mutex
	produced, lateAck, lateNo int
}

func (b *books) add(n *int) { b.mu.Lock(); *n++; b.mu.Unlock() }
func (b *books) Produced()  { b.add(&b.produced) }
func (b *books) LateAck()   { b.add(&b.lateAck) }
func (b *books) LateFailure() {
	b.add(&b.lateNo)
}

type rig struct {
	*Deliverer
	producer *producer
	books    *books
	log      *strings.Builder
	registry *prometheus.Registry
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{producer: &producer{}, books: &books{}, log: &strings.Builder{}, registry: prometheus.NewRegistry()}
	o := Options{
		Producer: r.producer, Books: r.books, Topics: []string{"a", "b"},
		Limits: Limits{Records: 1000, Bytes: 1 << 20, OldestUnacked: 10 * time.Second},
		Origin: "host/start", Log: slog.New(slog.NewTextHandler(r.log, nil)), Registerer: r.registry,
	}
	if change != nil {
		change(&o)
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Deliverer = d
	return r
}

// see tells the deliverer that topics have n partitions.
func (r *rig) see(n int32, topics ...string) {
	for _, name := range topics {
		r.TopicChanged(kafka.Topic{Name: name, Partitions: n, MaxMessageBytes: 1000})
	}
}

func record(topic, key string) (rec *event.Record, released *int) {
	released = new(int)
	rec = &event.Record{Topic: topic, Value: []byte("{}"), Release: func() { *released++ }}
	if key != "" {
		rec.Key = []byte(key)
	}
	return rec, released
}

func TestAckIsNeededForNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.see(8, "a")
		rec, released := record("a", "pk-1")
		done := make(chan error)
		var receipt event.Receipt
		go func() {
			var err error
			receipt, err = r.Deliver(rec, time.Now().Add(2*time.Second))
			done <- err
		}()
		synctest.Wait()
		if *released != 0 || r.producer.len() != 1 {
			t.Fatalf("before the ack: released %d times, %d produced", *released, r.producer.len())
		}
		origin := rec.Headers[len(rec.Headers)-1]
		if origin.Key != HeaderOrigin || string(origin.Value) != "host/start/1" {
			t.Errorf("origin header %s = %s", origin.Key, origin.Value)
		}
		time.Sleep(1999 * time.Millisecond)
		r.producer.settleAll(nil)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want := event.Receipt{Outcome: event.Acked, Topic: "a", Partition: Murmur2.Partition([]byte("pk-1"), 8), Offset: 0, Seq: 1}
		if receipt != want {
			t.Errorf("receipt %+v, want %+v", receipt, want)
		}
		if *released != 1 || r.books.produced != 1 || r.books.lateAck != 0 || r.Pending() != 0 {
			t.Errorf("released %d, books %+v, pending %d", *released, r.books, r.Pending())
		}
	})
}

func TestDeadline(t *testing.T) {
	for name, late := range map[string]error{"acked later": nil, "failed later": event.ErrTopicUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			r.see(1, "a")
			rec, released := record("a", "pk-1")
			start := time.Now()
			receipt, err := r.Deliver(rec, start.Add(2*time.Second))
			if !errors.Is(err, event.ErrDeliveryTimeout) || receipt.Outcome != event.Pending {
				t.Fatalf("%s: %+v, %v", name, receipt, err)
			}
			if took := time.Since(start); took != 2*time.Second {
				t.Errorf("%s: answered after %s", name, took)
			}
			if *released != 0 {
				t.Errorf("%s: the record was released while the producer may read it", name)
			}
			r.producer.settleAll(late)
			if *released != 1 || r.Pending() != 0 {
				t.Errorf("%s: released %d times, %d pending", name, *released, r.Pending())
			}
			wantAck, wantNo := 1, 0
			if late != nil {
				wantAck, wantNo = 0, 1
			}
			if r.books.lateAck != wantAck || r.books.lateNo != wantNo {
				t.Errorf("%s: books %+v", name, r.books)
			}
			if late != nil && !strings.Contains(r.log.String(), "seq=1") {
				t.Errorf("%s: no log line explains the gap:\n%s", name, r.log)
			}
		})
	}
}

func TestRefusalsProduceNothing(t *testing.T) {
	big := strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		arrange func(*rig)
		topic   string
		value   string
		want    error
	}{
		"no metadata yet": {func(*rig) {}, "a", "{}", event.ErrKafkaUnavailable},
		"missing": {func(r *rig) {
			r.TopicChanged(kafka.Topic{Name: "a", Err: fmt.Errorf("%w: gone", event.ErrTopicUnavailable)})
		}, "a", "{}", event.ErrTopicUnavailable},
		"kafka silent": {func(r *rig) {
			r.see(1, "a")
			r.producer.contact = time.Now().Add(-11 * time.Second)
		}, "a", "{}", event.ErrKafkaUnavailable},
		"not routed": {func(r *rig) { r.see(1, "a") }, "elsewhere", "{}", event.ErrTopicUnavailable},
		"too large":  {func(r *rig) { r.see(1, "a") }, "a", big, event.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			c.arrange(r)
			rec, released := record(c.topic, "k")
			rec.Value = []byte(c.value)
			receipt, err := r.Deliver(rec, time.Now().Add(time.Second))
			if !errors.Is(err, c.want) || receipt.Outcome != event.NotProduced {
				t.Errorf("%+v, %v", receipt, err)
			}
			if r.producer.len() != 0 || r.books.produced != 0 || *released != 1 || r.Pending() != 0 {
				t.Errorf("produced %d, books %+v, released %d, pending %d", r.producer.len(), r.books, *released, r.Pending())
			}
		})
	}
}

// TestOneTopicMissing: the other topics go on.
func TestOneTopicMissing(t *testing.T) {
	r := newRig(t, nil)
	r.producer.auto = true
	r.see(8, "b")
	r.TopicChanged(kafka.Topic{Name: "a", Err: fmt.Errorf("%w: %w", event.ErrTopicUnavailable, kerr.UnknownTopicOrPartition)})
	if !strings.Contains(r.log.String(), "--create --topic a --partitions 8") {
		t.Errorf("the log does not say how to create the topic:\n%s", r.log)
	}
	rec, _ := record("b", "k")
	if _, err := r.Deliver(rec, time.Now().Add(time.Second)); err != nil {
		t.Error(err)
	}
	r.see(8, "a")
	rec, _ = record("a", "k")
	if _, err := r.Deliver(rec, time.Now().Add(time.Second)); err != nil {
		t.Errorf("after the topic was created: %v", err)
	}
}

func TestPins(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Pins = map[string]int32{"b": 4} })
	r.producer.auto = true
	r.see(8, "a")
	r.see(8, "b")
	key := []byte("pk-3")
	before := Murmur2.Partition(key, 8)
	r.see(16, "a")
	for _, c := range []struct {
		topic string
		want  int32
	}{{"a", before}, {"b", Murmur2.Partition(key, 4)}} {
		rec, _ := record(c.topic, string(key))
		receipt, err := r.Deliver(rec, time.Now().Add(time.Second))
		if err != nil || receipt.Partition != c.want {
			t.Errorf("%s: partition %d, want %d (%v)", c.topic, receipt.Partition, c.want, err)
		}
	}
	for _, line := range []string{"topic=a pinned=8 actual=16 remedy=\"before the next restart set kafka.partitions: {a: 8};", "topic=b pinned=4 actual=8\n"} {
		if strings.Count(r.log.String(), line) != 1 {
			t.Errorf("not logged once: %s\n%s", line, r.log)
		}
	}
	r.see(3, "b")
	rec, _ := record("b", "k")
	if _, err := r.Deliver(rec, time.Now().Add(time.Second)); !errors.Is(err, event.ErrTopicUnavailable) {
		t.Errorf("pinned above actual: %v", err)
	}
	want := `
# HELP cxrelay_topic_partitions_configured Partitions of the topic under kafka.partitions, by topic; 0: none, so that a restart takes what the topic has then.
# TYPE cxrelay_topic_partitions_configured gauge
cxrelay_topic_partitions_configured{topic="a"} 0
cxrelay_topic_partitions_configured{topic="b"} 4
# HELP cxrelay_topic_partitions_pinned Partitions that keys are spread over, by topic; 0 before the topic was seen. Put it under kafka.partitions before a restart when cxrelay_topic_partitions is larger and cxrelay_topic_partitions_configured is 0.
# TYPE cxrelay_topic_partitions_pinned gauge
cxrelay_topic_partitions_pinned{topic="a"} 8
cxrelay_topic_partitions_pinned{topic="b"} 4
`
	if err := testutil.GatherAndCompare(r.registry, strings.NewReader(want), "cxrelay_topic_partitions_pinned", "cxrelay_topic_partitions_configured"); err != nil {
		t.Error(err)
	}
}

// TestBulkheads: a hung partition is refused, and leaves room for the others.
func TestBulkheads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Limits.Records = 80 })
		r.see(4, "a", "b") // 8 partitions: a share is 20 records
		hung, other := keyOf(0, 4), keyOf(1, 4)
		var wg sync.WaitGroup
		send := func(key string, want error) {
			wg.Go(func() {
				rec, _ := record("a", key)
				if _, err := r.Deliver(rec, time.Now().Add(time.Second)); !errors.Is(err, want) {
					t.Errorf("key %s: %v, want %v", key, err, want)
				}
			})
			synctest.Wait()
		}
		for range 20 {
			send(hung, event.ErrDeliveryTimeout)
		}
		for range 5 {
			send(hung, event.ErrKafkaUnavailable) // its share is full
		}
		if n := r.producer.len(); n != 20 {
			t.Errorf("%d records of the hung partition in flight, want 20", n)
		}
		send(other, event.ErrDeliveryTimeout)
		wg.Wait()

		time.Sleep(10 * time.Second) // the oldest of both lanes is too old now
		send(other, event.ErrKafkaUnavailable)
		wg.Wait()
		r.producer.settleAll(nil)
		r.producer.auto = true
		send(hung, nil)
		send(other, nil)
		wg.Wait()
	})
}

// TestHeldBytes: a record counts with the memory that it holds, in its
// partition's share and relay-wide; what is alone is admitted.
func TestHeldBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Limits.Bytes = 8000 })
		r.see(8, "a") // a share is 2000 bytes
		var wg sync.WaitGroup
		send := func(key string, held int64, want error) {
			wg.Go(func() {
				rec, _ := record("a", key)
				rec.Held = held
				if _, err := r.Deliver(rec, time.Now().Add(time.Second)); !errors.Is(err, want) {
					t.Errorf("%d bytes: %v, want %v", held, err, want)
				}
			})
			synctest.Wait()
		}
		send(keyOf(0, 8), 1000, event.ErrDeliveryTimeout)
		send(keyOf(0, 8), 1000, event.ErrDeliveryTimeout)
		send(keyOf(0, 8), 1000, event.ErrKafkaUnavailable) // its share is full
		send(keyOf(1, 8), 7000, event.ErrOverloaded)       // an idle lane, but too much for all
		send(keyOf(1, 8), 6000, event.ErrDeliveryTimeout)
		send(keyOf(2, 8), 0, event.ErrOverloaded) // the batch counts at least
		wg.Wait()
		if held := r.bytes.Load(); held != 8000 {
			t.Errorf("%d bytes held, want 8000", held)
		}
		r.producer.settleAll(nil)
		send(keyOf(2, 8), 9000, nil) // alone
		r.producer.settleAll(nil)
		wg.Wait()
		if held := r.bytes.Load(); held != 0 {
			t.Errorf("%d bytes held, and nothing in flight", held)
		}
	})
}

func keyOf(partition, n int32) string {
	for i := 0; ; i++ {
		if key := fmt.Sprintf("pk-%d", i); Murmur2.Partition([]byte(key), n) == partition {
			return key
		}
	}
}

func TestRelayWideBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Limits.Records = 2 })
		r.see(8, "a")
		var wg sync.WaitGroup
		for i := range int32(3) {
			wg.Go(func() {
				rec, released := record("a", keyOf(i, 8))
				_, err := r.Deliver(rec, time.Now().Add(time.Second))
				want := event.ErrDeliveryTimeout
				if i == 2 {
					want = event.ErrOverloaded
					if *released != 1 {
						t.Errorf("released %d times", *released)
					}
				}
				if !errors.Is(err, want) {
					t.Errorf("record %d: %v, want %v", i, err, want)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
	})
}

// TestSequence: per partition the sequence is contiguous from 1 and is the
// order in which the producer got the records, also with many senders.
func TestSequence(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Records = 1 << 20; o.Limits.Bytes = 1 << 30 })
	r.producer.auto = true
	r.see(4, "a")
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				rec, _ := record("a", fmt.Sprintf("k%d", (w+i)%10))
				if _, err := r.Deliver(rec, time.Now().Add(time.Minute)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	next := map[int32]int{}
	for _, h := range r.producer.held {
		next[h.partition]++
		want := fmt.Sprintf("host/start/%d", next[h.partition])
		if got := string(h.rec.Headers[0].Value); got != want {
			t.Fatalf("partition %d: %s, want %s", h.partition, got, want)
		}
	}
	if total := next[0] + next[1] + next[2] + next[3]; total != 1600 {
		t.Errorf("%d records", total)
	}
}

func TestNoKeyUsesAllPartitions(t *testing.T) {
	r := newRig(t, nil)
	r.producer.auto = true
	r.see(4, "a")
	seen := map[int32]int{}
	for range 8 {
		rec, _ := record("a", "")
		receipt, err := r.Deliver(rec, time.Now().Add(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		seen[receipt.Partition]++
	}
	if len(seen) != 4 {
		t.Errorf("partitions used: %v", seen)
	}
}

// TestNoKeyLeavesOutHungPartitions: a record that may go anywhere does not
// wait for a partition that takes nothing.
func TestNoKeyLeavesOutHungPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Limits.OldestUnacked = time.Second })
		r.see(4, "a")
		hung, _ := record("a", keyOf(2, 4))
		if _, err := r.Deliver(hung, time.Now().Add(2*time.Second)); !errors.Is(err, event.ErrDeliveryTimeout) {
			t.Fatal(err)
		}
		r.producer.auto = true
		for range 8 {
			rec, _ := record("a", "")
			receipt, err := r.Deliver(rec, time.Now().Add(time.Second))
			if err != nil || receipt.Partition == 2 {
				t.Errorf("partition %d, %v", receipt.Partition, err)
			}
		}
	})
}

// TestDeadlinePassed: nothing is produced for an answer that is late already.
func TestDeadlinePassed(t *testing.T) {
	r := newRig(t, nil)
	r.see(4, "a")
	rec, released := record("a", "k")
	if _, err := r.Deliver(rec, time.Now()); !errors.Is(err, event.ErrOverloaded) || r.producer.len() != 0 || *released != 1 {
		t.Errorf("%v, %d produced, released %d times", err, r.producer.len(), *released)
	}
}

func BenchmarkDeliver(b *testing.B) {
	d, err := New(Options{
		Producer: instant{}, Books: &books{}, Topics: []string{"a"},
		Limits: Limits{Records: 1000, Bytes: 1 << 20, OldestUnacked: time.Second},
		Origin: "host/start", Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	d.TopicChanged(kafka.Topic{Name: "a", Partitions: 8, MaxMessageBytes: 1 << 20})
	value, key := make([]byte, 554), []byte("pk-cbf29ce484222325")
	b.ReportAllocs()
	for b.Loop() {
		rec := &event.Record{Topic: "a", Key: key, Value: value, Headers: make([]event.Header, 0, 6)}
		if _, err := d.Deliver(rec, time.Now().Add(time.Second)); err != nil {
			b.Fatal(err)
		}
	}
}

// instant settles at once, under the caller's lock would deadlock: so from another goroutine.
type instant struct{}

func (instant) Contact() time.Time { return time.Now() }

func (instant) Produce(_ *event.Record, _ int32, settle func(int64, error)) { go settle(0, nil) }
