package app

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/kafka"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// status is the body of /api/v1/status.
type status struct {
	Instance  string          `json:"instance"`
	Version   string          `json:"version"`
	Started   time.Time       `json:"started"`
	Uptime    float64         `json:"uptimeSeconds"`
	Ready     bool            `json:"ready"`
	Missing   []string        `json:"missing"`
	Degraded  []string        `json:"degraded"`
	Events    eventStatus     `json:"events"`
	Records   recordStatus    `json:"records"`
	Kafka     kafkaStatus     `json:"kafka"`
	Schemas   string          `json:"schemaMode"`
	Subjects  []schema.Status `json:"subjects"`
	BodyBytes int64           `json:"bodyBytesInFlight"`
	Reload    reloadStatus    `json:"reload"`
}

type eventStatus struct {
	Received uint64            `json:"received"`
	InFlight int64             `json:"inFlight"`
	Answers  map[string]uint64 `json:"answers"` // by reason; zeros left out
}

type recordStatus struct {
	Produced uint64 `json:"produced"`
	Acked    uint64 `json:"acked"`
	Failed   uint64 `json:"failed"`
	Pending  int64  `json:"pending"`
	LateAcks uint64 `json:"lateAcks"`
}

type kafkaStatus struct {
	Brokers     []string      `json:"brokers"`
	LastContact time.Time     `json:"lastContact,omitzero"`
	Security    string        `json:"security"`
	Problems    []problem     `json:"problems"`
	Topics      []topicStatus `json:"topics"`

	// Findings of the look at the start; empty until then.
	Findings []findingStatus `json:"findings"`
}

// problem is one kind of fault that keeps the relay from brokers.
type problem struct {
	What    string    `json:"what"`
	Remedy  string    `json:"remedy"`
	Brokers []string  `json:"brokers,omitempty"`
	Since   time.Time `json:"since"`
	Cause   string    `json:"cause"`
	Notice  bool      `json:"notice,omitempty"` // costs nothing by itself
}

func problemsOf(all []kafka.Problem) []problem {
	out := make([]problem, 0, len(all))
	for _, p := range all {
		out = append(out, problem(p))
	}
	return out
}

type topicStatus struct {
	Name          string  `json:"name"`
	Usable        bool    `json:"usable"`
	Problem       string  `json:"problem,omitempty"`
	Remedy        string  `json:"remedy,omitempty"`
	Partitions    int32   `json:"partitions"`
	Pinned        int32   `json:"pinned"`
	InFlight      int     `json:"inFlight"`
	OldestUnacked float64 `json:"oldestUnackedSeconds"`
}

func (a *App) status() status {
	ready := a.ready.Readiness()
	books := a.ledger.Snapshot()
	s := status{
		Instance: a.instance, Version: a.opts.Build.Version, Started: a.started, Uptime: time.Since(a.started).Seconds(),
		Ready: ready.Ready, Missing: ready.Missing, Degraded: ready.Degraded,
		Events:   eventStatus{Received: books.Received, InFlight: books.InFlight, Answers: map[string]uint64{}},
		Records:  recordStatus{Produced: books.Produced, Acked: books.Acked, Failed: books.Failed, Pending: books.Pending, LateAcks: books.LateAcks},
		Kafka:    kafkaStatus{Brokers: a.config.Load().Kafka.Brokers, LastContact: a.kafka.Contact(), Security: a.config.Load().Kafka.Security(), Problems: problemsOf(a.kafka.Problems()), Findings: findingsOf(a.inspection.found())},
		Schemas:  a.config.Load().Schema.Mode.String(),
		Subjects: a.schemas.cache().Subjects(), BodyBytes: a.budget.Used(), Reload: a.reloader.outcome.status(),
	}
	for _, row := range books.Events {
		for _, r := range reason.All() {
			if row[r] > 0 {
				s.Events.Answers[r.String()] += row[r]
			}
		}
	}
	for _, t := range a.deliverer.Status() {
		ts := topicStatus{Name: t.Name, Usable: t.Err == nil, Partitions: t.Partitions, Pinned: t.Pinned, InFlight: t.Records, OldestUnacked: t.OldestUnacked.Seconds()}
		if t.Err != nil {
			ts.Remedy = t.Remedy
			ts.Problem = t.Err.Error()
		}
		s.Kafka.Topics = append(s.Kafka.Topics, ts)
	}
	return s
}

// newRegistry returns a registry with what is there without a relay.
func newRegistry(b Build) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "cxrelay_build_info", Help: "Always 1; the labels say which build this is.",
	}, []string{"version", "commit", "go"})
	if b.Go == "" {
		b.Go = runtime.Version()
	}
	info.WithLabelValues(b.Version, b.Commit, b.Go).Set(1)
	r.MustRegister(info)
	return r
}

// registerOwn registers the gauges that need several rooms: the bounds beside
// the values that they bound, and the dependencies.
func (a *App) registerOwn() error {
	gauge := func(name, help string, labels prometheus.Labels, of func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, of)
	}
	up := func(ok bool) float64 {
		if ok {
			return 1
		}
		return 0
	}
	const depName, depHelp = "cxrelay_dependency_up", "1 while the dependency answers, else 0."
	for _, c := range append(a.reloader.outcome.collectors(),
		gauge("cxrelay_body_bytes_in_flight", "Bytes of memory that events hold, from the first byte of their body to acknowledgement or refusal: the body's buffer, and what their record takes beside it.", nil, func() float64 { return float64(a.budget.Used()) }),
		gauge("cxrelay_body_bytes_in_flight_limit", "Bound on cxrelay_body_bytes_in_flight (limits.in_flight_bytes).", nil, func() float64 { return float64(a.limits().InFlightBytes) }),
		gauge("cxrelay_record_bytes_in_flight_limit", "Bound on cxrelay_record_bytes_in_flight (limits.in_flight_bytes).", nil, func() float64 { return float64(a.limits().InFlightBytes) }),
		gauge("cxrelay_records_pending_limit", "Bound on cxrelay_records_pending (limits.in_flight_records).", nil, func() float64 { return float64(a.limits().InFlightRecords) }),
		gauge("cxrelay_oldest_unacked_limit_seconds", "Bound on cxrelay_oldest_unacked_seconds, per partition (limits.oldest_unacked).", nil, func() float64 { return a.limits().OldestUnacked.Seconds() }),
		gauge("cxrelay_ready", "1 while /-/ready answers 200, else 0.", nil, func() float64 { return up(a.ready.Readiness().Ready) }),
		gauge(depName, depHelp, prometheus.Labels{"dependency": "kafka"}, func() float64 { return up(a.ready.kafkaUp()) }),
		gauge(depName, depHelp, prometheus.Labels{"dependency": "schema_registry"}, func() float64 { return up(a.schemas.cache().Answered()) }),
	) {
		if err := a.metrics.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) limits() config.Limits { return a.config.Load().Limits }

func (r *readiness) kafkaUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kafka.up
}
