package schema

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// DefaultRefreshEvery is the mean time between two looks at one subject.
const DefaultRefreshEvery = time.Minute

// Source gives the newest version of a subject; Client is one.
type Source interface {
	Latest(ctx context.Context, subject string) (Definition, error)
}

// CacheOptions sets up a Cache. Source and Compile are needed.
type CacheOptions struct {
	Source   Source
	Subjects []string // what the routes use; repetitions are taken once
	Compile  Compiler // called by one goroutine per subject at a time
	// RefreshEvery is the mean time between refreshes of one subject; each
	// wait is drawn anew within ±20 %, so that relays do not fall in step.
	RefreshEvery time.Duration
	Log          *slog.Logger          // nil: silent
	Registerer   prometheus.Registerer // nil: no metrics
	// Rand gives the jitter, in [0,1), and must be safe for concurrent use;
	// nil for math/rand/v2.
	Rand func() float64
}

// Cache holds the last good schema of each of its subjects and keeps it fresh
// while Run runs. Safe for concurrent use.
type Cache struct {
	entries map[string]*entry // never changes
	order   []*entry          // as configured
	running atomic.Bool

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every swap
}

// NewCache makes a cache in which nothing is loaded yet; Run loads it.
func NewCache(o CacheOptions) (*Cache, error) {
	if o.Source == nil || o.Compile == nil {
		return nil, errors.New("schema cache: no source or no compiler")
	}
	o.applyDefaults()
	c := &Cache{
		entries: make(map[string]*entry, len(o.Subjects)),
		changed: make(chan struct{}),
	}
	for _, subject := range o.Subjects {
		if err := checkSubject(subject); err != nil {
			return nil, fmt.Errorf("schema cache: %w", err)
		}
		if c.entries[subject] != nil {
			continue
		}
		e := newEntry(subject, &o, c.signal)
		c.entries[subject] = e
		c.order = append(c.order, e)
	}
	if err := c.register(o.Registerer); err != nil {
		return nil, fmt.Errorf("schema cache: %w", err)
	}
	return c, nil
}

func (o *CacheOptions) applyDefaults() {
	if o.RefreshEvery <= 0 {
		o.RefreshEvery = DefaultRefreshEvery
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	o.Subjects = slices.Clone(o.Subjects)
}

// Run loads all subjects at once and then looks at each of them from time to
// time, until ctx is done. It returns nil when all its goroutines have ended,
// and an error only when it is running already.
func (c *Cache) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("schema cache: already running")
	}
	defer c.running.Store(false)
	var all sync.WaitGroup
	for _, e := range c.order {
		all.Go(func() { e.run(ctx) })
	}
	all.Wait()
	<-ctx.Done() // a table without subjects has nothing to do, but goes on
	return nil
}

// Lookup returns the current schema of a subject. It never does I/O and never
// blocks, and it allocates nothing for a subject of the cache. The error wraps
// ErrUnavailable, and nothing else, and its text says why there is none.
func (c *Cache) Lookup(subject string) (*Schema, error) {
	e := c.entries[subject]
	if e == nil {
		return nil, &unavailableError{subject, "the subject is not configured"}
	}
	now := e.state.Load()
	if now.schema == nil {
		return nil, now.unavailable
	}
	return now.schema, nil
}

// Usable tells whether at least one subject has a schema, or none is needed.
func (c *Cache) Usable() bool {
	for _, e := range c.order {
		if e.state.Load().schema != nil {
			return true
		}
	}
	return len(c.order) == 0
}

// Changed returns a channel that is closed when the next schema is taken over.
// Take the channel before looking at the cache, so that no change is missed.
func (c *Cache) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *Cache) signal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Status is what the cache knows about one subject. While Usable is false,
// Version and ID are 0; the times are zero before the first success.
type Status struct {
	Subject     string    `json:"subject"`
	Usable      bool      `json:"usable"`
	Version     int       `json:"version,omitempty"`
	ID          int       `json:"id,omitempty"`
	FetchedAt   time.Time `json:"fetchedAt,omitzero"`   // when this version was taken over
	LastSuccess time.Time `json:"lastSuccess,omitzero"` // when the registry last confirmed it as the latest
	LastError   string    `json:"lastError,omitempty"`  // why the last look failed; empty when it did not
}

// Subjects returns the status of all subjects, in the configured order.
func (c *Cache) Subjects() []Status {
	all := make([]Status, 0, len(c.order))
	for _, e := range c.order {
		all = append(all, e.status())
	}
	return all
}
