package load_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

const secret = "storm"

// relay is what a test needs of one: it checks the signature and remembers.
type relay struct {
	*httptest.Server
	mu     sync.Mutex
	taken  map[string]int // attempts by event id
	answer func(id string, attempt int) int
}

func newRelay(t *testing.T, answer func(id string, attempt int) int) *relay {
	t.Helper()
	r := &relay{taken: map[string]int{}, answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if req.Header.Get(load.SignatureHeader) != load.Sign(secret, body) || len(req.Header.Values(load.SignatureHeader)) != 1 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var e struct{ EventID string }
	if json.Unmarshal(body, &e) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.taken[e.EventID]++
	n := r.taken[e.EventID]
	r.mu.Unlock()
	w.WriteHeader(r.answer(e.EventID, n))
	fmt.Fprint(w, `{"reason":"because"}`)
}

// run sends events and returns the journal and what was done.
func run(t *testing.T, o load.Options) ([]journal.Entry, *load.Stats) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	w, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	o.Secret, o.Journal, o.Rate, o.Connections, o.Drain = secret, w, 20_000, 50, 10*time.Second
	o.Types = []load.Type{{Name: "A", Topic: "a"}, {Name: "B", Topic: "b"}}
	var stats load.Stats
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := load.Run(ctx, o, &stats); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return entries(t, path), &stats
}

