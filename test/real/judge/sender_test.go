package judge_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/test/real/judge"
)

// receiver answers one request after the other as a list says; 0 closes the
// connection. After the list it accepts.
type receiver struct {
	mu     sync.Mutex
	list   []int
	bodies []string
	sigs   []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies = append(r.bodies, string(body))
	r.sigs = append(r.sigs, req.Header.Get("X-Cxone-Signature"))
	status := http.StatusOK
	if len(r.list) > 0 {
		status, r.list = r.list[0], r.list[1:]
	}
	switch status {
	case 0:
		panic(http.ErrAbortHandler)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"reason":"r"}`)
}

// TestInsist: the same bytes again after 503 and after errors of the
// transport, and no more after any other answer.
func TestInsist(t *testing.T) {
	r := &receiver{list: []int{503, 0, 500, 400}}
	server := httptest.NewServer(r)
	defer server.Close()
	var j judge.Journal
	s := judge.NewSender(server.URL, "secret", &j)
	defer s.Close()
	s.Hurry(time.Millisecond)
	e := judge.NewEvent("QUEUE_TRANSFER", "c", 1)
	if a := s.Insist(t.Context(), e); a.Status != 400 || a.Reason != "r" {
		t.Errorf("%+v", a)
	}
	if len(e.Answers) != 4 || e.Answers[1].Err == nil || e.Answers[1].Status != 0 || len(j.Events()) != 1 || len(j.Answers()) != 4 {
		t.Errorf("%+v", e.Answers)
	}
	for _, body := range r.bodies {
		if body != e.Body {
			t.Errorf("sent %q", body)
		}
	}
	if _, ok := e.Accepted(); ok {
		t.Error("accepted")
	}
}

// TestSignature: the vector is RFC 4231's second, HMAC-SHA256 in hex.
func TestSignature(t *testing.T) {
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	s := judge.NewSender(server.URL, "Jefe", &judge.Journal{})
	defer s.Close()
	s.Send(t.Context(), &judge.Event{Body: "what do ya want for nothing?"}, nil)
	if len(r.sigs) != 1 || r.sigs[0] != "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" {
		t.Errorf("%q", r.sigs)
	}
}

// TestCrowd: every event of every contact once; who waits, waits.
func TestCrowd(t *testing.T) {
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	var j judge.Journal
	s := judge.NewSender(server.URL, "secret", &j)
	defer s.Close()
	s.Crowd(t.Context(), judge.Crowd{Contacts: 6, Events: 9, Senders: 3, Over: 200 * time.Millisecond})()
	seen := map[string]bool{}
	last := map[string]time.Time{}
	for _, e := range j.Events() {
		at, ok := e.Accepted()
		if seen[e.ID] || !ok {
			t.Errorf("%s: again %t, accepted %t", e.ID, seen[e.ID], ok)
		}
		seen[e.ID] = true
		if c := e.Contact; c == "c0" || c == "c2" || c == "c4" {
			if e.Sent.Before(last[c]) {
				t.Errorf("%s was sent before its predecessor was accepted", e.ID)
			}
			last[c] = at
		}
	}
	if len(seen) != 54 {
		t.Errorf("%d events", len(seen))
	}
}

// TestCrowdEnds: nothing is begun after the end, and what was begun is
// accepted.
func TestCrowdEnds(t *testing.T) {
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	var j judge.Journal
	s := judge.NewSender(server.URL, "secret", &j)
	defer s.Close()
	end := time.Now().Add(100 * time.Millisecond)
	s.Crowd(t.Context(), judge.Crowd{Contacts: 2, Events: 1000, Senders: 1, Over: 10 * time.Second, Until: end})()
	if n := len(j.Events()); n == 0 || n > 30 {
		t.Errorf("%d events of 200 a second in 100 ms", n)
	}
	for _, e := range j.Events() {
		if _, ok := e.Accepted(); !ok || e.Sent.After(end.Add(time.Second)) {
			t.Errorf("%s: accepted %t, sent %s after the end", e.ID, ok, e.Sent.Sub(end))
		}
	}
}

// TestWatch: a machine whose time is virtual is never late.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := judge.Watch(context.Background())
		time.Sleep(time.Second)
		if l := stop(); l != (judge.Lateness{}) {
			t.Errorf("%+v", l)
		}
	})
}
