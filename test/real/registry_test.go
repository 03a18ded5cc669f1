//go:build real

package real_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
)

// refreshLimit is the relay's longest wait between two looks at a subject,
// 60 s and a fifth, and what a busy machine adds.
const refreshLimit = 75 * time.Second

// strict and stricter are two versions of one subject.
const (
	strict = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["actionType","contactId"],` +
		`"properties":{"contactId":{"type":"string"},"data":{"type":"object","properties":{"a/b":{"type":"integer","minimum":1}}}}}`
	stricter = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["actionType","contactId","agent"],` +
		`"properties":{"contactId":{"type":"string"},"agent":{"type":"string"}}}`
)

// TestRegistry: what the registry holds is what the relay enforces. Two of the
// relays wait for their next look at the registry, one for a new version, one
// for a registry that is gone; meanwhile other relays are looked at.
func TestRegistry(t *testing.T) {
	cluster := rig.Cluster(t)
	registry := rig.Registry(t)

	next := newVersions(t, registry)
	renewed, renewedSubjects := enforcing(t, cluster, registry.URL(), "renewed", registry, next.routes...)
	t.Run("enforced through v7", func(t *testing.T) { enforced(t, cluster, renewed, "renewed") })
	for _, body := range next.old {
		accepted(t, renewed, body)
	}
	changed := time.Now()
	for _, s := range renewedSubjects {
		registry.Register(t, s, stricter)
	}
	next.publish(t)

	own := real.StartRegistry(t)
	orphan, _ := enforcing(t, cluster, own.URL(), "orphan", own)
	own.Kill()
	killed := time.Now()
	t.Run("the registry is gone", func(t *testing.T) { enforced(t, cluster, orphan, "orphan") })

	t.Run("enforced through v6", func(t *testing.T) {
		relay, _ := enforcing(t, cluster, v6(registry), "older", registry)
		enforced(t, cluster, relay, "older")
		relay.Stop(t)
	})
	t.Run("the members of Confluent 5.5", func(t *testing.T) { confluent55(t, cluster) })
	t.Run("references across subjects through v7", func(t *testing.T) { references(t, cluster, registry.URL()) })
	t.Run("references across subjects through v6", func(t *testing.T) { references(t, cluster, v6(registry)) })
	t.Run("wire prefix", func(t *testing.T) { wirePrefix(t, cluster) })

	t.Run("new versions take effect", func(t *testing.T) { next.takeEffect(t, renewed, changed) })
	t.Run("the registry is gone, and the relay knows", func(t *testing.T) {
		var body string
		real.Until(t, "the relay is degraded", refreshLimit-time.Since(killed), func() bool {
			_, body = get(t, orphan.Admin+"/-/ready")
			return strings.Contains(body, "stays in use")
		})
		t.Logf("degraded after %s: %s", time.Since(killed).Round(100*time.Millisecond), body)
		if !orphan.Ready() {
			t.Error("the relay is not ready, and it has a schema")
		}
		if up := orphan.Metrics(t)[`cxrelay_dependency_up{dependency="schema_registry"}`]; up != 0 {
			t.Errorf("cxrelay_dependency_up of the registry is %v", up)
		}
		enforced(t, cluster, orphan, "orphan")
	})
}

// enforcing starts a relay all of whose types have a subject and a topic of
// their own, with strict as first version, beside more routes. It returns the
// subjects of the types.
func enforcing(t *testing.T, cluster *real.Cluster, url, name string, registry *real.Registry, routes ...string) (*real.Relay, []string) {
	t.Helper()
	var subjects []string
	for _, kind := range kinds() {
		s := fresh(name + "." + kind)
		registry.Register(t, s, strict)
		subjects = append(subjects, s)
		routes = append(routes, fmt.Sprintf("type: %s, topic: registry.%s, subject: %s", kind, name, s))
	}
	cluster.Topic("registry."+name, 2)
	relay := routed(t, cluster, url, routes...)
	real.Until(t, "every subject is usable", 20*time.Second, func() bool { // ready is who has one
		_, body := get(t, relay.Admin+"/-/ready")
		return !strings.Contains(body, "subject ")
	})
	return relay, subjects
}

// v6 is the base of the older API of the same registry.
func v6(registry *real.Registry) string { return strings.TrimSuffix(registry.URL(), "/v7") + "/v6" }

// fresh is a subject that no run before this one has used.
func fresh(name string) string { return name + "-" + strconv.FormatInt(time.Now().UnixNano(), 36) }

// routed starts a relay with these routes.
func routed(t *testing.T, cluster *real.Cluster, url string, routes ...string) *real.Relay {
	t.Helper()
	text := "routes:\n"
	for _, r := range routes {
		text += "  - {" + r + "}\n"
	}
	return rig.Relay(t, real.Setup{Brokers: cluster.Brokers(), Registry: url, Secret: secret, Args: []string{"--config", configuration(t, text)}})
}

