package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// listed are the schemas as the admin listener has them.
func (w *world) listed(query string) schema.Listing {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://127.0.0.1:9640/api/v1/schemas"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var list schema.Listing
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	return list
}

// headers are those of the only record with an event id.
func (w *world) headers(id string) map[string]string {
	w.t.Helper()
	records, err := w.kafka.ReadAll(w.t.Context(), seedTopics...)
	if err != nil {
		w.t.Fatal(err)
	}
	var found map[string]string
	for _, r := range records {
		all := map[string]string{}
		for _, h := range r.Headers {
			all[h.Key] = string(h.Value)
		}
		if all["cxrelay-event-id"] == id {
			if found != nil {
				w.t.Errorf("two records of %s", id)
			}
			found = all
		}
	}
	return found
}

func TestModeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{overrides: map[string]string{"schema.mode": "off"}})
		defer w.end()
		w.untilReady()
		if got := w.send(&sent{id: "e", body: `{"eventId":"e","actionType":"QUEUE_TRANSFER","contactId":"c","agentId":"seven"}`}); got != "accepted" {
			t.Errorf("answered %s", got)
		}
		if h := w.headers("e"); h["cxrelay-type"] == "" || h["cxrelay-schema-id"] != "" {
			t.Errorf("headers %v", h)
		}
		if w.registry.requests != 0 {
			t.Errorf("%d requests to the registry", w.registry.requests)
		}
		if list := w.listed(""); list.Mode != "off" || len(list.Schemas) != 1 || list.Schemas[0].State != schema.Off {
			t.Errorf("listed %+v", list)
		}
		s := w.scrape().series
		if s[`cxrelay_dependency_up{dependency="schema_registry"}`] != 1 || s[`cxrelay_schema_usable{pin="latest",subject="cxone-data-action-v1"}`] != 1 {
			t.Error("the metrics say that something is missing")
		}
	})
}

// Without validation there need be no registry at all.
func TestModeOffWithoutRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		w.end()
		cfg, _, err := config.Load(config.Source{Env: []string{"CXONE_WEBHOOK_SECRET=x"}, Overrides: map[string]string{
			"listen.address": "127.0.0.1:0", "admin.address": "127.0.0.1:0", "kafka.brokers": "127.0.0.1:1", "schema.registry.urls": "http://x", "schema.mode": "off",
		}})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Schema.Registry = config.Registry{}
		relay, err := app.New(app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar), Network: app.Network{DialKafka: w.kafka.Dial}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := relay.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}

// A frame needs an id, and only a schema of ours has one.
func TestPrefixNeedsASchema(t *testing.T) {
	for _, mode := range []config.SchemaMode{config.Off, config.RemoteAPI} {
		cfg, _, err := config.Load(config.Source{Env: []string{"CXONE_WEBHOOK_SECRET=x", "KAFKA_BROKERS=127.0.0.1:1", "SCHEMA_REGISTRY_URL=http://x"}})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Schema.Mode, cfg.Routes[1].Wire = mode, route.Prefix
		if _, err := app.New(app.Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar)}); err == nil || !strings.Contains(err.Error(), "with schema.mode "+mode.String()+" there is none") {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// validating is a registry with the call of mode remote.
type validating struct {
	t      *testing.T
	calls  atomic.Int64
	answer atomic.Pointer[http.HandlerFunc]
}

func (v *validating) set(h http.HandlerFunc) { v.answer.Store(&h) }

func (v *validating) serve(w http.ResponseWriter, r *http.Request) {
	v.calls.Add(1)
	if r.Method != http.MethodPost || r.URL.Path != "/subjects/cxone-data-action-v1/validate" || r.Header.Get("Content-Type") != "application/json" {
		v.t.Errorf("asked %s %s", r.Method, r.URL)
	}
	(*v.answer.Load())(w, r)
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func TestModeRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := &validating{t: t}
		hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		var throttled atomic.Int64
		twice := func(w http.ResponseWriter, r *http.Request) {
			if throttled.Add(1) <= 2 {
				status(429, "")(w, r)
				return
			}
			status(200, "")(w, r)
		}
		reg.set(status(200, `{"is_valid":true}`))
		w := newWorld(t, worldOptions{registry: reg.serve, file: "sources: [{name: cxone, deadline: 4s, signature: {preset: cxone, secrets: [{id: a, value: " + testSecret + "}]}}]\nschema: {mode: remote}"})
		defer w.end()
		w.untilReady()
		for i, step := range []struct {
			answer http.HandlerFunc
			want   string
			calls  int64
			within time.Duration
		}{
			{status(200, ""), "accepted", 1, 100 * time.Millisecond},
			{status(200, `{"is_valid":false,"message":"no"}`), "schema_mismatch", 1, 100 * time.Millisecond},
			{status(422, `{"message":"no agent"}`), "schema_mismatch", 1, 100 * time.Millisecond},
			{twice, "accepted", 3, 3100 * time.Millisecond},
			{status(429, ""), "schema_unavailable", 3, 3100 * time.Millisecond},
			{status(500, ""), "schema_unavailable", 1, 100 * time.Millisecond},
			{status(404, ""), "schema_unavailable", 1, 100 * time.Millisecond},
			{hang, "schema_unavailable", 1, 3600 * time.Millisecond},
			{status(200, ""), "accepted", 1, 100 * time.Millisecond},
		} {
			reg.set(step.answer)
			before, began := reg.calls.Load(), time.Now()
			id := fmt.Sprint("e", i)
			got := w.send(&sent{id: id, body: `{"eventId":"` + id + `","actionType":"QUEUE_TRANSFER","contactId":"c"}`})
			if calls, took := reg.calls.Load()-before, time.Since(began); got != step.want || calls != step.calls || took > step.within {
				t.Errorf("step %d: %s after %d calls and %s, want %s after %d and at most %s", i, got, calls, took, step.want, step.calls, step.within)
			}
			if h := w.headers(id); (h != nil) != (step.want == "accepted") || h["cxrelay-schema-id"] != "" {
				t.Errorf("step %d: record with %v", i, h)
			}
		}
		if !strings.Contains(w.log.String(), `"violation":"(the whole): expected what the schema registry takes as valid, got no agent"`) {
			t.Error("the registry's words are not in the log")
		}
		if n := strings.Count(w.log.String(), "no call that validates payloads"); n != 1 {
			t.Errorf("%d lines of a missing call", n)
		}
		if list := w.listed("?subject=cxone-data-action-v1"); list.Mode != "remote" || list.Schemas[0].State != schema.Remote || list.Schemas[0].LastSuccess.IsZero() || list.Schemas[0].Text != "" {
			t.Errorf("listed %+v", list)
		}
		w.expectLedger()
	})
}

