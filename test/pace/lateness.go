package pace

import (
	"context"
	"slices"
	"time"
)

// Lateness is how late timers of this program fired: what the machine, and
// not the relay, adds to every time that is measured here.
type Lateness struct{ P999, Max time.Duration }

// Watch measures lateness until the returned function is called, which
// returns it.
func Watch(ctx context.Context) (stop func() Lateness) {
	const period = 5 * time.Millisecond
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan Lateness, 1)
	go func() {
		var late []time.Duration
		for due := time.Now().Add(period); Wait(ctx, time.Until(due)); due = time.Now().Add(period) {
			late = append(late, max(time.Since(due), 0))
		}
		result <- lateness(late)
	}()
	return func() Lateness {
		cancel()
		return <-result
	}
}

func lateness(late []time.Duration) Lateness {
	if len(late) == 0 {
		return Lateness{}
	}
	slices.Sort(late)
	return Lateness{P999: late[min(len(late)*999/1000, len(late)-1)], Max: late[len(late)-1]}
}
