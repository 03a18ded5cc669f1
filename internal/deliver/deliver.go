// Package deliver is the policy of delivery: which partition a record goes
// to, in which order, how much may be in flight, how long a sender waits.
//
// How records get to Kafka is package kafka's business; what an outcome
// means to the sender is package gateway's. DESIGN.md has the invariants.
package deliver

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/event"
)

// Producer hands records to Kafka.
type Producer interface {
	// Produce hands rec over for a partition and returns at once. It calls
	// settle exactly once, in order per partition, with the offset or with
	// an error that wraps one of package event.
	Produce(rec *event.Record, partition int32, settle func(offset int64, err error))

	// Contact returns when a broker last answered, the zero time before the first.
	Contact() time.Time
}

// Books counts records. See gateway.Ledger.
type Books interface {
	Produced()
	LateAck()
	LateFailure()
}

// Limits bound what is in flight.
type Limits struct {
	Records       int           // over all partitions
	Bytes         int64         // that records hold (event.Record), over all partitions
	OldestUnacked time.Duration // a partition whose oldest record waits longer takes no more, nor does any while no broker has answered for longer, and for idle
}

// idle is how long a cluster that is well may be silent while nothing is
// produced: it is asked every second, and may take two for its answer.
const idle = 3500 * time.Millisecond

// Options are what New needs.
type Options struct {
	Producer    Producer
	Books       Books
	Topics      []string         // delivered to from the start; see Add
	Pins        map[string]int32 // partition count by topic, where configured
	Partitioner Partitioner
	Limits      Limits // until SetLimits
	Origin      string // "<instance>/<start id>", the front of cxrelay-origin
	Bootstrap   string // host:port of a broker, for the commands that the log proposes
	Log         *slog.Logger
	Registerer  prometheus.Registerer
}

// HeaderOrigin is the record header that proves order: instance, start id
// and a sequence number that is contiguous per topic-partition from 1.
const HeaderOrigin = "cxrelay-origin"

// Deliverer delivers records. Safe for concurrent use.
type Deliverer struct {
	opts    Options
	metrics *metrics
	limits  atomic.Pointer[Limits]
	topics  atomic.Pointer[map[string]*topic] // replaced as a whole; what was delivered to stays
	growing sync.Mutex                        // while topics are added, and by TopicChanged
	news    chan struct{}                     // closed and replaced at every change of a topic; growing guards it
	records atomic.Int64
	bytes   atomic.Int64
	lanes   atomic.Int64 // pinned partitions of all topics
	flights sync.Pool    // *flight, per instance: timers and channels do not cross synctest bubbles
}

// New returns a deliverer. Until TopicChanged has told it of a topic, records
// of that topic are refused with event.ErrKafkaUnavailable.
func New(o Options) (*Deliverer, error) {
	d := &Deliverer{opts: o, news: make(chan struct{})}
	d.metrics = newMetrics(d)
	d.topics.Store(&map[string]*topic{})
	d.SetLimits(o.Limits)
	d.Add(o.Topics, o.Pins)
	d.Keep(o.Topics, o.Pins)
	if err := d.metrics.register(o.Registerer); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	d.flights.New = func() any {
		timer := time.NewTimer(time.Hour)
		timer.Stop()
		f := &flight{d: d, done: make(chan struct{}, 1), timer: timer}
		f.callback = f.settle
		return f
	}
	return d, nil
}

// Deliver hands rec to Kafka and waits until all in-sync replicas have
// acknowledged it, or until the deadline. It returns nil only after the ack.
//
// From the call on rec belongs to the deliverer. Whatever happens, it calls
// rec.Release exactly once: before it returns where nothing was produced, else
// when the producer settles the record, which may be long after the deadline.
//
// Errors wrap ErrKafkaUnavailable or ErrTooLarge of package event where nothing
// was produced, ErrTopicUnavailable or ErrOverloaded where nothing was produced
// or Kafka gave the record up, and ErrDeliveryTimeout or ErrOutcomeUnknown where
// the record may be written. The receipt says how far it came.
func (d *Deliverer) Deliver(rec *event.Record, deadline time.Time) (event.Receipt, error) {
	receipt := event.Receipt{Topic: rec.Topic, Partition: -1, Offset: -1}
	f, err := d.launch(rec, deadline)
	if err != nil {
		if rec.Release != nil {
			rec.Release()
		}
		return receipt, fmt.Errorf("topic %s: %w", receipt.Topic, err)
	}
	receipt.Partition, receipt.Seq = f.lane.partition, f.seq
	if !f.wait(deadline) {
		receipt.Outcome = event.Pending
		return receipt, fmt.Errorf("topic %s partition %d: %w", receipt.Topic, receipt.Partition, event.ErrDeliveryTimeout)
	}
	receipt.Offset, err = f.offset, f.err
	f.err, f.eventID = nil, ""
	d.flights.Put(f)
	if err != nil {
		receipt.Outcome = event.Failed
		return receipt, fmt.Errorf("topic %s partition %d: %w", receipt.Topic, receipt.Partition, err)
	}
	receipt.Outcome = event.Acked
	return receipt, nil
}

