package deliver

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/kafka"
)

// topic is one routed topic with its pinned partition count.
type topic struct {
	name   string
	pin    atomic.Int32 // configured; 0: the count at first sight
	routed atomic.Bool  // looked after
	trial  atomic.Bool  // see Keep
	log    *slog.Logger

	bootstrap string
	metrics   *topicMetrics

	pinned atomic.Int32 // 0 until the topic was first seen
	actual atomic.Int32
	state  atomic.Pointer[topicState]
	turn   atomic.Uint32 // next lane of a record without key
}

// topicState is what one look at the topic showed, with the lanes of its
// pinned partitions. Lanes outlive states.
type topicState struct {
	lanes    []*lane
	maxBytes int32
	err      error
	remedy   string // where err is not nil
}

// usable returns the current state, or why nothing can be produced.
func (t *topic) usable() (*topicState, error) {
	state := t.state.Load()
	if state == nil {
		return nil, errUnseen
	}
	return state, state.err
}

// errUnseen is what is known of a topic before anything was seen of it.
var errUnseen = fmt.Errorf("%w: no metadata yet", event.ErrKafkaUnavailable)

// forget makes a topic as good as never seen, but for its lanes.
func (t *topic) forget() {
	if old := t.state.Load(); old != nil {
		t.state.Store(&topicState{lanes: old.lanes, maxBytes: old.maxBytes, err: errUnseen})
	}
}

// lane returns the lane of a key; a nil key takes the lanes in turn.
func (t *topic) lane(state *topicState, p Partitioner, key []byte) *lane {
	n := int32(len(state.lanes)) //nolint:gosec // Kafka counts partitions in 32 bits
	if key == nil {
		return state.lanes[t.turn.Add(1)%uint32(n)] //nolint:gosec // n is positive
	}
	return state.lanes[p.Partition(key, n)]
}

// TopicChanged takes over what a look at a topic showed. The partition count
// is pinned at the first sight of the topic and kept until restart, because
// another count would move keys to other partitions and break their order.
func (d *Deliverer) TopicChanged(seen kafka.Topic) {
	d.growing.Lock()
	defer d.growing.Unlock()
	t, ok := (*d.topics.Load())[seen.Name]
	if !ok || !t.routed.Load() {
		return
	}
	defer d.tell()
	old := t.state.Load()
	next := &topicState{maxBytes: seen.MaxMessageBytes, err: seen.Err, remedy: t.remedy(seen)}
	if old != nil {
		next.lanes = old.lanes
	}
	if seen.Err == nil {
		t.actual.Store(seen.Partitions)
		next.lanes = d.pinTo(t, seen.Partitions, next.lanes)
		if n := int32(len(next.lanes)); n > seen.Partitions { //nolint:gosec // Kafka counts partitions in 32 bits
			next.remedy = t.remedy(seen)
			next.err = fmt.Errorf("%w: %d partitions pinned, the topic has %d", event.ErrTopicUnavailable, n, seen.Partitions)
		}
	}
	t.state.Store(next)
	t.say(old, next, seen)
}

// tell wakes those who wait for a change. The caller holds growing.
func (d *Deliverer) tell() {
	close(d.news)
	d.news = make(chan struct{})
}

// pinTo returns the lanes of the pinned count, made at first sight.
func (d *Deliverer) pinTo(t *topic, actual int32, lanes []*lane) []*lane {
	if len(lanes) > 0 {
		return lanes
	}
	n := t.pin.Load()
	if n == 0 {
		n = actual
	}
	lanes = make([]*lane, n)
	for i := range lanes {
		lanes[i] = &lane{partition: int32(i)} //nolint:gosec // below n
	}
	t.pinned.Store(n)
	d.lanes.Add(int64(n))
	return lanes
}

// say writes one line for what an operator should know of the change. Who has
// asked for a topic on trial gets the answer.
func (t *topic) say(old, next *topicState, seen kafka.Topic) {
	log := t.log.With(slog.String("topic", t.name))
	if t.trial.Load() {
		log.Debug("topic on trial", slog.Any("cause", next.err))
		return
	}
	was := old != nil && old.err == nil
	switch {
	case next.err != nil && (old == nil || was || old.err.Error() != next.err.Error()):
		t.sayUnavailable(log, next.err, next.remedy)
	case next.err == nil && !was:
		t.sayAvailable(log, next)
	}
	if next.err == nil && int(seen.Partitions) > len(next.lanes) {
		t.sayGrown(log, len(next.lanes), int(seen.Partitions))
	}
}

func (t *topic) sayAvailable(log *slog.Logger, now *topicState) {
	log.Info("topic available", slog.Int("partitions", len(now.lanes)), slog.Int("max_message_bytes", int(now.maxBytes)))
}

// sayUnavailable: without a remedy it is for a moment, while the topic gets a
// new producer.
func (t *topic) sayUnavailable(log *slog.Logger, cause error, remedy string) {
	if remedy == "" {
		log.Warn("topic unavailable for a moment", slog.Any("cause", cause))
		return
	}
	log.Error("topic unavailable", slog.Any("cause", cause), slog.String("remedy", remedy))
}

// sayGrown: a topic has more partitions than are used. With a pin that is as
// somebody wants it. Without one it holds until the restart, which then moves
// keys, and there is time to prevent that.
func (t *topic) sayGrown(log *slog.Logger, pinned, actual int) {
	counts := log.With(slog.Int("pinned", pinned), slog.Int("actual", actual))
	if t.pin.Load() > 0 {
		counts.Info("topic has more partitions than kafka.partitions pins; keys keep theirs")
		return
	}
	counts.Warn("topic has more partitions than are used; the count stays pinned until restart, so that keys keep their partition",
		slog.String("remedy", fmt.Sprintf("before the next restart set kafka.partitions: {%s: %d}; without it the restart moves keys to other partitions, and the order of contacts that are alive breaks once", t.name, pinned)))
}

// remedy says what an operator can do about an unusable topic; "" where there
// is nothing to do.
func (t *topic) remedy(seen kafka.Topic) string {
	if seen.Err == nil {
		return fmt.Sprintf("set kafka.partitions for %s to %d, or give the topic its partitions back", t.name, seen.Partitions)
	}
	if !seen.Missing() {
		return seen.Remedy()
	}
	n := t.pinned.Load()
	if n == 0 {
		n = max(t.pin.Load(), 8)
	}
	return fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions %d --replication-factor 3 --config min.insync.replicas=2"+
		" (on a single broker: --replication-factor 1, without --config)", t.bootstrap, t.name, n)
}
