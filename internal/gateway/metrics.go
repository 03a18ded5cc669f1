package gateway

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/route"
)

// sourceNone is the source label of requests that belong to no source.
const sourceNone = "none"

// typeOther is the type label of signed events that no route names.
const typeOther = "other"

type stage int

const (
	stageRead stage = iota
	stageVerify
	stageParse
	stageValidate
	stageDeliver
	stages
)

func (s stage) String() string {
	return [stages]string{"read", "verify", "parse", "validate", "deliver"}[s]
}

type metrics struct {
	duration *prometheus.HistogramVec
	stage    [stages]prometheus.Observer
	matches  *prometheus.CounterVec
	panics   prometheus.Counter
	last     *lastSeen
}

// possible tells whether a reason can occur for a source index: a request that
// belongs to no source is not found before anything else is asked, or meets a bug.
func possible(source int, r reason.Reason) bool {
	switch r {
	case reason.NotFound:
		return source == 0
	case reason.Internal:
		return true
	default:
		return source != 0
	}
}

func newMetrics(o Options) (*metrics, error) {
	m := &metrics{last: &lastSeen{at: map[string]*atomic.Int64{}}}
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "cxrelay_http_request_duration_seconds",
		Help:    "Time from the request's header to the decided answer, by source and reason.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"source", "reason"})

	stageVec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "cxrelay_stage_duration_seconds",
		Help:    "Time spent in one stage of the path: read, verify, parse, validate, deliver.",
		Buckets: []float64{1e-6, 5e-6, 2.5e-5, 1e-4, 5e-4, 2.5e-3, .01, .05, .25, 1, 5},
	}, []string{"stage"})
	for s := range stages {
		m.stage[s] = stageVec.WithLabelValues(s.String())
	}

	m.matches = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cxrelay_signature_matches_total",
		Help: "Verified requests, by source and by the id of the secret that matched.",
	}, []string{"source", "secret"})

	m.panics = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "cxrelay_panics_total",
		Help: "Panics while an event was decided, which is answered internal, or shown to who watches; each one is a bug.",
	})

	for _, c := range []prometheus.Collector{m.duration, stageVec, m.matches, m.panics, newLedgerCollector(o.Ledger), m.last} {
		if err := o.Registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// seated gives the rules their counters, new ones where a name is new. Then
// all series exist at zero before the first request needs them.
func (m *metrics) seated(r Rules, l *Ledger) *ruleset {
	out := &ruleset{table: r.Routes, schemas: r.Schemas, seen: map[string]*atomic.Int64{}, other: m.last.of(typeOther), none: m.seat(nil, sourceNone, l)}
	for _, s := range r.Sources {
		out.seats = append(out.seats, m.seat(s, s.Name, l))
	}
	for _, rt := range r.Routes.Routes() {
		out.seen[rt.Pattern] = m.last.of(rt.Pattern)
	}
	return out
}

func (m *metrics) seat(source *Source, name string, l *Ledger) *seat {
	s := &seat{source: source, row: l.row(name)}
	for _, r := range reason.All() {
		if possible(s.row, r) {
			s.duration[r] = m.duration.WithLabelValues(name, r.String())
		}
	}
	if source == nil {
		return s
	}
	for _, id := range source.Verifier.Secrets() {
		s.matches = append(s.matches, m.matches.WithLabelValues(name, id))
	}
	return s
}

// answered observes one verdict.
func (m *metrics) answered(s *seat, v *Verdict) {
	if h := s.duration[v.Reason]; h != nil {
		h.Observe(v.Elapsed.Seconds())
	}
	var p *panicError
	if v.Reason == reason.Internal && errors.As(v.Cause, &p) {
		m.panics.Inc()
	}
}

// arrived notes when a signed event of a type last arrived.
func (r *ruleset) arrived(rt *route.Route, at time.Time) {
	last := r.other
	if rt != nil {
		last = r.seen[rt.Pattern]
	}
	last.Store(at.UnixMilli())
}

// clock measures the stages of one delivery.
type clock struct {
	m    *metrics
	last time.Time
}

func (m *metrics) clock(d *Delivery) *clock {
	m.stage[stageRead].Observe(d.ReadAt.Sub(d.ReceivedAt).Seconds())
	return &clock{m: m, last: time.Now()}
}

func (c *clock) done(s stage) {
	now := time.Now()
	c.m.stage[s].Observe(now.Sub(c.last).Seconds())
	c.last = now
}

// lastSeen exports the arrival times, of every pattern that ever was in the
// table.
type lastSeen struct {
	mu sync.Mutex
	at map[string]*atomic.Int64 // unix milliseconds, by route pattern
}

// of returns the place of a pattern, a new one for a new pattern.
func (l *lastSeen) of(pattern string) *atomic.Int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at[pattern] == nil {
		l.at[pattern] = new(atomic.Int64)
	}
	return l.at[pattern]
}

var lastSeenDesc = prometheus.NewDesc("cxrelay_last_event_timestamp_seconds",
	"Unix time at which the last signed event of a type arrived, 0 before the first; types without a route count as other.",
	[]string{"type"}, nil)

func (l *lastSeen) Describe(ch chan<- *prometheus.Desc) { ch <- lastSeenDesc }

func (l *lastSeen) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for pattern, at := range l.at {
		ch <- prometheus.MustNewConstMetric(lastSeenDesc, prometheus.GaugeValue, float64(at.Load())/1000, pattern)
	}
}
