package app_test

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Figures of a storm. All times are virtual.
const (
	stormLength   = 30 * time.Second // of the faults
	stormAlive    = 45 * time.Second // after the last fault everything is accepted again
	stormWell     = 2 * time.Minute  // after that nothing is reported as wrong any more
	stormStop     = 13 * time.Second // shutdown.timeout, and last words
	stormDeadline = 2 * time.Second  // of the source
	stormBody     = 4 << 10          // limits.body
	stormContacts = 10
	stormLeast    = 30 // accepted events; with less a run says nothing
)

// storm is one run: a world, senders, attackers, and a schedule of faults. The
// seed decides all of it; not what goroutines do in between.
type storm struct {
	w    *world
	seed uint64
	plan plan

	setup setup     // what the last good configuration says
	rig   *security // nil: brokers let everybody in

	end   atomic.Bool   // senders begin nothing new
	last  atomic.Bool   // senders insist no more
	turns atomic.Int64  // relays that began or ended
	moves atomic.Int64  // turns that are under way
	hand  chan struct{} // holds one: who takes it may change which relays there are, or how they know senders
}

func (st *storm) over() bool    { return st.end.Load() }
func (st *storm) tooLate() bool { return st.last.Load() }

// steady tells whether no relay is being started, stopped or killed.
func (st *storm) steady() bool { return st.moves.Load() == 0 }

// TestStorm is the storm of test/storm in virtual time: a whole relay, three
// brokers and a registry in memory, senders with habits, attackers, and faults
// of all kinds, for many seeds. A seed repeats the schedule and the traffic,
// not the race.
//
//	CXRELAY_SEEDS=1000 go test -run TestStorm ./internal/app             more of them
//	CXRELAY_SEED=42 CXRELAY_SEEDS=1 go test -run TestStorm ./internal/app  this one
//	CXRELAY_FAULTS='hang|kill' go test -run TestStorm ./internal/app       these faults alone
func TestStorm(t *testing.T) {
	number := func(name string, otherwise int) int {
		n, err := strconv.Atoi(cmp.Or(os.Getenv(name), strconv.Itoa(otherwise)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	first, seeds := number("CXRELAY_SEED", 1), number("CXRELAY_SEEDS", stormSeeds)
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			defer func() {
				if p := recover(); p != nil { // goroutines that are left, or all of them blocked
					panic(fmt.Sprintf("seed %d: %v", seed, p))
				}
			}()
			synctest.Test(t, func(t *testing.T) { blow(t, uint64(seed)) }) //nolint:gosec // a number from 1
		})
	}
}

// blow is one storm.
func blow(t *testing.T, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // no secret
	st := &storm{seed: seed, setup: setup{secrets: []string{"a"}, pins: 8}, hand: make(chan struct{}, 1)}
	st.hand <- struct{}{}
	o := worldOptions{topics: append([]string{"four", "five"}, seedTopics...), registry: subjects("cxone-data-action-v1")}
	if dice.IntN(6) == 0 {
		st.rig = &security{password: "kafka-0"}
		o.cluster = []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "relay", st.rig.password), kfake.Superuser("SCRAM-SHA-256", "admin", "admin")}
	}
	if os.Getenv("CXRELAY_DEBUG") != "" {
		o.level = slog.LevelDebug
	}
	o.files = newFiles(map[string]string{"relay.yaml": st.setup.yaml(st.rig), "a.secret": testSecret, "b.secret": "the-next-secret", "kafka.secret": "kafka-0"})
	var only *regexp.Regexp
	if text := os.Getenv("CXRELAY_FAULTS"); text != "" {
		only = regexp.MustCompile(text)
	}
	st.plan = newPlan(dice, st.rig != nil, only)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again: CXRELAY_SEED=%d CXRELAY_SEEDS=1 go test -run TestStorm ./internal/app\n%s", seed, st.plan)
		}
	})
	st.w = newWorld(t, o)
	defer st.w.end()
	if st.rig != nil {
		st.w.reader = []kgo.Opt{kgo.SASL(scram.Auth{User: "admin", Pass: "admin"}.AsSha256Mechanism())}
	}
	st.w.untilReady()
	began := time.Now()
	var busy, traffic sync.WaitGroup
	pace := []int{400, 400, 400, 4000}[dice.IntN(4)] // a quiet hour, sometimes
	for c := range stormContacts {
		s := &sender{st: st, contact: fmt.Sprintf("c%d", c), habit: habit(c) % habits, pace: 50*time.Millisecond + time.Duration(dice.IntN(pace))*time.Millisecond, stream: uint64(c + 1)} //nolint:gosec // a number
		traffic.Go(s.run)
	}
	for c := range uint64(2) {
		traffic.Go(func() { st.attack(100 + c) })
	}
	busy.Go(st.watchBooks)
	for _, lane := range st.plan.lanes {
		busy.Go(func() { st.follow(lane, began) })
	}
	st.finish(&busy, &traffic)
}

