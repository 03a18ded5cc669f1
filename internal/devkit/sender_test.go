package devkit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

const testSecret = "s3cret"

func mustSign(t testing.TB) Signer {
	t.Helper()
	sign, err := SignCXone([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return sign
}

func BenchmarkSignCXone(b *testing.B) {
	sign, h, body := mustSign(b), http.Header{}, make([]byte, 600)
	b.ReportAllocs()
	for b.Loop() {
		sign(h, body, time.Time{})
	}
}

// receiver is the far end of a Sender, without a network, so that it works
// in virtual time.
type receiver struct {
	mu     sync.Mutex
	bodies []string // in order of arrival
	times  []time.Time
	answer func(n int, body string) (*http.Response, error) // n counts from 1
	delay  time.Duration
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.bodies = append(r.bodies, string(body))
	r.times = append(r.times, time.Now())
	n := len(r.bodies)
	r.mu.Unlock()
	if !sleep(req.Context(), r.delay) {
		return nil, req.Context().Err()
	}
	return r.answer(n, string(body))
}

func respond(status int, body string, header ...string) (*http.Response, error) {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp, nil
}

func accepted(int, string) (*http.Response, error) {
	return respond(200, `{"reason":"accepted","eventId":"e"}`)
}

func newTestSender(t *testing.T, o SenderOptions, r *receiver) (*Sender, *[]Answer) {
	t.Helper()
	answers := new([]Answer)
	o.URL, o.Sign = "http://relay/hook", mustSign(t)
	o.Transport = func() http.RoundTripper { return r }
	o.OnAnswer = func(a Answer) { *answers = append(*answers, a) }
	s, err := NewSender(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, answers
}

// contactEvents makes n events, round robin over the contacts.
func contactEvents(n, contacts int) []Event {
	var out []Event
	for i := range n {
		out = append(out, Event{Body: fmt.Appendf(nil, "%d", i), Contact: fmt.Sprintf("c%d", i%contacts)})
	}
	return out
}

func TestSenderKeepsTheOrderOfAContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		busy := map[string]bool{}
		var arrived []string // bodies, in the order in which they were accepted
		check := roundTrip(func(req *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(req.Body)
			i, _ := strconv.Atoi(string(body))
			contact := fmt.Sprint(i % 10)
			mu.Lock()
			if busy[contact] {
				t.Errorf("two events of contact %s under way at once", contact)
			}
			busy[contact] = true
			d, fail := time.Duration(rng.IntN(1000))*time.Millisecond, rng.IntN(4) == 0
			mu.Unlock()
			time.Sleep(d)
			mu.Lock()
			busy[contact] = false
			if !fail {
				arrived = append(arrived, string(body))
			}
			mu.Unlock()
			if fail {
				return respond(503, `{"reason":"overloaded"}`)
			}
			return accepted(0, "")
		})
		s, _ := newTestSender(t, SenderOptions{Connections: 4, Retry: true, Timeout: time.Hour}, nil)
		s.opts.Transport = func() http.RoundTripper { return check }
		sum := s.Run(t.Context(), slices.Values(contactEvents(400, 10)))
		if sum.OK != 400 || sum.Unfinished != 0 || sum.Retries == 0 || sum.Answers != 400+sum.Retries {
			t.Errorf("summary %+v", sum)
		}
		last := map[int]int{}
		for _, b := range arrived {
			i, _ := strconv.Atoi(b)
			if before, seen := last[i%10]; seen && i < before {
				t.Errorf("event %d was accepted after %d", i, before)
			}
			last[i%10] = i
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSenderRetries(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	busy := func(header ...string) func() (*http.Response, error) {
		return func() (*http.Response, error) { return respond(503, `{"reason":"draining"}`, header...) }
	}
	ok := func() (*http.Response, error) { return accepted(0, "") }
	tests := []struct {
		name      string
		script    []func() (*http.Response, error) // the last one repeats
		timeout   time.Duration
		noRetry   bool
		attempts  int
		gaveUp    bool
		ok        int
		low, high time.Duration // from first to last attempt
	}{
		{name: "accepted at once", script: []func() (*http.Response, error){ok}, attempts: 1, ok: 1},
		{name: "4xx is final", script: []func() (*http.Response, error){func() (*http.Response, error) { return respond(422, `{}`) }}, attempts: 1},
		{name: "not asked to", script: []func() (*http.Response, error){busy()}, noRetry: true, attempts: 1},
		{name: "back-off doubles", script: []func() (*http.Response, error){busy(), busy(), ok}, attempts: 3, ok: 1, low: 750 * time.Millisecond, high: 1500 * time.Millisecond},
		{name: "429", script: []func() (*http.Response, error){func() (*http.Response, error) { return respond(429, "") }, ok}, attempts: 2, ok: 1, low: 250 * time.Millisecond, high: 500 * time.Millisecond},
		{name: "transport error", script: []func() (*http.Response, error){func() (*http.Response, error) { return nil, refused }, ok}, attempts: 2, ok: 1, low: 250 * time.Millisecond, high: 500 * time.Millisecond},
		{name: "Retry-After is waited for", script: []func() (*http.Response, error){busy("Retry-After", "7"), ok}, attempts: 2, ok: 1, low: 7 * time.Second, high: 7 * time.Second},
		{name: "Retry-After beyond the timeout", script: []func() (*http.Response, error){busy("Retry-After", "60"), ok}, attempts: 1, gaveUp: true},
		{name: "until the timeout", script: []func() (*http.Response, error){busy()}, timeout: 2 * time.Minute, attempts: 0, gaveUp: true, low: 100 * time.Second, high: 2 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{answer: func(n int, _ string) (*http.Response, error) { return tt.script[min(n, len(tt.script))-1]() }}
				s, answers := newTestSender(t, SenderOptions{Retry: !tt.noRetry, Timeout: tt.timeout}, r)
				sum := s.Run(t.Context(), slices.Values(contactEvents(1, 1)))
				if tt.attempts != 0 && len(r.bodies) != tt.attempts {
					t.Errorf("%d attempts, want %d", len(r.bodies), tt.attempts)
				}
				if sum.OK != tt.ok || sum.Deliveries != 1 || sum.Retries != len(r.bodies)-1 {
					t.Errorf("summary %+v", sum)
				}
				if took := r.times[len(r.times)-1].Sub(r.times[0]); took < tt.low || took > tt.high {
					t.Errorf("the last attempt came after %v, want %v to %v", took, tt.low, tt.high)
				}
				for i, a := range *answers {
					if last := i == len(*answers)-1; a.Final != last || a.Attempt != i+1 || (a.RetryIn > 0) == last || a.GaveUp != (last && tt.gaveUp) || a.Spent != r.times[i].Sub(r.times[0]) {
						t.Errorf("answer %d of %d: %+v", i, len(*answers), a)
					}
				}
			})
		})
	}
}

func TestBackoffBounds(t *testing.T) {
	for attempt, full := range map[int]time.Duration{1: 500 * time.Millisecond, 2: time.Second, 5: 8 * time.Second, 6: 10 * time.Second, 100: 10 * time.Second} {
		for range 100 {
			if d := backoff(attempt); d < full/2 || d > full {
				t.Errorf("back-off %d is %v, want %v to %v", attempt, d, full/2, full)
			}
		}
	}
}

func TestSenderTimesOutAHangingReceiver(t *testing.T) {
	for _, retry := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{answer: accepted, delay: time.Hour}
			s, answers := newTestSender(t, SenderOptions{Retry: retry, Timeout: 15 * time.Second}, r)
			began := time.Now()
			sum := s.Run(t.Context(), slices.Values(contactEvents(1, 1)))
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("took %v", took)
			}
			if want := map[bool]int{false: 1, true: 2}[retry]; sum.TransportErrors != want || len(*answers) != want {
				t.Errorf("%d transport errors, want %d", sum.TransportErrors, want)
			}
			want := map[bool]string{false: "no answer within 15s", true: "no answer within 10s"}[retry]
			if err := (*answers)[0].Err; !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
			if last := (*answers)[len(*answers)-1]; last.GaveUp != retry || last.Spent != 15*time.Second {
				t.Errorf("the last answer is %+v", last)
			}
		})
	}
}

