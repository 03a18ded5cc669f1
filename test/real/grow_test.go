//go:build real

package real_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/journal"
	"github.com/cxrelay/cxrelay/test/storm/judge"
)

// What the topics of TestTopicGrows have before and after, and who sends. The
// relay looks at its topics every 15 s, and must be under load then.
const (
	few, many     = 8, 12
	growers       = 100 // contacts
	growersEvents = 50  // of each
	growersOver   = 19 * time.Second
)

// place is where a contact's key is in a topic.
type place struct{ topic, key string }

// TestTopicGrows: topics get more partitions while events arrive. Contacts
// stay where they are, the relay says what to do before it is restarted, and
// what it said is true: with the pin a restarted one keeps them, and one
// without it warns and moves just those that Kafka's own producer would.
func TestTopicGrows(t *testing.T) {
	cluster := rig.Cluster(t)
	topics := storm.Topics()
	relay := start(t, cluster, real.Setup{})
	book := newBook(t)
	wait := book.crowd(t, crowd{name: "c", contacts: growers, events: growersEvents, over: growersOver, waits: 0.5, beside: 2}, relay)
	real.Pass(t, time.Second)
	cluster.Grow(many, topics...)
	grown := time.Now()
	real.Until(t, "the relay sees that the topics have grown", 20*time.Second, func() bool { return counts(t, relay, few, many, 0) })
	seen := time.Now()
	wait()
	after := 0
	for _, e := range book.read(t) {
		if e.Sent.After(seen) {
			after++
		}
	}
	t.Logf("the relay saw it after %s; %d of %d events were sent later", seen.Sub(grown).Round(time.Millisecond), after, growers*growersEvents)
	if after < growers {
		t.Errorf("only %d events were sent after the relay saw the topics grow", after)
	}
	settled(t, relay, book)
	records := cluster.ReadMany(topics...)
	v := book.judge(t, records, relay.Log(t))
	kept(t, v)
	if v.Accepted != growers*growersEvents {
		t.Errorf("%d of %d events were accepted in the end", v.Accepted, growers*growersEvents)
	}
	before := onlyPlaces(t, records)
	for _, topic := range topics {
		says(t, relay, "WARN", "topic has more partitions than are used", topic, `"pinned":8`, `"actual":12`,
			"before the next restart set "+pinOf(topic))
	}
	relay.Stop(t)

	t.Run("restarted with the pins", func(t *testing.T) {
		again := restarted(t, cluster, real.Setup{Args: []string{"--config", pinned(t, topics)}})
		everyContact(t, again, "pinned")
		if !counts(t, again, few, many, few) {
			t.Errorf("metrics do not say that %d of %d partitions are used, as configured", few, many)
		}
		for at, p := range onlyPlaces(t, cluster.ReadMany(topics...)) {
			if was, ok := before[at]; !ok || p != was {
				t.Errorf("%v is in partition %d, was in %d (%t)", at, p, was, ok)
			}
		}
		for _, topic := range topics {
			says(t, again, "INFO", "topic has more partitions than kafka.partitions pins", topic, `"pinned":8`, `"actual":12`)
		}
		if strings.Contains(again.Log(t), "contacts move") {
			t.Error("the relay warns of contacts that move, and none does")
		}
	})
	t.Run("restarted without them", func(t *testing.T) {
		again := restarted(t, cluster, real.Setup{})
		for _, topic := range topics {
			real.Until(t, "the relay warns of contacts that move in "+topic, 10*time.Second, func() bool {
				return logged(t, again, "WARN", "kafka inspection", "placed over 8 partitions, this relay uses 12: contacts move", topic, pinOf(topic))
			})
		}
		if !counts(t, again, many, many, 0) {
			t.Errorf("metrics do not say that all %d partitions are used", many)
		}
		moved(t, cluster, topics, before, everyContact(t, again, "unpinned"))
	})
}

