package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// tryFlags are the flags of `cxrelay schema try`.
type tryFlags struct {
	relay   *relayAPI
	file    schemaFile
	subject string
	version int
	format  *format
}

func newSchemaTryCommand() *cobra.Command {
	var f tryFlags
	cmd := &cobra.Command{
		Use:   "try FILE|-",
		Short: "Validate a payload as the relay does",
		Long: `Validate a payload with the engine of the relay, and print every violation as
the relay would answer it. The schema is in a file (--schema), or it is that
which a running relay uses for a subject (--subject). "-" reads standard input.

Exit codes: 0 valid, 3 not, 1 the schema cannot be used, 69 the relay did not
answer.`,
		Example: "  cxrelay schema try event.json --schema schema.json\n  cxrelay schema try event.json --subject cxone-data-action-v1 --format json",
		Args:    positional(cobra.ExactArgs(1)),
	}
	f.file.register(cmd)
	cmd.Flags().StringVar(&f.subject, "subject", "", "whose schema a running relay is asked for")
	versionFlag(cmd, &f.version)
	f.relay = relayFlags(cmd)
	f.format = formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.validate(cmd); err != nil {
			return err
		}
		payload, err := readInput(cmd.InOrStdin(), args[0])
		if err != nil {
			return err
		}
		def, err := f.definition(cmd)
		if err != nil {
			return err
		}
		return f.try(cmd.OutOrStdout(), def, payload)
	}
	return cmd
}

func (f *tryFlags) validate(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	switch {
	case changed("schema") && changed("subject"):
		return usageError("--schema and --subject exclude each other: the schema is in a file, or a running relay's")
	case !changed("schema") && !changed("subject"):
		return usageError("name the schema with --schema FILE, or with --subject that of a running relay")
	case changed("reference") && !changed("schema"):
		return usageError("--reference needs --schema")
	case !changed("subject") && (changed("version") || changed("admin") || changed("token-file")):
		return usageError("--version, --admin and --token-file need --subject")
	}
	return nil
}

// definition reads the schema from its file, or asks the relay.
func (f *tryFlags) definition(cmd *cobra.Command) (schema.Definition, error) {
	if f.subject != "" || f.file.name == "" {
		return f.relay.definition(cmd.Context(), f.subject, f.version)
	}
	return f.file.definition()
}

// schemaFile is a schema in a file, with those that it refers to.
type schemaFile struct {
	name       string
	references []string
}

func (s *schemaFile) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.name, "schema", "", "`file` that holds a JSON Schema")
	cmd.Flags().StringArrayVar(&s.references, "reference", nil, "with --schema: a schema that it refers to, as `NAME=FILE`; may be repeated")
}

// definition reads the files. One that cannot be read is a usage error.
func (s *schemaFile) definition() (schema.Definition, error) {
	text, err := os.ReadFile(s.name)
	if err != nil {
		return schema.Definition{}, usageError("--schema: %w", err)
	}
	def := schema.Definition{Subject: s.name, Type: "JSON", Text: string(text), References: map[string]string{}}
	for _, r := range s.references {
		name, file, ok := strings.Cut(r, "=")
		if !ok || name == "" {
			return schema.Definition{}, usageError("--reference %q: want NAME=FILE", r)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return schema.Definition{}, usageError("--reference: %w", err)
		}
		def.References[name] = string(text)
	}
	return def, nil
}

// compileSchema makes of a definition what the relay would make of it.
func compileSchema(def schema.Definition) (*schema.Schema, error) {
	engine, err := schema.ByType(map[string]schema.Compiler{"JSON": jsonschema.Compile})(def)
	if err != nil {
		return nil, fmt.Errorf("the relay would refuse this schema: %w", err)
	}
	return &schema.Schema{Subject: def.Subject, Version: def.Version, ID: def.ID, Validator: engine}, nil
}

// nameOf is how the schema is called in the output.
func nameOf(s *schema.Schema) string {
	if s.Version == 0 {
		return s.Subject
	}
	return fmt.Sprintf("%s version %d (id %d)", printable(s.Subject), s.Version, s.ID)
}

// The lines of --format json.
type (
	violationLine struct {
		Event string `json:"event"`
		schema.Violation
	}
	verdictLine struct {
		Event      string `json:"event"`
		Valid      bool   `json:"valid"`
		Reason     string `json:"reason,omitempty"` // that the relay would answer
		Detail     string `json:"detail,omitempty"`
		Violations int    `json:"violations"`
		Subject    string `json:"subject,omitempty"`
		Version    int    `json:"version,omitempty"`
		ID         int    `json:"id,omitempty"`
	}
)

// try prints the verdict and makes the exit code of it.
func (f *tryFlags) try(out io.Writer, def schema.Definition, payload []byte) error {
	sch, err := compileSchema(def)
	if err != nil {
		return err
	}
	line := verdictLine{Event: "verdict"}
	if def.Version > 0 {
		line.Subject, line.Version, line.ID = def.Subject, def.Version, def.ID
	}
	var doc jsontape.Doc
	err = doc.Parse(payload, jsontape.Limits{})
	if err == nil && doc.Nodes()[0].Kind != jsontape.Object {
		err = event.ErrNotObject
	}
	if err != nil {
		line.Reason, line.Detail = reason.Malformed.String(), err.Error()
		return f.print(out, sch, line, nil)
	}
	_, violations, err := sch.Validator.Check(&doc, nil)
	if err != nil {
		return fmt.Errorf("the engine failed: %w", err)
	}
	if violations != nil {
		line.Reason = reason.SchemaMismatch.String()
	}
	line.Valid, line.Violations = violations == nil, len(violations)
	return f.print(out, sch, line, violations)
}

func (f *tryFlags) print(out io.Writer, sch *schema.Schema, line verdictLine, violations []schema.Violation) error {
	var err error
	switch {
	case *f.format == formatJSON:
		for _, v := range violations {
			err = errors.Join(err, printJSON(out, violationLine{"violation", v}))
		}
		err = errors.Join(err, printJSON(out, line))
	case line.Valid:
		_, err = fmt.Fprintf(out, "valid against %s\n", nameOf(sch))
	default:
		err = printViolations(out, violations)
	}
	switch {
	case err != nil || line.Valid:
		return err
	case line.Detail != "":
		return &exitError{code: exitFindings, err: fmt.Errorf("%s: %s", line.Reason, line.Detail)}
	}
	return violates(line.Violations, sch)
}

// violates says of what the violations are.
func violates(n int, sch *schema.Schema) error {
	return &exitError{code: exitFindings, err: fmt.Errorf("%s: %s of %s", reason.SchemaMismatch, counted(n, "violation"), nameOf(sch))}
}

func printViolations(out io.Writer, all []schema.Violation) error {
	for _, v := range all {
		if _, err := fmt.Fprintln(out, printable(v.String())); err != nil {
			return err
		}
	}
	return nil
}
