package httpd

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/reason"
)

const metricsPath = "/metrics"

var (
	errEncoding = fmt.Errorf("%w: content encoding other than identity", gateway.ErrUnsupported)
	errCharset  = fmt.Errorf("%w: charset other than UTF-8", gateway.ErrUnsupported)
)

// exchange is one request on its way to its answer.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	limits *limits // when it began

	overCap bool // on a connection above the limit
	closing bool // the answer closes the connection
	unread  bool // bytes of the body may be on the wire still
	stalled bool // the body took too long; the client may be there still
	written bool // the answer has begun
}

// serve handles one request. It answers each one, and lives on when a panic
// gets here.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.busy.add()
	defer s.busy.done()
	x := s.newExchange(w, r)
	defer s.rescue(x)
	if s.opts.Metrics != nil && isScrape(r) {
		s.metrics(x)
		return
	}
	s.answer(x, s.decide(x, &gateway.Delivery{
		Path:        exactPath(r.URL),
		Header:      r.Header.Values,
		ReceivedAt:  time.Now(),
		Traceparent: single(r.Header["Traceparent"]),
		Remote:      r.RemoteAddr,
	}))
}

// newExchange also tells whether the answer has to close the connection,
// whatever it says. A chunked request may have had a Content-Length beside it,
// which net/http hides, and an HTTP/1.0 request a Transfer-Encoding: who reads
// the other one sees a second request in the body (RFC 9112 §6.1).
func (s *Server) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{w: w, r: r, limits: s.limits.Load(), unread: r.ContentLength != 0}
	x.overCap = r.Context().Value(overCap{}) != nil
	x.closing = len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) || x.overCap || s.draining.Load()
	return x
}

func isScrape(r *http.Request) bool {
	return r.URL.Path == metricsPath && r.URL.RawPath == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

func single(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return ""
}

// decide brings one delivery to its verdict. A panic of intake is a refusal;
// one of the gatekeeper leaves through serve, because what it has counted by
// then is unknown.
func (s *Server) decide(x *exchange, d *gateway.Delivery) *gateway.Verdict {
	s.opts.Gateway.Begin(d)
	if err := s.guardedIntake(x, d); err != nil {
		return s.opts.Gateway.Refuse(d, err)
	}
	return s.opts.Gateway.Accept(d)
}

func (s *Server) guardedIntake(x *exchange, d *gateway.Delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			x.closing = true
			err = gateway.NewPanic(p)
		}
	}()
	return s.intake(x, d)
}

// intake reads one request, or says why it is turned down. What can be
// refused by the header alone is refused before a byte of the body is read.
func (s *Server) intake(x *exchange, d *gateway.Delivery) error {
	switch {
	case d.Source == nil:
		return gateway.ErrNotFound
	case x.r.Method != http.MethodPost:
		return gateway.ErrMethod
	case s.stopping.Load():
		x.closing = true
		return gateway.ErrDraining
	case d.Source.Certified && !s.opts.TLS.certified(x.r):
		x.closing = true
		return gateway.ErrUncertified
	case x.overCap:
		return gateway.ErrConnections
	case isEncoded(x.r.Header["Content-Encoding"]):
		return errEncoding
	case hasForeignCharset(x.r.Header["Content-Type"]):
		return errCharset
	case x.r.ContentLength > x.limits.body:
		return x.limits.tooLarge
	}
	return s.read(x, d)
}

// exactPath is the path by which a source is found. Nothing is cleaned, and an
// escape where none is needed makes a path that is nobody's.
func exactPath(u *url.URL) string {
	if u.RawPath != "" {
		return ""
	}
	return u.Path
}

func isEncoded(values []string) bool {
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" && !strings.EqualFold(v, "identity") {
			return true
		}
	}
	return false
}

// hasForeignCharset looks at the charset parameter alone: no media type, and
// nothing that cannot be parsed, refuses JSON.
func hasForeignCharset(values []string) bool {
	for _, v := range values {
		if !strings.Contains(v, ";") {
			continue
		}
		switch v { // what nearly all senders say, without parsing
		case "application/json; charset=utf-8", "application/json; charset=UTF-8",
			"application/json;charset=utf-8", "application/json;charset=UTF-8":
			continue
		}
		_, params, err := mime.ParseMediaType(v)
		if charset, ok := params["charset"]; err == nil && ok && !strings.EqualFold(charset, "utf-8") {
			return true
		}
	}
	return false
}

// read reads the body to its end into d. Every way in which it does not come
// to that end is an error: a sender that breaks off is never answered 2xx.
func (s *Server) read(x *exchange, d *gateway.Delivery) error {
	most := x.r.ContentLength
	if most < 0 {
		most = x.limits.body + 1
	}
	d.Body = s.opts.Bodies.Get(most)
	control := http.NewResponseController(x.w)
	for {
		// One byte over the limit is enough to know.
		room := d.Body.Spare()
		if left := x.limits.body + 1 - int64(d.Body.Len()); int64(len(room)) > left {
			room = room[:left]
		}
		n, err := x.r.Body.Read(room)
		if charged := d.Body.Advance(n); charged != nil {
			return charged
		}
		switch {
		case int64(d.Body.Len()) > x.limits.body:
			return x.limits.tooLarge
		case err == io.EOF: //nolint:errorlint // an error that wraps EOF would mean that the end is missing
			x.unread = false
			d.ReadAt = time.Now()
			return nil
		case err == nil:
			err = control.SetReadDeadline(s.patience(d.ReceivedAt, d.Body.Len()))
		}
		if err != nil {
			x.unread, x.closing = false, true
			x.stalled = errors.Is(err, os.ErrDeadlineExceeded)
			return fmt.Errorf("%w: %w", gateway.ErrIncomplete, err)
		}
	}
}

// patience returns when the next bytes of a body must have come, given how
// many are there: the grace is prolonged by what has arrived, at the minimum
// rate, up to the limit for the whole body. So a sender that trickles holds a
// connection no longer than one that stalls.
func (s *Server) patience(start time.Time, arrived int) time.Time {
	earned := time.Duration(arrived) * time.Second / time.Duration(s.opts.MinBodyRate)
	return start.Add(min(s.opts.BodyGrace+earned, s.opts.BodyTimeout))
}

// metrics answers a scrape, which is no event.
func (s *Server) metrics(x *exchange) {
	if x.closing || x.unread {
		x.w.Header()["Connection"] = s.headers.close
	}
	x.written = true
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(s.opts.WriteTimeout)) // else the longer limit stays
	s.opts.Metrics.ServeHTTP(x.w, x.r)
}

// rescue keeps a panic of the gatekeeper or of the answer from ending the
// process, and counts it: what the gatekeeper has counted by then is unknown.
// It must be deferred.
func (s *Server) rescue(x *exchange) {
	p := recover()
	if p == nil {
		return
	}
	s.panics.Inc()
	s.opts.Log.Error("panic in the webhook listener", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	if x.written {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	x.closing = true
	s.answer(x, &gateway.Verdict{Reason: reason.Internal})
}
