package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// verifyPrinter writes what `cxrelay verify` has to say.
type verifyPrinter struct {
	out, talk io.Writer
	format    format
	err       error // the first of writing
}

// The lines of --format json.
type (
	matchLine struct {
		Event   string `json:"event"`
		Matches bool   `json:"matches"`
		Secret  string `json:"secret,omitempty"` // that made the signature, if it is known
		Why     string `json:"why,omitempty"`
		Message string `json:"message"`
		Tried   int    `json:"tried"`
		Whole   bool   `json:"whole"` // all that verify knows was tried
	}
	departureLine struct {
		Event  string `json:"event"`
		Cause  string `json:"cause"`
		How    string `json:"how"`
		Remedy string `json:"remedy"`
	}
	foreignLine struct {
		Event  string `json:"event"`
		Scheme string `json:"scheme"`
		Reason string `json:"reason"`
	}
	noteLine struct {
		Event   string `json:"event"`
		Message string `json:"message"`
	}
	schemeLine struct {
		Event  string `json:"event"`
		Preset string `json:"preset,omitempty"`
		Secret string `json:"secret"`
		YAML   string `json:"yaml"`
	}
)

func (p *verifyPrinter) print(text string, args ...any) {
	if _, err := fmt.Fprintf(p.out, text, args...); p.err == nil {
		p.err = err
	}
}

func (p *verifyPrinter) json(v any) {
	if err := printJSON(p.out, v); p.err == nil {
		p.err = err
	}
}

// report prints a verdict with its explanation.
func (p *verifyPrinter) report(r *signature.Report, notes []string) {
	if p.format == formatJSON {
		line := matchLine{Event: "verdict", Matches: r.Matches(), Secret: r.Secret, Message: r.Fact, Tried: r.MACs, Whole: r.Whole}
		if !r.Matches() {
			line.Why = string(r.Failure.Why)
		}
		p.json(line)
		p.details(r, notes)
		return
	}
	if r.Matches() {
		p.print("matches: %s\n", printable(r.Fact))
	} else {
		p.print("does not match: %s\n\n", printable(r.Fact))
	}
	switch {
	case r.Matches():
	case len(r.Departures) > 0 && r.Secret == "":
		p.print("It would match:\n")
	case len(r.Departures) > 0:
		p.print("It would match, with secret %q:\n", r.Secret)
	case r.Foreign == nil:
		p.print("%s\n", unexplained(r))
	}
	p.details(r, notes)
}

// unexplained says what it means that nothing was found.
func unexplained(r *signature.Report) string {
	text := fmt.Sprintf("Nothing explains it; %d signatures were tried", r.MACs)
	if !r.Whole {
		text += ", which is the bound, and not all that can be tried: give fewer secrets, or a shorter body"
	}
	return text + ". The sender has another secret, or what was changed cannot be guessed:\n" +
		"set the secret anew on both sides, and capture the request where it arrives."
}

// details prints departures, an unsupported scheme, and notes.
func (p *verifyPrinter) details(r *signature.Report, notes []string) {
	for _, d := range r.Departures {
		if p.format == formatJSON {
			p.json(departureLine{"departure", string(d.Cause), d.How, d.Remedy})
			continue
		}
		p.print("  %s: %s\n    remedy: %s\n", d.Cause, printable(d.How), printable(d.Remedy))
	}
	if f := r.Foreign; f != nil && p.format == formatJSON {
		p.json(foreignLine{"unsupported", f.Name, f.Reason})
	} else if f != nil {
		p.print("It looks like %s, which the relay does not support:\n%s.\n", f.Name, f.Reason)
	}
	for _, n := range notes {
		if p.format == formatJSON {
			p.json(noteLine{"note", n})
			continue
		}
		p.print("\nnote: %s\n", printable(n))
	}
}

