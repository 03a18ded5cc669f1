package kafka

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/event"
)

// meanings lists what a final error of the producer means for the event. What
// the producer can retry never shows here: it is retried for ever.
//
// MESSAGE_TOO_LARGE is the topic's, not the event's: delivery has compared the
// record with the limit that it knew, so the limit changed, or a batch of small
// records was over one that an ACL hides. The event itself may be fine.
var meanings = []struct {
	err     error
	meaning error
}{
	{kerr.MessageTooLarge, event.ErrTopicUnavailable},
	{kerr.RecordListTooLarge, event.ErrTopicUnavailable},
	{kerr.UnknownTopicOrPartition, event.ErrTopicUnavailable},
	{kerr.UnknownTopicID, event.ErrTopicUnavailable},
	{kerr.InconsistentTopicID, event.ErrTopicUnavailable},
	{kerr.TopicAuthorizationFailed, event.ErrTopicUnavailable},
	{kerr.InvalidTopicException, event.ErrTopicUnavailable},
	{kerr.InvalidRecord, event.ErrTopicUnavailable}, // the topic's own rules, such as compaction without a key
	{kerr.InvalidTimestamp, event.ErrTopicUnavailable},
	{kerr.PolicyViolation, event.ErrTopicUnavailable},
	{kgo.ErrMaxBuffered, event.ErrOverloaded},
}

// classify returns what a producer error means, or nil where nothing is
// known, not even whether the record was written.
func classify(err error) error {
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return m.meaning
		}
	}
	return nil
}

// isGone tells whether the producer holds on to a topic that is not the one
// it knew: it can never write to it again.
func isGone(err error) bool {
	return errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.InconsistentTopicID)
}
