package schema

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// requestsPerSecond is far under what hosted registries allow all clients
	// of one registry together.
	requestsPerSecond = 5
	// maxRetryAfter: a registry that asks for longer is asked again then.
	maxRetryAfter = 5 * time.Minute
	// maxWords bounds what is kept of a text that the registry chose.
	maxWords = 200

	accept = "application/vnd.schemaregistry.v1+json, application/json"
)

// endpoint is one address of the registry.
type endpoint struct {
	base          string // without credentials and without a slash at the end
	authorization string

	mu        sync.Mutex
	until     time.Time // leave alone before then
	throttled *StatusError
}

func newEndpoint(text, authorization string) (*endpoint, error) {
	u, err := url.Parse(text)
	if err != nil {
		// url.Parse's error quotes the text.
		return nil, errors.New("not a valid URL (a password in it must be percent-encoded)")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("it must start with http:// or https://")
	case u.Host == "":
		return nil, errors.New("it has no host")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("it must not have a query or a fragment")
	}
	if u.User != nil {
		password, _ := u.User.Password()
		authorization = basicAuth(u.User.Username(), password)
	}
	base := strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/")
	return &endpoint{base: base, authorization: authorization}, nil
}

func basicAuth(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// leaveAlone keeps requests away for as long as the registry asked.
func (e *endpoint) leaveAlone(err *StatusError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.until, e.throttled = time.Now().Add(err.RetryAfter), err
}

// closed is nil, or the earlier error with what is left of its wait.
func (e *endpoint) closed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	left := time.Until(e.until)
	if left <= 0 {
		return nil
	}
	again := *e.throttled
	again.RetryAfter = left
	return &again
}

