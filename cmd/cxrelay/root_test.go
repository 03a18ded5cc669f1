package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestMisspeltFlags: every command asks for every flag of its own with a letter
// too much, and ends as a usage error with nothing on stdout.
func TestMisspeltFlags(t *testing.T) {
	eachCommand(newRootCommand(), func(cmd *cobra.Command) {
		cmd.InitDefaultHelpFlag()
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			args := strings.Fields(cmd.CommandPath() + " --" + f.Name + "q")[1:]
			var stdout, stderr bytes.Buffer
			code := Main(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
			want := "unknown flag: --" + f.Name + "q (did you mean --" + f.Name + "?)\n"
			if code != exitUsage || stdout.Len() > 0 || !strings.Contains(stderr.String(), want) {
				t.Errorf("%v: exit %d\n%s%s", args, code, &stdout, &stderr)
			}
		})
	})
}

func eachCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		eachCommand(c, visit)
	}
}
