// Command judge decides again about a storm that is over, from what it left
// behind: its journal, the relay's log, and the records. These are read from a
// running cluster, or from the folder of the storm's own brokers, which it
// starts for that.
//
//	judge -dir bin/storm/last
//	judge -dir evidence -brokers kafka-1:9092,kafka-2:9092 -topics orders,calls
//
// It exits with 0 if every promise was kept, 3 if not, and 1 if it could not
// decide.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/judge"
)

type options struct {
	evidence judge.Evidence
	dir      string
	broker   string
	json     bool
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(1) // flag has said why
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	good, err := run(ctx, o, os.Stdout)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	case !good:
		os.Exit(3)
	}
}

func parse(args []string, problems io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("judge", flag.ContinueOnError)
	f.SetOutput(problems)
	list := func(dst *[]string, name, usage string) {
		f.Func(name, usage, func(s string) error { *dst = strings.Split(s, ","); return nil })
	}
	e := &o.evidence
	f.StringVar(&o.dir, "dir", "bin/storm/last", "what the storm left: journal, relay.log and, without -brokers, kafka")
	f.StringVar(&o.broker, "broker", "bin/storm/broker", "the storm's brokers, to read the records of -dir")
	list(&e.Brokers, "brokers", "host:port of a running cluster with the records, with commas between")
	list(&e.Topics, "topics", "that are read, with commas between; none: all")
	f.StringVar(&e.Journal, "journal", "", "in place of the one in -dir")
	f.StringVar(&e.Log, "log", "", "in place of the one in -dir: all logs of the relays, JSON, one after the other")
	f.IntVar(&e.Accepted, "accepted", 1, "events, at least: a smaller run says nothing")
	f.BoolVar(&e.Forgetful, "forgetful", false, "the brokers were killed, and forget then what a producer has written (those of -dir do)")
	f.BoolVar(&e.AnyTime, "any-time", false, "the relay's clock was not that of the senders")
	f.BoolVar(&o.json, "json", false, "the verdict as JSON")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		err := fmt.Errorf("%q is no flag", f.Arg(0))
		fmt.Fprintln(problems, "judge:", err)
		return o, err
	}
	return o, nil
}

// run judges and says what it found.
func run(ctx context.Context, o options, out io.Writer) (good bool, err error) {
	e := o.evidence
	if e.Journal == "" {
		e.Journal = filepath.Join(o.dir, "journal")
	}
	if e.Log == "" {
		e.Log = filepath.Join(o.dir, "relay.log")
	}
	if len(e.Brokers) == 0 {
		if _, err := os.Stat(filepath.Join(o.dir, "kafka")); err != nil {
			return false, errors.New("there are no records: give -brokers of a running cluster, or a -dir with the storm's own in it")
		}
		cluster, err := storm.StartFake(ctx, o.broker, o.dir)
		if err != nil {
			return false, err
		}
		defer cluster.Close()
		e.Brokers, e.Forgetful = cluster.Brokers(), true
	}
	v, err := e.Judge(ctx)
	if err != nil {
		return false, err
	}
	if o.json {
		err = json.NewEncoder(out).Encode(v)
	} else {
		_, err = fmt.Fprint(out, v)
	}
	return v.Good(), err
}
