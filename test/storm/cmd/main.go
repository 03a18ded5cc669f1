// Command cmd runs one storm on this machine: a relay against a cluster of
// in-process brokers. "make storm" builds what it needs.
//
// It exits with 0 if every promise and limit was kept, 3 if not, and 1 if
// there was no storm.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

func main() {
	o := storm.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	var broker string
	flag.StringVar(&o.Relay, "relay", "bin/cxrelay", "the relay")
	flag.StringVar(&broker, "broker", "bin/storm/broker", "the brokers")
	flag.StringVar(&o.Dir, "dir", "", "for everything that is written; empty: a new folder, kept if a promise is broken")
	flag.DurationVar(&o.Length, "length", time.Minute, "of the storm")
	flag.IntVar(&o.Goals.Events, "events", 0, "go on until so many events came into being")
	flag.IntVar(&o.Goals.Kills, "kills", 0, "go on until the relay was killed so many times")
	flag.DurationVar(&o.Goals.Most, "most", 0, "how long it goes on for that")
	flag.Uint64Var(&o.Seed, "seed", 0, "of everything that is random; 0: a new one")
	flag.BoolVar(&o.Calm, "calm", false, "no faults")
	flag.Func("only", "the fault of this name, or all whose names hold this; may be given several times", func(s string) error { o.Only = append(o.Only, s); return nil })
	flag.Func("often", "name of a fault that is dealt more often, as name=12 for twelve times more; may be given several times", func(s string) error { return often(&o, s) })
	flag.DurationVar(&o.Hold, "hold", 0, "how long each fault lasts; 0: as it says")
	flag.Float64Var(&o.Load.Rate, "rate", 500, "events a second")
	flag.IntVar(&o.Load.Contacts, "contacts", 200, "that send")
	flag.IntVar(&o.Load.Connections, "connections", 200, "of the senders, at most")
	flag.Float64Var(&o.Attacks, "attacks", 20, "a second")
	flag.IntVar(&o.Slow, "slow", 500, "connections of the fault \"slow clients\"")
	env := flag.String("env", "", "for the relay: NAME=value, with commas between")
	rss := flag.Int64("rss", 0, "MiB that the relay may use; 0: no bound")
	flag.IntVar(&o.Limits.Accepted, "accepted", 0, "events, at least; 0: a tenth of what is sent")
	flag.Parse()
	if *env != "" {
		o.Env = strings.Split(*env, ",")
	}
	o.Limits.RSS = *rss << 20
	good, err := run(o, broker)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	case !good:
		os.Exit(3)
	}
}

// often reads name=n.
func often(o *storm.Options, text string) error {
	name, count, found := strings.Cut(text, "=")
	n := 1
	if found {
		var err error
		if n, err = strconv.Atoi(count); err != nil || n < 0 || n > 1000 {
			return fmt.Errorf("%q is no number of times", count)
		}
	}
	o.Often = append(o.Often, slices.Repeat([]string{name}, n)...)
	return nil
}

func run(o storm.Options, broker string) (good bool, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.Seed == 0 {
		o.Seed = rand.Uint64() >> 32
	}
	own := o.Dir == ""
	if own {
		if o.Dir, err = os.MkdirTemp("", "storm-"); err != nil {
			return false, err
		}
		defer func() {
			if good {
				_ = os.RemoveAll(o.Dir)
			} else {
				fmt.Printf("everything is in %s\n", o.Dir)
			}
		}()
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return false, err
	}
	if o.Limits.Accepted == 0 {
		o.Limits.Accepted = int(o.Load.Rate * o.Length.Seconds() / 10)
	}
	o.Limits.Late, o.Limits.Alive, o.Limits.Restarted = 2*time.Second, 20*time.Second, 10*time.Second
	o.Load.Habits = load.Habits{Waits: 0.5, GivesUp: 0.2, Tries: 3, Repeats: 0.02, Disconnect: 0.02}
	o.Load.Drain = 20 * time.Second
	fmt.Printf("seed %d (make storm SEED=%d)\n", o.Seed, o.Seed)
	cluster, err := storm.StartFake(ctx, broker, o.Dir)
	if err != nil {
		return false, err
	}
	defer cluster.Close()
	o.Kafka = cluster
	report, err := storm.Run(ctx, o)
	if err != nil {
		return false, err
	}
	fmt.Print(report)
	return report.Good(), nil
}
