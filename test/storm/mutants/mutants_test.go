//go:build storm

// Package mutants checks the storm itself, and the tests of the rooms: relays
// with one fault each must be convicted. A mutant that survives is a hole in
// the tests to be closed.
package mutants

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/mutant"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// suspect is a relay with a fault.
type suspect struct {
	name  string
	edits []mutant.Edit

	// What convicts it: the storm, by one of these words of the judge, under
	// these faults; and a test of a room, by this name.
	kinds  []string
	faults []string
	room   string
	test   string

	virtual string // what the storm in virtual time says of it; empty: nothing, as its senders sign without a time
}

func suspects() []suspect {
	const deliver, kafka, gateway = "internal/deliver/deliver.go", "internal/kafka/client.go", "internal/gateway/gateway.go"
	return []suspect{
		{
			name: "answers when the record is in the producer's queue",
			edits: []mutant.Edit{{File: deliver,
				Old: "\treceipt.Partition, receipt.Seq = f.lane.partition, f.seq\n",
				New: "\treceipt.Partition, receipt.Seq = f.lane.partition, f.seq\n\tif receipt.Seq > 0 {\n\t\treturn receipt, nil\n\t}\n"}},
			kinds: []string{"LOST"}, faults: []string{"the relay is killed while the brokers hang"},
			room: "./internal/deliver", test: "TestAckIsNeededForNil",
			virtual: "LOST:",
		},
		{
			name:  "acks=1",
			edits: []mutant.Edit{{File: kafka, Old: "kgo.RequiredAcks(kgo.AllISRAcks()),", New: "kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite(),"}},
			// The in-process brokers have no replicas: there the storm cannot tell. On real Kafka "make test-real" does.
			room: "./internal/kafka", test: "TestOutage",
			virtual: "acks=1",
		},
		{
			name:  "idempotence off",
			edits: []mutant.Edit{{File: kafka, Old: "kgo.RequiredAcks(kgo.AllISRAcks()),", New: "kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite(),"}},
			kinds: []string{"REPEATED"}, faults: []string{"and it was written"},
			room: "./internal/kafka", test: "TestOutage",
			virtual: "a batch without producer id",
		},
		{
			name: "the context of the request in Produce",
			edits: []mutant.Edit{
				{File: "internal/event/event.go", Old: "import (\n", New: "import (\n\t\"context\"\n"},
				{File: "internal/event/event.go", Old: "type Record struct {\n", New: "type Record struct {\n\tContext context.Context\n"},
				{File: gateway, Old: "type Delivery struct {\n", New: "type Delivery struct {\n\tContext context.Context\n"},
				{File: "internal/gateway/record.go", Old: "\t\tRelease:   d.Body.release,\n", New: "\t\tRelease:   d.Body.release,\n\t\tContext: d.Context,\n"},
				{File: "internal/httpd/intake.go", Old: "\t\tReceivedAt:  time.Now(),\n", New: "\t\tReceivedAt:  time.Now(),\n\t\tContext: r.Context(),\n"},
				{File: kafka, Old: "\to.produce(&out.Record, func", New: "\tif out.Context = rec.Context; out.Context == nil {\n\t\tout.Context = context.Background()\n\t}\n\to.produce(&out.Record, func"},
				{File: "internal/kafka/outlet.go", Old: "producer.TryProduce(context.Background(), r, ", New: "producer.TryProduce(r.Context, r, "},
			},
			kinds: []string{"GAP"}, faults: []string{"the brokers hang"},
			room: "./internal/app", test: "TestClientGone",
			virtual: "GAP:",
		},
		{
			name: "the value is written again",
			edits: []mutant.Edit{
				{File: gateway, Old: "import (\n", New: "import (\n\t\"encoding/json\"\n"},
				{File: gateway, Old: "\trec := d.record(", New: "\tvar again any\n\t_ = json.Unmarshal(value, &again)\n\tvalue, _ = json.Marshal(again)\n\trec := d.record("},
			},
			kinds: []string{"CHANGED"},
			room:  "./internal/gateway", test: "TestAccepted",
			virtual: "CHANGED:",
		},
		{
			name: "the buffer is used again after the deadline",
			edits: []mutant.Edit{{File: deliver,
				Old: "\tif !f.wait(deadline) {\n",
				New: "\tif !f.wait(deadline) {\n\t\tif again := f.release; again != nil {\n\t\t\tf.release = nil\n\t\t\tagain()\n\t\t}\n"}},
			kinds: []string{"CHANGED"}, faults: []string{"the brokers hang"},
			room: "./internal/app", test: "TestOneHungBroker",
			virtual: "CHANGED:",
		},
		{
			name: "the partition by the count of the moment",
			edits: []mutant.Edit{
				{File: "internal/deliver/topic.go", Old: "\tif len(lanes) > 0 {\n\t\treturn lanes\n\t}\n\tn := t.pin.Load()\n", New: "\tif len(lanes) >= int(actual) {\n\t\treturn lanes\n\t}\n\tn := int32(0)\n"},
			},
			kinds: []string{"MOVED"}, faults: []string{"a topic grows", "the relay is restarted"},
			room: "./internal/deliver", test: "TestPins",
			virtual: "MOVED:",
		},
		{
			name:  "the signature is compared by its front",
			edits: []mutant.Edit{{File: "internal/signature/verify.go", Old: "subtle.ConstantTimeCompare(want, s.candidate[c][:v.size])", New: "subtle.ConstantTimeCompare(want[:4], s.candidate[c][:4])"}},
			kinds: []string{"ADMITTED"},
			room:  "./internal/signature", test: "TestVerifyOne",
			virtual: "ADMITTED:",
		},
		{
			name:  "the time of a signature counts for nothing",
			edits: []mutant.Edit{{File: "internal/signature/verify.go", Old: "if skew > tolerance || skew < -tolerance {", New: "if skew > tolerance && skew < -tolerance {"}},
			kinds: []string{"ADMITTED"},
			room:  "./internal/signature", test: "TestWindow",
		},
	}
}

