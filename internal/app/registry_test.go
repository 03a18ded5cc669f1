package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/reason"
)

// fault is one way in which a registry lets its clients down.
type fault struct {
	handle  http.HandlerFunc
	back    time.Duration // the longest from its end until the relay has noticed
	padding int64         // bytes after what handle writes
}

func faults() map[string]fault {
	// After an error without a time, back-off waits 30 s at most.
	const backOff = 36 * time.Second
	text := func(s string) fault {
		return fault{func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }, backOff, 0}
	}
	return map[string]fault{
		"429":                  {answerStatus(http.StatusTooManyRequests), backOff, 0},
		"429 with Retry-After": {retryAfter(http.StatusTooManyRequests, "40"), 46 * time.Second, 0},
		"503 with Retry-After": {retryAfter(http.StatusServiceUnavailable, "40"), 46 * time.Second, 0},
		"401":                  {answerStatus(http.StatusUnauthorized), backOff, 0},
		"500":                  {answerStatus(http.StatusInternalServerError), backOff, 0},
		"404 of a proxy":       {answerStatus(http.StatusNotFound), backOff, 0},
		"subject deleted":      {say(http.StatusNotFound, `{"error_code":40401,"message":"gone"}`), backOff, 0},
		"hang":                 {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, backOff, 0},
		"garbage":              text("<html>503</html>"),
		"half an answer":       text(`{"subject":"cxone-data-action-v1","version":2,"id":`),
		"empty object":         text("{}"),
		"50 MB":                {say(http.StatusOK, `{"schema":`), backOff, 50 << 20},
		"50 MB declared": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(50<<20))
		}, backOff, 0},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.test/", http.StatusFound)
		}, backOff, 0},
		// The registry is well: the next look is the next refresh.
		"schema does not compile": {version(2, `{"type": 12}`), 76 * time.Second, 0},
		"schema recurses":         {version(2, `{"anyOf":[{"$ref":"#"},{"type":"object"}]}`), 76 * time.Second, 0},
		"another type":            {say(http.StatusOK, `{"subject":"s","version":2,"id":102,"schemaType":"AVRO","schema":"\"string\""}`), 76 * time.Second, 0},
	}
}

func say(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
	}
}

func retryAfter(code int, seconds string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", seconds)
		w.WriteHeader(code)
	}
}

func version(n int, schema string) http.HandlerFunc {
	b, _ := json.Marshal(map[string]any{"subject": "s", "version": n, "id": 100 + n, "schemaType": "JSON", "schema": schema})
	return say(http.StatusOK, string(b))
}

// within is until, for waits so long that looking often takes its time.
func (w *world) within(limit time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for began := time.Now(); !ok(); time.Sleep(500 * time.Millisecond) {
		if time.Since(began) > limit {
			w.t.Fatalf("not within %s: %s (readiness: %+v)", limit, what, w.app.Readiness())
		}
	}
}

// no422 checks that no event of the journal was called wrong.
func (w *world) no422() {
	w.t.Helper()
	for _, s := range w.journal.all {
		if slices.Contains(s.reasons, reason.SchemaMismatch.String()) {
			w.t.Errorf("%s was answered %v", s.id, s.reasons)
		}
	}
}

// TestRegistryFails while the relay runs: for five minutes (two where the
// fault is a variation of another) every event is accepted with the schema
// that is there, and the relay stays ready, though degraded; then it is well
// by itself.
func TestRegistryFails(t *testing.T) {
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				defer w.end()
				w.untilReady()
				outage := 2 * time.Minute
				if name == "500" || name == "hang" {
					outage = 5 * time.Minute
				}
				began := time.Now()
				wait := w.load(4, 3*time.Second, began.Add(outage+90*time.Second))
				w.registry.set(func(r *registry) { r.handle, r.padding = f.handle, f.padding })
				w.within(80*time.Second, "noticed", func() bool { return len(w.app.Readiness().Degraded) > 0 })
				for time.Since(began) < outage {
					if r := w.app.Readiness(); !r.Ready || len(r.Degraded) != 1 || !strings.HasPrefix(r.Degraded[0], "subject cxone-data-action-v1: version 1 stays in use: ") {
						t.Fatalf("%+v", r)
					}
					time.Sleep(10 * time.Second)
				}
				if up := w.scrape().series[`cxrelay_dependency_up{dependency="schema_registry"}`]; up != 0 {
					t.Errorf("dependency up: %v", up)
				}
				w.registry.set(func(r *registry) { r.handle, r.padding = nil, 0 })
				w.within(f.back, "well again", func() bool { return len(w.app.Readiness().Degraded) == 0 })
				if up := w.scrape().series[`cxrelay_dependency_up{dependency="schema_registry"}`]; up != 1 {
					t.Errorf("dependency up: %v", up)
				}
				wait()
				w.no422()
				if v := w.judge(); v.accepted != len(w.journal.all) || v.duplicates != 0 {
					t.Errorf("%+v of %d", v, len(w.journal.all))
				}
				if s := w.app.Books(); s.Received != s.Events[1][reason.Accepted] {
					t.Errorf("some events were refused: %+v", s)
				}
			})
		})
	}
}

