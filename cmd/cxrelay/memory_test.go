package main

import (
	"runtime/debug"
	"testing"

	"github.com/cxrelay/cxrelay/internal/config"
)

// The operator's own settings stay; without them both are set, and undone.
func TestCollectSeldom(t *testing.T) {
	const percentBefore, limitBefore = 90, int64(1) << 40
	defer debug.SetGCPercent(debug.SetGCPercent(percentBefore))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limitBefore))
	tests := map[string]struct {
		env     []string
		percent int
		limit   int64
	}{
		"nothing set":    {nil, gcPercent, memorySpare + 64<<20 + 100*connectionCost},
		"GOGC set":       {[]string{"GOGC"}, percentBefore, limitBefore},
		"GOMEMLIMIT set": {[]string{"GOMEMLIMIT"}, gcPercent, limitBefore},
		"both set":       {[]string{"GOGC", "GOMEMLIMIT"}, percentBefore, limitBefore},
	}
	for name, tt := range tests {
		lookup := func(key string) (string, bool) {
			for _, set := range tt.env {
				if set == key {
					return "1", true
				}
			}
			return "", false
		}
		undo := collectSeldom(lookup, config.Limits{InFlightBytes: 64 << 20, Connections: 100})
		percent := debug.SetGCPercent(percentBefore)
		debug.SetGCPercent(percent)
		if limit := debug.SetMemoryLimit(-1); percent != tt.percent || limit != tt.limit {
			t.Errorf("%s: %d %% and %d bytes, want %d and %d", name, percent, limit, tt.percent, tt.limit)
		}
		undo()
		percent = debug.SetGCPercent(percentBefore)
		if limit := debug.SetMemoryLimit(-1); percent != percentBefore || limit != limitBefore {
			t.Errorf("%s: %d %% and %d bytes afterwards", name, percent, limit)
		}
	}
}
