//go:build real

package real_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
)

// Who the relays are, for ACLs.
const (
	first  = "User:" + real.FirstUser
	second = "User:" + real.SecondUser
	third  = "User:CN=third" // by certificate
)

// guarded returns the secure cluster with the topics of the built-in routes,
// to which all but the second user may write.
func guarded(t *testing.T) *real.Cluster {
	t.Helper()
	cluster := rig.Cluster(t, real.Secure())
	rig.Registry(t).Register(t, subject, schema)
	cluster.Topics(8, storm.Topics()...)
	cluster.Allow(first, storm.Topics()...)
	cluster.Allow(third, storm.Topics()...)
	return cluster
}

// entering returns how a relay is started whose kafka settings stand in a
// file, in YAML's flow form, and that file.
func entering(t *testing.T, address, kafka string) (setup real.Setup, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "cxrelay.yaml")
	text := fmt.Sprintf("schema: {subject: %s}\nkafka: {%s}\n", subject, kafka)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return real.Setup{Brokers: address, Registry: rig.Registry(t).URL(), Secret: secret, Args: []string{"--config", file}}, file
}

// by returns the settings for a user of the SASL_SSL listener.
func by(mechanism, user, password, ca string) string {
	return fmt.Sprintf("tls: {enabled: true, ca_file: %q}, sasl: {mechanism: %s, username: %s, password: %q}", ca, mechanism, user, password)
}

// TestMechanisms: a relay gets in by each way that there is, and what it
// accepts is in Kafka.
func TestMechanisms(t *testing.T) {
	cluster := guarded(t)
	cert, key := cluster.Certificate("third")
	book := newBook(t)
	var relays []*real.Relay
	for i, way := range []struct{ name, address, kafka string }{
		{"PLAIN", cluster.SASL(), by("PLAIN", real.FirstUser, real.Password, cluster.CA())},
		{"SCRAM-SHA-256", cluster.SASL(), by("SCRAM-SHA-256", real.FirstUser, real.Password, cluster.CA())},
		{"SCRAM-SHA-512", cluster.SASL(), by("SCRAM-SHA-512", real.FirstUser, real.Password, cluster.CA())},
		{"mutual TLS", cluster.MutualTLS(), fmt.Sprintf("tls: {enabled: true, ca_file: %q, cert_file: %q, key_file: %q}", cluster.CA(), cert, key)},
	} {
		setup, _ := entering(t, way.address, way.kafka)
		setup.Env = []string{fmt.Sprintf("CXRELAY_INSTANCE=way-%d", i)}
		relay := rig.Relay(t, setup)
		sender := book.sender(t, relay)
		for n := range 100 {
			e := sender.Event(fmt.Sprintf("%s %d", way.name, n%10), storm.Types()[n%4])
			if a := sender.Insist(t.Context(), e); a.Status != http.StatusOK {
				t.Errorf("%s: %+v", way.name, a)
			}
		}
		if log := relay.Log(t); strings.Contains(log, "kafka connection problem") {
			t.Errorf("%s: there was a problem:\n%s", way.name, log)
		}
		relays = append(relays, relay)
	}
	v := book.judge(t, cluster.Read(storm.Topics()...), logs(t, relays))
	kept(t, v)
	if v.Accepted != 400 {
		t.Errorf("%d of 400 events were accepted", v.Accepted)
	}
}

// way is how a relay comes to a broker, and what keeps it out.
type way struct {
	name, address string
	kafka         string // settings
	what, remedy  string // a part of the remedy
}

