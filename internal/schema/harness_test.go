package schema_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// sighting is a request as the network saw it.
type sighting struct {
	at   time.Time
	host string
	path string // escaped, as on the wire
	auth string
}

// network is an http.RoundTripper without sockets, so that time inside a
// synctest bubble can stand still. A host without a server refuses.
type network struct {
	mu      sync.Mutex
	servers map[string]http.RoundTripper
	seen    []sighting
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func newNetwork() *network { return &network{servers: make(map[string]http.RoundTripper)} }

// serve puts a server at host; nil takes it away.
func (n *network) serve(host string, server http.RoundTripper) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.servers[host] = server
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.seen = append(n.seen, sighting{time.Now(), r.URL.Host, r.URL.EscapedPath(), r.Header.Get("Authorization")})
	server := n.servers[r.URL.Host]
	n.mu.Unlock()
	if server == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	return server.RoundTrip(r)
}

func (n *network) requests() []sighting {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]sighting(nil), n.seen...)
}

// handler answers from an http.Handler.
func handler(h http.Handler) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		resp := rec.Result()
		resp.Request = r // as http.Transport does
		return resp, nil
	})
}

// says answers every request alike; header is name, value, name, value, …
func says(status int, body string, header ...string) http.RoundTripper {
	return handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
}

// hangs never answers.
func hangs() http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
}

const home = "registry:8081"

// world is a registry, the network to it, and what was logged.
type world struct {
	t        *testing.T
	net      *network
	registry *srfake.Registry
	logs     *logBuffer
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, net: newNetwork(), registry: srfake.NewRegistry(), logs: new(logBuffer)}
	w.up()
	return w
}

func (w *world) up()   { w.net.serve(home, handler(w.registry.Handler())) }
func (w *world) down() { w.net.serve(home, nil) }

func (w *world) register(subject, text string, refs ...sr.SchemaReference) {
	w.t.Helper()
	_, _, err := w.registry.RegisterSchema(subject, sr.Schema{Schema: text, Type: sr.TypeJSON, References: refs})
	if err != nil {
		w.t.Fatalf("register %s: %v", subject, err)
	}
}

func (w *world) client(change ...func(*schema.ClientOptions)) *schema.Client {
	w.t.Helper()
	o := schema.ClientOptions{URLs: []string{"http://" + home}, Transport: w.net, Log: w.logs.logger()}
	for _, f := range change {
		f(&o)
	}
	c, err := schema.NewClient(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// latest are the pins of the newest versions.
func latest(subjects ...string) []schema.Pin {
	var all []schema.Pin
	for _, s := range subjects {
		all = append(all, schema.Pin{Subject: s})
	}
	return all
}

// cache starts a cache over the world's registry; it stops with the test.
func (w *world) cache(subjects []string, change ...func(*schema.CacheOptions)) *schema.Cache {
	w.t.Helper()
	o := schema.CacheOptions{Source: w.client(), Pins: latest(subjects...), Compile: compileText, Log: w.logs.logger()}
	for _, f := range change {
		f(&o)
	}
	c, err := schema.NewCache(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(run(w.t, c))
	return c
}

// run starts a cache; the returned function ends it and waits.
func run(t *testing.T, c *schema.Cache) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// pass lets virtual time go by and everything come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// textValidator stands for an engine; it knows what it was made from.
type textValidator struct{ text string }

func (v textValidator) Check(*jsontape.Doc, []byte) ([]byte, []schema.Violation, error) {
	return []byte(v.text), nil, nil
}

var errNoSchema = errors.New("it says broken")

// compileText takes every text but those that say broken or panic.
func compileText(def schema.Definition) (schema.Validator, error) {
	switch {
	case strings.Contains(def.Text, "broken"):
		return nil, errNoSchema
	case strings.Contains(def.Text, "panic"):
		panic("out of numbers")
	}
	return textValidator{def.Text}, nil
}

// textOf gives the text that the subject's current schema was made from, and
// fails when schema, version and engine do not belong together.
func textOf(t *testing.T, c *schema.Cache, subject string) string {
	t.Helper()
	s, err := c.Lookup(subject, 0)
	if err != nil {
		t.Fatalf("Lookup(%q): %v", subject, err)
	}
	return s.Validator.(textValidator).text
}

// logBuffer collects log lines. Safe for concurrent use.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// count gives the number of lines that hold text.
func (b *logBuffer) count(text string) int {
	n := 0
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// object is a schema text that says which one it is.
func object(name string) string { return fmt.Sprintf(`{"type":"object","title":%q}`, name) }

// endless is a body that counts what was read of it.
type endless struct {
	left int
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	clear(p[:n])
	e.left -= n
	e.read += n
	return n, nil
}

func (e *endless) Close() error { return nil }

// expectPaced fails when more than five requests fell into any one second.
func expectPaced(t *testing.T, seen []sighting) {
	t.Helper()
	for i := 5; i < len(seen); i++ {
		if gap := seen[i].at.Sub(seen[i-5].at); gap < time.Second {
			t.Fatalf("requests %d to %d fell within %s", i-5, i, gap)
		}
	}
}

// huge answers with 50 MB.
func huge() http.RoundTripper {
	return roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: &endless{left: 50 << 20}, ContentLength: 50 << 20}, nil
	})
}
