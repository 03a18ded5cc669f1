package load

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// SignatureHeader carries the signature.
const SignatureHeader = "X-Cxone-Signature"

// Sign is the HMAC-SHA256 of the body in hex.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// post sends one request. A sender that hangs up does so when its request is
// written, and learns nothing.
func (l *load) post(ctx context.Context, url string, e *event, hangUp bool) journal.Answer {
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
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(e.body))
	if err != nil {
		return journal.Answer{}
	}
	req.GetBody = nil // an attempt is one attempt: the transport must not repeat it
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(SignatureHeader, e.signature)
	a := l.do(req)
	a.Took = max(0, time.Since(began)-time.Duration(written.Load()))
	return a
}

// do sends a request and reads what the answer says of itself.
func (l *load) do(req *http.Request) journal.Answer {
	resp, err := l.client.Do(req)
	if err != nil {
		return journal.Answer{}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return journal.Answer{} // cut off: nobody can rely on a half answer
	}
	var said struct{ Reason string }
	_ = json.Unmarshal(text, &said) // net/http's own answers are plain text and have none
	return journal.Answer{Status: resp.StatusCode, Reason: said.Reason}
}
