package main

import (
	"bytes"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// request reads the file in the form that it has.
func (f *verifyFlags) request(cmd *cobra.Command, file string) (*captured, error) {
	data, err := readInput(cmd.InOrStdin(), file)
	if err != nil {
		return nil, err
	}
	form := f.form
	if form == "auto" {
		form = formOf(data, len(f.headers) > 0)
	}
	if len(f.headers) > 0 && form != "body" {
		return nil, usageError("-H gives the headers of a body, and --form %s has its own", form)
	}
	var c *captured
	switch form {
	case "http":
		c, err = parseHTTP(data)
	case "curl":
		c, err = parseCurl(string(data), func(name string) ([]byte, error) { return bodyFile(cmd, file, name) })
	case "body":
		c, err = bodyAlone(data, f.headers)
	case "":
		if traced(data) {
			return nil, usageError("%s is what curl -v prints, which lacks the body: give the curl command itself, "+
				"or the body's file and its headers with -H", captureName(file))
		}
		return nil, usageError("%s is neither a raw HTTP request (POST /path HTTP/1.1 and so on) nor a curl command; "+
			"for a body alone, give its headers with -H", captureName(file))
	default:
		return nil, usageError("--form %q: want auto, http, curl or body", f.form)
	}
	if err != nil {
		return nil, usageError("%s as %s: %w", captureName(file), form, err)
	}
	return c, nil
}

func captureName(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

// formOf guesses the form of a capture, "" for none.
func formOf(data []byte, headers bool) string {
	if headers {
		return "body"
	}
	line, _, _ := cutLine(data)
	if err := new(captured).requestLine(line); err == nil || strings.HasPrefix(line, "HTTP/") {
		return "http"
	}
	for line := range bytes.Lines(data) {
		switch line = bytes.TrimSpace(line); {
		case len(line) == 0 || line[0] == '#':
			continue
		case bytes.HasPrefix(line, []byte("curl ")) || bytes.HasPrefix(line, []byte("curl\t")) || bytes.Contains(line, []byte("/curl ")):
			return "curl"
		}
		return ""
	}
	return ""
}

// traced reports whether data is the talk of curl -v: lines that begin with
// "> " for what was sent, "< " and "* " for the rest.
func traced(data []byte) bool {
	for line := range bytes.Lines(data) {
		if sent, ok := bytes.CutPrefix(line, []byte("> ")); ok {
			return new(captured).requestLine(string(bytes.TrimSpace(sent))) == nil
		}
	}
	return false
}

// bodyAlone is a body with the headers of -H.
func bodyAlone(body []byte, headers []string) (*captured, error) {
	c := new(captured)
	c.Body = body
	for _, h := range headers {
		f, err := parseField(h)
		if err != nil {
			return nil, err
		}
		c.Fields = append(c.Fields, f)
	}
	return c, nil
}

// bodyFile reads what curl's @name names.
func bodyFile(cmd *cobra.Command, file, name string) ([]byte, error) {
	if name == "-" && file == "-" {
		return nil, usageError("the body is on standard input, and so is the command: name a file")
	}
	if name == "-" {
		return readInput(cmd.InOrStdin(), "-")
	}
	return os.ReadFile(name)
}
