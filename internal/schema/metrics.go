package schema

import (
	"errors"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Results of one request to the registry: the values of a label.
const (
	resultOK        = "ok"
	resultNotFound  = "not_found"
	resultThrottled = "throttled"
	resultError     = "error"
)

func requestResult(err error) string {
	switch {
	case err == nil:
		return resultOK
	case errors.Is(err, ErrNotFound):
		return resultNotFound
	case errors.Is(err, ErrThrottled):
		return resultThrottled
	}
	return resultError
}

func newRequestDuration(reg prometheus.Registerer) (*prometheus.HistogramVec, error) {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "cxrelay_schema_registry_request_duration_seconds",
		Help:    "Time from sending a request to the schema registry until its answer was read, by result.",
		Buckets: prometheus.DefBuckets,
	}, []string{"result"})
	for _, result := range []string{resultOK, resultNotFound, resultThrottled, resultError} {
		h.WithLabelValues(result)
	}
	if reg == nil {
		return h, nil
	}
	err := reg.Register(h)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		if shared, ok := twice.ExistingCollector.(*prometheus.HistogramVec); ok {
			return shared, nil // of the client that this one replaces
		}
	}
	return h, err
}

// refreshCounts are the looks at one pin, by what came of them.
type refreshCounts struct {
	unchanged, changed, failed, rejected atomic.Uint64
}

// book is what a cache and those that replace it show together.
type book struct {
	current        atomic.Pointer[Cache]
	saved, unsaved atomic.Uint64 // snapshots

	version, age, usable, refreshes, snapshots *prometheus.Desc
}

// openBook takes over the previous cache's, or registers one.
func (c *Cache) openBook() error {
	if c.opts.Previous != nil {
		c.book = c.opts.Previous.book
		return nil
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	c.book = &book{
		version: desc("cxrelay_schema_version", "Version of the last good schema, 0 while there is none.", "subject", "pin"),
		age: desc("cxrelay_schema_age_seconds",
			"Time since the registry last confirmed the last good schema, also before this start; 0 while there is none, and for a pinned version that was confirmed: it never changes.", "subject", "pin"),
		usable: desc("cxrelay_schema_usable", "1 while there is a schema to validate with, or none is needed, else 0.", "subject", "pin"),
		refreshes: desc("cxrelay_schema_refreshes_total",
			"Looks at a subject in the registry, by what came of them; rejected: the registry's version cannot be used.", "subject", "pin", "result"),
		snapshots: desc("cxrelay_schema_snapshot_writes_total", "Attempts to keep a schema in schema.snapshot_dir, by result.", "result"),
	}
	if c.opts.Registerer == nil {
		return nil
	}
	return c.opts.Registerer.Register(c.book)
}

// Describe implements prometheus.Collector.
func (b *book) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{b.version, b.age, b.usable, b.refreshes, b.snapshots} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It reads the states at scrape time,
// so that version, age and usable of one pin always belong together.
func (b *book) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(b.snapshots, prometheus.CounterValue, float64(b.saved.Load()), "ok")
	ch <- prometheus.MustNewConstMetric(b.snapshots, prometheus.CounterValue, float64(b.unsaved.Load()), "error")
	c := b.current.Load()
	if c == nil {
		return // scraped while it is made
	}
	for _, e := range c.order {
		now := e.state.Load()
		var usable float64
		if _, err := now.current(); err == nil {
			usable = 1
		}
		gauge := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, e.pin.Subject, e.pin.label())
		}
		gauge(b.version, float64(now.def.Version))
		gauge(b.age, now.age(e.pin))
		gauge(b.usable, usable)
		count := func(result string, n *atomic.Uint64) {
			ch <- prometheus.MustNewConstMetric(b.refreshes, prometheus.CounterValue, float64(n.Load()), e.pin.Subject, e.pin.label(), result)
		}
		count("unchanged", &e.counts.unchanged)
		count("changed", &e.counts.changed)
		count("error", &e.counts.failed)
		count("rejected", &e.counts.rejected)
	}
}
