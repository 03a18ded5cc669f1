// Package storm sends a relay into a storm of faults, under load and under
// attack, and judges afterwards whether it kept its promise. DESIGN.md says
// what belongs where.
package storm

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
	"github.com/cxrelay/cxrelay/test/storm/chaos"
	"github.com/cxrelay/cxrelay/test/storm/journal"
	"github.com/cxrelay/cxrelay/test/storm/judge"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// Kafka is the cluster that the relay writes to.
type Kafka interface {
	Brokers() []string     // host:port, what the relay is given
	Faults() []chaos.Fault // what may happen to it

	// Forgetful tells whether brokers that were killed forget what producers
	// have written (see judge.Judge).
	Forgetful() bool
}

// Options say how long and how hard the storm is. All but Log are required.
type Options struct {
	Relay   string // the binary
	Dir     string // for everything that is written, empty
	Kafka   Kafka
	Seed    uint64
	Length  time.Duration // of load and faults together
	Goals   Goals         // for which it goes on when its length is over
	Calm    bool          // no faults
	Only    []string      // faults of these names, or, where none has it, whose names hold it; none: all
	Often   []string      // names of faults that are dealt once more for each time they stand here
	Hold    time.Duration // how long each fault lasts; 0: as long as it says
	Log     *slog.Logger
	Load    load.Options // Secret, Journal, URLs, Seed and Types are filled in
	Attacks float64      // a second
	Waves   Waves        // zero: attackers stay
	Slow    int          // connections of the fault "slow clients"
	Env     []string     // for the relay, such as GOMEMLIMIT

	ClockJumps bool // the relay has a clock of its own
	Limits     Limits
}

// Waves are for how long attackers come, and for how long they go, in turn.
type Waves struct{ Come, Go time.Duration }

// Limits are what a run must keep within, beside the promise.
type Limits struct {
	Accepted  int           // events, at least: a smaller run says nothing
	RSS       int64         // bytes
	Late      time.Duration // of an answer, beyond the deadline
	Alive     time.Duration // after the last fault, until an event is accepted within a second
	Restarted time.Duration // from the start of a relay until an event is accepted
}

// Types are the relay's built-in routes.
func Types() []load.Type {
	return []load.Type{
		{Name: "INTERACTION_CREATED", Topic: "cxone.interactions.raw"},
		{Name: "DISPOSITION_UPDATED", Topic: "cxone.dispositions.raw"},
		{Name: "QUEUE_TRANSFER", Topic: "cxone.transfers.raw"},
		{Name: "CALL_DISCONNECTED", Topic: "cxone.calls.terminated"},
	}
}

// Topics are where they lead.
func Topics() []string {
	var all []string
	for _, t := range Types() {
		all = append(all, t.Topic)
	}
	return all
}

