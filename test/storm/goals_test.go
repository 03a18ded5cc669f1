package storm

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/chaos"
)

// TestGoals: a storm blows for its length, and on until its goals are
// reached, but no longer than it may.
func TestGoals(t *testing.T) {
	const length, most = time.Minute, 2 * time.Minute
	for name, c := range map[string]struct {
		goals  Goals
		events int64 // a second
		kills  int64 // a minute
		calm   time.Duration
		end    time.Duration
	}{
		"no goals":                 {Goals{}, 10, 0, length - tail, length},
		"reached in its length":    {Goals{Events: 500, Kills: 1, Most: most}, 10, 2, length - tail, length},
		"events take longer":       {Goals{Events: 900, Most: most}, 10, 0, 90 * time.Second, 90*time.Second + tail},
		"kills take longer":        {Goals{Events: 10, Kills: 3, Most: most}, 10, 2, 90 * time.Second, 90*time.Second + tail},
		"never reached":            {Goals{Events: 1_000_000, Most: most}, 10, 0, most - tail, most},
		"kills only, none happens": {Goals{Kills: 1, Most: most}, 10, 0, most - tail, most},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &storm{Options: Options{Length: length, Goals: c.goals}}
				began := time.Now()
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go func() {
					tick := time.NewTicker(time.Second)
					defer tick.Stop()
					for n := int64(1); ; n++ {
						select {
						case <-ctx.Done():
							return
						case <-tick.C:
							s.stats.Events.Add(c.events)
							s.kills.Store(n * c.kills / 60)
						}
					}
				}()
				calm := make(chan struct{})
				var calmed time.Duration
				watched := make(chan struct{})
				go func() { <-calm; calmed = time.Since(began); close(watched) }()
				s.last(ctx, calm)
				<-watched
				const step = 200 * time.Millisecond
				if end := time.Since(began); calmed < c.calm || calmed > c.calm+step || end < c.end || end > c.end+step {
					t.Errorf("calm after %s, end after %s, want %s and %s", calmed, end, c.calm, c.end)
				}
			})
		})
	}
}

// noFaults is a cluster that is always well.
type noFaults struct{}

func (noFaults) Brokers() []string { return nil }
func (noFaults) Forgetful() bool   { return false }
func (noFaults) Faults() []chaos.Fault {
	return []chaos.Fault{{Name: "the brokers hang"}, {Name: "leaders move"}}
}

func TestChosen(t *testing.T) {
	const hang, both = "the brokers hang", "the relay is killed while the brokers hang"
	for name, c := range map[string]struct {
		only, often []string
		want        map[string]int // of these, how often each is dealt
	}{
		"all":                    {nil, nil, map[string]int{hang: 1, both: 1, "leaders move": 1, "the relay is killed": 1}},
		"one by its whole name":  {[]string{hang}, nil, map[string]int{hang: 1, both: 0, "leaders move": 0}},
		"all that hold a word":   {[]string{"hang"}, nil, map[string]int{hang: 1, both: 1, "leaders move": 0}},
		"one three times more":   {nil, []string{hang, hang, hang}, map[string]int{hang: 4, both: 1}},
		"one that nobody has":    {[]string{"nothing of that"}, nil, map[string]int{hang: 0, both: 0}},
		"more often, not chosen": {[]string{"leaders move"}, []string{hang}, map[string]int{hang: 0, "leaders move": 1}},
	} {
		s := &storm{Options: Options{Kafka: noFaults{}, Only: c.only, Often: c.often}}
		got := map[string]int{}
		for _, f := range s.chosen() {
			got[f.Name]++
		}
		for fault, n := range c.want {
			if got[fault] != n {
				t.Errorf("%s: %q is dealt %d times, want %d", name, fault, got[fault], n)
			}
		}
	}
}
