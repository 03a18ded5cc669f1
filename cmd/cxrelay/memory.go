package main

import (
	"runtime/debug"

	"github.com/cxrelay/cxrelay/internal/config"
)

// How the garbage of a relay is collected, where GOGC and GOMEMLIMIT do not
// say otherwise. What lives is a few megabytes beside the events in flight,
// so Go's default would collect many times a second; with 200 an event costs
// about a twentieth less (docs/performance.md); 400 would bring little more, for
// half as much memory again.
//
// The soft limit is what a relay needs whose limits are all reached, with some
// room to collect in: limits.in_flight_bytes counts what events hold, and a
// connection whose request waits takes connectionCost. What the process has in
// memory beside that (its code, the runtime's own) is 24 MiB at most, so that
// docs/operations.md (Sizing) promises 96 MiB instead of memorySpare.
const (
	gcPercent      = 200
	memorySpare    = 72 << 20 // bytes
	connectionCost = 25 << 10 // bytes; TestMemoryOfAFlood of test/storm holds the sum
)

// collectSeldom sets both and returns what undoes it. l are the limits at the
// start.
func collectSeldom(lookup func(string) (string, bool), l config.Limits) (undo func()) {
	percent, limit := -1, int64(-1)
	if _, set := lookup("GOGC"); !set {
		percent = debug.SetGCPercent(gcPercent)
		if _, set := lookup("GOMEMLIMIT"); !set {
			limit = debug.SetMemoryLimit(memorySpare + int64(l.InFlightBytes) + int64(l.Connections)*connectionCost)
		}
	}
	return func() {
		if percent >= 0 {
			debug.SetGCPercent(percent)
		}
		if limit >= 0 {
			debug.SetMemoryLimit(limit)
		}
	}
}
