package gateway

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"github.com/cxrelay/cxrelay/internal/reason"
)

// observe completes the verdict, counts it and writes its log line: the one
// place where an outcome becomes visible.
func (g *Gateway) observe(d *Delivery, v *Verdict, err error) {
	v.Reason, v.Detail = classify(v, err)
	v.Cause = err
	v.Remote = d.Remote
	v.Source = sourceNone
	if d.Source != nil {
		v.Source = d.Source.Name
	}
	v.Elapsed = time.Since(d.ReceivedAt)
	if d.ticket {
		d.ticket = false
		g.opts.Ledger.end(d.seat.row, v.Reason, v.Receipt.Outcome)
	}
	g.metrics.answered(d.seat, v)
	g.log(d, v)
	if g.opts.OnVerdict != nil {
		g.show(v)
	}
}

// show tells who watches of a verdict. Its panic is no part of the event: what
// was decided and counted is answered.
func (g *Gateway) show(v *Verdict) {
	defer func() {
		if p := recover(); p != nil {
			g.metrics.panics.Inc()
			g.opts.Log.Error("panic in who watches the verdicts; the answer stays", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	g.opts.OnVerdict(v)
}

// log writes one line per refusal. Lines of signed events are never held
// back; those of unsigned requests are rate-limited per reason, because
// anybody can cause them. Accepted and dropped events appear at debug.
func (g *Gateway) log(d *Delivery, v *Verdict) {
	switch {
	case v.Reason.Class() == reason.Stop:
		if g.opts.Log.Enabled(context.Background(), slog.LevelDebug) {
			g.opts.Log.LogAttrs(context.Background(), slog.LevelDebug, "event answered", v.attrs()...)
		}
	case v.Verified:
		g.opts.Log.LogAttrs(context.Background(), v.level(), "event refused", v.attrs()...)
	default:
		g.refused.log(d, v)
	}
}

func (v *Verdict) level() slog.Level {
	if v.Reason == reason.Internal {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// attrs are the facts of the log line. Nothing of an unsigned body is among them.
func (v *Verdict) attrs() []slog.Attr {
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("reason", v.Reason.String()),
		slog.Int("status", v.Reason.Status()),
		slog.String("source", v.Source),
		slog.Float64("elapsed_ms", float64(v.Elapsed.Microseconds())/1000),
	)
	if v.Remote != "" {
		attrs = append(attrs, slog.String("remote", v.Remote))
	}
	if v.Verified {
		attrs = append(attrs, slog.String("event_id", v.Event.ID))
		attrs = appendText(attrs, "type", v.Event.Type)
		attrs = appendText(attrs, "contact", v.Event.Contact)
	}
	if v.Route != nil && !v.Route.Drop {
		attrs = append(attrs, slog.String("topic", v.Route.Topic), slog.String("subject", v.Route.Subject))
	}
	if v.Receipt.Seq > 0 {
		attrs = append(attrs, slog.Int("partition", int(v.Receipt.Partition)), slog.Uint64("seq", v.Receipt.Seq))
	}
	if v.Reason == reason.Accepted {
		attrs = append(attrs, slog.Int64("offset", v.Receipt.Offset))
	}
	if len(v.Violations) > 0 {
		first := v.Violations[0]
		attrs = append(attrs, slog.Int("violations", len(v.Violations)), slog.String("pointer", first.Pointer),
			slog.String("keyword", first.Keyword), slog.String("violation", first.String()))
	}
	if v.Cause != nil {
		attrs = append(attrs, slog.String("cause", v.Cause.Error()))
	}
	var p *panicError
	if errors.As(v.Cause, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	return attrs
}

const maxLogged = 128 // bytes of a sender's text in a log line

func appendText(attrs []slog.Attr, key, text string) []slog.Attr {
	if text == "" {
		return attrs
	}
	return append(attrs, slog.String(key, truncate(text, maxLogged)))
}

// truncate cuts s to at most n bytes, on a rune boundary.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