// TestLockedOut: each way of not getting in is one line of the log, with its
// remedy; the relay lives, is not ready, says why, and refuses events at once.
func TestLockedOut(t *testing.T) {
	cluster := guarded(t)
	token := tokenFile(t, "not a token that a broker would take")
	tls := fmt.Sprintf("tls: {enabled: true, ca_file: %q}", cluster.CA())
	old, oldCA := cluster.Old()
	sasl := cluster.SASL()
	for _, w := range []way{
		{"wrong password, PLAIN", sasl, by("PLAIN", real.FirstUser, "wrong", cluster.CA()), "the broker refuses these credentials", "kafka.sasl.username"},
		{"wrong password, SCRAM", sasl, by("SCRAM-SHA-512", real.FirstUser, "wrong", cluster.CA()), "the broker refuses these credentials", "per mechanism"},
		{"unknown user", sasl, by("SCRAM-SHA-256", "nobody", real.Password, cluster.CA()), "the broker refuses these credentials", "kafka.sasl.username"},
		{"unknown authority", sasl, by("PLAIN", real.FirstUser, real.Password, cluster.OtherCA()), "the broker's certificate is signed by an unknown authority", "kafka.tls.ca_file"},
		{"expired certificate", cluster.Expired(), tls, "the broker's certificate is expired or not valid yet", "renew the broker's certificate"},
		{"expired authority", old, fmt.Sprintf("tls: {enabled: true, ca_file: %q}", oldCA), "the certificate authority is expired or not valid yet", "kafka.tls.ca_file"},
		{"no client certificate", cluster.MutualTLS(), tls, "the broker refuses this client's certificate", "kafka.tls.cert_file"},
		{"mechanism not offered", sasl, tls + fmt.Sprintf(", sasl: {mechanism: OAUTHBEARER, oauth: {token_file: %q}}", token), "the broker does not offer this SASL mechanism", "sasl.enabled.mechanisms"},
		{"no SASL", sasl, tls, "the broker closes the connection at the first request", "the listener expects SASL"},
		{"no TLS", sasl, "sasl: {mechanism: PLAIN, username: first, password: x}", "the broker speaks TLS on this port", "kafka.tls.enabled"},
	} {
		t.Run(w.name, func(t *testing.T) { w.lockedOut(t) })
	}
}

// lockedOut runs a relay that does not get in, and looks at all that it says.
func (w way) lockedOut(t *testing.T) {
	setup, file := entering(t, w.address, w.kafka)
	setup.Unready = true
	relay := rig.Relay(t, setup)
	real.Until(t, "the log says what is wrong", 15*time.Second, func() bool { return len(problems(t, relay)) > 0 })
	var body string
	real.Until(t, "the relay says that it is not ready, and why", 15*time.Second, func() bool {
		var status int
		status, body = get(t, relay.Admin+"/-/ready")
		return status == http.StatusServiceUnavailable && strings.Contains(body, w.what)
	})
	real.Until(t, "the schema is there", 15*time.Second, func() bool { return real.Sum(relay.Metrics(t), "cxrelay_schema_usable") == 1 })
	refused(t, relay, "kafka_unavailable", "c1", kinds()[0])
	checked, code := rig.Run(t, setup, "check", file, "--connect", "--timeout", "10s")
	real.Pass(t, time.Second) // more attempts
	said := problems(t, relay)
	if len(said) != 1 || said[0].What != w.what || !strings.Contains(said[0].Remedy, w.remedy) || said[0].Cause == "" {
		t.Errorf("the log says %+v, want once %q with a remedy that names %s", said, w.what, w.remedy)
	}
	if remedy := "  remedy: " + said[0].Remedy + "\n"; code != 3 || !strings.Contains(checked, w.what) || !strings.Contains(checked, remedy) {
		t.Errorf("check --connect exits with %d and says\n%s", code, checked)
	}
	if _, status := get(t, relay.Admin+"/api/v1/status"); !strings.Contains(status, w.what) || !strings.Contains(status, said[0].Remedy) {
		t.Errorf("status has no such problem: %s", status)
	}
	if strings.Contains(relay.Log(t)+body+checked, real.Password) {
		t.Error("the password is shown")
	}
}

