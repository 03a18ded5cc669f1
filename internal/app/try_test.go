package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// tryFile has one route for everything that shows in a record.
const tryFile = `
sources:
  - {name: one, path: /cxone/webhook, signature: {preset: cxone, secrets: [{id: a, value: "${CXONE_WEBHOOK_SECRET}"}]}, no_contact: null_key}
  - {name: two, path: /two, signature: {preset: cxone, secrets: [{id: a, value: "${CXONE_WEBHOOK_SECRET}"}]}, no_contact: event_id}
routes:
  - {type: RAW, topic: cxone.transfers.raw, key: raw}
  - {type: PREFIX, topic: cxone.dispositions.raw, wire: prefix}
  - {type: "DROP*", drop: true}
  - {type: TWO, topic: cxone.calls.terminated, sources: [two]}
  - {type: QUEUE_TRANSFER, topic: cxone.transfers.raw}
kafka:
  partitioner: %s
  partitions: {cxone.transfers.raw: 8, cxone.dispositions.raw: 8, cxone.calls.terminated: 8}
limits: {body: 1KiB}
`

func tryConfig(t *testing.T, file string, env ...string) *config.Config {
	t.Helper()
	env = append(env, "CXONE_WEBHOOK_SECRET="+testSecret, "KAFKA_BROKERS=127.0.0.1:1", "SCHEMA_REGISTRY_URL=http://registry.test")
	cfg, _, err := config.Load(config.Source{Data: []byte(file), Env: env})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestTryIsTheRelay: for each payload Try tells the answer that the relay
// gives, and the record that it writes, in the partition where it is.
func TestTryIsTheRelay(t *testing.T) {
	bodies := []string{
		`{"actionType":"QUEUE_TRANSFER","contactId":"c-1","eventId":"e-1"}`,
		`{"actionType":"QUEUE_TRANSFER","contactId":7}`,
		`{"actionType":"RAW","contactId":" Zoë ","eventId":"e-2"}`,
		`{"actionType":"PREFIX","contactId":"c-2","agentId":7}`,
		`{"actionType":"TWO","contactId":"c-3"}`,
		`{"actionType":"TWO","eventId":"without-contact"}`,
		`{"actionType":"QUEUE_TRANSFER","eventId":"no-key"}`,
		`{"actionType":"DROPPED","contactId":"c"}`,
		`{"actionType":"QUEUE_TRANSFER","contactId":"c-1","agentId":"seven"}`,
		`{"actionType":"NOWHERE","contactId":"c-1"}`, `{"contactId":"c-1"}`, `[]`, `{"a":1,}`, ``,
		`{"actionType":"QUEUE_TRANSFER","contactId":"c-1","x":"` + strings.Repeat("x", 1000) + `"}`,
	}
	loose := say(http.StatusOK, `{"subject":"cxone-data-action-v1","version":3,"id":103,"schemaType":"JSON","schema":"{\"properties\":{\"agentId\":{\"type\":\"integer\"}}}"}`)
	for _, partitioner := range []string{"murmur2", "crc32"} {
		file := fmt.Sprintf(tryFile, partitioner)
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, worldOptions{file: file, registry: loose})
			defer w.end()
			w.untilReady()
			cfg := tryConfig(t, file)
			seen := 0
			for _, source := range []struct{ name, path string }{{"one", ""}, {"two", "/two"}} {
				for _, body := range bodies {
					trial, err := app.Try(t.Context(), app.TryOptions{Config: cfg, Source: source.name, Payload: []byte(body), Network: app.Network{Registry: w.registry}})
					if err != nil {
						t.Fatalf("%s %s: %v", source.name, body, err)
					}
					if got := w.send(&sent{body: body, path: source.path}); got != trial.Verdict.Reason.String() {
						t.Errorf("%s %s: tried %s, answered %s", source.name, body, trial.Verdict.Reason, got)
					}
					if (trial.Record != nil) != (trial.Verdict.Reason == reason.Accepted) {
						t.Errorf("%s %s: %s, and the record is %v", source.name, body, trial.Verdict.Reason, trial.Record)
					}
					if trial.Record != nil {
						seen++
						w.compare(trial, seen)
					}
				}
			}
			if seen < 12 {
				t.Errorf("only %d records compared", seen)
			}
		})
	}
}

