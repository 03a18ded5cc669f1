package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// maxSkew is how far the clocks may be apart. Records carry the relay's time:
// a clock that is ahead keeps records longer and, an hour ahead, has them
// refused (message.timestamp.after.max.ms); one that is behind loses them
// early to retention. Signatures with a signed time have windows of minutes.
const maxSkew = 5 * time.Second

// Judge turns facts into findings: those about the cluster first, then those
// of each topic, in order. It does no I/O and keeps nothing.
func Judge(f Facts, p Policy) []Finding {
	j := &judge{policy: p}
	j.brokers(f.Brokers)
	j.clock(f.Clock)
	for _, t := range f.Topics {
		j.topic(t, brokersNamed(f.Brokers))
	}
	return j.findings
}

// judge collects findings.
type judge struct {
	policy   Policy
	name     string // of the topic at hand
	findings []Finding
}

func (j *judge) add(s Severity, c Check, remedy, format string, args ...any) {
	j.findings = append(j.findings, Finding{Severity: s, Topic: j.name, Check: c, Message: fmt.Sprintf(format, args...), Remedy: remedy})
}

// brokers: one that is away is a matter of the moment; when all are, nothing
// can be written.
func (j *judge) brokers(all []Broker) {
	severity := Error
	for _, b := range all {
		if b.Err == nil && (b.ID >= 0 || brokersNamed(all) == 0) {
			severity = Warning
		}
	}
	for _, b := range all {
		if b.Err == nil {
			continue
		}
		what, remedy := j.explain(b.Err)
		if b.ID < 0 {
			j.add(severity, Brokers, remedy, "%s, a configured address, does not serve this relay: %s", b.Address, what)
			continue
		}
		j.add(severity, Brokers, remedy, "broker %d does not serve this relay at %s, where the cluster says it is: %s", b.ID, b.Address, what)
	}
}

// explain gives the words of the policy, else the error's own.
func (j *judge) explain(err error) (what, remedy string) {
	if j.policy.Explain != nil {
		what, remedy = j.policy.Explain(err)
	}
	return cmp.Or(what, err.Error()), remedy
}

func brokersNamed(all []Broker) int {
	n := 0
	for _, b := range all {
		if b.ID >= 0 {
			n++
		}
	}
	return n
}

func (j *judge) clock(c Clock) {
	switch {
	case errors.Is(c.Err, kerr.ClusterAuthorizationFailed):
		j.add(Info, ClockSkew, "grant DESCRIBE on the cluster to have the clocks compared", "the cluster's clock is not visible: %v", c.Err)
		return
	case c.Err != nil:
		j.add(Info, ClockSkew, "", "the cluster's clock cannot be measured: only KRaft clusters tell it, from Kafka 3.3 on (%v)", c.Err)
		return
	}
	if apart := c.Ahead.Abs() - c.Within; apart > maxSkew {
		j.add(Warning, ClockSkew, "synchronise both with NTP: records carry this machine's time", "%s", c)
	}
}

// String says how far this machine's clock is from the cluster's, or that it
// is not known.
func (c Clock) String() string {
	switch {
	case c.Err != nil:
		return fmt.Sprintf("how far this machine's clock is from the cluster's is not visible (%v)", c.Err)
	case c.Ahead < 0:
		return fmt.Sprintf("this machine's clock is %v ahead of that of the cluster's controller", c.Ahead.Abs().Round(100*time.Millisecond))
	default:
		return fmt.Sprintf("this machine's clock is %v behind that of the cluster's controller", c.Ahead.Round(100*time.Millisecond))
	}
}

func (j *judge) topic(t Topic, brokers int) {
	j.name = t.Name
	defer func() { j.name = "" }()
	switch t.State {
	case Missing:
		j.add(Error, TopicExists, "cxrelay check --connect --create-topics, or "+createCommand(t.Name, j.policy.Pins[t.Name], brokers), "the topic does not exist: its events are answered topic_unavailable")
		return
	case Hidden:
		j.add(Error, TopicVisible, "grant WRITE on the topic to the relay's principal",
			"not visible: DESCRIBE is denied, which WRITE would bring along; its events are answered topic_unavailable")
		return
	case Broken:
		j.add(Error, TopicExists, "", "the cluster does not describe the topic: %v", t.Err)
		return
	case Present:
	}
	if t.Write == Denied {
		j.add(Error, TopicWrite, "grant WRITE on the topic to the relay's principal", "WRITE is denied: its events are answered topic_unavailable")
	}
	j.partitions(t)
	j.replicas(t)
	j.settings(t)
	j.placement(t)
}

