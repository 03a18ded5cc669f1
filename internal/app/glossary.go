package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/cxrelay/cxrelay/internal/config"
)

// Metric is what a relay says of one of its metrics.
type Metric struct {
	Name, Kind, Help string
	Group            string // a heading of docs/metrics.md; empty for those of Go and of the process
	Question         string // that the metrics of the group answer; empty where Group is
	Labels           []Label
}

// Label is one label of a metric. Meaning or Values may be empty.
type Label struct {
	Name    string
	Meaning string   // where the values come from the configuration or the build
	Values  []string // else all of them
}

// group is some metrics and the question that they answer. A metric belongs to
// the first group of which it has a prefix.
type group struct {
	title, question string
	prefixes        []string
}

var metricGroups = []group{
	{"Kept from the first program", "does an alert or a chart that was made for the first program still work?", []string{"cxone_"}},
	{"Ledger: events", "what did senders hear, and is every request answered?", []string{"cxrelay_events_"}},
	{"Ledger: records", "did Kafka acknowledge every record, and what is still unknown?", []string{"cxrelay_records_produced", "cxrelay_records_acked", "cxrelay_records_failed", "cxrelay_records_pending", "cxrelay_late_acks"}},
	{"Requests", "what arrives, how long does an answer take, and is a bound near?", []string{"cxrelay_http_", "cxrelay_clients_gone", "cxrelay_body_bytes", "cxrelay_stage_", "cxrelay_signature_", "cxrelay_last_event_", "cxrelay_panics"}},
	{"Delivery", "is Kafka slow, is a topic unusable, and do keys keep their partitions?", []string{"cxrelay_ack_latency", "cxrelay_oldest_unacked", "cxrelay_record_bytes", "cxrelay_bulkhead_", "cxrelay_topic_"}},
	{"Schemas", "which schema judges the events, and since when has nobody confirmed it?", []string{"cxrelay_schema_"}},
	{"Configuration", "did the last reload work, and do all relays run the same file?", []string{"cxrelay_config_"}},
	{"The relay itself", "does this relay take events, and do Kafka and the registry answer?", []string{"cxrelay_ready", "cxrelay_dependency_up", "cxrelay_build_info"}},
}

// openLabels have their values from the configuration or the build, or are
// explained elsewhere. Those of all others are listed.
var openLabels = map[string]string{
	"source": "name of the source, `none` where there is none", "reason": "one of the reasons of docs/answers.md",
	"topic": "topics of the routes", "subject": "subjects of the routes", "type": "types of the routes as written there, `other`",
	"secret": "id of the secret that matched", "pin": "`latest`, or the version that a route names",
	"version": "", "commit": "", "go": "",
}

// Metrics returns what a relay exports, in the order of the groups, then by
// name. It builds a relay that reaches nobody and never runs, and asks that.
func Metrics() ([]Metric, error) {
	cfg, _, err := config.Load(config.Source{Env: []string{
		"CXRELAY_INSTANCE=none", "KAFKA_BROKERS=kafka.invalid:9092", "SCHEMA_REGISTRY_URL=http://registry.invalid", "CXONE_WEBHOOK_SECRET=none",
	}})
	if err != nil {
		return nil, fmt.Errorf("the configuration that there is without a file: %w", err)
	}
	a, err := New(Options{
		Config: cfg, Level: new(slog.LevelVar), Log: slog.New(slog.DiscardHandler), SkipInspection: true,
		Network: Network{
			Listen:    func(string, string) (net.Listener, error) { return deaf{}, nil },
			DialKafka: func(context.Context, string, string) (net.Conn, error) { return nil, errDeaf },
		},
	})
	if err != nil {
		return nil, err
	}
	defer a.schemas.close()
	defer a.kafka.Close()
	families, err := a.metrics.Gather()
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	all := make([]Metric, 0, len(families))
	for _, f := range families {
		m := newMetric(f.GetName(), f.GetType().String(), f.GetHelp())
		for _, series := range f.GetMetric() {
			for _, pair := range series.GetLabel() {
				m.add(pair.GetName(), pair.GetValue())
			}
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(x, y Metric) int { return rank(x.Group) - rank(y.Group) })
	return all, nil
}

var errDeaf = errors.New("this relay reaches nobody")

// deaf is a listener that nothing comes to.
type deaf struct{}

func (deaf) Accept() (net.Conn, error) { return nil, errDeaf }
func (deaf) Close() error              { return nil }
func (deaf) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func newMetric(name, kind, help string) Metric {
	m := Metric{Name: name, Kind: strings.ToLower(kind), Help: help}
	for _, g := range metricGroups {
		if slices.ContainsFunc(g.prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			m.Group, m.Question = g.title, g.question
			break
		}
	}
	return m
}

// add notes one value of a label.
func (m *Metric) add(name, value string) {
	i, known := slices.BinarySearchFunc(m.Labels, name, func(l Label, name string) int { return strings.Compare(l.Name, name) })
	meaning, isOpen := openLabels[name]
	if !known {
		m.Labels = slices.Insert(m.Labels, i, Label{Name: name, Meaning: meaning})
	}
	if l := &m.Labels[i]; !isOpen {
		if at, dup := slices.BinarySearch(l.Values, value); !dup {
			l.Values = slices.Insert(l.Values, at, value)
		}
	}
}

// rank orders groups as they are written down; what has none comes last.
func rank(title string) int {
	if i := slices.IndexFunc(metricGroups, func(g group) bool { return g.title == title }); i >= 0 {
		return i
	}
	return len(metricGroups)
}
