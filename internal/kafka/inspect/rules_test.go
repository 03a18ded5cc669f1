package inspect_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/cxrelay/cxrelay/internal/deliver"
	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
)

var (
	murmur2 = inspect.Hash{Name: "murmur2", Partition: deliver.Murmur2.Partition}
	crc     = inspect.Hash{Name: "crc32", Partition: deliver.CRC32.Partition}
)

// policy is that of a relay with default settings.
func policy() inspect.Policy {
	return inspect.Policy{Pins: map[string]int32{"t": 8}, Hashes: []inspect.Hash{murmur2, crc}, BodyLimit: 960 << 10, Overhead: 2 << 10}
}

// topic is one that nothing is to be said about.
func topic(change func(*inspect.Topic)) inspect.Topic {
	t := inspect.Topic{
		Name: "t", Partitions: 8, ReplicationFactor: 3, MinInSync: 3, Write: inspect.Allowed,
		Settings: inspect.Settings{MinInSyncReplicas: 2, MaxMessageBytes: 1_048_588, CleanupPolicy: "delete", UncleanElection: "false"},
		Sample:   inspect.Sample{Records: 40, Keys: placed(murmur2, 8, 40)},
	}
	if change != nil {
		change(&t)
	}
	return t
}

// placed are n keys where h puts them over so many partitions.
func placed(h inspect.Hash, partitions int32, n int) []inspect.PlacedKey {
	keys := make([]inspect.PlacedKey, n)
	for i := range keys {
		key := fmt.Sprintf("pk-%016x", i*7919)
		keys[i] = inspect.PlacedKey{Key: key, Partition: h.Partition([]byte(key), partitions)}
	}
	return keys
}

// short is a finding in one line.
func short(f inspect.Finding) string { return f.Severity.String() + " " + f.Check.String() }

