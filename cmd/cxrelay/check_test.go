package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/deliver"
	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
)

// neighbours are three brokers and a registry, as a relay may find them: of
// the four default topics one is well, one has one acknowledging replica, one
// was filled by librdkafka, and one is missing.
type neighbours struct {
	cluster  *kfake.Cluster
	registry *devkit.Registry
}

func newNeighbours(ctx context.Context) (*neighbours, error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		return nil, err
	}
	n := &neighbours{cluster: cluster}
	if n.registry, err = devkit.NewRegistry(devkit.RegistryOptions{}); err != nil {
		cluster.Close()
		return nil, err
	}
	if err := n.fill(ctx); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *neighbours) fill(ctx context.Context) error {
	if _, err := n.registry.Register(devkit.DevSubject, devkit.DevSchema); err != nil {
		return err
	}
	safe := map[string]string{"min.insync.replicas": "2"}
	for name, settings := range map[string]map[string]string{devTopics()[0]: safe, devTopics()[1]: nil, devTopics()[2]: safe} {
		if err := n.cluster.CreateTopic(name, 8, settings); err != nil {
			return err
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(n.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	for topic, p := range map[string]deliver.Partitioner{devTopics()[0]: deliver.Murmur2, devTopics()[2]: deliver.CRC32} {
		for i := range 64 {
			key := fmt.Appendf(nil, "pk-%016x", i*7919)
			if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: key, Value: []byte("{}"), Partition: p.Partition(key, 8)}).FirstErr(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *neighbours) close() {
	n.cluster.Close()
	_ = n.registry.Close()
}

// env gives a story its neighbours: $KAFKA and $REGISTRY.
func (n *neighbours) env(env *testscript.Env) {
	env.Defer(n.close)
	env.Setenv("KAFKA", strings.Join(n.cluster.ListenAddrs(), ","))
	env.Setenv("REGISTRY", n.registry.URL())
}

// TestCheckExample: what docs/check.md shows is what the command prints.
// Addresses, times and the widths that follow from them are not compared.
func TestCheckExample(t *testing.T) {
	page, err := os.ReadFile("../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```.*?```text\n\\$ cxrelay check cxrelay.yaml --connect\n(.*?)```").FindStringSubmatch(string(page))
	if blocks == nil {
		t.Fatal("the page has no example")
	}
	n, err := newNeighbours(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	file := filepath.Join(t.TempDir(), "cxrelay.yaml")
	if err := os.WriteFile(file, []byte(blocks[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_BROKERS", strings.Join(n.cluster.ListenAddrs(), ","))
	t.Setenv("SCHEMA_REGISTRY_URL", n.registry.URL())
	t.Setenv("CXONE_WEBHOOK_SECRET", "x")
	code, stdout, stderr := runMain(t.Context(), "", "check", file, "--connect")
	if code != exitFindings || !strings.HasPrefix(stderr, "cxrelay: 1 error, 2 warnings") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
	if got, want := plainOutput(stdout), plainOutput(blocks[2]); got != want {
		t.Errorf("got\n%s\nthe page has\n%s\n\nas printed:\n%s", got, want, stdout)
	}
}

// plainOutput takes out of an output what differs from run to run.
func plainOutput(s string) string {
	for _, r := range [][2]string{
		{`(kafka-\d|127\.0\.0\.1|registry):\d+`, "HOST:PORT"}, {`\d+\.\d\d ms`, "N ms"}, {` +`, " "}, {` \n`, "\n"},
	} {
		s = regexp.MustCompile(r[0]).ReplaceAllString(s, r[1])
	}
	return strings.TrimSpace(s)
}

// TestCheckPageListsEveryCheck holds the table of docs/check.md to the code.
func TestCheckPageListsEveryCheck(t *testing.T) {
	page, err := os.ReadFile("../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	if missing := missingChecks(string(page)); len(missing) > 0 {
		t.Errorf("docs/check.md does not have the lines:\n%s", strings.Join(missing, "\n"))
	}
}

// missingChecks are the rows that a page should have and has not.
func missingChecks(page string) []string {
	var missing []string
	for _, c := range inspect.Checks() {
		if row := fmt.Sprintf("| `%s` | %s |", c, c.Meaning()); !strings.Contains(page, row) {
			missing = append(missing, row)
		}
	}
	return missing
}

// sleepUntil is a control that answers nothing before stop is closed.
func sleepUntil(c *kfake.Cluster, stop <-chan struct{}) func(kmsg.Request) (kmsg.Response, error, bool) {
	return func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() { <-stop })
		return nil, nil, false
	}
}

// TestCheckRefused: brokers that are there and do not let the relay in are a
// finding with its remedy, not a dependency that is away.
func TestCheckRefused(t *testing.T) {
	registry := emptyRegistry(t)
	closes, tells := lockedCluster(t), lockedCluster(t)
	tells.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.SASLAuthenticate}, TopLevel: true, Err: kerr.SaslAuthenticationFailed, Count: -1})
	for name, c := range map[string]struct {
		cluster      *kfake.Cluster
		env          map[string]string
		what, remedy string
	}{
		"wrong password, told": {tells, map[string]string{"MECHANISM": "PLAIN", "USERNAME": "relay", "PASSWORD": "wrong-password"},
			"the broker refuses these credentials", "check kafka.sasl.username and its password\n"},
		"wrong password": {closes, map[string]string{"MECHANISM": "PLAIN", "USERNAME": "relay", "PASSWORD": "wrong-password"},
			"the broker closes the connection during authentication", "check kafka.sasl.username and its password\n"},
		"no SASL": {closes, nil, "the broker closes the connection at the first request", "the listener expects TLS or SASL"},
		"mechanism not offered": {closes, map[string]string{"MECHANISM": "OAUTHBEARER", "OAUTH_TOKEN_FILE": "none"},
			"the broker does not offer this SASL mechanism", "set kafka.sasl.mechanism to one of the broker's sasl.enabled.mechanisms\n"},
	} {
		t.Run(name, func(t *testing.T) {
			checkEnv(t, c.cluster, registry, c.env)
			code, stdout, stderr := runMain(t.Context(), "", "check", "--connect")
			if code != exitFindings || !strings.Contains(stdout, "error: brokers:") || !strings.Contains(stdout, c.what) || !strings.Contains(stdout, "  remedy: "+c.remedy) {
				t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
			}
			if strings.Contains(stdout+stderr, "wrong-password") {
				t.Errorf("the password shows:\n%s", stdout)
			}
		})
	}
}

// TestCheckMayNotCreate: a topic that is missing, and an ACL that forbids to
// create it.
func TestCheckMayNotCreate(t *testing.T) {
	var acls []kfake.ACL
	for _, topic := range []string{"cxone.interactions.raw", "cxone.dispositions.raw", "cxone.transfers.raw", "cxone.calls.terminated"} {
		acls = append(acls, kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: kmsg.ACLOperationWrite, Allow: true})
	}
	cluster := lockedCluster(t, kfake.EnableACLs(), kfake.User("PLAIN", "writer", "w", acls...))
	checkEnv(t, cluster, emptyRegistry(t), map[string]string{"MECHANISM": "PLAIN", "USERNAME": "writer", "PASSWORD": "w"})
	code, stdout, stderr := runMain(t.Context(), "", "check", "--connect", "--create-topics")
	if code != exitFindings || !strings.Contains(stdout, "not created  cxone.transfers.raw") || !strings.Contains(stdout, "error: topic_exists: the topic cannot be created: CREATE is denied\n") ||
		!strings.Contains(stdout, "  remedy: grant CREATE on the topic") {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
}

// lockedCluster is a broker that wants SASL.
func lockedCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "relay", "right"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func emptyRegistry(t *testing.T) *devkit.Registry {
	t.Helper()
	registry, err := devkit.NewRegistry(devkit.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Close() })
	return registry
}

// checkEnv sets the three variables, and those of kafka.sasl.
func checkEnv(t *testing.T, cluster *kfake.Cluster, registry *devkit.Registry, sasl map[string]string) {
	t.Helper()
	t.Setenv("KAFKA_BROKERS", cluster.ListenAddrs()[0])
	t.Setenv("SCHEMA_REGISTRY_URL", registry.URL())
	t.Setenv("CXONE_WEBHOOK_SECRET", "x")
	for name, value := range sasl {
		t.Setenv("CXRELAY_KAFKA_SASL_"+name, value)
	}
}

// TestCheckHungBroker: a broker that takes connections and says nothing does
// not hold the command for longer than --timeout.
func TestCheckHungBroker(t *testing.T) {
	hang, err := devkit.StartKafka(devkit.KafkaOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer hang.Close()
	stop := make(chan struct{})
	defer close(stop)
	hang.Cluster().Control(sleepUntil(hang.Cluster(), stop))
	registry := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer registry.Close()
	t.Setenv("KAFKA_BROKERS", hang.Addr())
	t.Setenv("SCHEMA_REGISTRY_URL", registry.URL)
	t.Setenv("CXONE_WEBHOOK_SECRET", "x")
	began := time.Now()
	code, stdout, stderr := runMain(t.Context(), "", "check", "--connect", "--timeout", "500ms", "--format", "json")
	if code != exitUnavailable || time.Since(began) > 5*time.Second {
		t.Errorf("exit %d after %v, stderr %q", code, time.Since(began), stderr)
	}
	for line := range strings.Lines(stdout) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil || v["event"] == nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if !strings.Contains(stderr, "no answer from kafka and schema_registry") {
		t.Errorf("stderr %q", stderr)
	}
}