// runSearch finds the scheme and prints its block; talk goes to stderr, so
// that stdout can be pasted.
func runSearch(p *verifyPrinter, c *captured, k *knowledge) error {
	d, err := signature.Discover(append(k.own, k.others...), c.Capture)
	if err != nil {
		return p.notFound(d, c.notes, err)
	}
	block := schemeBlock(d, k.where[d.Secret])
	if p.format == formatJSON {
		p.json(schemeLine{"scheme", d.Preset, d.Secret, block})
		p.details(&d.Report, c.notes)
	} else {
		p.print("%s", block)
		talk := &verifyPrinter{out: p.talk, format: formatText}
		if len(d.Departures) > 0 {
			talk.print("cxrelay: the block fits, with secret %q, but for this request itself:\n", d.Secret)
		}
		talk.details(&d.Report, c.notes)
	}
	if p.err == nil && len(d.Departures) > 0 {
		return &exitError{code: exitFindings, err: errors.New("a block fits, and the request was changed beside")}
	}
	return p.err
}

// notFound says what is known where no block fits.
func (p *verifyPrinter) notFound(d *signature.Discovery, notes []string, cause error) error {
	if p.format == formatText {
		p = &verifyPrinter{out: p.talk, format: formatText}
	}
	p.details(&d.Report, notes)
	if p.err != nil {
		return p.err
	}
	if d.Foreign == nil && errors.Is(cause, signature.ErrNoScheme) && !d.Whole {
		cause = fmt.Errorf("%w within the bound", cause)
	}
	return &exitError{code: exitFindings, err: fmt.Errorf("%w: %d signatures were tried", cause, d.MACs)}
}

// schemeBlock is the signature block of a source, indented as it stands in
// examples/cxrelay.yaml. place is where the secret is.
func schemeBlock(d *signature.Discovery, place string) string {
	const indent = "      "
	var b strings.Builder
	b.WriteString("    signature:\n")
	key := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s%s: %s\n", indent, name, value)
		}
	}
	if d.Preset != "" {
		key("preset", d.Preset)
	} else {
		schemeKeys(key, d.Scheme)
	}
	key("secrets", fmt.Sprintf("[{id: %s, %s}]", secretLabel(d.Secret), place))
	return b.String()
}

func schemeKeys(key func(name, value string), s signature.Scheme) {
	text := func(s string) string {
		if s == "" {
			return ""
		}
		return yamlText(s)
	}
	key("header", text(s.Header))
	key("algorithm", string(s.Algorithm))
	key("encoding", string(s.Encoding))
	key("prefix", text(s.Prefix))
	if s.Signed != signature.BodyOnly {
		key("signed", text(string(s.Signed)))
	}
	if t := s.Timestamp; t != (signature.Timestamp{}) {
		where := "header: " + text(t.Header)
		if t.Key != "" {
			where = "key: " + text(t.Key)
		}
		key("timestamp", fmt.Sprintf("{%s, unit: %s, tolerance: %v}", where, t.Unit, t.Tolerance))
	}
	if s.List.Separator != "" {
		key("list", fmt.Sprintf("{separator: %s}", text(s.List.Separator)))
	}
	key("id_header", text(s.IDHeader))
	if s.SecretEncoding != signature.SecretRaw {
		key("secret_encoding", string(s.SecretEncoding))
	}
}

// yamlText is s as a YAML scalar of the configuration: bare where it is a path
// or a word of some length, else quoted, with ${ written so that nothing is put
// there. (Short words like no and null mean something in YAML.)
func yamlText(s string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if len(s) > 5 && strings.ContainsRune(letters+"/", rune(s[0])) && strings.Trim(s, letters+"0123456789-_./") == "" {
		return s
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(strings.ReplaceAll(s, "${", "$${")); err != nil {
		return "" // not reached: a string can be encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// secretLabel makes an id of a configuration out of where a secret was found.
func secretLabel(id string) string {
	id = id[strings.LastIndexByte(id, '/')+1:]
	label := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._", r) {
			return r
		}
		return '-'
	}, id)
	return yamlText(label[:min(len(label), 64)])
}
