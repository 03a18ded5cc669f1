package gateway

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cxrelay/cxrelay/internal/reason"
)

// refusalWindow and refusalBurst bound the log lines of unsigned requests:
// that many lines per reason in one window.
const (
	refusalWindow = 10 * time.Second
	refusalBurst  = 10
)

// maxDiagnosed is the largest body, in bytes, on which the cause of a wrong
// signature is worked out.
const maxDiagnosed = 64 << 10

// diagnoses that may wait at once; a line beyond that is written without one.
const diagnosisQueue = 16

// refusals writes the log lines of requests whose signature was not verified.
// At most refusalBurst lines per reason and refusalWindow are written; what
// was held back is counted and said. Why a signature did not match is worked
// out only for a line that will be written, off the request.
type refusals struct {
	logger *slog.Logger
	queue  chan func()

	mu     sync.Mutex
	counts [reason.Count]window
}

type window struct {
	start   time.Time
	written int
	held    int
}

func newRefusals(logger *slog.Logger) *refusals {
	return &refusals{logger: logger, queue: make(chan func(), diagnosisQueue)}
}

func (r *refusals) log(d *Delivery, v *Verdict) {
	held, ok := r.allow(v.Reason, time.Now())
	if !ok {
		return
	}
	attrs := v.attrs()
	if held > 0 {
		attrs = append(attrs, slog.Int("held_back", held))
	}
	write := func(more ...slog.Attr) {
		r.logger.LogAttrs(context.Background(), v.level(), "request refused", append(attrs, more...)...)
	}
	if (v.Reason == reason.BadSignature || v.Reason == reason.Stale) && d.Body.Len() <= maxDiagnosed {
		body := append([]byte(nil), d.Body.Bytes()...)
		header, received, verifier := d.Header, d.ReceivedAt, d.Source.Verifier
		select {
		case r.queue <- func() { write(r.diagnosis(func() string { return verifier.Diagnose(header, body, received) })) }:
			return
		default:
		}
	}
	write()
}

// diagnosis is what a line says of the cause. Anybody can ask for one, so a
// panic of it must not end the relay: it is told instead.
func (r *refusals) diagnosis(of func() string) (cause slog.Attr) {
	defer func() {
		if p := recover(); p != nil {
			r.logger.Error("panic in who explains a wrong signature; the answer stays", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			cause = slog.String("diagnosis", "a bug in cxrelay kept it from being worked out")
		}
	}()
	return slog.String("diagnosis", of())
}

// allow says whether a line may be written now, and how many were held back before it.
func (r *refusals) allow(why reason.Reason, now time.Time) (held int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.counts[why]
	if now.Sub(w.start) >= refusalWindow {
		held = w.held
		*w = window{start: now}
	}
	if w.written >= refusalBurst {
		w.held++
		return 0, false
	}
	w.written++
	return held, true
}

// run works out diagnoses and says, once per window, what was held back.
func (r *refusals) run(ctx context.Context) error {
	tick := time.NewTicker(refusalWindow)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			r.drain()
			return nil
		case diagnose := <-r.queue:
			diagnose()
		case now := <-tick.C:
			r.flush(now)
		}
	}
}

func (r *refusals) drain() {
	for {
		select {
		case diagnose := <-r.queue:
			diagnose()
		default:
			r.flush(time.Now().Add(refusalWindow))
			return
		}
	}
}

func (r *refusals) flush(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.counts {
		w := &r.counts[i]
		if w.held == 0 || now.Sub(w.start) < refusalWindow {
			continue
		}
		r.logger.Warn("requests refused, lines held back", slog.String("reason", reason.Reason(i).String()), slog.Int("held_back", w.held))
		*w = window{}
	}
}
