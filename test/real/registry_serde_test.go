//go:build real

package real_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/test/real"
)

// wirePrefix: records begin with 00 and the id by which anyone who has only
// the record and the registry finds the schema. Confluent's own deserialiser
// reads them, and reads those of no relay that frames them in another way.
func wirePrefix(t *testing.T, cluster *real.Cluster) {
	registry := rig.Registry(t)
	const topic = "registry.prefixed"
	// One subject has the name that the deserialiser derives from the topic,
	// the other has any name: the id is what counts.
	subjects := map[string]string{"INTERACTION_CREATED": topic + "-value", "CALL_DISCONNECTED": fresh("prefixed")}
	relay, ids := prefixing(t, cluster, registry, topic, subjects, real.Mutant{})
	sent := map[string]int{} // the id that belongs to a body
	for kind := range subjects {
		for i := range 5 {
			body := fmt.Sprintf(`{ "actionType":%q, "contactId":"c%d é📞\u0041","n":90071992547400123, "data" : {"a/b":1.0} }`, kind, i)
			accepted(t, relay, body)
			sent[body] = ids[kind]
		}
	}
	relay.Stop(t)

	records := cluster.ReadMany(topic)
	if len(records) != len(sent) {
		t.Fatalf("%d records for %d events", len(records), len(sent))
	}
	for _, r := range records {
		if len(r.Value) < 5 || r.Value[0] != 0 || binary.BigEndian.Uint32(r.Value[1:]) != uint32(sent[string(r.Value[5:])]) { //nolint:gosec // a small id
			t.Errorf("record %q, want 00, the id of the schema, and what was sent", r.Value)
		}
	}
	for kind, id := range ids {
		status, body := get(t, registry.URL()+"/schemas/ids/"+strconv.Itoa(id))
		var found struct{ Schema, SchemaType string }
		if err := json.Unmarshal([]byte(body), &found); err != nil || status != http.StatusOK || found.Schema != titled(kind) || found.SchemaType != "JSON" {
			t.Errorf("by the id %d of %s the registry has %d %s", id, kind, status, body)
		}
	}
	for _, d := range rig.Deserialise(t, cluster, registry.URL(), topic, len(sent)) {
		if _, ok := sent[string(d.Value)]; !ok || d.Error != "" {
			t.Errorf("Confluent's deserialiser: %q %s, want what was sent", d.Value, d.Error)
		}
		delete(sent, string(d.Value))
	}
	for body := range sent {
		t.Errorf("Confluent's deserialiser did not hand out %s", body)
	}

	for _, c := range misframing {
		relay, _ := prefixing(t, cluster, registry, topic, subjects, c.mutant)
		accepted(t, relay, event("INTERACTION_CREATED", "c1"))
		relay.Stop(t)
		d := rig.Deserialise(t, cluster, registry.URL(), topic, 1)[0]
		if !strings.Contains(d.Error, c.says) {
			t.Errorf("%s: Confluent's deserialiser: %q %q, want an error with %q", c.name, d.Value, d.Error, c.says)
		}
		t.Logf("%s: %s", c.name, d.Error)
	}
}

// titled is strict for one type alone: another text has another id.
func titled(kind string) string {
	return strings.Replace(strict, "{", fmt.Sprintf(`{"title":%q,`, kind), 1)
}

// misframing are relays whose records no deserialiser should read.
var misframing = []struct {
	name   string
	mutant real.Mutant
	says   string
}{
	{"another magic byte", real.Mutant{File: "internal/gateway/body.go", Old: "buf[4] = 0, byte(id>>24)", New: "buf[4] = 7, byte(id>>24)"}, "magic byte"},
	{"an id that the registry does not have", real.Mutant{File: "internal/gateway/body.go", Old: "id := uint32(schemaID)", New: "id := uint32(schemaID) + 1<<20"}, "40403"},
}

// prefixing starts a relay with wire: prefix, one subject a type, on a topic
// made anew. It returns the id of the schema of each type.
func prefixing(t *testing.T, cluster *real.Cluster, registry *real.Registry, topic string, subjects map[string]string, mutant real.Mutant) (*real.Relay, map[string]int) {
	t.Helper()
	cluster.Topic(topic, 2)
	ids, text := map[string]int{}, "routes:\n"
	for kind, s := range subjects {
		ids[kind] = registry.Register(t, s, titled(kind))
		text += fmt.Sprintf("  - {type: %s, wire: prefix, topic: %s, subject: %s}\n", kind, topic, s)
	}
	setup := real.Setup{Brokers: cluster.Brokers(), Registry: registry.URL(), Secret: secret, Mutant: mutant, Args: []string{"--config", configuration(t, text)}}
	return rig.Relay(t, setup), ids
}