// TestTopicDenied: ACLs keep the relay from two topics, one that it may still
// see and one that it may not. The other topics go on, the relay is ready and
// says what to do, and a grant ends it.
func TestTopicDenied(t *testing.T) {
	cluster := guarded(t)
	open, closed := storm.Topics()[:2], storm.Topics()[2:]
	cluster.Forget(second, storm.Topics()...)
	cluster.Allow(second, storm.Topics()[:3]...)
	cluster.Deny(second, closed[0])
	setup, file := entering(t, cluster.SASL(), by("SCRAM-SHA-256", real.SecondUser, real.Password, cluster.CA()))
	relay := rig.Relay(t, setup)
	real.Until(t, "the topic that it may only see is known to be closed before an event comes", 15*time.Second, func() bool {
		_, body := get(t, relay.Admin+"/-/ready")
		return relay.Metrics(t)[`cxrelay_topic_usable{topic="`+closed[0]+`"}`] == 0 && strings.Contains(body, closed[0]) && strings.Contains(body, "kafka-acls.sh")
	})
	book := newBook(t)
	sender := book.sender(t, relay)
	send := func(types []string, n int) {
		for _, kind := range types {
			if a := sender.Insist(t.Context(), sender.Event(fmt.Sprintf("c%d of %s", n, kind), route(kind))); a.Status != http.StatusOK {
				t.Errorf("%s: %+v", kind, a)
			}
		}
	}
	for n := range 10 {
		send(kinds()[:len(open)][n%2:n%2+1], n)
		for _, kind := range kinds()[len(open):] {
			refused(t, relay, "topic_unavailable", fmt.Sprintf("c%d", n), kind)
		}
	}
	real.Until(t, "the relay is ready and names the topics and the remedy", 15*time.Second, func() bool {
		status, body := get(t, relay.Admin+"/-/ready")
		return status == http.StatusOK && strings.Contains(body, closed[0]) && strings.Contains(body, closed[1]) && strings.Count(body, "kafka-acls.sh") == 2
	})
	for i, topic := range storm.Topics() {
		usable := relay.Metrics(t)[`cxrelay_topic_usable{topic="`+topic+`"}`] == 1
		if usable != (i < len(open)) {
			t.Errorf("%s: usable is %t", topic, usable)
		}
	}
	checked, code := rig.Run(t, setup, "check", file, "--connect")
	for i, finding := range []string{"topic_write", "topic_visible"} {
		if _, after, ok := strings.Cut(checked, "error: "+finding+": "); code != 3 || !ok || !strings.Contains(after, "in: "+closed[i]+"\n") {
			t.Errorf("check --connect exits with %d and does not find %s:\n%s", code, finding, checked)
		}
	}

	cluster.Forget(second, closed...)
	cluster.Allow(second, closed...)
	granted := time.Now()
	real.Until(t, "the topics are usable again", 20*time.Second, func() bool { return real.Sum(relay.Metrics(t), "cxrelay_topic_usable") == 4 })
	t.Logf("usable %s after the grant", time.Since(granted).Round(10*time.Millisecond))
	send(kinds(), 10)
	for _, topic := range closed {
		if off, on := lines(t, relay, "topic unavailable", topic), lines(t, relay, "topic available", topic); off != 1 || on != 1 {
			t.Errorf("%s: %d lines say that it is unavailable, %d that it is available", topic, off, on)
		}
	}
	settled(t, relay, book)
	kept(t, book.judge(t, cluster.ReadMany(storm.Topics()...), relay.Log(t)))
}

// lines counts lines of the log about a topic.
func lines(t *testing.T, relay *real.Relay, msg, topic string) (n int) {
	t.Helper()
	for line := range strings.Lines(relay.Log(t)) {
		var l struct{ Msg, Topic string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == msg && l.Topic == topic {
			n++
		}
	}
	return n
}

// refused sends one event and checks that it is refused with this reason.
func refused(t *testing.T, relay *real.Relay, reason, contact, kind string) {
	t.Helper()
	sender := newBook(t).sender(t, relay)
	if a := sender.Send(t.Context(), sender.Event(contact, route(kind))); a.Status != http.StatusServiceUnavailable || a.Reason != reason {
		t.Errorf("answered %d %s, want 503 %s", a.Status, a.Reason, reason)
	}
}

type problem struct{ Msg, What, Cause, Remedy string }

// problems are the lines of the log about the connection to Kafka.
func problems(t *testing.T, relay *real.Relay) (all []problem) {
	t.Helper()
	for line := range strings.Lines(relay.Log(t)) {
		var p problem
		if json.Unmarshal([]byte(line), &p) == nil && p.Msg == "kafka connection problem" {
			all = append(all, p)
		}
	}
	return all
}
