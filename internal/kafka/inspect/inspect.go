// Package inspect looks at a Kafka cluster as a relay would use it, and
// judges what it sees: do the routed topics exist, are they safe, do the
// records in them lie where this relay would put theirs?
//
// Here belong the look (Look, which only reads), the rules (Judge, a pure
// function from facts to findings) and the creation of missing topics
// (Create, on demand only). Not here: what becomes of a finding, which the
// command and the wiring decide, and everything on the path of an event.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Facts are what a look at a cluster showed.
type Facts struct {
	Brokers []Broker // the configured addresses, then those the cluster names
	Topics  []Topic  // in the order they were asked for
	Clock   Clock
}

// Broker is one address.
type Broker struct {
	ID      int32  // -1: a configured address; the cluster names no broker with it
	Address string // host:port
	Latency time.Duration
	Err     error // nil: it answers
}

// State is whether a topic can be seen.
type State uint8

// The states.
const (
	Present State = iota
	Missing       // the cluster does not have it
	Hidden        // an ACL denies DESCRIBE; the topic may or may not exist
	Broken        // the cluster answers with another error
)

// String returns "present", "missing", "not_visible" or "broken".
func (s State) String() string {
	return [...]string{"present", "missing", "not_visible", "broken"}[s]
}

// Topic is what is known of one routed topic.
type Topic struct {
	Name  string
	State State
	Err   error // of Broken

	Partitions        int32
	ReplicationFactor int     // the least of all partitions
	Leaderless        []int32 // partitions without a leader now
	MinInSync         int     // replicas in sync now, the least of all partitions

	// Write is what the cluster says about our right to produce.
	Write Permission

	Settings Settings
	Sample   Sample
}

// Permission is a right as far as it is known.
type Permission uint8

// The permissions.
const (
	Unknown Permission = iota // a cluster before Kafka 2.3 does not tell (KIP-430)
	Allowed
	Denied
)

// Settings are a topic's settings in force: DescribeConfigs answers with the
// topic's own value, else the broker's, else Kafka's default.
type Settings struct {
	Err error // not nil: not visible, most often for want of DESCRIBE_CONFIGS

	// What the cluster did not tell is -1 or "".
	MinInSyncReplicas int
	MaxMessageBytes   int64
	CleanupPolicy     string
	UncleanElection   string // "true" or "false"
}

func noSettings() Settings { return Settings{MinInSyncReplicas: -1, MaxMessageBytes: -1} }

// Clock is the clock of the cluster against ours. Kafka has no request for
// the time, and the timestamps of records are the producers'. But the active
// controller of a KRaft cluster stamps its answer to DescribeQuorum (KIP-595,
// since Kafka 3.3) with its own time, and DESCRIBE on the cluster is enough to
// ask. It is one clock of the cluster, not that of every broker.
type Clock struct {
	Err    error         // not nil: could not be measured
	Ahead  time.Duration // of the controller before us; negative: behind
	Within time.Duration // half of the round trip: the truth is within ± this
}

// Look asks the cluster. It writes nothing, and what it reads is bounded: see
// Sample. It returns an error, with the brokers it asked, only if none of them
// answers or the answer is of no use; what one topic or one broker does not
// tell is noted in the facts.
//
// cl is used for questions; records are read by a client of their own, so that
// a look disturbs no producer.
func Look(ctx context.Context, cl *kgo.Client, topics []string) (Facts, error) {
	f := Facts{Brokers: seeds(ctx, cl)}
	if err := f.away(); err != nil {
		return f, err
	}
	meta, err := metadata(ctx, cl, topics)
	if err != nil {
		return f, fmt.Errorf("kafka metadata: %w", err)
	}
	f.Brokers = named(ctx, cl, f.Brokers, meta)
	f.Topics = make([]Topic, len(topics))
	for i, name := range topics {
		f.Topics[i] = topicOf(name, meta)
	}
	f.Clock = clock(ctx, cl)
	settings(ctx, cl, f.Topics)
	samples(ctx, cl, f.Topics)
	return f, nil
}

// away is the errors of all brokers if none answers.
func (f *Facts) away() error {
	var all []error
	for _, b := range f.Brokers {
		if b.Err == nil {
			return nil
		}
		all = append(all, fmt.Errorf("broker %s: %w", b.Address, b.Err))
	}
	return errors.Join(all...)
}
