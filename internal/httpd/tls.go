package httpd

import (
	"crypto/tls"
	"log"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// TLS is what the listener proves itself with and asks of senders. It can be
// replaced while connections are open: those go on as they began. Safe for
// concurrent use.
type TLS struct{ current atomic.Pointer[tls.Config] }

// NewTLS starts with c. See Set.
func NewTLS(c *tls.Config) *TLS {
	t := &TLS{}
	t.Set(c)
	return t
}

// Set makes c hold for every handshake from now on. c belongs to the TLS
// afterwards; its protocols and, where client certificates are asked for, its
// session tickets are set here: a resumed session would bring along a
// certificate of an authority that may be gone by then.
func (t *TLS) Set(c *tls.Config) {
	c.NextProtos = []string{"http/1.1"}
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	c.SessionTicketsDisabled = c.SessionTicketsDisabled || c.ClientAuth != tls.NoClientCert
	t.current.Store(c)
}

// server is the configuration that net/http gets.
func (t *TLS) server() *tls.Config {
	now := func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.current.Load(), nil }
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: now}
}

// handshakeEvery bounds the log lines of failed handshakes, of each kind:
// anybody can cause them.
const handshakeEvery = time.Minute

// serverLog takes what net/http has to say, a line at a time. That a handshake
// failed is among it and can be told from the text alone.
type serverLog struct {
	log *slog.Logger

	mu   sync.Mutex
	held map[string]*heldLines // by message
}

type heldLines struct {
	last  time.Time
	count int
}

func newServerLog(to *slog.Logger) *log.Logger {
	return log.New(&serverLog{log: to, held: map[string]*heldLines{}}, "", 0)
}

// The words of net/http (server.go, conn.serve).
const (
	saysHandshake = "http: TLS handshake error from "
	saysPlain     = "client sent an HTTP request to an HTTPS server"
)

// Write implements io.Writer.
func (l *serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	from, ok := strings.CutPrefix(text, saysHandshake)
	if !ok {
		l.log.Warn(text) //nolint:sloglint // net/http's own words
		return len(line), nil
	}
	remote, cause, _ := strings.Cut(from, ": ")
	switch cause {
	case saysPlain:
		l.say("plain HTTP on the TLS port", slog.String("remote", remote), slog.String("remedy", "senders and health checks must use https:// here"))
	case "EOF": // a probe that only connects
		l.log.Debug("TLS handshake failed", slog.String("remote", remote), slog.String("cause", cause))
	default:
		l.say("TLS handshake failed", slog.String("remote", remote), slog.String("cause", cause))
	}
	return len(line), nil
}

// say writes one line per kind and minute, with the number of those held back.
func (l *serverLog) say(what string, attrs ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held[what]
	if h == nil {
		h = &heldLines{}
		l.held[what] = h
	}
	now := time.Now()
	if !h.last.IsZero() && now.Sub(h.last) < handshakeEvery {
		h.count++
		return
	}
	if h.count > 0 {
		attrs = append(attrs, slog.Int("held_back", h.count))
	}
	h.last, h.count = now, 0
	l.log.Warn(what, attrs...) //nolint:sloglint // one of the two constants above
}

// listen serves the connections of the listener, with TLS where that is
// configured.
func (s *Server) listen() error {
	if s.opts.TLS == nil {
		return s.http.Serve(s.listener)
	}
	s.http.TLSConfig = s.opts.TLS.server()
	return s.http.ServeTLS(s.listener, "", "")
}
