package app

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/deliver"
	"github.com/cxrelay/cxrelay/internal/kafka"
	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
)

// Pace of the inspection at the start.
const (
	inspectTimeout = 30 * time.Second
	inspectAgain   = time.Second      // after a look that failed, doubled up to
	inspectSlow    = 15 * time.Second // this
)

// inspection looks at the cluster once, when it first can, and says what it
// finds. With kafka.strict it stands before the deliverer: no topic is
// delivered to until it has passed, and what it warns of ends the relay.
type inspection struct {
	a      *App
	strict bool

	mu       sync.Mutex
	held     map[string]kafka.Topic // topics seen while the inspection has not passed; nil: it stands in nobody's way
	findings []inspect.Finding
}

func newInspection(a *App) *inspection {
	i := &inspection{a: a, strict: a.config.Load().Kafka.Strict && !a.opts.SkipInspection}
	if i.strict {
		i.held = make(map[string]kafka.Topic)
	}
	return i
}

// StrictError is why a relay with kafka.strict does not serve.
type StrictError struct {
	Findings []inspect.Finding
	Pins     map[string]int32 // to put under kafka.partitions
}

// Error lists the findings with their remedies.
func (e *StrictError) Error() string {
	var b strings.Builder
	b.WriteString("kafka.strict refuses to serve:\n")
	unpinned := false
	for _, g := range inspect.Grouped(e.Findings) {
		b.WriteString("\n" + g.String() + "\n")
		unpinned = unpinned || g.Check == inspect.Partitions
	}
	if unpinned {
		b.WriteString("\n" + inspect.PinLines(e.Pins))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// run returns a *StrictError if kafka.strict forbids to go on, else nil, when
// the cluster was looked at or ctx has ended. While no broker answers it tries
// again: with kafka.strict the relay is not ready until then.
func (i *inspection) run(ctx context.Context) error {
	if i.a.opts.SkipInspection {
		return nil
	}
	report, err := i.look(ctx)
	if err != nil {
		return nil //nolint:nilerr // the relay is stopping
	}
	i.mu.Lock()
	i.findings = report.Findings
	i.mu.Unlock()
	if bad := refusing(report.Findings); i.strict && len(bad) > 0 {
		return &StrictError{Findings: bad, Pins: report.Pins(policyOf(i.a.config.Load()))}
	}
	i.say(report.Findings)
	i.release()
	return nil
}

// look returns the first report, or ctx's error. A report that was overtaken by
// a reload is none: what it finds may be mended, or without a route.
func (i *inspection) look(ctx context.Context) (inspect.Report, error) {
	for wait := inspectAgain; ; wait = min(2*wait, inspectSlow) {
		cfg := i.a.config.Load()
		limited, cancel := context.WithTimeout(ctx, inspectTimeout)
		report, err := i.a.kafka.Inspect(limited, policyOf(cfg))
		cancel()
		switch {
		case err == nil && i.a.config.Load() == cfg:
			return report, nil
		case err == nil:
			continue
		}
		i.a.log.Debug("kafka cannot be inspected yet", slog.Any("cause", err))
		select {
		case <-ctx.Done():
			return inspect.Report{}, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// refusing are the findings that kafka.strict does not accept. What is about
// the moment is not among them: a relay that restarts beside a broker that
// restarts must come up.
func refusing(all []inspect.Finding) []inspect.Finding {
	var bad []inspect.Finding
	for _, f := range all {
		if f.Severity >= inspect.Warning && !f.Check.Momentary() {
			bad = append(bad, f)
		}
	}
	return bad
}

// say writes each finding once.
func (i *inspection) say(all []inspect.Finding) {
	for _, g := range inspect.Grouped(all) {
		level := slog.LevelWarn
		if g.Severity == inspect.Info {
			level = slog.LevelDebug
		}
		i.a.log.LogAttrs(context.Background(), level, "kafka inspection", slog.String("severity", g.Severity.String()), slog.String("check", g.Check.String()),
			slog.String("finding", g.Message), slog.Any("topics", g.About), slog.Any("remedies", g.Remedies))
	}
}

// topicChanged passes on what the watch has seen, once the inspection lets it.
// It is called from one goroutine.
func (i *inspection) topicChanged(t kafka.Topic) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.held != nil {
		i.held[t.Name] = t
		return
	}
	i.a.deliverer.TopicChanged(t)
}

// ofNew looks at topics that a reload brings, as at those of the start. With
// kafka.strict it returns a *StrictError if that forbids them, or why they
// could not be looked at.
func (i *inspection) ofNew(ctx context.Context, topics []string, cfg *config.Config) error {
	if i.a.opts.SkipInspection {
		return nil
	}
	report, err := i.a.kafka.InspectTopics(ctx, topics, policyOf(cfg))
	switch bad := refusing(report.Findings); {
	case err != nil && i.strict:
		return fmt.Errorf("kafka.strict demands a look at the new topics: %w", err)
	case err != nil:
		i.a.log.Debug("new topics cannot be inspected", slog.Any("cause", err))
		return nil
	case i.strict && len(bad) > 0:
		return &StrictError{Findings: bad, Pins: report.Pins(policyOf(cfg))}
	}
	fresh := slices.DeleteFunc(report.Findings, func(f inspect.Finding) bool { return f.Topic == "" }) // the cluster was judged at the start
	i.say(fresh)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.findings = append(i.without(func(f inspect.Finding) bool { return slices.Contains(topics, f.Topic) }), fresh...)
	return nil
}

// retain forgets the findings about all other topics.
func (i *inspection) retain(topics []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.findings = i.without(func(f inspect.Finding) bool { return f.Topic != "" && !slices.Contains(topics, f.Topic) })
}

// without returns the findings but some. The caller holds the lock.
func (i *inspection) without(some func(inspect.Finding) bool) []inspect.Finding {
	return slices.DeleteFunc(slices.Clone(i.findings), some)
}

func (i *inspection) release() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, t := range i.held {
		i.a.deliverer.TopicChanged(t)
	}
	i.held = nil
}

// holds tells whether the inspection still keeps events from being delivered.
func (i *inspection) holds() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.held != nil
}

// found are the findings of the look at the start.
func (i *inspection) found() []inspect.Finding {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.findings
}

// recordOverhead is what key, headers and batch add to the body of an
// ordinary event, with some room: about 700 bytes with default settings.
const recordOverhead = 2 << 10

// policyOf is what the rules of an inspection need to know of a configuration.
func policyOf(cfg *config.Config) inspect.Policy {
	p := inspect.Policy{
		Pins: cfg.Kafka.Partitions, BodyLimit: int64(cfg.Limits.Body), Overhead: recordOverhead, PinsDemanded: cfg.Kafka.Strict,
		Hashes: []inspect.Hash{
			{Name: config.Murmur2.String(), Partition: deliver.Murmur2.Partition},
			{Name: config.CRC32.String(), Partition: deliver.CRC32.Partition},
		},
	}
	if cfg.Kafka.Partitioner == config.CRC32 {
		p.Hashes[0], p.Hashes[1] = p.Hashes[1], p.Hashes[0]
	}
	return p
}

// kafkaOptions are those of every client of the cluster. The bounds of a
// producer are there for good, and those of the configuration change: package
// deliver keeps to these.
func kafkaOptions(cfg *config.Config, clientID string, log *slog.Logger, network Network) kafka.Options {
	return kafka.Options{
		Brokers: cfg.Kafka.Brokers, Topics: topicsOf(cfg.Routes), ClientID: clientID,
		MaxRecords: math.MaxInt32, MaxBytes: math.MaxInt,
		Security: securityOf(&cfg.Kafka), Log: log, Dial: network.DialKafka,
	}
}

// findingStatus is one finding in /api/v1/status.
type findingStatus struct {
	Severity string `json:"severity"`
	Check    string `json:"check"`
	Topic    string `json:"topic,omitempty"`
	Message  string `json:"message"`
	Remedy   string `json:"remedy,omitempty"`
}

func findingsOf(all []inspect.Finding) []findingStatus {
	out := make([]findingStatus, 0, len(all))
	for _, f := range all {
		out = append(out, findingStatus{Severity: f.Severity.String(), Check: f.Check.String(), Topic: f.Topic, Message: f.Message, Remedy: f.Remedy})
	}
	return out
}