// launch chooses the lane, checks every bound, and hands the record over.
func (d *Deliverer) launch(rec *event.Record, deadline time.Time) (*flight, error) {
	if !time.Now().Before(deadline) {
		return nil, fmt.Errorf("%w: the deadline passed before the record could be produced", event.ErrOverloaded)
	}
	t, ok := (*d.topics.Load())[rec.Topic]
	if !ok {
		return nil, fmt.Errorf("%w: not a routed topic", event.ErrTopicUnavailable)
	}
	state, err := t.usable()
	if err != nil {
		return nil, err
	}
	limits := d.limits.Load()
	if silent := time.Since(d.opts.Producer.Contact()); silent > max(limits.OldestUnacked, idle) {
		return nil, fmt.Errorf("%w: no broker has answered for %s", event.ErrKafkaUnavailable, silent.Round(time.Second))
	}
	rec.Headers = append(rec.Headers, event.Header{Key: HeaderOrigin})
	size := batchSize(rec, len(d.opts.Origin)+maxSeq)
	if size > int64(state.maxBytes) {
		return nil, fmt.Errorf("%w: %d bytes with key, headers and batch overhead, limit %d", event.ErrTooLarge, size, state.maxBytes)
	}
	held := max(size, rec.Held)
	l, err := d.enter(t, state, rec.Key, held, limits)
	if err != nil {
		t.metrics.refused.Inc()
		return nil, err
	}
	defer l.mu.Unlock()
	if err := d.reserve(held, limits); err != nil {
		return nil, err
	}
	l.seq++
	rec.Headers[len(rec.Headers)-1].Value = d.origin(l.seq)
	f := d.flights.Get().(*flight)
	f.topic, f.lane, f.held, f.seq, f.produced = t, l, held, l.seq, time.Now()
	f.eventID, f.release = rec.EventID, rec.Release // not rec: the rest of it is the producer's, which has its own copy
	f.state.Store(waiting)
	l.add(f)
	d.opts.Books.Produced()
	d.opts.Producer.Produce(rec, l.partition, f.callback)
	return f, nil
}

// enter locks the lane of a key, if its bulkhead admits the record; the caller
// unlocks it. A record without key takes the lanes in turn, and the next one
// where one does not admit it.
func (d *Deliverer) enter(t *topic, state *topicState, key []byte, held int64, limits *Limits) (l *lane, err error) {
	tries := 1
	if key == nil {
		tries = len(state.lanes)
	}
	for range tries {
		l = t.lane(state, d.opts.Partitioner, key)
		l.mu.Lock()
		if err = d.admits(l, held, limits); err == nil {
			return l, nil
		}
		l.mu.Unlock()
	}
	return nil, err
}

// origin makes the value of the origin header.
func (d *Deliverer) origin(seq uint64) []byte {
	b := make([]byte, 0, len(d.opts.Origin)+1+maxSeq)
	b = append(b, d.opts.Origin...)
	b = append(b, '/')
	return strconv.AppendUint(b, seq, 10)
}

// reserve takes one record that holds so many bytes out of the relay-wide
// bounds. What is there alone is admitted, whatever it holds.
func (d *Deliverer) reserve(held int64, limits *Limits) error {
	records, bytes := d.records.Add(1), d.bytes.Add(held)
	if records > int64(limits.Records) || bytes > limits.Bytes && records > 1 {
		d.release(held)
		return fmt.Errorf("%w: %d records, %d bytes", event.ErrOverloaded, records-1, bytes-held)
	}
	return nil
}

func (d *Deliverer) release(held int64) {
	d.records.Add(-1)
	d.bytes.Add(-held)
}

// admits checks the bulkhead of one lane; the caller holds its lock. One
// partition may hold a share of the relay-wide bounds, twice the even one: a
// broker that hangs and leads fewer than half of the partitions then leaves
// room for all the others. An idle lane takes one record of any size.
func (d *Deliverer) admits(l *lane, held int64, limits *Limits) error {
	if l.head == nil {
		return nil
	}
	if age := time.Since(l.head.produced); age > limits.OldestUnacked {
		return fmt.Errorf("%w: partition %d: oldest record unacknowledged for %s", event.ErrKafkaUnavailable, l.partition, age.Round(time.Millisecond))
	}
	share := 2 / float64(max(d.lanes.Load(), 2))
	if float64(l.records+1) > share*float64(limits.Records) || float64(l.bytes+held) > share*float64(limits.Bytes) {
		return fmt.Errorf("%w: partition %d: its share of the records in flight is full (%d records, %d bytes)", event.ErrKafkaUnavailable, l.partition, l.records, l.bytes)
	}
	return nil
}

// late counts the result of a record whose event was answered
// delivery_timeout. A failure leaves a gap in the partition's sequence, which
// this line explains.
func (d *Deliverer) late(f *flight) {
	if f.err == nil {
		d.opts.Books.LateAck()
		return
	}
	d.opts.Books.LateFailure()
	d.opts.Log.Warn("record failed after its event was answered", slog.String("event_id", f.eventID),
		slog.String("topic", f.topic.name), slog.Int("partition", int(f.lane.partition)),
		slog.Uint64("seq", f.seq), slog.Any("cause", f.err))
}

// Pending returns the records produced and not settled yet.
func (d *Deliverer) Pending() int { return int(d.records.Load()) }

// maxSeq is the number of decimal digits of the largest sequence number.
const maxSeq = 20

// batchSize bounds from above the bytes of a record batch that holds only
// rec (KIP-98 message format v2): 61 bytes of batch header, varints at their
// longest. originLen is what the origin header's value may still take.
func batchSize(rec *event.Record, originLen int) int64 {
	const batchHeader, varint, attributes, timestampDelta = 61, 5, 1, 10
	n := batchHeader + 3*varint + attributes + timestampDelta + varint + len(rec.Key) + len(rec.Value) + varint
	for _, h := range rec.Headers {
		n += 2*varint + len(h.Key) + len(h.Value)
	}
	return int64(n + originLen + 1)
}
