package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/storm/journal"
	"github.com/cxrelay/cxrelay/test/storm/judge"
)

const topic = "cxone.transfers.raw"

// leave writes what a run of three events of one contact leaves in dir, and
// the records of the first kept of them to the brokers.
func leave(t *testing.T, dir string, brokers []string, kept int) {
	t.Helper()
	w, err := journal.Create(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	key := fnv.New64a()
	_, _ = key.Write([]byte("c1")) // a hash takes everything
	for n := range 3 {
		value := fmt.Appendf(nil, `{"n":%d}`, n)
		w.Event(journal.Event{Contact: "c1", Type: "QUEUE_TRANSFER", Topic: topic}, func(int) string {
			sum := sha256.Sum256(value)
			return hex.EncodeToString(sum[:])
		})
		w.Send(n, 0, time.Now())
		if n < kept {
			header := func(name, value string) kgo.RecordHeader {
				return kgo.RecordHeader{Key: "cxrelay-" + name, Value: []byte(value)}
			}
			r := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "pk-%016x", key.Sum64()), Value: value, Headers: []kgo.RecordHeader{
				header("event-id", journal.ID(n)), header("origin", fmt.Sprintf("host/ab12/%d", n+1)), header("source", "cxone"), header("type", "QUEUE_TRANSFER"),
			}}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		w.Answer(n, 0, time.Now(), journal.Answer{Status: 200, Reason: "accepted", Took: time.Millisecond})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "relay.log"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// judged runs the command, and returns the verdict that it printed.
func judged(t *testing.T, args ...string) (good bool, v judge.Verdict) {
	t.Helper()
	var problems, out bytes.Buffer
	o, err := parse(append(args, "-json"), &problems)
	if err != nil {
		t.Fatalf("%v: %s", err, &problems)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if good, err = run(ctx, o, &out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	return good, v
}

func TestRunningCluster(t *testing.T) {
	for kept, want := range map[int]map[string]int{3: nil, 2: {"LOST": 1}} {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic, "another"))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		dir := t.TempDir()
		leave(t, dir, cluster.ListenAddrs(), kept)
		good, v := judged(t, "-dir", dir, "-brokers", strings.Join(cluster.ListenAddrs(), ","), "-accepted", "3")
		if good != (want == nil) || v.Accepted != 3 || v.Records != kept || fmt.Sprint(v.Faults) != fmt.Sprint(want) {
			t.Errorf("%d records kept: %+v", kept, v)
		}
		if _, v := judged(t, "-dir", dir, "-brokers", strings.Join(cluster.ListenAddrs(), ","), "-topics", "another"); v.Faults["LOST"] != 3 {
			t.Errorf("another topic: %+v", v)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-nothing"}, {"-accepted", "many"}, {"bin/storm/last"}} {
		var problems bytes.Buffer
		if _, err := parse(args, &problems); err == nil || problems.Len() == 0 {
			t.Errorf("%q: %v, %q", args, err, &problems)
		}
	}
	for _, dir := range []string{t.TempDir(), "nowhere"} {
		o, err := parse([]string{"-dir", dir}, os.Stderr)
		if err == nil {
			_, err = run(t.Context(), o, &bytes.Buffer{})
		}
		if err == nil || !strings.Contains(err.Error(), "-brokers") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