func TestTopicRules(t *testing.T) {
	denied := errors.New("denied")
	for name, c := range map[string]struct {
		change func(*inspect.Topic)
		policy func(*inspect.Policy)
		want   []string // severity and check
		says   string   // in message or remedy of the first
	}{
		"all well":              {},
		"missing":               {change: func(t *inspect.Topic) { t.State = inspect.Missing }, want: []string{"error topic_exists"}, says: "--partitions 8 --replication-factor 3 --config min.insync.replicas=2"},
		"hidden":                {change: func(t *inspect.Topic) { t.State = inspect.Hidden }, want: []string{"error topic_visible"}, says: "not visible"},
		"broken":                {change: func(t *inspect.Topic) { t.State, t.Err = inspect.Broken, denied }, want: []string{"error topic_exists"}, says: "denied"},
		"write denied":          {change: func(t *inspect.Topic) { t.Write = inspect.Denied }, want: []string{"error topic_write"}, says: "grant WRITE"},
		"rights not told":       {change: func(t *inspect.Topic) { t.Write = inspect.Unknown }},
		"fewer than pinned":     {change: func(t *inspect.Topic) { t.Partitions = 4 }, want: []string{"error partitions"}, says: "{t: 4}"},
		"grown, pinned":         {change: func(t *inspect.Topic) { t.Partitions = 12 }, want: []string{"info partitions"}, says: "8 of the topic's 12"},
		"not pinned":            {policy: func(p *inspect.Policy) { p.Pins = nil }, want: []string{"info partitions"}, says: "pin it under kafka.partitions"},
		"not pinned, demanded":  {policy: func(p *inspect.Policy) { p.Pins, p.PinsDemanded = nil, true }, want: []string{"error partitions"}, says: "kafka.strict demands"},
		"pinned, demanded":      {policy: func(p *inspect.Policy) { p.PinsDemanded = true }},
		"grown, not pinned":     {change: func(t *inspect.Topic) { t.Partitions = 12 }, policy: func(p *inspect.Policy) { p.Pins = nil }, want: []string{"info partitions", "warning partitioner"}},
		"one replica":           {change: func(t *inspect.Topic) { t.ReplicationFactor, t.MinInSync, t.Settings.MinInSyncReplicas = 1, 1, 1 }, want: []string{"warning replication"}},
		"one replica, unclean":  {change: func(t *inspect.Topic) { t.ReplicationFactor, t.MinInSync, t.Settings.UncleanElection = 1, 1, "true" }, want: []string{"warning replication"}},
		"min.insync 1":          {change: func(t *inspect.Topic) { t.Settings.MinInSyncReplicas = 1 }, want: []string{"warning min_insync"}, says: "min.insync.replicas=2"},
		"min.insync above RF":   {change: func(t *inspect.Topic) { t.Settings.MinInSyncReplicas = 4 }, want: []string{"error min_insync"}, says: "nothing can be written"},
		"min.insync is RF":      {change: func(t *inspect.Topic) { t.Settings.MinInSyncReplicas = 3 }, want: []string{"info min_insync"}},
		"no leader":             {change: func(t *inspect.Topic) { t.Leaderless = []int32{3} }, want: []string{"warning in_sync"}, says: "1 of 8 partitions have no leader"},
		"too few in sync":       {change: func(t *inspect.Topic) { t.MinInSync = 1 }, want: []string{"warning in_sync"}},
		"unclean":               {change: func(t *inspect.Topic) { t.Settings.UncleanElection = "true" }, want: []string{"warning unclean_election"}, says: "unclean.leader.election.enable=false"},
		"compacted":             {change: func(t *inspect.Topic) { t.Settings.CleanupPolicy = "compact" }, want: []string{"warning cleanup_policy"}},
		"compacted and deleted": {change: func(t *inspect.Topic) { t.Settings.CleanupPolicy = "delete, compact" }, want: []string{"warning cleanup_policy"}},
		"small messages":        {change: func(t *inspect.Topic) { t.Settings.MaxMessageBytes = 962<<10 - 1 }, want: []string{"warning max_message_bytes"}, says: "max.message.bytes=985088"},
		"just enough":           {change: func(t *inspect.Topic) { t.Settings.MaxMessageBytes = 962 << 10 }},
		"settings hidden": {change: func(t *inspect.Topic) {
			t.Settings = inspect.Settings{Err: denied, MinInSyncReplicas: -1, MaxMessageBytes: -1}
		}, want: []string{"info settings_visible"}, says: "not visible: denied"},
		"settings not told":  {change: func(t *inspect.Topic) { t.Settings = inspect.Settings{MinInSyncReplicas: -1, MaxMessageBytes: -1} }},
		"records not read":   {change: func(t *inspect.Topic) { t.Sample = inspect.Sample{Err: denied} }, want: []string{"info partitioner"}, says: "grant READ"},
		"cut short":          {change: func(t *inspect.Topic) { t.Sample.Err = denied }},
		"no records":         {change: func(t *inspect.Topic) { t.Sample = inspect.Sample{} }},
		"placed by crc32":    {change: func(t *inspect.Topic) { t.Sample.Keys = placed(crc, 8, 40) }, want: []string{"warning partitioner"}, says: "set kafka.partitioner: crc32"},
		"crc32 over fewer":   {change: func(t *inspect.Topic) { t.Sample.Keys = placed(crc, 6, 40) }, want: []string{"warning partitioner"}, says: "crc32, and kafka.partitions: {t: 6}"},
		"placed over fewer":  {change: func(t *inspect.Topic) { t.Sample.Keys = placed(murmur2, 6, 40) }, want: []string{"warning partitioner"}, says: "set kafka.partitions: {t: 6}"},
		"few keys elsewhere": {change: func(t *inspect.Topic) { t.Sample.Keys = placed(crc, 8, 7) }, want: []string{"info partitioner"}},
		"placed by no rule": {change: func(t *inspect.Topic) {
			t.Sample.Keys = placed(inspect.Hash{Partition: func(k []byte, n int32) int32 { return int32(crc32.ChecksumIEEE(k)/7) & 0x7fffffff % n }}, 8, 40)
		}, want: []string{"warning partitioner"}, says: "no known partitioner"},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy()
			if c.policy != nil {
				c.policy(&p)
			}
			facts := inspect.Facts{Topics: []inspect.Topic{topic(c.change)}, Brokers: make([]inspect.Broker, 3)}
			findings := inspect.Judge(facts, p)
			var got []string
			for _, f := range findings {
				got = append(got, short(f))
				if f.Topic != "t" || f.Message == "" {
					t.Errorf("%+v", f)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if c.says != "" && len(findings) > 0 && !strings.Contains(findings[0].Message+"\n"+findings[0].Remedy, c.says) {
				t.Errorf("%q and %q do not say %q", findings[0].Message, findings[0].Remedy, c.says)
			}
		})
	}
}

