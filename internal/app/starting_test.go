package app_test

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestStarting: what is sent between the opening of the listener and the first
// sight of the topics is told that the relay does not know yet, whatever keeps
// it from knowing: never that a topic cannot be written.
func TestStarting(t *testing.T) {
	// The broker answers nothing for two seconds, as soon as it is there.
	hangs := func(w *world) {
		time.AfterFunc(5*time.Millisecond, func() { w.kafka.Hang(0) })
		time.AfterFunc(2*time.Second, w.kafka.Heal)
	}
	fault := func(key kmsg.Key, err *kerr.Error) func(*world) {
		return func(w *world) {
			w.kafka.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, TopLevel: true, Err: err, Count: 5})
		}
	}
	for name, arrange := range map[string]func(*world){
		"nothing wrong":              func(*world) {},
		"a broker that hangs first":  hangs,
		"producer ids come later":    fault(kmsg.InitProducerID, kerr.CoordinatorLoadInProgress),
		"producer ids time out":      fault(kmsg.InitProducerID, kerr.RequestTimedOut),
		"topic settings do not come": fault(kmsg.DescribeConfigs, kerr.RequestTimedOut),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{away: true})
				defer w.end()
				arrange(w)
				w.kafka.Heal()
				told := map[string]int{}
				for n, accepted := 0, 0; accepted < len(topicByType); n++ {
					if n == 2000 {
						t.Fatalf("answered %v, and never accepted", told)
					}
					accepted = 0
					for _, kind := range slices.Sorted(maps.Keys(topicByType)) {
						why := w.send(event(kind, "c1", n))
						told[why]++
						if why == "accepted" {
							accepted++
						}
					}
					time.Sleep(10 * time.Millisecond)
				}
				for why := range told {
					if why != "accepted" && why != "kafka_unavailable" && why != "schema_unavailable" {
						t.Errorf("answered %v", told)
						break
					}
				}
				if told["kafka_unavailable"] == 0 {
					t.Errorf("answered %v: nothing was sent before the topics were seen, this shows little", told)
				}
				t.Logf("answered %v", told)
			})
		})
	}
}
