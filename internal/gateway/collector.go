package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/reason"
)

// ledgerCollector exports the ledger from one snapshot per scrape, so that
// the sums hold in every single scrape.
type ledgerCollector struct {
	ledger *Ledger

	received, events, inFlight                *prometheus.Desc
	produced, acked, failed, pending, lateAck *prometheus.Desc
	seedPending, seedAcked, seedErrors        *prometheus.Desc
}

func newLedgerCollector(l *Ledger) *ledgerCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &ledgerCollector{
		ledger:      l,
		received:    desc("cxrelay_events_received_total", "Requests counted at intake; equals the sum of cxrelay_events_total plus cxrelay_events_in_flight."),
		events:      desc("cxrelay_events_total", "Answers, by source and reason.", "source", "reason"),
		inFlight:    desc("cxrelay_events_in_flight", "Requests not answered yet."),
		produced:    desc("cxrelay_records_produced_total", "Records handed to the Kafka client; equals acked plus failed plus pending."),
		acked:       desc("cxrelay_records_acked_total", "Records acknowledged by all in-sync replicas; equals events accepted plus late acks."),
		failed:      desc("cxrelay_records_failed_total", "Records given up after they were produced: no acknowledgement will come."),
		pending:     desc("cxrelay_records_pending", "Records produced and neither acknowledged nor failed yet."),
		lateAck:     desc("cxrelay_late_acks_total", "Records acknowledged after their event was answered delivery_timeout."),
		seedPending: desc("cxone_kafka_producer_pending", "Number of messages pending delivery in the Kafka producer."),
		seedAcked:   desc("cxone_kafka_deliveries_total", "Total number of successfully delivered messages."),
		seedErrors:  desc("cxone_kafka_delivery_errors_total", "Total number of events answered delivery_timeout, kafka_unavailable or topic_unavailable, and of events whose record failed for good otherwise."),
	}
}

// Describe implements prometheus.Collector.
func (c *ledgerCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.received, c.events, c.inFlight, c.produced, c.acked, c.failed, c.pending, c.lateAck, c.seedPending, c.seedAcked, c.seedErrors} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *ledgerCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.ledger.Snapshot()
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	counter(c.received, s.Received)
	gauge(c.inFlight, s.InFlight)
	for i, name := range s.Sources {
		for _, r := range reason.All() {
			if s.Events[i][r] > 0 || possible(i, r) { // what is counted is shown: the sum must hold
				counter(c.events, s.Events[i][r], name, r.String())
			}
		}
	}
	counter(c.produced, s.Produced)
	counter(c.acked, s.Acked)
	counter(c.failed, s.Failed)
	gauge(c.pending, s.Pending)
	counter(c.lateAck, s.LateAcks)
	gauge(c.seedPending, s.Pending)
	counter(c.seedAcked, s.Acked)
	counter(c.seedErrors, s.DeliveryErrors)
}
