package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// curlParser gathers what a curl command says about the request that it sends.
type curlParser struct {
	read func(name string) ([]byte, error) // of @file

	c      *captured
	body   []byte
	parts  int // of the body
	get    bool
	remove []string
}

// parseCurl reads a curl command, as browsers' "copy as cURL (bash)" and
// Postman give it. An option that it does not know is refused, because it may
// change the request. Errors name the option, never its value.
func parseCurl(line string, read func(name string) ([]byte, error)) (*captured, error) {
	words, err := shellWords(line)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 || words[0] != "curl" && !strings.HasSuffix(words[0], "/curl") {
		return nil, errors.New("this is no curl command")
	}
	p := &curlParser{read: read, c: &captured{method: "GET"}}
	for words = words[1:]; len(words) > 0; {
		n, err := p.word(words)
		if err != nil {
			return nil, err
		}
		words = words[n:]
	}
	if p.c.path == "" {
		return nil, errors.New("the curl command has no URL")
	}
	p.c.Body = p.body
	p.c.Fields = slices.DeleteFunc(p.c.Fields, func(f signature.Field) bool {
		return slices.ContainsFunc(p.remove, func(name string) bool { return strings.EqualFold(name, f.Name) })
	})
	return p.c, nil
}

// word reads one option with its value, or the URL; n is how many words that is.
func (p *curlParser) word(words []string) (n int, err error) {
	w := words[0]
	if strings.HasPrefix(w, "--") {
		return p.option(w, words[1:])
	}
	if len(w) < 2 || w[0] != '-' {
		p.c.path = pathOf(withScheme(w))
		return 1, nil
	}
	for i := 1; i < len(w); i++ { // -sSXPOST is -s -S -X POST
		name := "-" + w[i:i+1]
		if known := longName(name); known != "" {
			name = known
		}
		if isSwitch(name) {
			if _, err := p.option(name, nil); err != nil {
				return 0, err
			}
			continue
		}
		if i+1 < len(w) {
			_, err := p.option(name, []string{w[i+1:]})
			return 1, err
		}
		return p.option(name, words[1:])
	}
	return 1, nil
}

// withScheme makes a URL of what curl takes as one.
func withScheme(url string) string {
	if strings.Contains(url, "://") {
		return url
	}
	return "http://" + url
}

// longName returns the long name of a short option that matters here, or "".
func longName(short string) string {
	switch short {
	case "-H":
		return "--header"
	case "-d":
		return "--data"
	case "-X":
		return "--request"
	case "-u":
		return "--user"
	case "-G":
		return "--get"
	case "-F":
		return "--form"
	case "-T":
		return "--upload-file"
	default:
		return ""
	}
}

// isSwitch reports whether an option takes no value. Only those that do not
// change the request are known, and --get.
func isSwitch(name string) bool {
	return slices.Contains([]string{
		"-s", "-S", "-k", "-L", "-i", "-v", "-g", "-f", "-N", "-0", "-4", "-6", "-#", "--get",
		"--silent", "--show-error", "--insecure", "--location", "--include", "--verbose", "--globoff", "--fail", "--fail-with-body", "--no-buffer",
		"--compressed", "--http1.0", "--http1.1", "--http2", "--http2-prior-knowledge", "--http3", "--ipv4", "--ipv6", "--no-progress-meter",
		"--progress-bar", "--path-as-is", "--tcp-nodelay", "--no-keepalive", "--ssl-no-revoke",
	}, name)
}

// hasIdleValue reports whether an option has a value that does not matter here.
func hasIdleValue(name string) bool {
	return slices.Contains([]string{
		"-o", "-m", "-w", "-x", "-E", "-D", "-A", "-e", "-b", "-c", "--output", "--max-time", "--connect-timeout", "--write-out", "--proxy", "--cert", "--key",
		"--cacert", "--dump-header", "--user-agent", "--referer", "--cookie", "--cookie-jar", "--resolve", "--connect-to", "--retry", "--retry-delay",
		"--retry-max-time", "--interface", "--limit-rate", "--trace", "--trace-ascii", "--stderr", "--pass", "--tls-max", "--ciphers",
	}, name)
}

func (p *curlParser) option(name string, rest []string) (n int, err error) {
	if isSwitch(name) {
		p.get = p.get || name == "--get"
		if p.get {
			return 0, errors.New("curl's --get puts the data into the URL; a webhook has a body")
		}
		return 1, nil
	}
	if len(rest) == 0 {
		return 0, fmt.Errorf("curl's %s has no value, or is unknown here", bare(name))
	}
	if hasIdleValue(name) {
		return 2, nil
	}
	if err := p.setting(name, rest[0]); err != nil {
		return 0, fmt.Errorf("curl's %s: %w", bare(name), err)
	}
	return 2, nil
}

// bare is an option without a value that is attached to it: that may be a
// secret.
func bare(name string) string {
	name, _, _ = strings.Cut(name, "=")
	return name
}

func (p *curlParser) setting(name, value string) error {
	switch name {
	case "--url":
		p.c.path = pathOf(withScheme(value))
	case "--request":
		p.c.method = value
	case "--header":
		return p.field(value)
	case "--user":
		p.add("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(value)))
	case "--oauth2-bearer":
		p.add("Authorization", "Bearer "+value)
	case "--data", "--data-ascii":
		return p.data(value, true, true)
	case "--data-raw":
		return p.data(value, false, false)
	case "--data-binary":
		return p.data(value, true, false)
	case "--json":
		p.add("Content-Type", "application/json")
		return p.json(value)
	default:
		return errors.New("is not supported here: save the body in a file, and give the headers with -H")
	}
	return nil
}

func (p *curlParser) add(name, value string) {
	p.c.Fields = append(p.c.Fields, signature.Field{Name: name, Value: value})
}

// field reads "Name: value", "Name;" (sent empty) and "Name:" (not sent).
func (p *curlParser) field(text string) error {
	if strings.HasPrefix(text, "@") {
		return errors.New("names a file: write the headers out")
	}
	if name, ok := strings.CutSuffix(text, ";"); ok && isToken(name) {
		p.add(name, "")
		return nil
	}
	f, err := parseField(text)
	if err != nil {
		return err
	}
	if f.Value == "" {
		p.remove = append(p.remove, f.Name)
		return nil
	}
	p.c.Fields = append(p.c.Fields, f)
	return nil
}

// data adds a part to the body as curl does: parts are joined by &, and the
// file of --data loses line ends and NUL bytes.
func (p *curlParser) data(value string, files, cut bool) error {
	part, err := p.part(value, files, cut)
	if err != nil {
		return err
	}
	if p.parts++; p.parts > 1 {
		p.body = append(p.body, '&')
	}
	p.body = append(p.body, part...)
	if p.c.method == "GET" {
		p.c.method = "POST"
	}
	return nil
}

// json adds a part as --json does: nothing between the parts, nothing cut.
func (p *curlParser) json(value string) error {
	part, err := p.part(value, true, false)
	p.body = append(p.body, part...)
	p.c.method = "POST"
	return err
}

func (p *curlParser) part(value string, files, cut bool) ([]byte, error) {
	name, isFile := strings.CutPrefix(value, "@")
	if !isFile || !files {
		return []byte(value), nil
	}
	b, err := p.read(name)
	if err != nil || !cut {
		return b, err
	}
	whole := len(b)
	b = slices.DeleteFunc(b, func(c byte) bool { return c == '\r' || c == '\n' || c == 0 })
	if len(b) != whole {
		p.c.note("curl's --data cuts the line ends out of a file, so the sender sent the body without them; --data-binary keeps them")
	}
	return b, nil
}