// Of what every run is made.
const (
	Partitions = 8 // of each topic; pinned
	subject    = "cxone-data-action-v1"
	schema     = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["actionType","contactId"],` +
		`"properties":{"actionType":{"type":"string"},"contactId":{"type":["string","number"]},"a":{"type":"integer"}}}`
	secret   = "the secret of the storm"
	stampKey = "the key of the storm's hooks, 32 bytes and more" // of signatures with a time
	maxBody  = 960 << 10
	deadline = 2 * time.Second

	attackers = 64 // attacks at the same time
)

// Run is one storm. The error tells what kept it from being one; a broken
// promise is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &storm{Options: o, facts: Facts{Faults: map[string]int{}}, random: rand.New(rand.NewPCG(o.Seed, 7))} //nolint:gosec // a schedule, no secret
	err := s.start(ctx)
	defer s.end()
	if err != nil {
		return nil, err
	}
	if err := s.blow(ctx); err != nil {
		return nil, err
	}
	return s.judge(ctx)
}

type storm struct {
	Options
	random   *rand.Rand
	journal  *journal.Writer
	relay    *relay
	registry *chaos.Registry
	network  *chaos.Proxy // before the registry
	server   *http.Server
	watch    *watch
	stats    load.Stats
	kills    atomic.Int64
	facts    Facts
}

func (s *storm) path(name string) string { return filepath.Join(s.Dir, name) }

func (s *storm) start(ctx context.Context) (err error) {
	if s.journal, err = journal.Create(s.path("journal")); err != nil {
		return err
	}
	s.registry = &chaos.Registry{Subject: subject, Schema: schema}
	s.registry.Set(chaos.Well)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	s.server = &http.Server{Handler: s.registry, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.server.Serve(l) }() // until end
	if s.network, err = chaos.NewProxy("127.0.0.1:0", l.Addr().String()); err != nil {
		return err
	}
	if s.relay, err = newRelay(s, "http://"+s.network.Addr()); err != nil {
		return err
	}
	if err = s.relay.start(); err != nil {
		return err
	}
	if err = s.relay.untilReady(ctx, 30*time.Second); err != nil {
		return err
	}
	s.watch = newWatch(s.relay)
	return nil
}

// end leaves nothing behind but files.
func (s *storm) end() {
	if s.relay != nil {
		s.relay.kill()
	}
	if s.network != nil {
		s.network.Close()
	}
	if s.server != nil {
		_ = s.server.Close()
	}
}

// blow is the storm itself: load and attacks all the time, faults but for the
// first and the last seconds, then calm until everything is settled.
func (s *storm) blow(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	problems := make(chan error, 4)
	run := func(what string, do func() error) {
		all.Go(func() {
			if err := do(); err != nil {
				problems <- fmt.Errorf("%s: %w", what, err)
				stop()
			}
		})
	}
	sending, enough := context.WithCancel(ctx)
	defer enough()
	calm := make(chan struct{})
	run("length", func() error { defer enough(); s.last(sending, calm); return nil })
	run("load", func() error { return load.Run(sending, s.load(), &s.stats) })
	if s.Attacks > 0 {
		run("attacks", func() error { return s.attack(sending) })
	}
	watching, watched := context.WithCancel(ctx)
	defer watched()
	run("watch", func() error { s.watch.run(watching); return nil })
	run("faults", func() error {
		defer watched()
		defer func() { <-sending.Done() }()
		return s.faults(sending, calm)
	})
	all.Wait()
	close(problems)
	if err := <-problems; err != nil {
		return err
	}
	return ctx.Err()
}

// attack lets attackers come. In waves each coming and going is in the journal.
func (s *storm) attack(ctx context.Context) error {
	o := load.AttackOptions{
		Address: s.relay.listen, Path: path, Secret: secret, Timed: timed, Stamped: load.Stamped{Key: stampKey},
		Journal: s.journal, Seed: s.Seed, Rate: s.Attacks, MaxBody: maxBody, Beside: attackers,
	}
	if s.Waves == (Waves{}) {
		return load.Storm(ctx, o)
	}
	for pace.Wait(ctx, front); ctx.Err() == nil; o.Seed++ {
		s.journal.Mark(time.Now(), Quiet)
		pace.Wait(ctx, s.Waves.Go)
		s.journal.Mark(time.Now(), Attacked)
		wave, gone := context.WithTimeout(ctx, s.Waves.Come)
		err := load.Storm(wave, o)
		gone()
		if err != nil {
			return err
		}
	}
	return nil
}

// What windows are called in which attackers are gone and there.
const (
	Quiet    = "attackers go"
	Attacked = "attackers come"
)

func (s *storm) load() load.Options {
	o := s.Load
	o.URLs, o.Secret, o.Journal, o.Seed, o.Types, o.MaxBody = []string{s.relay.url}, secret, s.journal, s.Seed, Types(), maxBody-1024
	o.Stamped = load.Stamped{URLs: []string{"http://" + s.relay.listen + timed}, Key: stampKey, Share: 0.2}
	if s.ClockJumps {
		o.Stamped.Share = 0 // what was signed just now is stale
	}
	return o
}

// faults begins and ends one fault after the other until calm is closed, and
// looks in the end whether the relay is alive.
func (s *storm) faults(ctx context.Context, calm <-chan struct{}) error {
	pause := func(d time.Duration) bool { return pace.Wait(ctx, d) }
	blowing := func() bool {
		select {
		case <-calm:
			return false
		default:
			return !s.Calm
		}
	}
	if !pause(front) {
		return nil
	}
	some := s.chosen()
	if len(some) == 0 {
		return fmt.Errorf("no fault has a name with one of %q in it", s.Only)
	}
	list := chaos.NewDeck(some, s.random)
	for blowing() {
		fault, length := list.Draw()
		if err := s.fault(ctx, fault, length); err != nil {
			return err
		}
		if !pause(time.Duration(s.random.Int64N(int64(2 * time.Second)))) {
			break
		}
	}
	took, err := s.relay.alive(context.WithoutCancel(ctx), s.Limits.Alive)
	s.facts.Alive = took
	if err != nil {
		s.facts.fault("DEAD: %v", err)
	}
	return nil
}

// chosen are the faults of this run.
func (s *storm) chosen() []chaos.Fault {
	all := append(s.Kafka.Faults(), s.ownFaults()...)
	for _, f := range all {
		if f.Name == "the brokers hang" {
			all = append(all, s.killedMeanwhile(f))
		}
	}
	for _, name := range s.Often {
		if i := slices.IndexFunc(all, func(f chaos.Fault) bool { return f.Name == name }); i >= 0 {
			all = append(all, all[i])
		}
	}
	wanted := func(f chaos.Fault, text string) bool {
		if slices.ContainsFunc(all, func(f chaos.Fault) bool { return f.Name == text }) {
			return f.Name == text
		}
		return strings.Contains(f.Name, text)
	}
	return slices.DeleteFunc(slices.Clone(all), func(f chaos.Fault) bool {
		return len(s.Only) > 0 && !slices.ContainsFunc(s.Only, func(text string) bool { return wanted(f, text) })
	})
}

func (s *storm) fault(ctx context.Context, f chaos.Fault, length time.Duration) error {
	s.Log.Info("fault", "what", f.Name, "for", length)
	s.journal.Mark(time.Now(), f.Name)
	if err := f.Begin(ctx); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	s.facts.Faults[f.Name]++
	if f.End == nil {
		if f.Lasts > 0 {
			pace.Wait(ctx, f.Lasts)
			s.journal.Mark(time.Now(), endMark+f.Name)
		}
		return nil
	}
	if s.Hold > 0 {
		length = s.Hold
	}
	pace.Wait(ctx, length)
	s.journal.Mark(time.Now(), endMark+f.Name)
	if err := f.End(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("end %s: %w", f.Name, err)
	}
	return nil
}

// judge ends the relay and looks at what is left.
func (s *storm) judge(ctx context.Context) (*Report, error) {
	s.watch.look()
	s.relay.settle(ctx, &s.facts)
	found := leaks{&s.facts}
	found.running(ctx, s.relay)
	s.relay.term(&s.facts)
	const dump = "the relay dumps its stacks"
	s.journal.Mark(time.Now(), dump)
	s.facts.Faults[dump]++
	found.crash(ctx, s.relay)
	if err := s.journal.Close(); err != nil {
		return nil, err
	}
	reading, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	v, err := judge.Evidence{
		Journal: s.path("journal"), Log: s.relay.log, Brokers: s.Kafka.Brokers(),
		Accepted: s.Limits.Accepted, Forgetful: s.Kafka.Forgetful(), AnyTime: s.ClockJumps,
	}.Judge(reading)
	if err != nil {
		return nil, err
	}
	return s.report(v)
}
