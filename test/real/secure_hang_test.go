//go:build real

package real_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// TestGuardedBrokerHangs: behind TLS and SASL, and behind mutual TLS, a broker
// is asked for a sign of life before anybody has authenticated. One that hangs
// is named, and taken back as soon as it goes on.
func TestGuardedBrokerHangs(t *testing.T) {
	cluster := guarded(t)
	cert, key := cluster.Certificate("third")
	book := newBook(t)
	var relays []*real.Relay
	var senders []*load.Sender
	for i, way := range []struct{ address, kafka string }{
		{cluster.SASL(), by("SCRAM-SHA-512", real.FirstUser, real.Password, cluster.CA())},
		{cluster.MutualTLS(), fmt.Sprintf("tls: {enabled: true, ca_file: %q, cert_file: %q, key_file: %q}", cluster.CA(), cert, key)},
	} {
		setup, _ := entering(t, way.address, way.kafka)
		setup.Env = []string{fmt.Sprintf("CXRELAY_INSTANCE=hang-%d", i)}
		relay := rig.Relay(t, setup)
		sender := book.sender(t, relay)
		if a := sender.Insist(t.Context(), sender.Event(fmt.Sprintf("way %d", i), storm.Types()[0])); a.Status != http.StatusOK {
			t.Fatalf("%+v", a)
		}
		relays, senders = append(relays, relay), append(senders, sender)
	}
	cluster.Pause(1)
	var stuck []*load.Event
	for i, sender := range senders {
		e := sender.Event(fmt.Sprintf("way %d", i), storm.Types()[0])
		if a := sender.Send(t.Context(), e); a.Reason != "delivery_timeout" {
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
		senders[i].Insist(t.Context(), stuck[i])
		real.Until(t, "the log says that it is over", 10*time.Second, func() bool { return strings.Contains(relay.Log(t), "kafka connection problem is over") })
	}
	t.Logf("accepted again %s after it went on", time.Since(goesOn).Round(time.Millisecond))
	kept(t, book.judge(t, cluster.Read(storm.Topics()...), logs(t, relays)))
}
