package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/cxrelay/cxrelay/internal/kafka"
	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
)

func newCluster(t *testing.T, brokers int, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(brokers))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func create(t *testing.T, c *kfake.Cluster, name string, partitions int32, settings map[string]string) {
	t.Helper()
	if err := c.CreateTopic(name, partitions, settings); err != nil {
		t.Fatal(err)
	}
}

// fill produces n keyed records where h puts them.
func fill(t *testing.T, c *kfake.Cluster, topic string, h inspect.Hash, partitions int32, n int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var records []*kgo.Record
	for i := range n {
		key := fmt.Appendf(nil, "pk-%016x", (i%100)*7919)
		records = append(records, &kgo.Record{Topic: topic, Key: key, Value: []byte("{}"), Partition: h.Partition(key, partitions)})
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func look(t *testing.T, c *kfake.Cluster, topics ...string) inspect.Report {
	t.Helper()
	r, err := client(t, c.ListenAddrs(), topics...).Inspect(deadline(t, 20*time.Second), policy())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func client(t *testing.T, brokers []string, topics ...string) *kafka.Client {
	t.Helper()
	cl, err := kafka.New(kafka.Options{
		Brokers: brokers, Topics: topics, ClientID: "test", MaxRecords: 1000, MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// of are the findings of one topic, without the infos about pins.
func of(r inspect.Report, topic string) []string {
	var got []string
	for _, f := range r.Findings {
		if f.Topic == topic && (f.Check != inspect.Partitions || f.Severity != inspect.Info) {
			got = append(got, short(f))
		}
	}
	return got
}

func TestLook(t *testing.T) {
	c := newCluster(t, 3)
	create(t, c, "good", 8, map[string]string{"min.insync.replicas": "2"})
	create(t, c, "weak", 8, nil)
	create(t, c, "eaten", 8, map[string]string{"cleanup.policy": "compact", "max.message.bytes": "2000", "min.insync.replicas": "2"})
	create(t, c, "java", 8, map[string]string{"min.insync.replicas": "2"})
	create(t, c, "librdkafka", 8, map[string]string{"min.insync.replicas": "2"})
	create(t, c, "grown", 12, map[string]string{"min.insync.replicas": "2"})
	create(t, c, "single", 1, map[string]string{"min.insync.replicas": "2"})
	fill(t, c, "java", murmur2, 8, 500)
	fill(t, c, "librdkafka", crc, 8, 500)
	fill(t, c, "grown", murmur2, 8, 500)
	fill(t, c, "single", murmur2, 1, 20)
	r := look(t, c, "good", "weak", "eaten", "java", "librdkafka", "grown", "single", "missing")

	for topic, want := range map[string][]string{
		"good":       nil,
		"weak":       {"warning min_insync"},
		"eaten":      {"warning cleanup_policy", "warning max_message_bytes"},
		"java":       nil,
		"librdkafka": {"warning partitioner"},
		"grown":      {"warning partitioner"},
		"single":     nil,
		"missing":    {"error topic_exists"},
	} {
		if got := of(r, topic); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", topic, got, want)
		}
	}
	for _, topic := range r.Topics {
		if topic.State == inspect.Present && (topic.ReplicationFactor != 3 || topic.MinInSync != 3 || topic.Write != inspect.Allowed || topic.Settings.Err != nil) {
			t.Errorf("%+v", topic)
		}
		if s := topic.Sample; (topic.Name == "java" || topic.Name == "grown") && (s.Err != nil || s.Records < 100 || s.Records > 201 || len(s.Keys) < 20) {
			t.Errorf("%s: sample of %d records, %d keys, %v", topic.Name, s.Records, len(s.Keys), s.Err)
		}
	}
	if len(r.Brokers) != 3 {
		t.Errorf("brokers: %+v", r.Brokers)
	}
	for _, b := range r.Brokers {
		if b.Err != nil || b.Latency <= 0 || b.ID < 0 {
			t.Errorf("%+v", b)
		}
	}
	if r.Clock.Err == nil {
		t.Error("a cluster without a quorum told the time")
	}
	if pins := r.Pins(policy()); pins["grown"] != 8 || pins["java"] != 8 || pins["missing"] != 0 {
		t.Errorf("pins: %v", pins)
	}
}

// TestOnlyTheTailIsRead: what lies deeper does not count, nor do records
// without a key, transaction markers and records above the bound on bytes.
func TestOnlyTheTailIsRead(t *testing.T) {
	c := newCluster(t, 1)
	create(t, c, "moved", 4, nil)
	fill(t, c, "moved", crc, 4, 2000)
	fill(t, c, "moved", murmur2, 4, 2000)
	create(t, c, "keyless", 4, nil)
	create(t, c, "transactional", 4, nil)
	produce := func(topic string, records int, opts ...kgo.Opt) {
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic(topic))...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		transactional := len(opts) > 0
		if transactional {
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range records {
			rec := &kgo.Record{Value: []byte("{}")}
			if transactional {
				rec.Key = fmt.Appendf(nil, "k%d", i)
			}
			if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if transactional {
			if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce("keyless", 20)
	produce("transactional", 40, kgo.TransactionalID("x"))
	began := time.Now()
	r := look(t, c, "moved", "keyless", "transactional")
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %v: something was waited for that never comes", took)
	}
	for i, want := range []struct{ keys, records int }{{20, 200}, {0, 8}, {20, 28}} {
		s := r.Topics[i].Sample
		if s.Err != nil || s.Records < want.records/2 || s.Records > 201 || len(s.Keys) < want.keys || (want.keys == 0 && len(s.Keys) > 0) {
			t.Errorf("%s: %d records, %d keys, %v", r.Topics[i].Name, s.Records, len(s.Keys), s.Err)
		}
	}
	if got := policy().Place(r.Topics[0]); got.Verdict != inspect.AsOurs && got.Verdict != inspect.OtherCount {
		t.Errorf("moved: %+v", got) // 4 partitions, 8 pinned
	}
	if got := policy().Place(r.Topics[2]); got.Hash != "murmur2" || got.Partitions != 4 {
		t.Errorf("transactional: %+v", got)
	}
}

// TestACL: a principal that may only write sees that, and what is hidden from
// it is no fault. One topic that is denied hides no other.
func TestACL(t *testing.T) {
	allow := func(topic string, ops ...kmsg.ACLOperation) []kfake.ACL {
		var all []kfake.ACL
		for _, op := range ops {
			all = append(all, kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true})
		}
		return all
	}
	acls := slices.Concat(
		allow("written", kmsg.ACLOperationWrite),
		allow("read", kmsg.ACLOperationRead, kmsg.ACLOperationDescribeConfigs),
		allow("full", kmsg.ACLOperationWrite, kmsg.ACLOperationRead, kmsg.ACLOperationDescribeConfigs),
	)
	c := newCluster(t, 1, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "a"), kfake.User("PLAIN", "relay", "r", acls...))
	for _, name := range []string{"written", "read", "full", "denied"} {
		create(t, c, name, 8, nil)
	}
	cl := plainClient(t, c, "relay", "r")
	fillAs(t, plainClient(t, c, "admin", "a"), "written", "full")
	topics := []string{"written", "read", "full", "denied", "nowhere"}
	facts, err := inspect.Look(deadline(t, 20*time.Second), cl, topics)
	if err != nil {
		t.Fatal(err)
	}
	r := inspect.Report{Facts: facts, Findings: inspect.Judge(facts, policy())}
	for topic, want := range map[string][]string{
		"written": {"warning replication", "info settings_visible", "info partitioner"},
		"read":    {"error topic_write", "warning replication"},
		"full":    {"warning replication"},
		"denied":  {"error topic_visible"},
		"nowhere": {"error topic_visible"},
	} {
		if got := of(r, topic); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", topic, got, want)
		}
	}
	if !errors.Is(facts.Clock.Err, kerr.ClusterAuthorizationFailed) { // known without asking for what is denied
		t.Errorf("clock: %+v", facts.Clock)
	}
}

func TestAway(t *testing.T) {
	c := newCluster(t, 1)
	addrs := c.ListenAddrs()
	c.Close()
	if _, err := client(t, addrs, "a").Inspect(deadline(t, time.Second), policy()); err == nil {
		t.Error("no broker, and no error")
	}
}

// TestOneBrokerAway: the others are looked at all the same.
func TestOneBrokerAway(t *testing.T) {
	c := newCluster(t, 1)
	create(t, c, "a", 8, nil)
	gone := newCluster(t, 1)
	addrs := slices.Concat(c.ListenAddrs(), gone.ListenAddrs())
	gone.Close()
	r, err := client(t, addrs, "a").Inspect(deadline(t, 20*time.Second), policy())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Brokers) != 2 || r.Brokers[0].Err == nil || r.Brokers[0].Address != addrs[1] || r.Brokers[1].Err != nil {
		t.Errorf("%+v", r.Brokers)
	}
	if got := of(r, "a"); !slices.Equal(got, []string{"warning replication"}) {
		t.Errorf("%v", got)
	}
}

// TestWhatBrokersSay: answers that the in-process broker does not give.
func TestWhatBrokersSay(t *testing.T) {
	c := newCluster(t, 3)
	create(t, c, "a", 8, map[string]string{"min.insync.replicas": "2"})
	c.ControlKey(int16(kmsg.DescribeConfigs), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "a"
		for _, kv := range [][2]string{{"unclean.leader.election.enable", "true"}, {"min.insync.replicas", "5"}, {"max.message.bytes", "many"}} {
			rc := kmsg.NewDescribeConfigsResponseResourceConfig()
			rc.Name, rc.Value = kv[0], kmsg.StringPtr(kv[1])
			r.Configs = append(r.Configs, rc)
		}
		resp.Resources = append(resp.Resources, r)
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if len(req.(*kmsg.MetadataRequest).Topics) == 0 {
			return nil, nil, false // whether a broker answers
		}
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		host, port := "127.0.0.1", int32(1)
		_, _ = fmt.Sscanf(strings.TrimPrefix(c.ListenAddrs()[0], "127.0.0.1:"), "%d", &port)
		resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: 0, Host: host, Port: port})
		mt := kmsg.NewMetadataResponseTopic()
		mt.Topic = kmsg.StringPtr("a")
		for p := range int32(4) {
			mp := kmsg.NewMetadataResponseTopicPartition()
			mp.Partition, mp.Leader, mp.Replicas, mp.ISR = p, p-1, []int32{0, 1, 2}, []int32{0}
			mt.Partitions = append(mt.Partitions, mp)
		}
		resp.Topics = append(resp.Topics, mt)
		return resp, nil, true
	})
	r := look(t, c, "a")
	a := r.Topics[0]
	if !slices.Equal(a.Leaderless, []int32{0}) || a.MinInSync != 1 || a.ReplicationFactor != 3 || a.Write != inspect.Unknown {
		t.Errorf("%+v", a)
	}
	if s := a.Settings; s.UncleanElection != "true" || s.MinInSyncReplicas != 5 || s.MaxMessageBytes != -1 || s.CleanupPolicy != "" {
		t.Errorf("%+v", s)
	}
}

func TestCreate(t *testing.T) {
	c := newCluster(t, 3)
	create(t, c, "there", 4, nil)
	cl := client(t, c.ListenAddrs(), "there", "new")
	topics := []inspect.NewTopic{inspect.Proposed("new", 12, 3), inspect.Proposed("there", 0, 3)}
	cl.CreateTopics(deadline(t, 20*time.Second), topics)
	if topics[0].Err != nil || !errors.Is(topics[1].Err, kerr.TopicAlreadyExists) {
		t.Errorf("%+v", topics)
	}
	r, err := cl.Inspect(deadline(t, 20*time.Second), policy())
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Topics[1]; n.Partitions != 12 || n.ReplicationFactor != 3 || n.Settings.MinInSyncReplicas != 2 {
		t.Errorf("%+v", n)
	}
}

// plainClient logs in with SASL PLAIN.
func plainClient(t *testing.T, c *kfake.Cluster, user, password string) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func fillAs(t *testing.T, cl *kgo.Client, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		for i := range 40 {
			rec := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "k%d", i), Value: []byte("{}")}
			if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
