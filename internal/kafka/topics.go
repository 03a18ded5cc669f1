package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/event"
)

// Pace of the watch.
const (
	watchGood    = 15 * time.Second // between looks while every topic is usable
	watchBad     = time.Second      // while one is not, or no broker answers
	pingEvery    = time.Second      // health while no acks come in
	pingTimeout  = 2 * time.Second
	adminTimeout = 5 * time.Second
	denialTrial  = 30 * time.Second // after a denied write, where the broker does not tell what is allowed
)

// defaultMaxMessageBytes is Kafka's own default of max.message.bytes, taken
// where the topic's setting is not visible to us.
const defaultMaxMessageBytes = 1_048_588

// Topic is what is known of one routed topic.
type Topic struct {
	Name            string
	Partitions      int32
	MaxMessageBytes int32 // the default where an ACL hides it
	ID              kadm.TopicID
	Err             error // nil: usable; else wraps event.ErrTopicUnavailable
}

// Run watches the routed topics and the cluster's health until ctx ends.
// onTopic is called from one goroutine: for every topic once when it is first
// known, and again after every change.
func (c *Client) Run(ctx context.Context, onTopic func(Topic)) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case topic := <-c.purge:
			c.kgo.PurgeTopicsFromProducing(topic)
			timer.Reset(0)
		case <-c.kick:
			timer.Reset(0)
		case <-ping.C:
			c.ping(ctx)
		case <-timer.C:
			if c.look(ctx, onTopic) {
				timer.Reset(watchGood)
			} else {
				timer.Reset(watchBad)
			}
		}
	}
}

// ping asks all known brokers at once whether they live, unless an ack said
// so within the last second: one broker that hangs must not hide the others.
func (c *Client) ping(ctx context.Context) {
	if time.Since(c.Contact()) < pingEvery {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	brokers := append(c.kgo.DiscoveredBrokers(), c.kgo.SeedBrokers()...)
	answers := make(chan error, len(brokers))
	for _, b := range brokers {
		go func() {
			_, err := b.Request(ctx, kmsg.NewPtrApiVersionsRequest())
			answers <- err
		}()
	}
	for range brokers {
		if err := <-answers; err == nil {
			c.contact.Store(time.Now().UnixNano())
			return
		}
	}
}

// look asks for the state of all routed topics, reports changes, and says
// whether every topic is usable.
func (c *Client) look(parent context.Context, onTopic func(Topic)) (good bool) {
	ctx, cancel := context.WithTimeout(parent, adminTimeout)
	defer cancel()
	details, err := c.metadata(ctx)
	if err != nil {
		if ctx.Err() == nil || unreachable(err) {
			c.opts.Log.Debug("topics not visible", slog.Any("cause", err))
		}
		c.whyNot(parent)
		return false
	}
	c.edge.clear(ofLook)
	c.contact.Store(time.Now().UnixNano())
	if !c.permitted(ctx) {
		return false
	}
	limits := c.maxMessageBytes(ctx)
	c.reviewDenials(details)
	good = true
	for _, name := range c.opts.Topics {
		t := topicOf(name, details[name])
		if t.Err == nil {
			t.Err = c.denial(name)
		}
		t.MaxMessageBytes = defaultMaxMessageBytes
		if limit, ok := limits[name]; ok {
			t.MaxMessageBytes = limit
		}
		good = good && t.Err == nil
		c.report(t, onTopic)
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
	for _, b := range c.kgo.SeedBrokers() {
		if _, err := b.Request(ctx, req); err != nil && ctx.Err() == nil {
			c.edge.note(ofLook, &attempt{with: &c.opts.Security, err: err})
			return
		}
	}
}

// metadata asks for the routed topics. kadm would do, but for one thing: there
// a topic that an ACL denies fails the answer for all the others.
func (c *Client) metadata(ctx context.Context) (map[string]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	req.IncludeTopicAuthorizedOperations = true // see reviewDenials
	req.Topics = make([]kmsg.MetadataRequestTopic, 0, len(c.opts.Topics))
	for _, name := range c.opts.Topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, c.kgo)
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
	switch err := kerr.ErrorForCode(d.ErrorCode); {
	case err != nil:
		t.Err = fmt.Errorf("%w: %w", event.ErrTopicUnavailable, err)
	case t.Partitions == 0:
		t.Err = fmt.Errorf("%w: %w", event.ErrTopicUnavailable, kerr.UnknownTopicOrPartition)
	}
	return t
}

// report stores a topic's state and passes a change on. A topic that was
// deleted and made anew is first forgotten by the producer, which would
// otherwise fail every record with UNKNOWN_TOPIC_ID.
func (c *Client) report(t Topic, onTopic func(Topic)) {
	c.mu.Lock()
	old, known := c.topics[t.Name]
	c.topics[t.Name] = t
	c.mu.Unlock()
	recreated := known && old.Err == nil && old.ID != t.ID && old.ID != (kadm.TopicID{}) && t.ID != (kadm.TopicID{})
	if recreated {
		c.opts.Log.Warn("topic was recreated", slog.String("topic", t.Name))
		c.kgo.PurgeTopicsFromProducing(t.Name)
	}
	if !known || recreated || !same(old, t) {
		onTopic(t)
	}
}

func same(a, b Topic) bool {
	if (a.Err == nil) != (b.Err == nil) || a.Err != nil && a.Err.Error() != b.Err.Error() {
		return false
	}
	return a.Partitions == b.Partitions && a.MaxMessageBytes == b.MaxMessageBytes && a.ID == b.ID
}

// maxMessageBytes asks for the topics' max.message.bytes. What is not visible
// is missing from the answer: an ACL that hides it is not a fault.
func (c *Client) maxMessageBytes(ctx context.Context) map[string]int32 {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range c.opts.Topics {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, name, []string{"max.message.bytes"}
		req.Resources = append(req.Resources, r)
	}
	resp, err := req.RequestWith(ctx, c.kgo)
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

// forgetting tells whether the topic is known to be unusable, so that an
// error without a code of its own is the topic's.
func (c *Client) forgetting(topic string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.topics[topic].Err != nil
}

// lookAgain has the watch look at the topic at once. A topic that is gone is
// marked unusable and forgotten by the producer first, once: to forget it
// again would give up records of its successor.
func (c *Client) lookAgain(topic string, err error) {
	if isGone(err) {
		c.mu.Lock()
		t := c.topics[topic]
		marked := t.Err != nil
		if !marked {
			t.Err = fmt.Errorf("%w: %w", event.ErrTopicUnavailable, err)
			c.topics[topic] = t
		}
		c.mu.Unlock()
		if marked {
			return
		}
		select {
		case c.purge <- topic:
			return
		default: // the next failed record asks again
		}
	}
	select {
	case c.kick <- struct{}{}:
	default:
	}
}
