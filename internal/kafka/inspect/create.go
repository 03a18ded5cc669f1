package inspect

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// NewTopic is a topic to create.
type NewTopic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	MinInSyncReplicas int // 0: the broker's default
	Err               error
}

// Denied tells whether an ACL forbids to create the topic.
func (n NewTopic) Denied() bool {
	return errors.Is(n.Err, kerr.TopicAuthorizationFailed) || errors.Is(n.Err, kerr.ClusterAuthorizationFailed)
}

// Create creates the topics and notes in each whether that worked. It returns
// when the cluster shows them, or when ctx ends.
func Create(ctx context.Context, cl *kgo.Client, topics []NewTopic) {
	admin := kadm.NewClient(cl)
	for i := range topics {
		t := &topics[i]
		settings := make(map[string]*string)
		if t.MinInSyncReplicas > 0 {
			settings[minInSyncReplicas] = kadm.StringPtr(strconv.Itoa(t.MinInSyncReplicas))
		}
		answer, err := admin.CreateTopic(ctx, t.Partitions, t.ReplicationFactor, settings, t.Name)
		switch {
		case err != nil && answer.ErrMessage != "":
			t.Err = fmt.Errorf("%w: %s", err, answer.ErrMessage)
		case err != nil:
			t.Err = err
		default:
			t.Err = visible(ctx, cl, t.Name)
		}
	}
}

// visible waits until a created topic has leaders: the brokers learn of it
// some time after the controller has answered.
func visible(ctx context.Context, cl *kgo.Client, name string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if meta, err := metadata(ctx, cl, []string{name}); err == nil {
			if t := topicOf(name, meta); t.State == Present && len(t.Leaderless) == 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("created, but not seen yet: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
