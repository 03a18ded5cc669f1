package main

import (
	"cmp"
	"maps"
	"strings"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
)

// The lines of --format json. Members that are not known are left out.
type (
	problemLine struct {
		Event    string `json:"event"`
		Severity string `json:"severity"`
		File     string `json:"file,omitempty"`
		Line     int    `json:"line,omitempty"`
		Column   int    `json:"column,omitempty"`
		Variable string `json:"variable,omitempty"`
		Key      string `json:"key,omitempty"`
		Message  string `json:"message"`
		Remedy   string `json:"remedy,omitempty"`
	}
	brokerLine struct {
		Event   string  `json:"event"`
		ID      *int32  `json:"id,omitempty"`
		Address string  `json:"address"`
		Answers bool    `json:"answers"`
		Millis  float64 `json:"ms,omitempty"`
		Error   string  `json:"error,omitempty"`
	}
	createdLine struct {
		Event             string `json:"event"`
		Topic             string `json:"topic"`
		Created           bool   `json:"created"`
		Partitions        int32  `json:"partitions"`
		ReplicationFactor int16  `json:"replicationFactor"`
		MinInSync         int    `json:"minInSyncReplicas,omitempty"`
		Error             string `json:"error,omitempty"`
	}
	topicLine struct {
		Event             string   `json:"event"`
		Topic             string   `json:"topic"`
		State             string   `json:"state"`
		Partitions        int32    `json:"partitions,omitempty"`
		Pinned            int32    `json:"pinned,omitempty"`
		ReplicationFactor int      `json:"replicationFactor,omitempty"`
		Leaderless        []int32  `json:"leaderless,omitempty"`
		Settings          *setLine `json:"settings,omitempty"` // left out: not visible
		Keys              *keyLine `json:"keys,omitempty"`     // left out: none seen
	}
	setLine struct {
		MinInSync       *int   `json:"minInSyncReplicas,omitempty"`
		UncleanElection string `json:"uncleanElection,omitempty"`
		CleanupPolicy   string `json:"cleanupPolicy,omitempty"`
		MaxMessageBytes *int64 `json:"maxMessageBytes,omitempty"`
	}
	keyLine struct {
		Seen        int    `json:"seen"`
		AsHere      bool   `json:"asHere"`
		Partitioner string `json:"partitioner,omitempty"` // left out: not known
		Partitions  int32  `json:"partitions,omitempty"`
	}
	registryLine struct {
		Event   string  `json:"event"`
		URL     string  `json:"url"`
		Answers bool    `json:"answers"`
		Millis  float64 `json:"ms,omitempty"`
		Error   string  `json:"error,omitempty"`
	}
	subjectLine struct {
		Event   string `json:"event"`
		Subject string `json:"subject"`
		Usable  bool   `json:"usable"`
		Version int    `json:"version,omitempty"`
		ID      int    `json:"id,omitempty"`
		Type    string `json:"type,omitempty"`
		Error   string `json:"error,omitempty"`
	}
	clockLine struct {
		Event  string  `json:"event"`
		Ahead  float64 `json:"clusterAheadMs"`
		Within float64 `json:"withinMs"`
	}
	findingLine struct {
		Event    string `json:"event"`
		Severity string `json:"severity"`
		Check    string `json:"check"`
		Topic    string `json:"topic,omitempty"`
		Subject  string `json:"subject,omitempty"`
		Message  string `json:"message"`
		Remedy   string `json:"remedy,omitempty"`
	}
	pinsLine struct {
		Event      string           `json:"event"`
		Partitions map[string]int32 `json:"partitions"`
	}
	checkSummaryLine struct {
		Event    string `json:"event"`
		Errors   int    `json:"errors"`
		Warnings int    `json:"warnings"`
		Infos    int    `json:"infos"`
	}
)

func (p *checkPrinter) reportJSON(r *app.CheckReport) {
	for _, b := range r.Kafka.Brokers {
		line := brokerLine{Event: "broker", Address: b.Address, Answers: b.Err == nil, Millis: millis(b.Latency), Error: text(b.Err)}
		if b.ID >= 0 {
			line.ID = &b.ID
		}
		p.json(line)
	}
	for _, t := range r.Created {
		p.json(createdLine{"created", t.Name, t.Err == nil, t.Partitions, t.ReplicationFactor, t.MinInSyncReplicas, text(t.Err)})
	}
	for _, t := range r.Kafka.Topics {
		p.json(topicLineOf(r.Policy, t))
	}
	for _, a := range r.Registry {
		p.json(registryLine{"registry", redacted(a.URL), a.Err == nil, millis(a.Latency), text(a.Err)})
	}
	for _, s := range r.Subjects {
		p.json(subjectLine{"subject", s.Subject, s.Err == nil, s.Version, s.ID, s.Type, text(s.Err)})
	}
	if c := r.Kafka.Clock; c.Err == nil && len(r.Kafka.Topics) > 0 {
		p.json(clockLine{"clock", millis(c.Ahead), millis(c.Within)})
	}
	for _, f := range r.Findings {
		p.json(findingLine{"finding", f.Severity.String(), f.Check.String(), f.Topic, f.Subject, f.Message, f.Remedy})
	}
	if pins := r.Kafka.Pins(r.Policy); len(pins) > 0 && !maps.Equal(pins, r.Policy.Pins) {
		p.json(pinsLine{"pins", pins})
	}
}

func topicLineOf(policy inspect.Policy, t inspect.Topic) topicLine {
	line := topicLine{
		Event: "topic", Topic: t.Name, State: t.State.String(), Partitions: t.Partitions, Pinned: policy.Pins[t.Name],
		ReplicationFactor: t.ReplicationFactor, Leaderless: t.Leaderless,
	}
	if s := t.Settings; t.State == inspect.Present && s.Err == nil {
		line.Settings = &setLine{UncleanElection: s.UncleanElection, CleanupPolicy: s.CleanupPolicy}
		if s.MinInSyncReplicas >= 0 {
			line.Settings.MinInSync = &s.MinInSyncReplicas
		}
		if s.MaxMessageBytes >= 0 {
			line.Settings.MaxMessageBytes = &s.MaxMessageBytes
		}
	}
	if at := policy.Place(t); at.Keys > 0 {
		line.Keys = &keyLine{at.Keys, at.Verdict == inspect.AsOurs, at.Hash, at.Partitions}
	}
	return line
}

// text is an error's, in one line; "" for nil.
func text(err error) string {
	if err == nil {
		return ""
	}
	return cmp.Or(strings.ReplaceAll(err.Error(), "\n", "; "), "unknown")
}
