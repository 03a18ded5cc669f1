//go:build real

package real_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
)

// documentedACLs are the commands of docs/kafka-security.md, by paragraph.
func documentedACLs(t *testing.T) (serve, check, create []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/kafka-security.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks [][]string
	for _, block := range regexp.MustCompile("(?s)```sh\n(kafka-acls.sh .*?)\n```").FindAllStringSubmatch(string(page), -1) {
		blocks = append(blocks, strings.Split(strings.ReplaceAll(block[1], "\\\n", ""), "\n"))
	}
	if len(blocks) != 3 {
		t.Fatalf("the page has %d blocks of kafka-acls.sh, want those to serve, to check, and to create topics", len(blocks))
	}
	return blocks[0], blocks[1], blocks[2]
}

// finding is a line of check --format json.
type finding struct{ Event, Severity, Check, Topic, Message, Remedy string }

// findings runs check --connect and returns what it finds, by check.
func findings(t *testing.T, setup real.Setup, file string, args ...string) (found map[string][]finding, code int) {
	t.Helper()
	out, code := rig.Run(t, setup, append([]string{"check", file, "--connect", "--format", "json"}, args...)...)
	found = map[string][]finding{}
	for line := range strings.Lines(out) {
		var f finding
		if json.Unmarshal([]byte(line), &f) == nil && f.Event == "finding" {
			found[f.Check] = append(found[f.Check], f)
		}
	}
	return found, code
}

// TestDocumentedACLs: each right that the page on security lists is needed for
// what the page says, and no other is. What is missing is named.
func TestDocumentedACLs(t *testing.T) {
	cluster := guarded(t)
	cluster.Forget(second)
	serve, check, create := documentedACLs(t)
	grant := func(commands []string) {
		for _, c := range commands {
			cluster.KafkaACLs(second, c)
		}
	}
	setup, file := entering(t, cluster.SASL(), by("SCRAM-SHA-512", real.SecondUser, real.Password, cluster.CA()))
	quorum := strings.Count(cluster.Log(1), "DESCRIBE_QUORUM")

	t.Run("none", func(t *testing.T) {
		setup := setup
		setup.Unready = true
		relay := rig.Relay(t, setup)
		real.Until(t, "the log says what it lacks", 15*time.Second, func() bool { return len(problems(t, relay)) > 0 })
		real.Until(t, "the relay says what it lacks", 15*time.Second, func() bool {
			status, body := get(t, relay.Admin+"/-/ready")
			return status == http.StatusServiceUnavailable && strings.Contains(body, "an ACL denies the idempotent producer") && strings.Contains(body, "allow the operation Write")
		})
		if said := problems(t, relay); len(said) != 1 || !strings.Contains(said[0].Remedy, "Write") {
			t.Errorf("the log says %+v", said)
		}
		refused(t, relay, "kafka_unavailable", "c", kinds()[0])
		if found, code := findings(t, setup, file); code != 3 || len(found["topic_visible"]) != 4 || !strings.Contains(found["topic_visible"][0].Remedy, "WRITE") {
			t.Errorf("check exits with %d: %+v", code, found)
		}
	})
	t.Run("Write", func(t *testing.T) {
		cluster.AllowWrite(second, storm.Topics()...)
		relay := accepts(t, cluster, setup)
		log := relay.Log(t)
		if n := strings.Count(log, `"msg":"topic settings not visible"`); n != 1 || !strings.Contains(log, "DescribeConfigs") || len(problems(t, relay)) > 0 {
			t.Errorf("%d lines say that settings are not visible:\n%s", n, log)
		}
		status, body := get(t, relay.Admin+"/-/ready")
		if _, all := get(t, relay.Admin+"/api/v1/status"); status != http.StatusOK || strings.Contains(body, "hidden") || !strings.Contains(all, "the topics' settings are hidden by an ACL") {
			t.Errorf("ready: %d %s\nstatus: %s", status, body, all)
		}
		found, code := findings(t, setup, file)
		if f := found["settings_visible"]; code != 0 || len(f) != 4 || f[0].Severity != "info" || !strings.Contains(f[0].Remedy, "DESCRIBE_CONFIGS") {
			t.Errorf("check exits with %d: %+v", code, found)
		}
	})
	t.Run("those to serve", func(t *testing.T) {
		cluster.Forget(second)
		grant(serve)
		relay := accepts(t, cluster, setup)
		if log := relay.Log(t); strings.Contains(log, "not visible") || strings.Contains(log, "an ACL") {
			t.Errorf("something is still hidden:\n%s", log)
		}
		found, code := findings(t, setup, file)
		if f := found["clock_skew"]; code != 0 || len(f) != 1 || f[0].Severity != "info" || !strings.Contains(f[0].Remedy, "DESCRIBE on the cluster") {
			t.Errorf("check exits with %d: %+v", code, found)
		}
		if f := found["partitioner"]; len(f) != 4 || f[0].Severity != "info" || !strings.Contains(f[0].Remedy, "READ") || len(found["settings_visible"]) > 0 {
			t.Errorf("check finds %+v", found)
		}
		if n := strings.Count(cluster.Log(1), "DESCRIBE_QUORUM"); n != quorum {
			t.Errorf("the broker complains %d times about a question that it does not allow", n-quorum)
		}
	})
	t.Run("those to check", func(t *testing.T) {
		grant(check)
		if found, code := findings(t, setup, file); code != 0 || len(found["clock_skew"])+len(found["partitioner"])+len(found["settings_visible"]) > 0 {
			t.Errorf("check exits with %d: %+v", code, found)
		}
	})
	t.Run("those to create topics", func(t *testing.T) {
		gone := storm.Topics()[3]
		cluster.Remove(gone)
		found, code := findings(t, setup, file, "--create-topics")
		denied := func(f finding) bool {
			return f.Severity == "error" && f.Topic == gone && strings.Contains(f.Message, "CREATE is denied") && strings.Contains(f.Remedy, "grant CREATE")
		}
		if code != 3 || !slices.ContainsFunc(found["topic_exists"], denied) {
			t.Errorf("check exits with %d: %+v", code, found)
		}
		grant(create)
		if found, code := findings(t, setup, file, "--create-topics"); code != 0 || len(found["topic_exists"]) > 0 {
			t.Errorf("check exits with %d: %+v", code, found)
		}
		accepts(t, cluster, setup)
	})
}

// accepts starts a relay and has it accept events of every type.
func accepts(t *testing.T, cluster *real.Cluster, setup real.Setup) *real.Relay {
	t.Helper()
	relay := rig.Relay(t, setup)
	real.Until(t, "all topics are usable", 15*time.Second, func() bool { return real.Sum(relay.Metrics(t), "cxrelay_topic_usable") == 4 })
	book := newBook(t)
	sender := book.sender(t, relay)
	for n := range 20 {
		if a := sender.Send(t.Context(), sender.Event(fmt.Sprintf("%s %d", t.Name(), n), storm.Types()[n%4])); a.Status != http.StatusOK {
			t.Errorf("answered %d %s", a.Status, a.Reason)
		}
	}
	return relay
}