// TestSenderOpensNoMoreConnectionsThanItNeeds: one that no event goes over
// costs nothing.
func TestSenderOpensNoMoreConnectionsThanItNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: accepted}
		s, _ := newTestSender(t, SenderOptions{Connections: 100_000}, r)
		transports := 0
		var mu sync.Mutex
		s.opts.Transport = func() http.RoundTripper {
			mu.Lock()
			defer mu.Unlock()
			transports++
			return r
		}
		sum := s.Run(t.Context(), slices.Values(append(contactEvents(40, 2), Event{})))
		if sum.OK != 41 || transports < 1 || transports > 3 {
			t.Errorf("%d transports for 3 queues; %+v", transports, sum)
		}
	})
}

// TestSignerOfEveryPreset: what a Signer adds to a request, a verifier of the
// same scheme and secret accepts, and so for every preset.
func TestSignerOfEveryPreset(t *testing.T) {
	now := time.Now()
	for _, name := range signature.PresetNames() {
		scheme, _ := signature.Preset(name)
		if name == "token" {
			scheme.Header = "x-token"
		}
		secret := signature.Secret{ID: "s", Value: []byte("user:pass")}
		if name == "standard-webhooks" {
			secret.Value = []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		}
		sign, err := NewSigner(scheme, secret)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v, err := signature.NewVerifier(scheme, []signature.Secret{secret})
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		sign(h, []byte("body"), now)
		if _, err := v.Verify(h.Values, []byte("body"), now); err != nil {
			t.Errorf("%s: %v is refused: %v", name, h, err)
		}
		if _, err := NewSigner(scheme, signature.Secret{ID: "s"}); err == nil {
			t.Errorf("%s took an empty secret", name)
		}
	}
}

func TestSenderPacesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: accepted}
		s, _ := newTestSender(t, SenderOptions{Rate: 20, Connections: 3}, r)
		sum := s.Run(t.Context(), slices.Values(contactEvents(101, 50)))
		if sum.Elapsed != 5*time.Second || sum.OK != 101 {
			t.Errorf("101 events at 20/s took %v", sum.Elapsed)
		}
	})
}

func TestSenderDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: accepted}
		s, answers := newTestSender(t, SenderOptions{Duplicate: true}, r)
		sum := s.Run(t.Context(), slices.Values(contactEvents(2, 1)))
		if want := []string{"0", "0", "1", "1"}; !slices.Equal(r.bodies, want) || sum.Deliveries != 4 || sum.OK != 4 {
			t.Errorf("bodies %v, summary %+v", r.bodies, sum)
		}
		if (*answers)[0].Duplicate || !(*answers)[1].Duplicate {
			t.Errorf("answers %+v", *answers)
		}
	})
}

func TestSenderStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		r := &receiver{answer: accepted, delay: time.Second}
		s, answers := newTestSender(t, SenderOptions{}, r)
		sum := s.Run(ctx, func(yield func(Event) bool) {
			for yield(Event{Contact: "c"}) { // endless
			}
		})
		if sum.OK != 3 || sum.Unfinished != 1 || len(*answers) != 3 || sum.Elapsed != 3500*time.Millisecond {
			t.Errorf("summary %+v, %d answers", sum, len(*answers))
		}
	})
}

