package storm

import (
	"context"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
)

// Goals are what a storm goes on for when its length is over. How much a
// machine can do in a time is not known before; how much a run must have
// shown is.
type Goals struct {
	Events int           // that came into being
	Kills  int           // of the relay
	Most   time.Duration // of the storm, whatever is reached by then; needed if there is a goal
}

// There is load for so long before the first fault, and when no fault begins
// any more.
const (
	front = 3 * time.Second
	tail  = 8 * time.Second
)

// last lets the storm blow as long as it must: it closes calm when no fault
// may begin any more, and returns when no event may.
func (s *storm) last(ctx context.Context, calm chan<- struct{}) {
	began := time.Now()
	pace.Wait(ctx, s.Length-tail)
	for !s.reached() && time.Since(began) < s.Goals.Most-tail && pace.Wait(ctx, 100*time.Millisecond) {
		continue
	}
	close(calm)
	pace.Wait(ctx, min(s.Length, tail))
}

// reached tells whether the goals are.
func (s *storm) reached() bool {
	return s.stats.Events.Load() >= int64(s.Goals.Events) && s.kills.Load() >= int64(s.Goals.Kills)
}
