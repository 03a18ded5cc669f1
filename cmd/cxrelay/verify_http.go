package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// captured is a request as somebody has written it down.
type captured struct {
	method, path string // path without query
	signature.Capture
	notes []string // what the person should know about how it was read
}

func (c *captured) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// header returns the first value of a header, or "".
func (c *captured) header(name string) string {
	for _, f := range c.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// parseHTTP reads a request as tcpdump, nc and proxies dump it (RFC 9112):
// request line, headers, empty line, body. Lines end in CRLF or LF; the body
// is kept byte for byte, but for the chunks of Transfer-Encoding and line ends
// beyond Content-Length. Errors name the line, never its value.
func parseHTTP(data []byte) (*captured, error) {
	line, rest, _ := cutLine(data)
	c := new(captured)
	if err := c.requestLine(line); err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	for n := 2; ; n++ {
		var whole bool
		line, rest, whole = cutLine(rest)
		if line == "" {
			if !whole {
				c.note("there is no empty line after the headers: the body is taken as empty")
			}
			break
		}
		if err := c.headerLine(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	c.Body = rest
	return c, c.frame()
}

// cutLine cuts a line without its end; whole is false when there is none.
func cutLine(data []byte) (line string, rest []byte, whole bool) {
	before, after, whole := bytes.Cut(data, []byte("\n"))
	return strings.TrimSuffix(string(before), "\r"), after, whole
}

func (c *captured) requestLine(line string) error {
	words := strings.Split(line, " ")
	if strings.HasPrefix(line, "HTTP/") {
		return errors.New("this is a response; a request starts with a line like POST /cxone/webhook HTTP/1.1")
	}
	if len(words) < 2 || len(words) > 3 || !isMethod(words[0]) || words[1] == "" || len(words) == 3 && !strings.HasPrefix(words[2], "HTTP/") {
		return errors.New("this is no request line, want one like POST /cxone/webhook HTTP/1.1")
	}
	c.method, c.path = words[0], pathOf(words[1])
	return nil
}

func isMethod(s string) bool { return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" }

// pathOf returns the path of a request target or URL.
func pathOf(target string) string {
	if _, after, ok := strings.Cut(target, "://"); ok {
		_, path, _ := strings.Cut(after, "/")
		target = "/" + path
	}
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	return target
}

func (c *captured) headerLine(line string) error {
	if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") { // obs-fold, RFC 9112 §5.2
		if len(c.Fields) == 0 {
			return errors.New("the first header begins with a blank")
		}
		last := &c.Fields[len(c.Fields)-1]
		last.Value = strings.TrimSpace(last.Value + " " + strings.Trim(line, " \t"))
		c.note("%s goes over several lines: they were joined by a space, which a server may refuse", last.Name)
		return nil
	}
	if strings.HasPrefix(line, ":") { // HTTP/2's, as some tools print them
		return nil
	}
	f, err := parseField(line)
	if err != nil {
		return err
	}
	c.Fields = append(c.Fields, f)
	return nil
}

// parseField reads "Name: value".
func parseField(line string) (signature.Field, error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !isToken(name) {
		return signature.Field{}, errors.New("this is no header, want Name: value")
	}
	return signature.Field{Name: name, Value: strings.Trim(value, " \t")}, nil
}

// isToken is RFC 9110 §5.6.2.
func isToken(s string) bool {
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r) {
			return false
		}
	}
	return s != ""
}

// frame takes the body out of its transfer coding, and compares its length.
func (c *captured) frame() error {
	if strings.EqualFold(c.header("Transfer-Encoding"), "chunked") {
		if body, ok := dechunk(c.Body); ok {
			c.Body = body
			c.note("the chunks of Transfer-Encoding were taken off the body")
		} else {
			c.note("Transfer-Encoding is chunked and the body is not: it is taken as it stands")
		}
		return nil
	}
	text := c.header("Content-Length")
	if text == "" {
		return nil
	}
	want, err := strconv.Atoi(text)
	if err != nil || want < 0 {
		return errors.New("the Content-Length is no number")
	}
	switch have := len(c.Body); {
	case have > want && strings.Trim(string(c.Body[want:]), "\r\n") == "":
		c.Body = c.Body[:want]
		c.note("line ends after the %d bytes of Content-Length were left out", want)
	case have != want:
		c.note("the body has %d bytes and Content-Length says %d: the capture is not whole, or something changed it", have, want)
	}
	return nil
}

// dechunk reads RFC 9112 §7.1, trailers and all.
func dechunk(data []byte) (body []byte, ok bool) {
	for {
		line, rest, whole := cutLine(data)
		digits, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 31)
		if err != nil || !whole {
			return nil, false
		}
		if n == 0 {
			return body, true
		}
		if uint64(len(rest)) < n {
			return nil, false
		}
		body = append(body, rest[:n]...)
		end, after, _ := cutLine(rest[n:])
		if end != "" {
			return nil, false
		}
		data = after
	}
}
