package kafka_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/kafka"
)

// exchange is what clients sent to authenticate, and what they are told.
type exchange struct {
	mu       sync.Mutex
	sent     []string
	lifetime int64 // of a session in milliseconds (KIP-368); 0: for ever
	code     int16
}

func (e *exchange) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.sent...)
}

func (e *exchange) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// serve makes a cluster take part in mechanisms that the in-process broker
// does not have, one message long.
func (e *exchange) serve(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.SASLHandshake), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return req.ResponseKind(), nil, true
	})
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.sent = append(e.sent, string(req.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes))
		resp.SessionLifetimeMillis, resp.ErrorCode = e.lifetime, e.code
		return resp, nil, true
	})
}

// newVirtual is a rig whose client authenticates with s, in virtual time.
// prepare, if not nil, sees the cluster before the client does.
func newVirtual(t *testing.T, s kafka.Security, prepare func(*kfake.Cluster), opts ...kfake.Opt) (*rig, *lines) {
	t.Helper()
	cluster, err := devkit.NewVirtualKafka(1, append([]kfake.Opt{kfake.SeedTopics(2, "a", "b")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(cluster.Cluster)
	}
	log := &lines{}
	r := &rig{t: t, cluster: cluster, topics: map[string]kafka.Topic{}, acked: map[int32][]int{}}
	r.Client, err = kafka.New(kafka.Options{
		Brokers: cluster.Brokers, Topics: []string{"a", "b"}, ClientID: "test", MaxRecords: 1000, MaxBytes: 1 << 20,
		Security: s, Log: slog.New(slog.NewTextHandler(log, nil)), Dial: cluster.Dial,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.run()
	return r, log
}

func bearer(token string) string { return "n,,\x01auth=Bearer " + token + "\x01\x01" }

// TestTokenFileIsRotated: a session ends (KIP-368), the client authenticates
// again on the same connection, with what the file holds then.
func TestTokenFileIsRotated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Error(err)
		}
	}
	write("first\n")
	synctest.Test(t, func(t *testing.T) {
		e := &exchange{lifetime: 60_000}
		r, log := newVirtual(t, kafka.Security{SASL: kafka.SASL{Mechanism: kafka.OAuthBearer, OAuth: kafka.OAuth{TokenFile: file}}}, e.serve)
		defer r.stop()
		until(t, "topic", 5*time.Second, func() bool { _, ok := r.topic("a"); return ok })
		for n := range 30 {
			if n == 10 {
				write("second")
			}
			r.send("a", 0, n)
			time.Sleep(10 * time.Second)
		}
		until(t, "acks", time.Second, func() bool { return r.settled() == 30 })
		sent := e.all()
		if sent[0] != bearer("first") || sent[len(sent)-1] != bearer("second") || len(r.failed) > 0 {
			t.Errorf("sent %q, failed %v", sent, r.failed)
		}
		if n := len(sent); n < 5 || n > 30 {
			t.Errorf("%d authentications in 5 minutes of sessions of one minute", n)
		}
		if said := log.with("connection problem"); len(said) > 0 {
			t.Errorf("log: %v", said)
		}
		r.judge("a")
	})
}

// TestRefusedIsNotHammered: with wrong credentials there are few attempts,
// one line, and recovery without a restart.
func TestRefusedIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &exchange{code: kerr.SaslAuthenticationFailed.Code}
		r, log := newVirtual(t, kafka.Security{SASL: sasl(kafka.Plain)}, e.serve)
		defer r.stop()
		for n := range 10 * 60 {
			r.send("a", 0, n) // the producer asks for connections too
			time.Sleep(time.Second)
		}
		if n := len(e.all()); n > 80 || n < 15 {
			t.Errorf("%d authentications in 10 minutes", n)
		}
		if said := log.with("connection problem"); len(said) != 1 {
			t.Errorf("log: %v", said)
		}
		if said := append(log.with("level=WARN"), log.with("level=ERROR")...); len(said) != 1 {
			t.Errorf("log: %v", said)
		}
		e.set(func() { e.code = 0 })
		until(t, "recovery", 40*time.Second, func() bool { a, ok := r.topic("a"); return ok && a.Err == nil })
		if p := r.Problems(); len(p) > 0 {
			t.Errorf("problems: %v", p)
		}
		if said := log.with("connection problem is over"); len(said) != 1 {
			t.Errorf("log: %v", said)
		}
	})
}