// enforced checks that a relay accepts what strict allows, and refuses what it
// does not with a pointer to it.
func enforced(t *testing.T, cluster *real.Cluster, relay *real.Relay, name string) {
	t.Helper()
	contact := fresh("c")
	for _, kind := range kinds() {
		accepted(t, relay, event(kind, contact))
		expectRefusal(t, post(t, relay, fmt.Sprintf(`{"actionType":%q,"contactId":%q,"data":{"a/b":0}}`, kind, contact)), "/data/a~1b", "minimum")
		expectRefusal(t, post(t, relay, fmt.Sprintf(`{"actionType":%q,"contactId":7}`, kind)), "/contactId", "type")
	}
	var values []string
	for _, r := range cluster.ReadMany("registry." + name) {
		if v := string(r.Value); strings.Contains(v, contact) || strings.Contains(v, `"contactId":7`) {
			values = append(values, v)
		}
	}
	missing := func(kind string) bool { return !slices.Contains(values, event(kind, contact)) }
	if len(values) != len(kinds()) || slices.ContainsFunc(kinds(), missing) {
		t.Errorf("in the topic are %q, want one event of each type", values)
	}
}

func event(kind, contact string) string {
	return fmt.Sprintf(`{ "actionType":%q,"contactId":%q,"data":{"a/b":1} }`, kind, contact)
}

// confluent55: the oldest line answers with the members subject, version, id
// and schema; schemaType only where it is not AVRO.
func confluent55(t *testing.T, cluster *real.Cluster) {
	avro := `{"type":"record","name":"e","fields":[{"name":"contactId","type":"string"}]}`
	answers := map[string]map[string]any{
		"/subjects/json/versions/latest": {"subject": "json", "version": 3, "id": 41, "schemaType": "JSON", "schema": strict},
		"/subjects/avro/versions/latest": {"subject": "avro", "version": 1, "id": 42, "schema": avro},
	}
	stub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		a, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			a = map[string]any{"error_code": 40401, "message": "Subject not found."}
		}
		_ = json.NewEncoder(w).Encode(a) // the relay would say so
	}))
	defer stub.Close()
	cluster.Topic("registry.confluent55", 2)
	relay := routed(t, cluster, stub.URL,
		"type: INTERACTION_CREATED, topic: registry.confluent55, subject: json",
		"type: CALL_DISCONNECTED, topic: registry.confluent55, subject: avro")
	defer relay.Stop(t) // before the stub
	accepted(t, relay, event("INTERACTION_CREATED", "c1"))
	expectRefusal(t, post(t, relay, `{"actionType":"INTERACTION_CREATED","contactId":7}`), "/contactId", "type")
	if a := post(t, relay, event("CALL_DISCONNECTED", "c1")); a.Status != http.StatusServiceUnavailable || a.Reason != "schema_unavailable" {
		t.Errorf("an Avro schema: %+v", a)
	}
	var status struct {
		Ready    bool
		Subjects []struct {
			Subject, LastError string
			Usable             bool
			Version, ID        int
		}
	}
	_, body := get(t, relay.Admin+"/api/v1/status")
	if err := json.Unmarshal([]byte(body), &status); err != nil || len(status.Subjects) != 2 {
		t.Fatalf("status %s: %v", body, err)
	}
	one, other := status.Subjects[0], status.Subjects[1]
	if one.Subject != "json" || !one.Usable || one.Version != 3 || one.ID != 41 || one.LastError != "" {
		t.Errorf("status of the JSON schema: %+v", one)
	}
	if other.Usable || !strings.Contains(other.LastError, "schema type AVRO is not supported") || !status.Ready {
		t.Errorf("status of the Avro schema: %+v, ready %t", other, status.Ready)
	}
	t.Logf("status says: %s", other.LastError)
}

// answer is the relay's answer with the details of a refusal.
type answer struct {
	Status         int
	Reason, Detail string
	Errors         []struct{ Pointer, Keyword, Expected, Actual string }
}

// post sends a signed event once.
func post(t *testing.T, relay *real.Relay, body string) (a answer) {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	io.WriteString(mac, body) //nolint:errcheck // a hash takes everything
	status, text := request(t, http.MethodPost, relay.URL, []byte(body), "application/json", hex.EncodeToString(mac.Sum(nil)))
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatalf("answered %d %q: %v", status, text, err)
	}
	a.Status = status
	return a
}

// accepted sends an event until it is accepted: a topic that is new may have
// no leader that a busy machine has told of.
func accepted(t *testing.T, relay *real.Relay, body string) {
	t.Helper()
	var a answer
	real.Until(t, "the event is answered for good", 20*time.Second, func() bool {
		a = post(t, relay, body)
		return a.Status != http.StatusServiceUnavailable || a.Reason == "schema_unavailable"
	})
	if a.Status != http.StatusOK || a.Reason != "accepted" {
		t.Errorf("%s: %+v", body, a)
	}
}

// refused checks the first violation of an answer.
func expectRefusal(t *testing.T, a answer, pointer, keyword string) {
	t.Helper()
	if a.Status != http.StatusUnprocessableEntity || a.Reason != "schema_mismatch" || len(a.Errors) == 0 ||
		a.Errors[0].Pointer != pointer || a.Errors[0].Keyword != keyword {
		t.Errorf("answered %+v, want schema_mismatch at %q by %s", a, pointer, keyword)
	}
}

func request(t *testing.T, method, url string, body []byte, kind, signature string) (status int, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if signature != "" {
		req.Header.Set("X-Cxone-Signature", signature)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
