// Package devkit is the neighbourhood of the relay in one process: a Kafka
// broker, a Schema Registry, and a webhook sender with sample traffic.
// "cxrelay dev" and "cxrelay send" are made of it, and so are tests and load
// generators. It holds nothing that a production relay needs, and no part of
// the path of an event imports it.
package devkit

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Defaults of KafkaOptions. Together they hold the four topics of the default
// routing table at about 40 MiB however long the broker runs.
const (
	DefaultPartitions     = 8
	DefaultRetentionBytes = 1 << 20
	DefaultRetentionMs    = int64(24 * time.Hour / time.Millisecond)
)

const (
	// cleanEvery is how often the broker drops what retention allows it to
	// drop. Between two runs the topics grow without limit.
	cleanEvery = 2 * time.Second

	// segmentDivisor: memory is freed in whole segments, so a partition holds
	// up to one segment more than its retention.
	segmentDivisor = 4
)

// KafkaOptions says what StartKafka starts. The zero value of every field but
// Topics is usable.
type KafkaOptions struct {
	// Addr is the host:port to listen on; port 0 picks a free one. Clients
	// are told the same host, so it must be one that they can reach. An
	// empty or unspecified host ("", "0.0.0.0", "::") listens everywhere and
	// is told to clients as "localhost". Default "127.0.0.1:0".
	Addr string

	Topics     []string
	Partitions int32 // of each topic; default DefaultPartitions

	// Data keeps records and the offsets of groups, and gives them back; nil:
	// they are in memory. They outlive the process, however it ends, but not
	// the machine: nothing waits for the disk.
	Data *Data
	// Log gets what the broker warns of; default: nothing.
	Log *slog.Logger

	// RetentionBytes bounds one partition, RetentionMs the age of a record.
	// Both are topic settings and are applied every 2 seconds; in between,
	// a partition may grow beyond them. Memory is freed a segment at a time,
	// a segment being a quarter of RetentionBytes.
	RetentionBytes int64 // default DefaultRetentionBytes
	RetentionMs    int64 // default DefaultRetentionMs; with Data: no limit
}

func (o KafkaOptions) withDefaults() KafkaOptions {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Partitions <= 0 {
		o.Partitions = DefaultPartitions
	}
	if o.RetentionBytes <= 0 {
		o.RetentionBytes = DefaultRetentionBytes
	}
	switch {
	case o.RetentionMs > 0:
	case o.Data != nil:
		o.RetentionMs = -1 // Kafka's word for it
	default:
		o.RetentionMs = DefaultRetentionMs
	}
	return o
}

// Kafka is an in-process Kafka cluster of one broker. Safe for concurrent use.
type Kafka struct {
	cluster *kfake.Cluster
	addr    string
	options KafkaOptions
	dial    dialFunc
	known   sync.Map // topics that have our settings
}

// StartKafka starts a broker and creates its topics. On return it serves any
// Kafka client; the caller must Close it. When the address cannot be bound the
// error names it and wraps the cause, such as syscall.EADDRINUSE; data that
// cannot be used is a *DamagedError.
func StartKafka(o KafkaOptions) (*Kafka, error) {
	return startKafka(o, net.Listen, new(net.Dialer).DialContext)
}

// listenFunc is net.Listen, or a listener on kfake's virtual network.
type listenFunc func(network, address string) (net.Listener, error)

// dialFunc is its other end.
type dialFunc func(ctx context.Context, network, host string) (net.Conn, error)

func startKafka(o KafkaOptions, listen listenFunc, dial dialFunc) (*Kafka, error) {
	o = o.withDefaults()
	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("kafka address %q: %w", o.Addr, err)
	}
	// kfake listens on 127.0.0.1 and knows ports only, so the address it asks
	// for is ignored and ours is used.
	onAddr := func(network, _ string) (net.Listener, error) {
		ln, err := listen(network, o.Addr)
		if err != nil {
			return nil, err
		}
		return advertised{Listener: ln, host: reachable(host)}, nil
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("cxrelay-dev"),
		kfake.ListenFn(onAddr),
		kfake.BrokerConfigs(map[string]string{
			"log.cleaner.backoff.ms": strconv.FormatInt(cleanEvery.Milliseconds(), 10),
		}),
	}
	if o.Log != nil {
		opts = append(opts, kfake.WithLogger(brokerLog{o.Log}))
	}
	if o.Data != nil {
		if err := checkKafka(o.Data.Dir(), o.Data.Kafka()); err != nil {
			return nil, err
		}
		opts = append(opts, kfake.DataDir(o.Data.Kafka()))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("kafka on %s: %w", o.Addr, err)
	}
	k := &Kafka{cluster: cluster, addr: cluster.ListenAddrs()[0], options: o, dial: dial}
	if err := k.createTopics(); err != nil {
		k.Close()
		return nil, err
	}
	return k, nil
}

func (k *Kafka) createTopics() error {
	for _, topic := range k.options.Topics {
		if k.options.Data == nil {
			if err := k.create(topic, k.options.Partitions); err != nil {
				return err
			}
		} else if _, err := k.Ensure(context.Background(), topic, 0); err != nil {
			return err
		}
	}
	return nil
}

// Addr returns the host:port to give to clients, with the port that was bound.
func (k *Kafka) Addr() string { return k.addr }

// Cluster returns the broker itself, for tests that watch or disturb it.
func (k *Kafka) Cluster() *kfake.Cluster { return k.cluster }

// Close stops the broker, and forgets its records unless it has Data. Calling it again does nothing.
func (k *Kafka) Close() { k.cluster.Close() }

// reachable turns a host to listen on into a host to connect to.
func reachable(host string) string {
	if host == "" {
		return "localhost"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "localhost"
	}
	return host
}

// advertised is a listener whose address is what clients are told: kfake
// answers metadata requests with the address of its listener.
type advertised struct {
	net.Listener
	host string
}

func (l advertised) Addr() net.Addr {
	_, port, err := net.SplitHostPort(l.Listener.Addr().String())
	if err != nil {
		return l.Listener.Addr()
	}
	return tcpAddr(net.JoinHostPort(l.host, port))
}

// tcpAddr is a host:port whose host need not be an IP address.
type tcpAddr string

func (tcpAddr) Network() string  { return "tcp" }
func (a tcpAddr) String() string { return string(a) }
