// Package pace lets programs of the tests wait.
package pace

import (
	"context"
	"time"
)

// Wait returns true after d, and false when ctx ended first.
func Wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
