// Package kafka is the mechanism of delivery: idempotent franz-go producers,
// what is known of the routed topics, and what an error means for an event.
//
// It decides nothing about an event: which partition, how many records in
// flight and how long to wait belong to package deliver. Besides devkit and
// the tests it is the only package that imports kgo.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/event"
)

// Settings of the client that are not configurable. They were measured; see
// docs/adr/0001-kafka-client.md.
const (
	metadataMinAge  = 250 * time.Millisecond // the default of 5 s turns a leader move into a 5 s stall
	dialTimeout     = 3 * time.Second
	requestOverhead = 2 * time.Second // beside the broker's share; what hangs altogether the vigil notices before
	produceTimeout  = 3 * time.Second // the broker's own wait for in-sync replicas
	connIdle        = 8 * time.Minute // below the brokers' 10 minutes; the default of 30 s redials after every quiet spell
	unknownRetries  = 4
	maxBatchBytes   = 32 << 20 // bound on a topic's max.message.bytes that we make use of
	minBatchBytes   = 512      // the least that kgo takes
)

// Options are what New needs.
type Options struct {
	Brokers  []string // host:port
	Topics   []string // produced to from the start; see Client.Add
	ClientID string

	// MaxRecords and MaxBytes bound the client's buffer. Delivery keeps its
	// own, tighter bounds, so that these are never reached.
	MaxRecords int
	MaxBytes   int

	Security Security // until SetSecurity
	Log      *slog.Logger
	Dial     DialFunc // below TLS; nil: TCP
}

// Client produces records and watches topics. Safe for concurrent use.
type Client struct {
	opts    Options
	access  atomic.Pointer[access]
	vigil   *vigil
	edge    *edge
	cluster *kgo.Client                        // for questions; it produces nothing
	outlets atomic.Pointer[map[string]*outlet] // by topic; replaced as a whole, outlets are only ever added
	growing sync.Mutex                         // while outlets are added, and while a producer is replaced
	shared  *kgo.Client                        // what new outlets begin with; nil: none yet; growing guards it
	closing sync.WaitGroup                     // producers that were replaced

	began   time.Time
	contact atomic.Int64 // of the last answer of any broker, nanoseconds after began; 0: none
	kick    chan struct{}

	refused atomic.Bool // edge has a trouble of the cluster, that an ack ends

	routed atomic.Pointer[[]string] // the topics that Run looks at

	// These belong to Run.
	topics     map[string]Topic      // as last reported
	mayProduce bool                  // see permitted
	asked      map[*kgo.Client]error // producers that were asked for their id in this look, and what they said
	untimely   string                // what is said of the clock; see watchClock

	mu     sync.Mutex
	denied map[string]denial // topics that an ACL keeps us from writing to
	added  map[string]bool   // topics that Run has to report, changed or not
}

// New returns a client. It does no I/O: an unreachable cluster shows in Run,
// and so do credentials that brokers refuse. The caller closes it.
func New(o Options) (*Client, error) {
	c := &Client{
		opts:   o,
		began:  time.Now(),
		edge:   newEdge(o.Log, o.Security),
		kick:   make(chan struct{}, 1),
		topics: make(map[string]Topic, len(o.Topics)),
		denied: make(map[string]denial),
		added:  make(map[string]bool),
		asked:  make(map[*kgo.Client]error),
	}
	c.outlets.Store(&map[string]*outlet{})
	c.routed.Store(&[]string{})
	now, err := c.newAccess(&o.Security)
	if err != nil {
		return nil, err
	}
	c.access.Store(now)
	c.vigil = newVigil(c.dial, o.ClientID)
	cluster, err := kgo.NewClient(c.common()...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	c.cluster = cluster
	if err := c.Add(o.Topics); err != nil {
		cluster.Close()
		return nil, err
	}
	return c, nil
}

// common are the options of every kgo client.
func (c *Client) common() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.opts.Brokers...),
		kgo.ClientID(c.opts.ClientID),
		kgo.MetadataMinAge(metadataMinAge),
		kgo.MetadataMaxAge(time.Minute),
		kgo.AlwaysRetryEOF(),
		kgo.Dialer(c.edge.guard(c.vigil.connect)),
		kgo.WithHooks(c.edge),
		kgo.RequestTimeoutOverhead(requestOverhead),
		kgo.ConnIdleTimeout(connIdle),
		kgo.WithLogger(newLogger(c.opts.Log)),
	}
	if c.access.Load().sasl != nil {
		opts = append(opts, kgo.SASL(mechanism{c}))
	}
	return opts
}

