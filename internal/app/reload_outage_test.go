package app_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestReloadsThroughOutages: topics, subjects, pins and modes come and go while
// Kafka does too, and senders go on all the time. Nothing accepted is lost or
// reordered, no sequence begins anew, and the books balance in every scrape.
func TestReloadsThroughOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles(), topics: append([]string{"four", "five"}, seedTopics...), registry: subjects("cxone-data-action-v1", "new")})
		defer w.end()
		w.untilReady()
		variants := []string{
			baseConfig,
			baseConfig + "  - {type: NEW, topic: four, subject: new}\n",
			baseConfig + "  - {type: NEW, topic: four, subject: new, version: 1}\nkafka: {partitions: {four: 8}}\n",
			baseConfig + "  - {type: NEW, topic: four}\n  - {type: OTHER, topic: missing}\n", // refused
			baseConfig + "  - {type: OTHER, topic: five}\n",
			baseConfig + "  - {type: OTHER, topic: five}\n  - {type: NEW, topic: four}\n",
			strings.Replace(baseConfig, "  - {type: QUEUE_TRANSFER, topic: cxone.transfers.raw}\n", "", 1),
			baseConfig + "schema: {mode: 'off'}\n",
			baseConfig + "schema: {max_age: 1h}\n",
		}
		end := time.Now().Add(3 * time.Minute)
		var busy sync.WaitGroup
		busy.Go(w.load(8, 200*time.Millisecond, end))
		for c := 100; c < 108; c++ {
			kind, topic := "NEW", "four"
			if c%4 > 1 {
				kind, topic = "OTHER", "five"
			}
			busy.Go(func() {
				for n := 0; time.Now().Before(end); n++ {
					s := event(kind, fmt.Sprintf("c%d", c), n)
					s.topic = topic
					w.insist(s)
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		busy.Go(func() { w.watchReloads(300*time.Millisecond, end) })
		busy.Go(func() {
			dice := rand.New(rand.NewPCG(1, 1))
			for time.Now().Before(end) {
				time.Sleep(time.Duration(dice.IntN(9000)) * time.Millisecond)
				w.kafka.Cut()
				time.Sleep(time.Duration(dice.IntN(14000)) * time.Millisecond)
				w.kafka.Heal()
			}
		})
		answers, dice := map[int]int{}, rand.New(rand.NewPCG(2, 2))
		for time.Now().Before(end) {
			w.files.set("relay.yaml", variants[dice.IntN(len(variants))])
			answers[w.tryReload().status]++
			time.Sleep(time.Duration(dice.IntN(3000)) * time.Millisecond)
		}
		busy.Wait()
		w.until("nothing pending", time.Minute, func() bool { return w.app.Books().Pending == 0 })
		w.balances(w.scrape())
		if v := w.judge(); v.accepted < 2000 || answers[http.StatusOK] < 20 || answers[http.StatusServiceUnavailable] < 3 {
			t.Errorf("%+v, reloads %v", v, answers)
		}
	})
}
