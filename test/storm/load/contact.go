package load

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// contact sends the events of one contact.
type contact struct {
	load    *load
	name    string
	lanes   int // events under way, at most, while others queue; 0: those beside one another do not queue
	tries   int // 0: until it is accepted or refused for good
	stamped bool

	mu     sync.Mutex
	random *rand.Rand
	queue  []plan
	busy   int // lanes on which somebody works the queue off
	beside int // events under way of a contact that does not wait
}

func newContact(l *load, i int) *contact {
	c := &contact{load: l, name: fmt.Sprintf("%s-%d", cmp.Or(l.o.Name, "c"), i), random: rand.New(rand.NewPCG(l.o.Seed, uint64(i)+2))} //nolint:gosec // a schedule, no secret
	if c.lanes = l.o.Habits.Beside; c.random.Float64() < l.o.Habits.Waits {
		c.lanes = 1
	}
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
	if len(c.queue) >= cmp.Or(c.load.o.Habits.Queue, longestQueue) {
		return false
	}
	if c.lanes > 0 {
		c.queue = append(c.queue, p)
		if c.busy < c.lanes {
			c.busy++
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
			c.busy--
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
	e := c.load.born(journal.Event{Contact: c.name, Type: p.kind.Name, Topic: p.kind.Topic}, p, nil, c.stamped)
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

func (c *contact) insist(ctx context.Context, e *Event) (accepted bool) {
	answer, over := c.load.insist(ctx, e, c.tries, c.part, func() bool { return c.chance(c.load.o.Habits.Disconnect) })
	switch {
	case answer.Status >= 200 && answer.Status < 300:
		return true
	case over:
		c.load.stats.GivenUp.Add(1)
	}
	return false
}

// part is some of a pause.
func (c *contact) part(pause time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.random.Int64N(int64(pause)))
}

// insist sends an event until it is accepted, refused for good, or has been
// sent so many times (0: without end), which is told; or ctx ends.
func (l *load) insist(ctx context.Context, e *Event, tries int, part func(time.Duration) time.Duration, hangsUp func() bool) (a journal.Answer, tooOften bool) {
	pauses := l.o.Habits.pauses()
	for n, pause := 1, pauses.First; ; n, pause = n+1, min(2*pause, pauses.Longest) {
		a = l.attempt(ctx, e, hangsUp())
		switch {
		case a.Status >= 200 && a.Status < 300:
			l.stats.Accepted.Add(1)
			return a, false
		case a.Status >= 400 && a.Status < 500 && a.Reason != "body_incomplete":
			return a, false
		case tries > 0 && n >= tries:
			return a, true
		}
		wait := pause
		if !pauses.Steady {
			wait = part(pause)
		}
		if !pace.Wait(ctx, wait) {
			return a, false
		}
	}
}

// attempt sends an event once, and hangs up when it is written if it must.
func (l *load) attempt(ctx context.Context, e *Event, hangUp bool) journal.Answer {
	if !l.slot(ctx) {
		return journal.Answer{}
	}
	defer l.free()
	n := int(e.attempts.Add(1)) - 1
	url := l.next(e)
	l.stats.Attempts.Add(1)
	l.o.Journal.Send(e.Number, n, time.Now())
	a := l.post(ctx, url, e, hangUp)
	l.o.Journal.Answer(e.Number, n, time.Now(), a)
	return a
}

// next returns the relay whose turn it is.
func (l *load) next(e *Event) string {
	urls := l.o.URLs
	if e.stamped {
		urls = l.o.Stamped.URLs
	}
	if len(urls) == 1 {
		return urls[0]
	}
	turn, _ := l.turns.LoadOrStore(e.Type+" "+e.Contact, new(atomic.Uint64))
	return urls[turn.(*atomic.Uint64).Add(1)%uint64(len(urls))]
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
