package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/admin"
	"github.com/cxrelay/cxrelay/internal/devkit"
)

// files is a file system of flat names.
type files struct {
	mu    sync.Mutex
	all   map[string]string
	later map[string]string // take effect when the file was read once more
	away  chan struct{}     // nobody reads before it is closed; nil: now
}

func newFiles(all map[string]string) *files { return &files{all: maps.Clone(all)} }

func (f *files) read(name string) ([]byte, error) {
	f.mu.Lock()
	away := f.away
	f.mu.Unlock()
	if away != nil {
		<-away
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	text, ok := f.all[name]
	if next, rotates := f.later[name]; rotates {
		f.all[name] = next
		delete(f.later, name)
	}
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}
	return []byte(text), nil
}

// holdUp has every reading wait until away is closed.
func (f *files) holdUp(away chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *files) set(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[name] = text
}

// rotate gives a file another text after one more reading.
func (f *files) rotate(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.later = map[string]string{name: text}
}

// edit replaces a part of a file, and returns its whole text.
func (f *files) edit(name, old, text string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !strings.Contains(f.all[name], old) {
		panic("no " + old + " in " + f.all[name])
	}
	f.all[name] = strings.ReplaceAll(f.all[name], old, text)
	return f.all[name]
}

func (f *files) remove(name string) (text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text = f.all[name]
	delete(f.all, name)
	return text
}

// baseConfig has the seed's routes and one source with one secret in a file.
const baseConfig = `
sources:
  - name: cxone
    path: /cxone/webhook
    signature: {preset: cxone, secrets: [{id: a, file: a.secret}]}
routes:
  - {type: INTERACTION_CREATED, topic: cxone.interactions.raw}
  - {type: DISPOSITION_UPDATED, topic: cxone.dispositions.raw}
  - {type: QUEUE_TRANSFER, topic: cxone.transfers.raw}
  - {type: CALL_DISCONNECTED, topic: cxone.calls.terminated}
`

func baseFiles() *files {
	return newFiles(map[string]string{"relay.yaml": baseConfig, "a.secret": testSecret + "\n", "b.secret": "the-next-secret\n"})
}

// reloadAnswer is what POST /-/reload says.
type reloadAnswer struct {
	status            int
	Changed, Warnings []string
	Title, Detail     string
	Errors            []admin.Problem
}

// tryReload asks for a reload.
func (w *world) tryReload() reloadAnswer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, adminURL+"/-/reload", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	a := reloadAnswer{status: resp.StatusCode}
	if err := json.Unmarshal(b, &a); err != nil {
		w.t.Fatalf("%s: %v", b, err)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// reload asks for a reload that has to succeed, and to change these keys.
func (w *world) reload(changed ...string) reloadAnswer {
	w.t.Helper()
	a := w.tryReload()
	if a.status != http.StatusOK || fmt.Sprint(a.Changed) != fmt.Sprint(changed) {
		w.t.Fatalf("%+v, want a change of %v", a, changed)
	}
	return a
}

// refused asks for a reload that has to be refused, with this in its errors.
func (w *world) refused(status int, part string) {
	w.t.Helper()
	a := w.tryReload()
	if a.status != status || !strings.Contains(a.Detail, part) || a.Title == "" || len(a.Errors) == 0 {
		w.t.Errorf("%+v, want %d and %q", a, status, part)
	}
	s := w.scrape()
	if s.sum("cxrelay_config_last_reload_successful") != 0 {
		w.t.Error("the metric says that it succeeded")
	}
}

// watchReloads scrapes until end: the books balance in each scrape, and no
// series of a counter goes back or away.
func (w *world) watchReloads(every time.Duration, end time.Time) {
	was := map[string]float64{}
	for ; time.Now().Before(end); time.Sleep(every) {
		s := w.scrape()
		w.balances(s)
		for name, before := range was {
			if now, there := s.series[name]; !there || now < before {
				w.t.Errorf("%s went from %v to %v (there: %t)", name, before, now, there)
			}
		}
		clear(was)
		for name, v := range s.series {
			family, _, _ := strings.Cut(name, "{")
			if s.kind[family] == "counter" && !strings.HasPrefix(family, "go_") && !strings.HasPrefix(family, "process_") {
				was[name] = v
			}
		}
	}
}

// never fails the test for every answer in the journal that a sender of good
// events must not get.
func (w *world) never() {
	w.t.Helper()
	for _, s := range w.journal.all {
		for _, why := range s.reasons {
			if why != "accepted" && why != "dropped" {
				w.t.Errorf("%s (%s) was answered %s", s.id, s.topic, why)
			}
		}
	}
}

// TestSecretRotates under load: for a while both secrets are right. No event
// of either is refused, and each secret's counter tells when it is unused.
func TestSecretRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles()})
		defer w.end()
		w.untilReady()
		end := time.Now().Add(12 * time.Second)
		wait := w.load(12, 50*time.Millisecond, end)
		var scraper sync.WaitGroup
		scraper.Go(func() { w.watchReloads(70*time.Millisecond, end) })

		time.Sleep(3 * time.Second)
		w.files.edit("relay.yaml", "{id: a, file: a.secret}", "{id: b, file: b.secret}, {id: a, file: a.secret}")
		a := w.tryReload()
		if a.status != 200 || len(a.Changed) == 0 || strings.Contains(fmt.Sprint(a), testSecret) {
			t.Errorf("%+v", a)
		}
		time.Sleep(3 * time.Second)
		w.secret.Store("the-next-secret")
		time.Sleep(3 * time.Second)
		before := w.scrape().series[`cxrelay_signature_matches_total{secret="a",source="cxone"}`]
		w.files.edit("relay.yaml", ", {id: a, file: a.secret}", "")
		if a := w.tryReload(); a.status != 200 {
			t.Errorf("%+v", a)
		}
		wait()
		scraper.Wait()
		w.never()
		v := w.judge()
		s := w.scrape()
		old, now := s.series[`cxrelay_signature_matches_total{secret="a",source="cxone"}`], s.series[`cxrelay_signature_matches_total{secret="b",source="cxone"}`]
		if old != before || now < 100 || old+now != float64(v.accepted) {
			t.Errorf("%d accepted; by the old secret %v (before its end %v), by the new one %v", v.accepted, old, before, now)
		}
		stale := event("QUEUE_TRANSFER", "c0", 100_000)
		stale.secret = testSecret
		if _, why := w.post(stale); why != "bad_signature" {
			t.Errorf("the old secret: %s", why)
		}
		if strings.Contains(w.log.String(), "the-next-secret") {
			t.Error("the log shows a secret")
		}
	})
}

