package schema

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	refreshSpread = 0.2 // ± this part of RefreshEvery
	firstBackoff  = time.Second
	maxBackoff    = 30 * time.Second
	// urgentBackoff bounds the back-off while events are refused for want of
	// any schema and the registry is away: it is used at once when it returns.
	urgentBackoff = 2 * time.Second
	// minBackoff keeps full jitter from drawing no wait at all.
	minBackoff = 100 * time.Millisecond
)

// entry looks after one pin. Only the goroutine in run writes to it, which
// makes every refresh a single flight; anyone may load the state.
type entry struct {
	pin    Pin
	opts   *CacheOptions
	log    *slog.Logger
	signal func()
	book   *book
	counts *refreshCounts
	state  atomic.Pointer[state]

	// Owned by run.
	failures int        // in a row
	trouble  trouble    // what was logged last, until it is over
	since    time.Time  // when it began
	refused  Definition // the last one refused, so that it is compiled once
	refusal  error
	keeper   keeper
}

// trouble is a failure as the log tells failures apart: one line each time it
// changes, not one for each attempt.
type trouble struct {
	kind   troubleKind
	detail string
}

type troubleKind uint8

const (
	fine     troubleKind = iota
	away                 // no verdict about the subject: no answer, throttled, garbage
	notFound             // the registry does not know it
	refused              // the registry's version cannot be used
)

func newEntry(pin Pin, c *Cache) *entry {
	e := &entry{
		pin:    pin,
		opts:   &c.opts,
		log:    c.opts.Log.With("subject", pin.Subject),
		signal: c.signal,
		book:   c.book,
		counts: c.book.of(pin),
	}
	if pin.Version > 0 {
		e.log = e.log.With("pinned", pin.Version)
	}
	if f := c.opts.Fixed; f != nil {
		e.state.Store(&state{schema: &Schema{Subject: pin.Subject, Validator: f.Validator(pin.Subject), FetchedAt: time.Now()}})
	} else {
		e.state.Store(&state{unavailable: &unavailableError{pin, "not loaded yet"}})
	}
	return e
}

// inherit takes over what a previous cache knows of the pin.
func (e *entry) inherit(old *entry) {
	was := old.state.Load()
	if e.opts.Fixed != nil || old.opts.Fixed != nil {
		return
	}
	next := *was
	if was.schema != nil {
		e.limit(&next)
		next.doubted = was.doubted || e.opts.Elsewhere
	}
	e.state.Store(&next)
}

func (e *entry) run(ctx context.Context) {
	if e.opts.Fixed != nil {
		return
	}
	e.restore()
	for !e.settled() {
		wait := e.refresh(ctx)
		if e.settled() || sleep(ctx, wait) != nil {
			return
		}
	}
}

// settled tells that there is nothing more to ask: a version never changes.
func (e *entry) settled() bool {
	now := e.state.Load()
	return e.pin.Version > 0 && now.schema != nil && !now.restored && !now.doubted
}

// refresh looks at the subject once and returns how long to wait for the next
// look.
func (e *entry) refresh(ctx context.Context) time.Duration {
	def, err := e.fetch(ctx)
	if ctx.Err() != nil {
		return 0
	}
	if err == nil {
		err = e.take(def)
	}
	if err != nil {
		return e.fail(err)
	}
	e.recovered()
	e.failures = 0
	return e.untilRefresh()
}

func (e *entry) fetch(ctx context.Context) (Definition, error) {
	if e.pin.Version == 0 {
		return e.opts.Source.Latest(ctx, e.pin.Subject)
	}
	return e.opts.Source.Version(ctx, e.pin.Subject, e.pin.Version)
}

// take makes def the current schema, unless it is already.
func (e *entry) take(def Definition) error {
	old := e.state.Load()
	now := time.Now()
	if old.schema != nil && same(old.def, def) {
		e.put(&state{schema: old.schema, def: old.def, confirmed: now})
		e.counts.unchanged.Add(1)
		e.keep(old.def, now)
		return nil
	}
	if e.refusal != nil && same(e.refused, def) {
		return e.refusal
	}
	validator, err := compile(e.opts.Compile, def)
	if err != nil {
		e.refused, e.refusal = def, err
		return err
	}
	e.put(&state{schema: e.made(def, validator), def: def, confirmed: now})
	e.refused, e.refusal = Definition{}, nil
	e.counts.changed.Add(1)
	e.logTaken(old.schema, def)
	e.signal()
	e.keep(def, now)
	return nil
}

func (e *entry) made(def Definition, v Validator) *Schema {
	return &Schema{Subject: e.pin.Subject, Version: def.Version, ID: def.ID, Validator: v, FetchedAt: time.Now()}
}

// put replaces the state by one that has a schema.
func (e *entry) put(s *state) {
	e.limit(s)
	e.state.Store(s)
}

