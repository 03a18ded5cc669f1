package app

import (
	"context"
	"time"
)

// Pace of the look at the files.
const (
	pollEvery  = 10 * time.Second
	pollSettle = time.Second // two looks so far apart see the same, else somebody still writes
)

// What asks for a reload, as the log says it.
const (
	bySignal  = "SIGHUP"
	byRequest = "request"
	byPolling = "polling"
)

// run reloads at every hangup, and when a file that the configuration was read
// from has changed. While the last reload failed it tries again at every look:
// what was missing may have come. It returns when ctx ends or the relay stops.
func (r *reloader) run(ctx context.Context) error {
	if r.a.opts.Source == nil {
		return nil
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.life.Done():
			return nil
		case <-r.a.opts.Hangup:
			_, _ = r.reload(bySignal) // noted already
		case <-tick.C:
			if !r.outcome.ok() || r.filesChanged(ctx) {
				_, _ = r.reload(byPolling) // noted already
			}
		}
	}
}

// filesChanged tells whether a file has another content than when it was
// loaded, and has come to rest.
func (r *reloader) filesChanged(ctx context.Context) bool {
	source := r.a.opts.Source
	var now contents
	look := func() bool { return r.unheld(func() { now = source.now() }) }
	if !look() {
		return false
	}
	for !now.same(source.loaded()) {
		select {
		case <-ctx.Done():
			return false
		case <-r.life.Done():
			return false
		case <-time.After(pollSettle):
		}
		before := now
		if !look() {
			return false
		}
		if now.same(before) {
			return true
		}
	}
	return false
}
