package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
)

// SlowOptions are what Slow needs.
type SlowOptions struct {
	Address     string // host:port of the relay
	Path        string
	Connections int
	Seed        uint64
	Every       time.Duration // one byte or header line goes out in this time
}

// Slow holds connections open as long as it is let: one in three sends its
// header line by line, one its body byte by byte, one sends nothing. A
// connection that is closed is opened again after Every. It returns when ctx
// has ended and all are closed; closed counts how often the relay ended one.
func Slow(ctx context.Context, o SlowOptions, closed *atomic.Int64) {
	var all sync.WaitGroup
	for i := range o.Connections {
		all.Go(func() {
			phase := rand.New(rand.NewPCG(o.Seed, uint64(i))).Int64N(int64(o.Every)) //nolint:gosec // a schedule, no secret
			for pace.Wait(ctx, time.Duration(phase)); ctx.Err() == nil; pace.Wait(ctx, o.Every) {
				crawl(ctx, o, i%3)
				if ctx.Err() == nil {
					closed.Add(1)
				}
			}
		})
	}
	all.Wait()
}

// crawl is one slow connection, until the relay or ctx ends it.
func crawl(ctx context.Context, o SlowOptions, how int) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return
	}
	defer conn.Close()
	gone := make(chan struct{})
	go func() { // ends when the relay closes, or we do
		defer close(gone)
		var b [512]byte
		for {
			if _, err := conn.Read(b[:]); err != nil {
				return
			}
		}
	}()
	defer func() { _ = conn.Close(); <-gone }()
	say := func(s string) bool { _, err := conn.Write([]byte(s)); return err == nil }
	front := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: slow\r\n", o.Path)
	if how == 1 {
		front += "Content-Length: 100000\r\n\r\n"
	}
	if how < 2 && !say(front) {
		return
	}
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-gone:
			return
		case <-tick.C:
		}
		if how == 0 && !say(fmt.Sprintf("X-%d: slow\r\n", n)) || how == 1 && !say(" ") {
			return
		}
	}
}
