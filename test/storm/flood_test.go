//go:build storm

package storm_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// TestMemoryOfAFlood: brokers hang while more senders than may connect send
// more small events than may be in flight, and memory stays below what
// docs/operations.md (Memory) says for these limits. Nothing says so to Go.
func TestMemoryOfAFlood(t *testing.T) {
	const inFlight, connections = 16 << 20, 2000
	dir := t.TempDir()
	kafka, err := storm.StartFake(t.Context(), built.broker, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	r, err := storm.Run(t.Context(), storm.Options{
		Relay: built.relay, Dir: dir, Kafka: kafka, Seed: 1, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Length: 20 * time.Second, Only: []string{"the brokers hang"}, Hold: 9 * time.Second,
		Env:    []string{"CXRELAY_LIMITS_IN_FLIGHT_BYTES=16MiB", "CXRELAY_LIMITS_CONNECTIONS=2000"},
		Load:   load.Options{Rate: 1200, Events: 16_000, Contacts: 400, Connections: connections + 500, Drain: 60 * time.Second},
		Limits: storm.Limits{Accepted: 10_000, Alive: 60 * time.Second, RSS: 96<<20 + inFlight + connections*25<<10},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", r)
	if !r.Good() {
		t.Errorf("%v %v", r.Verdict.Faults, r.Facts.Broken)
	}
	if n := r.Answers.Refused["overloaded"]; n < 100 {
		t.Errorf("%d events were answered overloaded: that was no flood", n)
	}
}
