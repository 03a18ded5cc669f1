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
var version, commit, date string //nolint:gochecknoglobals // -X can set nothing else

// build says what this binary was made of.
type build struct {
	Version string `json:"version"` // "devel" outside of a release
	Commit  string `json:"commit"`  // "unknown" without version control, "+dirty" after changes
	Date    string `json:"date"`    // of the commit or the build, RFC 3339; "unknown" without version control
	Go      string `json:"go"`
}

func readBuild() build {
	b := build{Version: version, Commit: commit, Date: date, Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "(devel)" {
			b.Version = cmp.Or(b.Version, v)
		}
		b.Commit = cmp.Or(b.Commit, revision(info.Settings))
		b.Date = cmp.Or(b.Date, recorded(info.Settings, "vcs.time"))
	}
	b.Version = cmp.Or(b.Version, "devel")
	b.Commit = cmp.Or(b.Commit, "unknown")
	b.Date = cmp.Or(b.Date, "unknown")
	return b
}

func revision(settings []debug.BuildSetting) string {
	rev := recorded(settings, "vcs.revision")
	if rev != "" && recorded(settings, "vcs.modified") == "true" {
		rev += "+dirty"
	}
	return rev
}

// recorded returns what the Go tool recorded under a key, or "".
func recorded(settings []debug.BuildSetting, key string) string {
	for _, s := range settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

func newVersionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version, commit, date and Go version",
		Args:  positional(cobra.NoArgs),
	}
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, out := readBuild(), cmd.OutOrStdout()
		if *format == formatJSON {
			return printJSON(out, b)
		}
		_, err := fmt.Fprintf(out, "cxrelay %s\ncommit  %s\ndate    %s\ngo      %s\n", b.Version, b.Commit, b.Date, b.Go)
		return err
	}
	return cmd
}
