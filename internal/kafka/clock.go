package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
)

// untimelyFor is how long the refusal of a record's time counts where no other
// record of its topic follows and the cluster's clock cannot be seen.
const untimelyFor = 5 * time.Minute

// timely notes that Kafka has taken a record, time and all.
func (o *outlet) timely() {
	if o.untimely.Load() != 0 { // nearly never: it is read with every ack
		o.untimely.Store(0)
	}
}

// watchClock says, while topics refuse records for their time, by how much this
// machine's clock differs from the cluster's, as far as the cluster lets it be
// known. Records carry the time at which their event came (package gateway);
// they are never given another one for Kafka's sake. It asks nothing while no
// topic refuses.
func (c *Client) watchClock(ctx context.Context, names []string) {
	var topics []string
	for _, name := range names {
		o := (*c.outlets.Load())[name]
		if at := o.untimely.Load(); at != 0 && time.Since(c.began)-time.Duration(at) < untimelyFor {
			topics = append(topics, name)
		}
	}
	if len(topics) == 0 {
		c.untimely = ""
		c.edge.clear(ofClock)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	slices.Sort(topics)
	about := "topics " + strings.Join(topics, ", ")
	if c.untimely != about { // once, until other topics refuse: it costs two requests
		c.untimely = about
		c.edge.note(ofClock, fmt.Errorf("%s; %s: %w", inspect.ClockOf(ctx, c.cluster), about, kerr.InvalidTimestamp))
	}
}
