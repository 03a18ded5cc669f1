package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
)

// newServeCommand is `cxrelay serve`: the relay itself.
func newServeCommand() *cobra.Command {
	var file *configFlag
	var logging logFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Receive webhooks and relay them to Kafka",
		Long: `Receive signed webhooks and relay them to Kafka until SIGTERM or SIGINT.

Without a configuration file three variables are enough:
  KAFKA_BROKERS          host:port, several separated by commas
  CXONE_WEBHOOK_SECRET   the secret that signs the webhooks
  SCHEMA_REGISTRY_URL    URL, several separated by commas

Kafka and the registry may be away at the start: events are answered 503 until
they are there. A second signal ends the program at once.

The configuration is loaded again at SIGHUP, at POST /-/reload on the admin
listener, and within seconds of a change of its files. It is taken over as a
whole, or refused as a whole with the reasons in the log.`,
		Args: positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			src, err := file.source()
			if err != nil {
				return err
			}
			log, level, err := logging.logger(cmd)
			if err != nil {
				return err
			}
			outliveReaders()
			hangup, stop := hangups()
			defer stop()
			source := app.NewSource(src)
			cfg, err := useConfig(source, log)
			if err != nil {
				return err
			}
			defer collectSeldom(os.LookupEnv, cfg.Limits)()
			relay, err := app.New(app.Options{Config: cfg, Source: source, Hangup: hangup, Build: appBuild(), Log: log, Level: level})
			if err != nil {
				return explainStart(err)
			}
			return explainStop(relay.Run(cmd.Context()))
		},
	}
	file = addConfigFlag(cmd)
	logging.add(cmd, "info")
	return cmd
}

// hangups are the signals that ask for a reload, until stop is called.
func hangups() (hangup <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// outliveReaders keeps the process alive when nobody reads its output any
// more: Go ends a program that writes to a broken pipe on stdout or stderr.
// A log shipper that was restarted must not take the relay along.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }

// loadConfig reads the configuration, says its warnings, and refuses with
// every fault at once.
func loadConfig(src config.Source, log *slog.Logger) (*config.Config, error) {
	return useConfig(app.NewSource(src), log)
}

// useConfig is loadConfig from a source that can be loaded again.
func useConfig(source *app.Source, log *slog.Logger) (*config.Config, error) {
	cfg, warnings, err := source.Load()
	app.LogWarnings(log, warnings)
	if err != nil {
		return nil, unusable(err)
	}
	return cfg, nil
}

// explainStart adds the remedy to an error of app.New.
func explainStart(err error) error {
	var addr *app.AddressError
	if !errors.As(err, &addr) {
		return err
	}
	lent := ""
	if _, port, err := net.SplitHostPort(addr.Address); err == nil && errors.Is(addr, syscall.EADDRINUSE) {
		if n, err := strconv.Atoi(port); err == nil && config.Ephemeral(n) {
			lent = fmt.Sprintf("\nLinux lends port %d to outgoing connections: one of them may have it just now; choose a port below 32768", n)
		}
	}
	return fmt.Errorf("%w\nset %s in the file, or %s, to a free address%s", addr, addr.Key, config.EnvName(addr.Key), lent)
}

// explainStop gives the refusal of kafka.strict its exit code.
func explainStop(err error) error {
	var strict *app.StrictError
	if errors.As(err, &strict) {
		return &exitError{code: exitFindings, err: strict}
	}
	return err
}

// logFlags choose form and level of the log, which always goes to stderr.
type logFlags struct{ format, level string }

func (l *logFlags) add(cmd *cobra.Command, level string) {
	cmd.Flags().StringVar(&l.format, "log-format", "", "json or text (default: text on a terminal, else json)")
	cmd.Flags().StringVar(&l.level, "log-level", level, "debug, info, warn or error")
}

func (l *logFlags) logger(cmd *cobra.Command) (*slog.Logger, *slog.LevelVar, error) {
	level := new(slog.LevelVar)
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, nil, usageError("--log-level %q: want debug, info, warn or error", l.level)
	}
	out := cmd.ErrOrStderr()
	format := l.format
	if format == "" {
		format = "json"
		if isTerminal(out) {
			format = "text"
		}
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(out, opts)), level, nil
	case "text":
		opts.ReplaceAttr = readableText
		return slog.New(slog.NewTextHandler(out, opts)), level, nil
	default:
		return nil, nil, usageError("--log-format %q: want json or text", l.format)
	}
}

// readable writes a duration as "1.5s", where slog's JSON would have
// nanoseconds without their unit.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// readableText also joins lists, which slog's text would write as Go does.
func readableText(groups []string, a slog.Attr) slog.Attr {
	if list, ok := a.Value.Any().([]string); ok {
		return slog.String(a.Key, strings.Join(list, "; "))
	}
	return readable(groups, a)
}

func appBuild() app.Build {
	b := readBuild()
	return app.Build{Version: b.Version, Commit: b.Commit, Go: b.Go}
}
