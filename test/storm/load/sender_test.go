package load_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// receiver answers one request after the other as a list says; 0 closes the
// connection, and -503 lacks Retry-After. After the list it accepts.
type receiver struct {
	mu     sync.Mutex
	list   []int
	bodies []string
	heads  []http.Header
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies, r.heads = append(r.bodies, string(body)), append(r.heads, req.Header)
	status := http.StatusOK
	if len(r.list) > 0 {
		status, r.list = r.list[0], r.list[1:]
	}
	switch status {
	case 0:
		panic(http.ErrAbortHandler)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case -http.StatusServiceUnavailable:
		status = http.StatusServiceUnavailable
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"reason":"r"}`)
}

// sends has a sender do something, and returns what its journal tells.
func sends(t *testing.T, o load.Options, do func(s *load.Sender)) []journal.Entry {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	w, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	o.Journal = w
	s := load.NewSender(o)
	defer s.Close()
	do(s)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return entries(t, path)
}

var kind = load.Type{Name: "A", Topic: "a"}

// TestInsist: the same bytes again after 503, after errors of the transport
// and after anything else that is not for good, with the pauses that were
// asked for.
func TestInsist(t *testing.T) {
	const pause = 40 * time.Millisecond
	r := &receiver{list: []int{503, 0, -503, 500, 400}}
	server := httptest.NewServer(r)
	defer server.Close()
	o := load.Options{URLs: []string{server.URL}, Secret: secret, Habits: load.Habits{Pauses: load.Pauses{First: pause, Longest: pause, Steady: true}}}
	var told []string
	var last time.Time
	for _, e := range sends(t, o, func(s *load.Sender) {
		if a := s.Insist(t.Context(), s.Event("c", kind)); a.Status != 400 || a.Reason != "r" {
			t.Errorf("%+v", a)
		}
	}) {
		switch e.Kind {
		case 'S':
			if !last.IsZero() && e.At.Sub(last) < pause {
				t.Errorf("attempt %d came %s after the answer before it", e.Attempt, e.At.Sub(last))
			}
		case 'A':
			told = append(told, fmt.Sprintf("%d %d %s", e.Attempt, e.Answer.Status, e.Answer.Reason))
			last = e.At
		}
	}
	want := []string{"0 503 r", "1 0 " + load.Reset, "2 503 r " + load.NoRetryAfter, "3 500 r", "4 400 r"}
	if strings.Join(told, ", ") != strings.Join(want, ", ") {
		t.Errorf("the journal tells %q, want %q", told, want)
	}
	for _, body := range r.bodies {
		if body != r.bodies[0] || !strings.Contains(body, `"storm-0"`) {
			t.Errorf("sent %q", body)
		}
	}
}

// TestGiven: the signature's vector is RFC 4231's second, HMAC-SHA256 in hex.
func TestGiven(t *testing.T) {
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	all := sends(t, load.Options{URLs: []string{server.URL}, Secret: "Jefe"}, func(s *load.Sender) {
		e := s.Given(journal.Event{Own: "mine", Contact: " c\t", Type: "A", Topic: "a"}, "what do ya want for nothing?")
		e.Header = http.Header{"Traceparent": {"t"}}
		s.Send(t.Context(), e)
	})
	if r.heads[0].Get(load.SignatureHeader) != "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" ||
		r.heads[0].Get("Traceparent") != "t" || r.bodies[0] != "what do ya want for nothing?" {
		t.Errorf("%q %q", r.heads, r.bodies)
	}
	want := journal.Event{Own: "mine", Contact: " c\t", Type: "A", Topic: "a", SHA256: "b381e7fec653fc3ab9b178272366b8ac87fed8d31cb25ed1d0e1f3318644c89c"}
	if all[0].Event != want {
		t.Errorf("%+v", all[0].Event)
	}
}

// TestRefused: nobody listens.
func TestRefused(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	sends(t, load.Options{URLs: []string{server.URL}, Secret: secret}, func(s *load.Sender) {
		if a := s.Send(t.Context(), s.Event("c", kind)); a.Status != 0 || a.Reason != load.Refused {
			t.Errorf("%+v", a)
		}
	})
}

// TestAlternates: the events of a contact and type go to each relay in turn,
// whatever others send.
func TestAlternates(t *testing.T) {
	var mu sync.Mutex
	var went []string
	relay := func(name string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			went = append(went, name)
			w.WriteHeader(http.StatusOK)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	sends(t, load.Options{URLs: []string{relay("left"), relay("right")}, Secret: secret}, func(s *load.Sender) {
		for range 4 {
			s.Send(t.Context(), s.Event("c", kind))
			s.Send(t.Context(), s.Event("d", kind))
		}
	})
	for i := 2; i < len(went); i++ {
		if went[i] == went[i-2] {
			t.Fatalf("events went to %v", went)
		}
	}
}