// compare finds a tried record, the last of n, in Kafka.
func (w *world) compare(trial *app.Trial, n int) {
	w.t.Helper()
	all, err := w.kafka.ReadAll(w.t.Context(), seedTopics...)
	if err != nil || len(all) != n {
		w.t.Fatalf("%d records, want %d, %v", len(all), n, err)
	}
	tried := trial.Record
	at := slices.IndexFunc(all, func(r *kgo.Record) bool { // of the same event and source
		return bytes.Equal(r.Headers[0].Value, tried.Headers[0].Value) && bytes.Equal(r.Headers[1].Value, tried.Headers[1].Value)
	})
	if at < 0 {
		w.t.Fatalf("no record of %s", tried.EventID)
	}
	written := all[at]
	if written.Topic != tried.Topic || string(written.Key) != string(tried.Key) || (written.Key == nil) != (tried.Key == nil) || string(written.Value) != string(tried.Value) {
		w.t.Errorf("tried %s %q %q, written %s %q %q", tried.Topic, tried.Key, tried.Value, written.Topic, written.Key, written.Value)
	}
	if tried.Key != nil && written.Partition != trial.Placement.Partition {
		w.t.Errorf("%q: tried partition %d, written to %d", tried.Key, trial.Placement.Partition, written.Partition)
	}
	if len(written.Headers) != len(tried.Headers)+1 {
		w.t.Fatalf("tried %d headers, written %d", len(tried.Headers), len(written.Headers))
	}
	for i, h := range tried.Headers {
		if written.Headers[i].Key != h.Key || string(written.Headers[i].Value) != string(h.Value) {
			w.t.Errorf("tried header %s %q, written %s %q", h.Key, h.Value, written.Headers[i].Key, written.Headers[i].Value)
		}
	}
}

// TestTryAsksTheRegistry: what the registry says, and what is no verdict.
func TestTryAsksTheRegistry(t *testing.T) {
	const body = `{"actionType":"QUEUE_TRANSFER","contactId":"c-1"}`
	tests := map[string]struct {
		env    string
		handle http.HandlerFunc
		want   string // reason, or an error
		cause  string
	}{
		"usable":            {"", nil, "accepted", ""},
		"subject missing":   {"", say(http.StatusNotFound, `{"error_code":40401,"message":"gone"}`), "schema_unavailable", "register a JSON Schema"},
		"version missing":   {"CXRELAY_SCHEMA_VERSION=7", say(http.StatusNotFound, `{"error_code":40402,"message":"gone"}`), "schema_unavailable", "has no version 7"},
		"cannot be applied": {"", say(http.StatusOK, `{"subject":"cxone-data-action-v1","version":1,"id":1,"schemaType":"AVRO","schema":"\"string\""}`), "schema_unavailable", "schema type AVRO"},
		"refused":           {"", say(http.StatusUnauthorized, ""), "schema_unavailable", "does not let the relay in"},
		"away":              {"", say(http.StatusInternalServerError, ""), "no answer from the schema registry", ""},
		"nobody asked":      {"CXRELAY_SCHEMA_MODE=off", say(http.StatusInternalServerError, ""), "accepted", ""},
		"it says yes":       {"CXRELAY_SCHEMA_MODE=remote", say(http.StatusOK, "{}"), "accepted", ""},
		"it says no":        {"CXRELAY_SCHEMA_MODE=remote", say(http.StatusUnprocessableEntity, `{"message":"bad"}`), "schema_mismatch", "violates its schema"},
		"it says nothing":   {"CXRELAY_SCHEMA_MODE=remote", say(http.StatusInternalServerError, ""), "no answer from the schema registry", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				file := "schema: {snapshot_dir: " + dir + "}\nkafka: {partitions: {cxone.transfers.raw: 4}}\n"
				if strings.Contains(tt.env, "MODE") {
					file = ""
				}
				registry := &registry{version: 1, schema: `{"type":"object"}`, handle: tt.handle}
				trial, err := app.Try(t.Context(), app.TryOptions{
					Config: tryConfig(t, file, tt.env), Source: "cxone", Payload: []byte(body), Network: app.Network{Registry: registry},
				})
				if errors.Is(err, app.ErrRegistryAway) {
					if trial != nil || !strings.HasPrefix(err.Error(), tt.want+": ") {
						t.Errorf("%v, want %s", err, tt.want)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := trial.Verdict.Reason.String(); got != tt.want || tt.cause != "" && !strings.Contains(fmt.Sprint(trial.Verdict.Cause), tt.cause) {
					t.Errorf("%s, %v", got, trial.Verdict.Cause)
				}
				if kept, err := os.ReadDir(dir); err != nil || len(kept) > 0 {
					t.Errorf("snapshots were written: %v, %v", kept, err)
				}
			})
		})
	}
}

