//go:build real

package real_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/judge"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// TestTwoInstances: a sender alternates between two relays. Contacts that wait
// for each 2xx are in order, although their events went different ways.
func TestTwoInstances(t *testing.T) {
	cluster := rig.Cluster(t, real.Brokers(3))
	relays := pair(t, cluster)
	book := newBook(t)
	warmed(t, relays, book)
	book.crowd(t, crowd{name: "c", contacts: 200, events: 40, over: 12 * time.Second, waits: 0.5, beside: 3}, relays...)()

	balanced(t, relays, book)
	records := cluster.ReadMany(storm.Topics()...)
	v := book.judge(t, records, logs(t, relays))
	kept(t, v)
	if want := 200*40 + 4*len(relays); v.Accepted != want {
		t.Errorf("%d of %d events were accepted in the end", v.Accepted, want)
	}
	if n := switches(t, records); n < len(records)/2 {
		t.Errorf("only %d times the next record of a contact came through the other relay, of %d records: this shows little", n, len(records))
	}
}

// TestRollingRestart: two relays are restarted by SIGTERM in turn, under load,
// with a sender that takes refused connections and resets for what they are.
func TestRollingRestart(t *testing.T) {
	cluster := rig.Cluster(t, real.Brokers(3))
	relays := pair(t, cluster)
	book := newBook(t)
	warmed(t, relays, book)
	wait := book.crowd(t, crowd{name: "c", contacts: 200, events: 40, over: 18 * time.Second, waits: 0.5, beside: 3}, relays...)
	var marks []mark
	for range 2 {
		for i, relay := range relays {
			real.Pass(t, 2*time.Second)
			marks = append(marks, mark{"relay " + instances[i] + " restarts", time.Now()})
			stopping := relay.Restart(t)
			t.Logf("relay %s stopped within %s and was ready %s after the signal", instances[i], stopping.Round(time.Millisecond),
				time.Since(marks[len(marks)-1].at).Round(time.Millisecond))
		}
	}
	wait()

	recoveries(t, book, marks)
	gracious(t, book)
	v := book.judge(t, cluster.ReadMany(storm.Topics()...), logs(t, relays))
	kept(t, v)
	if want := 200*40 + 4*len(relays); v.Accepted != want {
		t.Errorf("%d of %d events were accepted in the end", v.Accepted, want)
	}
}

var instances = []string{"left", "right"}

// pair starts two relays of one cluster.
func pair(t *testing.T, cluster *real.Cluster) []*real.Relay {
	t.Helper()
	first := start(t, cluster, real.Setup{Env: []string{"CXRELAY_INSTANCE=" + instances[0]}})
	second := rig.Relay(t, real.Setup{
		Brokers: cluster.Brokers(), Registry: rig.Registry(t).URL(), Secret: secret, Env: []string{"CXRELAY_INSTANCE=" + instances[1]},
	})
	return []*real.Relay{first, second}
}

// warmed has each relay accept its first events, which takes longer; see warm.
func warmed(t *testing.T, relays []*real.Relay, b *book) {
	t.Helper()
	for i, relay := range relays {
		alone := b.sender(t, relay)
		for _, kind := range storm.Types() {
			if a := alone.Insist(t.Context(), alone.Event("first of "+instances[i], kind)); a.Status != http.StatusOK {
				t.Fatalf("first event: %+v", a)
			}
		}
	}
}

func logs(t *testing.T, relays []*real.Relay) (all string) {
	t.Helper()
	for _, relay := range relays {
		all += relay.Log(t)
	}
	return all
}

// balanced checks the books of several relays, which share a sender.
func balanced(t *testing.T, relays []*real.Relay, b *book) {
	t.Helper()
	saw, counted := map[string]float64{}, map[string]float64{}
	for _, a := range b.attempts(t) {
		saw[a.Reason]++
	}
	for i, relay := range relays {
		m := idle(t, relay)
		for reason := range saw {
			n := m[`cxrelay_events_total{reason="`+reason+`",source="cxone"}`]
			t.Logf("relay %s answered %s %v times", instances[i], reason, n)
			counted[reason] += n
		}
		if produced, acked := m["cxrelay_records_produced_total"], m["cxrelay_records_acked_total"]; produced != acked+m["cxrelay_records_failed_total"] {
			t.Errorf("books of relay %s: produced %v, acked %v", instances[i], produced, acked)
		}
	}
	for reason, n := range saw {
		if counted[reason] != n {
			t.Errorf("books: %s counted %v, senders saw %v", reason, counted[reason], n)
		}
	}
}

// switches counts how often the next record of a key was written by another
// instance than the one before.
func switches(t *testing.T, records []*kgo.Record) (n int) {
	t.Helper()
	last, wrote := map[string]string{}, map[string]int{}
	for _, r := range records {
		instance, _, _ := strings.Cut(judge.Header(r, "cxrelay-origin"), "/")
		wrote[instance]++
		key := r.Topic + " " + string(r.Key)
		if before, ok := last[key]; ok && before != instance {
			n++
		}
		last[key] = instance
	}
	t.Logf("records by instance %v; %d times the next one of a contact came through the other", wrote, n)
	return n
}

// gracious checks what senders met during restarts: nothing but answers that
// ask to try again, and connections that were refused or closed.
func gracious(t *testing.T, b *book) {
	t.Helper()
	met := map[string]int{}
	for _, a := range b.attempts(t) {
		switch {
		case a.Status == 0:
			met[a.Reason]++
		case a.Status == http.StatusOK || a.Status == http.StatusServiceUnavailable && a.Reason != "topic_unavailable": // nothing is wrong with a topic
			met[a.Reason]++
		default:
			t.Errorf("answered %d %s", a.Status, a.Reason)
		}
	}
	t.Logf("senders met %v", met)
	if met[load.Refused] == 0 {
		t.Error("no connection was refused: the restarts were not felt, this shows little")
	}
}
