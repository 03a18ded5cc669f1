package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/event"
)

// denial is a topic that an ACL keeps us from writing to, as the broker says
// with the topic's metadata (KIP-430, Kafka 2.3) or else at the first record.
type denial struct {
	err error
	at  time.Time
}

// deny remembers that a topic is denied, so that it counts as unusable until
// the ACL changes.
func (c *Client) deny(topic string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.denied[topic]; !known {
		c.denied[topic] = denial{err: err, at: time.Now()}
	}
}

// denial returns why a topic cannot be written to, or nil.
func (c *Client) denial(topic string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d, ok := c.denied[topic]; ok {
		return fmt.Errorf("%w: write denied: %w", event.ErrTopicUnavailable, d.err)
	}
	return nil
}

// reviewRights takes over what the broker says of our right to write to the
// topics: a topic that may only be described is denied before the first record
// is, one that may be written to is not denied any more. Where the broker does
// not say, a denial is tried with the next record, once in a while.
func (c *Client) reviewRights(seen map[string]kmsg.MetadataResponseTopic) {
	const unsaid = -1 << 31 // KIP-430: the broker does not fill the field in; nor does one that sends 0
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, t := range seen {
		said := t.ErrorCode == 0 && t.AuthorizedOperations != unsaid && t.AuthorizedOperations != 0
		d, denied := c.denied[name]
		switch {
		case said && mayWrite(t.AuthorizedOperations), !said && denied && time.Since(d.at) > denialTrial:
			delete(c.denied, name)
		case said && !denied:
			c.denied[name] = denial{err: kerr.TopicAuthorizationFailed, at: time.Now()}
		}
	}
}

// mayWrite reads a set of operations, one bit each by its number.
func mayWrite(operations int32) bool {
	return operations&(1<<kmsg.ACLOperationWrite|1<<kmsg.ACLOperationAll) != 0
}

// permitted tells whether the broker gives this client a producer id. kgo
// asks for one with the first record and takes a denial for final, so that no
// later grant would help: it must not ask before the broker says yes. The
// answer is asked for until it is yes, then never again. It takes askTimeout at
// most: no answer is no denial.
func (c *Client) permitted(ctx context.Context) bool {
	if c.mayProduce {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	resp, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(ctx, c.cluster)
	if err != nil {
		return true // not a denial; the next look asks again
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); errors.Is(err, kerr.ClusterAuthorizationFailed) {
		c.edge.note(ofCluster, err)
		return false
	}
	c.mayProduce = true
	c.edge.clear(ofCluster)
	return true
}

// Remedy says what an operator can do about an ACL that denies the topic, or
// "" where that is not what is wrong with it.
func (t Topic) Remedy() string {
	if !errors.Is(t.Err, kerr.TopicAuthorizationFailed) {
		return ""
	}
	return "kafka-acls.sh --bootstrap-server BROKER:9092 --add --allow-principal User:NAME --operation Write --operation Describe --topic " + t.Name
}
