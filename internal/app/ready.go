package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cxrelay/cxrelay/internal/admin"
	"github.com/cxrelay/cxrelay/internal/kafka"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// Hysteresis of readiness.
const (
	downAfter   = 10 * time.Second        // without an answer of any broker
	upAfter     = 3 * time.Second         // of answers in a row
	contactEdge = 3500 * time.Millisecond // a ping every second, 2 s each at most, and some slack
	lookEvery   = 250 * time.Millisecond
)

// readiness follows the dependencies and says whether events should be sent here.
type readiness struct {
	a *App

	mu       sync.Mutex
	draining bool
	kafka    contact
	was      *bool // the last readiness that was logged
}

// contact is the hysteresis of one dependency: down after downAfter without
// an answer, up again after answers that span upAfter without a gap.
type contact struct {
	up    bool      // what is reported
	since time.Time // first answer of the unbroken run; zero when there is none
	began time.Time // when watching began
}

// see takes a look, given when the dependency last answered. It returns
// whether the reported state changed.
func (c *contact) see(last, now time.Time) (changed bool) {
	if c.began.IsZero() {
		c.began = now
	}
	switch heard := !last.IsZero() && now.Sub(last) < contactEdge; {
	case !heard:
		c.since = time.Time{}
	case c.since.IsZero():
		c.since = last
	}
	was := c.up
	starting := now.Sub(c.began) < downAfter // there is nothing to be careful about yet
	switch {
	case !c.up && !c.since.IsZero() && (starting || last.Sub(c.since) >= upAfter):
		c.up = true
	case c.up && now.Sub(last) > downAfter:
		c.up = false
	}
	return was != c.up
}

func newReadiness(a *App) *readiness { return &readiness{a: a} }

// run looks until ctx ends, and logs every change.
func (r *readiness) run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	told := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			r.look(now)
			if !told && now.Sub(r.a.started) > 2*time.Second {
				told = true
				r.sayMissing()
			}
		}
	}
}

func (r *readiness) look(now time.Time) {
	last := r.a.kafka.Contact()
	r.mu.Lock()
	changed := r.kafka.see(last, now)
	up := r.kafka.up
	r.mu.Unlock()
	if changed {
		r.sayKafka(up)
	}
	r.sayReady(r.Readiness())
}

func (r *readiness) sayKafka(up bool) {
	if up {
		r.a.log.Info("kafka reachable")
		return
	}
	r.a.log.Error("kafka unreachable", slog.Any("brokers", r.a.config.Load().Kafka.Brokers), slog.Time("last_contact", r.a.kafka.Contact()),
		slog.Any("problems", faultsOf(r.a.kafka.Problems())))
}

func (r *readiness) sayReady(now admin.Readiness) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining || r.was != nil && *r.was == now.Ready {
		return // stopping is said by stop
	}
	if r.was == nil && !now.Ready {
		return // starting; sayMissing speaks if that takes long
	}
	r.was = &now.Ready
	if now.Ready {
		r.a.log.Info("ready", slog.Any("degraded", now.Degraded))
		return
	}
	r.a.log.Warn("not ready", slog.Any("missing", now.Missing))
}

// then is a remedy behind what it is for.
func then(remedy string) string {
	if remedy == "" {
		return ""
	}
	return "; remedy: " + remedy
}

// sayMissing tells, once, what a slow start waits for.
func (r *readiness) sayMissing() {
	if now := r.Readiness(); !now.Ready && !r.isDraining() {
		r.a.log.Warn("started, but not ready: events are answered 503 until this is there", slog.Any("missing", now.Missing))
	}
}

func (r *readiness) isDraining() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.draining
}

// drain makes the relay not ready for good.
func (r *readiness) drain() {
	r.mu.Lock()
	r.draining = true
	r.mu.Unlock()
}

// faultsOf says what is wrong and what to do, in one line each; mere notices
// are left out.
func faultsOf(problems []kafka.Problem) []string {
	var faults []string
	for _, p := range problems {
		if !p.Notice {
			faults = append(faults, p.String())
		}
	}
	return faults
}

// Readiness implements admin.Health.
func (r *readiness) Readiness() admin.Readiness {
	r.mu.Lock()
	draining, kafkaUp := r.draining, r.kafka.up
	r.mu.Unlock()
	out := admin.Readiness{Missing: []string{}, Degraded: []string{}}
	miss := func(format string, args ...any) { out.Missing = append(out.Missing, fmt.Sprintf(format, args...)) }
	degrade := func(format string, args ...any) { out.Degraded = append(out.Degraded, fmt.Sprintf(format, args...)) }

	if draining {
		miss("draining: the relay is stopping")
	}
	say := miss
	if kafkaUp || !r.a.config.Load().Admin.ReadyOnKafka {
		say = degrade
	}
	if !kafkaUp {
		say("kafka: no broker of %v answers", r.a.config.Load().Kafka.Brokers)
	}
	for _, fault := range faultsOf(r.a.kafka.Problems()) {
		say("kafka: %s", fault)
	}
	if r.a.inspection.holds() {
		miss("kafka: the inspection at the start has not passed yet, which kafka.strict demands")
	}
	known := false
	topics := r.a.deliverer.Status()
	for _, t := range topics {
		known = known || t.Partitions > 0
		if t.Err != nil {
			degrade("topic %s: %v%s", t.Name, t.Err, then(t.Remedy))
		}
	}
	if !known && len(topics) > 0 {
		miss("kafka: no metadata of any routed topic yet")
	}
	for _, s := range r.a.schemas.cache().Subjects() {
		if problem := s.Problem(); problem != "" {
			degrade("subject %s: %s", schema.Pin{Subject: s.Subject, Version: s.Pinned}, problem)
		}
	}
	if !r.a.schemas.cache().Usable() {
		miss("schema registry: no routed subject has a usable schema yet")
	}
	if why := r.a.reloader.outcome.refusal(); why != "" {
		degrade("configuration: the last reload was refused, the one before it is running: %s", why)
	}
	out.Ready = len(out.Missing) == 0
	return out
}
