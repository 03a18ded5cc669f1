package kafka_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestPartitionUnknownToTheProducer: the producer may have its metadata from a
// broker that lags behind the one that the watch has asked. A partition that
// it does not know yet costs a moment, not the minute until it asks again.
func TestPartitionUnknownToTheProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		r.settle("a", 0, 0) // the producer knows 4 partitions
		cl, err := kgo.NewClient(kgo.SeedBrokers(r.cluster.Brokers...), kgo.Dialer(r.cluster.Dial))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if _, err := kadm.NewClient(cl).UpdatePartitions(t.Context(), 8, "a"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		until(t, "a record in partition 6", 2*time.Minute, func() bool {
			r.settle("a", 6, 1)
			return len(r.acked[6]) > 0
		})
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v; failed: %v", took, r.failed[0])
		}
		r.settle("a", 0, 2)
		r.judge("a")
	})
}
