package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// trialFlags are the flags of `cxrelay try`.
type trialFlags struct {
	config     *configFlag
	source     string
	schema     schemaFile
	relay      *relayAPI
	partitions partitionsFlag
	format     *format
}

// newTryCommand is `cxrelay try`: what would become of one payload?
func newTryCommand() *cobra.Command {
	var f trialFlags
	cmd := &cobra.Command{
		Use:   "try FILE|-",
		Short: "Say what would become of a payload, without producing it",
		Long: `Bring one payload through the path of an event: parse, route, validate, make
the record. Print the answer that its sender would get and, where it is accepted,
the record with topic, key, partition and headers. Nothing is written anywhere.
"-" reads standard input.

The file is the body alone: its signature is not looked at, "cxrelay verify"
does that. The schema is in a file (--schema), or it is that which a running
relay uses (--admin), else the registry of the configuration is asked. Secrets of
the configuration that are not used here need not be on this machine.
` + withoutConfig + `
Exit codes: 0 accepted or dropped, 3 refused, 1 the schema cannot be used, 69
the registry or the relay did not answer, 78 the configuration cannot be used.`,
		Example: "  cxrelay try event.json --config cxrelay.yaml\n  cxrelay try event.json --schema new-version.json --partitions 8 --format json",
		Args:    positional(cobra.ExactArgs(1)),
	}
	cmd.Flags().StringVar(&f.source, "source", "", "`name` of the source that the payload comes to (default: the only one)")
	f.schema.register(cmd)
	f.relay = relayFlags(cmd)
	cmd.Flags().Lookup("admin").DefValue = "" // no relay is asked unless one is named
	f.partitions.register(cmd)
	f.config = addConfigFlag(cmd)
	f.format = formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.validate(cmd); err != nil {
			return err
		}
		payload, err := readInput(cmd.InOrStdin(), args[0])
		if err != nil {
			return err
		}
		var unused []string
		if cmd.Flags().Changed("schema") || cmd.Flags().Changed("admin") {
			unused = []string{"schema.registry"} // is not asked
		}
		cfg, err := f.config.loadOrDev(unused...)
		if err != nil {
			return err
		}
		return f.try(cmd, cfg, payload)
	}
	return cmd
}

func (f *trialFlags) validate(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	switch {
	case changed("schema") && changed("admin"):
		return usageError("--schema and --admin exclude each other: the schema is in a file, or a running relay's")
	case changed("reference") && !changed("schema"):
		return usageError("--reference needs --schema")
	case changed("token-file") && !changed("admin"):
		return usageError("--token-file needs --admin")
	}
	return nil
}

func (f *trialFlags) try(cmd *cobra.Command, cfg *config.Config, payload []byte) error {
	source, err := f.sourceOf(cfg)
	if err != nil {
		return err
	}
	o := app.TryOptions{Config: cfg, Source: source, Payload: payload, Partitions: int32(f.partitions), Build: appBuild()}
	if o.Schemas, err = f.schemas(cmd); err != nil {
		return err
	}
	trial, err := app.Try(cmd.Context(), o)
	switch {
	case errors.Is(err, app.ErrRegistryAway):
		return &exitError{code: exitUnavailable, err: fmt.Errorf("%w\ntake the schema from a running relay with --admin URL, or from a file with --schema FILE", err)}
	case err != nil:
		return err
	}
	if r := trial.Record; r != nil {
		f.partitions.doubt(cmd.ErrOrStderr(), cfg, r.Topic)
	}
	out := trialOutput{cfg: cfg, trial: trial, size: len(payload), file: f.schema.name}
	if *f.format == formatJSON {
		err = out.json(cmd.OutOrStdout())
	} else {
		err = out.text(cmd.OutOrStdout())
	}
	return errors.Join(err, out.result())
}

// sourceOf is the source that was named, or the only one.
func (f *trialFlags) sourceOf(cfg *config.Config) (string, error) {
	names := sourceNames(cfg)
	switch {
	case f.source == "" && len(names) == 1:
		return names[0], nil
	case f.source == "":
		return "", usageError("there are several sources: name one with --source (%s)", strings.Join(names, ", "))
	case !slices.Contains(names, f.source):
		return "", usageError("--source %q: no such source (known: %s)", f.source, strings.Join(names, ", "))
	}
	return f.source, nil
}

func sourceNames(cfg *config.Config) []string {
	names := make([]string, 0, len(cfg.Sources))
	for _, s := range cfg.Sources {
		names = append(names, s.Name)
	}
	return names
}

// schemas is where the schema comes from; nil: from the configured registry.
func (f *trialFlags) schemas(cmd *cobra.Command) (gateway.Schemas, error) {
	switch {
	case cmd.Flags().Changed("schema"):
		def, err := f.schema.definition()
		if err != nil {
			return nil, err
		}
		sch, err := compileSchema(def)
		if err != nil {
			return nil, err
		}
		return lookup(func(string, int) (*schema.Schema, error) { return sch, nil }), nil
	case cmd.Flags().Changed("admin"):
		return lookup(func(subject string, version int) (*schema.Schema, error) {
			return f.relay.usable(cmd.Context(), subject, version)
		}), nil
	}
	return nil, nil //nolint:nilnil // the registry of the configuration
}

// lookup makes gateway.Schemas of a function.
type lookup func(subject string, version int) (*schema.Schema, error)

// Lookup implements gateway.Schemas.
func (l lookup) Lookup(subject string, version int) (*schema.Schema, error) {
	return l(subject, version)
}

// usable fetches one schema from a running relay and compiles it.
func (r *relayAPI) usable(ctx context.Context, subject string, version int) (*schema.Schema, error) {
	def, err := r.definition(ctx, subject, version)
	if err != nil {
		return nil, err
	}
	return compileSchema(def)
}

// withoutConfig is said by the commands that use loadOrDev.
const withoutConfig = `
Without --config the environment is used, as "cxrelay serve" does; what it lacks
is that of "cxrelay dev".
`

// loadOrDev is loadFrom for a command that only looks: without a file, the three
// variables that a relay needs may be missing. Those of cxrelay dev stand in.
// The secrets of what serves, and of the keys in unused, may be elsewhere.
func (f *configFlag) loadOrDev(unused ...string) (*config.Config, error) {
	src, err := f.source()
	if err != nil {
		return nil, err
	}
	src.Unused = append([]string{"listen.tls", "admin", "sources", "kafka"}, unused...)
	return f.loadFrom(orDev(src))
}

func orDev(src config.Source) config.Source {
	if src.File == "" {
		src.Env = slices.Concat(devEnv(), src.Env)
	}
	return src
}

// devEnv are the variables for a relay beside cxrelay dev that the environment
// does not have.
func devEnv() []string {
	var missing []string
	for _, v := range [][2]string{{"KAFKA_BROKERS", defaultBroker}, {"SCHEMA_REGISTRY_URL", defaultRegistry}, {secretEnv, defaultSecret}} {
		if _, set := os.LookupEnv(v[0]); !set {
			missing = append(missing, v[0]+"="+v[1])
		}
	}
	return missing
}

// The defaults of cxrelay dev.
const (
	defaultBroker   = "127.0.0.1:9092"
	defaultRegistry = "http://127.0.0.1:8081"
)
