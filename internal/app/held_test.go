package app_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestMemoryOfAnEvent: what limits.in_flight_bytes counts of an event is what
// the process holds of it while Kafka is away: small ones, whose buffer is the
// least part, and those with long texts. The bound itself is answered
// overloaded, with events that hold all of it.
func TestMemoryOfAnEvent(t *testing.T) {
	for name, body := range map[string]func(n int) string{
		"small": func(n int) string { return fmt.Sprintf(`{"actionType":"CALL_DISCONNECTED","contactId":"c-%d"}`, n) },
		"ordinary": func(n int) string {
			return fmt.Sprintf(`{"actionType":"CALL_DISCONNECTED","contactId":"c-%d","text":%q}`, n, strings.Repeat("x", 1200))
		},
		"a long member": func(n int) string {
			return fmt.Sprintf(`{"actionType":"CALL_DISCONNECTED","contactId":"%d-%s"}`, n, strings.Repeat("c", 9000))
		},
		"many members": func(n int) string {
			return fmt.Sprintf(`{"actionType":"CALL_DISCONNECTED","contactId":"c-%d","list":[%s0]}`, n, strings.Repeat("1,", 2000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { memoryOfAnEvent(t, body) })
		})
	}
}

func memoryOfAnEvent(t *testing.T, body func(n int) string) {
	const senders, bound = 20, 8 << 20
	w := newWorld(t, worldOptions{file: `
sources:
  - {name: cxone, path: /cxone/webhook, deadline: 50ms, signature: {preset: cxone, secrets: [{id: a, value: virtual-secret}]}}
routes: [{type: CALL_DISCONNECTED, topic: cxone.calls.terminated, key: raw}]
limits: {in_flight_bytes: 8MiB, body: 1MiB, oldest_unacked: 1h}
`, brokers: 1})
	defer w.end()
	w.untilReady()
	w.kafka.Cut()
	n := 0
	flood := func(until string) {
		for end := false; !end; {
			if n > 20_000 {
				t.Fatalf("no event of %d was answered %s", n, until)
			}
			var wg sync.WaitGroup
			for range senders {
				s := &sent{body: body(n)}
				n++
				wg.Go(func() { w.post(s) })
			}
			wg.Wait()
			end = until == "" || w.scrape().series[`cxrelay_events_total{reason="`+until+`",source="cxone"}`] > 0
		}
	}
	held := func() (charged, heap int64) {
		synctest.Wait()
		w.log.mu.Lock()
		w.log.b.Reset()
		w.log.mu.Unlock()
		charged = int64(w.scrape().series["cxrelay_body_bytes_in_flight"])
		var m runtime.MemStats
		for range 3 { // sync.Pool forgets with the second
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return charged, int64(m.HeapAlloc)
	}
	flood("")
	charged, heap := held()
	flood("overloaded")
	chargedThen, heapThen := held()
	charged, heap = chargedThen-charged, heapThen-heap
	pending := w.app.Books().Pending
	t.Logf("%d records hold %d bytes each, and are charged %d", pending, heap/(pending-senders), charged/(pending-senders))
	if heap > charged {
		t.Errorf("%d bytes are held, %d are charged", heap, charged)
	}
	if 2*heap < charged {
		t.Errorf("%d bytes are charged, only %d are held", charged, heap)
	}
	if chargedThen < bound*9/10 || chargedThen > bound {
		t.Errorf("%d bytes of a bound of %d are charged", chargedThen, bound)
	}
	w.kafka.Heal()
	w.until("nothing pending", time.Minute, func() bool { return w.app.Books().Pending == 0 })
	if charged, _ := held(); charged != 0 {
		t.Errorf("%d bytes are charged for nothing", charged)
	}
}