func TestClusterRules(t *testing.T) {
	gone := errors.New("connection refused")
	for name, c := range map[string]struct {
		facts inspect.Facts
		want  []string
		says  string
	}{
		"all well":            {facts: inspect.Facts{Brokers: []inspect.Broker{{ID: 1}}, Clock: inspect.Clock{Ahead: time.Second}}},
		"address gone":        {facts: inspect.Facts{Brokers: []inspect.Broker{{ID: -1, Address: "a:9092", Err: gone}, {ID: 1}}}, want: []string{"warning brokers"}, says: "a:9092, a configured address"},
		"broker gone":         {facts: inspect.Facts{Brokers: []inspect.Broker{{ID: 1}, {ID: 2, Address: "b:9092", Err: gone}}}, want: []string{"warning brokers"}, says: "broker 2 does not serve this relay at b:9092"},
		"all brokers gone":    {facts: inspect.Facts{Brokers: []inspect.Broker{{ID: -1, Address: "a:9092"}, {ID: 2, Address: "b:9092", Err: gone}}}, want: []string{"error brokers"}, says: "where the cluster says it is"},
		"all addresses gone":  {facts: inspect.Facts{Brokers: []inspect.Broker{{ID: -1, Address: "a:9092", Err: gone}}}, want: []string{"error brokers"}},
		"no clock":            {facts: inspect.Facts{Clock: inspect.Clock{Err: gone}}, want: []string{"info clock_skew"}, says: "cannot be measured"},
		"clock not visible":   {facts: inspect.Facts{Clock: inspect.Clock{Err: kerr.ClusterAuthorizationFailed}}, want: []string{"info clock_skew"}, says: "not visible"},
		"clock behind":        {facts: inspect.Facts{Clock: inspect.Clock{Ahead: 8 * time.Second, Within: time.Second}}, want: []string{"warning clock_skew"}, says: "8s behind"},
		"clock ahead":         {facts: inspect.Facts{Clock: inspect.Clock{Ahead: -time.Minute}}, want: []string{"warning clock_skew"}, says: "1m0s ahead of"},
		"a slow answer":       {facts: inspect.Facts{Clock: inspect.Clock{Ahead: 8 * time.Second, Within: 4 * time.Second}}},
		"just under the line": {facts: inspect.Facts{Clock: inspect.Clock{Ahead: -5 * time.Second}}},
	} {
		t.Run(name, func(t *testing.T) {
			findings := inspect.Judge(c.facts, policy())
			var got []string
			for _, f := range findings {
				got = append(got, short(f))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if c.says != "" && !strings.Contains(findings[0].Message, c.says) {
				t.Errorf("%q does not say %q", findings[0].Message, c.says)
			}
		})
	}
}

// TestPlace: whatever the rule by which keys were placed, it is recognised;
// and a few strays do not change that.
func TestPlace(t *testing.T) {
	for _, ours := range [][]inspect.Hash{{murmur2, crc}, {crc, murmur2}} {
		for used := int32(2); used <= 24; used++ {
			for n := int32(2); n <= 24; n++ {
				for _, h := range ours {
					p := inspect.Policy{Pins: map[string]int32{"t": used}, Hashes: ours}
					keys := placed(h, n, 60)
					keys[7].Partition = (keys[7].Partition + 1) % n
					got := p.Place(inspect.Topic{Name: "t", Partitions: 24, Sample: inspect.Sample{Keys: keys}})
					want := inspect.Placement{Verdict: inspect.OtherHash, Hash: h.Name, Partitions: n, Keys: 60}
					switch {
					case h.Name == ours[0].Name && n == used:
						want.Verdict = inspect.AsOurs
					case h.Name == ours[0].Name:
						want.Verdict = inspect.OtherCount
					}
					if got != want {
						t.Errorf("%s used %d: %s over %d: got %+v", ours[0].Name, used, h.Name, n, got)
					}
				}
			}
		}
	}
}

func TestPins(t *testing.T) {
	grown := topic(func(t *inspect.Topic) { t.Name, t.Partitions = "grown", 12 })
	r := inspect.Report{Facts: inspect.Facts{Topics: []inspect.Topic{
		topic(nil), grown, topic(func(t *inspect.Topic) { t.Name, t.State = "gone", inspect.Missing }),
		topic(func(t *inspect.Topic) { t.Name, t.Sample = "empty", inspect.Sample{} }),
	}}}
	got := r.Pins(policy())
	for name, want := range map[string]int32{"t": 8, "grown": 8, "gone": 0, "empty": 8} {
		if got[name] != want {
			t.Errorf("%s: %d, want %d", name, got[name], want)
		}
	}
}

func TestProposed(t *testing.T) {
	for _, c := range []struct {
		pin     int32
		brokers int
		want    inspect.NewTopic
	}{
		{0, 1, inspect.NewTopic{Partitions: 8, ReplicationFactor: 1}},
		{0, 2, inspect.NewTopic{Partitions: 8, ReplicationFactor: 2}},
		{12, 3, inspect.NewTopic{Partitions: 12, ReplicationFactor: 3, MinInSyncReplicas: 2}},
		{0, 9, inspect.NewTopic{Partitions: 8, ReplicationFactor: 3, MinInSyncReplicas: 2}},
		{0, 0, inspect.NewTopic{Partitions: 8, ReplicationFactor: 1}},
	} {
		if got := inspect.Proposed("", c.pin, c.brokers); got != c.want {
			t.Errorf("pin %d, %d brokers: %+v", c.pin, c.brokers, got)
		}
	}
}

// TestChecksHaveWords: the documentation lists every check once.
func TestChecksHaveWords(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range inspect.Checks() {
		if c.String() == "" || c.Meaning() == "" || seen[c.String()] {
			t.Errorf("check %d: %q, %q", c, c, c.Meaning())
		}
		seen[c.String()] = true
	}
}
