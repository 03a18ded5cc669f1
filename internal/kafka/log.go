package kafka

import (
	"context"
	"log/slog"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logger passes the client's own lines on to slog: its errors as warnings, all
// else at debug, and at debug too what is about an error that Diagnose knows:
// such things cxrelay says itself, once per change, with the remedy.
type logger struct{ log *slog.Logger }

func newLogger(log *slog.Logger) kgo.Logger { return &logger{log: log} }

// Level implements kgo.Logger. It is asked before every line, so that a
// change of the level at run time takes effect.
func (l *logger) Level() kgo.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelError
}

// Log implements kgo.Logger.
func (l *logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	if level == kgo.LogLevelError && !slices.ContainsFunc(keyvals, isKnown) {
		to = slog.LevelWarn
	}
	l.log.With(slog.String("says", msg)).Log(context.Background(), to, "kafka client", keyvals...)
}

func isKnown(v any) bool {
	err, ok := v.(error)
	return ok && diagnose(err).what != ""
}