// newProducer returns a kgo client that produces, with a producer id of its own.
func (c *Client) newProducer() (*kgo.Client, error) {
	cl, err := kgo.NewClient(append(c.common(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
		kgo.ProducerBatchMaxBytesFn(c.batchBytes),
		kgo.MaxBufferedRecords(c.opts.MaxRecords),
		kgo.MaxBufferedBytes(c.opts.MaxBytes),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProduceRequestTimeout(produceTimeout),
		kgo.UnknownTopicRetries(unknownRetries),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka producer: %w", err)
	}
	return cl, nil
}

// batchBytes is asked once per topic-partition, when a producer first meets it.
func (c *Client) batchBytes(topic string) int32 {
	limit := int32(defaultMaxMessageBytes)
	if o, ok := (*c.outlets.Load())[topic]; ok && o.limit.Load() > 0 {
		limit = o.limit.Load()
	}
	return min(max(limit, minBatchBytes), maxBatchBytes)
}

// Produce hands rec to the producer for the given partition and returns at
// once. settle is called exactly once, from a goroutine of the client and in
// order per partition, with the record's offset, or with an error that wraps
// one of package event. It must not block and must not call the client.
//
// The record is not cancelled by anything: once handed over it is written
// unless Kafka refuses it for good. rec and its Value must not be touched
// until settle is called. The topic must be one of Options.Topics,
// or added.
func (c *Client) Produce(rec *event.Record, partition int32, settle func(offset int64, err error)) {
	out := &outgoing{}
	out.Topic, out.Partition = rec.Topic, partition
	out.Key, out.Value, out.Timestamp = rec.Key, rec.Value, rec.Timestamp
	out.Headers = out.headers[:0]
	for _, h := range rec.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader(h))
	}
	o := (*c.outlets.Load())[rec.Topic]
	o.produce(&out.Record, func(r *kgo.Record, producer *kgo.Client, err error) {
		if err != nil {
			settle(-1, c.explain(o, producer, err))
			return
		}
		c.heard()
		if c.refused.Load() {
			c.refused.Store(false)
			c.edge.clear(ofCluster)
		}
		o.timely()
		settle(r.Offset, nil)
	})
}

// outgoing is a record with room for its headers, in one allocation.
type outgoing struct {
	kgo.Record
	headers [6]kgo.RecordHeader
}

// explain wraps err in what it means for the event, and has the topic looked
// at again. Where nothing definite is known the record may have been written:
// a broker's refusal can follow an answer that was lost.
func (c *Client) explain(o *outlet, producer *kgo.Client, err error) error {
	kind := classify(err)
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		c.deny(o.topic, err)
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		c.refused.Store(true)
		c.edge.note(ofCluster, err)
	case errors.Is(err, kerr.InvalidTimestamp):
		o.untimely.Store(int64(time.Since(c.began)))
		err = fmt.Errorf("the broker refuses the time of the record, which is this machine's: %w", err)
	}
	switch replaced := !o.current(producer); {
	case replaced && kind == nil:
		kind = event.ErrTopicUnavailable // given up with its producer
	case replaced:
	case isGone(err):
		o.gone.Store(true)
	case kind == nil:
		o.suspect.Store(true)
	}
	if kind == nil {
		kind = event.ErrOutcomeUnknown
	}
	c.lookSoon()
	return fmt.Errorf("%w: %w", kind, err)
}

// heard notes that a broker has answered.
func (c *Client) heard() { c.contact.Store(int64(time.Since(c.began))) }

// Contact returns when a broker last answered; the zero time before the first.
func (c *Client) Contact() time.Time {
	if d := c.contact.Load(); d != 0 {
		return c.began.Add(time.Duration(d))
	}
	return time.Time{}
}

// Problems returns what keeps the client from brokers, or from what it wants
// of them, one entry for each kind of fault, the oldest first.
func (c *Client) Problems() []Problem { return c.edge.problems() }

// producers returns every producer in use, once.
func (c *Client) producers() []*kgo.Client {
	var all []*kgo.Client
	for _, o := range *c.outlets.Load() {
		if p := o.now(); !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// Flush waits until every produced record is settled, or until ctx ends. Run
// must have ended.
func (c *Client) Flush(ctx context.Context) error {
	for _, p := range c.producers() {
		if err := p.Flush(ctx); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	return nil
}

// Close fails what is still buffered and closes all connections. Run must
// have ended.
func (c *Client) Close() {
	c.vigil.stop()
	for _, p := range c.producers() {
		p.Close()
	}
	c.cluster.Close()
	c.closing.Wait()
}