// expectLedger checks that the books balance at rest.
func (w *world) expectLedger() {
	w.t.Helper()
	b := w.app.Books()
	if b.InFlight != 0 || b.Pending != 0 || b.Produced != b.Acked {
		w.t.Errorf("books %+v", b)
	}
}

// Two versions of one subject, and a version that never becomes usable, stand
// beside each other.
func TestPinnedVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strict := `{"type":"object","required":["agentId"]}`
		w := newWorld(t, worldOptions{
			registry: func(w http.ResponseWriter, r *http.Request) {
				version, text := 2, strict
				switch {
				case strings.HasSuffix(r.URL.Path, "/versions/1"):
					version, text = 1, `{"type":"object"}`
				case !strings.HasSuffix(r.URL.Path, "/versions/latest"):
					status(404, `{"error_code":40402}`)(w, r)
					return
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"version": version, "id": version, "schemaType": "JSON", "schema": text})
			},
			file: `
sources: [{name: cxone, signature: {preset: cxone, secrets: [{id: a, value: ` + testSecret + `}]}}]
routes:
  - {type: INTERACTION_CREATED, topic: cxone.interactions.raw, subject: s}
  - {type: QUEUE_TRANSFER, topic: cxone.transfers.raw, subject: s, version: 1, wire: prefix}
  - {type: CALL_DISCONNECTED, topic: cxone.calls.terminated, subject: s, version: 7}
`,
		})
		defer w.end()
		w.untilReady()
		for kind, want := range map[string]string{
			"INTERACTION_CREATED": "schema_mismatch", "QUEUE_TRANSFER": "accepted", "CALL_DISCONNECTED": "schema_unavailable",
		} {
			if got := w.send(event(kind, kind, 0)); got != want {
				t.Errorf("%s: %s", kind, got)
			}
		}
		if h := w.headers("QUEUE_TRANSFER-0"); h["cxrelay-schema-id"] != "1" {
			t.Errorf("headers %v", h)
		}
		if d := w.app.Readiness().Degraded; len(d) != 1 || !strings.HasPrefix(d[0], "subject s version 7: version not found in registry") {
			t.Errorf("degraded %q", d)
		}
		s := w.scrape().series
		for series, want := range map[string]float64{
			`cxrelay_schema_version{pin="latest",subject="s"}`: 2, `cxrelay_schema_version{pin="1",subject="s"}`: 1, `cxrelay_schema_usable{pin="7",subject="s"}`: 0,
		} {
			if s[series] != want {
				t.Errorf("%s is %g", series, s[series])
			}
		}
		if list := w.listed("?subject=s"); len(list.Schemas) != 3 || list.Schemas[0].Text != strict {
			t.Errorf("listed %+v", list)
		}
	})
}

func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{overrides: map[string]string{"schema.max_age": "10m"}})
		defer w.end()
		w.untilReady()
		w.registry.set(func(r *registry) { r.handle = status(503, "") })
		time.Sleep(8 * time.Minute)
		if got := w.send(event("QUEUE_TRANSFER", "c", 1)); got != "accepted" {
			t.Errorf("within the age: %s", got)
		}
		time.Sleep(3 * time.Minute)
		if got := w.send(event("QUEUE_TRANSFER", "c", 2)); got != "schema_unavailable" {
			t.Errorf("beyond it: %s", got)
		}
		if d := w.app.Readiness(); d.Ready || !strings.Contains(fmt.Sprint(d.Degraded), "version 1 is not used any more: nobody has confirmed it since 2000") {
			t.Errorf("readiness %+v", d)
		}
		w.registry.set(func(r *registry) { r.handle = nil })
		time.Sleep(31 * time.Second)
		if got := w.send(event("QUEUE_TRANSFER", "c", 3)); got != "accepted" {
			t.Errorf("confirmed again: %s", got)
		}
	})
}
