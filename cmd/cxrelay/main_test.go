package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// TestMain lets the stories run this test binary as "cxrelay".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cxrelay": main})
}

// stubRelay answers as the relay's contract says. It checks the signatures of
// cxone with nothing but the standard library.
type stubRelay struct {
	secret string

	mu    sync.Mutex
	tries map[string]int // by body
}

func (s *stubRelay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	mac := hmac.New(sha256.New, []byte(s.secret))
	mac.Write(body)
	s.mu.Lock()
	s.tries[string(body)]++
	first := s.tries[string(body)] == 1
	s.mu.Unlock()
	if r.URL.Path == "/hang" {
		<-r.Context().Done() // the sender goes
		return
	}
	if scheme, path := presetOf(r.URL.Path); path {
		s.acceptPreset(w, r, scheme, body)
		return
	}
	switch {
	case r.Method != http.MethodPost:
		problem(w, http.StatusMethodNotAllowed, "method_not_allowed", "")
	case r.Header.Get("X-Cxone-Signature") != hex.EncodeToString(mac.Sum(nil)):
		problem(w, http.StatusUnauthorized, "bad_signature", "")
	case r.URL.Path == "/busy" && first, r.URL.Path == "/down":
		w.Header().Set("Retry-After", cmp.Or(r.URL.Query().Get("after"), "1"))
		problem(w, http.StatusServiceUnavailable, "kafka_unavailable", `,"detail":"no broker answers","eventId":"x"`)
	case r.URL.Path == "/hostile":
		problem(w, http.StatusBadRequest, "malformed", `,"detail":"\u001b[2J boo"`)
	case bytes.Contains(body, []byte(`"agentId":0`)):
		problem(w, http.StatusUnprocessableEntity, "schema_mismatch", `,"eventId":"x","errors":[
			{"pointer":"/agentId","keyword":"minimum","expected":"1","actual":"0"},
			{"pointer":"","keyword":"required","expected":"contactId","actual":""}]`)
	case strings.HasPrefix(r.URL.Path, "/size"):
		_, _ = fmt.Fprintf(w, `{"reason":"accepted","eventId":"%d bytes"}`, len(body))
	case r.URL.Path == "/named":
		_, _ = io.WriteString(w, `{"reason":"accepted","eventId":"named-by-the-relay"}`)
	default:
		_, _ = io.WriteString(w, `{"reason":"accepted"}`)
	}
}

// presetOf reads /preset/NAME.
func presetOf(path string) (scheme signature.Scheme, ok bool) {
	name, ok := strings.CutPrefix(path, "/preset/")
	if !ok {
		return signature.Scheme{}, false
	}
	scheme, _ = signature.Preset(name)
	if name == "token" {
		scheme.Header = "X-Token"
	}
	return scheme, true
}

// acceptPreset takes what a source of another scheme takes. The secret is the
// query.
func (s *stubRelay) acceptPreset(w http.ResponseWriter, r *http.Request, scheme signature.Scheme, body []byte) {
	v, err := signature.NewVerifier(scheme, []signature.Secret{{ID: "stub", Value: []byte(r.URL.Query().Get("secret"))}})
	if err != nil {
		problem(w, http.StatusInternalServerError, "internal", "")
		return
	}
	if _, err := v.Verify(r.Header.Values, body, time.Now()); err != nil {
		problem(w, http.StatusUnauthorized, "bad_signature", "")
		return
	}
	_, _ = io.WriteString(w, `{"reason":"accepted"}`)
}

func problem(w http.ResponseWriter, status int, reason, more string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"type":"urn:cxrelay:reason:%s","title":"no","status":%d,"reason":%q%s}`, reason, status, reason, more)
}

// runMain calls Main in this process.
func runMain(ctx context.Context, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main(ctx, args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestSendStopsOnInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"reason":"accepted"}`)
		cancel() // the signal arrives during the first answer
	}))
	defer srv.Close()
	code, stdout, stderr := runMain(ctx, "", "send", "--url", srv.URL, "--count", "1000000", "--rate", "10", "--format", "json")
	if code != exitFailed || !strings.Contains(stderr, "interrupted") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, `"event":"summary"`) {
		t.Errorf("the last line is %s", last)
	}
}

// TestSendFailsWithItsOutput: a full disk or a closed pipe ends the run.
func TestSendFailsWithItsOutput(t *testing.T) {
	stub := httptest.NewServer(&stubRelay{secret: defaultSecret, tries: map[string]int{}})
	defer stub.Close()
	var errs bytes.Buffer
	code := Main(t.Context(), []string{"send", "--url", stub.URL, "--count", "1000000"}, nil, brokenWriter{}, &errs)
	if code != exitFailed || !strings.Contains(errs.String(), io.ErrClosedPipe.Error()) {
		t.Errorf("exit %d, stderr %q", code, errs.String())
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestManyConnectionsForOneEvent: connections that nothing goes over cost
// nothing.
func TestManyConnectionsForOneEvent(t *testing.T) {
	stub := httptest.NewServer(&stubRelay{secret: defaultSecret, tries: map[string]int{}})
	defer stub.Close()
	began := time.Now()
	code, stdout, stderr := runMain(t.Context(), "", "send", "--url", stub.URL, "--connections", "1000000000", "--count", "1")
	if code != 0 || !strings.Contains(stdout, "\n1 event, 1 with 2xx") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("took %v", took)
	}
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{"": "''", "./bin/cxrelay": "./bin/cxrelay", "a b": "'a b'", "$x": "'$x'", "~/é": "'~/é'"} {
		if got := shellWord(in); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{"": "''", "a b": "'a b'", "it's $x": `'it'\''s $x'`} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestFitsCommandLine(t *testing.T) {
	for body, want := range map[string]bool{"": true, "{\n}": true, "é": true, "\xff": false, "a\x00": false, strings.Repeat("x", 1<<17): false} {
		if got := fitsCommandLine([]byte(body)); got != want {
			t.Errorf("fitsCommandLine(%.9q) = %v, want %v", body, got, want)
		}
	}
}
