package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/event"
)

// Pace of the watch.
const (
	watchGood   = 15 * time.Second // between looks while every topic is usable
	watchBad    = time.Second      // while one is not, or no broker answers; never sooner
	pingEvery   = time.Second      // health while no acks come in
	pingTimeout = 2 * time.Second
	askTimeout  = 3 * time.Second  // for one question about topics
	denialTrial = 30 * time.Second // after a denied write, where the broker does not tell what is allowed
)

// defaultMaxMessageBytes is Kafka's own default of max.message.bytes, taken
// where the topic's setting was never visible to us.
const defaultMaxMessageBytes = 1_048_588

// Topic is what is known of one routed topic.
type Topic struct {
	Name            string
	Partitions      int32
	MaxMessageBytes int32 // as last seen, as far as the producer makes use of it; the default where an ACL hides it
	ID              kadm.TopicID
	Err             error // nil: usable; else wraps event.ErrTopicUnavailable, or ErrKafkaUnavailable: no producer id yet
}

// Missing tells whether the topic does not exist.
func (t Topic) Missing() bool { return errors.Is(t.Err, kerr.UnknownTopicOrPartition) }

// Run watches the routed topics and the cluster's health until ctx ends.
// onTopic is called from one goroutine: for every topic once when it is first
// known, or was added again, and then after every change.
func (c *Client) Run(ctx context.Context, onTopic func(Topic)) error {
	var wg sync.WaitGroup
	wg.Go(func() { c.pings(ctx) })
	defer wg.Wait()
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
	names := *c.routed.Load()
	if len(names) == 0 {
		return true // routes that only drop
	}
	details, err := c.metadata(ctx, names)
	if err != nil {
		c.opts.Log.Debug("topics not visible", slog.Any("cause", err))
		c.whyNot(ctx)
		return false
	}
	c.edge.clear(ofLook)
	c.heard()
	if !c.permitted(ctx) {
		return false
	}
	limits := c.maxMessageBytes(ctx, names)
	c.reviewRights(details)
	c.watchClock(ctx, names)
	report := func(t Topic) { c.report(t, onTopic) }
	clear(c.asked)
	good = true
	for _, name := range names {
		t := topicOf(name, details[name])
		if t.Err == nil {
			t.Err = c.denial(name)
		}
		if limit := limits[name]; limit > 0 {
			t.MaxMessageBytes = min(limit, maxBatchBytes)
		} else { // not asked successfully, hidden, or not there
			t.MaxMessageBytes = c.knownLimit(name)
		}
		t = c.renewed(ctx, t, report)
		good = good && t.Err == nil
		report(t)
	}
	return good
}

// whyNot finds out why requests fail where connections work: a listener that
// wants SASL hangs up on what comes first. The request that failed was tried
// again and again, and tells only that its time is over.
func (c *Client) whyNot(ctx context.Context) {
	if slices.ContainsFunc(c.edge.problems(), func(p Problem) bool { return !p.Notice }) {
		return // known already
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // of none; nil would be of all
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	for _, b := range c.cluster.SeedBrokers() {
		for range whyTries {
			_, err := b.Request(ctx, req)
			if err == nil || ctx.Err() != nil {
				break
			}
			if closedEarly(err) {
				c.edge.note(ofLook, &attempt{with: &c.opts.Security, err: &hungUp{err}})
				return
			}
			// Another request took the connection along: that says nothing.
		}
	}
}

// whyTries is how often whyNot asks one broker.
const whyTries = 3

// closedEarly tells whether the broker hung up where it should have answered.
func closedEarly(err error) bool {
	var first *kgo.ErrFirstReadEOF
	return errors.As(err, &first) || errors.Is(err, io.EOF)
}

// metadata asks for the routed topics. kadm would do, but for one thing: there
// a topic that an ACL denies fails the answer for all the others.
func (c *Client) metadata(ctx context.Context, names []string) (map[string]kmsg.MetadataResponseTopic, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	req.IncludeTopicAuthorizedOperations = true // see reviewRights
	req.Topics = make([]kmsg.MetadataRequestTopic, 0, len(names))
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, c.cluster)
	if err != nil {
		return nil, err
	}
	topics := make(map[string]kmsg.MetadataResponseTopic, len(resp.Topics))
	for _, t := range resp.Topics {
		if t.Topic != nil {
			topics[*t.Topic] = t
		}
	}
	return topics, nil
}

func topicOf(name string, d kmsg.MetadataResponseTopic) Topic {
	t := Topic{Name: name, ID: d.TopicID, Partitions: int32(len(d.Partitions))} //nolint:gosec // Kafka counts partitions in 32 bits
	err := kerr.ErrorForCode(d.ErrorCode)
	if err == nil && t.Partitions == 0 {
		err = kerr.UnknownTopicOrPartition
	}
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		t.Err = fmt.Errorf("%w: it does not exist (%w)", event.ErrTopicUnavailable, err)
	case err != nil:
		t.Err = fmt.Errorf("%w: %w", event.ErrTopicUnavailable, err)
	}
	return t
}

// report remembers a topic's state and passes a change on.
func (c *Client) report(t Topic, onTopic func(Topic)) {
	old, known := c.topics[t.Name]
	c.topics[t.Name] = t
	if !known || !same(old, t) || c.isAdded(t.Name) {
		onTopic(t)
	}
}

// isAdded tells, once, whether a topic was added since it was last reported.
func (c *Client) isAdded(topic string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	added := c.added[topic]
	delete(c.added, topic)
	return added
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
func (c *Client) maxMessageBytes(ctx context.Context, names []string) map[string]int32 {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range names {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, name, []string{"max.message.bytes"}
		req.Resources = append(req.Resources, r)
	}
	resp, err := req.RequestWith(ctx, c.cluster)
	if err != nil {
		c.opts.Log.Debug("topic settings not visible", slog.Any("cause", err))
		return nil
	}
	limits := make(map[string]int32)
	var hidden []string
	for _, r := range resp.Resources {
		if r.ErrorCode == kerr.TopicAuthorizationFailed.Code {
			hidden = append(hidden, r.ResourceName)
		}
		for _, cfg := range r.Configs {
			if cfg.Name != "max.message.bytes" || cfg.Value == nil {
				continue
			}
			if n, err := strconv.ParseInt(*cfg.Value, 10, 32); err == nil {
				limits[r.ResourceName] = int32(n)
			}
		}
	}
	slices.Sort(hidden)
	c.edge.hidden(hidden)
	return limits
}
