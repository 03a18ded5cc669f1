package deliver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of delivery. Counts of records are the ledger's, in package gateway.
type metrics struct {
	d        *Deliverer
	seed     prometheus.Histogram
	latency  *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	inFlight *inFlight
}

// ackBuckets reach from a local broker to the longest that a client keeps trying.
var ackBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics(d *Deliverer) *metrics {
	return &metrics{
		d: d,
		seed: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "cxone_kafka_delivery_latency_seconds",
			Help:    "Time taken from acceptance into the producer to the broker's acknowledgement.",
			Buckets: prometheus.DefBuckets,
		}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cxrelay_ack_latency_seconds",
			Help:    "Time from acceptance into the producer to the broker's acknowledgement, by topic.",
			Buckets: ackBuckets,
		}, []string{"topic"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cxrelay_bulkhead_refusals_total",
			Help: "Records not produced because their partition's oldest record or its share of the bounds said no, by topic.",
		}, []string{"topic"}),
		inFlight: &inFlight{d: d},
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.seed, m.latency, m.refused, m.inFlight} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// topicMetrics are the series of one topic.
type topicMetrics struct {
	seed, latency prometheus.Observer
	refused       prometheus.Counter
}

func (m *metrics) topic(name string) *topicMetrics {
	return &topicMetrics{seed: m.seed, latency: m.latency.WithLabelValues(name), refused: m.refused.WithLabelValues(name)}
}

// settled observes a record's latency. Failures have none.
func (m *topicMetrics) settled(took time.Duration, err error) {
	if err == nil {
		m.seed.Observe(took.Seconds())
		m.latency.Observe(took.Seconds())
	}
}

// inFlight exports gauges that are computed at scrape time.
type inFlight struct{ d *Deliverer }

var (
	oldestDesc = prometheus.NewDesc("cxrelay_oldest_unacked_seconds",
		"Age of the oldest record that is produced and not settled, by topic; 0 when there is none.", []string{"topic"}, nil)
	pinnedDesc = prometheus.NewDesc("cxrelay_topic_partitions_pinned",
		"Partitions that keys are spread over, by topic; 0 before the topic was seen. Put it under kafka.partitions before a restart when cxrelay_topic_partitions is larger and cxrelay_topic_partitions_configured is 0.", []string{"topic"}, nil)
	configuredDesc = prometheus.NewDesc("cxrelay_topic_partitions_configured",
		"Partitions of the topic under kafka.partitions, by topic; 0: none, so that a restart takes what the topic has then.", []string{"topic"}, nil)
	actualDesc = prometheus.NewDesc("cxrelay_topic_partitions",
		"Partitions that the topic has, by topic; 0 before the topic was seen.", []string{"topic"}, nil)
	usableDesc = prometheus.NewDesc("cxrelay_topic_usable",
		"1 while records of the topic can be produced, else 0.", []string{"topic"}, nil)
	bytesDesc = prometheus.NewDesc("cxrelay_record_bytes_in_flight",
		"Bytes of memory that the records not settled yet hold.", nil, nil)
)

func (f *inFlight) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{oldestDesc, pinnedDesc, configuredDesc, actualDesc, usableDesc, bytesDesc} {
		ch <- d
	}
}

func (f *inFlight) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range f.d.Status() {
		gauge(oldestDesc, s.OldestUnacked.Seconds(), s.Name)
		gauge(pinnedDesc, float64(s.Pinned), s.Name)
		gauge(configuredDesc, float64(s.Configured), s.Name)
		gauge(actualDesc, float64(s.Partitions), s.Name)
		usable := 0.0
		if s.Err == nil {
			usable = 1
		}
		gauge(usableDesc, usable, s.Name)
	}
	gauge(bytesDesc, float64(f.d.bytes.Load()))
}
