//go:build linux

// Command run measures what one event costs the relay in CPU time, against
// the bare floor, side by side on one machine in one run.
//
// For every case of the corpus it starts a broker with a registry, the floor
// and the relay, each as a process of its own, and gives the two servers the
// same load in turn, round after round. CPU time is what the kernel accounts to the server's process,
// all threads, during its window; figures are medians over the rounds and the
// ratio is the median of the ratios of each round. Memory is the most that the
// process ever had resident in the whole case. A figure without the
// other beside it means nothing: machines differ, and so do their neighbors.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/cxrelay/cxrelay/test/bench/traffic"
)

// secret is shared by load generator and servers; it protects nothing.
const secret = "bench-secret"

type options struct {
	bin, relay  string
	cases       []string
	rounds      int
	window      time.Duration
	connections int
	rate        float64
	pin         bool
	format      string
}

func main() {
	// Children die with the thread that started them (see start), so main,
	// which starts them all, must keep its thread.
	runtime.LockOSThread()
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	var cases string
	var seconds float64
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.StringVar(&o.bin, "bin", "bin/bench", "folder of the programs floor, broker and load")
	flags.StringVar(&o.relay, "relay", "bin/cxrelay", "the program to measure, started as PROGRAM serve")
	flags.StringVar(&cases, "cases", "", "corpus cases, comma separated; empty for all")
	flags.IntVar(&o.rounds, "rounds", 5, "interleaved rounds per case")
	flags.Float64Var(&seconds, "seconds", 4, "length of one window")
	flags.IntVar(&o.connections, "connections", 64, "connections of the load generator")
	flags.Float64Var(&o.rate, "rate", 0, "events per second, 0 for a closed loop")
	flags.BoolVar(&o.pin, "pin", true, "keep server and surroundings on different CPUs, with taskset where it exists")
	flags.StringVar(&o.format, "format", "text", "text or json")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.window = time.Duration(seconds * float64(time.Second))
	if o.cases = strings.FieldsFunc(cases, func(r rune) bool { return r == ',' || r == ' ' }); len(o.cases) == 0 {
		o.cases = traffic.Names()
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.rounds < 1 || o.window <= 0 || o.connections < 1 || o.rate < 0:
		return o, errors.New("rounds, seconds and connections must be positive")
	case o.format != "text" && o.format != "json":
		return o, fmt.Errorf("unknown format %q", o.format)
	}
	return o, nil
}

// run measures all cases and prints them; SIGTERM ends it and its children.
func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	report := newReport(os.Stdout, o.format)
	failures := 0
	for _, name := range o.cases {
		c, err := traffic.Find(name)
		if err != nil {
			return err
		}
		servers, err := measure(ctx, o, c)
		if err != nil {
			return fmt.Errorf("case %s: %w", name, err)
		}
		failures += report.add(c, servers)
	}
	if err := report.flush(); err != nil {
		return err
	}
	if failures > 0 {
		return fmt.Errorf("%d requests were not answered 2xx", failures)
	}
	return nil
}

// sample is one window of one server.
type sample struct {
	traffic.Window
	cpu time.Duration // user and system time of the server's process
}

// server is one of the programs under measurement.
type server struct {
	name    string
	addr    string
	process *process
	samples []sample
	peak    int64 // bytes of memory, from the start to the end of the case
}

// measure runs all rounds of one case and returns the reference first.
func measure(ctx context.Context, o options, c traffic.Case) ([]*server, error) {
	ctx, cancel := context.WithCancel(ctx)
	layout := pinning(o.pin)
	var family family
	defer func() {
		cancel()
		family.wait()
	}()

	broker, addrs, err := startBroker(ctx, &family, o, layout, c.Name)
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	servers := []*server{{name: "floor"}, {name: "relay"}}
	programs := []string{filepath.Join(o.bin, "floor"), o.relay}
	for i, s := range servers {
		if err := s.start(ctx, &family, layout, programs[i], c, addrs); err != nil {
			return nil, fmt.Errorf("start %s: %w", s.name, err)
		}
		if err := s.ready(ctx, o, c); err != nil {
			return nil, fmt.Errorf("%s: %w%s", s.name, err, s.process.lastWords())
		}
	}
	if err := rounds(ctx, o, layout, c, servers); err != nil {
		return nil, fmt.Errorf("%w%s", err, broker.lastWords())
	}
	for _, s := range servers {
		if s.peak, err = s.process.peakRSS(); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return servers, nil
}

// rounds lets every server warm up once and then measures them in turn; the
// order changes from round to round, so that drift hits both alike.
func rounds(ctx context.Context, o options, layout layout, c traffic.Case, servers []*server) error {
	for _, s := range servers {
		if _, err := s.load(ctx, o, layout, c, min(o.window, time.Second)); err != nil {
			return fmt.Errorf("warm-up of %s: %w", s.name, err)
		}
	}
	for r := range o.rounds {
		for i := range servers {
			s := servers[(i+r)%len(servers)]
			sample, err := s.load(ctx, o, layout, c, o.window)
			if err != nil {
				return fmt.Errorf("round %d of %s: %w", r+1, s.name, err)
			}
			s.samples = append(s.samples, sample)
		}
	}
	return nil
}
