package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the linker: -ldflags "-X main.version=v1.2.3 -X main.commit=abc".
// Without it the facts that the Go tool recorded are used.
var version, commit string //nolint:gochecknoglobals // -X can set nothing else

// build says what this binary was made of.
type build struct {
	Version string `json:"version"` // "devel" outside of a release
	Commit  string `json:"commit"`  // "unknown" without version control, "+dirty" after changes
	Go      string `json:"go"`
}

func readBuild() build {
	b := build{Version: version, Commit: commit, Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "(devel)" {
			b.Version = cmp.Or(b.Version, v)
		}
		b.Commit = cmp.Or(b.Commit, revision(info.Settings))
	}
	b.Version = cmp.Or(b.Version, "devel")
	b.Commit = cmp.Or(b.Commit, "unknown")
	return b
}

func revision(settings []debug.BuildSetting) string {
	found := map[string]string{}
	for _, s := range settings {
		found[s.Key] = s.Value
	}
	rev := found["vcs.revision"]
	if rev != "" && found["vcs.modified"] == "true" {
		rev += "+dirty"
	}
	return rev
}

func newVersionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Args:  positional(cobra.NoArgs),
	}
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, out := readBuild(), cmd.OutOrStdout()
		if *format == formatJSON {
			return printJSON(out, b)
		}
		_, err := fmt.Fprintf(out, "cxrelay %s\ncommit  %s\ngo      %s\n", b.Version, b.Commit, b.Go)
		return err
	}
	return cmd
}