// TestPermissions: one topic is denied, one line says so with the command,
// the other goes on; a grant mends it without a restart.
func TestPermissions(t *testing.T) {
	allow := func(topic string, op kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true}
	}
	for name, c := range map[string]struct {
		on   []kfake.ACL // of topic b
		old  bool        // the broker does not tell what is allowed
		sees bool        // b looks well until a record is denied
	}{
		"nothing on b":                      {nil, false, false},
		"only describe on b":                {[]kfake.ACL{allow("b", kmsg.ACLOperationDescribe), allow("b", kmsg.ACLOperationDescribeConfigs)}, false, false},
		"only describe on b, an old broker": {[]kfake.ACL{allow("b", kmsg.ACLOperationDescribe), allow("b", kmsg.ACLOperationDescribeConfigs)}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				acls := append([]kfake.ACL{allow("a", kmsg.ACLOperationWrite), allow("a", kmsg.ACLOperationDescribeConfigs)}, c.on...)
				opts := []kfake.Opt{kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "admin"), kfake.User("PLAIN", user, password, acls...)}
				if c.old {
					before := kversion.Stable()
					before.SetMaxKeyVersion(int16(kmsg.Metadata), 7) // KIP-430 came with 8
					opts = append(opts, kfake.MaxVersions(before))
				}
				r, log := newVirtual(t, kafka.Security{SASL: sasl(kafka.Plain)}, nil, opts...)
				defer r.stop()
				until(t, "topics", 5*time.Second, func() bool { _, ok := r.topic("b"); return ok })
				if b, _ := r.topic("b"); (b.Err == nil) != c.sees {
					t.Errorf("b: %+v", b)
				}
				r.send("a", 0, 0)
				if c.sees {
					r.send("b", 1, 0)
				}
				until(t, "b is denied", 20*time.Second, func() bool { b, _ := r.topic("b"); return b.Err != nil })
				b, _ := r.topic("b")
				if !errors.Is(b.Err, event.ErrTopicUnavailable) || !strings.Contains(b.Remedy(), "kafka-acls.sh") || !strings.HasSuffix(b.Remedy(), "--topic b") {
					t.Errorf("b: %v, remedy %q", b.Err, b.Remedy())
				}
				for n := 1; n < 60; n++ { // it stays denied, and a goes on
					r.send("a", 0, n)
					time.Sleep(time.Second)
					if now, _ := r.topic("b"); now.Err == nil {
						if !c.old {
							t.Fatalf("b is usable after %d s", n)
						}
						r.send("b", 1, n) // only a record tells
					}
				}
				until(t, "acks on a", 5*time.Second, func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.acked[0]) == 60 })
				if a, _ := r.topic("a"); a.Err != nil || a.Remedy() != "" {
					t.Errorf("a: %+v", a)
				}
				r.grant("b", kmsg.ACLOperationWrite)
				until(t, "b works", 32*time.Second, func() bool { b, _ := r.topic("b"); return b.Err == nil })
				if said := log.with("connection problem"); len(said) > 0 {
					t.Errorf("log: %v", said)
				}
			})
		})
	}
}

// grant allows the user an operation on a topic, as an operator would.
func (r *rig) grant(topic string, op kmsg.ACLOperation) {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...), kgo.Dialer(r.cluster.Dial), kgo.SASL(plain.Auth{User: "admin", Pass: "admin"}.AsMechanism()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	acl := kadm.NewACLs().Topics(topic).ResourcePatternType(kadm.ACLPatternLiteral).Operations(op).Allow("User:" + user).AllowHosts("*")
	results, err := kadm.NewClient(cl).CreateACLs(r.t.Context(), acl)
	if err != nil || len(results) == 0 || results[0].Err != nil {
		r.t.Fatalf("%v %v", results, err)
	}
}

// TestSettingsAreHidden: without DescribeConfigs the relay works with Kafka's
// default, and says so once; it is a notice, no fault.
func TestSettingsAreHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var acls []kfake.ACL
		for _, topic := range []string{"a", "b"} {
			acls = append(acls, kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationWrite, Allow: true})
		}
		r, log := newVirtual(t, kafka.Security{SASL: sasl(kafka.Plain)}, nil, kfake.EnableSASL(), kfake.EnableACLs(),
			kfake.Superuser("PLAIN", "admin", "admin"), kfake.User("PLAIN", user, password, acls...))
		defer r.stop()
		time.Sleep(2 * time.Minute)
		if b, _ := r.topic("b"); b.Err != nil || b.MaxMessageBytes != 1_048_588 {
			t.Errorf("b: %+v", b)
		}
		if said := log.with("topic settings not visible"); len(said) != 1 || !strings.Contains(said[0], "DescribeConfigs") || !strings.Contains(said[0], "[a b]") {
			t.Errorf("log: %v", said)
		}
		if p := r.Problems(); len(p) != 1 || !p[0].Notice {
			t.Errorf("problems: %v", p)
		}
		r.grant("a", kmsg.ACLOperationDescribeConfigs)
		r.grant("b", kmsg.ACLOperationDescribeConfigs)
		until(t, "no notice", time.Minute, func() bool { return len(r.Problems()) == 0 })
	})
}

// TestProducerIsDenied: a principal that may write nowhere yet gets no
// producer id. kgo would remember that for ever; a grant mends it.
func TestProducerIsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var denied *kfake.FaultHandle
		r, log := newVirtual(t, kafka.Security{}, func(c *kfake.Cluster) {
			denied = c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.ClusterAuthorizationFailed, Count: -1})
		})
		defer r.stop()
		time.Sleep(time.Minute)
		if _, known := r.topic("a"); known {
			t.Error("a topic is reported that nothing can be written to")
		}
		if p := r.Problems(); len(p) != 1 || !strings.Contains(p[0].Remedy, "IdempotentWrite") {
			t.Errorf("problems: %v", p)
		}
		if said := append(log.with("level=ERROR"), log.with("level=WARN")...); len(said) != 1 || !strings.Contains(said[0], "IdempotentWrite") || !strings.Contains(said[0], "level=ERROR") {
			t.Errorf("log: %v", said)
		}
		denied.Remove()
		until(t, "topics", 2*time.Second, func() bool { _, ok := r.topic("b"); return ok })
		r.send("a", 0, 0)
		until(t, "an ack", time.Second, func() bool { return r.settled() == 1 })
		if p := r.Problems(); len(p) > 0 || len(r.failed) > 0 {
			t.Errorf("problems: %v, failed %v", p, r.failed)
		}
		r.judge("a")
	})
}
