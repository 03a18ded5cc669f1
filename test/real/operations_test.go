//go:build real

package real_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
)

// TestOperationsPage runs the commands of docs/operations.md as they stand
// there, but for the names of hosts: on a cluster without topics they lead to a relay
// that accepts an event, and to that event.
func TestOperationsPage(t *testing.T) {
	cluster := rig.Cluster(t, real.Brokers(3))
	cluster.Remove(storm.Topics()...)
	registry := real.StartRegistry(t) // the others rely on what is in theirs
	page := readPage(t, "../../docs/operations.md")
	setup := real.Setup{Brokers: cluster.Brokers(), Registry: registry.URL(), Secret: secret}
	broker, _, _ := strings.Cut(cluster.Brokers(), ",")
	run := func(with string, hosts ...string) string {
		t.Helper()
		return page.run(t, cluster, with, append(hosts, "BROKER:9092", broker, "http://registry:8081", registry.URL())...)
	}

	run("kafka-topics.sh")
	if said := run("/subjects/cxone-data-action-v1/versions"); !strings.Contains(said, `"id":`) {
		t.Errorf("register a schema: %q", said)
	}
	cluster.InSync(storm.Topics()...)
	if said, code := rig.Run(t, setup, "check", "--connect"); code != 0 || strings.Contains(said, "warning:") {
		t.Errorf("check --connect finds, after what the page says, exit code %d:\n%s", code, said)
	}

	relay := rig.Relay(t, setup)
	accepted(t, relay, `{"eventId":"evt-42","actionType":"QUEUE_TRANSFER","contactId":"c1"}`)
	if said := run("kcat"); !strings.Contains(said, "cxone.transfers.raw ") || strings.Count(said, "\n") != 1 {
		t.Errorf("where is the event? %q", said)
	}
	admin := []string{"http://127.0.0.1:9640", relay.Admin}
	if said := run("/-/ready", admin...); !strings.Contains(said, `"ready":true`) || !strings.Contains(said, `"topics"`) {
		t.Errorf("is it well? %q", said)
	}
	if said := run("/-/log-level", admin...); !strings.Contains(said, "DEBUG") {
		t.Errorf("more detail: %q", said)
	}
	accepted(t, relay, `{"eventId":"evt-43","actionType":"QUEUE_TRANSFER","contactId":"c1"}`)
	says(t, relay, "DEBUG", "event answered", `"event_id":"evt-43"`, `"offset":`)
}

// page is a Markdown page.
type page string

func readPage(t *testing.T, name string) page {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return page(text)
}

// run runs the only block of shell commands that holds a text, with Kafka's
// tools in its path and pairs of texts replaced, and returns what it says.
func (p page) run(t *testing.T, cluster *real.Cluster, with string, pairs ...string) string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(p), -1) {
		if strings.Contains(m[1], with) {
			found = append(found, m[1])
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d blocks of shell commands have %q, want 1", len(found), with)
	}
	script := strings.NewReplacer(pairs...).Replace(found[0])
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", script) //nolint:gosec // our own page
	cmd.Env = append(os.Environ(), "PATH="+cluster.Tools(t)+":"+os.Getenv("PATH"))
	said, err := cmd.Output()
	if err != nil {
		t.Errorf("%s\n%v: %s", script, err, said)
	}
	return string(said)
}
