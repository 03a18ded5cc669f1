// Package httpd is the webhook listener: intake turns a request into a
// [gateway.Delivery], answer turns the verdict into bytes.
//
// Here belong the limits of HTTP (paths, methods, sizes, time-outs,
// connections), the reading of bodies and the form of the answers. What an
// event is worth is decided in package gateway, and which status a reason has
// stands in package reason.
//
// Requests that net/http refuses by itself (broken framing, a header over the
// limit, an unknown transfer coding) never get here and are not events.
package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/gateway"
)

// Gatekeeper decides about deliveries; [gateway.Gateway] is one. The listener
// calls Begin once for each request but those for metrics, which finds the
// source of its path, and after it exactly one of Accept and Refuse.
type Gatekeeper interface {
	Begin(d *gateway.Delivery)
	Accept(d *gateway.Delivery) *gateway.Verdict
	Refuse(d *gateway.Delivery, err error) *gateway.Verdict
}

// Options are what New needs. Zero durations and counts take the defaults.
type Options struct {
	Gateway   Gatekeeper
	Bodies    *gateway.Bodies
	Listener  net.Listener // Run or Shutdown closes it
	TLS       *TLS         // nil: plain HTTP
	Metrics   http.Handler // answers GET /metrics on this listener; nil: the path is unknown
	BodyLimit int64        // bytes of the largest body that is taken; see SetLimits

	MaxConnections int           // default 10000; see SetLimits
	HeaderTimeout  time.Duration // for a request's header, default 5 s
	BodyGrace      time.Duration // a body may stall that long in sum, default 5 s
	MinBodyRate    int           // bytes per second that prolong the grace, default 1024
	BodyTimeout    time.Duration // for a whole body, default 10 s
	IdleTimeout    time.Duration // between two requests of a connection, default 120 s
	WriteTimeout   time.Duration // for an answer, default 10 s

	RetryAfter func() int // seconds for the answers 503; nil: 1 to 5 at random

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// maxHeaderBytes bounds request line and header; net/http answers 431 beyond
// it (with 4 KiB of tolerance).
const maxHeaderBytes = 16 << 10

// MaxBody is the largest limit on bodies, in bytes. It keeps the arithmetic of deadlines far from overflow.
const MaxBody = 1 << 30

func (o *Options) setDefaults() {
	duration := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	duration(&o.HeaderTimeout, 5*time.Second)
	duration(&o.BodyGrace, 5*time.Second)
	duration(&o.BodyTimeout, 10*time.Second)
	duration(&o.IdleTimeout, 120*time.Second)
	duration(&o.WriteTimeout, 10*time.Second)
	if o.MaxConnections <= 0 {
		o.MaxConnections = 10000
	}
	if o.MinBodyRate <= 0 {
		o.MinBodyRate = 1024
	}
	if o.RetryAfter == nil {
		o.RetryAfter = func() int { return 1 + rand.IntN(5) }
	}
}

func (o *Options) check() error {
	switch {
	case o.Gateway == nil, o.Bodies == nil, o.Listener == nil, o.Log == nil, o.Registerer == nil:
		return errors.New("gateway, bodies, listener, log and registerer are required")
	case o.BodyLimit <= 0 || o.BodyLimit > MaxBody:
		return fmt.Errorf("body limit %d is not between 1 and %d bytes", o.BodyLimit, MaxBody)
	}
	return nil
}

// Server is the webhook listener. Its methods are safe for concurrent use.
type Server struct {
	opts     Options
	http     *http.Server
	listener *cappedListener
	headers  headers
	limits   atomic.Pointer[limits]
	gone     prometheus.Counter
	panics   prometheus.Counter

	conns counter // open connections
	busy  counter // requests under way

	draining atomic.Bool // every answer closes its connection
	stopping atomic.Bool // requests are answered draining
	end      sync.Once
	ended    chan struct{} // Shutdown is done
}

// New returns a server for a listener that is open already. It serves when
// Run is called.
func New(o Options) (*Server, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("options of the webhook listener: %w", err)
	}
	s := &Server{
		opts:    o,
		headers: newHeaders(),
		ended:   make(chan struct{}),
	}
	s.SetLimits(o.BodyLimit, o.MaxConnections)
	s.listener = &cappedListener{Listener: o.Listener, open: &s.conns, most: func() int { return s.limits.Load().connections + overflow }}
	if err := s.register(o.Registerer); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler:                      http.HandlerFunc(s.serve),
		DisableGeneralOptionsHandler: true, // OPTIONS * gets our answer
		Protocols:                    protocols,
		MaxHeaderBytes:               maxHeaderBytes,
		ReadHeaderTimeout:            o.HeaderTimeout,
		ReadTimeout:                  o.HeaderTimeout + o.BodyGrace,  // until the first byte of the body; read goes on from there
		WriteTimeout:                 o.BodyTimeout + o.WriteTimeout, // for what net/http writes itself; answer sets its own
		IdleTimeout:                  o.IdleTimeout,
		ConnState:                    s.connState,
		ConnContext:                  s.connContext,
		ErrorLog:                     slog.NewLogLogger(newServerLog(o.Log), slog.LevelWarn),
	}
	return s, nil
}

