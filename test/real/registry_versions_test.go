//go:build real

package real_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
)

// versions are subjects that get a second version while a relay runs: one that
// two routes share, and one whose own text stays and whose reference moves on.
type versions struct {
	routes  []string
	old     map[string]string // by type: accepted by the first version alone
	publish func(t *testing.T)
}

const (
	part  = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"string","maxLength":%d}`
	whole = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"contactId":{"$ref":"part.json"}}}`
)

func newVersions(t *testing.T, registry *real.Registry) *versions {
	t.Helper()
	shared, smaller, larger := fresh("shared"), fresh("part"), fresh("whole")
	registry.Register(t, shared, strict)
	registry.Register(t, smaller, fmt.Sprintf(part, 4))
	register(t, registry, larger, whole, "part.json", smaller, 1)
	v := &versions{old: map[string]string{}}
	for kind, subject := range map[string]string{"FIRST_OF_TWO": shared, "SECOND_OF_TWO": shared, "REFERRING": larger} {
		v.routes = append(v.routes, fmt.Sprintf("type: %s, topic: registry.renewed, subject: %s", kind, subject))
		v.old[kind] = event(kind, "four")
	}
	v.publish = func(t *testing.T) {
		t.Helper()
		registry.Register(t, shared, stricter)
		registry.Register(t, smaller, fmt.Sprintf(part, 3))
		register(t, registry, larger, whole, "part.json", smaller, 2)
	}
	return v
}

// takeEffect waits until the relay enforces the second version of every
// subject, each of which has its own time for the next look.
func (v *versions) takeEffect(t *testing.T, relay *real.Relay, changed time.Time) {
	t.Helper()
	waiting := map[string]string{}
	for _, kind := range kinds() {
		waiting[kind] = event(kind, "c1")
	}
	for kind, body := range v.old {
		waiting[kind] = body
	}
	real.Until(t, "the relay enforces the new versions", refreshLimit-time.Since(changed), func() bool {
		for kind, body := range waiting {
			a := post(t, relay, body)
			if a.Status == http.StatusOK {
				continue
			}
			pointer, keyword := "", "required"
			if kind == "REFERRING" {
				pointer, keyword = "/contactId", "maxLength"
			}
			expectRefusal(t, a, pointer, keyword)
			t.Logf("%s: a new version took effect after %s", kind, time.Since(changed).Round(100*time.Millisecond))
			delete(waiting, kind)
		}
		return len(waiting) == 0
	})
	accepted(t, relay, event("REFERRING", "c1"))
	for _, kind := range append(kinds(), "FIRST_OF_TWO", "SECOND_OF_TWO") {
		accepted(t, relay, fmt.Sprintf(`{"actionType":%q,"contactId":"c1","agent":"a"}`, kind))
	}
	lines := 0
	for line := range strings.Lines(relay.Log(t)) {
		if strings.Contains(line, `"schema changed"`) && strings.Contains(line, `"version":2`) && strings.Contains(line, `"old_version":1`) {
			lines++
		}
	}
	if want := len(kinds()) + 2; lines != want {
		t.Errorf("the log has %d changes of a schema, want %d", lines, want)
	}
}

// references: one subject's schema refers to that of another, and that one to
// a third.
func references(t *testing.T, cluster *real.Cluster, url string) {
	t.Helper()
	registry := rig.Registry(t)
	id, contact, top := fresh("id"), fresh("contact"), fresh("top")
	registry.Register(t, id, fmt.Sprintf(part, 4))
	register(t, registry, contact, `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"id":{"$ref":"id.json"}}}`, "id.json", id, 1)
	register(t, registry, top, `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"contact":{"$ref":"contact.json"}}}`, "contact.json", contact, 1)
	cluster.Topic("registry.references", 2)
	relay := routed(t, cluster, url, "type: INTERACTION_CREATED, topic: registry.references, subject: "+top)
	defer relay.Stop(t)
	accepted(t, relay, `{"actionType":"INTERACTION_CREATED","contactId":"c1","contact":{"id":"four"}}`)
	expectRefusal(t, post(t, relay, `{"actionType":"INTERACTION_CREATED","contactId":"c1","contact":{"id":"fives"}}`), "/contact/id", "maxLength")
}

// register stores a schema that refers to a version of another subject.
func register(t *testing.T, registry *real.Registry, subject, schema, name, to string, version int) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"schemaType": "JSON", "schema": schema,
		"references": []map[string]any{{"name": name, "subject": to, "version": version}},
	})
	if err != nil {
		t.Fatal(err)
	}
	status, text := request(t, http.MethodPost, registry.URL()+"/subjects/"+subject+"/versions", body, "application/vnd.schemaregistry.v1+json", "")
	if status != http.StatusOK {
		t.Fatalf("register %s: %d %s", subject, status, text)
	}
}
