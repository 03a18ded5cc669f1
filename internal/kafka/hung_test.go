package kafka_test

import (
	"crypto/tls"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/kafka"
)

// TestHungBehindTLSAndSASL: a broker shows a sign of life to a connection that
// has not authenticated, through TLS; so one that only takes its time is
// waited for, one that hangs is let go, named, and taken back.
func TestHungBehindTLSAndSASL(t *testing.T) {
	const slow = 2900 * time.Millisecond
	for name, c := range map[string]struct{ encrypted, authenticated bool }{
		"plaintext": {false, false}, "TLS": {true, false}, "SASL": {false, true}, "TLS and SASL": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var with kafka.Security
				var opts []kfake.Opt
				if c.encrypted {
					ca := newAuthority(t, "ca", time.Now().Add(time.Hour))
					opts = append(opts, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{ca.issue("kafka.test", time.Now().Add(time.Hour)).pair}}))
					with.TLS = kafka.TLS{Enabled: true, CA: ca.pem, ServerName: "kafka.test"}
				}
				if c.authenticated {
					opts = append(opts, kfake.EnableSASL(), kfake.Superuser("PLAIN", user, password))
					with.SASL = sasl(kafka.Plain)
				}
				r, log := newVirtual(t, with, nil, opts...)
				defer r.stop()
				until(t, "topic", 5*time.Second, func() bool { a, ok := r.topic("a"); return ok && a.Err == nil })
				r.send("a", 0, 0)
				until(t, "ack", time.Second, func() bool { return r.settled() == 1 })

				r.cluster.Cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
					r.cluster.Cluster.SleepControl(func() { time.Sleep(slow) })
					return nil, nil, false
				})
				before, _ := r.cluster.Produced()
				began := time.Now()
				r.send("a", 0, 1)
				until(t, "the slow ack", 3*time.Second, func() bool { return r.settled() == 2 })
				if took := time.Since(began); took < slow {
					t.Errorf("acknowledged after %s: not by the broker that takes %s", took, slow)
				}
				if after, _ := r.cluster.Produced(); after != before+1 {
					t.Errorf("%d requests for one record", after-before)
				}
				if said := log.with("problem"); len(said) > 0 {
					t.Errorf("a slow broker: %v", said)
				}

				r.cluster.Hang(0)
				r.send("a", 0, 2)
				time.Sleep(10 * time.Second)
				if said := log.with("the broker answers nothing"); len(said) == 0 {
					t.Error("a hung broker is not named")
				}
				r.cluster.Heal()
				until(t, "it is taken back", 6*time.Second, func() bool { return r.settled() == 3 })
				if said := log.with("problem is over"); len(said) != 1 || len(r.failed) > 0 || !slices.Equal(r.acked[0], []int{0, 1, 2}) {
					t.Errorf("log %v, failed %v, acked %v", said, r.failed, r.acked)
				}
			})
		})
	}
}
