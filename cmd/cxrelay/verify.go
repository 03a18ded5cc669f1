package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// verifyFlags are the flags of `cxrelay verify`.
type verifyFlags struct {
	form, at string
	headers  []string
	search   bool
	secrets  secretFlags
	scheme   schemeFlags
	format   *format
}

// newVerifyCommand is `cxrelay verify`: does this request match, and if not,
// why?
func newVerifyCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify FILE|-",
		Short: "Say whether a captured request is signed right, and if not, why",
		Long: `Verify takes a request that was captured and the secrets that a source has, and
says whether the source takes it. When it does not, verify looks for what
explains it: another secret, hex for base64, a body that was written again, a
newline, a clock, and many more, each with its remedy.

FILE is one of
  a raw HTTP request: request line, headers, empty line, body (CRLF or LF);
  a curl command, as browsers and Postman copy it (for bash);
  the body alone, with the headers given by -H.

The scheme and the secrets are those of --config, or else of --preset with the
flags below it and --secret-file, --secret-env. Beside --config, the secrets of
these two are such as the sender may have used instead; they stand in for those
of the source that are not on this machine. Without any of them the secret is in ` + secretEnv + `. No secret is printed.

With --search nothing is known of the scheme: verify tries every header,
encoding, usual signed text and form of the secrets, and prints the signature
block that fits, to be pasted under a source.

Exit codes: 0 the request matches, or with --search a block fits; 3 it does
not; 2 usage; 78 the configuration cannot be used.`,
		Example: "  cxrelay verify request.http --secret-file secret.txt\n" +
			"  cxrelay verify curl.txt --config cxrelay.yaml\n" +
			"  cxrelay verify body.json -H 'x-nice-signature: …' --secret-env NICE_SECRET --search",
		Args: positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return runVerify(cmd, &f, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "`\"Name: value\"` of the request; FILE is then the body alone")
	flags.StringVar(&f.form, "form", "auto", "what FILE is: auto, http, curl or body")
	flags.StringVar(&f.at, "at", "now", "when the request arrived: RFC 3339, or seconds or milliseconds since 1970")
	flags.BoolVar(&f.search, "search", false, "find the scheme")
	f.secrets.add(cmd)
	f.scheme.add(cmd)
	f.format = formatFlag(cmd)
	return cmd
}

func runVerify(cmd *cobra.Command, f *verifyFlags, file string) error {
	if err := f.validate(cmd, file); err != nil {
		return err
	}
	at, err := parseAt(f.at)
	if err != nil {
		return err
	}
	c, err := f.request(cmd, file)
	if err != nil {
		return err
	}
	known, err := f.secrets.load(cmd, f, c)
	if err != nil {
		return err
	}
	out := &verifyPrinter{out: cmd.OutOrStdout(), talk: cmd.ErrOrStderr(), format: *f.format}
	if f.search {
		return runSearch(out, c, known)
	}
	r, err := signature.Explain(signature.Question{Scheme: known.scheme, Secrets: known.own, Others: known.others, Now: at}, c.Capture)
	if err != nil {
		return usageError("%w (cxrelay verify --search finds the form)", err)
	}
	if !r.Matches() {
		c.notes = append(c.notes, known.untried...)
	}
	out.report(r, c.notes)
	if out.err == nil && !r.Matches() {
		return &exitError{code: exitFindings, err: errors.New("the request does not match")}
	}
	return out.err
}

func (f *verifyFlags) validate(cmd *cobra.Command, file string) error {
	changed := cmd.Flags().Changed
	switch {
	case file == "-" && f.secrets.stdin():
		return usageError("FILE and --secret-file are both standard input")
	case f.search && f.scheme.changed(cmd) != "":
		return usageError("--search finds what --%s says: leave it out", f.scheme.changed(cmd))
	case f.search && changed("at"):
		return usageError("--search does not judge the time: leave --at out")
	case changed("config") && f.scheme.changed(cmd) != "":
		return usageError("the configuration says what --%s does: leave one of them out", f.scheme.changed(cmd))
	case changed("source") && !changed("config"):
		return usageError("--source needs --config")
	}
	return nil
}