// finish waits for the schedule, heals what is left of it, and judges.
func (st *storm) finish(busy, traffic *sync.WaitGroup) {
	w := st.w
	time.Sleep(stormLength)
	st.end.Store(true)
	busy.Wait()
	w.kafka.Heal()
	st.probe()
	st.last.Store(true)
	traffic.Wait()
	st.within(stormAlive, "LEFT: records or requests are under way", func() bool { return w.app.Books().Pending == 0 && w.app.Books().InFlight == 0 })
	st.within(stormWell, "NOT WELL", func() bool { r := w.app.Readiness(); return r.Ready && len(r.Degraded) == 0 })
	st.calm()
	s := w.scrape()
	w.balances(s)
	for _, name := range []string{"cxrelay_body_bytes_in_flight", "cxrelay_record_bytes_in_flight", "cxrelay_records_pending"} {
		if _, there := s.kind[name]; !there || s.sum(name) != 0 {
			w.t.Errorf("LEFT: %s is %v at the end", name, s.sum(name))
		}
	}
	for _, r := range w.relays[:len(w.relays)-1] {
		if err := r.end(); err != nil && !r.killed() {
			w.t.Errorf("STOP: %s: %v", r.instance, err)
		}
	}
	v := w.judge()
	if v.accepted < stormLeast {
		w.t.Errorf("TOO FEW: %+v", v)
	}
	w.t.Logf("%+v, %d relays", v, len(w.relays))
}

// probe sends to every topic until each event is accepted.
func (st *storm) probe() {
	began := time.Now()
	for c := range 4 {
		for i, kind := range stormTypes()[:4] {
			s := event(kind, fmt.Sprintf("probe-%d", c), i)
			s.key = keyOf(s.contact)
			st.w.journal.add(s)
			for st.attempt(s, 0) != 200 {
				if time.Since(began) > stormAlive {
					st.w.t.Errorf("DEAD: %s after the last fault %s is answered %v; readiness %+v", time.Since(began), s.id, s.reasons, st.w.app.Readiness())
					return
				}
				time.Sleep(500 * time.Millisecond)
			}
		}
	}
}

// calm: when all is well everything is accepted at once, also by a relay that
// has had nothing to do for a while.
func (st *storm) calm() {
	for n := range 4 {
		time.Sleep(700 * time.Millisecond * time.Duration(n))
		for _, kind := range stormTypes()[:4] {
			s := event(kind, "calm-"+kind, n)
			s.key = keyOf(s.contact)
			st.w.journal.add(s)
			if st.attempt(s, 0) != 200 {
				st.w.t.Errorf("NOT WELL: %s is answered %v", s.id, s.reasons)
			}
		}
	}
}

// within waits for what must come true.
func (st *storm) within(limit time.Duration, what string, ok func() bool) {
	for began := time.Now(); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > limit {
			st.w.t.Errorf("%s, for %s: %+v %+v", what, limit, st.w.app.Readiness(), st.w.app.Books())
			return
		}
	}
}

// watchBooks looks at the books of every relay at random moments.
func (st *storm) watchBooks() {
	dice := rand.New(rand.NewPCG(st.seed, 1)) //nolint:gosec // no secret
	for !st.over() {
		time.Sleep(time.Duration(1 + dice.IntN(200*int(time.Millisecond))))
		for _, r := range st.live() {
			st.w.booksBalance(r, r.app.Books())
		}
	}
}

// act is something that goes wrong for a while, or once.
type act struct {
	name   string
	length time.Duration
	begin  func(*storm)
	end    func(*storm) // may be nil
}

// step is an act with the pause before it.
type step struct {
	pause time.Duration
	act   act
}

// lane is what one hand does, one after the other.
type lane []step

// plan is what happens, drawn from the seed before anything does.
type plan struct{ lanes []lane }

func (p plan) String() string {
	var b strings.Builder
	for i, l := range p.lanes {
		at := time.Duration(0)
		for _, s := range l {
			at += s.pause
			fmt.Fprintf(&b, "lane %d, from %7.3fs for %7.3fs: %s\n", i, at.Seconds(), s.act.length.Seconds(), s.act.name)
			at += s.act.length
		}
	}
	return b.String()
}

// newPlan draws a schedule, of some faults only if they are named.
func newPlan(dice *rand.Rand, secured bool, only *regexp.Regexp) plan {
	var p plan
	decks := [][]func(*rand.Rand) act{wireFaults(), kafkaFaults(), registryFaults(), reloads(secured), restarts()}
	for _, deck := range decks {
		var l lane
		for at, tries := time.Duration(0), 0; tries < 500; tries++ {
			s := step{time.Duration(dice.Int64N(int64(8 * time.Second))), deck[dice.IntN(len(deck))](dice)}
			if only != nil && !only.MatchString(s.act.name) {
				continue
			}
			if at += s.pause + s.act.length; at > stormLength {
				break
			}
			l = append(l, s)
		}
		p.lanes = append(p.lanes, l)
	}
	return p
}

// follow does what a lane says.
func (st *storm) follow(l lane, began time.Time) {
	for _, s := range l {
		time.Sleep(s.pause)
		s.act.begin(st)
		time.Sleep(s.act.length)
		if s.act.end != nil {
			s.act.end(st)
		}
		if time.Since(began) > 2*stormLength {
			return
		}
	}
}
