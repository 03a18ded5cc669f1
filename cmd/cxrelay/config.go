package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/config"
)

// configFlag is --config of a command that reads a configuration.
type configFlag struct {
	cmd  *cobra.Command
	file string
}

func addConfigFlag(cmd *cobra.Command) *configFlag {
	f := &configFlag{cmd: cmd}
	cmd.Flags().StringVar(&f.file, "config", "", "YAML configuration `file`; see docs/configuration.md")
	return f
}

// source is the file, if one is named, and the environment.
func (f *configFlag) source() (config.Source, error) {
	if f.file == "" && f.cmd.Flags().Changed("config") {
		return config.Source{}, usageError("--config is empty: name the file, or leave the flag out")
	}
	return config.Source{File: f.file, Env: os.Environ()}, nil
}

// loadFrom reads the configuration for a command that is no server: warnings go
// to stderr as paragraphs, and all faults into one error with its exit code.
func (f *configFlag) loadFrom(src config.Source) (*config.Config, error) {
	cfg, warnings, err := config.Load(src)
	for _, p := range warnings {
		fmt.Fprintf(f.cmd.ErrOrStderr(), "%s\n\n", p)
	}
	if err != nil {
		return nil, unusable(err)
	}
	return cfg, nil
}

// unusable gives the faults of a configuration their exit code.
func unusable(err error) error {
	return &exitError{code: exitConfig, err: fmt.Errorf("the configuration cannot be used:\n\n%w", err)}
}

// newConfigCommand is `cxrelay config`: what is configured, and what can be.
func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration in force, or the schema of the file",
		Args:  unknownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(newConfigPrintCommand(), newConfigSchemaCommand())
	return cmd
}

func newConfigPrintCommand() *cobra.Command {
	var sources bool
	var file *configFlag
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration in force",
		Long: `Print every value that is in force, with defaults, file and environment put
together, as YAML that can be used again. Secrets are written as "***"; files
that hold them are named by absolute paths. They need not be on this machine:
stderr says which secrets and certificates cannot be read here, and where the
variable of a secret is not set, the value is "${NAME}", as in the file.

With --sources each value says where it came from: default, preset NAME,
FILE:LINE or env NAME.

Exit codes: 0 printed; 78 the configuration cannot be used, stderr has every
fault with its place.`,
		Example: "  cxrelay config print --config cxrelay.yaml --sources",
		Args:    positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			src, err := file.source()
			if err != nil {
				return err
			}
			src.Unused = config.Secrets()
			cfg, err := file.loadFrom(src)
			if err != nil {
				return err
			}
			for _, p := range cfg.Absent() {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s\n\n", p)
			}
			_, err = cmd.OutOrStdout().Write(cfg.YAML(sources))
			return err
		},
	}
	file = addConfigFlag(cmd)
	cmd.Flags().BoolVar(&sources, "sources", false, "say where each value came from")
	return cmd
}

func newConfigSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration file",
		Long: `Print the JSON Schema (draft-07) of the configuration file. Editors with a YAML
language server complete and check a file that begins with

  # yaml-language-server: $schema=cxrelay.schema.json

where that names the printed schema. "cxrelay check" knows more than a schema
can say.`,
		Example: "  cxrelay config schema > cxrelay.schema.json",
		Args:    positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.JSONSchema())
			return err
		},
	}
}
