package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/signature"
)

const (
	defaultURL    = "http://127.0.0.1:8080/cxone/webhook"
	defaultSecret = "dev-secret" // the default of "cxrelay dev"
	secretEnv     = "CXONE_WEBHOOK_SECRET"
)

type signFlags struct {
	url, secret, secretFile, preset string
}

func newSignCommand() *cobra.Command {
	var f signFlags
	cmd := &cobra.Command{
		Use:   "sign FILE|-",
		Short: "Print the signature of a file, and a curl line that sends it",
		Long: `Sign prints the header that signs the exact bytes of a file, and a curl line
that sends them. "-" reads standard input; the curl line then holds the body
itself where it is text, else it reads standard input, too.

The secret is --secret, else the content of --secret-file (one line feed at
the end is cut), else the variable ` + secretEnv + `, else the
one that "cxrelay dev" uses. It is not part of what is printed.`,
		Example: "  cxrelay sign event.json\n  cxrelay sign - --preset stripe --secret-file /run/secrets/stripe < event.json",
		Args:    positional(cobra.ExactArgs(1)),
	}
	cmd.Flags().StringVar(&f.url, "url", defaultURL, "where the curl line sends to")
	cmd.Flags().StringVar(&f.secret, "secret", "", "signing secret (default: see above)")
	cmd.Flags().StringVar(&f.secretFile, "secret-file", "", "file that holds the secret")
	cmd.Flags().StringVar(&f.preset, "preset", "cxone", "signature scheme: "+strings.Join(signingPresets(), ", "))
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := readInput(cmd.InOrStdin(), args[0])
		if err != nil {
			return err
		}
		fields, err := f.sign(cmd, body)
		if err != nil {
			return err
		}
		return printSigned(cmd.OutOrStdout(), *format, fields, f.curl(args[0], body, fields))
	}
	return cmd
}

// signingPresets leaves out the presets that send the secret itself: they
// sign nothing, and their curl line would show it.
func signingPresets() []string {
	var names []string
	for _, name := range signature.PresetNames() {
		if scheme, _ := signature.Preset(name); scheme.Algorithm != signature.Static {
			names = append(names, name)
		}
	}
	return names
}

func (f *signFlags) sign(cmd *cobra.Command, body []byte) ([]signature.Field, error) {
	scheme, ok := signature.Preset(f.preset)
	if !ok {
		return nil, usageError("unknown preset %q (known: %s)", f.preset, strings.Join(signingPresets(), ", "))
	}
	if scheme.Algorithm == signature.Static {
		return nil, usageError("preset %s sends the secret itself and signs nothing", f.preset)
	}
	secret, err := f.key(cmd)
	if err != nil {
		return nil, err
	}
	fields, err := signature.Sign(scheme, secret, body, time.Now(), devkit.MessageID(body))
	if err != nil {
		return nil, usageError("--preset %s: %w", f.preset, err)
	}
	if w := scheme.Timestamp.Tolerance; w > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "cxrelay: the signature holds for %v from now\n", w)
	}
	return fields, nil
}

func (f *signFlags) key(cmd *cobra.Command) (signature.Secret, error) {
	if !cmd.Flags().Changed("secret-file") {
		return secretOf(cmd, f.secret)
	}
	if cmd.Flags().Changed("secret") {
		return signature.Secret{}, usageError("--secret and --secret-file exclude each other")
	}
	content, err := os.ReadFile(f.secretFile)
	if err != nil {
		return signature.Secret{}, usageError("--secret-file: %w", err)
	}
	content = bytes.TrimSuffix(content, []byte("\n"))
	return signature.Secret{ID: "--secret-file", Value: bytes.TrimSuffix(content, []byte("\r"))}, nil
}

// secretOf is the value of --secret, else of the variable, else the default.
// Its id, which errors show, is where it comes from.
func secretOf(cmd *cobra.Command, flag string) (signature.Secret, error) {
	if cmd.Flags().Changed("secret") {
		return signature.Secret{ID: "--secret", Value: []byte(flag)}, nil
	}
	switch value, set := os.LookupEnv(secretEnv); {
	case !set:
		return signature.Secret{ID: "default of --secret", Value: []byte(defaultSecret)}, nil
	case value == "":
		return signature.Secret{}, usageError("the variable %s is set, but empty: unset it, or give --secret", secretEnv)
	default:
		return signature.Secret{ID: secretEnv, Value: []byte(value)}, nil
	}
}

// readInput reads a file, or standard input for "-". A file that cannot be
// read is a usage error.
func readInput(stdin io.Reader, name string) ([]byte, error) {
	if name == "-" {
		body, err := io.ReadAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return body, nil
	}
	body, err := os.ReadFile(name)
	if err != nil {
		return nil, usageError("%w", err)
	}
	return body, nil
}

func printSigned(out io.Writer, f format, fields []signature.Field, curl string) error {
	if f == formatJSON {
		headers := map[string]string{}
		for _, h := range fields {
			headers[h.Name] = h.Value
		}
		return printJSON(out, struct {
			Headers map[string]string `json:"headers"`
			Curl    string            `json:"curl"`
		}{headers, curl})
	}
	for _, h := range fields {
		if _, err := fmt.Fprintf(out, "%s: %s\n", h.Name, h.Value); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "\n%s\n", curl)
	return err
}

func (f *signFlags) curl(name string, body []byte, fields []signature.Field) string {
	if name == "-" && fitsCommandLine(body) {
		return curlLine(f.url, fields, "--data-raw", string(body))
	}
	return curlLine(f.url, fields, "--data-binary", "@"+name)
}

// fitsCommandLine tells whether a shell can be given body as a word.
func fitsCommandLine(body []byte) bool {
	return len(body) <= 64<<10 && utf8.Valid(body) && !bytes.ContainsRune(body, 0)
}

// curlLine is a command for a POSIX shell that posts exactly the bytes that
// were signed. flag and data say how curl gets them: "--data-binary" with
// "@file", or "--data-raw" with the body itself.
func curlLine(url string, fields []signature.Field, flag, data string) string {
	words := []string{"curl", "-sS"}
	if strings.ContainsAny(url, "{}[]") {
		words = append(words, "-g") // no patterns in the URL
	}
	words = append(words, shellQuote(url), "-H", "'Content-Type: application/json'")
	for _, h := range fields {
		words = append(words, "-H", shellQuote(h.Name+": "+h.Value))
	}
	return strings.Join(append(words, flag, shellQuote(data)), " ")
}

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// shellWord is s as it stands where a shell takes that for one word, else
// quoted.
func shellWord(s string) string {
	special := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_./:@%+,", r))
	}
	if s == "" || strings.ContainsFunc(s, special) {
		return shellQuote(s)
	}
	return s
}
