package kafka

import (
	"context"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logger passes the client's own lines on to slog, one level lower than kgo
// has them: what matters to an operator is said by cxrelay itself.
type logger struct{ log *slog.Logger }

func newLogger(log *slog.Logger) kgo.Logger { return &logger{log: log} }

// Level implements kgo.Logger. It is asked before every line, so that a
// change of the level at run time takes effect.
func (l *logger) Level() kgo.LogLevel {
	switch {
	case l.log.Enabled(context.Background(), slog.LevelDebug):
		return kgo.LogLevelInfo
	case l.log.Enabled(context.Background(), slog.LevelInfo):
		return kgo.LogLevelWarn
	default:
		return kgo.LogLevelError
	}
}

// Log implements kgo.Logger.
func (l *logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	switch level {
	case kgo.LogLevelError:
		to = slog.LevelWarn
	case kgo.LogLevelWarn:
		to = slog.LevelInfo
	case kgo.LogLevelInfo, kgo.LogLevelDebug, kgo.LogLevelNone:
	}
	l.log.With(slog.String("says", msg)).Log(context.Background(), to, "kafka client", keyvals...)
}
