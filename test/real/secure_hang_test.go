//go:build real

package real_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/real/judge"
)

// TestGuardedBrokerHangs: behind TLS and SASL, and behind mutual TLS, a broker
// is asked for a sign of life before anybody has authenticated. One that hangs
// is named, and taken back as soon as it goes on.
func TestGuardedBrokerHangs(t *testing.T) {
	cluster := guarded(t)
	cert, key := cluster.Certificate("third")
	var journal judge.Journal
	var relays []*real.Relay
	var senders []*judge.Sender
	for i, way := range []struct{ address, kafka string }{
		{cluster.SASL(), by("SCRAM-SHA-512", real.FirstUser, real.Password, cluster.CA())},
		{cluster.MutualTLS(), fmt.Sprintf("tls: {enabled: true, ca_file: %q, cert_file: %q, key_file: %q}", cluster.CA(), cert, key)},
	} {
		setup, _ := entering(t, way.address, way.kafka)
		setup.Env = []string{fmt.Sprintf("CXRELAY_INSTANCE=hang-%d", i)}
		relay := rig.Relay(t, setup)
		sender := judge.NewSender(relay.URL, secret, &journal)
		defer sender.Close()
		if a := sender.Insist(t.Context(), judge.NewEvent(judge.Types()[0], fmt.Sprintf("way %d", i), 0)); a.Status != http.StatusOK {
			t.Fatalf("%+v", a)
		}
		relays, senders = append(relays, relay), append(senders, sender)
	}
	cluster.Pause(1)
	var stuck []*judge.Event
	for i, sender := range senders {
		e := judge.NewEvent(judge.Types()[0], fmt.Sprintf("way %d", i), 1)
		if a := sender.Send(t.Context(), e, nil); a.Reason != "delivery_timeout" {
			t.Errorf("%+v", a)
		}
		stuck = append(stuck, e)
	}
	for _, relay := range relays {
		real.Until(t, "the log names the fault", 5*time.Second, func() bool { return strings.Contains(relay.Log(t), "the broker answers nothing") })
	}
	cluster.Continue(1)
	goesOn := time.Now()
	for i, relay := range relays {
		senders[i].Again(t.Context(), stuck[i])
		real.Until(t, "the log says that it is over", 10*time.Second, func() bool { return strings.Contains(relay.Log(t), "kafka connection problem is over") })
	}
	t.Logf("accepted again %s after it went on", time.Since(goesOn).Round(time.Millisecond))
	report(t, judge.Judge(&journal, cluster.Read(judge.Topics()...), logs(t, relays)))
}