// moved checks that the events of a relay that uses all partitions are where
// Kafka's own code puts them, and that others than that have stayed.
func moved(t *testing.T, cluster *real.Cluster, topics []string, before map[place]int32, ids map[string]bool) {
	t.Helper()
	keys := make([]string, growers)
	for i := range keys {
		keys[i] = fnvKey(fmt.Sprintf("c-%d", i))
	}
	java := cluster.Partitions(many, keys)
	found, gone := 0, 0
	for _, r := range cluster.ReadMany(topics...) {
		if !ids[judge.Header(r, "cxrelay-event-id")] {
			continue
		}
		found++
		at := place{r.Topic, string(r.Key)}
		if want := java[slices.Index(keys, at.key)]; r.Partition != want {
			t.Errorf("%v is in partition %d, Java puts it in %d of %d", at, r.Partition, want, many)
		}
		if r.Partition != before[at] {
			gone++
		}
	}
	t.Logf("without the pins %d of %d keys moved", gone, found)
	if found != len(ids) || gone == 0 || gone == found {
		t.Errorf("%d of %d events found, %d of them moved", found, len(ids), gone)
	}
}

// restarted starts a relay on topics that stay as they are.
func restarted(t *testing.T, cluster *real.Cluster, setup real.Setup) *real.Relay {
	t.Helper()
	setup.Brokers, setup.Registry, setup.Secret = cluster.Brokers(), rig.Registry(t).URL(), secret
	return rig.Relay(t, setup)
}

// everyContact sends an event of each contact to each topic, and returns
// their ids, which begin with a name.
func everyContact(t *testing.T, relay *real.Relay, name string) map[string]bool {
	t.Helper()
	book := newBook(t)
	sender := book.sender(t, relay)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ids := map[string]bool{}
	for i := range growers {
		for _, kind := range storm.Types() {
			id, contact := fmt.Sprintf("%s-%d-%s", name, i, kind.Name), fmt.Sprintf("c-%d", i)
			e := sender.Given(journal.Event{Own: id, Contact: contact, Type: kind.Name, Topic: kind.Topic},
				fmt.Sprintf(`{"eventId":%q,"actionType":%q,"contactId":%q}`, id, kind.Name, contact))
			if a := sender.Insist(ctx, e); a.Status != http.StatusOK {
				t.Fatalf("%s: %+v", id, a)
			}
			ids[id] = true
		}
	}
	settled(t, relay, book)
	return ids
}

// onlyPlaces returns where each key is; each must be in one partition of its
// topic.
func onlyPlaces(t *testing.T, records []*kgo.Record) map[place]int32 {
	t.Helper()
	places := map[place]int32{}
	for _, r := range records {
		at := place{r.Topic, string(r.Key)}
		if p, ok := places[at]; ok && p != r.Partition {
			t.Errorf("%v is in partitions %d and %d", at, p, r.Partition)
		}
		places[at] = r.Partition
	}
	if want := growers * len(storm.Topics()); len(places) != want {
		t.Errorf("%d keys in all topics, want %d", len(places), want)
	}
	return places
}

// counts tells whether the metrics of every topic are these.
func counts(t *testing.T, relay *real.Relay, used, actual, configured float64) bool {
	t.Helper()
	m := relay.Metrics(t)
	for _, topic := range storm.Topics() {
		label := `{topic="` + topic + `"}`
		if m["cxrelay_topic_partitions_pinned"+label] != used || m["cxrelay_topic_partitions"+label] != actual ||
			m["cxrelay_topic_partitions_configured"+label] != configured {
			return false
		}
	}
	return true
}

func pinOf(topic string) string { return fmt.Sprintf("kafka.partitions: {%s: %d}", topic, few) }

// pinned writes a configuration that has nothing but the pins.
func pinned(t *testing.T, topics []string) string {
	t.Helper()
	text := "kafka:\n  partitions:\n"
	for _, topic := range topics {
		text += fmt.Sprintf("    %s: %d\n", topic, few)
	}
	return configuration(t, text)
}

func configuration(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cxrelay.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// says fails the test if no line of the relay's log is like that.
func says(t *testing.T, relay *real.Relay, level, message string, parts ...string) {
	t.Helper()
	if !logged(t, relay, level, message, parts...) {
		t.Errorf("no %s line %q with %q", level, message, parts)
	}
}

// logged tells whether a line of the relay's log has this level, a message
// that begins like that, and all of the parts.
func logged(t *testing.T, relay *real.Relay, level, message string, parts ...string) bool {
	t.Helper()
	for line := range strings.Lines(relay.Log(t)) {
		var l struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &l) != nil || l.Level != level || !strings.HasPrefix(l.Msg, message) {
			continue
		}
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			return true
		}
	}
	return false
}