// parseAt reads the time of --at.
func parseAt(s string) (time.Time, error) {
	if s == "now" {
		return time.Now(), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || len(s) > 13 {
		return time.Time{}, usageError("--at %q: want now, a time like 2026-11-24T22:13:20Z, or seconds or milliseconds since 1970", s)
	}
	if len(s) > 11 {
		return time.UnixMilli(n), nil
	}
	return time.Unix(n, 0), nil
}

// schemeFlags describe a scheme: a preset, and what departs from it.
type schemeFlags struct {
	preset, header, algorithm, encoding, prefix, signed string
	timeHeader, timeKey, timeUnit                       string
	tolerance                                           time.Duration
	separator, idHeader, secretEncoding                 string
}

func (f *schemeFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.preset, "preset", "cxone", "signature scheme: "+strings.Join(signature.PresetNames(), ", "))
	flags.StringVar(&f.header, "signature-header", "", "name of the header that carries the signature")
	flags.StringVar(&f.algorithm, "algorithm", "", joined(signature.Algorithms()))
	flags.StringVar(&f.encoding, "encoding", "", "of the signature: "+joined(signature.Encodings()))
	flags.StringVar(&f.prefix, "prefix", "", "text before the signature")
	flags.StringVar(&f.signed, "signed", "", `what is signed, as "{timestamp}.{body}"`)
	flags.StringVar(&f.timeHeader, "timestamp-header", "", "name of the header that carries the signed time")
	flags.StringVar(&f.timeKey, "timestamp-key", "", "or the key of the list entry that does")
	flags.StringVar(&f.timeUnit, "timestamp-unit", "", joined(signature.Units()))
	flags.DurationVar(&f.tolerance, "tolerance", 0, "how far the signed time may be off (default 5m)")
	flags.StringVar(&f.separator, "list-separator", "", "between the signatures of a list")
	flags.StringVar(&f.idHeader, "id-header", "", "name of the header whose value is {id}")
	flags.StringVar(&f.secretEncoding, "secret-encoding", "", joined(signature.SecretEncodings()))
}

func joined[T ~string](all []T) string {
	var names []string
	for _, v := range all {
		names = append(names, string(v))
	}
	return strings.Join(names, ", ")
}

// changed returns the first flag of the scheme that was given, or "".
func (f *schemeFlags) changed(cmd *cobra.Command) string {
	for _, name := range []string{
		"preset", "signature-header", "algorithm", "encoding", "prefix", "signed", "timestamp-header", "timestamp-key", "timestamp-unit",
		"tolerance", "list-separator", "id-header", "secret-encoding",
	} {
		if cmd.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

// scheme is the preset with what the flags change, as the configuration
// completes it.
func (f *schemeFlags) scheme(cmd *cobra.Command) (signature.Scheme, error) {
	s, ok := signature.Preset(f.preset)
	if !ok {
		return s, usageError("unknown preset %q (known: %s)", f.preset, strings.Join(signature.PresetNames(), ", "))
	}
	changed := cmd.Flags().Changed
	set := func(name string, to *string, value string) {
		if changed(name) {
			*to = value
		}
	}
	set("signature-header", &s.Header, f.header)
	set("prefix", &s.Prefix, f.prefix)
	set("timestamp-header", &s.Timestamp.Header, f.timeHeader)
	set("timestamp-key", &s.Timestamp.Key, f.timeKey)
	set("list-separator", &s.List.Separator, f.separator)
	set("id-header", &s.IDHeader, f.idHeader)
	set("algorithm", (*string)(&s.Algorithm), f.algorithm)
	set("encoding", (*string)(&s.Encoding), f.encoding)
	set("signed", (*string)(&s.Signed), f.signed)
	set("secret-encoding", (*string)(&s.SecretEncoding), f.secretEncoding)
	set("timestamp-unit", (*string)(&s.Timestamp.Unit), f.timeUnit)
	if changed("tolerance") {
		s.Timestamp.Tolerance = f.tolerance
	}
	if s.Timestamp.Header != "" || s.Timestamp.Key != "" {
		if s.Timestamp.Unit == "" {
			s.Timestamp.Unit = signature.Seconds
		}
		if s.Timestamp.Tolerance == 0 && !changed("tolerance") {
			s.Timestamp.Tolerance = 5 * time.Minute
		}
	}
	if faults := s.Validate(); len(faults) > 0 {
		return s, usageError("the scheme: %w", errors.Join(asErrors(faults)...))
	}
	return s, nil
}

// asErrors names the flags where the fault is one of a flag.
func asErrors(faults []signature.Fault) []error {
	var errs []error
	for _, f := range faults {
		name := map[string]string{"header": "signature-header", "timestamp": "timestamp-header"}[f.Field]
		if name == "" {
			name = strings.NewReplacer(".", "-", "_", "-").Replace(f.Field)
		}
		errs = append(errs, fmt.Errorf("--%s: %s", name, f.Problem))
	}
	return errs
}
