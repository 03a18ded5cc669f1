package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cxrelay/cxrelay/internal/config"
)

// The exit codes. Scripts rely on them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitFindings    = 3  // what was checked has findings
	exitUnavailable = 69 // a dependency is away (EX_UNAVAILABLE of sysexits.h)
	exitConfig      = 78 // the configuration cannot be used (EX_CONFIG)
)

// exitError ends the process with a code of its own. Any other error means
// exitFailed.
type exitError struct {
	code int
	err  error
	said bool // stdout has the words of err already
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// Main runs one command line, without the program's name, and returns the
// exit code. It stops early when ctx ends. Data goes to stdout, everything
// else to stderr.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	if args == nil {
		args = []string{} // nil would make cobra read os.Args
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var exit *exitError
	known := errors.As(err, &exit)
	if !known || !exit.said || !sameFile(stdout, stderr) {
		fmt.Fprintf(stderr, "cxrelay: %s\n", printableLines(err.Error()))
	}
	if !known {
		return exitFailed
	}
	if exit.code == exitUsage {
		fmt.Fprintf(stderr, "Run '%s --help' for usage.\n", cmd.CommandPath())
	}
	return exit.code
}

// sameFile tells whether two streams are one, such as a terminal.
func sameFile(a, b io.Writer) bool {
	f, isFile := a.(*os.File)
	g, isToo := b.(*os.File)
	if !isFile || !isToo {
		return false
	}
	one, err := f.Stat()
	other, err2 := g.Stat()
	return err == nil && err2 == nil && os.SameFile(one, other)
}

// printableLines is printable for a text of several lines. An error may quote
// what somebody else wrote, such as a captured request.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = printable(strings.ReplaceAll(line, "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "cxrelay",
		Short: "Relay signed webhooks into Kafka",
		Long: `cxrelay receives signed webhooks, checks them against the schema of a Schema
Registry and writes them into Kafka. It answers only when the event is safe.

To try it, with nothing else installed:
  cxrelay dev       and in a second terminal
  cxrelay send
To run it:
  cxrelay check FILE --connect
  cxrelay serve --config FILE`,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,

		SuggestionsMinimumDistance: 2, // letters that a mistyped command may differ in
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newServeCommand(),
		newDevCommand(),
		newCheckCommand(),
		newTryCommand(),
		newKeyCommand(),
		newConfigCommand(),
		newSchemaCommand(),
		newSendCommand(),
		newSignCommand(),
		newVerifyCommand(),
		newExplainCommand(),
		newCompletionCommand(),
		newVersionCommand(),
	)
	strictHelp(root)
	if err := completeValues(root); err != nil {
		panic(err) // two completions for one flag
	}
	return root
}

// strictHelp has the command help refuse what is no command; cobra prints the
// help of what stands before it, and exits with 0.
func strictHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, help := range root.Commands() {
		if help.Name() != "help" {
			continue
		}
		help.Run = nil
		help.RunE = func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			switch {
			case err != nil:
				return usageError("%w", err)
			case len(rest) > 0 && cmd.HasSubCommands():
				return unknownCommand(cmd, rest)
			case len(rest) > 0:
				return usageError("%q is no command of %s", rest[0], cmd.CommandPath())
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		}
	}
}

// unknownCommand refuses what cobra leaves over when no command matched.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(" (did you mean %s?)", strings.Join(near, " or "))
	}
	return usageError("unknown command %q%s", args[0], hint)
}

// flagError makes a wrong flag a usage error. A flag of a mistyped command
// is unknown to its parent; the command is what to complain about then.
func flagError(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 {
		return unknownCommand(cmd, cmd.Flags().Args())
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		return usageError("%w%s", err, flagHint(cmd, unknown))
	}
	return usageError("%w", err)
}

// flagHint asks for the flag that an unknown one is most likely meant to be. One
// with a single dash is read as a row of short flags; it may be a long one.
func flagHint(cmd *cobra.Command, unknown *pflag.NotExistError) string {
	name := unknown.GetSpecifiedName()
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		name, _, _ = strings.Cut(short, "=")
	}
	if len(name) < 2 {
		return ""
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	if near := config.Nearest(name, known); near != "" {
		return fmt.Sprintf(" (did you mean --%s?)", near)
	}
	for _, c := range cmd.Commands() {
		if c.Name() == name { // --version
			return fmt.Sprintf(" (did you mean the command %s?)", name)
		}
	}
	return ""
}

// positional has what a cobra check of arguments refuses said as a usage error
// that shows what the command takes.
func positional(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		_, takes, _ := strings.Cut(cmd.Use, " ")
		switch {
		case takes == "":
			return usageError("%q is an argument, and the command takes none", args[0])
		case len(args) == 0:
			return usageError("an argument is missing: %s", takes)
		case len(args) == 1:
			return usageError("%q is no argument here, want %s", args[0], takes)
		}
		return usageError("too many arguments, want %s", takes)
	}
}

// format is the value of --format.
type format string

const (
	formatText format = "text"
	formatJSON format = "json" // one object a line
)

func (f *format) String() string { return string(*f) }
func (f *format) Type() string   { return "text|json" }

func (f *format) Set(s string) error {
	switch format(s) {
	case formatText, formatJSON:
		*f = format(s)
		return nil
	default:
		return errors.New("want text or json")
	}
}

// formatFlag adds --format to a command.
func formatFlag(cmd *cobra.Command) *format {
	f := formatText
	cmd.Flags().Var(&f, "format", "output on stdout; json is one object a line")
	return &f
}

// printJSON writes one object and a line feed.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
