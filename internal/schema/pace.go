package schema

import (
	"context"
	"sync"
	"time"
)

// pacer lets requestsPerSecond requests pass in any second, the first ones at
// once. The zero value is ready. Safe for concurrent use.
type pacer struct {
	mu   sync.Mutex
	sent [requestsPerSecond]time.Time // a ring: the last requests' times
	next int
}

// wait blocks until the caller may send, in the order of the calls. A caller
// that gives up has used its turn.
func (p *pacer) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	turn := p.sent[p.next].Add(time.Second)
	if turn.Before(now) {
		turn = now
	}
	p.sent[p.next] = turn
	p.next = (p.next + 1) % len(p.sent)
	p.mu.Unlock()
	return sleep(ctx, turn.Sub(now))
}

// sleep waits for d or until ctx is done, and then says so.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