// TestSenderOverHtP checks the request as a server sees it, and how each
// kind of answer is read.
func TestSenderOverHtP(t *testing.T) {
	var mu sync.Mutex
	conns := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		conns[r.RemoteAddr] = true
		mu.Unlock()
		mac := hmac.New(sha256.New, []byte(testSecret))
		mac.Write(body)
		switch {
		case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json":
			w.WriteHeader(http.StatusTeapot)
		case r.Header.Get("X-Cxone-Signature") != hex.EncodeToString(mac.Sum(nil)):
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"reason":"bad_signature"}`)
		case string(body) == "moved":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		case string(body) == "bad":
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"reason":"schema_mismatch","detail":"d","eventId":"e1","errors":[{"pointer":"/agentId","keyword":"minimum","expected":"1","actual":"0"}]}`)
		default:
			_, _ = io.WriteString(w, `{"reason":"accepted","eventId":"e1"}`)
		}
	}))
	defer srv.Close()

	send := func(o SenderOptions, bodies ...string) ([]Answer, Summary) {
		var answers []Answer
		o.URL, o.Sign = srv.URL, mustSign(t)
		o.OnAnswer = func(a Answer) { answers = append(answers, a) }
		s, err := NewSender(o)
		if err != nil {
			t.Fatal(err)
		}
		var events []Event
		for _, b := range bodies {
			events = append(events, Event{Body: []byte(b)})
		}
		sum := s.Run(t.Context(), slices.Values(events))
		return answers, sum
	}
	answers, sum := send(SenderOptions{}, "good", "bad", "moved", "")
	var statuses []int
	for _, a := range answers {
		statuses = append(statuses, a.Status)
	}
	if !slices.Equal(statuses, []int{200, 422, 307, 200}) {
		t.Errorf("statuses %v", statuses)
	}
	if a := answers[0]; a.Reason != "accepted" || a.EventID != "e1" || a.Elapsed <= 0 {
		t.Errorf("2xx: %+v", a)
	}
	want := Violation{Pointer: "/agentId", Keyword: "minimum", Expected: "1", Actual: "0"}
	if a := answers[1]; a.Reason != "schema_mismatch" || a.Detail != "d" || len(a.Violations) != 1 || a.Violations[0] != want {
		t.Errorf("422: %+v", a)
	}
	if sum.Statuses[200] != 2 || sum.Reasons["accepted"] != 2 || sum.Reasons[OtherReason] != 1 || sum.OK != 2 || sum.P50 > sum.P99 || sum.P99 > sum.Max {
		t.Errorf("summary %+v", sum)
	}
	if len(conns) != 1 {
		t.Errorf("one connection was asked for, %d were used", len(conns))
	}
	if answers, _ := send(SenderOptions{BadSignature: true}, "good", ""); answers[0].Status != 401 || answers[1].Status != 401 {
		t.Errorf("bad signatures: %+v", answers)
	}
	clear(conns)
	if _, sum := send(SenderOptions{Connections: 5}, make([]string, 100)...); sum.OK != 100 || len(conns) != 5 {
		t.Errorf("%d connections, want 5; %+v", len(conns), sum)
	}
	srv.Close()
	if answers, sum := send(SenderOptions{}, "x"); !answers[0].Unreachable() || sum.TransportErrors != 1 || sum.Answers != 0 {
		t.Errorf("closed server: %+v %+v", answers, sum)
	}
}

func TestNewSenderRefuses(t *testing.T) {
	sign := mustSign(t)
	if _, err := SignCXone(nil); err == nil {
		t.Error("an empty secret was taken")
	}
	for _, o := range []SenderOptions{
		{}, {URL: "http://x"}, {URL: "relay:8080/x", Sign: sign}, {URL: "ftp://x", Sign: sign}, {URL: "http://", Sign: sign}, {URL: "http://\x00", Sign: sign},
		{URL: "http://x", Sign: sign, Connections: -1}, {URL: "http://x", Sign: sign, Rate: -1}, {URL: "http://x", Sign: sign, Timeout: -1},
	} {
		if _, err := NewSender(o); err == nil {
			t.Errorf("NewSender(%+v) gave no error", o)
		}
	}
}

func BenchmarkSender(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"reason":"accepted","eventId":"e1"}`)
	}))
	defer srv.Close()
	s, err := NewSender(SenderOptions{URL: srv.URL, Sign: mustSign(b), Connections: 8})
	if err != nil {
		b.Fatal(err)
	}
	e := Event{Body: []byte(strings.Repeat("x", 600))}
	b.ReportAllocs()
	s.Run(b.Context(), func(yield func(Event) bool) {
		for b.Loop() && yield(e) {
		}
	})
}