// limits are the bounds that may change while the server runs.
type limits struct {
	body        int64
	tooLarge    error // of a body over it
	connections int
}

// SetLimits changes the largest body, in bytes, and the number of connections.
// Both are more than zero, and body is MaxBody at most. They hold for requests and connections that begin
// from now on; none that is there is closed.
func (s *Server) SetLimits(body int64, connections int) {
	s.limits.Store(&limits{body: body, tooLarge: gateway.OverBodyLimit(body), connections: connections})
}

func (s *Server) register(to prometheus.Registerer) error {
	s.gone = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "cxrelay_clients_gone_total",
		Help: "Requests whose client had gone before the answer was written.",
	})
	s.listener.closed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "cxrelay_http_connections_closed_total",
		Help: "Connections closed at once because the limit and the reserve above it were in use.",
	})
	s.panics = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "cxrelay_http_panics_total",
		Help: "Panics of the webhook listener around the path of an event, such as in its answer: answered internal, but not counted so; each one is a bug.",
	})
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cxrelay_http_connections",
		Help: "Open connections of the webhook listener.",
	}, func() float64 { return float64(s.conns.value()) })
	limit := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cxrelay_http_connections_limit",
		Help: "Bound on cxrelay_http_connections; requests on connections beyond it are answered overloaded.",
	}, func() float64 { return float64(s.limits.Load().connections) })
	for _, c := range []prometheus.Collector{s.gone, s.panics, s.listener.closed, open, limit} {
		if err := to.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until Shutdown is done, and returns nil then. When ctx ends
// first, it closes the listener and every connection at once and returns nil
// too. When it returns, no request is under way: a gateway that still decides
// is waited for. Run may be called once.
func (s *Server) Run(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	unhook := context.AfterFunc(ctx, func() {
		s.stopping.Store(true)
		_ = s.http.Close() // the connections are given up
	})
	defer unhook()

	err := s.listen()
	if s.stopping.Load() {
		err = nil
		select {
		case <-s.ended:
		case <-ctx.Done():
		}
	} else {
		err = fmt.Errorf("serve on %s: %w", s.Addr(), err)
	}
	_ = s.http.Close() // what is still open is given up
	<-s.conns.zero()
	return err
}

// Drain makes every answer from now on close its connection, so that senders
// and load balancers move away. Requests are served as before.
func (s *Server) Drain() { s.draining.Store(true) }

// lastWords is how long Shutdown waits for connections on which no request is
// under way any more, such as one that has been opened and sends nothing.
const lastWords = time.Second

// Shutdown closes the listener, lets the requests under way come to their
// answer and closes all connections. A request that arrives meanwhile on an
// open connection is answered draining. When ctx ends before that, Shutdown
// closes what is open and returns an error that wraps ctx's. It may be called
// without Run, and more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.end.Do(func() { close(s.ended) })
	s.draining.Store(true)
	s.stopping.Store(true)
	_ = s.listener.Close() // closing is all that is asked of it
	select {
	case <-s.busy.zero():
	case <-ctx.Done():
		left := s.busy.value()
		_ = s.http.Close()
		return fmt.Errorf("stop with %d requests under way: %w", left, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	return nil
}
