//go:build real

package real_test

import (
	"testing"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/real/judge"
)

const secret = "a secret of the tests"

// schema is what the relay needs of an event, so that every payload of the
// tests passes whatever its form.
const (
	subject = "cxone-data-action-v1"
	schema  = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["actionType","contactId"],` +
		`"properties":{"actionType":{"type":"string"},"contactId":{"type":["string","number"]}}}`
)

// rig is shared by the tests of this package; they do not run in parallel.
var rig real.Rig

func TestMain(m *testing.M) {
	m.Run()
	rig.Close()
}

// start starts a relay on a cluster with the topics of its built-in routes, empty.
func start(t *testing.T, cluster *real.Cluster, setup real.Setup) *real.Relay {
	t.Helper()
	registry := rig.Registry(t)
	registry.Register(t, subject, schema)
	cluster.Topics(8, judge.Topics()...)
	setup.Brokers, setup.Registry, setup.Secret = cluster.Brokers(), registry.URL(), secret
	return rig.Relay(t, setup)
}

// settled waits until the relay has nothing pending, and checks its books
// against what the senders saw.
func settled(t *testing.T, relay *real.Relay, j *judge.Journal) {
	t.Helper()
	var m map[string]float64
	real.Until(t, "nothing is pending", settleLimit, func() bool {
		m = relay.Metrics(t)
		return m["cxrelay_records_pending"] == 0 && m["cxrelay_events_in_flight"] == 0
	})
	produced, acked, failed := m["cxrelay_records_produced_total"], m["cxrelay_records_acked_total"], m["cxrelay_records_failed_total"]
	if produced == 0 || produced != acked+failed {
		t.Errorf("books: produced %v, acked %v, failed %v", produced, acked, failed)
	}
	if accepted := m[`cxrelay_events_total{reason="accepted",source="cxone"}`]; acked != accepted+m["cxrelay_late_acks_total"] {
		t.Errorf("books: acked %v, accepted %v, late %v", acked, accepted, m["cxrelay_late_acks_total"])
	}
	saw := map[string]float64{}
	for _, a := range j.Answers() {
		if a.Status == 0 {
			t.Logf("no answer: %v", a.Err)
			return // what the relay meant to say is not known
		}
		saw[a.Reason]++
	}
	for reason, n := range saw {
		if counted := m[`cxrelay_events_total{reason="`+reason+`",source="cxone"}`]; counted != n {
			t.Errorf("books: %s counted %v, senders saw %v", reason, counted, n)
		}
	}
}

// report shows a verdict and fails the test for each kind of fault, with the
// first few of them.
func report(t *testing.T, v *judge.Verdict) {
	t.Helper()
	t.Logf("accepted %d, records %d, duplicates %d, faults %d", v.Accepted, v.Records, v.Duplicates, len(v.Faults))
	for i, f := range v.Faults {
		if i == 20 {
			t.Errorf("and %d more", len(v.Faults)-i)
			return
		}
		t.Error(f)
	}
}
