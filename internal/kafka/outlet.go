package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/event"
)

// outlet is the way of one topic's records to the cluster. All topics share
// one producer until a topic needs a new one.
//
// A topic never starts anew under the same producer id. kgo begins again at
// sequence 0 when it forgets a topic (PurgeTopicsFromProducing), and a log that
// has those sequences of that producer id already takes the new records for
// repetitions: it acknowledges them and writes nothing. A fresh client has a
// producer id of its own, so no log can mistake it (KIP-98).
type outlet struct {
	topic   string
	pending atomic.Int64 // records not settled yet
	limit   atomic.Int32 // max.message.bytes that the producer goes by
	gone    atomic.Bool  // the producer's topic id is not the topic's any more
	suspect atomic.Bool  // the producer failed a record for an unknown reason

	untimely atomic.Int64 // when Kafka last refused the time of a record, nanoseconds after the client began; 0: it has taken one since

	swap     sync.RWMutex // held for reading while a record is handed over
	producer *kgo.Client

	// The watch alone uses the rest.
	id      [16]byte // topic id that the producer knows; zero: none
	tries   int      // to renew, in vain
	retryAt time.Time
}

// Bounds of a renewal.
const (
	drainFor     = 5 * time.Second // for what the old producer still holds
	drainLook    = 5 * time.Millisecond
	producerFor  = 3 * time.Second        // for a producer id
	producerLook = 100 * time.Millisecond // before it is asked for again
	renewMost    = 30 * time.Second
)

// produce hands a record to the current producer and tells done which one that was.
func (o *outlet) produce(r *kgo.Record, done func(*kgo.Record, *kgo.Client, error)) {
	o.swap.RLock()
	defer o.swap.RUnlock()
	producer := o.producer
	o.pending.Add(1)
	producer.TryProduce(context.Background(), r, func(r *kgo.Record, err error) {
		o.pending.Add(-1)
		done(r, producer, err)
	})
}

func (o *outlet) now() *kgo.Client {
	o.swap.RLock()
	defer o.swap.RUnlock()
	return o.producer
}

func (o *outlet) current(producer *kgo.Client) bool { return o.now() == producer }

// another tells whether an id is that of another topic than the producer knows.
// No id says nothing: brokers before Kafka 2.8 have none (KIP-516), and while a
// cluster is upgraded from there it depends on the broker that answers.
func (o *outlet) another(id [16]byte) bool {
	none := [16]byte{}
	return id != none && o.id != none && o.id != id
}

// need says why a usable topic needs another producer; nil means that it does
// not. With errNoIDYet its producer has no id yet, and another would have none.
func (c *Client) need(ctx context.Context, o *outlet, t Topic) error {
	switch {
	case o.gone.Load(), o.another(t.ID):
		return errors.New("the topic was recreated")
	case o.limit.Load() != t.MaxMessageBytes:
		return fmt.Errorf("max.message.bytes changed from %d to %d", o.limit.Load(), t.MaxMessageBytes)
	case o.suspect.Load():
		producer := o.now()
		err, known := c.asked[producer]
		if !known { // once in a look: it may take producerFor, and topics share it
			err = producerID(ctx, producer)
			c.asked[producer] = err
		}
		if err != nil {
			return err
		}
		producer.ForceMetadataRefresh() // it may lag behind the watch, and fails what goes to a partition that it does not know
		o.suspect.Store(false)
	}
	return nil
}

// errNoIDYet is a producer without an id that may have one with the next question.
var errNoIDYet = errors.New("no producer id yet")

// producerID has a producer get its id. The error wraps errNoIDYet where no
// answer, or one that passes, was all there was for producerFor; any other is
// why it never will have one: kgo keeps the first refusal for ever.
//
// A record must not come before the id: kgo would ask for it again and again,
// as fast as the broker answers, until it is there.
func producerID(ctx context.Context, producer *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, producerFor)
	defer cancel()
	again := time.NewTicker(producerLook)
	defer again.Stop()
	said := fmt.Errorf("not within %s", producerFor)
	for {
		_, _, err := producer.ProducerID(ctx)
		if err == nil {
			return nil
		}
		if refused, ok := errors.AsType[*kerr.Error](err); ok {
			if !refused.Retriable {
				return fmt.Errorf("no producer id: %w", err)
			}
			said = refused
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errNoIDYet, said)
		case <-again.C:
		}
	}
}