const pinIt = "pin it under kafka.partitions; cxrelay check --connect prints the lines"

func (j *judge) partitions(t Topic) {
	pin := j.policy.Pins[t.Name]
	switch {
	case pin > t.Partitions:
		j.add(Error, Partitions, fmt.Sprintf("give the topic its partitions back, or set %s", pinLine(t.Name, t.Partitions)),
			"%d partitions are pinned, the topic has %d: its events are answered topic_unavailable", pin, t.Partitions)
	case pin > 0 && pin < t.Partitions:
		j.add(Info, Partitions, "", "%d of the topic's %d partitions are used, as pinned: contacts keep theirs", pin, t.Partitions)
	case pin == 0 && j.policy.PinsDemanded:
		j.add(Error, Partitions, pinIt, "the partition count is not pinned, which kafka.strict demands")
	case pin == 0:
		j.add(Info, Partitions, pinIt, "the partition count is not pinned: should the topic grow, a restart moves contacts to other partitions")
	}
}

func (j *judge) replicas(t Topic) {
	minISR := t.Settings.MinInSyncReplicas
	switch {
	case len(t.Leaderless) > 0:
		j.add(Warning, InSync, "look at the brokers", "%d of %d partitions have no leader now: events of their contacts are answered 503", len(t.Leaderless), t.Partitions)
	case minISR > 0 && t.MinInSync < minISR && minISR <= t.ReplicationFactor:
		j.add(Warning, InSync, "look at the brokers", "a partition has %d replicas in sync now, min.insync.replicas is %d: events of its contacts are answered 503", t.MinInSync, minISR)
	}
	switch {
	case t.ReplicationFactor == 1:
		j.add(Warning, Replication, "recreate it with replication factor 3 and min.insync.replicas=2, or reassign its partitions (kafka-reassign-partitions.sh)",
			"there is one replica: an accepted event is on one broker only, and while that broker restarts its contacts are answered 503")
	case minISR > t.ReplicationFactor:
		j.add(Error, MinInSync, alter(t.Name, "min.insync.replicas=2"), "min.insync.replicas is %d and there are %d replicas: nothing can be written", minISR, t.ReplicationFactor)
	case minISR == 1:
		j.add(Warning, MinInSync, alter(t.Name, "min.insync.replicas=2"), "min.insync.replicas is 1: while the other replicas lag, an accepted event is on one broker only")
	case minISR == t.ReplicationFactor:
		j.add(Info, MinInSync, "", "min.insync.replicas is %d of %d replicas: while a broker restarts, contacts that it holds are answered 503", minISR, t.ReplicationFactor)
	}
}

func (j *judge) settings(t Topic) {
	s := t.Settings
	if s.Err != nil {
		j.add(Info, SettingsVisible, "grant DESCRIBE_CONFIGS on the topic to have them looked at", "the topic's settings are not visible: %v", s.Err)
		return
	}
	if s.UncleanElection == "true" && t.ReplicationFactor > 1 {
		j.add(Warning, UncleanElection, alter(t.Name, "unclean.leader.election.enable=false"),
			"unclean.leader.election.enable is true: a replica that lags may become leader, and accepted events be lost")
	}
	if slices.Contains(strings.Split(strings.ReplaceAll(s.CleanupPolicy, " ", ""), ","), "compact") {
		j.add(Warning, CleanupPolicy, alter(t.Name, "cleanup.policy=delete"),
			"cleanup.policy is %s: of each contact only the last event is kept, and events without a key are refused", s.CleanupPolicy)
	}
	if need := j.policy.BodyLimit + j.policy.Overhead; s.MaxMessageBytes >= 0 && s.MaxMessageBytes < need {
		j.add(Warning, MaxMessageBytes, alter(t.Name, fmt.Sprintf("max.message.bytes=%d", need))+", or lower limits.body",
			"max.message.bytes is %d, a body of limits.body takes up to %d with key, headers and batch: larger events are answered too_large", s.MaxMessageBytes, need)
	}
}

