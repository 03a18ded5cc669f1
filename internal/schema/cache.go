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

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// DefaultRefreshEvery is the mean time between two looks at one subject.
const DefaultRefreshEvery = time.Minute

// Source gives the versions of a subject; Client is one.
type Source interface {
	Latest(ctx context.Context, subject string) (Definition, error)
	Version(ctx context.Context, subject string, version int) (Definition, error)
}

// Fixed stands for schemas where there are none: all pins are usable at once
// and nothing is fetched.
type Fixed struct {
	State State // Remote or Off
	// Validator makes the validator of one subject.
	Validator func(subject string) Validator
}

// Unchecked is the Fixed of a relay that validates nothing.
func Unchecked() *Fixed {
	return &Fixed{State: Off, Validator: func(string) Validator { return unchecked{} }}
}

// unchecked takes everything.
type unchecked struct{}

func (unchecked) Check(doc *jsontape.Doc, _ []byte) ([]byte, []Violation, error) {
	return doc.Raw(), nil, nil
}

// CacheOptions sets up a Cache. Source and Compile are needed, or Fixed.
type CacheOptions struct {
	Source  Source
	Pins    []Pin    // what the routes use; repetitions are taken once
	Compile Compiler // called by one goroutine per pin at a time
	Fixed   *Fixed   // nil: schemas are fetched, and applied here
	// RefreshEvery is the mean time between refreshes of one subject; each
	// wait is drawn anew within ±20 %, so that relays do not fall in step.
	RefreshEvery time.Duration
	// MaxAge is how long the latest version is used without the registry
	// confirming it; 0 for no limit. A pinned version never changes, and so
	// does not age.
	MaxAge time.Duration
	// Snapshots keeps the schemas for a start without the registry; nil for
	// none.
	Snapshots *Snapshots
	// Previous is a cache that this one is to replace: it hands on the
	// schemas and counts of the pins that both have, and its place in the
	// metrics when the new one runs. Registerer is not used then. May be nil.
	Previous *Cache
	// Elsewhere: Source is another registry than that of Previous. Then what
	// was handed on is asked for again, pinned versions too: their ids may
	// be others here.
	Elsewhere  bool
	Log        *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: no metrics
	// Rand gives the jitter, in [0,1), and must be safe for concurrent use;
	// nil for math/rand/v2.
	Rand func() float64
}

// Cache holds the last good schema of each of its pins and keeps those of the
// latest versions fresh while Run runs. Safe for concurrent use.
type Cache struct {
	opts    CacheOptions
	latest  map[string]*entry // by subject; never changes
	pinned  map[Pin]*entry    // never changes
	order   []*entry          // as configured
	book    *book
	running atomic.Bool

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every swap
}

// NewCache makes a cache in which nothing is loaded yet, but what it has from
// a previous one; Run loads the rest.
func NewCache(o CacheOptions) (*Cache, error) {
	if o.Fixed == nil && (o.Source == nil || o.Compile == nil) {
		return nil, errors.New("schema cache: no source or no compiler")
	}
	o.applyDefaults()
	c := &Cache{
		opts:    o,
		latest:  make(map[string]*entry, len(o.Pins)),
		pinned:  make(map[Pin]*entry, len(o.Pins)),
		changed: make(chan struct{}),
	}
	if err := c.openBook(); err != nil {
		return nil, fmt.Errorf("schema cache: %w", err)
	}
	for _, pin := range o.Pins {
		if err := checkSubject(pin.Subject); err != nil {
			return nil, fmt.Errorf("schema cache: %w", err)
		}
		if c.find(pin) == nil {
			c.add(newEntry(pin, c))
		}
	}
	if o.Previous == nil {
		c.book.current.Store(c)
	}
	c.opts.Previous = nil // it has handed on what it had; a chain of them would stay for ever
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
	o.Pins = slices.Clone(o.Pins)
}

func (c *Cache) add(e *entry) {
	if e.pin.Version == 0 {
		c.latest[e.pin.Subject] = e
	} else {
		c.pinned[e.pin] = e
	}
	c.order = append(c.order, e)
	if p := c.opts.Previous; p != nil {
		if old := p.find(e.pin); old != nil {
			e.inherit(old)
		}
	}
}

