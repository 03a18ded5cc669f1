package app

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/admin"
	"github.com/cxrelay/cxrelay/internal/config"
)

// ReloadKind says why a reload was refused.
type ReloadKind string

// The kinds; they are values of a metric label.
const (
	Invalid      ReloadKind = "invalid"       // the configuration has faults
	NeedsRestart ReloadKind = "needs_restart" // a key changed that only a restart takes over
	Unusable     ReloadKind = "unusable"      // what is new in it cannot be used now
)

// outcome is what became of the reloads. Safe for concurrent use.
type outcome struct {
	attempts *prometheus.CounterVec

	mu    sync.Mutex
	state reloadStatus
	hash  float64
	why   string // the first problem of the last refusal
	said  string // the refusal that was logged last; "" after a success
}

// reloadStatus is a part of /api/v1/status.
type reloadStatus struct {
	Successful  bool      `json:"successful"` // the last one; true before the first
	Loaded      time.Time `json:"loaded"`     // when the running configuration was taken over
	LastAttempt time.Time `json:"lastAttempt,omitzero"`
	Trigger     string    `json:"trigger,omitempty"`
	Changed     []string  `json:"changed"` // by the last successful one

	Problems []admin.Problem `json:"problems,omitempty"` // why the last one was refused
}

// began notes the configuration that the relay starts with.
func (o *outcome) began(a *App) {
	o.attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cxrelay_config_reloads_total",
		Help: "Attempts to load the configuration again, by result: ok, invalid, needs_restart or unusable.",
	}, []string{"result"})
	for _, result := range []string{"ok", string(Invalid), string(NeedsRestart), string(Unusable)} {
		o.attempts.WithLabelValues(result)
	}
	o.state = reloadStatus{Successful: true, Loaded: a.started, Changed: []string{}}
	if a.opts.Source != nil {
		o.hash = a.opts.Source.hash()
	}
}

// note counts, remembers and logs one reload. A refusal that repeats the one
// before is not logged again, unless somebody asked.
func (o *outcome) note(a *App, trigger string, done *reloaded, err error, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.state.LastAttempt, o.state.Trigger = now, trigger
	var refused *ReloadError
	if errors.As(err, &refused) {
		o.attempts.WithLabelValues(string(refused.Kind)).Inc()
		o.state.Successful, o.state.Problems, o.why = false, refused.parts(), refused.Problems[0].Summary()
		level := slog.LevelError
		if trigger == byPolling && o.said == err.Error() {
			level = slog.LevelDebug
		}
		o.said = err.Error()
		a.log.Log(a.reloader.life, level, "configuration not reloaded, the running one stays",
			slog.String("trigger", trigger), slog.String("reason", string(refused.Kind)), slog.Any("problems", refused.lines()))
		return
	}
	o.attempts.WithLabelValues("ok").Inc()
	o.said = ""
	o.state.Successful, o.state.Loaded, o.state.Changed, o.state.Problems = true, now, append([]string{}, done.changed...), nil
	o.hash = a.opts.Source.hash()
	LogWarnings(a.log, done.problems)
	for _, w := range done.warnings {
		a.log.Warn("the order of events breaks here, once", slog.String("because", w))
	}
	a.log.Info("configuration reloaded", slog.String("trigger", trigger), slog.Any("changed", o.state.Changed), slog.Duration("took", took))
}

// refusal is the first reason why the last reload was refused, "" if it was not.
func (o *outcome) refusal() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state.Successful {
		return ""
	}
	return o.why
}

func (o *outcome) ok() bool { return o.status().Successful }

func (o *outcome) status() reloadStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}

// collectors are the metrics of reloads.
func (o *outcome) collectors() []prometheus.Collector {
	gauge := func(name, help string, of func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, of)
	}
	return []prometheus.Collector{
		o.attempts,
		gauge("cxrelay_config_last_reload_successful", "1 while the last attempt to load the configuration succeeded, else 0: then the one before is running.", func() float64 {
			if o.ok() {
				return 1
			}
			return 0
		}),
		gauge("cxrelay_config_last_reload_success_timestamp_seconds", "Unix time at which the running configuration was loaded.", func() float64 {
			return float64(o.status().Loaded.UnixMilli()) / 1000
		}),
		gauge("cxrelay_config_hash", "48 bits of a hash of the configuration file as running, 0 without one; the same in relays that run the same file.", func() float64 {
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.hash
		}),
	}
}

// answer reloads and says what came of it, for the admin listener.
func (r *reloader) answer() admin.Reloaded {
	done, err := r.reload(byRequest)
	var refused *ReloadError
	if !errors.As(err, &refused) {
		out := admin.Reloaded{Status: http.StatusOK, Changed: append([]string{}, done.changed...), Warnings: append([]string{}, done.warnings...)}
		for _, p := range done.problems {
			out.Warnings = append(out.Warnings, p.String())
		}
		return out
	}
	out := admin.Reloaded{Detail: refused.Error(), Problems: refused.parts()}
	switch refused.Kind {
	case Invalid:
		out.Status, out.Title = http.StatusUnprocessableEntity, "the configuration has faults; the running one stays"
	case NeedsRestart:
		out.Status, out.Title = http.StatusConflict, "a key changed that only a restart takes over; the running configuration stays"
	case Unusable:
		out.Status, out.Title = http.StatusServiceUnavailable, "what is new cannot be used now; the running configuration stays"
	}
	return out
}

// LogWarnings says what a configuration is warned of, one line each.
func LogWarnings(log *slog.Logger, all []config.Problem) {
	for _, p := range all {
		log.Warn("configuration warning", warningAttrs(p)...)
	}
}

// warningAttrs say where a warning came from, what it is and what to do.
func warningAttrs(p config.Problem) []any {
	var attrs []any
	if p.Line > 0 {
		attrs = append(attrs, slog.String("file", p.File), slog.Int("line", p.Line), slog.Int("column", p.Column))
	}
	for _, a := range []slog.Attr{
		slog.String("variable", p.Env), slog.String("key", p.Path), slog.String("problem", p.Message), slog.String("remedy", p.Hint),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	return attrs
}
