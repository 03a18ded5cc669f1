// Package admin is the admin listener: metrics, health, readiness, log
// level, status, reload and profiles. It sees the rest of the program through
// small interfaces of its own.
package admin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"
)

// Readiness is the answer to "should a load balancer send events here?".
type Readiness struct {
	Ready    bool     `json:"ready"`
	Missing  []string `json:"missing"`  // why not ready
	Degraded []string `json:"degraded"` // ready, but an operator should look
}

// Health tells readiness.
type Health interface {
	Readiness() Readiness
}

// Level is the log level; *slog.LevelVar is one.
type Level interface {
	Level() slog.Level
	Set(slog.Level)
}

// Reloaded is what became of a reload.
type Reloaded struct {
	Status   int      `json:"-"` // of the answer; 200: the configuration was taken over
	Changed  []string `json:"changed"`
	Warnings []string `json:"warnings"`

	Title    string   `json:"-"` // of a refusal
	Problems []string `json:"-"` // all that is wrong
}

// Options are what New needs. All are required.
type Options struct {
	Listener net.Listener // taken over; Run closes it
	Metrics  http.Handler
	Health   Health
	Level    Level
	Status   func() any      // marshalled as JSON for /api/v1/status
	Reload   func() Reloaded // loads the configuration again
	Schemas  Schemas
	Token    func() []byte // opens everything off loopback, as of now; empty: nothing does
	Log      *slog.Logger
}

// Server serves the admin listener.
type Server struct {
	opts Options
	http *http.Server
}

// New returns a server that does not serve yet.
//
// Bound to a loopback address it answers everything, but only to requests
// whose Host is a loopback name, so that a web page cannot reach it through a
// name of its own (DNS rebinding). Bound elsewhere it answers only metrics,
// health and readiness, unless there is a token: then the rest too, to who
// shows it (Authorization: Bearer, RFC 6750 §2.1).
func New(o Options) *Server {
	s := &Server{opts: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.Handle("GET /metrics", o.Metrics)
	mux.HandleFunc("GET /-/healthy", s.healthy)
	mux.HandleFunc("GET /-/ready", s.ready)
	guarded := s.guard()
	mux.Handle("GET /-/log-level", guarded(s.level))
	mux.Handle("PUT /-/log-level", guarded(s.setLevel))
	mux.Handle("POST /-/reload", guarded(s.reload))
	mux.Handle("GET /api/v1/status", guarded(s.status))
	mux.Handle("GET /api/v1/schemas", guarded(s.schemas))
	mux.Handle("GET /debug/pprof/", guarded(pprof.Index))
	mux.Handle("GET /debug/pprof/cmdline", guarded(pprof.Cmdline))
	mux.Handle("GET /debug/pprof/profile", guarded(pprof.Profile))
	mux.Handle("GET /debug/pprof/symbol", guarded(pprof.Symbol))
	mux.Handle("GET /debug/pprof/trace", guarded(pprof.Trace))
	s.http = &http.Server{
		Handler:           http.NewCrossOriginProtection().Handler(mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Addr returns the bound address.
func (s *Server) Addr() string { return s.opts.Listener.Addr().String() }

// Run serves until ctx ends. Requests under way are cut: an admin request is
// never worth waiting for.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.http.Close() })
	defer stop()
	if err := s.http.Serve(s.opts.Listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin listener: %w", err)
	}
	return nil
}

// What index names: what answers everywhere, and what only on loopback.
const (
	everywhere = "cxrelay, admin listener\n\n" +
		"/metrics        metrics, for Prometheus\n" +
		"/-/healthy      200 while the process serves\n" +
		"/-/ready        200 when events should be sent here, 503 else; what is missing or degraded\n"
	onLoopback = "/api/v1/status  topics, subjects, problems (JSON)\n" +
		"/-/log-level    GET, or PUT {\"level\":\"debug\"}\n" +
		"/debug/pprof/   profiles\n"
)

// index says what is here.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	text := everywhere
	if isLoopback(s.opts.Listener.Addr().String()) {
		text += onLoopback
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, text) // the client is gone: nobody to tell
}

func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]bool{"healthy": true})
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	r := s.opts.Health.Readiness()
	code := http.StatusOK
	if !r.Ready {
		code = http.StatusServiceUnavailable
	}
	reply(w, code, r)
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, s.opts.Status())
}

type levelBody struct {
	Level string `json:"level"`
}

func (s *Server) level(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, levelBody{s.opts.Level.Level().String()})
}

func (s *Server) setLevel(w http.ResponseWriter, r *http.Request) {
	var body levelBody
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, `want a body such as {"level":"debug"}`)
		return
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(body.Level)); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("unknown level %q: want debug, info, warn or error", body.Level))
		return
	}
	s.opts.Level.Set(level)
	s.opts.Log.Info("log level changed", slog.String("level", level.String()))
	reply(w, http.StatusOK, levelBody{level.String()})
}

// reload answers with what changed, or with everything that is wrong, as
// problem details (RFC 9457).
func (s *Server) reload(w http.ResponseWriter, _ *http.Request) {
	r := s.opts.Reload()
	if r.Status == http.StatusOK {
		reply(w, r.Status, r)
		return
	}
	write(w, "application/problem+json", r.Status, map[string]any{
		"type": "about:blank", "title": r.Title, "status": r.Status, "errors": r.Problems,
	})
}

// guard wraps what must not be open to the network.
func (s *Server) guard() func(http.HandlerFunc) http.Handler {
	local := isLoopback(s.opts.Listener.Addr().String())
	return func(next http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch token := s.opts.Token(); {
			case local && isLoopback(r.Host):
				next(w, r)
			case local:
				refuse(w, http.StatusForbidden, "answered only to a loopback Host, such as 127.0.0.1 or localhost")
			case len(token) == 0:
				refuse(w, http.StatusForbidden, "answered only on a loopback admin.address, or with admin.token_file; this one is reachable from the network")
			case !shows(r, token):
				w.Header().Set("WWW-Authenticate", "Bearer")
				refuse(w, http.StatusUnauthorized, "want Authorization: Bearer with the token of admin.token_file")
			default:
				next(w, r)
			}
		})
	}
}

// shows compares in a time that tells nothing of the token but its length.
func shows(r *http.Request, token []byte) bool {
	scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare([]byte(shown), token) == 1
}

// isLoopback tells whether host, with or without a port, is a loopback address or localhost.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func reply(w http.ResponseWriter, code int, v any) { write(w, "application/json", code, v) }

func write(w http.ResponseWriter, media string, code int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "this answer cannot be written as JSON: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // the client is gone: nobody to tell
}

func refuse(w http.ResponseWriter, code int, why string) {
	reply(w, code, map[string]string{"error": why})
}