func entries(t *testing.T, path string) []journal.Entry {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []journal.Entry
	if err := journal.Read(f, func(e journal.Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// attempts counts what the journal says was sent, by event.
func attempts(all []journal.Entry) map[string]int {
	sent := map[string]int{}
	for _, e := range all {
		if e.Kind == 'S' {
			sent[e.Event.ID()]++
		}
	}
	return sent
}

// TestJournalIsWhole: every attempt is written down, before and after.
func TestJournalIsWhole(t *testing.T) {
	r := newRelay(t, func(_ string, attempt int) int {
		if attempt == 1 {
			return 503
		}
		return 200
	})
	all, stats := run(t, load.Options{URLs: []string{r.URL}, Events: 200, Contacts: 20, MaxBody: 4000, Habits: load.Habits{Waits: 0.5}})
	sent := attempts(all)
	if len(sent) != 200 || stats.Accepted.Load() != 200 || stats.Attempts.Load() != 400 {
		t.Errorf("%d events sent, %d accepted, %d attempts", len(sent), stats.Accepted.Load(), stats.Attempts.Load())
	}
	for id, n := range sent {
		if n != 2 || r.taken[id] != 2 {
			t.Errorf("%s: the journal says %d attempts, the relay %d", id, n, r.taken[id])
		}
	}
}

// TestWaits: a contact that waits has one event under way, and one that does
// not as many as it may.
func TestWaits(t *testing.T) {
	for name, c := range map[string]struct {
		habits load.Habits
		most   int
	}{
		"waits":           {load.Habits{Waits: 1, Beside: 3}, 1},
		"three at a time": {load.Habits{Beside: 3}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t, func(string, int) int { return 200 })
			all, stats := run(t, load.Options{URLs: []string{r.URL}, Events: 300, Contacts: 5, Habits: c.habits})
			open, contacts, most := map[string]int{}, map[int]string{}, 0
			for _, e := range all {
				switch e.Kind {
				case 'E':
					contacts[e.Event.Number] = e.Event.Contact
				case 'S':
					open[contacts[e.Event.Number]]++
					most = max(most, open[contacts[e.Event.Number]])
				case 'A':
					open[contacts[e.Event.Number]]--
				}
			}
			if most != c.most || stats.Accepted.Load() != 300 {
				t.Errorf("a contact has %d events under way, want %d; %d accepted", most, c.most, stats.Accepted.Load())
			}
		})
	}
}

// TestQueue: a contact that may have two events before it skips the rest, of a
// hundred; some of those that come while the load ends may be among the accepted.
func TestQueue(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r := newRelay(t, func(string, int) int { <-ctx.Done(); return 200 })
	w, err := journal.Create(filepath.Join(t.TempDir(), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	var stats load.Stats
	if err := errors.Join(load.Run(ctx, load.Options{
		URLs: []string{r.URL}, Secret: secret, Journal: w, Rate: 1000, Connections: 50, Contacts: 1, Drain: 10 * time.Second,
		Types: []load.Type{{Name: "A", Topic: "a"}}, Habits: load.Habits{Waits: 1, Queue: 2},
	}, &stats), w.Close()); err != nil {
		t.Fatal(err)
	}
	if n := stats.Accepted.Load(); n > 20 || n != stats.Events.Load() || stats.Skipped.Load() == 0 {
		t.Errorf("%d accepted, %d skipped", n, stats.Skipped.Load())
	}
}

func TestHabits(t *testing.T) {
	for name, c := range map[string]struct {
		habits   load.Habits
		answer   int
		attempts int // of each event
	}{
		"gives up":          {load.Habits{GivesUp: 1, Tries: 3}, 503, 3},
		"takes a no":        {load.Habits{}, 422, 1},
		"repeats":           {load.Habits{Repeats: 1}, 200, 2},
		"sends once if 200": {load.Habits{}, 200, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t, func(string, int) int { return c.answer })
			all, _ := run(t, load.Options{URLs: []string{r.URL}, Events: 20, Contacts: 20, Habits: c.habits})
			for id, n := range attempts(all) {
				if n != c.attempts {
					t.Errorf("%s was sent %d times, want %d", id, n, c.attempts)
				}
			}
		})
	}
}

// TestHangsUp: who hangs up learns nothing, and sends again.
func TestHangsUp(t *testing.T) {
	r := newRelay(t, func(string, int) int { return 200 })
	all, stats := run(t, load.Options{URLs: []string{r.URL}, Events: 200, Contacts: 20, Habits: load.Habits{Disconnect: 0.5}})
	unknown := 0
	for _, e := range all {
		if e.Kind == 'A' && e.Answer.Status == 0 {
			unknown++
		}
	}
	if stats.Accepted.Load() != 200 || unknown < 100 {
		t.Errorf("%d accepted; %d attempts without an answer", stats.Accepted.Load(), unknown)
	}
}

// TestAttacks: none gets in where the rules are as in the relay, and each of
// them is written down.
func TestAttacks(t *testing.T) {
	r := newRelay(t, func(string, int) int { return 422 })
	path := filepath.Join(t.TempDir(), "journal")
	w, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	count := len(load.Attacks())
	if err := load.Storm(t.Context(), load.AttackOptions{
		Address: strings.TrimPrefix(r.URL, "http://"), Path: "/cxone/webhook", Secret: secret, Timed: "/hooks", Stamped: load.Stamped{Key: "key"}, Journal: w, Rate: 1000, Count: count, MaxBody: 1 << 20, Beside: 8,
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range entries(t, path) {
		names[e.Name] = true
		if e.Answer.Status >= 200 && e.Answer.Status < 300 {
			t.Errorf("%s was answered %d", e.Name, e.Answer.Status)
		}
	}
	if len(names) != count {
		t.Errorf("%d attacks of %d are in the journal", len(names), count)
	}
	for id := range r.taken {
		if !strings.HasPrefix(id, "EVIL-") && id != "" {
			t.Errorf("an attack has the id %q", id)
		}
	}
}

// TestSlow: connections are held, and opened again when the server ends them.
func TestSlow(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	server.Config.ReadTimeout = 50 * time.Millisecond
	server.Start()
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var closed atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		load.Slow(ctx, load.SlowOptions{Address: strings.TrimPrefix(server.URL, "http://"), Path: "/", Connections: 30, Every: 5 * time.Millisecond}, &closed)
	}()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for closed.Load() < 60 {
		<-look.C
	}
	cancel()
	<-done
}
