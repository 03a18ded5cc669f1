package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// shadowWindow and shadowBurst bound the log lines about one subject.
const (
	shadowWindow = 10 * time.Second
	shadowBurst  = 10
)

// The outcomes of a comparison of two engines: the values of a label.
const (
	shadowAgreed    = "agreed"
	shadowDisagreed = "disagreed"
	shadowSkipped   = "skipped"
)

// shadow decides which checks both engines of JSON Schema make, and tells what
// came of it. There is one in the life of a relay: the engines of every schema
// cache ask it, so that a share that changes holds for schemas that are loaded
// already. Safe for concurrent use.
type shadow struct {
	share  atomic.Uint64 // bits of a float64: schema.shadow
	mutate func(schema.Definition) schema.Definition
	log    *slog.Logger
	counts *prometheus.CounterVec // by subject and result

	mu      sync.Mutex
	written map[string]*shadowLines // by subject
}

// shadowLines are those of one window.
type shadowLines struct {
	start         time.Time
	written, held int
}

func newShadow(o *Options, reg prometheus.Registerer) (*shadow, error) {
	s := &shadow{
		mutate: o.mutateFastPath, log: o.Log, written: map[string]*shadowLines{},
		counts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cxrelay_schema_shadow_total",
			Help: "Checks that a second engine was to repeat (schema.shadow), by result; skipped: one of the two gives no verdict; each disagreed is a bug.",
		}, []string{"subject", "result"}),
	}
	s.set(o.Config.Schema.Shadow)
	return s, reg.Register(s.counts)
}

// set is how large a share of the checks is repeated from now on, from 0 to 1.
func (s *shadow) set(share float64) { s.share.Store(math.Float64bits(share)) }

// expect has the series of these subjects exist. A nil shadow has none.
func (s *shadow) expect(pins []schema.Pin) {
	if s == nil {
		return
	}
	for _, p := range pins {
		for _, result := range []string{shadowAgreed, shadowDisagreed, shadowSkipped} {
			s.counts.WithLabelValues(p.Subject, result)
		}
	}
}

// compiler makes the engines that are looked after.
func (s *shadow) compiler() schema.Compiler {
	return jsonschema.New(jsonschema.Options{
		Shadow: s.draw, Shadowing: func() bool { return s.share.Load() != 0 }, Compared: s.compared, Mutate: s.mutate,
	})
}

// ahead makes the judges of the schemas that are loaded, so that no event waits
// for its schema's when the share is about to become that large.
func ahead(share float64, schemas gateway.Schemas, pins []schema.Pin) {
	if share == 0 {
		return
	}
	for _, p := range pins {
		if s, err := schemas.Lookup(p.Subject, p.Version); err == nil { // else it is made when the schema comes
			jsonschema.Prepare(s.Validator)
		}
	}
}

// draw costs one atomic load where nothing is to be repeated.
func (s *shadow) draw() bool {
	bits := s.share.Load()
	return bits != 0 && rand.Float64() < math.Float64frombits(bits)
}

func (s *shadow) compared(c jsonschema.Comparison) {
	switch {
	case c.Agreed():
		s.counts.WithLabelValues(c.Subject, shadowAgreed).Inc()
	case c.Err == nil:
		s.counts.WithLabelValues(c.Subject, shadowDisagreed).Inc()
		if attrs, ok := s.line(&c); ok {
			s.log.LogAttrs(context.Background(), slog.LevelError, "the two schema engines disagree, the judge's verdict counts: please report it",
				append(attrs, slog.String("fast", verdictWord(c.Fast)), slog.String("judge", verdictWord(c.Judge)))...)
		}
	default:
		s.counts.WithLabelValues(c.Subject, shadowSkipped).Inc()
		if errors.Is(c.Err, jsonschema.ErrOneEngine) {
			return // of every check of the schema, and known since it was loaded
		}
		if attrs, ok := s.line(&c); ok {
			s.log.LogAttrs(context.Background(), slog.LevelWarn, "the two schema engines could not be compared", append(attrs, slog.String("error", c.Err.Error()))...)
		}
	}
}

func verdictWord(valid bool) string {
	if valid {
		return "valid"
	}
	return "invalid"
}

// line is how a log line begins, if one may be written now. It names a body by
// its hash, which is in the id of an event that brings none: nothing of what a
// sender sent gets into the log.
func (s *shadow) line(c *jsonschema.Comparison) (attrs []slog.Attr, ok bool) {
	held, ok := s.allow(c.Subject, time.Now())
	if !ok {
		return nil, false
	}
	sum := sha256.Sum256(c.Body)
	attrs = []slog.Attr{
		slog.String("subject", c.Subject), slog.Int("version", c.Version), slog.Int("schema_id", c.ID),
		slog.String("body_sha256", hex.EncodeToString(sum[:])),
	}
	if held > 0 {
		attrs = append(attrs, slog.Int("held_back", held))
	}
	return attrs, true
}

// allow says whether a line may be written now, and how many were held back
// before it.
func (s *shadow) allow(subject string, now time.Time) (held int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.written[subject]
	if w == nil {
		w = &shadowLines{start: now}
		s.written[subject] = w
	}
	if now.Sub(w.start) >= shadowWindow {
		held = w.held
		*w = shadowLines{start: now}
	}
	if w.written == shadowBurst {
		w.held++
		return 0, false
	}
	w.written++
	return held, true
}
