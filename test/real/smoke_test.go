//go:build real

package real_test

import (
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/journal"
	"github.com/cxrelay/cxrelay/test/storm/judge"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

const settleLimit = 45 * time.Second

// payloads are events that any decoding and encoding would change. contact is
// the exact id that the key is made of.
var payloads = []struct{ name, kind, contact, id, body string }{
	{
		"plain", "INTERACTION_CREATED", "c-1", "e-1",
		`{"actionType":"INTERACTION_CREATED","contactId":"c-1","eventId":"e-1"}`,
	},
	{
		"spacing and lines", "DISPOSITION_UPDATED", " c 2\t", "e-2",
		" \r\n{\t\"contactId\" :\n\" c 2\\t\"  ,\"actionType\"\t:\t\"DISPOSITION_UPDATED\",\r\n  \"eventId\":\"e-2\"\n\n}\r\n\t ",
	},
	{
		"escapes", "QUEUE_TRANSFER", "c-é/3", "e-3",
		`{"actionType":"QUEUE\u005FTRANSFER","contactId":"c-\u00e9\/3","eventId":"\u0065-3","a":"\u00E9\u00e9\/<>&\u2028\b\f\u0000","\u0062":"\ud83d\ude00"}`,
	},
	{
		"numbers", "CALL_DISCONNECTED", "90071992547409931", "e-4",
		`{"actionType":"CALL_DISCONNECTED","contactId":90071992547409931,"eventId":"e-4","n":12345678901234567,"m":-0.0,"x":1.50e+10,"y":1E400,"z":0.1000000000000000055511151231257827}`,
	},
	{
		"order of keys", "INTERACTION_CREATED", "c-5", "e-5",
		`{"z":1,"y":{"b":1,"a":2},"contactId":"c-5","10":0,"2":0,"actionType":"INTERACTION_CREATED","eventId":"e-5","A":[3,1,2]}`,
	},
	{
		"beyond the BMP", "CALL_DISCONNECTED", "接触📞𝔘𐍈", "e-6",
		`{"actionType":"CALL_DISCONNECTED","contactId":"接触📞𝔘𐍈","eventId":"e-6","t":"𠜎 👩‍👩‍👧 e` + "\u0301 \u202e\u2028" + `"}`,
	},
	{
		"no id of its own", "QUEUE_TRANSFER", "1e3", "",
		`{"actionType":"QUEUE_TRANSFER","contactId":1e3}`,
	},
}

// TestSmokeOldest and TestSmokeCurrent: three variables alone are enough, on
// the oldest Kafka that the relay is for and on the newest.
func TestSmokeOldest(t *testing.T) { smoke(t, rig.Cluster(t, real.Release(real.Oldest))) }

func TestSmokeCurrent(t *testing.T) { smoke(t, rig.Cluster(t, real.Brokers(3))) }

func smoke(t *testing.T, cluster *real.Cluster) {
	relay := start(t, cluster, real.Setup{})
	book := newBook(t)
	sender := book.sender(t, relay)
	warm(t, sender)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	began := time.Now().Truncate(time.Millisecond)
	for _, p := range payloads {
		e := sender.Given(journal.Event{Own: eventID(p.id, p.body), Type: p.kind, Contact: p.contact, Topic: topicOf(p.kind)}, p.body)
		e.Header = http.Header{"Traceparent": {trace}}
		if a := sender.Send(t.Context(), e); a.Status != http.StatusOK || a.Reason != "accepted" {
			t.Fatalf("%s: %+v", p.name, a)
		}
	}
	ended := time.Now()
	settled(t, relay, book)

	records := cluster.Read(storm.Topics()...)
	v := book.judge(t, records, relay.Log(t))
	kept(t, v)
	if v.Records-v.Duplicates != len(book.read(t)) {
		t.Errorf("%d records, %d of them again, for %d events", v.Records, v.Duplicates, len(book.read(t)))
	}
	keys := make([]string, len(payloads))
	for i, p := range payloads {
		keys[i] = fnvKey(p.contact)
	}
	partitions := cluster.Partitions(8, keys)
	schemaID := strconv.Itoa(rig.Registry(t).Register(t, subject, schema))
	for i, p := range payloads {
		t.Run(p.name, func(t *testing.T) {
			at := slices.IndexFunc(records, func(r *kgo.Record) bool { return string(r.Value) == p.body })
			if at < 0 {
				t.Fatalf("no record has the signed bytes %q", p.body)
			}
			r := records[at]
			if r.Topic != topicOf(p.kind) || string(r.Key) != keys[i] || r.Partition != partitions[i] {
				t.Errorf("in %s/%d with key %s, want %s/%d and %s", r.Topic, r.Partition, r.Key, topicOf(p.kind), partitions[i], keys[i])
			}
			if r.Timestamp.Before(began) || r.Timestamp.After(ended) {
				t.Errorf("timestamp %s, sent between %s and %s", r.Timestamp, began, ended)
			}
			headers(t, r, []string{"cxrelay-event-id", eventID(p.id, p.body), "cxrelay-source", "cxone", "cxrelay-type", p.kind,
				"cxrelay-schema-id", schemaID, "traceparent", trace, "cxrelay-origin", `[^/]+/[0-9a-f]+/[0-9]+`})
		})
	}
}

// warm has the first event accepted. On a fresh cluster it waits for more than
// its ack: connections, and a producer id, of which the controller must hand
// out a first block; on a busy machine that is longer than the deadline.
func warm(t *testing.T, s *load.Sender) {
	t.Helper()
	began := time.Now()
	if a := s.Insist(t.Context(), s.Event("warm-up", route("CALL_DISCONNECTED"))); a.Status != http.StatusOK {
		t.Fatalf("first event: %+v", a)
	}
	t.Logf("the first event was accepted after %s", time.Since(began).Round(time.Millisecond))
}

// headers compares the headers with pairs of names and patterns, in order.
func headers(t *testing.T, r *kgo.Record, want []string) {
	t.Helper()
	var names []string
	for i := 0; i < len(want); i += 2 {
		names = append(names, want[i])
		if got := judge.Header(r, want[i]); !regexp.MustCompile("^(" + want[i+1] + ")$").MatchString(got) {
			t.Errorf("header %s is %q, want %s", want[i], got, want[i+1])
		}
	}
	var have []string
	for _, h := range r.Headers {
		have = append(have, h.Key)
	}
	if !slices.Equal(have, names) {
		t.Errorf("headers %v, want %v", have, names)
	}
}

// eventID is the event's own id, or the hash of its body.
func eventID(id, body string) string {
	if id == "" {
		return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(body)))
	}
	return id
}

