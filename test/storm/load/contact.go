package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// Pauses between two attempts: doubled, and anything from zero to that.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// contact sends the events of one contact.
type contact struct {
	load    *load
	name    string
	waits   bool
	stamped bool
	tries   int // 0: until it is accepted or refused for good

	mu     sync.Mutex
	random *rand.Rand
	queue  []plan
	busy   bool // somebody works the queue off
	beside int  // events under way of a contact that does not wait
}

func newContact(l *load, i int) *contact {
	c := &contact{load: l, name: fmt.Sprintf("c-%d", i), random: rand.New(rand.NewPCG(l.o.Seed, uint64(i)+2))} //nolint:gosec // a schedule, no secret
	c.waits = c.random.Float64() < l.o.Habits.Waits
	if c.random.Float64() < l.o.Habits.GivesUp {
		c.tries = max(1, l.o.Habits.Tries)
	}
	c.stamped = c.random.Float64() < l.o.Stamped.Share
	return c
}

func (c *contact) chance(share float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Float64() < share
}

// offer gives the contact something to send, unless it has too much.
func (c *contact) offer(ctx context.Context, p plan) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) >= longestQueue {
		return false
	}
	if c.waits {
		c.queue = append(c.queue, p)
		if !c.busy {
			c.busy = true
			c.load.under.Go(func() { c.work(ctx) })
		}
		return true
	}
	if c.beside >= mostBeside {
		return false
	}
	c.beside++
	c.load.under.Go(func() {
		c.send(ctx, p)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.beside--
	})
	return true
}

// work sends one event after the other.
func (c *contact) work(ctx context.Context) {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.busy = false
			c.mu.Unlock()
			return
		}
		p := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		c.send(ctx, p)
	}
}

// send brings an event into being and sends it until it is accepted, refused
// for good or given up.
func (c *contact) send(ctx context.Context, p plan) {
	if !c.load.slot(ctx) {
		return
	}
	e := c.load.born(c.name, c.stamped, p)
	c.load.free()
	var repeats sync.WaitGroup
	if p.repeat && p.beside {
		repeats.Go(func() { c.load.attempt(ctx, e, false) })
	}
	accepted := c.insist(ctx, e)
	if p.repeat && !p.beside && accepted {
		c.load.attempt(ctx, e, false)
	}
	repeats.Wait()
}

func (c *contact) insist(ctx context.Context, e *event) (accepted bool) {
	for n, pause := 1, firstPause; ; n, pause = n+1, min(2*pause, longestPause) {
		a := c.load.attempt(ctx, e, c.chance(c.load.o.Habits.Disconnect))
		switch {
		case a.Status >= 200 && a.Status < 300:
			c.load.stats.Accepted.Add(1)
			return true
		case a.Status >= 400 && a.Status < 500 && a.Reason != "body_incomplete":
			return false
		case c.tries > 0 && n >= c.tries:
			c.load.stats.GivenUp.Add(1)
			return false
		}
		c.mu.Lock()
		d := time.Duration(c.random.Int64N(int64(pause)))
		c.mu.Unlock()
		if !pace.Wait(ctx, d) {
			return false
		}
	}
}

// attempt sends an event once, and hangs up when it is written if it must.
func (l *load) attempt(ctx context.Context, e *event, hangUp bool) journal.Answer {
	if !l.slot(ctx) {
		return journal.Answer{}
	}
	defer l.free()
	n := int(e.attempts.Add(1)) - 1
	urls := l.o.URLs
	if e.stamped {
		urls = l.o.Stamped.URLs
	}
	url := urls[l.turn.Add(1)%uint64(len(urls))]
	l.stats.Attempts.Add(1)
	l.o.Journal.Send(e.Number, n, time.Now())
	a := l.post(ctx, url, e, hangUp)
	l.o.Journal.Answer(e.Number, n, time.Now(), a)
	return a
}

// slot waits for a connection; it returns false when ctx has ended.
func (l *load) slot(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case l.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *load) free() { <-l.slots }