// subjects is a registry of some subjects; others are not found.
func subjects(known ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		subject, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/subjects/"), "/")
		for i, k := range known {
			if k == subject {
				_ = json.NewEncoder(w).Encode(map[string]any{"subject": subject, "version": 1, "id": 100 + i, "schemaType": "JSON", "schema": devkit.DevSchema})
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error_code":40401,"message":"Subject not found"}`)
	}
}

// TestRoutesReload under load: a route with a new topic and a new subject, a
// glob, a drop and a move. The first event to the new topic is accepted, and
// who is moved is warned of.
func TestRoutesReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles(), topics: append([]string{"chats", "moved"}, seedTopics...), registry: subjects("cxone-data-action-v1", "chat-v1")})
		defer w.end()
		w.untilReady()
		chat := func(n int) *sent {
			s := event("CHAT_CREATED", "c100", n)
			s.topic = "chats"
			return s
		}
		if _, why := w.post(chat(0)); why != "unrouted" {
			t.Errorf("before: %s", why)
		}
		w.journal.add(&sent{reasons: []string{"unrouted"}, id: "c100-0"})
		end := time.Now().Add(10 * time.Second)
		wait := w.load(12, 50*time.Millisecond, end)
		var scraper sync.WaitGroup
		scraper.Go(func() { w.watchReloads(70*time.Millisecond, end) })
		time.Sleep(2 * time.Second)

		w.files.set("relay.yaml", baseConfig+"  - {type: CHAT_CREATED, topic: chats, subject: chat-v1, key: raw}\n  - {type: 'TYPING_*', drop: true}\n  - {type: 'CHAT_*', topic: chats, subject: chat-v1}\n")
		w.reload("routes[4]", "routes[5]", "routes[6]")
		if why := w.send(chat(1)); why != "accepted" {
			t.Errorf("the first event of the new route: %s", why)
		}
		if _, why := w.post(event("TYPING_STARTED", "c100", 2)); why != "dropped" {
			t.Errorf("the drop: %s", why)
		}
		w.journal.add(&sent{reasons: []string{"dropped"}, id: "c100-2"})
		time.Sleep(2 * time.Second)

		// Nobody sends CHAT_CREATED now: its key rule and its topic change.
		w.files.edit("relay.yaml", "{type: CHAT_CREATED, topic: chats, subject: chat-v1, key: raw}", "{type: CHAT_CREATED, topic: moved, subject: chat-v1}")
		a := w.reload("routes[4].topic", "routes[4].key")
		if len(a.Warnings) == 0 || a.Warnings[0] != "type CHAT_CREATED: goes to topic moved, before to chats" || !strings.Contains(w.log.String(), "the order of events breaks here, once") {
			t.Errorf("warnings %q", a.Warnings)
		}
		late := chat(3)
		late.topic = "moved"
		if why := w.send(late); why != "accepted" {
			t.Errorf("the moved route: %s", why)
		}
		w.files.set("relay.yaml", baseConfig)
		w.reload("routes[4]", "routes[5]", "routes[6]")
		wait()
		scraper.Wait()
		if _, why := w.post(chat(4)); why != "unrouted" {
			t.Errorf("after: %s", why)
		}
		w.journal.all = append(w.journal.all, &sent{reasons: []string{"unrouted"}, id: "c100-4"})
		w.judge()
		status, body := w.get(adminURL + "/api/v1/status")
		if status != 200 || strings.Contains(body, "moved") || strings.Contains(body, "chat") || !strings.Contains(body, `"changed":["routes[4]","routes[5]","routes[6]"]`) {
			t.Errorf("status: %s", body)
		}
		if r := w.app.Readiness(); !r.Ready || len(r.Degraded) > 0 {
			t.Errorf("%+v", r)
		}
	})
}

