//go:build real

package real_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
	"github.com/cxrelay/cxrelay/test/storm/journal"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// hangsVariable asks for so many rounds of TestHungLeader, which takes half a
// minute for each.
const hangsVariable = "CXRELAY_HANGS"

// The relay as it is, and two that it is measured against.
func hangVariants() map[string]real.Mutant {
	const file = "internal/kafka/client.go"
	return map[string]real.Mutant{
		"as it is": {},
		"no vigil": {File: file, Old: "c.edge.guard(c.vigil.connect)", New: "c.edge.guard(c.vigil.dial)"},
		"no vigil, 1 s overhead": {
			File: file,
			Old:  "c.edge.guard(c.vigil.connect)),\n\t\tkgo.WithHooks(c.edge),\n\t\tkgo.RequestTimeoutOverhead(requestOverhead)",
			New:  "c.edge.guard(c.vigil.dial)),\n\t\tkgo.WithHooks(c.edge),\n\t\tkgo.RequestTimeoutOverhead(requestOverhead/2)",
		},
	}
}

// TestHungLeader measures, and is no part of the suite: one broker leads every
// partition and hangs. Printed is when Kafka had given all of them to others,
// and how long after that the first record of a partition was accepted. A
// client that was started then and never met the broker that hangs shows what
// of it is Kafka's own.
func TestHungLeader(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv(hangsVariable))
	if err != nil || rounds < 1 {
		t.Skipf("measures only; %s=10 asks for ten rounds", hangsVariable)
	}
	cluster := rig.Cluster(t, real.Brokers(3))
	for _, who := range []string{"the controller", "another broker"} {
		worst := map[string][]time.Duration{}
		for range rounds {
			for name, mutant := range hangVariants() {
				t.Run(who+" hangs, relay "+name, func(t *testing.T) {
					cluster.Heal()
					id := cluster.Controller()
					if who != "the controller" {
						id = id%3 + 1
					}
					worst[name] = append(worst[name], hangs(t, rig.Cluster(t, real.Brokers(3)), mutant, id))
				})
			}
		}
		for name, all := range worst {
			slices.Sort(all)
			t.Logf("%s hangs, relay %s: last partition after %v", who, name, all)
		}
	}
}

// hangs has a broker lead everything, stops it until all partitions work
// again, and returns how long after the moves of the leaders that was.
func hangs(t *testing.T, cluster *real.Cluster, mutant real.Mutant, id int) time.Duration {
	const longest = 25 * time.Second
	relay := start(t, cluster, real.Setup{Mutant: mutant})
	cluster.LeadBy(id, storm.Topics()...)
	book := newBook(t)
	sender := book.sender(t, relay)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lanes sync.WaitGroup
	firsts := make([]*first200, 32)
	for i := range firsts {
		firsts[i] = &first200{contact: contactOf(storm.Topics()[i/8], int32(i%8))} //nolint:gosec // at most 7
		lanes.Go(func() { firsts[i].send(ctx, sender, storm.Types()[i/8]) })
	}
	real.Pass(t, 2*time.Second)
	cluster.Pause(id)
	hung := time.Now()
	for _, f := range firsts {
		f.await(hung)
	}
	real.Until(t, "all partitions have other leaders", longest, func() bool { return !cluster.Leads(id, storm.Topics()...) })
	moved := time.Now()
	fresh := make(chan time.Duration, 1)
	go func() { fresh <- freshClient(ctx, cluster.Live(), moved) }()
	var took []time.Duration
	real.Until(t, "all partitions work", longest, func() bool {
		took = nil
		for _, f := range firsts {
			if at := f.at(); !at.IsZero() {
				took = append(took, at.Sub(moved))
			}
		}
		return len(took) == len(firsts)
	})
	cluster.Continue(id)
	kafka := <-fresh
	cancel()
	lanes.Wait()
	cluster.InSync()
	slices.Sort(took)
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
	t.Logf("moved after %s; then first partition after %s, median %s, last %s; a fresh client %s; %v",
		round(moved.Sub(hung)), round(took[0]), round(took[len(took)/2]), round(took[len(took)-1]), round(kafka), journal.Time(book.attempts(t)).Refused)
	return round(took[len(took)-1])
}

// first200 sends to one partition and knows when it was first accepted again.
type first200 struct {
	contact string

	mu          sync.Mutex
	from, found time.Time
}

func (f *first200) await(from time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.from = from
}

func (f *first200) at() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.found
}

// send sends an event every 100 ms, whatever became of those before. What was
// on its way from the broker when it was stopped may arrive just after.
func (f *first200) send(ctx context.Context, s *load.Sender, kind load.Type) {
	const grace = 200 * time.Millisecond
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		all.Go(func() {
			a := s.Send(context.WithoutCancel(ctx), s.Event(f.contact, kind))
			at := time.Now()
			f.mu.Lock()
			defer f.mu.Unlock()
			if a.Status == 200 && !f.from.IsZero() && at.Sub(f.from) > grace && f.found.IsZero() {
				f.found = at
			}
		})
	}
}

// freshClient returns when a client that knows only brokers that run has had a
// record acknowledged in every partition.
func freshClient(ctx context.Context, brokers []string, since time.Time) time.Duration {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.MetadataMinAge(50*time.Millisecond), kgo.RequestTimeoutOverhead(time.Second))
	if err != nil {
		return -1
	}
	defer cl.Close()
	var records []*kgo.Record
	for _, topic := range storm.Topics() {
		for p := range int32(8) {
			records = append(records, &kgo.Record{Topic: topic, Partition: p, Value: []byte("fresh")})
		}
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return -1
	}
	return time.Since(since)
}

// contactOf finds a contact whose events go to a partition of eight.
func contactOf(topic string, partition int32) string {
	java := kgo.StickyKeyPartitioner(nil).ForTopic(topic)
	for i := 0; ; i++ {
		contact := fmt.Sprintf("h%d", i)
		if java.Partition(&kgo.Record{Topic: topic, Key: []byte(fnvKey(contact))}, 8) == int(partition) {
			return contact
		}
	}
}
