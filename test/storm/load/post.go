package load

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// SignatureHeader carries the signature.
const SignatureHeader = "X-Cxone-Signature"

// Sign is the HMAC-SHA256 of the body in hex.
func Sign(secret string, body []byte) string {
	return hex.EncodeToString(mac(secret, body))
}

func mac(secret string, text []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(text)
	return h.Sum(nil)
}

// Stamped is a source of the same relays whose signatures have a time in
// them: that of Standard Webhooks.
type Stamped struct {
	URLs  []string
	Key   string  // not the secret of the other source
	Share float64 // of the contacts: those that send there, and only there
}

// Secret is the key as Standard Webhooks writes it.
func (s Stamped) Secret() string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(s.Key))
}

// Sign is a signature of this id, this time and this body, by Standard
// Webhooks 1.0.
func (s Stamped) Sign(id, stamp string, body []byte) string {
	return "v1," + base64.StdEncoding.EncodeToString(mac(s.Key, fmt.Appendf(nil, "%s.%s.%s", id, stamp, body)))
}

// post sends one request. A sender that hangs up does so when its request is
// written, and learns nothing.
func (l *load) post(ctx context.Context, to string, e *Event, hangUp bool) journal.Answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	var written atomic.Int64 // by the transport's goroutine
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) {
			written.Store(int64(time.Since(began)))
			if hangUp {
				cancel()
			}
		},
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(e.body))
	if err != nil {
		return journal.Answer{}
	}
	req.GetBody = nil // an attempt is one attempt: the transport must not repeat it
	for name, values := range e.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	if e.stamped { // signed anew at each attempt: a time lasts for some minutes only
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		req.Header.Set("Webhook-Id", e.ID())
		req.Header.Set("Webhook-Timestamp", stamp)
		req.Header.Set("Webhook-Signature", l.o.Stamped.Sign(e.ID(), stamp, e.body))
	} else {
		req.Header.Set(SignatureHeader, e.signature)
	}
	a := l.do(req, e.ID())
	a.Took = max(0, time.Since(began)-time.Duration(written.Load()))
	return a
}

// do sends a request and reads what the answer says of itself. An answer 2xx
// that has another event's id has another reason than accepted, and the reason
// of a 503 that does not say when to come back says so.
func (l *load) do(req *http.Request, id string) journal.Answer {
	resp, err := l.client.Do(req)
	if err != nil {
		return journal.Answer{Reason: met(err)}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return journal.Answer{Reason: met(err)} // cut off: nobody can rely on a half answer
	}
	var said struct{ Reason, EventID string }
	_ = json.Unmarshal(text, &said) // net/http's own answers are plain text and have none
	if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
		said.Reason += " " + NoRetryAfter
	}
	if resp.StatusCode < 300 && said.EventID != id {
		said.Reason += " as " + said.EventID
	}
	return journal.Answer{Status: resp.StatusCode, Reason: said.Reason}
}

// NoRetryAfter ends the reason of a 503 that lacks this header.
const NoRetryAfter = "without Retry-After"

// What a sender may meet instead of an answer, as the reason of status 0.
// Other errors are told in their own words.
const (
	Refused = "refused" // the connection
	Reset   = "reset"   // or closed, before there was an answer
)

func met(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Reset
	}
	var call *url.Error
	if errors.As(err, &call) {
		err = call.Err
	}
	return err.Error() // such as that of net/http for an idle connection that was closed
}
