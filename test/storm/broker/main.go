// Command broker is a Kafka cluster of the storm: three in-process brokers
// whose records are on disk, so that the process can be killed and started
// again. Clients are told other addresses than those it listens on: those of
// the proxies before it.
//
// A control listener brings leader moves and errors of the protocol:
//
//	POST /leaders                              every partition gets another leader
//	POST /fault?code=6&ms=100&applied=false    produce requests fail with this error code
//	POST /grow?topic=t&partitions=12
//
// It prints "ready" when it serves, and ends on SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type options struct {
	data       string
	listen     []string // host:port of each broker
	advertise  []string // what clients are told, in the same order
	control    string
	topics     []string
	partitions int
}

func main() {
	var o options
	list := func(dst *[]string, name, usage string) {
		flag.Func(name, usage, func(s string) error { *dst = strings.Split(s, ","); return nil })
	}
	flag.StringVar(&o.data, "data", "", "folder of the records")
	list(&o.listen, "listen", "host:port of each broker, with commas between")
	list(&o.advertise, "advertise", "what clients are told in its place")
	flag.StringVar(&o.control, "control", "", "host:port of the control listener")
	list(&o.topics, "topics", "made if they are not there")
	flag.IntVar(&o.partitions, "partitions", 8, "of each topic")
	flag.Parse()
	if err := serve(o); err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		os.Exit(1)
	}
}

func serve(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if len(o.listen) == 0 || len(o.advertise) != len(o.listen) || o.data == "" {
		return errors.New("-data, and as many -listen as -advertise are needed")
	}
	next := 0
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(len(o.listen)), kfake.DataDir(o.data), kfake.ClusterID("storm"),
		kfake.BrokerConfigs(map[string]string{"log.retention.ms": "-1", "log.retention.bytes": "-1"}),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { // called once a broker, in order
			l, err := new(net.ListenConfig).Listen(ctx, network, o.listen[next])
			if err != nil {
				return nil, err
			}
			l = behind{Listener: l, address: o.advertise[next]}
			next++
			return l, nil
		}),
	)
	if err != nil {
		return fmt.Errorf("start cluster: %w", err)
	}
	defer cluster.Close()
	for _, topic := range o.topics {
		if cluster.TopicInfo(topic) == nil {
			if err := cluster.CreateTopic(topic, int32(o.partitions), nil); err != nil {
				return fmt.Errorf("create topic %s: %w", topic, err)
			}
		}
	}
	server := &http.Server{Addr: o.control, Handler: control(cluster, o.listen[0]), ReadHeaderTimeout: 5 * time.Second}
	broken := make(chan error, 1)
	go func() { broken <- server.ListenAndServe() }()
	fmt.Println("ready")
	select {
	case <-ctx.Done():
		return server.Close()
	case err := <-broken:
		return err
	}
}

// behind is a listener that says another address than its own.
type behind struct {
	net.Listener
	address string
}

func (b behind) Addr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", b.address)
	if err != nil {
		return b.Listener.Addr()
	}
	return a
}

func control(cluster *kfake.Cluster, broker string) http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, do func(r *http.Request) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if err := do(r); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		})
	}
	handle("/leaders", func(*http.Request) error { cluster.ShufflePartitionLeaders(); return nil })
	handle("/fault", func(r *http.Request) error {
		code, err1 := strconv.ParseInt(r.FormValue("code"), 10, 16)
		ms, err2 := strconv.Atoi(r.FormValue("ms"))
		var known *kerr.Error
		if !errors.As(kerr.ErrorForCode(int16(code)), &known) || errors.Join(err1, err2) != nil {
			return fmt.Errorf("code %q, ms %q", r.FormValue("code"), r.FormValue("ms"))
		}
		fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: known, Count: -1})
		time.AfterFunc(time.Duration(ms)*time.Millisecond, fault.Remove)
		return nil
	})
	handle("/grow", func(r *http.Request) error {
		n, err := strconv.ParseInt(r.FormValue("partitions"), 10, 32)
		if err != nil {
			return err
		}
		return grow(r.Context(), broker, r.FormValue("topic"), int32(n))
	})
	return mux
}

func grow(ctx context.Context, broker, topic string, partitions int32) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		return err
	}
	defer client.Close()
	req := kmsg.NewPtrCreatePartitionsRequest()
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, partitions
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil && !errors.Is(err, kerr.InvalidPartitions) {
			return err
		}
	}
	return nil
}
