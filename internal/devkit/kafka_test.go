package devkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newClient(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKafkaServesOutsideClientsOnItsAddress(t *testing.T) {
	for _, addr := range []string{"", "127.0.0.1:0", "localhost:0"} {
		t.Run(addr, func(t *testing.T) {
			k, err := StartKafka(KafkaOptions{Addr: addr, Topics: []string{"a", "b"}})
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			c := newClient(t, kgo.SeedBrokers(k.Addr()))
			defer c.Close()
			meta, err := kadm.NewClient(c).Metadata(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(meta.Brokers) != 1 {
				t.Fatalf("%d brokers, want 1", len(meta.Brokers))
			}
			if got := net.JoinHostPort(meta.Brokers[0].Host, fmt.Sprint(meta.Brokers[0].Port)); got != k.Addr() {
				t.Errorf("clients are told %s, Addr says %s", got, k.Addr())
			}
			if host, _, _ := strings.Cut(addr, ":"); host != "" && !strings.HasPrefix(k.Addr(), host+":") {
				t.Errorf("Addr %s does not keep the host of %s", k.Addr(), addr)
			}
			for _, topic := range []string{"a", "b"} {
				if n := len(meta.Topics[topic].Partitions); n != DefaultPartitions {
					t.Errorf("topic %s has %d partitions, want %d", topic, n, DefaultPartitions)
				}
			}
		})
	}
}

func TestReachableHost(t *testing.T) {
	for host, want := range map[string]string{"": "localhost", "0.0.0.0": "localhost", "::": "localhost", "10.1.2.3": "10.1.2.3", "kafka.local": "kafka.local"} {
		if got := reachable(host); got != want {
			t.Errorf("reachable(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestKafkaAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	k, err := StartKafka(KafkaOptions{Addr: ln.Addr().String()})
	if err == nil {
		k.Close()
		t.Fatal("started on an address in use")
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error %v does not wrap EADDRINUSE", err)
	}
	if !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("error %q does not name %s", err, ln.Addr())
	}
}

func TestKafkaBadAddressAndTopic(t *testing.T) {
	for _, o := range []KafkaOptions{{Addr: "no-port"}, {Topics: []string{"a", "a"}}} {
		if k, err := StartKafka(o); err == nil {
			k.Close()
			t.Errorf("StartKafka(%+v) gave no error", o)
		}
	}
}

// TestKafkaMemoryStaysBounded lets two virtual minutes of traffic pass: each
// partition must stay within its retention plus one segment and what arrived
// since the last cleaning.
func TestKafkaMemoryStaysBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const retention, value, perRound = 64 << 10, 1 << 10, 16
		vn := &kfake.VirtualNetwork{}
		k, err := startKafka(KafkaOptions{Addr: "localhost:9092", Topics: []string{"t"}, Partitions: 2, RetentionBytes: retention}, vn.Listen, vn.DialContext)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		c := newClient(t, kgo.SeedBrokers(k.Addr()), kgo.Dialer(vn.DialContext))
		defer c.Close()

		rounds := int(2 * time.Minute / cleanEvery)
		for range rounds {
			produce(t, c, "t", 2, perRound, value)
			time.Sleep(cleanEvery)
		}
		synctest.Wait()
		const bound = retention + retention/segmentDivisor + perRound*(value+200)
		for _, p := range k.Cluster().PartitionInfos("t") {
			if p.HighWatermark != int64(rounds*perRound) {
				t.Errorf("partition %d: %d records were written, want %d", p.Partition, p.HighWatermark, rounds*perRound)
			}
			if p.NumBytes > bound {
				t.Errorf("partition %d holds %d bytes, want at most %d", p.Partition, p.NumBytes, bound)
			}
			if p.LogStartOffset == 0 {
				t.Errorf("partition %d dropped nothing", p.Partition)
			}
		}
	})
}

// TestKafkaRecordsExpire shows that an idle topic empties itself.
func TestKafkaRecordsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vn := &kfake.VirtualNetwork{}
		k, err := startKafka(KafkaOptions{Addr: "localhost:9092", Topics: []string{"t"}, Partitions: 1, RetentionMs: 60_000}, vn.Listen, vn.DialContext)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		c := newClient(t, kgo.SeedBrokers(k.Addr()), kgo.Dialer(vn.DialContext))
		defer c.Close()
		produce(t, c, "t", 1, 10, 100)
		time.Sleep(time.Minute + 2*cleanEvery)
		synctest.Wait()
		if p := k.Cluster().PartitionInfo("t", 0); p.NumBytes != 0 || p.LogStartOffset != 10 {
			t.Errorf("after its retention the partition holds %d bytes from offset %d, want 0 from 10", p.NumBytes, p.LogStartOffset)
		}
	})
}

func produce(t *testing.T, c *kgo.Client, topic string, partitions, n, size int) {
	t.Helper()
	var records []*kgo.Record
	for p := range partitions {
		for range n {
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Value: bytes.Repeat([]byte("x"), size)})
		}
	}
	if err := c.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
