package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
)

// checkFlags are the flags of `cxrelay check`.
type checkFlags struct {
	connect, create bool
	topics          app.TopicDefaults
	timeout         time.Duration
	format          *format
}

// newCheckCommand is `cxrelay check`: would a relay with this configuration
// work, and keep its promises?
func newCheckCommand() *cobra.Command {
	var f checkFlags
	var file *configFlag
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration, and with --connect what it leads to",
		Long: `Check a configuration file, or without one the environment, and print every
problem. Nothing is contacted. FILE and --config FILE are the same.

With --connect, look also at the brokers, the routed topics and some of the
records in them, the Schema Registry and the routed subjects, and print the
partition counts to pin. Nothing is written, unless --create-topics says so.

Exit codes: 0 no error; 3 an error, or with kafka.strict a warning; 69 Kafka or
the registry did not answer; 78 --connect could not use the configuration.`,
		Example: "  cxrelay check cxrelay.yaml\n  cxrelay check cxrelay.yaml --connect --format json",
		Args:    positional(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.validate(cmd); err != nil {
				return err
			}
			src, err := file.source()
			switch {
			case err != nil:
				return err
			case len(args) > 0 && src.File != "":
				return usageError("%s and --config %s: give one file, here or there", args[0], src.File)
			case len(args) > 0 && args[0] == "":
				return usageError("FILE is empty: name the file, or leave it out for the environment alone")
			case len(args) > 0:
				src.File = args[0]
			}
			return runCheck(cmd, f, src)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.connect, "connect", false, "look at brokers, topics, registry and subjects, too")
	flags.BoolVar(&f.create, "create-topics", false, "with --connect: create the routed topics that are missing")
	flags.Int32Var(&f.topics.Partitions, "partitions", 0, "of a topic that is created (default: its pinned count, else 8)")
	flags.Int16Var(&f.topics.ReplicationFactor, "replication-factor", 0, "of a topic that is created (default: 3, or as many as there are brokers)")
	flags.DurationVar(&f.timeout, "timeout", 15*time.Second, "for everything that --connect does")
	f.format = formatFlag(cmd)
	file = addConfigFlag(cmd)
	return cmd
}

func (f *checkFlags) validate(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	switch {
	case f.create && !f.connect:
		return usageError("--create-topics needs --connect")
	case changed("timeout") && !f.connect:
		return usageError("--timeout needs --connect")
	case f.timeout <= 0:
		return usageError("--timeout %v: want more than 0", f.timeout)
	}
	for name, value := range map[string]int{"partitions": int(f.topics.Partitions), "replication-factor": int(f.topics.ReplicationFactor)} {
		switch {
		case changed(name) && !f.create:
			return usageError("--%s needs --create-topics", name)
		case changed(name) && value < 1:
			return usageError("--%s %d: want 1 or more", name, value)
		}
	}
	return nil
}

func runCheck(cmd *cobra.Command, f checkFlags, src config.Source) error {
	cfg, problems, err := config.Load(src)
	var faults *config.Errors
	if err != nil && !errors.As(err, &faults) {
		return err
	}
	out := newCheckPrinter(cmd.OutOrStdout(), *f.format)
	if faults != nil {
		problems = append(faults.Problems, problems...)
	}
	out.problems(problems)
	switch {
	case faults != nil && f.connect:
		out.summary()
		return errors.Join(out.err, &exitError{code: exitConfig, err: errors.New("the configuration cannot be used; nothing was contacted")})
	case faults != nil || !f.connect:
		out.summary()
		return out.verdict(cfg != nil && cfg.Kafka.Strict)
	}
	if err := f.fits(cfg); err != nil {
		return err
	}
	return connect(cmd, f, cfg, out)
}

// fits refuses topics that could not be used once created.
func (f *checkFlags) fits(cfg *config.Config) error {
	for topic, pin := range cfg.Kafka.Partitions {
		if n := f.topics.Partitions; n > 0 && n < pin {
			return usageError("--partitions %d is below the %d that are pinned for %s", n, pin, topic)
		}
	}
	return nil
}

func connect(cmd *cobra.Command, f checkFlags, cfg *config.Config, out *checkPrinter) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	opts := app.CheckOptions{Config: cfg, Build: appBuild(), Log: slog.New(slog.DiscardHandler)} // the report says it all
	if f.create {
		opts.Create = &f.topics
	}
	report, err := app.Check(ctx, opts)
	if err != nil {
		return &exitError{code: exitConfig, err: fmt.Errorf("the configuration cannot be used: %w", err)}
	}
	if err := cmd.Context().Err(); err != nil {
		return fmt.Errorf("interrupted: %w", err)
	}
	out.report(report)
	out.summary()
	if len(report.Away) > 0 {
		var names []string
		for _, a := range report.Away {
			names = append(names, a.Dependency)
		}
		return errors.Join(out.err, &exitError{code: exitUnavailable, err: fmt.Errorf("no answer from %s: not everything could be looked at", strings.Join(names, " and "))})
	}
	return out.verdict(cfg.Kafka.Strict)
}

// verdict is the error that makes the exit code, nil for 0.
func (p *checkPrinter) verdict(strict bool) error {
	switch {
	case p.err != nil:
		return p.err
	case p.counts[inspect.Error] > 0:
		return &exitError{code: exitFindings, err: errors.New(p.tally()), said: p.format == formatText}
	case strict && p.counts[inspect.Warning] > 0:
		return &exitError{code: exitFindings, err: fmt.Errorf("%s, and kafka.strict is on", p.tally())}
	default:
		return nil
	}
}
