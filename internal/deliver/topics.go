package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"maps"

	"github.com/cxrelay/cxrelay/internal/event"
)

// SetLimits changes the bounds for records that come from now on. What is in
// flight stays.
func (d *Deliverer) SetLimits(l Limits) { d.limits.Store(&l) }

// Add makes topics deliverable, each pinned as pins say, and returns those of
// which nothing was ever seen: they count for new, also where they had a route
// before. They are on trial until Keep. Until TopicChanged has
// told of a topic its records are refused. A topic that was delivered to before
// goes on where it was: its partitions stay pinned and its sequences go on, as
// the start id in their records is the same; what was known of its state counts
// for nothing. Topics that are added already stay as they are.
func (d *Deliverer) Add(topics []string, pins map[string]int32) (fresh []string) {
	d.growing.Lock()
	defer d.growing.Unlock()
	all := maps.Clone(*d.topics.Load())
	for _, name := range topics {
		t := all[name]
		switch {
		case t != nil && t.routed.Load():
			continue
		case t == nil || t.pinned.Load() == 0:
			t = &topic{name: name, metrics: d.metrics.topic(name), log: d.opts.Log, bootstrap: d.opts.Bootstrap}
			t.pin.Store(pins[name])
			all[name], fresh = t, append(fresh, name)
		default:
			t.pin.Store(pins[name])
			t.forget()
			d.lanes.Add(int64(t.pinned.Load()))
		}
		t.routed.Store(true)
		t.trial.Store(true)
	}
	d.topics.Store(&all)
	return fresh
}

// Forget undoes an Add: fresh is what it returned, and no event was ever routed
// to those topics. Their partitions may be pinned anew.
func (d *Deliverer) Forget(fresh []string) {
	d.growing.Lock()
	defer d.growing.Unlock()
	all := maps.Clone(*d.topics.Load())
	for _, name := range fresh {
		if t := all[name]; t != nil && t.routed.Load() {
			d.lanes.Add(-int64(t.pinned.Load()))
		}
		delete(all, name)
	}
	d.topics.Store(&all)
}

// Retain ends the delivery to all topics but these: they are not looked after
// any more and leave the status when nothing of theirs is in flight. Records
// on their way to them are still taken.
func (d *Deliverer) Retain(topics []string) {
	d.growing.Lock()
	defer d.growing.Unlock()
	keep := make(map[string]bool, len(topics))
	for _, name := range topics {
		keep[name] = true
	}
	for name, t := range *d.topics.Load() {
		if !keep[name] && t.routed.Swap(false) {
			d.lanes.Add(-int64(t.pinned.Load())) // the others share its part of the bounds
		}
	}
}

// Pinned returns the partitions that a topic is pinned to until the relay
// ends; 0 if it was never seen.
func (d *Deliverer) Pinned(topic string) int32 {
	if t := (*d.topics.Load())[topic]; t != nil {
		return t.pinned.Load()
	}
	return 0
}

// Keep takes over the configuration by which topics were added, and its pins:
// until then they are on trial, and nothing is logged of them but at level
// debug. It changes nothing of where records go: the count in use was fixed
// when a topic was first seen.
func (d *Deliverer) Keep(topics []string, pins map[string]int32) {
	d.growing.Lock()
	defer d.growing.Unlock()
	for _, name := range topics {
		t := (*d.topics.Load())[name]
		if t == nil {
			continue
		}
		t.pin.Store(pins[name])
		if state := t.state.Load(); t.trial.Swap(false) && state != nil && state.err == nil {
			t.sayAvailable(t.log.With(slog.String("topic", name)), state)
		}
	}
}

// UnusableError is a topic that records cannot be produced to.
type UnusableError struct {
	Topic  string
	Remedy string // what to do, where it is known; then the topic never can be used as it is
	Err    error  // names the topic
}

// Error gives the cause and the remedy.
func (e *UnusableError) Error() string {
	if e.Remedy == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + "; remedy: " + e.Remedy
}

// Unwrap gives the cause.
func (e *UnusableError) Unwrap() error { return e.Err }

// Await returns nil when records can be produced to all of the topics. It
// returns an *UnusableError at once if one of them cannot be used as it is, and
// otherwise when ctx ends, with what was missing.
func (d *Deliverer) Await(ctx context.Context, topics []string) error {
	for {
		news := d.changed()
		missing, final := d.missing(topics)
		if missing == nil {
			return nil
		}
		if final {
			return missing
		}
		select {
		case <-news:
		case <-ctx.Done():
			missing.Err = fmt.Errorf("%w (%w)", missing.Err, ctx.Err())
			return missing
		}
	}
}

// missing returns the first thing that keeps one of the topics from being
// produced to, or nil, and whether it stays so for good.
func (d *Deliverer) missing(topics []string) (missing *UnusableError, final bool) {
	for _, name := range topics {
		t := (*d.topics.Load())[name]
		if t == nil {
			return &UnusableError{Topic: name, Err: fmt.Errorf("topic %s: %w: not a routed topic", name, event.ErrTopicUnavailable)}, true
		}
		state, err := t.usable()
		if err == nil {
			continue
		}
		missing = &UnusableError{Topic: name, Err: fmt.Errorf("topic %s: %w", name, err)}
		if state != nil {
			missing.Remedy = state.remedy
		}
		return missing, missing.Remedy != ""
	}
	return nil, false
}

// changed returns a channel that is closed at the next change of any topic.
func (d *Deliverer) changed() <-chan struct{} {
	d.growing.Lock()
	defer d.growing.Unlock()
	return d.news
}
