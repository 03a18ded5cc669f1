package app_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/reason"
)

// counters never go down.
var counters = []string{
	"cxrelay_events_received_total", "cxrelay_events_total", "cxrelay_records_produced_total", "cxrelay_records_acked_total",
	"cxrelay_records_failed_total", "cxrelay_late_acks_total", "cxone_kafka_deliveries_total", "cxone_kafka_delivery_errors_total",
}

// balances checks the equations that docs/metrics.md promises for every single
// scrape.
func (w *world) balances(s scrape) {
	w.t.Helper()
	received, answered, inFlight := s.sum("cxrelay_events_received_total"), s.sum("cxrelay_events_total"), s.sum("cxrelay_events_in_flight")
	if received != answered+inFlight {
		w.t.Errorf("received %v = answered %v + in flight %v", received, answered, inFlight)
	}
	produced, acked := s.sum("cxrelay_records_produced_total"), s.sum("cxrelay_records_acked_total")
	failed, pending := s.sum("cxrelay_records_failed_total"), s.sum("cxrelay_records_pending")
	if produced != acked+failed+pending {
		w.t.Errorf("produced %v = acked %v + failed %v + pending %v", produced, acked, failed, pending)
	}
	accepted, late := s.accepted(), s.sum("cxrelay_late_acks_total")
	if acked != accepted+late {
		w.t.Errorf("acked %v = accepted %v + late %v", acked, accepted, late)
	}
	if s.sum("cxone_kafka_producer_pending") != pending || s.sum("cxone_kafka_deliveries_total") != acked {
		w.t.Error("the seed's metrics say something else")
	}
	if inFlight < 0 || pending < 0 {
		w.t.Errorf("in flight %v, pending %v", inFlight, pending)
	}
}

// booksBalance checks the same equations in one snapshot of the books.
func (w *world) booksBalance(r *relay, s gateway.Snapshot) {
	w.t.Helper()
	var answered, accepted uint64
	for _, row := range s.Events {
		for _, why := range reason.All() {
			answered += row[why]
		}
		accepted += row[reason.Accepted]
	}
	if s.InFlight < 0 || s.Pending < 0 || s.Received != answered+uint64(s.InFlight) ||
		s.Produced != s.Acked+s.Failed+uint64(s.Pending) || s.Acked != accepted+s.LateAcks {
		w.t.Errorf("LEDGER: the books of %s do not balance: %d answered, %d accepted, %+v", r.instance, answered, accepted, s)
	}
}

// balancesAtTheEnd also wants nothing to be under way, unless the relay was
// killed.
func (w *world) balancesAtTheEnd(r *relay, s gateway.Snapshot) {
	w.t.Helper()
	w.booksBalance(r, s)
	if !r.killed() && (s.InFlight != 0 || s.Pending != 0) {
		w.t.Errorf("LEDGER: %s has %d requests and %d records under way at the end", r.instance, s.InFlight, s.Pending)
	}
}

// accepted are the accepted events of all sources.
func (s scrape) accepted() (total float64) {
	for name, v := range s.series {
		if strings.HasPrefix(name, `cxrelay_events_total{reason="accepted",`) {
			total += v
		}
	}
	return total
}

// TestLedgerInEveryScrape: three brokers hang in turn under load, for longer
// than the deadline, while two scrapers look as often as they can.
func TestLedgerInEveryScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		end := time.Now().Add(12 * time.Second)
		wait := w.load(16, 80*time.Millisecond, end)
		var scrapers sync.WaitGroup
		for _, every := range []time.Duration{80 * time.Millisecond, 83 * time.Millisecond} {
			scrapers.Go(func() { w.watchLedger(every, end) })
		}
		for node := range int32(3) {
			time.Sleep(time.Second)
			w.kafka.Hang(node)
			time.Sleep(2500 * time.Millisecond)
			w.kafka.Heal()
		}
		wait()
		scrapers.Wait()
		w.until("nothing pending", 30*time.Second, func() bool { return w.app.Books().Pending == 0 })
		w.judge()
		last := w.scrape()
		w.balances(last)
		if late, errs := last.sum("cxrelay_late_acks_total"), last.sum("cxone_kafka_delivery_errors_total"); late == 0 || errs < late {
			t.Errorf("%v late acks, %v delivery errors: the test is too tame", late, errs)
		}
	})
}

// watchLedger scrapes until end and checks each scrape, and that it saw events
// and records under way.
func (w *world) watchLedger(every time.Duration, end time.Time) {
	was := map[string]float64{}
	var inFlight, pending, scrapes int
	for ; time.Now().Before(end); time.Sleep(every) {
		s := w.scrape()
		w.balances(s)
		for _, name := range counters {
			if now := s.sum(name); now < was[name] {
				w.t.Errorf("%s went from %v to %v", name, was[name], now)
			} else {
				was[name] = now
			}
		}
		scrapes++
		if s.sum("cxrelay_events_in_flight") > 0 {
			inFlight++
		}
		if s.sum("cxrelay_records_pending") > 0 {
			pending++
		}
	}
	if scrapes < 100 || inFlight < 10 || pending < 10 {
		w.t.Errorf("%d scrapes, %d with events in flight, %d with records pending: too few", scrapes, inFlight, pending)
	}
}

// TestFailedRecords: what Kafka refuses for good is counted as failed, before
// the answer and after it, and as one delivery error; the gap in the sequence
// has its log line, and the next event is accepted.
func TestFailedRecords(t *testing.T) {
	for name, late := range map[string]bool{"before the answer": false, "after the answer": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				defer w.end()
				w.untilReady()
				w.send(event("QUEUE_TRANSFER", "c2", 0))
				// A request that hung is answered to nobody and sent again.
				denied := w.kafka.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
				want := "topic_unavailable"
				if late {
					w.hangAll()
					want = "delivery_timeout"
				}
				if why := w.send(event("QUEUE_TRANSFER", "c2", 1)); why != want {
					t.Errorf("answered %s, want %s", why, want)
				}
				w.kafka.Heal()
				w.until("nothing pending", 10*time.Second, func() bool { return w.app.Books().Pending == 0 })
				denied.Remove()
				s := w.scrape()
				w.balances(s)
				if s.sum("cxrelay_records_failed_total") != 1 || s.sum("cxone_kafka_delivery_errors_total") != 1 || s.sum("cxrelay_late_acks_total") != 0 {
					t.Errorf("%+v", w.app.Books())
				}
				w.insist(event("QUEUE_TRANSFER", "c2", 2))
				if v := w.judge(); v.accepted != 2 || v.records != 2 {
					t.Errorf("%+v", v)
				}
			})
		})
	}
}
