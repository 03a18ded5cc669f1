package schema

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What the client does when its options do not say otherwise.
const (
	DefaultTimeout   = 5 * time.Second
	DefaultMaxBytes  = 4 << 20
	defaultUserAgent = "cxrelay"
)

// Bounds of the referenced schemas that the client remembers: their number, and
// their size by that of the largest answer.
const (
	maxKept      = 1024
	maxKeptTimes = 16
)

// ClientOptions sets up a Client. Only URLs is needed.
type ClientOptions struct {
	// URLs of one registry, tried in turn; each may have a path and user info.
	URLs []string
	// Username and Password (basic), or BearerToken, for the URLs without
	// user info of their own.
	Username    string
	Password    string
	BearerToken string
	// Transport carries the requests; nil for one of the client's own.
	Transport http.RoundTripper
	// Timeout bounds one request, the reading of its answer included.
	Timeout time.Duration
	// MaxBytes bounds one answer, and the texts of a schema with all of its
	// references.
	MaxBytes int
	// Connections is how many are kept for requests at the same time; 0 for
	// what a cache needs.
	Connections int
	UserAgent   string
	Log         *slog.Logger          // nil: silent
	Registerer  prometheus.Registerer // nil: no metrics
}

// Client reads schemas from a registry. It sends at most five requests a
// second, follows no redirects, leaves an address alone for as long as a
// Retry-After asks, and goes on to the next address when one does not answer.
// Safe for concurrent use.
type Client struct {
	http      *http.Client
	endpoints []*endpoint
	current   atomic.Int64 // index of the endpoint that answered last
	pace      pacer
	timeout   time.Duration
	maxBytes  int
	userAgent string
	log       *slog.Logger
	duration  *prometheus.HistogramVec

	mu        sync.Mutex
	kept      map[place]*answer // by subject and version, which never change
	keptBytes int               // of the answers in kept
}

// place is where the registry keeps a schema.
type place struct {
	subject string
	version int
}

// NewClient checks the options and makes a client; it does no I/O. The errors
// name an address by its position, never by its text, which may hold a
// password.
func NewClient(o ClientOptions) (*Client, error) {
	if len(o.URLs) == 0 {
		return nil, errors.New("schema registry: no url")
	}
	authorization, err := authorize(o)
	if err != nil {
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	c := &Client{
		http:      &http.Client{Transport: o.Transport, CheckRedirect: stopAtRedirect},
		timeout:   o.Timeout,
		maxBytes:  o.MaxBytes,
		userAgent: o.UserAgent,
		log:       o.Log,
		kept:      make(map[place]*answer),
	}
	c.applyDefaults(o.Connections)
	for i, text := range o.URLs {
		ep, err := newEndpoint(text, authorization)
		if err != nil {
			return nil, fmt.Errorf("schema registry: url %d of %d: %w", i+1, len(o.URLs), err)
		}
		c.endpoints = append(c.endpoints, ep)
	}
	if c.duration, err = newRequestDuration(o.Registerer); err != nil {
		return nil, fmt.Errorf("schema registry: %w", err)
	}
	return c, nil
}

func (c *Client) applyDefaults(connections int) {
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.maxBytes <= 0 {
		c.maxBytes = DefaultMaxBytes
	}
	if c.userAgent == "" {
		c.userAgent = defaultUserAgent
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.http.Transport == nil {
		c.http.Transport = newTransport(connections)
	}
}

// newTransport is made for a few small answers a minute, unless more
// connections are asked for.
func newTransport(connections int) http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		MaxIdleConnsPerHost:    max(2, connections),
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    DefaultTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
}

func stopAtRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// authorize gives the Authorization header for URLs without user info.
func authorize(o ClientOptions) (string, error) {
	basic := o.Username != "" || o.Password != ""
	switch {
	case basic && o.BearerToken != "":
		return "", errors.New("both a user name and a bearer token are set")
	case strings.Contains(o.Username, ":"):
		return "", errors.New("the user name has a colon, which basic authentication cannot carry")
	case strings.ContainsAny(o.BearerToken, "\r\n"):
		return "", errors.New("the bearer token has a line break")
	case basic:
		return basicAuth(o.Username, o.Password), nil
	case o.BearerToken != "":
		return "Bearer " + o.BearerToken, nil
	}
	return "", nil
}

// Close drops idle connections. Requests under way go on. On nil it does nothing.
func (c *Client) Close() {
	if c != nil {
		c.http.CloseIdleConnections()
	}
}

// Latest fetches the newest version of subject with everything it refers to.
// It returns a *RefusedError for a schema that no engine here may apply, and
// otherwise errors that match ErrNotFound, ErrThrottled or ErrBadAnswer, a
// *StatusError, or what the transport met. No error shows a credential.
func (c *Client) Latest(ctx context.Context, subject string) (Definition, error) {
	return c.definition(ctx, subject, "latest")
}

// Version fetches one version of a subject as Latest does.
func (c *Client) Version(ctx context.Context, subject string, version int) (Definition, error) {
	def, err := c.definition(ctx, subject, strconv.Itoa(version))
	if err == nil && def.Version != version {
		return Definition{}, fmt.Errorf("schema registry: %w: version %d for version %d", ErrBadAnswer, def.Version, version)
	}
	return def, err
}

func (c *Client) definition(ctx context.Context, subject, version string) (Definition, error) {
	if err := checkSubject(subject); err != nil {
		return Definition{}, err
	}
	root, err := c.get(ctx, versionPath(subject, version))
	if err != nil {
		return Definition{}, err
	}
	if rule := root.RuleSet.writeSide(); rule != "" {
		return Definition{}, root.refuse("schema has a write-side rule that cannot be run here: %s", rule)
	}
	res := newResolver(c, subject, root)
	if err := res.follow(ctx, root.References); err != nil {
		return Definition{}, err
	}
	return Definition{
		Subject:    subject,
		Version:    root.Version,
		ID:         root.ID,
		Type:       root.kind(),
		Text:       root.text(),
		References: res.texts,
	}, nil
}

func versionPath(subject, version string) string {
	return "/subjects/" + url.PathEscape(subject) + "/versions/" + version
}

// referenced fetches one version of a subject, from the registry only once.
func (c *Client) referenced(ctx context.Context, at place) (*answer, error) {
	c.mu.Lock()
	a := c.kept[at]
	c.mu.Unlock()
	if a != nil {
		return a, nil
	}
	a, err := c.get(ctx, versionPath(at.subject, strconv.Itoa(at.version)))
	if err != nil {
		return nil, err
	}
	c.keep(at, a)
	return a, nil
}

// keep remembers a referenced schema. What refers to too much is of no use.
func (c *Client) keep(at place, a *answer) {
	if len(a.References) > maxReferences {
		return
	}
	a.RuleSet = nil // the root's alone counts
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) >= maxKept || c.keptBytes+a.bytes > maxKeptTimes*c.maxBytes {
		clear(c.kept)
		c.keptBytes = 0
	}
	if c.kept[at] == nil { // else another pin was first
		c.kept[at] = a
		c.keptBytes += a.bytes
	}
}

// checkSubject refuses the names that no URL can carry: path segments of dots
// are taken away on the way, however they are escaped (RFC 3986 §5.2.4).
func checkSubject(subject string) error {
	switch subject {
	case "", ".", "..":
		return fmt.Errorf("%q cannot be a subject", subject)
	}
	return nil
}
