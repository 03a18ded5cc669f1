package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaPassword writes a password for the relay into a file.
func kafkaPassword(t *testing.T, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// asRelay makes the relay authenticate as the user relay.
func asRelay(mechanism, passwordFile string) map[string]string {
	return map[string]string{"kafka.sasl.mechanism": mechanism, "kafka.sasl.username": "relay", "kafka.sasl.password_file": passwordFile}
}

// kafkaStatus asks the admin listener what is wrong with Kafka.
func (w *world) kafkaStatus() (security string, problems []string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://127.0.0.1:9640/api/v1/status", http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var s struct {
		Kafka struct {
			Security string
			Problems []struct{ What, Remedy string }
		}
	}
	if err := json.Unmarshal(b, &s); err != nil {
		w.t.Fatalf("%q: %v", b, err)
	}
	for _, p := range s.Kafka.Problems {
		problems = append(problems, p.What+": "+p.Remedy)
	}
	return s.Kafka.Security, problems
}

// TestKafkaWithPassword: the configuration reaches the brokers.
func TestKafkaWithPassword(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		file := kafkaPassword(t, "pw $,=")
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, worldOptions{
				cluster:   []kfake.Opt{kfake.EnableSASL(), kfake.Superuser(mechanism, "relay", "pw $,=")},
				overrides: asRelay(mechanism, file),
			})
			defer w.end()
			w.untilReady()
			if why := w.send(event("QUEUE_TRANSFER", "c", 1)); why != "accepted" {
				t.Errorf("%s: %s", mechanism, why)
			}
			if security, problems := w.kafkaStatus(); security != "SASL_PLAINTEXT "+mechanism || len(problems) > 0 {
				t.Errorf("%s, %v", security, problems)
			}
		})
	}
}

// TestKafkaWithWrongPassword: everything that an operator looks at says so,
// once, with the remedy; events are answered 503.
func TestKafkaWithWrongPassword(t *testing.T) {
	file := kafkaPassword(t, "wrong-password")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{
			cluster:   []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "relay", "right")},
			overrides: asRelay("PLAIN", file),
		})
		defer w.end()
		time.Sleep(2 * time.Minute)
		const what = "the broker closes the connection during authentication"
		ready := w.app.Readiness()
		if ready.Ready || !slices.ContainsFunc(ready.Missing, func(s string) bool {
			return strings.Contains(s, what) && strings.Contains(s, "kafka.sasl.username")
		}) {
			t.Errorf("readiness: %+v", ready)
		}
		if why := w.send(event("QUEUE_TRANSFER", "c", 1)); why != "kafka_unavailable" {
			t.Error(why)
		}
		if _, problems := w.kafkaStatus(); len(problems) != 1 || !strings.HasPrefix(problems[0], what) {
			t.Errorf("status: %v", problems)
		}
		if n := strings.Count(w.log.String(), `"msg":"kafka connection problem"`); n != 1 {
			t.Errorf("%d lines", n)
		}
		if strings.Contains(w.log.String(), "wrong-password") {
			t.Error("the password is in the log")
		}
	})
}

// TestOneTopicDenied: an ACL denies one topic. Its route says so, once in the
// log, and the others go on.
func TestOneTopicDenied(t *testing.T) {
	file := kafkaPassword(t, "pw")
	var acls []kfake.ACL
	for _, topic := range seedTopics[:3] {
		for _, op := range []kmsg.ACLOperation{kmsg.ACLOperationWrite, kmsg.ACLOperationDescribeConfigs} {
			acls = append(acls, kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true})
		}
	}
	acls = append(acls, kfake.ACL{ // seen, but not written to
		Resource: kmsg.ACLResourceTypeTopic, Name: seedTopics[3], Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationDescribe, Allow: true,
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{
			cluster:   []kfake.Opt{kfake.EnableSASL(), kfake.EnableACLs(), kfake.User("SCRAM-SHA-512", "relay", "pw", acls...), kfake.Superuser("PLAIN", "admin", "admin")},
			overrides: asRelay("SCRAM-SHA-512", file),
		})
		defer w.end()
		w.untilReady()
		for n := range 60 {
			if why := w.send(event("QUEUE_TRANSFER", "c", n)); why != "accepted" {
				t.Errorf("another topic: %s", why)
			}
			if why := w.send(event("CALL_DISCONNECTED", "c", n)); why != "topic_unavailable" {
				t.Errorf("the denied topic: %s", why)
			}
			time.Sleep(time.Second)
		}
		ready := w.app.Readiness()
		if !ready.Ready || !slices.ContainsFunc(ready.Degraded, func(s string) bool {
			return strings.Contains(s, seedTopics[3]) && strings.Contains(s, "TOPIC_AUTHORIZATION_FAILED")
		}) {
			t.Errorf("readiness: %+v", ready)
		}
		if n := strings.Count(w.log.String(), `"msg":"topic unavailable"`); n != 1 || !strings.Contains(w.log.String(), "kafka-acls.sh") {
			t.Errorf("%d lines of the topic", n)
		}
	})
}
