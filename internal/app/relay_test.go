package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
)

// relay is one run of the program in a world. Everything that it has from
// outside goes through here, so that it can be taken away at once.
type relay struct {
	app      *app.App
	number   int // of the world's, from 0
	instance string
	log      *logBuffer
	cancel   context.CancelFunc
	done     chan struct{} // closed when Run has returned
	err      error         // of Run, after done

	mu    sync.Mutex
	dead  bool
	holds map[io.Closer]struct{} // listeners and connections
}

// The ports of the first relay; the others follow.
const (
	webhookPort = 8080
	adminPort   = 9640
	portStep    = 1000
)

// start runs another relay with the configuration of now. Who connects from
// now on gets to it.
func (w *world) start() error {
	w.t.Helper()
	n := len(w.relays)
	r := &relay{number: n, instance: "test", log: &logBuffer{}, done: make(chan struct{}), holds: map[io.Closer]struct{}{}}
	if n > 0 {
		r.instance = fmt.Sprintf("test-%d", n)
	}
	from := w.source
	from.Overrides = map[string]string{
		"listen.address": fmt.Sprintf("127.0.0.1:%d", webhookPort+n*portStep), "admin.address": fmt.Sprintf("127.0.0.1:%d", adminPort+n*portStep),
		"instance": r.instance, "kafka.brokers": strings.Join(w.kafka.Brokers, ","), "schema.registry.urls": "http://registry.test",
	}
	for k, v := range w.source.Overrides {
		from.Overrides[k] = v
	}
	source := app.NewSource(from)
	cfg, _, err := source.Load()
	if err != nil {
		return err
	}
	r.app, err = app.New(app.Mutated(app.Options{
		Config: cfg, Source: source, Hangup: w.hangup, Build: app.Build{Version: "test"}, PoisonBodies: true, Level: new(slog.LevelVar),
		Log:     slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: w.level})),
		Network: app.Network{Listen: r.listen(w.front.Listen), DialKafka: r.dial(w.kafka.Dial), Registry: r.registry(w.registry)},
	}, w.mutate))
	if err != nil {
		return err
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(w.t.Context())
	go func() {
		defer close(r.done)
		r.err = r.app.Run(ctx)
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relays = append(w.relays, r)
	w.app, w.log = r.app, r.log
	w.serving.Store(r)
	return nil
}

// end stops a relay as SIGTERM does, and returns what Run did.
func (r *relay) end() error {
	r.cancel()
	<-r.done
	return r.err
}

// kill ends a relay as SIGKILL does, as far as anybody can see: its listeners
// and connections are gone at once, and what it does after that reaches
// nobody. What it had handed to the network is on its way.
func (r *relay) kill() {
	r.mu.Lock()
	r.dead = true
	for c := range r.holds {
		_ = c.Close()
	}
	clear(r.holds)
	r.mu.Unlock()
	r.log.freeze()
	r.cancel()
}

// killed tells whether a relay was killed.
func (r *relay) killed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dead
}

// hold keeps a thing until the relay dies; false means that it has.
func (r *relay) hold(c io.Closer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		_ = c.Close()
		return false
	}
	r.holds[c] = struct{}{}
	return true
}

func (r *relay) drop(c io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.holds, c)
}

// held is a connection that its relay holds.
type held struct {
	net.Conn
	r *relay
}

func (h *held) Close() error {
	h.r.drop(h)
	return h.Conn.Close()
}

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dial is next for a relay that is alive.
func (r *relay) dial(next dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if r.killed() {
			return nil, errRefused
		}
		conn, err := next(ctx, network, address)
		if err != nil {
			return nil, err
		}
		h := &held{conn, r}
		if !r.hold(h.Conn) {
			return nil, errRefused
		}
		return h, nil
	}
}

func (r *relay) listen(next func(network, address string) (net.Listener, error)) func(network, address string) (net.Listener, error) {
	return func(network, address string) (net.Listener, error) {
		l, err := next(network, address)
		if err == nil {
			r.hold(l)
		}
		return l, err
	}
}

// registry is the way of a relay to its registry, while it is alive.
func (r *relay) registry(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		if r.killed() {
			return nil, errRefused
		}
		return next.RoundTrip(req)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// dialRelay connects a sender with the relay that serves now, wherever it listens.
func (w *world) dialRelay(ctx context.Context, network, address string) (net.Conn, error) {
	r := w.serving.Load()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	return r.dial(w.front.DialContext)(ctx, network, fmt.Sprintf("%s:%d", host, port+r.number*portStep))
}

// newClient makes what senders and scrapers use.
func (w *world) newClient() {
	transport := &http.Transport{DialContext: w.dialRelay, MaxIdleConnsPerHost: 1000}
	w.client = &http.Client{Transport: transport}
}

// halt stops the last relay, waits for the others, and closes the cluster.
func (w *world) halt(quiet func()) error {
	var err error
	for i, r := range w.relays {
		ended := r.end()
		switch {
		case r.killed(): // its listeners went before it
		case i == len(w.relays)-1:
			err = errors.Join(err, ended)
		case ended != nil:
			err = errors.Join(err, fmt.Errorf("%s: %w", r.instance, ended))
		}
	}
	w.client.CloseIdleConnections()
	w.kafka.Heal()
	quiet() // a request that still hangs would hold the cluster's lock for good
	w.kafka.Close()
	quiet()
	return err
}

// sourceOf is where every relay of a world reads its configuration.
func sourceOf(o worldOptions) config.Source {
	from := config.Source{Env: append(o.env, "CXONE_WEBHOOK_SECRET="+testSecret), Overrides: o.overrides}
	if o.file != "" {
		from.Data = []byte(o.file)
	}
	if o.files != nil {
		from.File, from.ReadFile = "relay.yaml", o.files.read
	}
	return from
}
