//go:build real

package real_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/real/judge"
)

// TestTwoInstances: a sender alternates between two relays. Contacts that wait
// for each 2xx are in order, although their events went different ways.
func TestTwoInstances(t *testing.T) {
	cluster := rig.Cluster(t, real.Brokers(3))
	relays := pair(t, cluster)
	var journal judge.Journal
	sender := alternating(t, relays, &journal)
	defer sender.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sender.Crowd(ctx, judge.Crowd{Contacts: 200, Events: 40, Senders: 3, Over: 12 * time.Second})()

	balanced(t, relays, &journal)
	records := cluster.ReadMany(judge.Topics()...)
	v := judge.Judge(&journal, records, logs(t, relays))
	report(t, v)
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
	var journal judge.Journal
	sender := alternating(t, relays, &journal)
	defer sender.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	wait := sender.Crowd(ctx, judge.Crowd{Contacts: 200, Events: 40, Senders: 3, Over: 18 * time.Second})
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

	recoveries(t, &journal, marks)
	gracious(t, &journal)
	v := judge.Judge(&journal, cluster.ReadMany(judge.Topics()...), logs(t, relays))
	report(t, v)
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

// alternating returns a sender to all the relays. Each has had its first events
// accepted, which takes longer; see warm.
func alternating(t *testing.T, relays []*real.Relay, j *judge.Journal) *judge.Sender {
	t.Helper()
	for i, relay := range relays {
		alone := judge.NewSender(relay.URL, secret, j)
		for n, kind := range judge.Types() {
			if a := alone.Insist(t.Context(), judge.NewEvent(kind, "first of "+instances[i], n)); a.Status != http.StatusOK {
				t.Fatalf("first event: %+v", a)
			}
		}
		alone.Close()
	}
	sender := judge.NewSender(relays[0].URL, secret, j)
	for _, other := range relays[1:] {
		sender.Alternate(other.URL)
	}
	return sender
}

func logs(t *testing.T, relays []*real.Relay) (all string) {
	t.Helper()
	for _, relay := range relays {
		all += relay.Log(t)
	}
	return all
}

// balanced checks the books of several relays, which share a sender.
func balanced(t *testing.T, relays []*real.Relay, j *judge.Journal) {
	t.Helper()
	saw, counted := map[string]float64{}, map[string]float64{}
	for _, a := range j.Answers() {
		saw[a.Reason]++
	}
	for i, relay := range relays {
		var m map[string]float64
		real.Until(t, "nothing is pending", settleLimit, func() bool {
			m = relay.Metrics(t)
			return m["cxrelay_records_pending"] == 0 && m["cxrelay_events_in_flight"] == 0
		})
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
func gracious(t *testing.T, j *judge.Journal) {
	t.Helper()
	met := map[string]int{}
	for _, a := range j.Answers() {
		switch {
		case a.Status == 0:
			met[kindOf(a.Err)]++
		case a.Status == http.StatusOK || a.Status == http.StatusServiceUnavailable && a.Reason != "topic_unavailable": // nothing is wrong with a topic
			met[a.Reason]++
		default:
			t.Errorf("answered %d %s %v", a.Status, a.Reason, a.Err)
		}
	}
	t.Logf("senders met %v", met)
	if met["refused"] == 0 {
		t.Error("no connection was refused: the restarts were not felt, this shows little")
	}
}

// kindOf names what a sender met instead of an answer.
func kindOf(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "reset"
	}
	var call *url.Error
	if errors.As(err, &call) {
		err = call.Err
	}
	return err.Error() // such as that of net/http for an idle connection that was closed
}
