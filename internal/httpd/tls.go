package httpd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// TLS is what the listener proves itself with and asks of senders. It can be
// replaced while connections are open: those go on as they began, but for what
// rests on their certificate alone (gateway.Source, Certified). Safe for
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

// proof is the context key of a connection's *proven.
type proof struct{}

// proven is the configuration by which a connection's certificate was verified
// last. The requests of a connection are served one after the other.
type proven struct{ by *tls.Config }

// certified tells whether the sender of r has shown a certificate of an
// authority that counts now. The handshake may have been before the last Set,
// when none was asked for, or other authorities counted.
func (t *TLS) certified(r *http.Request) bool {
	if t == nil || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return false
	}
	now := t.current.Load()
	if now.ClientAuth != tls.RequireAndVerifyClientCert {
		return false
	}
	p, ok := r.Context().Value(proof{}).(*proven)
	if ok && p.by == now {
		return true
	}
	chain := x509.NewCertPool()
	for _, c := range r.TLS.PeerCertificates[1:] {
		chain.AddCert(c)
	}
	_, err := r.TLS.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: now.ClientCAs, Intermediates: chain, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if ok && err == nil {
		p.by = now
	}
	return err == nil
}

// server is the configuration that net/http gets.
func (t *TLS) server() *tls.Config {
	now := func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.current.Load(), nil }
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: now}
}

// handshakeEvery bounds the log lines of failed handshakes, of each kind:
// anybody can cause them.
const handshakeEvery = time.Minute

// serverLog is the handler of what net/http has to say. That a handshake
// failed is among it and can be told from the text alone.
type serverLog struct {
	slog.Handler
	log *slog.Logger

	mu   sync.Mutex
	held map[string]*heldLines // by message
}

type heldLines struct {
	last  time.Time
	count int
}

func newServerLog(to *slog.Logger) *serverLog {
	return &serverLog{Handler: to.Handler(), log: to, held: map[string]*heldLines{}}
}

// The words of net/http (server.go, conn.serve).
const (
	saysHandshake = "http: TLS handshake error from "
	saysPlain     = "client sent an HTTP request to an HTTPS server"
)

// Handle implements slog.Handler.
func (l *serverLog) Handle(ctx context.Context, r slog.Record) error {
	from, ok := strings.CutPrefix(r.Message, saysHandshake)
	if !ok {
		return l.Handler.Handle(ctx, r)
	}
	remote, cause, _ := strings.Cut(from, ": ")
	switch cause {
	case saysPlain:
		if l.may(saysPlain) {
			l.log.Warn("plain HTTP on the TLS port", slog.String("remote", remote), slog.Int("held_back", l.taken(saysPlain)),
				slog.String("remedy", "senders and health checks must use https:// here"))
		}
	case "EOF": // a probe that only connects
		l.log.Debug("TLS handshake failed", slog.String("remote", remote), slog.String("cause", cause))
	default:
		if l.may(saysHandshake) {
			l.log.Warn("TLS handshake failed", slog.String("remote", remote), slog.Int("held_back", l.taken(saysHandshake)), slog.String("cause", cause))
		}
	}
	return nil
}

// may says whether a line of a kind may be written now: one a minute. It
// counts those that may not.
func (l *serverLog) may(kind string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held[kind]
	if h == nil {
		h = &heldLines{}
		l.held[kind] = h
	}
	now := time.Now()
	if !h.last.IsZero() && now.Sub(h.last) < handshakeEvery {
		h.count++
		return false
	}
	h.last = now
	return true
}

// taken returns the lines of a kind that were held back, and forgets them.
func (l *serverLog) taken(kind string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.held[kind].count
	l.held[kind].count = 0
	return n
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
