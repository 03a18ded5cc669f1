package main

import "runtime/debug"

// How the garbage of a relay is collected, where GOGC and GOMEMLIMIT do not
// say otherwise. What lives is a few megabytes beside the bodies in flight,
// so Go's default would collect many times a second; with 200 an event costs
// about a twentieth less (docs/performance.md); 400 would bring little more, for
// half as much memory again. The soft limit keeps a backlog from taking three
// times its size.
const (
	gcPercent   = 200
	memorySpare = 128 << 20 // bytes beside twice the bound on bodies in flight
)

// collectSeldom sets both and returns what undoes it. inFlight is the bound on
// bodies in flight, in bytes.
func collectSeldom(lookup func(string) (string, bool), inFlight int64) (undo func()) {
	percent, limit := -1, int64(-1)
	if _, set := lookup("GOGC"); !set {
		percent = debug.SetGCPercent(gcPercent)
		if _, set := lookup("GOMEMLIMIT"); !set {
			limit = debug.SetMemoryLimit(memorySpare + 2*inFlight)
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