// renewed makes sure that a usable topic has a producer that fits it, and
// returns the topic as delivery should see it. Before a producer is replaced
// the topic is reported unavailable and what the producer holds may settle, so
// that records of the new one never stand before it.
func (c *Client) renewed(ctx context.Context, t Topic, report func(Topic)) Topic {
	o := (*c.outlets.Load())[t.Name]
	if t.Err != nil {
		return t
	}
	if o.limit.Load() == 0 { // first sight: the producer id has to be there before the first event
		o.id = t.ID
		o.limit.Store(t.MaxMessageBytes)
		o.suspect.Store(true)
	}
	why := c.need(ctx, o, t)
	switch {
	case why == nil:
		o.tries = 0
		if t.ID != (kadm.TopicID{}) {
			o.id = t.ID
		}
		return t
	case errors.Is(why, errNoIDYet):
		t.Err = fmt.Errorf("%w: %w", event.ErrKafkaUnavailable, why)
		return t
	}
	wait := t
	wait.Err = fmt.Errorf("%w: %w", event.ErrTopicUnavailable, why)
	if time.Now().Before(o.retryAt) {
		return wait
	}
	report(wait)
	if err := c.renew(ctx, o, t, why); err != nil {
		if !errors.Is(err, errNoIDYet) {
			o.tries++
			o.retryAt = time.Now().Add(min(time.Second<<min(o.tries, 10), renewMost))
		}
		wait.Err = fmt.Errorf("%w: %w: %w", event.ErrTopicUnavailable, why, err)
		return wait
	}
	return t
}

// renew replaces the producer of a topic.
func (c *Client) renew(ctx context.Context, o *outlet, t Topic, why error) error {
	fresh, err := c.newProducer()
	if err != nil {
		return err
	}
	if err := producerID(ctx, fresh); err != nil {
		fresh.Close()
		return err
	}
	if !o.gone.Load() && !o.another(t.ID) {
		o.drain(ctx)
	}
	c.growing.Lock()
	defer c.growing.Unlock()
	o.swap.Lock()
	old := o.producer
	o.producer, o.id = fresh, t.ID
	o.limit.Store(t.MaxMessageBytes)
	o.gone.Store(false)
	o.suspect.Store(false)
	o.swap.Unlock()
	c.opts.Log.Warn("topic has a new producer", slog.String("topic", o.topic), slog.Any("why", why), slog.Int64("given_up", o.pending.Load()))
	old.PurgeTopicsFromProducing(o.topic)
	for _, other := range *c.outlets.Load() {
		if other.current(old) {
			return nil
		}
	}
	if c.shared == old {
		c.shared = fresh
	}
	c.closing.Go(old.Close)
	return nil
}

// Add makes topics ones that may be produced to, and has Run look at them soon
// and report them, known or not. They share the producer of the others. It
// does no I/O. Topics that are there already stay as they are.
func (c *Client) Add(topics []string) error {
	c.growing.Lock()
	defer c.growing.Unlock()
	outlets, routed := maps.Clone(*c.outlets.Load()), slices.Clone(*c.routed.Load())
	var added []string
	for _, topic := range topics {
		if slices.Contains(routed, topic) {
			continue
		}
		routed, added = append(routed, topic), append(added, topic)
		if outlets[topic] != nil {
			continue // it was produced to before: its producer id must stay
		}
		if c.shared == nil {
			shared, err := c.newProducer()
			if err != nil {
				return err
			}
			c.shared = shared
		}
		outlets[topic] = &outlet{topic: topic, producer: c.shared}
	}
	c.mu.Lock()
	for _, topic := range added {
		c.added[topic] = true
	}
	c.mu.Unlock()
	c.outlets.Store(&outlets)
	c.routed.Store(&routed)
	c.lookSoon()
	return nil
}

// Retain ends the looks at all topics but these. What is on its way to the
// others is still written.
func (c *Client) Retain(topics []string) {
	c.growing.Lock()
	defer c.growing.Unlock()
	routed := slices.DeleteFunc(slices.Clone(*c.routed.Load()), func(t string) bool { return !slices.Contains(topics, t) })
	c.routed.Store(&routed)
}

// drain waits until the producer holds no record of the topic any more.
func (o *outlet) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainFor)
	defer cancel()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for o.pending.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}
