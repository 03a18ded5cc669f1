package gateway

import (
	"errors"
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
	duration [][reason.Count]prometheus.Observer // by source index
	stage    [stages]prometheus.Observer
	matches  map[*Source][]prometheus.Counter // by secret index
	panics   prometheus.Counter
	last     map[string]*atomic.Int64 // unix milliseconds, by route pattern
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
	m := &metrics{matches: map[*Source][]prometheus.Counter{}, last: map[string]*atomic.Int64{}}
	names := []string{sourceNone}
	for _, s := range o.Sources {
		names = append(names, s.Name)
	}

	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "cxrelay_http_request_duration_seconds",
		Help:    "Time from the request's header to the decided answer, by source and reason.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"source", "reason"})
	for i, name := range names {
		var row [reason.Count]prometheus.Observer
		for _, r := range reason.All() {
			if possible(i, r) {
				row[r] = durations.WithLabelValues(name, r.String())
			}
		}
		m.duration = append(m.duration, row)
	}

	stageVec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "cxrelay_stage_duration_seconds",
		Help:    "Time spent in one stage of the path: read, verify, parse, validate, deliver.",
		Buckets: []float64{1e-6, 5e-6, 2.5e-5, 1e-4, 5e-4, 2.5e-3, .01, .05, .25, 1, 5},
	}, []string{"stage"})
	for s := range stages {
		m.stage[s] = stageVec.WithLabelValues(s.String())
	}

	matches := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cxrelay_signature_matches_total",
		Help: "Verified requests, by source and by the id of the secret that matched.",
	}, []string{"source", "secret"})
	for _, s := range o.Sources {
		for _, id := range s.Verifier.Secrets() {
			m.matches[s] = append(m.matches[s], matches.WithLabelValues(s.Name, id))
		}
	}

	m.panics = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "cxrelay_panics_total",
		Help: "Panics while an event was decided, which is answered internal, or shown to who watches; each one is a bug.",
	})

	m.last[typeOther] = new(atomic.Int64)
	for _, r := range o.Routes.Routes() {
		m.last[r.Pattern] = new(atomic.Int64)
	}
	for _, c := range []prometheus.Collector{durations, stageVec, matches, m.panics, newLedgerCollector(o.Ledger, names), &lastSeen{m.last}} {
		if err := o.Registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// answered observes one verdict.
func (m *metrics) answered(source int, v *Verdict) {
	if h := m.duration[source][v.Reason]; h != nil {
		h.Observe(v.Elapsed.Seconds())
	}
	var p *panicError
	if v.Reason == reason.Internal && errors.As(v.Cause, &p) {
		m.panics.Inc()
	}
}

func (m *metrics) matched(s *Source, secret int) { m.matches[s][secret].Inc() }

// seen notes when a signed event of a type last arrived.
func (m *metrics) seen(rt *route.Route, at time.Time) {
	pattern := typeOther
	if rt != nil {
		pattern = rt.Pattern
	}
	m.last[pattern].Store(at.UnixMilli())
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

// lastSeen exports the arrival times.
type lastSeen struct{ at map[string]*atomic.Int64 }

var lastSeenDesc = prometheus.NewDesc("cxrelay_last_event_timestamp_seconds",
	"Unix time at which the last signed event of a type arrived, 0 before the first; types without a route count as other.",
	[]string{"type"}, nil)

func (l *lastSeen) Describe(ch chan<- *prometheus.Desc) { ch <- lastSeenDesc }

func (l *lastSeen) Collect(ch chan<- prometheus.Metric) {
	for pattern, at := range l.at {
		ch <- prometheus.MustNewConstMetric(lastSeenDesc, prometheus.GaugeValue, float64(at.Load())/1000, pattern)
	}
}