// TestStormConvicts: the judge finds each mutant that it can find, by the
// word that belongs to it, and finds nothing in the relay as it is.
func TestStormConvicts(t *testing.T) {
	root, err := mutant.Root()
	if err != nil {
		t.Fatal(err)
	}
	broker := filepath.Join(t.TempDir(), "broker")
	if err := mutant.Build(t.Context(), root, t.TempDir(), "./test/storm/broker", broker); err != nil {
		t.Fatal(err)
	}
	for _, s := range append(suspects(), suspect{name: "none", faults: []string{"the relay is killed while the brokers hang", "a topic grows", "and it was written"}}) {
		if len(s.kinds) == 0 && len(s.edits) > 0 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), "cxrelay")
			if err := mutant.Build(t.Context(), root, t.TempDir(), "./cmd/cxrelay", binary, s.edits...); err != nil {
				t.Fatal(err)
			}
			report := blow(t, binary, broker, s.faults)
			if len(s.edits) == 0 {
				if !report.Good() {
					t.Errorf("the relay as it is:\n%s", report)
				}
				return
			}
			for _, kind := range s.kinds {
				if report.Verdict.Faults[kind] > 0 {
					t.Logf("convicted: %v", report.Verdict.Faults)
					return
				}
			}
			t.Errorf("the judge found none of %q:\n%s", s.kinds, report)
		})
	}
}

// blow is a short storm.
func blow(t *testing.T, relay, broker string, faults []string) *storm.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	kafka, err := storm.StartFake(ctx, broker, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	length := 18 * time.Second
	if len(faults) == 0 {
		length = 12 * time.Second // each kind of attack comes once in seven
	}
	report, err := storm.Run(ctx, storm.Options{
		Relay: relay, Dir: dir, Kafka: kafka, Seed: 1, Length: length, Calm: len(faults) == 0, Only: faults, Hold: 2500 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Attacks: 20,
		Load:   load.Options{Rate: 400, Contacts: 100, Connections: 200, Drain: 10 * time.Second, Habits: load.Habits{Waits: 0.5, Disconnect: 0.1}},
		Limits: storm.Limits{Accepted: 500, Alive: 20 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestVirtualStormConvicts: the storm of internal/app finds each mutant within
// the seeds that the ordinary tests see, by the word that belongs to it.
func TestVirtualStormConvicts(t *testing.T) {
	root, err := mutant.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range suspects() {
		if s.virtual == "" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			overlay, err := mutant.Overlay(root, t.TempDir(), s.edits...)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-timeout", "5m", "-run", "^TestStorm$", "./internal/app") //nolint:gosec // our own arguments
			cmd.Dir, cmd.Env = root, append(os.Environ(), "CXRELAY_SEEDS=12")                                                                     // half of them do
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "_test.go:") || !strings.Contains(string(out), s.virtual) {
				t.Errorf("the storm in virtual time says nothing of %q (%v)", s.virtual, err)
			}
		})
	}
}

// TestRoomsConvict: a test of a room finds each mutant, too, in seconds and
// with the place.
func TestRoomsConvict(t *testing.T) {
	root, err := mutant.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range suspects() {
		t.Run(s.name, func(t *testing.T) {
			overlay, err := mutant.Overlay(root, t.TempDir(), s.edits...)
			if err != nil {
				t.Fatal(err)
			}
			// Exactly this test: others that fail, too, would hide that it does not.
			cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-timeout", "3m", "-run", "^"+s.test+"$", s.room) //nolint:gosec // our own arguments
			cmd.Dir = root
			out, err := cmd.CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("%s of %s passes", s.test, s.room)
			case !strings.Contains(string(out), "--- FAIL: "+s.test):
				t.Errorf("%s of %s did not run:\n%s", s.test, s.room, out)
			}
		})
	}
}
