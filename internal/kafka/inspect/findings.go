package inspect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Severity is how much a finding matters.
type Severity uint8

// The severities.
const (
	Info    Severity = iota // worth knowing, nothing to mend
	Warning                 // it works, but a promise of the relay is weaker than it could be
	Error                   // events of the topic cannot be written, or not all of them
)

// String returns "info", "warning" or "error".
func (s Severity) String() string { return [...]string{"info", "warning", "error"}[s] }

// Check is what was looked at. The set is closed.
type Check uint8

// The checks. Registry and Subject are looked at by the caller, which knows
// the Schema Registry; they are here so that all checks have one list.
const (
	Brokers Check = iota
	TopicExists
	TopicVisible
	TopicWrite
	Partitions
	InSync
	Replication
	MinInSync
	UncleanElection
	CleanupPolicy
	MaxMessageBytes
	SettingsVisible
	Partitioner
	ClockSkew
	Registry
	Subject
)

// checks are the words of the checks, and the line that the documentation has
// on each.
var checks = [...]struct{ name, meaning string }{
	Brokers:         {"brokers", "every configured address and every broker of the cluster answers"},
	TopicExists:     {"topic_exists", "the topic of every route is there"},
	TopicVisible:    {"topic_visible", "an ACL lets the relay see the topic (DESCRIBE, which WRITE brings along)"},
	TopicWrite:      {"topic_write", "an ACL lets the relay write to the topic"},
	Partitions:      {"partitions", "the partition count is pinned, and not above what the topic has"},
	InSync:          {"in_sync", "every partition has a leader and enough replicas in sync, at this moment"},
	Replication:     {"replication", "there is more than one replica"},
	MinInSync:       {"min_insync", "min.insync.replicas is 2 or more, and not more than there are replicas"},
	UncleanElection: {"unclean_election", "unclean.leader.election.enable is false"},
	CleanupPolicy:   {"cleanup_policy", "cleanup.policy does not compact"},
	MaxMessageBytes: {"max_message_bytes", "max.message.bytes has room for a body of limits.body"},
	SettingsVisible: {"settings_visible", "an ACL lets the relay read the topic's settings (DESCRIBE_CONFIGS)"},
	Partitioner:     {"partitioner", "keyed records in the topic are in the partitions where this relay would put them"},
	ClockSkew:       {"clock_skew", "this machine's clock agrees with that of the cluster's controller"},
	Registry:        {"registry", "the Schema Registry answers and lets the relay in"},
	Subject:         {"subject", "every routed subject is there, and its schema can be applied"},
}

// String returns the check's word, such as "topic_exists".
func (c Check) String() string { return checks[c].name }

// Meaning returns what is well when the check has no finding.
func (c Check) Meaning() string { return checks[c].meaning }

// Momentary tells whether the check is about the moment: what it finds comes
// and goes while brokers restart, and nobody has set anything wrong.
func (c Check) Momentary() bool { return c == Brokers || c == InSync }

// Checks returns every check, in the order of the documentation.
func Checks() []Check {
	all := make([]Check, len(checks))
	for i := range all {
		all[i] = Check(i) //nolint:gosec // fewer than 256
	}
	return all
}

// Finding is one thing that a look has shown.
type Finding struct {
	Severity Severity
	Topic    string // empty: not about one topic
	Subject  string // empty: not about a subject
	Check    Check
	Message  string // a fact and what follows from it
	Remedy   string // what to do; may be empty
}

// Group is the same finding about several topics.
type Group struct {
	Severity Severity
	Check    Check
	Message  string
	About    []string // topics, or a subject; empty: neither
	Remedies []string // without repetition
}

// Grouped puts findings that say the same together, the most severe first,
// else in the order in which they come.
func Grouped(findings []Finding) []Group {
	var groups []Group
	for _, f := range findings {
		same := func(g Group) bool { return g.Severity == f.Severity && g.Check == f.Check && g.Message == f.Message }
		i := slices.IndexFunc(groups, same)
		if i < 0 {
			i = len(groups)
			groups = append(groups, Group{Severity: f.Severity, Check: f.Check, Message: f.Message})
		}
		if name := cmp.Or(f.Topic, f.Subject); name != "" {
			groups[i].About = append(groups[i].About, name)
		}
		if f.Remedy != "" && !slices.Contains(groups[i].Remedies, f.Remedy) {
			groups[i].Remedies = append(groups[i].Remedies, f.Remedy)
		}
	}
	slices.SortStableFunc(groups, func(a, b Group) int { return cmp.Compare(b.Severity, a.Severity) })
	return groups
}

// String is the group as a paragraph: what, about which topics, what to do.
func (g Group) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s", g.Severity, g.Check, g.Message)
	if len(g.About) > 0 {
		b.WriteString("\n  in: " + strings.Join(g.About, ", "))
	}
	for _, r := range g.Remedies {
		b.WriteString("\n  remedy: " + r)
	}
	return b.String()
}

// Policy is what the rules need to know of the relay.
type Policy struct {
	// Pins are the counts under kafka.partitions.
	Pins map[string]int32
	// Hashes are the known partitioners, the relay's own first.
	Hashes []Hash
	// BodyLimit is limits.body in bytes. Overhead is what key, headers and
	// batch add to the body of an ordinary event.
	BodyLimit, Overhead int64
	// PinsDemanded makes a missing pin an error (kafka.strict).
	PinsDemanded bool
	// Explain says what an error of a broker means and what to do; may be
	// nil, and return "" for what it does not know.
	Explain func(error) (what, remedy string)
}

// Hash is a partitioner.
type Hash struct {
	Name      string // as in kafka.partitioner
	Partition func(key []byte, n int32) int32
}

// Used returns the partition count that the relay would use for t: its pin,
// else what the topic has.
func (p Policy) Used(t Topic) int32 {
	if n := p.Pins[t.Name]; n > 0 {
		return n
	}
	return t.Partitions
}

// Report is a look and its judgement.
type Report struct {
	Facts
	Findings []Finding
}

// Pins returns the counts to put under kafka.partitions: those that are there,
// and for every other topic that can be seen the count under which its records
// lie now.
func (r Report) Pins(p Policy) map[string]int32 {
	pins := make(map[string]int32)
	for _, t := range r.Topics {
		switch pinned := p.Pins[t.Name]; {
		case pinned > 0:
			pins[t.Name] = pinned
		case t.State == Present:
			pins[t.Name] = t.Partitions
			if at := p.Place(t); at.Verdict == OtherCount {
				pins[t.Name] = at.Partitions
			}
		}
	}
	return pins
}

// PinLines are the lines of the configuration that pin the counts, sorted.
func PinLines(pins map[string]int32) string {
	var b strings.Builder
	b.WriteString("kafka:\n  partitions:\n")
	for _, topic := range slices.Sorted(maps.Keys(pins)) {
		fmt.Fprintf(&b, "    %s: %d\n", yamlKey(topic), pins[topic])
	}
	return b.String()
}
