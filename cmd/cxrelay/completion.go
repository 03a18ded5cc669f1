package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// newCompletionCommand is `cxrelay completion`: a script for a shell.
func newCompletionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "Print a script that completes command lines in a shell",
		Long: `Print a script with which a shell completes commands, flags and their values.

  bash        cxrelay completion bash > /etc/bash_completion.d/cxrelay
  zsh         cxrelay completion zsh > "${fpath[1]}/_cxrelay"
  fish        cxrelay completion fish > ~/.config/fish/completions/cxrelay.fish
  powershell  cxrelay completion powershell | Out-String | Invoke-Expression

The script of bash needs the package bash-completion.`,
		Example:   "  source <(cxrelay completion bash)",
		ValidArgs: shells,
		Args:      positional(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return completionScript(cmd.Root(), args[0], cmd.OutOrStdout())
		},
	}
}

func completionScript(root *cobra.Command, shell string, out io.Writer) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(out, true)
	case "zsh":
		return root.GenZshCompletion(out)
	case "fish":
		return root.GenFishCompletion(out, true)
	default:
		return root.GenPowerShellCompletionWithDesc(out)
	}
}

// completeValues has the arguments and the flags of all commands completed
// whose values are known. Other values are completed as names of files.
func completeValues(root *cobra.Command) error {
	flags := map[string]cobra.CompletionFunc{
		"format":      cobra.FixedCompletions([]string{string(formatText), string(formatJSON)}, cobra.ShellCompDirectiveNoFileComp),
		"log-format":  cobra.FixedCompletions([]string{"json", "text"}, cobra.ShellCompDirectiveNoFileComp),
		"log-level":   cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp),
		"preset":      cobra.FixedCompletions(signature.PresetNames(), cobra.ShellCompDirectiveNoFileComp),
		"topic":       ofConfig(topicNames),
		"source":      ofConfig(sourceNames),
		"config":      cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt),
		"sign preset": cobra.FixedCompletions(signingPresets(), cobra.ShellCompDirectiveNoFileComp),
	}
	arguments := map[string]cobra.CompletionFunc{
		"send":    cobra.FixedCompletions(devkit.EventTypes(), cobra.ShellCompDirectiveNoFileComp),
		"explain": completeExplain,
		"key":     cobra.NoFileCompletions,
		"version": cobra.NoFileCompletions,
	}
	for _, cmd := range allCommands(root) {
		if complete := arguments[cmd.Name()]; complete != nil {
			cmd.ValidArgsFunction = complete
		}
		var err error
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			complete := flags[cmd.Name()+" "+flag.Name]
			if complete == nil {
				complete = flags[flag.Name]
			}
			if complete != nil && err == nil {
				err = cmd.RegisterFlagCompletionFunc(flag.Name, complete)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func allCommands(root *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{root}
	for _, cmd := range root.Commands() {
		all = append(all, allCommands(cmd)...)
	}
	return all
}

// completeExplain offers the reasons, and the metrics once something was typed.
func completeExplain(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var words []cobra.Completion
	for _, r := range reason.All() {
		words = append(words, cobra.CompletionWithDesc(r.String(), r.Meaning()))
	}
	metrics, err := app.Metrics()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for _, m := range metrics {
		words = append(words, cobra.CompletionWithDesc(m.Name, m.Help))
	}
	return startingWith(words, typed), cobra.ShellCompDirectiveNoFileComp
}

// ofConfig offers names of the configuration that the command line so far
// names, if it can be used.
func ofConfig(names func(*config.Config) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		f := &configFlag{cmd: cmd}
		if flag := cmd.Flags().Lookup("config"); flag != nil {
			f.file = flag.Value.String()
		}
		src, err := f.source()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cfg, _, err := config.Load(orDev(src))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return startingWith(names(cfg), typed), cobra.ShellCompDirectiveNoFileComp
	}
}

func startingWith(words []string, typed string) []string {
	var fit []string
	for _, w := range words {
		if strings.HasPrefix(w, typed) {
			fit = append(fit, w)
		}
	}
	return fit
}
