package devkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// virtualPort is the port of the first broker on the virtual network. Ports
// are fixed: a broker that moves would not be found again after a restart.
const virtualPort = 9092

// VirtualKafka is a cluster on an in-memory network, for tests in virtual
// time (testing/synctest): a broker outage of minutes takes milliseconds.
// It checks every produce request that it gets. Safe for concurrent use.
type VirtualKafka struct {
	Cluster *kfake.Cluster
	Brokers []string

	net *kfake.VirtualNetwork

	mu      sync.Mutex
	cut     bool
	conns   map[net.Conn]int32      // their nodes
	hung    map[int32]chan struct{} // by node; closed when it goes on
	weather map[int32]Weather       // by node
	changed chan struct{}           // closed when the weather changes
	audit   audit
}

// NewVirtualKafka starts a cluster. The caller closes it inside the bubble.
func NewVirtualKafka(brokers int, opts ...kfake.Opt) (*VirtualKafka, error) {
	v := &VirtualKafka{
		net: &kfake.VirtualNetwork{}, conns: map[net.Conn]int32{}, hung: map[int32]chan struct{}{},
		weather: map[int32]Weather{}, changed: make(chan struct{}), audit: newAudit(),
	}
	ports := make([]int, brokers)
	for i := range ports {
		ports[i] = virtualPort + i
		v.Brokers = append(v.Brokers, fmt.Sprintf("127.0.0.1:%d", ports[i]))
	}
	c, err := kfake.NewCluster(append(opts, kfake.Ports(ports...), kfake.ListenFn(v.net.Listen))...)
	if err != nil {
		return nil, fmt.Errorf("kfake: %w", err)
	}
	v.Cluster = c
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		v.audit.look(req)
		return nil, nil, false // it only looks
	})
	return v, nil
}

// Close ends the cluster.
func (v *VirtualKafka) Close() {
	v.Heal()
	v.Cluster.Close()
}

// Hang makes a node take bytes and answer none, as a process that was stopped
// with SIGSTOP does, until Heal.
func (v *VirtualKafka) Hang(node int32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.hung[node] == nil {
		v.hung[node] = make(chan struct{})
	}
}

// Wake ends the Hang of one node.
func (v *VirtualKafka) Wake(node int32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if wait := v.hung[node]; wait != nil {
		close(wait)
		delete(v.hung, node)
	}
}

// Cut closes every connection and refuses new ones, until Heal.
func (v *VirtualKafka) Cut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cut = true
	v.end(func(int32) bool { return true })
}

// Heal ends Cut and Hang, and every weather. Connections that lost bytes end.
func (v *VirtualKafka) Heal() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cut = false
	v.end(func(node int32) bool { return v.weather[node].DropUp || v.weather[node].DropDown })
	clear(v.weather)
	close(v.changed)
	v.changed = make(chan struct{})
	for node, wait := range v.hung {
		close(wait)
		delete(v.hung, node)
	}
}

// Backdoor connects to a broker whatever the weather, as one would on its own
// host; it fits kgo.Dialer.
func (v *VirtualKafka) Backdoor(ctx context.Context, network, host string) (net.Conn, error) {
	return v.net.DialContext(ctx, network, host)
}

// Dial connects over the virtual network; it fits kgo.Dialer. A cut or closed
// broker refuses as a real one does: kgo takes other errors for final.
func (v *VirtualKafka) Dial(ctx context.Context, network, host string) (net.Conn, error) {
	refused := &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	node := int32(n - virtualPort) //nolint:gosec // a port
	if v.refuses(node) {
		return nil, refused
	}
	c, err := v.net.DialContext(ctx, network, host)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil, err
	case err != nil:
		return nil, refused
	}
	if c = v.splice(c, node); v.refuses(node) { // since then
		_ = c.Close()
		return nil, refused
	}
	return c, nil
}

func (v *VirtualKafka) refuses(node int32) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.cut || v.weather[node].Refuse
}

// ReadAll returns every record of the topics, in order per partition.
func (v *VirtualKafka) ReadAll(ctx context.Context, topics ...string) ([]*kgo.Record, error) {
	return ReadAll(ctx, topics, kgo.SeedBrokers(v.Brokers...), kgo.Dialer(v.Dial))
}

// ReadAll returns every record that the topics hold when it is called, in
// order per partition.
func ReadAll(ctx context.Context, topics []string, opts ...kgo.Opt) ([]*kgo.Record, error) {
	cl, err := kgo.NewClient(append(opts, kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("end offsets: %w", err)
	}
	left := map[string]map[int32]int64{}
	n := 0
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			if left[o.Topic] == nil {
				left[o.Topic] = map[int32]int64{}
			}
			left[o.Topic][o.Partition] = o.Offset
			n++
		}
	})
	var all []*kgo.Record
	for n > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return all, fmt.Errorf("read back: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end := left[r.Topic][r.Partition]
			if r.Offset < end {
				all = append(all, r)
			}
			if r.Offset == end-1 {
				n--
			}
		})
	}
	return all, nil
}
