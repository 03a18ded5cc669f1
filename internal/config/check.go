package config

import (
	"fmt"
	"io/fs"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/cxrelay/cxrelay/internal/route"
)

// check finds what no value shows alone. Each check reports and goes on.
func (ld *loader) check() {
	if ld.unread {
		return // what seems to be missing may stand in the file
	}
	ld.checkInstance()
	ld.checkListeners()
	ld.checkSources()
	ld.checkRoutes()
	ld.checkSchema()
	ld.checkKafka()
	ld.checkLimits()
}

// maxInstance is the most bytes of a name of an instance.
const maxInstance = 128

func inInstance(r rune) bool { return isUnreserved(r) && r != '~' || r == ':' }

// InstanceOf makes a name of an instance of a host name, by the rule that holds
// for a configured one: a minus stands for what is not allowed, and a name that
// is too long is cut.
func InstanceOf(host string) string {
	name := strings.Map(func(r rune) rune {
		if inInstance(r) {
			return r
		}
		return '-'
	}, host)
	return name[:min(len(name), maxInstance)]
}

func (ld *loader) checkInstance() {
	if s := ld.cfg.Instance; len(s) > maxInstance || strings.ContainsFunc(s, func(r rune) bool { return !inInstance(r) }) {
		ld.fault("instance", "a name has 1 to 128 characters of a-z, A-Z, 0-9, dot, underscore, colon and minus: it goes into every record",
			"leave it empty for the host name")
	}
}

func (ld *loader) checkKafka() {
	k := &ld.cfg.Kafka
	if len(k.Brokers) == 0 {
		ld.fault("kafka.brokers", "no Kafka brokers are given", "set "+envBrokers+", or kafka.brokers in the file: [kafka:9092]")
	}
	for i, b := range k.Brokers {
		host, port, err := net.SplitHostPort(b)
		if err != nil || host == "" || !isPort(port, 1) || strings.ContainsAny(host, "/@, ") {
			path := element("kafka.brokers", i)
			ld.fault(path, ld.quote(path, b)+" is no broker (examples: kafka:9092, 10.0.0.1:9092)", "")
		}
	}
	ld.checkKafkaSecurity()
	for _, topic := range slices.Sorted(maps.Keys(k.Partitions)) {
		routed := func(r route.Route) bool { return r.Topic == topic }
		if !slices.ContainsFunc(ld.cfg.Routes, routed) && ld.topicsKnown() {
			ld.fault(member("kafka.partitions", topic), "no route leads to this topic", ld.nearestTopic(topic))
		}
	}
	ld.checkPinned()
}

// topicsKnown reports whether each route has the topic that it is meant to have.
func (ld *loader) topicsKnown() bool {
	for i := range ld.cfg.Routes {
		if ld.wrong(element("routes", i) + ".topic") {
			return false
		}
	}
	return !ld.wrong("routes")
}

// checkPinned only warns: how many partitions a topic has is not known here,
// and "check --connect" must be able to tell.
func (ld *loader) checkPinned() {
	if !ld.cfg.Kafka.Strict || ld.wrong("kafka.partitions") {
		return
	}
	var missing []string
	for i, r := range ld.cfg.Routes {
		name := r.Topic
		if ld.filled(member(element("routes", i), "topic")) {
			name = masked
		}
		if _, pinned := ld.cfg.Kafka.Partitions[r.Topic]; !r.Drop && !pinned && r.Topic != "" && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		ld.warn("kafka.strict", "demands the partition count of every topic in kafka.partitions; missing: "+strings.Join(missing, ", "),
			"cxrelay check --connect prints the lines to paste")
	}
}

func (ld *loader) nearestTopic(topic string) string {
	topics := make([]string, 0, len(ld.cfg.Routes))
	for i, r := range ld.cfg.Routes {
		if !ld.filled(member(element("routes", i), "topic")) {
			topics = append(topics, r.Topic)
		}
	}
	if near := Nearest(topic, topics); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

func (ld *loader) checkLimits() {
	l := &ld.cfg.Limits
	if l.Body > l.InFlightBytes/2 && !ld.wrong("limits.body") && !ld.wrong("limits.in_flight_bytes") {
		path := "limits.body"
		if !ld.given(path) {
			path = "limits.in_flight_bytes"
		}
		ld.fault(path, fmt.Sprintf("limits.body (%v) is more than half of limits.in_flight_bytes (%v)", l.Body, l.InFlightBytes),
			"bodies that are not verified yet may take half of the bytes in flight; a larger one would never be accepted")
	}
}

// readable warns of a file with a secret that every user can read.
func (ld *loader) readable(path, file string) {
	if ld.src.Stat == nil {
		return
	}
	const others fs.FileMode = 0o004
	if info, err := ld.src.Stat(file); err == nil && info.Mode().Perm()&others != 0 {
		ld.warn(path, fmt.Sprintf("every user of this machine can read the file (mode %#o)", info.Mode().Perm()),
			"chmod o-r; on Kubernetes, defaultMode: 0440 of the volume, with an fsGroup")
	}
}