// get asks for a schema version.
func (c *Client) get(ctx context.Context, path string) (*answer, error) {
	var a *answer
	err := c.inTurn(ctx, func(ep *endpoint) (err error) {
		a, err = c.attempt(ctx, ep, path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// inTurn tries the endpoints, from the one that answered last, until one gives
// a verdict.
func (c *Client) inTurn(ctx context.Context, try func(*endpoint) error) error {
	first := int(c.current.Load())
	var failed, closed error
	for i := range c.endpoints {
		at := (first + i) % len(c.endpoints)
		ep := c.endpoints[at]
		if err := ep.closed(); err != nil {
			closed = err
			continue
		}
		err := try(ep)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || isVerdict(err) {
			if c.current.Swap(int64(at)) != int64(at) {
				c.log.Info("schema registry: another address answers", "url", ep.base)
			}
			return err
		}
		failed = err
	}
	// With one address closed and another away, the one away decides when to
	// try again; the closed one is passed over until its time has come.
	if failed != nil {
		return failed
	}
	return closed
}

// isVerdict tells an answer that every address of the registry would give
// from a fault of this one.
func isVerdict(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Status/100 == 4 &&
		status.Status != http.StatusTooManyRequests && status.Status != http.StatusRequestTimeout
}

// attempt makes one request, when its turn has come.
func (c *Client) attempt(ctx context.Context, ep *endpoint, path string) (*answer, error) {
	if err := c.pace.wait(ctx); err != nil {
		return nil, err
	}
	if err := ep.closed(); err != nil { // another request was throttled meanwhile
		return nil, err
	}
	q := &question{method: http.MethodGet, path: path, within: c.timeout, limit: c.maxBytes}
	var a *answer
	err := c.observed(ep, func() error {
		r, err := c.exchange(ctx, ep, q)
		switch {
		case err != nil:
			return err
		case r.status != http.StatusOK:
			return statusError(r) // however much of it was read
		case r.broken != nil:
			return r.broken
		}
		a, err = parseAnswer(ep, r.body)
		return err
	})
	return a, err
}

// observed makes one request, counts its time, and leaves the address alone
// if the answer asks for that.
func (c *Client) observed(ep *endpoint, ask func() error) error {
	start := time.Now()
	err := ask()
	c.duration.WithLabelValues(requestResult(err)).Observe(time.Since(start).Seconds())
	var status *StatusError
	if errors.As(err, &status) && status.RetryAfter > 0 {
		ep.leaveAlone(status)
	}
	return err
}

// question is what a request asks, and what it may cost.
type question struct {
	method, path string
	body         func() io.ReadCloser // nil: none; may be called again
	length       int                  // of body
	within       time.Duration
	limit        int // bytes of the answer
}

// reply is what came back.
type reply struct {
	asked  *url.URL // without credentials
	status int
	header http.Header
	body   []byte
	broken error // of reading the body
}

// exchange makes one request. The error says that there was no answer.
func (c *Client) exchange(ctx context.Context, ep *endpoint, q *question) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, q.within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.method, ep.base+q.path, nil)
	if err != nil {
		return nil, fmt.Errorf("registry at %s: %w", ep.base, err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", c.userAgent)
	if q.body != nil {
		req.ContentLength, req.Body = int64(q.length), q.body()
		req.GetBody = func() (io.ReadCloser, error) { return q.body(), nil }
		req.Header.Set("Content-Type", "application/json")
		req.Header["Idempotency-Key"] = nil // not sent; net/http may try again when an idle connection has just been closed
	}
	if ep.authorization != "" {
		req.Header.Set("Authorization", ep.authorization)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, q.failed(ep, err)
	}
	defer func() { _ = resp.Body.Close() }() // read as far as wanted; nothing to lose
	r := &reply{asked: req.URL, status: resp.StatusCode, header: resp.Header}
	r.body, r.broken = q.read(ep, resp)
	return r, nil
}

// failed is an error of the transport in our words.
func (q *question) failed(ep *endpoint, err error) error {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err // the address is named once
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("registry at %s: no answer within %s: %w", ep.base, q.within, err)
	}
	return fmt.Errorf("registry at %s: %w", ep.base, err)
}

// read takes at most limit bytes of an answer into memory, however long it is.
func (q *question) read(ep *endpoint, resp *http.Response) ([]byte, error) {
	tooLarge := fmt.Errorf("registry at %s: %w: it is larger than %d bytes", ep.base, ErrBadAnswer, q.limit)
	if resp.ContentLength > int64(q.limit) {
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(q.limit)+1))
	if err != nil {
		return nil, q.failed(ep, err)
	}
	if len(body) > q.limit {
		return nil, tooLarge
	}
	return body, nil
}

func parseAnswer(ep *endpoint, body []byte) (*answer, error) {
	if !utf8.Valid(body) { // the decoder would make another schema of it
		return nil, fmt.Errorf("registry at %s: %w: it is not UTF-8", ep.base, ErrBadAnswer)
	}
	a := &answer{bytes: len(body)}
	if err := json.Unmarshal(body, a); err != nil {
		return nil, fmt.Errorf("registry at %s: %w: it is not the JSON of a schema", ep.base, ErrBadAnswer)
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("registry at %s: %w: %w", ep.base, ErrBadAnswer, err)
	}
	return a, nil
}

func statusError(r *reply) error {
	e := &StatusError{URL: r.asked.String(), Status: r.status}
	var said struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(r.body, &said) == nil {
		e.Code, e.Message = said.Code, shorten(said.Message)
	}
	switch r.status / 100 {
	case 3:
		e.Message = "redirects are not followed"
		if to, err := r.asked.Parse(r.header.Get("Location")); err == nil && r.header.Get("Location") != "" {
			to.User, to.RawQuery, to.Fragment = nil, "", ""
			e.Message = "redirect to " + shorten(to.String()) + " is not followed"
		}
	case 4, 5:
		if r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable {
			e.RetryAfter = retryAfter(r.header, time.Now())
		}
	}
	return e
}

// retryAfter reads Retry-After (RFC 9110 §10.2.3: seconds or a date) or else
// X-RateLimit-Reset (seconds from now). 0 means that the registry did not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset"} {
		text := strings.TrimSpace(h.Get(name))
		var wait time.Duration
		if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
			wait = time.Duration(seconds) * time.Second
		} else if at, err := http.ParseTime(text); err == nil {
			wait = at.Sub(now)
		}
		if wait > 0 {
			return min(wait, maxRetryAfter)
		}
	}
	return 0
}

// shorten makes a text that someone else chose fit for an error or a log line.
func shorten(s string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		n++
		switch {
		case n == maxWords+1:
			return '…'
		case n > maxWords:
			return -1
		case !unicode.IsPrint(r):
			return ' '
		}
		return r
	}, s)
}
