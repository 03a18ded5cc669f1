// Command load sends signed events over a fixed number of connections for a
// fixed time and prints what came back as one JSON object.
//
// Each connection has one request under way. Without -rate the next one
// follows the answer at once (closed loop); with -rate the requests have a
// timetable, and latency counts from the planned time, so that a slow answer
// is not hidden by the requests that it held back.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cxrelay/cxrelay/test/bench/traffic"
)

// patience is how long after the end of the window an answer may still come.
const patience = 10 * time.Second

// options of one run; every load loop is bounded by duration and count.
type options struct {
	addr, name, secret string
	connections        int
	contacts           int
	duration           time.Duration
	count              int64
	rate               float64
}

func main() {
	var o options
	flag.StringVar(&o.addr, "addr", "", "host:port of the server")
	flag.StringVar(&o.name, "case", "flat", "corpus case to send")
	flag.StringVar(&o.secret, "secret", "", "webhook secret")
	flag.IntVar(&o.connections, "connections", 64, "connections, each with one request under way")
	flag.IntVar(&o.contacts, "contacts", 1000, "different contacts")
	flag.DurationVar(&o.duration, "duration", 4*time.Second, "end after this long")
	flag.Int64Var(&o.count, "count", 2_000_000, "end after this many requests")
	flag.Float64Var(&o.rate, "rate", 0, "requests per second over all connections, 0 as fast as answers come")
	flag.Parse()

	window, err := run(o)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(window)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// run drives all connections until the bounds of o, or SIGTERM.
func run(o options) (traffic.Window, error) {
	load, err := traffic.Find(o.name)
	if err != nil {
		return traffic.Window{}, err
	}
	requests, err := load.Requests(o.addr, o.secret, o.contacts)
	if err != nil {
		return traffic.Window{}, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()

	var budget atomic.Int64
	budget.Store(o.count)
	senders := make([]sender, o.connections)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range senders {
		s := &senders[i]
		*s = sender{addr: o.addr, requests: requests, next: i * len(requests) / o.connections, failed: map[string]int{}}
		if o.rate > 0 {
			s.interval = time.Duration(float64(o.connections) / o.rate * float64(time.Second))
			s.due = start.Add(s.interval * time.Duration(i) / time.Duration(o.connections))
		}
		wg.Go(func() { s.run(ctx, &budget) })
	}
	wg.Wait()
	return collect(senders, time.Since(start)), nil
}

// sender owns one connection.
type sender struct {
	addr     string
	requests [][]byte
	next     int
	interval time.Duration // between planned requests, 0: closed loop
	due      time.Time     // planned time of the next request

	conn   net.Conn
	reader *bufio.Reader

	latencies []time.Duration
	failed    map[string]int
}

// run sends until ctx ends or the budget is used up.
func (s *sender) run(ctx context.Context, budget *atomic.Int64) {
	defer s.hangUp()
	for s.wait(ctx) && budget.Add(-1) >= 0 {
		begin := time.Now()
		if s.interval > 0 {
			begin, s.due = s.due, s.due.Add(s.interval)
		}
		status, err := s.exchange(ctx)
		switch {
		case err != nil:
			s.failed["error"]++
			s.hangUp()
		case status/100 != 2:
			s.failed[strconv.Itoa(status)]++
		default:
			s.latencies = append(s.latencies, time.Since(begin))
		}
	}
}

// wait returns true when the next request is due, false when ctx has ended.
func (s *sender) wait(ctx context.Context) bool {
	pause := time.Until(s.due)
	if s.interval == 0 || pause <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// exchange sends one request and reads its answer, dialing when needed.
func (s *sender) exchange(ctx context.Context) (status int, err error) {
	if s.conn == nil {
		dialer := net.Dialer{Timeout: patience}
		if s.conn, err = dialer.DialContext(ctx, "tcp", s.addr); err != nil {
			return 0, err
		}
		s.reader = bufio.NewReader(s.conn)
	}
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := s.conn.Write(s.requests[s.next]); err != nil {
		return 0, err
	}
	s.next = (s.next + 1) % len(s.requests)
	response, err := http.ReadResponse(s.reader, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	if response.Close {
		s.hangUp()
	}
	return response.StatusCode, err
}

// hangUp closes the connection, if there is one.
func (s *sender) hangUp() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// collect sums up what the senders saw.
func collect(senders []sender, elapsed time.Duration) traffic.Window {
	w := traffic.Window{Failed: map[string]int{}, Elapsed: elapsed}
	var all []time.Duration
	for i := range senders {
		all = append(all, senders[i].latencies...)
		for status, n := range senders[i].failed {
			w.Failed[status] += n
		}
	}
	slices.Sort(all)
	if w.OK = len(all); w.OK > 0 {
		w.P50, w.P99, w.Max = all[w.OK/2], all[w.OK*99/100], all[w.OK-1]
	}
	return w
}
