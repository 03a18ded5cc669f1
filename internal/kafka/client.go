// Package kafka is the mechanism of delivery: one idempotent franz-go
// producer, what it knows of the routed topics, and what its errors mean.
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
	requestOverhead = 2 * time.Second // a half-open connection is noticed after this plus the broker's share
	produceTimeout  = 3 * time.Second // the broker's own wait for in-sync replicas
	connIdle        = 8 * time.Minute // below the brokers' 10 minutes; the default of 30 s redials after every quiet spell
	unknownRetries  = 4
	maxBatchBytes   = 32 << 20 // bound on a topic's max.message.bytes that we make use of
	minBatchBytes   = 512      // the least that kgo takes
)

// Options are what New needs.
type Options struct {
	Brokers  []string // host:port
	Topics   []string // every topic that is ever produced to
	ClientID string

	// MaxRecords and MaxBytes bound the client's buffer. Delivery keeps its
	// own, tighter bounds, so that these are never reached.
	MaxRecords int
	MaxBytes   int

	Security Security
	Log      *slog.Logger
	Dial     DialFunc // below TLS; nil: TCP
}

// Client produces records and watches topics. Safe for concurrent use.
type Client struct {
	opts    Options
	kgo     *kgo.Client
	edge    *edge
	refused atomic.Bool  // edge has a trouble of the cluster, that an ack ends
	contact atomic.Int64 // unix nanoseconds of the last answer of any broker
	purge   chan string  // topics to forget and look at again
	kick    chan struct{}

	mayProduce bool // belongs to Run; see permitted

	mu     sync.Mutex
	topics map[string]Topic
	denied map[string]denial // topics that an ACL keeps us from writing to
}

// New returns a client. It does no I/O: an unreachable cluster shows in Run,
// and so do credentials that brokers refuse. The caller closes it.
func New(o Options) (*Client, error) {
	c := &Client{
		opts:   o,
		edge:   newEdge(o.Log, o.Security),
		purge:  make(chan string, len(o.Topics)+1),
		kick:   make(chan struct{}, 1),
		topics: make(map[string]Topic, len(o.Topics)),
		denied: make(map[string]denial),
	}
	dial, err := o.Security.dialer(o.Dial)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	mechanism, err := o.Security.SASL.mechanism(c.edge.token)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(o.Brokers...),
		kgo.ClientID(o.ClientID),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
		kgo.ProducerBatchMaxBytesFn(c.batchBytes),
		kgo.MaxBufferedRecords(o.MaxRecords),
		kgo.MaxBufferedBytes(o.MaxBytes),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(metadataMinAge),
		kgo.MetadataMaxAge(time.Minute),
		kgo.AlwaysRetryEOF(),
		kgo.Dialer(c.edge.guard(dial)),
		kgo.WithHooks(c.edge),
		kgo.RequestTimeoutOverhead(requestOverhead),
		kgo.ProduceRequestTimeout(produceTimeout),
		kgo.ConnIdleTimeout(connIdle),
		kgo.UnknownTopicRetries(unknownRetries),
		kgo.WithLogger(newLogger(o.Log)),
	}
	if mechanism != nil {
		opts = append(opts, kgo.SASL(mechanism))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	c.kgo = cl
	return c, nil
}

// Produce hands rec to the producer for the given partition and returns at
// once. settle is called exactly once, from a goroutine of the client and in
// order per partition, with the record's offset, or with an error that wraps
// one of package event. It must not block and must not call the client.
//
// The record is not cancelled by anything: once handed over it is written
// unless Kafka refuses it for good. rec and its Value must not be touched
// until settle is called.
func (c *Client) Produce(rec *event.Record, partition int32, settle func(offset int64, err error)) {
	out := &outgoing{}
	out.Topic, out.Partition = rec.Topic, partition
	out.Key, out.Value, out.Timestamp = rec.Key, rec.Value, rec.Timestamp
	out.Headers = out.headers[:0]
	for _, h := range rec.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader(h))
	}
	c.kgo.TryProduce(context.Background(), &out.Record, func(r *kgo.Record, err error) {
		if err != nil {
			settle(-1, c.explain(r.Topic, err))
			return
		}
		c.contact.Store(time.Now().UnixNano())
		if c.refused.Load() {
			c.refused.Store(false)
			c.edge.clear(ofCluster)
		}
		settle(r.Offset, nil)
	})
}

// outgoing is a record with room for its headers, in one allocation.
type outgoing struct {
	kgo.Record
	headers [6]kgo.RecordHeader
}

// explain wraps err in what it means for the event, and has the topic looked
// at again where it concerns the topic.
func (c *Client) explain(topic string, err error) error {
	kind := classify(err)
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		c.deny(topic, err)
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		c.refused.Store(true)
		c.edge.note(ofCluster, err)
	}
	if kind == nil {
		kind = event.ErrKafkaUnavailable
		if c.forgetting(topic) {
			kind = event.ErrTopicUnavailable
		}
	}
	if errors.Is(kind, event.ErrTopicUnavailable) {
		c.lookAgain(topic, err)
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// Contact returns when a broker last answered; the zero time before the first.
func (c *Client) Contact() time.Time {
	if n := c.contact.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// Problems returns what keeps the client from brokers, or from what it wants
// of them, one entry for each kind of fault, the oldest first.
func (c *Client) Problems() []Problem { return c.edge.problems() }

// Flush waits until every produced record is settled, or until ctx ends.
func (c *Client) Flush(ctx context.Context) error {
	if err := c.kgo.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// Close fails what is still buffered and closes all connections.
func (c *Client) Close() { c.kgo.Close() }

// batchBytes is asked once per topic-partition, when the producer first meets it.
func (c *Client) batchBytes(topic string) int32 {
	c.mu.Lock()
	t := c.topics[topic]
	c.mu.Unlock()
	if t.MaxMessageBytes <= 0 {
		return defaultMaxMessageBytes
	}
	return min(max(t.MaxMessageBytes, minBatchBytes), maxBatchBytes)
}