// TestRegistryFailsAtStart: events are answered schema_unavailable, none is
// lost, and the relay becomes ready by itself.
func TestRegistryFailsAtStart(t *testing.T) {
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{registry: f.handle, padding: f.padding})
				defer w.end()
				wait := w.load(4, 5*time.Second, time.Now().Add(30*time.Second))
				time.Sleep(20 * time.Second)
				if r := w.app.Readiness(); r.Ready || len(r.Missing) != 1 || !strings.HasPrefix(r.Missing[0], "schema registry: ") {
					t.Errorf("%+v", r)
				}
				if why := w.send(event("QUEUE_TRANSFER", "probe", 0)); why != "schema_unavailable" {
					t.Errorf("answered %s", why)
				}
				if n := w.app.Books().Produced; n != 0 {
					t.Errorf("%d records produced without a schema", n)
				}
				w.registry.set(func(r *registry) { r.handle, r.padding = nil, 0 })
				w.within(f.back, "ready", func() bool { return w.app.Readiness().Ready })
				wait()
				w.no422()
				if v := w.judge(); v.accepted != len(w.journal.all)-1 || v.duplicates != 0 {
					t.Errorf("%+v of %d", v, len(w.journal.all))
				}
			})
		})
	}
}

// TestSchemaChanges: a new version is in use within 72 s (60 s ± 20 %), its
// id and its rules together, and no event is lost over the change.
func TestSchemaChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		wait := w.load(6, 500*time.Millisecond, time.Now().Add(100*time.Second))
		strict := strings.TrimSuffix(strings.TrimSpace(devkit.DevSchema), "}") + `,"not":{"required":["old"]}}`
		old := func(n int) string {
			s := event("QUEUE_TRANSFER", "c50", n)
			s.body = strings.TrimSuffix(s.body, "}") + `,"old":true}`
			return w.send(s)
		}
		if why := old(0); why != "accepted" {
			t.Fatalf("under the first version: %s", why)
		}
		w.registry.set(func(r *registry) { r.version, r.schema = 2, strict })
		w.within(73*time.Second, "the second version is in use", func() bool {
			return strings.Contains(w.log.String(), "schema changed")
		})
		if v := w.scrape().series[`cxrelay_schema_version{pin="latest",subject="cxone-data-action-v1"}`]; v != 2 {
			t.Errorf("version %v in the metrics", v)
		}
		if why := old(1); why != "schema_mismatch" {
			t.Errorf("under the second version: %s", why)
		}
		wait()
		v := w.judge()
		if v.accepted != len(w.journal.all)-1 {
			t.Errorf("%+v of %d", v, len(w.journal.all))
		}
		w.judgeSchemaIDs()
	})
}

// judgeSchemaIDs: in every partition id 101 is followed by 102, and both occur.
func (w *world) judgeSchemaIDs() {
	w.t.Helper()
	records, err := w.kafka.ReadAll(w.t.Context(), seedTopics...)
	if err != nil {
		w.t.Fatal(err)
	}
	last, seen := map[string]string{}, map[string]int{}
	for _, r := range records {
		id, place := header(r, "cxrelay-schema-id"), fmt.Sprint(r.Topic, r.Partition)
		if id < last[place] {
			w.t.Errorf("%s: schema id %s after %s", place, id, last[place])
		}
		last[place] = id
		seen[id]++
	}
	if len(seen) != 2 || seen["101"] < 10 || seen["102"] < 10 {
		w.t.Errorf("schema ids %v, want 101 and 102", seen)
	}
}