// TestSourcesReload under load: a second source comes with routes of its own,
// and goes.
func TestSourcesReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles(), topics: append([]string{"second"}, seedTopics...)})
		defer w.end()
		w.untilReady()
		from := func(n int) *sent {
			s := event("CALL_DISCONNECTED", "c200", n)
			s.path, s.secret, s.topic = "/second", "the-next-secret", "second"
			return s
		}
		if _, why := w.post(from(0)); why != "not_found" {
			t.Errorf("before: %s", why)
		}
		w.journal.add(&sent{reasons: []string{"not_found"}, id: "c200-0"})
		end := time.Now().Add(8 * time.Second)
		wait := w.load(8, 50*time.Millisecond, end)
		var scraper sync.WaitGroup
		scraper.Go(func() { w.watchReloads(70*time.Millisecond, end) })
		time.Sleep(2 * time.Second)
		text := strings.Replace(baseConfig, "routes:\n", `  - name: second
    path: /second
    signature: {preset: cxone, secrets: [{id: only, file: b.secret}]}
routes:
  - {type: CALL_DISCONNECTED, topic: second, sources: [second]}
`, 1)
		w.files.set("relay.yaml", text)
		if a := w.tryReload(); a.status != 200 {
			t.Fatalf("%+v", a)
		}
		for n := range 5 {
			if why := w.send(from(n + 1)); why != "accepted" {
				t.Errorf("the second source: %s", why)
			}
		}
		wrong := from(6)
		wrong.secret = testSecret
		if _, why := w.post(wrong); why != "bad_signature" {
			t.Errorf("with the secret of the other source: %s", why)
		}
		w.journal.add(&sent{reasons: []string{"bad_signature"}, id: "c200-6"})
		time.Sleep(2 * time.Second)
		w.files.set("relay.yaml", baseConfig)
		if a := w.tryReload(); a.status != 200 {
			t.Fatalf("%+v", a)
		}
		if _, why := w.post(from(7)); why != "not_found" {
			t.Errorf("after: %s", why)
		}
		w.journal.add(&sent{reasons: []string{"not_found"}, id: "c200-7"})
		wait()
		scraper.Wait()
		w.judge()
		if n := w.scrape().series[`cxrelay_events_total{reason="accepted",source="second"}`]; n != 5 {
			t.Errorf("the source that is gone has %v accepted events", n)
		}
	})
}

// TestLimitsReload: each limit holds from the reload on, and its gauge shows it.
func TestLimitsReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles()})
		defer w.end()
		w.untilReady()
		big := event("QUEUE_TRANSFER", "c0", 1)
		big.body = strings.Replace(big.body, `"x"`, `"pad":"`+strings.Repeat("x", 4096)+`","x"`, 1)
		if why := w.send(big); why != "accepted" {
			t.Error(why)
		}
		w.files.set("relay.yaml", baseConfig+"limits: {body: 4KiB, in_flight_bytes: 1MiB, in_flight_records: 7, oldest_unacked: 3s, connections: 9}\n")
		w.reload("limits.body", "limits.in_flight_bytes", "limits.in_flight_records", "limits.oldest_unacked", "limits.connections")
		if _, why := w.post(big); why != "too_large" {
			t.Error(why)
		}
		s := w.scrape()
		for name, want := range map[string]float64{
			"cxrelay_body_bytes_in_flight_limit": 1 << 20, "cxrelay_record_bytes_in_flight_limit": 1 << 20, "cxrelay_records_pending_limit": 7,
			"cxrelay_oldest_unacked_limit_seconds": 3, "cxrelay_http_connections_limit": 9,
		} {
			if got := s.series[name]; got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		// More records than the producers were made for at the start.
		w.files.set("relay.yaml", baseConfig+"limits: {in_flight_records: 400000}\n")
		if a := w.tryReload(); a.status != 200 {
			t.Errorf("%+v", a)
		}
		if _, why := w.post(big); why != "accepted" {
			t.Error(why)
		}
	})
}

// TestHangupReloads: SIGHUP does what the request does.
func TestHangupReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles()})
		defer w.end()
		w.untilReady()
		w.files.edit("relay.yaml", "topic: cxone.transfers.raw", "drop: true")
		w.hangup <- syscall.SIGHUP
		synctest.Wait()
		if why := w.send(event("QUEUE_TRANSFER", "c0", 0)); why != "dropped" {
			t.Errorf("%s", why)
		}
		if !strings.Contains(w.log.String(), `"trigger":"SIGHUP","changed":["routes[2].topic","routes[2].subject","routes[2].drop"]`) {
			t.Error("no line in the log")
		}
	})
}
