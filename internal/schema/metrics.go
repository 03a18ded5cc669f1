package schema

import (
	"errors"
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
	return h, reg.Register(h)
}

// refreshCounters count the looks at one subject by what came of them.
type refreshCounters struct {
	unchanged, changed, failed, rejected prometheus.Counter
}

func newRefreshCounters(subject string) refreshCounters {
	counter := func(result string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Name:        "cxrelay_schema_refreshes_total",
			Help:        "Looks at the latest version of a subject, by what came of them; rejected: the registry's version cannot be used.",
			ConstLabels: prometheus.Labels{"subject": subject, "result": result},
		})
	}
	return refreshCounters{
		unchanged: counter("unchanged"),
		changed:   counter("changed"),
		failed:    counter("error"),
		rejected:  counter("rejected"),
	}
}

// collector reads the subjects' states at scrape time, so that version, age
// and usable of one subject always belong together.
type collector struct {
	entries              []*entry
	version, age, usable *prometheus.Desc
}

func (c *Cache) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"subject"}, nil)
	}
	return reg.Register(&collector{
		entries: c.order,
		version: desc("cxrelay_schema_version", "Version of the schema in use, 0 while there is none."),
		age: desc("cxrelay_schema_age_seconds",
			"Time since the registry last confirmed the schema in use as the latest, 0 while there is none."),
		usable: desc("cxrelay_schema_usable", "1 while the subject has a schema to validate with, else 0."),
	})
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.version
	ch <- c.age
	ch <- c.usable
	for _, e := range c.entries {
		for _, counter := range e.counts.all() {
			counter.Describe(ch)
		}
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, e := range c.entries {
		var version, age, usable float64
		if now := e.state.Load(); now.schema != nil {
			version, usable = float64(now.schema.Version), 1
			age = time.Since(now.confirmed).Seconds()
		}
		ch <- prometheus.MustNewConstMetric(c.version, prometheus.GaugeValue, version, e.subject)
		ch <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, age, e.subject)
		ch <- prometheus.MustNewConstMetric(c.usable, prometheus.GaugeValue, usable, e.subject)
		for _, counter := range e.counts.all() {
			ch <- counter
		}
	}
}

func (r *refreshCounters) all() []prometheus.Counter {
	return []prometheus.Counter{r.unchanged, r.changed, r.failed, r.rejected}
}