func (j *judge) placement(t Topic) {
	at := j.policy.Place(t)
	used := j.policy.Used(t)
	if len(t.Sample.Keys) == 0 && t.Sample.Err != nil {
		j.add(Info, Partitioner, "grant READ on the topic to have its records looked at", "the topic's records cannot be looked at: %v", t.Sample.Err)
		return
	}
	switch at.Verdict {
	case NoKeys, AsOurs:
	case FewKeys:
		j.add(Info, Partitioner, "", "of %d keys in the topic not all are where this relay would put them; too few to say by which rule they were placed", at.Keys)
	case OtherCount:
		j.add(Warning, Partitioner, "set "+pinLine(t.Name, at.Partitions),
			"%d keys in the topic were placed over %d partitions, this relay uses %d: contacts move, and their order breaks once", at.Keys, at.Partitions, used)
	case OtherHash:
		remedy := "set kafka.partitioner: " + at.Hash
		if at.Partitions != used {
			remedy += ", and " + pinLine(t.Name, at.Partitions)
		}
		j.add(Warning, Partitioner, remedy, "%d keys in the topic were placed by %s over %d partitions, this relay uses %s over %d: contacts move, and their order breaks once",
			at.Keys, at.Hash, at.Partitions, j.policy.Hashes[0].Name, used)
	case NoHash:
		j.add(Warning, Partitioner, "find out who else writes to the topic, and by which rule",
			"%d keys in the topic are in partitions that no known partitioner gives: contacts that are alive move, and their order breaks once", at.Keys)
	}
}

// pinLine is the line of the configuration that pins a topic's count.
func pinLine(topic string, n int32) string {
	return fmt.Sprintf("kafka.partitions: {%s: %d}", yamlKey(topic), n)
}

// yamlKey writes a topic as the key of a YAML mapping. Topics are made of
// letters, digits, dots, underscores and hyphens; what could be read as a
// number, a word of YAML's or a list is quoted.
func yamlKey(topic string) string {
	letter := topic != "" && (topic[0]|0x20) >= 'a' && (topic[0]|0x20) <= 'z'
	switch strings.ToLower(topic) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		letter = false
	}
	if letter {
		return topic
	}
	return strconv.Quote(topic)
}

// Defaults of a topic that is created.
const (
	defaultPartitions  = 8
	defaultReplication = 3
	safeMinInSync      = 2
)

// Proposed is how a missing topic would best be created: with the pinned
// partitions, else 8; three replicas, or as many as there are brokers; and
// with three of them min.insync.replicas 2.
func Proposed(topic string, pin int32, brokers int) NewTopic {
	n := NewTopic{Name: topic, Partitions: pin}
	if n.Partitions == 0 {
		n.Partitions = defaultPartitions
	}
	return n.Replicated(int16(max(1, min(defaultReplication, brokers)))) //nolint:gosec // 1 to 3
}

// Replicated returns n with that many replicas.
func (n NewTopic) Replicated(factor int16) NewTopic {
	n.ReplicationFactor, n.MinInSyncReplicas = factor, 0
	if factor >= defaultReplication {
		n.MinInSyncReplicas = safeMinInSync
	}
	return n
}

// createCommand is the command of Kafka's own tools that creates a topic.
func createCommand(topic string, pin int32, brokers int) string {
	n := Proposed(topic, pin, brokers)
	command := fmt.Sprintf("kafka-topics.sh --bootstrap-server BROKER:9092 --create --topic %s --partitions %d --replication-factor %d", n.Name, n.Partitions, n.ReplicationFactor)
	if n.MinInSyncReplicas > 0 {
		command += fmt.Sprintf(" --config min.insync.replicas=%d", n.MinInSyncReplicas)
	}
	return command
}

func alter(topic, setting string) string {
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server BROKER:9092 --alter --entity-type topics --entity-name %s --add-config %s", topic, setting)
}
