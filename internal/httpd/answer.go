package httpd

import (
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/reason"
)

// headers are the values that answers share. Nobody writes to them.
type headers struct {
	json, problem, nosniff, noStore, close, post []string
}

func newHeaders() headers {
	return headers{
		json:    []string{"application/json"},
		problem: []string{"application/problem+json"},
		nosniff: []string{"nosniff"},
		noStore: []string{"no-store"},
		close:   []string{"close"},
		post:    []string{http.MethodPost},
	}
}

// linger is how long a connection that is about to be closed still takes in
// the body that was not read, so that the sender gets to see the answer and
// not a reset (RFC 9112 §9.6).
const linger = time.Second

// answer writes the verdict. It counts clients that are not there to read it.
func (s *Server) answer(x *exchange, v *gateway.Verdict) {
	gone := x.r.Context().Err() != nil && !x.stalled
	control := http.NewResponseController(x.w)
	now := time.Now()
	if x.unread { // else net/http reads in the background and has no deadline there
		_ = control.SetReadDeadline(now.Add(linger)) // fails only on a dead connection
	}
	_ = control.SetWriteDeadline(now.Add(s.opts.WriteTimeout)) // likewise

	body := appendBody(make([]byte, 0, 256), v)
	s.setHeader(x, v.Reason, len(body))
	x.written = true
	x.w.WriteHeader(v.Reason.Status())
	_, _ = x.w.Write(body)                          // buffered; Flush has the error
	if err := control.Flush(); err != nil || gone { // the one write, made here for its error
		s.gone.Inc()
	}
}

func (s *Server) setHeader(x *exchange, r reason.Reason, length int) {
	h := x.w.Header()
	h["Content-Type"] = s.headers.problem
	if isSuccess(r) {
		h["Content-Type"] = s.headers.json
	}
	h["Content-Length"] = []string{strconv.Itoa(length)}
	h["Cache-Control"] = s.headers.noStore
	h["X-Content-Type-Options"] = s.headers.nosniff
	switch r.Status() {
	case http.StatusMethodNotAllowed:
		h["Allow"] = s.headers.post
	case http.StatusServiceUnavailable:
		h["Retry-After"] = []string{strconv.Itoa(s.opts.RetryAfter())}
	}
	if x.closing || x.unread || s.draining.Load() {
		h["Connection"] = s.headers.close
	}
}

func isSuccess(r reason.Reason) bool { return r.Status()/100 == 2 }

// appendBody appends the body of the answer: the reason and the event id for
// 2xx, else the problem details of RFC 9457 with our extension members reason,
// eventId and errors. An event id is shown to who proved to be a sender; a 401
// shows nothing but the reason.
func appendBody(b []byte, v *gateway.Verdict) []byte {
	word := v.Reason.String()
	if isSuccess(v.Reason) {
		b = append(b, `{"reason":"`...)
		b = append(b, word...)
		b = append(b, '"')
		return append(appendEventID(b, v), '}')
	}
	b = append(b, `{"type":`...)
	b = appendString(b, v.Reason.URN())
	b = append(b, `,"title":`...)
	b = appendString(b, v.Reason.Meaning())
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(v.Reason.Status()), 10)
	b = append(b, `,"reason":"`...)
	b = append(b, word...)
	b = append(b, '"')
	if v.Reason.Status() == http.StatusUnauthorized {
		return append(b, '}')
	}
	if v.Detail != "" {
		b = append(b, `,"detail":`...)
		b = appendString(b, v.Detail)
	}
	b = appendEventID(b, v)
	b = appendViolations(b, v)
	return append(b, '}')
}

func appendEventID(b []byte, v *gateway.Verdict) []byte {
	if !v.Verified || v.Event.ID == "" {
		return b
	}
	b = append(b, `,"eventId":`...)
	return appendString(b, v.Event.ID)
}

func appendViolations(b []byte, v *gateway.Verdict) []byte {
	if v.Reason != reason.SchemaMismatch {
		return b
	}
	b = append(b, `,"errors":[`...)
	for i := range v.Violations {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"pointer":`...)
		b = appendString(b, v.Violations[i].Pointer)
		b = append(b, `,"keyword":`...)
		b = appendString(b, v.Violations[i].Keyword)
		b = append(b, `,"expected":`...)
		b = appendString(b, v.Violations[i].Expected)
		b = append(b, `,"actual":`...)
		b = appendString(b, v.Violations[i].Actual)
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendString appends s as a JSON string (RFC 8259 §7). Texts of senders are
// among them, so that U+2028 and U+2029, which end a line in older JavaScript,
// are escaped too, and bytes that are no UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0 // s[from:i] needs no escape
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				b = append(append(b, s[from:i]...), `\ufffd`...)
			case r == '\u2028', r == '\u2029':
				b = append(append(b, s[from:i]...), `\u202`...)
				b = append(b, hex[r&0xF])
			default:
				i += size
				continue
			}
			i += size
			from = i
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7F {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		if c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			b = append(b, `\u00`...)
			b = append(b, hex[c>>4], hex[c&0xF])
		}
		i++
		from = i
	}
	return append(append(b, s[from:]...), '"')
}
