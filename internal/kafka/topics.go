package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/event"
)

// Pace of the watch.
const (
	watchGood   = 15 * time.Second // between looks while every topic is usable
	watchBad    = time.Second      // while one is not, or no broker answers; never sooner
	pingEvery   = time.Second      // health while no acks come in
	pingTimeout = 2 * time.Second
	askTimeout  = 3 * time.Second // for one question about topics
)

// defaultMaxMessageBytes is Kafka's own default of max.message.bytes, taken
// where the topic's setting was never visible to us.
const defaultMaxMessageBytes = 1_048_588

// Topic is what is known of one routed topic.
type Topic struct {
	Name            string
	Partitions      int32
	MaxMessageBytes int32 // as last seen; the default where an ACL hides it
	ID              kadm.TopicID
	Err             error // nil: usable; else wraps event.ErrTopicUnavailable
}

// Run watches the routed topics and the cluster's health until ctx ends.
// onTopic is called from one goroutine: for every topic once when it is first
// known, and again after every change.
func (c *Client) Run(ctx context.Context, onTopic func(Topic)) error {
	var wg sync.WaitGroup
	wg.Go(func() { c.pings(ctx) })
	defer wg.Wait()
	if len(c.opts.Topics) == 0 {
		<-ctx.Done()
		return nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var looked time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.kick:
			timer.Reset(max(0, watchBad-time.Since(looked)))
		case <-timer.C:
			pace := watchBad
			if c.look(ctx, onTopic) {
				pace = watchGood
			}
			looked = time.Now()
			timer.Reset(pace)
		}
	}
}

// lookSoon has the watch look at the topics before its time.
func (c *Client) lookSoon() {
	select {
	case c.kick <- struct{}{}:
	default: // it will already
	}
}

// pings keeps Contact up to date while no acks do.
func (c *Client) pings(ctx context.Context) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if time.Since(c.Contact()) >= pingEvery {
				c.ping(ctx)
			}
		}
	}
}

// ping asks all known brokers at once whether they live: one broker that
// hangs must not hide the others.
func (c *Client) ping(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	brokers := append(c.cluster.DiscoveredBrokers(), c.cluster.SeedBrokers()...)
	answers := make(chan error, len(brokers))
	for _, b := range brokers {
		go func() {
			_, err := b.Request(ctx, kmsg.NewPtrApiVersionsRequest())
			answers <- err
		}()
	}
	for range brokers {
		if err := <-answers; err == nil {
			c.heard()
			return
		}
	}
}

// look asks for the state of all routed topics, reports changes, and says
// whether every topic is usable.
func (c *Client) look(ctx context.Context, onTopic func(Topic)) (good bool) {
	details, err := c.listTopics(ctx)
	if err != nil {
		c.opts.Log.Debug("topics not visible", slog.Any("cause", err))
		return false
	}
	c.heard()
	limits := c.maxMessageBytes(ctx)
	report := func(t Topic) { c.report(t, onTopic) }
	good = true
	for _, name := range c.opts.Topics {
		t := topicOf(name, details[name])
		if t.Err != nil { // a topic that is not there has no settings
			t.MaxMessageBytes = c.topics[name].MaxMessageBytes
		} else if t.MaxMessageBytes = limits[name]; t.MaxMessageBytes == 0 {
			t.MaxMessageBytes = c.knownLimit(name)
		}
		t = c.renewed(ctx, t, report)
		good = good && t.Err == nil
		report(t)
	}
	return good
}

func (c *Client) listTopics(ctx context.Context) (kadm.TopicDetails, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return c.admin.ListTopics(ctx, c.opts.Topics...)
}

func topicOf(name string, d kadm.TopicDetail) Topic {
	t := Topic{Name: name, ID: d.ID, Partitions: int32(len(d.Partitions))} //nolint:gosec // Kafka counts partitions in 32 bits
	switch err := d.Err; {
	case err != nil:
		t.Err = fmt.Errorf("%w: %w", event.ErrTopicUnavailable, err)
	case t.Partitions == 0:
		t.Err = fmt.Errorf("%w: %w", event.ErrTopicUnavailable, kerr.UnknownTopicOrPartition)
	}
	return t
}

// report remembers a topic's state and passes a change on.
func (c *Client) report(t Topic, onTopic func(Topic)) {
	old, known := c.topics[t.Name]
	c.topics[t.Name] = t
	if !known || !same(old, t) {
		onTopic(t)
	}
}

func same(a, b Topic) bool {
	if (a.Err == nil) != (b.Err == nil) || a.Err != nil && a.Err.Error() != b.Err.Error() {
		return false
	}
	return a.Partitions == b.Partitions && a.MaxMessageBytes == b.MaxMessageBytes && a.ID == b.ID
}

// knownLimit returns the max.message.bytes that was seen last: a question that
// failed once must not widen it.
func (c *Client) knownLimit(topic string) int32 {
	if last := c.topics[topic].MaxMessageBytes; last > 0 {
		return last
	}
	return defaultMaxMessageBytes
}

// maxMessageBytes asks for the topics' max.message.bytes. What is not visible
// is missing from the answer: an ACL that hides it is not a fault.
func (c *Client) maxMessageBytes(ctx context.Context) map[string]int32 {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	limits := make(map[string]int32)
	configs, err := c.admin.DescribeTopicConfigs(ctx, c.opts.Topics...)
	if err != nil {
		c.opts.Log.Debug("topic settings not visible", slog.Any("cause", err))
		return limits
	}
	for _, rc := range configs {
		for _, cfg := range rc.Configs {
			if cfg.Key != "max.message.bytes" || cfg.Value == nil {
				continue
			}
			if n, err := strconv.ParseInt(*cfg.Value, 10, 32); err == nil {
				limits[rc.Name] = int32(n)
			}
		}
	}
	return limits
}
