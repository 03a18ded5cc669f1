package kafka_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/kafka"
)

// TestClockAhead: records that Kafka refuses for their time are the topic's
// refusal, one line says that it is the clock, and the problem lasts until a
// record of that topic is taken, or for minutes without another refusal.
func TestClockAhead(t *testing.T) {
	for name, later := range map[string]func(t *testing.T, r *rig){
		"the clock is set": func(t *testing.T, r *rig) {
			r.send("a", 0, 100)
			until(t, "no problem", 16*time.Second, func() bool { return len(r.Problems()) == 0 })
		},
		"nobody sends any more": func(t *testing.T, r *rig) {
			until(t, "no problem", 6*time.Minute, func() bool { return len(r.Problems()) == 0 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, log := newVirtual(t, kafka.Security{}, nil)
				defer r.stop()
				until(t, "topic", 5*time.Second, func() bool { _, ok := r.topic("b"); return ok })
				refused := r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "a", Err: kerr.InvalidTimestamp, Count: -1})
				for n := range 90 {
					r.send("a", 0, n)
					r.send("b", 1, n) // another topic that goes on clears nothing
					time.Sleep(time.Second)
				}
				until(t, "all settled", time.Second, func() bool { return r.settled() == 180 })
				if len(r.failed) != 90 || !errors.Is(r.failed[0], event.ErrTopicUnavailable) || !strings.Contains(r.failed[0].Error(), "this machine's") {
					t.Errorf("%d failed, the first with %v", len(r.failed), r.failed[0])
				}
				if a, _ := r.topic("a"); a.Err != nil {
					t.Errorf("the topic is reported: %v", a.Err)
				}
				p := r.Problems()
				if len(p) != 1 || p[0].Notice || !strings.Contains(p[0].Remedy, "NTP") || !strings.Contains(p[0].Cause, "; topics a: ") {
					t.Errorf("problems: %+v", p)
				}
				said := log.with("kafka connection problem")
				if len(said) != 1 || !strings.Contains(said[0], "level=ERROR") || !strings.Contains(said[0], "clock") {
					t.Errorf("log: %v", said)
				}
				refused.Remove()
				later(t, r)
				if over := log.with("problem is over"); len(over) != 1 {
					t.Errorf("log: %v", over)
				}
			})
		})
	}
}

// TestRightsAreNotWaitedFor: a broker that hangs up when it is asked for a
// producer id, which kgo asks again and again, holds up neither the look at topics nor, by more than one
// question for all of them, their first sight.
func TestRightsAreNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r, _ := newVirtual(t, kafka.Security{}, func(c *kfake.Cluster) {
			c.ControlKey(int16(kmsg.InitProducerID), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				return nil, errors.New("hang up"), true
			})
		})
		defer r.stop()
		until(t, "both topics", time.Minute, func() bool {
			_, a := r.topic("a")
			_, b := r.topic("b")
			return a && b
		})
		if took := time.Since(began); took > 7*time.Second { // 3 s for the right, 3 s for the id of the producer that both share
			t.Errorf("topics are known after %s", took)
		}
		if p := r.Problems(); len(p) != 0 {
			t.Errorf("no answer is taken for a denial: %v", p)
		}
	})
}