func topicOf(kind string) string { return route(kind).Topic }

func fnvKey(contact string) string {
	h := fnv.New64a()
	h.Write([]byte(contact))
	return fmt.Sprintf("pk-%016x", h.Sum64())
}

// TestPartitions: 1,000 contacts are where the Java producer would put their
// keys, and with the other partitioner where librdkafka puts them.
func TestPartitions(t *testing.T) {
	const contacts, partitions = 1000, 8
	topic := topicOf("CALL_DISCONNECTED")
	cluster := rig.Cluster(t, real.Brokers(3))
	keys := make([]string, contacts)
	for i := range keys {
		keys[i] = fnvKey(fmt.Sprintf("c%d", i))
	}
	through := func(t *testing.T, env ...string) map[string]int32 {
		relay := start(t, cluster, real.Setup{Env: env})
		book := newBook(t)
		sender := book.sender(t, relay)
		warm(t, sender)
		for i := range contacts {
			if a := sender.Send(t.Context(), sender.Event(fmt.Sprintf("c%d", i), route("CALL_DISCONNECTED"))); a.Status != http.StatusOK {
				t.Fatalf("%+v", a)
			}
		}
		return placesOf(cluster.ReadMany(topic))
	}
	compare := func(t *testing.T, got map[string]int32, want func(i int) int32) {
		t.Helper()
		used := map[int32]bool{}
		for i, key := range keys {
			used[want(i)] = true
			if p, ok := got[key]; !ok || p != want(i) {
				t.Errorf("key %s is in partition %d (found: %t), want %d", key, p, ok, want(i))
			}
		}
		if len(used) != partitions {
			t.Errorf("only %d of %d partitions are used: the comparison says little", len(used), partitions)
		}
	}
	t.Run("murmur2 is Java's", func(t *testing.T) {
		java := cluster.Partitions(partitions, keys)
		compare(t, through(t), func(i int) int32 { return java[i] })
	})
	t.Run("crc32 is librdkafka's", func(t *testing.T) {
		got := through(t, "CXRELAY_KAFKA_PARTITIONER=crc32")
		cluster.Topic("by-librdkafka", partitions)
		cluster.Produce("by-librdkafka", keys)
		librdkafka := placesOf(cluster.ReadMany("by-librdkafka"))
		compare(t, got, func(i int) int32 { return librdkafka[keys[i]] })
	})
}

func placesOf(records []*kgo.Record) map[string]int32 {
	places := map[string]int32{}
	for _, r := range records {
		places[strings.Clone(string(r.Key))] = r.Partition
	}
	return places
}