// limit sets until when a schema may be used.
func (e *entry) limit(s *state) {
	s.until = time.Time{}
	if e.opts.MaxAge <= 0 || e.pin.Version > 0 {
		return
	}
	s.until = s.confirmed.Add(e.opts.MaxAge)
	s.unavailable = &unavailableError{e.pin, fmt.Sprintf("nobody has confirmed version %d since %s, which is longer than schema.max_age (%s) ago",
		s.def.Version, s.confirmed.UTC().Format(time.RFC3339), e.opts.MaxAge)}
}

// compile turns every failure of the engine, panics included, into a
// *RefusedError: what someone registers must not end the relay.
func compile(c Compiler, def Definition) (v Validator, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, refusal(def, fmt.Errorf("the engine panicked: %v", p))
		}
	}()
	if v, err = c(def); err != nil {
		return nil, refusal(def, err)
	}
	return v, nil
}

func refusal(def Definition, err error) error {
	var chosen *RefusedError
	if errors.As(err, &chosen) {
		return err
	}
	return &RefusedError{Version: def.Version, ID: def.ID, Reason: "schema does not compile", Err: err}
}

// same compares more than ids: a registry that lost its storage, or a subject
// deleted for good and made anew, hands out the same ids for other texts.
func same(a, b Definition) bool {
	return a.ID == b.ID && a.Version == b.Version && a.Type == b.Type && a.Text == b.Text &&
		maps.Equal(a.References, b.References)
}

// fail keeps what there is, notes why, and returns how long to wait.
func (e *entry) fail(err error) time.Duration {
	e.failures++
	old := e.state.Load()
	next := *old
	next.lastError = err.Error()
	if old.schema == nil {
		next.unavailable = &unavailableError{e.pin, next.lastError}
	}
	e.state.Store(&next)

	t := classify(err)
	if t.kind == refused {
		e.counts.rejected.Add(1)
	} else {
		e.counts.failed.Add(1)
	}
	e.logTrouble(t, err, old.schema)
	if t.kind == refused && old.schema != nil {
		e.failures = 0
		return e.untilRefresh() // the registry is well; the next version may be too
	}
	return e.untilRetry(err, old.schema != nil)
}

func classify(err error) trouble {
	var no *RefusedError
	switch {
	case errors.As(err, &no):
		return trouble{refused, err.Error()}
	case errors.Is(err, ErrNotFound):
		return trouble{kind: notFound}
	}
	return trouble{kind: away}
}

func (e *entry) untilRefresh() time.Duration {
	factor := 1 - refreshSpread + 2*refreshSpread*e.opts.Rand()
	return time.Duration(factor * float64(e.opts.RefreshEvery))
}

// untilRetry is exponential back-off with full jitter, on top of what the
// registry asked for.
func (e *entry) untilRetry(err error, usable bool) time.Duration {
	var status *StatusError
	if errors.As(err, &status) && status.RetryAfter > 0 {
		return status.RetryAfter + e.jitter(firstBackoff)
	}
	ceiling := maxBackoff
	if !usable && !answered(err) {
		ceiling = urgentBackoff
	}
	backoff := firstBackoff
	for range e.failures - 1 {
		if backoff *= 2; backoff >= ceiling {
			backoff = ceiling
			break
		}
	}
	return max(minBackoff, e.jitter(backoff))
}

func (e *entry) jitter(d time.Duration) time.Duration {
	return time.Duration(e.opts.Rand() * float64(d))
}

// answered tells whether the registry itself said no: then it is there, and
// asking it often helps nobody.
func answered(err error) bool {
	var no *RefusedError
	var status *StatusError
	return errors.As(err, &no) ||
		errors.As(err, &status) && status.Status >= 400 && status.Status < http.StatusInternalServerError
}

func (e *entry) logTaken(old *Schema, def Definition) {
	if old == nil {
		e.log.Info("schema loaded", "version", def.Version, "id", def.ID)
		return
	}
	e.log.Info("schema changed", "version", def.Version, "id", def.ID,
		"old_version", old.Version, "old_id", old.ID)
}

func (e *entry) logTrouble(t trouble, err error, kept *Schema) {
	if t == e.trouble {
		return
	}
	if e.trouble.kind == fine {
		e.since = time.Now()
	}
	e.trouble = t
	switch {
	case kept == nil:
		e.log.Error("schema not available", "error", err, "remedy", "look at the registry, or register a schema that can be used: it is found by itself")
	case t.kind == refused:
		e.log.Error("schema refused, the last good version stays", "version", kept.Version, "id", kept.ID, "error", err)
	default:
		e.log.Warn("schema not refreshed, the last good version stays", "version", kept.Version, "id", kept.ID, "error", err)
	}
}

func (e *entry) recovered() {
	if e.trouble.kind == fine {
		return
	}
	e.trouble = trouble{}
	e.log.Info("schema refreshed again", "after", time.Since(e.since).Round(time.Millisecond))
}