func (c *Cache) find(p Pin) *entry {
	if p.Version == 0 {
		return c.latest[p.Subject]
	}
	return c.pinned[p]
}

// Run loads everything at once and then looks at each latest version from time
// to time, until ctx is done. It returns nil when all its goroutines have
// ended, and an error only when it is running already. A cache with a Previous
// takes over its metrics at the beginning; the previous one should be ended then.
func (c *Cache) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("schema cache: already running")
	}
	defer c.running.Store(false)
	c.book.current.Store(c)
	if s := c.opts.Snapshots; s != nil && c.opts.Fixed == nil {
		if err := s.probe(); err != nil {
			c.book.unsaved.Add(1)
			c.opts.Log.Warn("schema snapshots cannot be written: a start without the registry will find none, or old ones", "error", err)
		}
	}
	var all sync.WaitGroup
	for _, e := range c.order {
		all.Go(func() { e.run(ctx) })
	}
	all.Wait()
	<-ctx.Done() // with nothing left to look at it goes on
	return nil
}

// Load asks once for each of the pins that has nothing usable yet, and returns
// why the first of them has nothing afterwards. It is for a cache that does not
// run yet: a reload makes sure of what is new before it takes it over.
func (c *Cache) Load(ctx context.Context, pins []Pin) error {
	for _, p := range pins {
		if e := c.find(p); e != nil && c.opts.Fixed == nil {
			e.restore()
			if _, err := e.state.Load().current(); err != nil {
				e.refresh(ctx)
			}
		}
		if _, err := c.Lookup(p.Subject, p.Version); err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return nil
}

// Confirm asks once for each pin that was given by another registry, as far as
// ctx lets it; Run asks again for the rest. Like Load it is for a cache that
// does not run yet.
func (c *Cache) Confirm(ctx context.Context) {
	for _, e := range c.order {
		if e.state.Load().doubted && ctx.Err() == nil {
			e.refresh(ctx)
		}
	}
}

// CatchUp takes over what the cache that c replaces has learned since c was
// made. It is for the moment before c replaces it: an event that was right a
// moment ago must not be judged by the version before.
func (c *Cache) CatchUp(old *Cache) {
	for _, e := range c.order {
		was := old.find(e.pin)
		if was != nil && !c.opts.Elsewhere && was.state.Load().confirmed.After(e.state.Load().confirmed) {
			e.inherit(was)
		}
	}
}

// Lookup returns the schema for a subject and a version, 0 for the latest. It
// never does I/O and never blocks, and it allocates nothing for a pin of the
// cache. The error wraps ErrUnavailable, and nothing else, and its text says
// why there is none.
func (c *Cache) Lookup(subject string, version int) (*Schema, error) {
	e := c.find(Pin{subject, version})
	if e == nil {
		return nil, &unavailableError{Pin{subject, version}, "the subject is not configured"}
	}
	return e.state.Load().current()
}

// Usable tells whether at least one pin has a schema, or none is needed.
func (c *Cache) Usable() bool {
	for _, e := range c.order {
		if _, err := e.state.Load().current(); err == nil {
			return true
		}
	}
	return len(c.order) == 0
}

// Answered tells whether the registry answered the last time that it was
// asked about each pin; it is true where nobody is asked.
func (c *Cache) Answered() bool {
	for _, e := range c.order {
		if s := e.status(); s.LastError != "" || s.State == Loading || s.State == Restored {
			return false
		}
	}
	return true
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

// Subjects returns the status of all pins, in the configured order.
func (c *Cache) Subjects() []Status {
	all := make([]Status, 0, len(c.order))
	for _, e := range c.order {
		all = append(all, e.status())
	}
	return all
}

// Entries returns the pins of a subject, with their texts.
func (c *Cache) Entries(subject string) []Entry {
	all := []Entry{}
	for _, e := range c.order {
		if e.pin.Subject == subject {
			def := e.state.Load().def
			all = append(all, Entry{Status: e.status(), Text: def.Text, References: def.References})
		}
	}
	return all
}