type schemasFunc func() (*schema.Schema, error)

func (f schemasFunc) Lookup(string, int) (*schema.Schema, error) { return f() }

// TestTryOtherSchemas: an error of those that were given is no verdict.
func TestTryOtherSchemas(t *testing.T) {
	failed := errors.New("the relay is away")
	o := app.TryOptions{
		Config: tryConfig(t, ""), Source: "cxone", Payload: []byte(`{"actionType":"QUEUE_TRANSFER","contactId":"c-1"}`),
		Schemas: schemasFunc(func() (*schema.Schema, error) { return nil, failed }),
	}
	if trial, err := app.Try(t.Context(), o); !errors.Is(err, failed) || trial != nil {
		t.Errorf("%v, %v", trial, err)
	}
	o.Source = "nobody"
	if _, err := app.Try(t.Context(), o); err == nil || !strings.Contains(err.Error(), `"nobody"`) {
		t.Error(err)
	}
}

func TestPlace(t *testing.T) {
	cfg := tryConfig(t, "kafka: {partitions: {cxone.transfers.raw: 8}}")
	for _, tt := range []struct {
		topic string
		key   []byte
		count int32
		want  app.Placement
	}{
		{"cxone.transfers.raw", []byte("pk-f6e548190dc0076e"), 0, app.Placement{Partition: 6, Partitions: 8, Pinned: true}},
		{"cxone.transfers.raw", []byte("pk-f6e548190dc0076e"), 3, app.Placement{Partition: 6, Partitions: 8, Pinned: true}},
		{"free", []byte("pk-f6e548190dc0076e"), 8, app.Placement{Partition: 6, Partitions: 8}},
		{"free", []byte("k"), 0, app.Placement{Partition: -1}},
		{"cxone.transfers.raw", nil, 0, app.Placement{Partition: -1, Partitions: 8, Pinned: true}},
	} {
		if got := app.Place(cfg, tt.topic, tt.key, tt.count); got != tt.want {
			t.Errorf("%s %q %d: %+v, want %+v", tt.topic, tt.key, tt.count, got, tt.want)
		}
	}
}

// TestMetricsReachNobody: what is known without a relay is known everywhere,
// and costs nothing that is left behind.
func TestMetricsReachNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which waits for all goroutines to end
		all, err := app.Metrics()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if m.Name != "cxrelay_events_total" {
				continue
			}
			if text, _ := json.Marshal(m.Labels); m.Kind != "counter" || !strings.Contains(string(text), `"Name":"reason"`) || m.Question == "" {
				t.Errorf("%+v", m)
			}
			return
		}
		t.Error("cxrelay_events_total is not among them")
	})
}
