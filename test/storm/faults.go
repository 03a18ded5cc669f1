package storm

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
	"github.com/cxrelay/cxrelay/test/storm/chaos"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// ownFaults are those of the relay itself, its registry and its senders.
func (s *storm) ownFaults() []chaos.Fault {
	all := []chaos.Fault{
		{Name: "the relay is killed", Begin: func(ctx context.Context) error { s.kill(); return s.back(ctx) }},
		{Name: "the relay is restarted", Begin: func(ctx context.Context) error { s.watch.look(); s.relay.term(&s.facts); return s.back(ctx) }},
		{Name: "the relay is reloaded many times", Begin: s.reloads()},
		{Name: "the registry is cut off", Min: time.Second, Max: 4 * time.Second,
			Begin: func(context.Context) error {
				s.network.Set(chaos.Weather{Refuse: true})
				s.network.Cut(true)
				return nil
			},
			End: func(context.Context) error { s.network.Set(chaos.Weather{}); return nil }},
	}
	for _, mood := range []chaos.Mood{chaos.Throttles, chaos.Fails, chaos.Hangs, chaos.Garbage, chaos.Huge, chaos.Changed} {
		all = append(all, chaos.Fault{
			Name: "the registry " + string(mood), Min: time.Second, Max: 3 * time.Second,
			Begin: func(context.Context) error { s.registry.Set(mood); return nil },
			End:   func(context.Context) error { s.registry.Set(chaos.Well); return nil },
		})
	}
	if s.Slow > 0 {
		all = append(all, s.slowClients())
	}
	return all
}

// killedMeanwhile kills the relay when it has much under way.
func (s *storm) killedMeanwhile(f chaos.Fault) chaos.Fault {
	end := f.End
	f.Name = "the relay is killed while " + f.Name
	f.End = func(ctx context.Context) error {
		s.kill()
		if err := end(ctx); err != nil {
			return err
		}
		return s.back(ctx)
	}
	return f
}

// kill ends the relay as a power cut would, and counts it.
func (s *storm) kill() {
	s.watch.look()
	s.relay.kill()
	s.kills.Add(1)
}

// back starts the relay again, and measures how long it takes until an event
// is accepted.
func (s *storm) back(ctx context.Context) error {
	began := time.Now()
	s.facts.Starts++
	if err := s.relay.start(); err != nil {
		return err
	}
	for !s.relay.probe(ctx) {
		if time.Since(began) > 30*time.Second {
			return s.relay.untilReady(ctx, time.Second)
		}
		if !pace.Wait(ctx, 5*time.Millisecond) {
			return nil
		}
	}
	took := time.Since(began)
	s.facts.Restart = max(s.facts.Restart, took)
	s.facts.Restarts = append(s.facts.Restarts, took)
	return nil
}

// reloads writes another configuration fifteen times and asks for it each
// time: another secret beside the one in use, another limit, the routes in
// another order, and every third time a file that must be refused.
func (s *storm) reloads() func(context.Context) error {
	return func(ctx context.Context) error {
		for n := range 15 {
			text := s.relay.config(fmt.Sprintf("another secret %d", n), fmt.Sprintf("limits: {oldest_unacked: %ds}\n%s", 10+n%2, routes(n)))
			if n%3 == 2 {
				text += "unknown: key\n"
			}
			if err := os.WriteFile(s.path(configFile), []byte(text), 0o600); err != nil {
				return err
			}
			if err := s.relay.current().Signal(syscall.SIGHUP); err != nil {
				return err
			}
			pace.Wait(ctx, 100*time.Millisecond)
		}
		return os.WriteFile(s.path(configFile), []byte(s.relay.config("", "")), 0o600)
	}
}

// routes are those that are built in, in the n-th order, with another between them.
func routes(n int) string {
	var b strings.Builder
	b.WriteString("routes:\n")
	types := Types()
	for i := range types {
		t := types[(i+n)%len(types)]
		fmt.Fprintf(&b, "  - {type: %q, topic: %q}\n", t.Name, t.Topic)
		if i == n%len(types) {
			fmt.Fprintf(&b, "  - {type: \"NEVER_%d_*\", drop: true}\n", n)
		}
	}
	return b.String()
}

func (s *storm) slowClients() chaos.Fault {
	var stop context.CancelFunc
	done := make(chan struct{}, 1)
	return chaos.Fault{
		Name: "slow clients", Min: 3 * time.Second, Max: 6 * time.Second,
		Begin: func(ctx context.Context) error {
			ctx, stop = context.WithCancel(ctx)
			go func() {
				var closed atomic.Int64
				load.Slow(ctx, load.SlowOptions{Address: s.relay.listen, Path: path, Connections: s.Slow, Seed: s.Seed, Every: time.Second}, &closed)
				done <- struct{}{}
			}()
			return nil
		},
		End: func(context.Context) error { stop(); <-done; return nil },
	}
}
