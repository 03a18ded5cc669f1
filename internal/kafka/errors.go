package kafka

import (
	"context"
	"errors"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/event"
)

// meanings lists what a definite error of the producer means for the event.
// Everything that the producer can retry never shows here: it is retried for ever.
var meanings = []struct {
	err     error
	meaning error
}{
	{kerr.MessageTooLarge, event.ErrTooLarge},
	{kerr.RecordListTooLarge, event.ErrTooLarge},
	{kerr.UnknownTopicOrPartition, event.ErrTopicUnavailable},
	{kerr.UnknownTopicID, event.ErrTopicUnavailable},
	{kerr.InconsistentTopicID, event.ErrTopicUnavailable},
	{kerr.TopicAuthorizationFailed, event.ErrTopicUnavailable},
	{kerr.InvalidTopicException, event.ErrTopicUnavailable},
	{kerr.InvalidRecord, event.ErrTopicUnavailable}, // the topic's own rules, such as compaction without a key
	{kerr.PolicyViolation, event.ErrTopicUnavailable},
	{kgo.ErrMaxBuffered, event.ErrOverloaded},
	{kgo.ErrClientClosed, event.ErrDraining},
}

// classify returns what a producer error means, or nil where nothing is known.
func classify(err error) error {
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return m.meaning
		}
	}
	return nil
}

// unreachable tells whether err says that no broker answered.
func unreachable(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) || errors.Is(err, context.DeadlineExceeded)
}

// isGone tells whether the producer holds on to a topic that no longer is
// the one it knew: it must forget it before it can produce to it again.
func isGone(err error) bool {
	return errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.InconsistentTopicID)
}
