// Package route is the table from event types to Kafka topics.
//
// Here belong the rows, the rules that make a table valid, and the lookup on
// the path of an event. Not here: where rows are written down (package
// config), whether a topic exists (package kafka), and what happens to an
// event that no row takes (package gateway). The package imports only the
// standard library.
package route

import (
	"errors"
	"fmt"
)

// Wire says how the value of a record is framed.
type Wire uint8

// The framings.
const (
	Raw    Wire = iota // the signed bytes, nothing else
	Prefix             // 0x00, 4-byte big-endian schema id, then the signed bytes
)

// ParseWire reads "raw" or "prefix".
func ParseWire(s string) (Wire, error) {
	for _, w := range []Wire{Raw, Prefix} {
		if w.String() == s {
			return w, nil
		}
	}
	return 0, fmt.Errorf("%q is none of raw, prefix", s)
}

// String returns the word that ParseWire reads.
func (w Wire) String() string {
	switch w {
	case Raw:
		return "raw"
	case Prefix:
		return "prefix"
	default:
		return "unknown"
	}
}

// Key says how the record key is made of the contact id.
type Key uint8

// The key rules.
const (
	KeyHash Key = iota // "pk-" + 16 hex digits of FNV-1a 64 of the contact id
	KeyRaw             // the contact id's own bytes
)

// ParseKey reads "fnv" (the default, KeyHash) or "raw" (KeyRaw).
func ParseKey(s string) (Key, error) {
	for _, k := range []Key{KeyHash, KeyRaw} {
		if k.String() == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("%q is none of fnv, raw", s)
}

// String returns the word that ParseKey reads.
func (k Key) String() string {
	switch k {
	case KeyHash:
		return "fnv"
	case KeyRaw:
		return "raw"
	default:
		return "unknown"
	}
}

// Route is one row of the table. Immutable.
type Route struct {
	Pattern string   // the type, or a glob with * (any run, also none) and ? (one character)
	Topic   string   // empty when Drop
	Sources []string // names of the sources whose events it takes; none: of all
	Subject string   // schema registry subject; empty when Drop
	Version int      // of the subject; 0: the latest
	Wire    Wire
	Key     Key
	Drop    bool // the event is answered "dropped" and not produced
}

const maxTopic = 249 // Kafka: org.apache.kafka.common.internals.Topic.MAX_NAME_LENGTH

// LegalTopic checks a topic name by the rule of Kafka brokers: 1 to 249
// characters of a-z, A-Z, 0-9, dot, underscore and minus, and neither "." nor
// "..". The error does not repeat the name.
func LegalTopic(name string) error {
	switch {
	case name == "":
		return errors.New("a topic name is not empty")
	case name == "." || name == "..":
		return errors.New(`a topic is not named "." or ".."`)
	case len(name) > maxTopic:
		return fmt.Errorf("a topic name has at most %d characters, this one has %d", maxTopic, len(name))
	}
	for _, r := range name {
		if !topicRune(r) {
			return fmt.Errorf("a topic name has only a-z, A-Z, 0-9, dot, underscore and minus, not %q", r)
		}
	}
	return nil
}

func topicRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		r == '.' || r == '_' || r == '-'
}
