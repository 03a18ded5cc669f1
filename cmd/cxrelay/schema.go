package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/schema"
)

// newSchemaCommand is `cxrelay schema`: what a running relay validates
// against, and what it would say of a payload.
func newSchemaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "List, show and try the schemas of a running relay",
		Long: `List and show the schemas that a running relay validates against, and try a
payload against one of them, or against a schema in a file.

A relay is asked through its admin listener, which answers on loopback.`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2, // letters that a mistyped command may differ in
	}
	cmd.AddCommand(newSchemaListCommand(), newSchemaShowCommand(), newSchemaTryCommand())
	return cmd
}

func newSchemaListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the schemas of the routes, with their state",
		Long: `List what the routes of a running relay validate against: subject and version,
whether the schema is usable, and why not; which engine validates (fast, or
judge, slower, with the keyword for which fast declined), and what is odd about
the schema.

Exit codes: 0 answered, 69 the relay did not answer.`,
		Example: "  cxrelay schema list\n  cxrelay schema list --format json",
		Args:    positional(cobra.NoArgs),
	}
	relay := relayFlags(cmd)
	f := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := relay.schemas(cmd.Context(), "")
		if err != nil {
			return err
		}
		if *f == formatJSON {
			for _, e := range list.Schemas {
				if err := printJSON(cmd.OutOrStdout(), schemaLine{"schema", list.Mode, e}); err != nil {
					return err
				}
			}
			return nil
		}
		return printSchemas(cmd, list)
	}
	return cmd
}

// schemaLine is one of --format json.
type schemaLine struct {
	Event string `json:"event"`
	Mode  string `json:"mode"`
	schema.Entry
}

func printSchemas(cmd *cobra.Command, list *schema.Listing) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SUBJECT\tPIN\tVERSION\tID\tTYPE\tENGINE\tSTATE\tAGE\tIN USE SINCE")
	for _, e := range list.Schemas {
		row := []string{printable(e.Subject), pinName(e.Pinned), number0(e.Version), number0(e.ID), cmp.Or(printable(e.Type), "-"), cmp.Or(printable(e.Engine), "-"), string(e.State), "-", "-"}
		if e.Version > 0 {
			row[7] = (time.Duration(e.Age) * time.Second).String()
			row[8] = e.FetchedAt.UTC().Format(time.RFC3339)
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, e := range list.Schemas {
		if problem := e.Problem(); problem != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", pinOf(e), printable(problem))
		}
		printRemarks(cmd, e)
	}
	if list.Mode == "off" {
		fmt.Fprintln(cmd.ErrOrStderr(), "schema.mode is off: no payload is validated")
	}
	return nil
}

// pinOf names what a route asked for.
func pinOf(e schema.Entry) schema.Pin {
	return schema.Pin{Subject: printable(e.Subject), Version: e.Pinned}
}

func printRemarks(cmd *cobra.Command, e schema.Entry) {
	for _, remark := range e.Remarks() {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", pinOf(e), printable(remark))
	}
}

func pinName(version int) string {
	if version == 0 {
		return "latest"
	}
	return strconv.Itoa(version)
}

// number0 shows a number that is not known as a dash.
func number0(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

func newSchemaShowCommand() *cobra.Command {
	var version int
	cmd := &cobra.Command{
		Use:   "show SUBJECT",
		Short: "Print the schema that a running relay uses for a subject",
		Long: `Print the text of the schema that a running relay uses for a subject, as the
registry gave it; --format json has the texts of its references, too.

Exit codes: 0 printed, 1 there is none, 69 the relay did not answer.`,
		Example: "  cxrelay schema show cxone-data-action-v1 > schema.json",
		Args:    positional(cobra.ExactArgs(1)),
	}
	relay := relayFlags(cmd)
	versionFlag(cmd, &version)
	f := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		mode, e, err := relay.schema(cmd.Context(), args[0], version)
		if err != nil {
			return err
		}
		if *f == formatJSON {
			return printJSON(cmd.OutOrStdout(), schemaLine{"schema", mode, *e})
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s version %d, id %d, type %s, %s, engine %s\n", printable(e.Subject), e.Version, e.ID, printable(e.Type), e.State, cmp.Or(printable(e.Engine), "not told"))
		printRemarks(cmd, *e)
		_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.TrimSuffix(e.Text, "\n"))
		return err
	}
	return cmd
}

func versionFlag(cmd *cobra.Command, version *int) {
	cmd.Flags().IntVar(version, "version", 0, "of the subject, as a route pins it (default: the latest, else the first that is pinned)")
}
