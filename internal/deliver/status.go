package deliver

import (
	"sort"
	"time"
)

// TopicStatus is what an operator wants to know of one topic.
type TopicStatus struct {
	Name          string
	Partitions    int32 // as last seen
	Pinned        int32
	Configured    int32 // under kafka.partitions; 0: nothing
	Records       int   // in flight
	OldestUnacked time.Duration
	Err           error  // nil: records can be produced
	Remedy        string // what can be done about Err; may be empty
}

// Status returns the state of every topic that is delivered to, or of which
// records are still in flight, by name.
func (d *Deliverer) Status() []TopicStatus {
	topics := *d.topics.Load()
	all := make([]TopicStatus, 0, len(topics))
	for _, t := range topics {
		s := TopicStatus{Name: t.name, Partitions: t.actual.Load(), Pinned: t.pinned.Load(), Configured: t.pin.Load()}
		state, err := t.usable()
		s.Err = err
		if state != nil {
			s.Records, s.OldestUnacked = inFlightOf(state.lanes)
			if err != nil {
				s.Remedy = state.remedy
			}
		}
		if t.routed.Load() || s.Records > 0 {
			all = append(all, s)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

func inFlightOf(lanes []*lane) (records int, oldest time.Duration) {
	for _, l := range lanes {
		if at, ok := l.oldest(); ok {
			oldest = max(oldest, time.Since(at))
		}
		l.mu.Lock()
		records += l.records
		l.mu.Unlock()
	}
	return records, oldest
}
