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

	Title    string    `json:"-"` // of a refusal
	Detail   string    `json:"-"` // the problems as paragraphs for people
	Problems []Problem `json:"-"` // all that is wrong
}

// Problem is one reason why a reload was refused, in parts for machines.
type Problem struct {
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`     // from 1
	Column   int    `json:"column,omitempty"`   // from 1, in characters
	Variable string `json:"variable,omitempty"` // of the environment, where the value is from there
	Key      string `json:"key,omitempty"`
	Message  string `json:"message"`
	Remedy   string `json:"remedy,omitempty"`
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
	guarded := s.guard()
	for _, e := range s.endpoints() {
		handler := http.Handler(e.handler)
		if !e.open {
			handler = guarded(e.handler)
		}
		for _, method := range e.methods {
			mux.Handle(method+" "+e.path, handler)
		}
	}
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

// endpoint is a path that answers.
type endpoint struct {
	methods []string
	path    string
	open    bool   // also off loopback, to everybody
	about   string // one line; empty: not in the index
	handler http.HandlerFunc
}

// endpoints are all of them, in the order of the index.
func (s *Server) endpoints() []endpoint {
	get := []string{http.MethodGet}
	return []endpoint{
		{get, "/metrics", true, "metrics, for Prometheus", s.opts.Metrics.ServeHTTP},
		{get, "/-/healthy", true, "200 while the process serves", s.healthy},
		{get, "/-/ready", true, "200 when events should be sent here, else 503; what is missing or degraded", s.ready},
		{get, "/api/v1/status", false, "topics, subjects, problems, the last reload (JSON)", s.status},
		{get, "/api/v1/schemas", false, "the schemas in use (JSON); with ?subject=NAME their texts", s.schemas},
		{[]string{http.MethodPost}, "/-/reload", false, "loads the configuration again; what changed, or why it was refused (JSON)", s.reload},
		{[]string{http.MethodGet, http.MethodPut}, "/-/log-level", false, `the log level; PUT {"level":"debug"} sets it`, s.logLevel},
		{get, "/debug/pprof/", false, "profiles of the process", pprof.Index},
		{get, "/debug/pprof/cmdline", false, "", pprof.Cmdline},
		{get, "/debug/pprof/profile", false, "", pprof.Profile},
		{get, "/debug/pprof/symbol", false, "", pprof.Symbol},
		{get, "/debug/pprof/trace", false, "", pprof.Trace},
	}
}

// index lists what answers here: off loopback without a token only what is open.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	local := isLoopback(s.opts.Listener.Addr().String())
	var b strings.Builder
	b.WriteString("cxrelay, admin listener\n\n")
	for _, e := range s.endpoints() {
		if e.about != "" && (e.open || local || len(s.opts.Token()) > 0) {
			fmt.Fprintf(&b, "%-8s %-16s %s\n", strings.Join(e.methods, ","), e.path, e.about)
		}
	}
	switch {
	case local:
	case len(s.opts.Token()) > 0:
		b.WriteString("\nAll but the first three want the token of admin.token_file: Authorization: Bearer TOKEN\n")
	default:
		b.WriteString("\nThere is more on a loopback admin.address, or with admin.token_file.\n")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, b.String()) // the client is gone: nobody to tell
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

func (s *Server) logLevel(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		s.setLevel(w, r)
		return
	}
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
		"type": "about:blank", "title": r.Title, "status": r.Status, "detail": r.Detail, "errors": r.Problems,
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
