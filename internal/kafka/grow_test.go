package kafka_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/cxrelay/cxrelay/internal/kafka"
)

// TestTopicsComeAndGo: an added topic is reported and produced to by the
// producer of the others; a dropped one is not looked at; one that comes back
// is reported again, changed or not, and goes on under its producer id.
func TestTopicsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a")
		defer r.stop()
		until(t, "a", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		if err := r.Add([]string{"a", "b"}); err != nil {
			t.Fatal(err)
		}
		until(t, "b", 2*time.Second, func() bool { b, ok := r.topic("b"); return ok && b.Err == nil && b.Partitions == 4 })
		r.settle("b", 0, 1)
		r.settle("b", 0, 2)
		r.Retain([]string{"a"})
		r.mu.Lock()
		delete(r.topics, "a")
		delete(r.topics, "b")
		r.mu.Unlock()
		if err := r.cluster.Cluster.DeleteTopic("a"); err != nil {
			t.Fatal(err)
		}
		until(t, "a is gone", 20*time.Second, func() bool { a, ok := r.topic("a"); return ok && a.Missing() })
		if b, ok := r.topic("b"); ok {
			t.Errorf("a dropped topic was reported: %+v", b)
		}
		if err := r.Add([]string{"b"}); err != nil {
			t.Fatal(err)
		}
		until(t, "b is back", 2*time.Second, func() bool { b, ok := r.topic("b"); return ok && b.Err == nil })
		r.settle("b", 0, 3)
		if len(r.failed) > 0 {
			t.Errorf("failed: %v", r.failed)
		}
		r.judge("b")
	})
}

// TestFirstTopic: a client without topics gets its first one while it runs.
func TestFirstTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		defer r.stop()
		time.Sleep(time.Minute)
		if err := r.Add([]string{"a"}); err != nil {
			t.Fatal(err)
		}
		until(t, "a", 2*time.Second, func() bool { a, ok := r.topic("a"); return ok && a.Err == nil })
		r.settle("a", 0, 0)
		r.Retain(nil)
		if err := r.Add([]string{"missing"}); err != nil {
			t.Fatal(err)
		}
		until(t, "an answer", 2*time.Second, func() bool { m, ok := r.topic("missing"); return ok && m.Missing() })
	})
}

// TestSecurityChanges: new connections are made with the new password, at
// once, although the old one was refused and held back.
func TestSecurityChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with := func(password string) kafka.Security {
			return kafka.Security{SASL: kafka.SASL{Mechanism: kafka.ScramSHA256, Username: "user", Password: password}}
		}
		r, _ := newVirtual(t, with("wrong"), nil, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "user", "right"))
		defer r.stop()
		time.Sleep(2 * time.Minute) // the next attempt is far away
		if _, ok := r.topic("a"); ok || len(r.Problems()) == 0 {
			t.Fatalf("let in with a wrong password; problems: %v", r.Problems())
		}
		if err := r.SetSecurity(kafka.Security{}); err == nil {
			t.Error("the mechanism was changed")
		}
		if err := r.SetSecurity(with("right")); err != nil {
			t.Fatal(err)
		}
		until(t, "topic", 15*time.Second, func() bool { a, ok := r.topic("a"); return ok && a.Err == nil })
		r.settle("a", 0, 0)
		if len(r.failed) > 0 {
			t.Errorf("failed: %v", r.failed)
		}
	})
}
