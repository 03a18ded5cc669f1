package kafka_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// old makes a node speak as Kafka 2.7 does, which knows no ids of topics.
func (r *rig) old(node int32) {
	cluster := r.cluster.Cluster
	cluster.ControlKey(int16(kmsg.ApiVersions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if cluster.CurrentNode() != node {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
		if resp.Version > 3 {
			resp.Version, resp.ErrorCode = 0, kerr.UnsupportedVersion.Code // the client asks again
		}
		kversion.V2_7_0().EachMaxKeyVersion(func(key, version int16) {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MaxVersion = key, version
			resp.ApiKeys = append(resp.ApiKeys, k)
		})
		return resp, nil, true
	})
}

// TestMixedVersions: while a cluster is upgraded from a version without ids of
// topics, some brokers tell them and others do not. That makes no other topic,
// and is no reason for another producer; a topic that was made anew still is.
func TestMixedVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Bool
		r := newRigDialing(t, func(dial dialFunc) dialFunc {
			return func(ctx context.Context, network, host string) (net.Conn, error) {
				if !open.Load() {
					return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
				}
				return dial(ctx, network, host)
			}
		}, 2, "a")
		defer r.stop()
		r.old(1)
		open.Store(true)
		until(t, "topic", 10*time.Second, func() bool { a, ok := r.topic("a"); return ok && a.Err == nil })
		r.settle("a", 0, 0)
		ids := r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
		looks := r.cluster.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Observe: true, Count: -1})
		for n := 1; n < 100; n++ {
			r.settle("a", int32(n%4), n)
			time.Sleep(3 * time.Second)
		}
		if n := ids.Hits(); n > 0 || looks.Hits() < 15 {
			t.Errorf("%d producer ids asked for in %d looks", n, looks.Hits())
		}
		if len(r.failed) > 0 {
			t.Errorf("failed: %v", r.failed)
		}
		r.judge("a")

		if err := errors.Join(r.cluster.Cluster.DeleteTopic("a"), r.cluster.Cluster.CreateTopic("a", 4, nil)); err != nil {
			t.Fatal(err)
		}
		until(t, "another producer", 5*time.Minute, func() bool { return ids.Hits() > 0 })
		until(t, "usable", 10*time.Second, func() bool { a, _ := r.topic("a"); return a.Err == nil })
		r.acked = map[int32][]int{} // they went with the topic
		r.settle("a", 0, 100)
		r.judge("a")
	})
}
