package schema

import (
	"errors"
	"sync/atomic"
	"time"

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

// refreshCounters count the looks at one subject by what came of them.
type refreshCounters struct {
	unchanged, changed, failed, rejected prometheus.Counter
}

// book is what a cache and those that replace it show together. Counters stay
// when their subject goes.
type book struct {
	current              atomic.Pointer[Cache]
	refreshes            *prometheus.CounterVec
	version, age, usable *prometheus.Desc
}

// openBook takes over the previous cache's, or registers one.
func (c *Cache) openBook(o *CacheOptions) error {
	if o.Previous != nil {
		c.book = o.Previous.book
		return nil
	}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"subject"}, nil)
	}
	c.book = &book{
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cxrelay_schema_refreshes_total",
			Help: "Looks at the latest version of a subject, by what came of them; rejected: the registry's version cannot be used.",
		}, []string{"subject", "result"}),
		version: desc("cxrelay_schema_version", "Version of the schema in use, 0 while there is none."),
		age: desc("cxrelay_schema_age_seconds",
			"Time since the registry last confirmed the schema in use as the latest, 0 while there is none."),
		usable: desc("cxrelay_schema_usable", "1 while the subject has a schema to validate with, else 0."),
	}
	if o.Registerer == nil {
		return nil
	}
	if err := o.Registerer.Register(c.book.refreshes); err != nil {
		return err
	}
	return o.Registerer.Register(c.book)
}

// counters returns the counters of a subject, those it had before if it was
// there.
func (b *book) counters(subject string) refreshCounters {
	counter := func(result string) prometheus.Counter { return b.refreshes.WithLabelValues(subject, result) }
	return refreshCounters{
		unchanged: counter("unchanged"), changed: counter("changed"), failed: counter("error"), rejected: counter("rejected"),
	}
}

// Describe implements prometheus.Collector.
func (b *book) Describe(ch chan<- *prometheus.Desc) {
	ch <- b.version
	ch <- b.age
	ch <- b.usable
}

// Collect implements prometheus.Collector. It reads the states at scrape time,
// so that version, age and usable of one subject always belong together.
func (b *book) Collect(ch chan<- prometheus.Metric) {
	c := b.current.Load()
	if c == nil {
		return // scraped while it is made
	}
	for _, e := range c.order {
		var version, age, usable float64
		if now := e.state.Load(); now.schema != nil {
			version, usable = float64(now.schema.Version), 1
			age = time.Since(now.confirmed).Seconds()
		}
		ch <- prometheus.MustNewConstMetric(b.version, prometheus.GaugeValue, version, e.subject)
		ch <- prometheus.MustNewConstMetric(b.age, prometheus.GaugeValue, age, e.subject)
		ch <- prometheus.MustNewConstMetric(b.usable, prometheus.GaugeValue, usable, e.subject)
	}
}
