package real

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/process"
)

// Line is a release of Apache Kafka that the tests run.
type Line string

// The lines.
const (
	Current Line = "4.3.1"
	Oldest  Line = "3.5.2"
)

type settings struct {
	brokers int
	line    Line
	secure  bool
}

func (s settings) String() string {
	name := fmt.Sprintf("kafka-%s-%d", s.line, s.brokers)
	if s.secure {
		name += "-secure"
	}
	return name
}

// Option says what cluster is wanted. Without any it is one broker of the
// current line.
type Option func(*settings)

// Brokers asks for n brokers: 1, or 3 with replication factor 3 and
// min.insync.replicas 2.
func Brokers(n int) Option { return func(s *settings) { s.brokers = n } }

// Release asks for a line other than the current one.
func Release(l Line) Option { return func(s *settings) { s.line = l } }

func newSettings(options []Option) settings {
	s := settings{brokers: 1, line: Current}
	for _, o := range options {
		o(&s)
	}
	return s
}

// Cluster is a running cluster in the hands of one test. Brokers are counted
// from 1. Its methods fail the test where something does not work, and must be
// called from the test's own goroutine.
type Cluster struct {
	*cluster
	t testing.TB
}

// cluster is what a Cluster shows, without a test.
type cluster struct {
	settings settings
	libs     string
	dir      string
	nodes    []*node
	secured  *secured // nil: plain text is all there is
	client   *kgo.Client
	admin    *kadm.Client
}

type node struct {
	id         int
	port       int
	properties string // file
	process    *process.Process
	paused     bool
}

// Start starts a cluster for this test alone; it ends with it. Its logs stay
// if the test fails.
func Start(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	want := newSettings(options)
	libs := libraries(t, want.line)
	dir := runFolder(t)
	c, err := startCluster(t.Context(), libs, dir, want)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.stop()
		if t.Failed() {
			t.Logf("logs of the brokers are kept in %s", dir)
		}
		tidy(dir, t.Failed())
	})
	return &Cluster{cluster: c, t: t}
}

// startCluster returns when every broker is known to the others.
func startCluster(ctx context.Context, libs, dir string, s settings) (*cluster, error) {
	c := &cluster{settings: s, libs: libs, dir: dir}
	ports, err := process.FreePorts(ctx, 2*s.brokers)
	if err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	id[0] = 'k'          // an id that begins with a dash would be taken for an option
	for i := range s.brokers {
		n := &node{id: i + 1, port: ports[i], properties: filepath.Join(dir, fmt.Sprintf("broker-%d.properties", i+1))}
		c.nodes = append(c.nodes, n)
	}
	if err := c.prepare(ctx, base64.RawURLEncoding.EncodeToString(id), ports[s.brokers:]); err != nil {
		return nil, err
	}
	c.client, err = kgo.NewClient(kgo.SeedBrokers(c.addresses()...), kgo.MetadataMinAge(100*time.Millisecond), kgo.DialTimeout(2*time.Second),
		kgo.RequestTimeoutOverhead(5*time.Second))
	if err != nil {
		return nil, err
	}
	c.admin = kadm.NewClient(c.client)
	for _, n := range c.nodes {
		if err := c.launch(n); err != nil {
			c.stop()
			return nil, err
		}
	}
	if err := c.ready(ctx); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// prepare writes the brokers' files and formats their folders, at once.
func (c *cluster) prepare(ctx context.Context, id string, controllers []int) error {
	if err := os.MkdirAll(c.dir, 0o750); err != nil {
		return err
	}
	if c.settings.secure {
		var err error
		if c.secured, err = secure(ctx, c.dir); err != nil {
			return err
		}
	}
	failed := make([]error, len(c.nodes))
	var all sync.WaitGroup
	for i, n := range c.nodes {
		if err := os.WriteFile(n.properties, []byte(c.properties(n, controllers)), 0o600); err != nil {
			return err
		}
		all.Go(func() {
			format := c.java(ctx, "kafka.tools.StorageTool", append([]string{"format", "-t", id, "-c", n.properties}, c.secured.users()...)...)
			failed[i] = process.Run(ctx, format, filepath.Join(c.dir, fmt.Sprintf("format-%d.log", n.id)))
		})
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// properties is a broker's configuration: KRaft, broker and controller in one
// process, plain text on loopback, and as careful with data as one should be.
func (c *cluster) properties(n *node, controllers []int) string {
	voters := make([]string, len(controllers))
	for i, port := range controllers {
		voters[i] = fmt.Sprintf("%d@%s", i+1, process.Local(port))
	}
	listeners, speak := c.secured.listeners()
	replicas, insync := min(c.settings.brokers, 3), 1+c.settings.brokers/3
	lines := []string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", n.id),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		fmt.Sprintf("listeners=PLAINTEXT://%s,CONTROLLER://%s", process.Local(n.port), process.Local(controllers[n.id-1])) + listeners,
		"advertised.listeners=PLAINTEXT://" + process.Local(n.port) + listeners,
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT" + speak,
		"inter.broker.listener.name=PLAINTEXT",
		"log.dirs=" + filepath.Join(c.dir, fmt.Sprintf("data-%d", n.id)),
		"auto.create.topics.enable=false",
		"unclean.leader.election.enable=false",
		fmt.Sprintf("default.replication.factor=%d", replicas),
		fmt.Sprintf("min.insync.replicas=%d", insync),
		fmt.Sprintf("offsets.topic.replication.factor=%d", replicas),
		"offsets.topic.num.partitions=2",
		fmt.Sprintf("transaction.state.log.replication.factor=%d", replicas),
		fmt.Sprintf("transaction.state.log.min.isr=%d", insync),
		"group.initial.rebalance.delay.ms=0",
		// A broker that is gone is noticed after 3 s; the default is 9 s, and
		// 30 s for a replica that lags. Tests wait for it many times.
		"broker.session.timeout.ms=3000",
		"broker.heartbeat.interval.ms=500",
		"replica.lag.time.max.ms=3000",
	}
	return strings.Join(append(lines, c.secured.properties()...), "\n") + "\n"
}

// java prepares a program of the cluster's own jars. A JVM that lives for
// seconds is better off with the quick compiler and the plain collector.
func (c *cluster) java(ctx context.Context, class string, args ...string) *exec.Cmd {
	argv := append(c.secured.virtualMachine(),
		"-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData",
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-cp", filepath.Join(c.libs, "*"), class,
	)
	return exec.CommandContext(ctx, "java", append(argv, args...)...)
}

// launch starts a broker's process. It outlives the context of the test that
// asked for it, if the cluster is shared.
func (c *cluster) launch(n *node) error {
	p, err := process.Start(c.java(context.Background(), "kafka.Kafka", n.properties), filepath.Join(c.dir, fmt.Sprintf("broker-%d.log", n.id)))
	if err != nil {
		return err
	}
	n.process, n.paused = p, false
	return nil
}

// ready returns when every broker answers and knows all the others. A broker
// opens its port only when it has caught up with what happened without it;
// one that was there all the time may still list those that are gone.
func (c *cluster) ready(ctx context.Context) error {
	err := until(ctx, "all brokers of "+c.settings.String()+" are members", time.Minute, func() bool {
		for _, n := range c.nodes {
			if !n.process.Alive() {
				return true // said below
			}
			if seen, err := c.ask(ctx, n.id, nil); err != nil || len(seen.Brokers) != len(c.nodes) {
				return false
			}
		}
		return true
	})
	for _, n := range c.nodes {
		if !n.process.Alive() {
			return fmt.Errorf("broker %d has ended: %s", n.id, process.LastWords(n.process.Log))
		}
	}
	if err != nil {
		return fmt.Errorf("%w; %s", err, process.LastWords(c.nodes[0].process.Log))
	}
	return nil
}

// stop ends all processes at once; nobody needs the data any more.
func (c *cluster) stop() {
	if c.client != nil {
		c.client.Close()
	}
	for _, n := range c.nodes {
		n.process.Kill()
	}
}

func (c *cluster) addresses() []string {
	all := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		all[i] = process.Local(n.port)
	}
	return all
}

// Brokers returns the addresses as KAFKA_BROKERS has them.
func (c *Cluster) Brokers() string { return strings.Join(c.addresses(), ",") }

func (c *Cluster) node(id int) *node {
	c.t.Helper()
	if id < 1 || id > len(c.nodes) {
		c.t.Fatalf("there is no broker %d of %d", id, len(c.nodes))
	}
	return c.nodes[id-1]
}

// Kill ends a broker with SIGKILL, as a power cut would.
func (c *Cluster) Kill(id int) {
	c.t.Helper()
	n := c.node(id)
	if !n.process.Alive() {
		c.t.Fatalf("broker %d is dead already", id)
	}
	n.process.Kill()
}

// Restart starts a broker that was killed, with its data, and returns when it
// answers. Its replicas may still lag; see InSync.
func (c *Cluster) Restart(id int) {
	c.t.Helper()
	n := c.node(id)
	if n.process.Alive() {
		c.t.Fatalf("broker %d lives", id)
	}
	if err := c.launch(n); err != nil {
		c.t.Fatal(err)
	}
	Until(c.t, fmt.Sprintf("broker %d is a member again", id), time.Minute, func() bool {
		_, err := c.ask(c.t.Context(), id, nil)
		return err == nil || !n.process.Alive()
	})
	if !n.process.Alive() {
		c.t.Fatalf("broker %d has ended: %s", id, process.LastWords(n.process.Log))
	}
}

// Pause stops a broker with SIGSTOP: its connections stay open and nothing is
// answered, like a machine that swaps or a network that drops everything.
func (c *Cluster) Pause(id int) { c.freeze(id, true) }

// Continue lets a paused broker run on.
func (c *Cluster) Continue(id int) { c.freeze(id, false) }

func (c *Cluster) freeze(id int, pause bool) {
	c.t.Helper()
	n := c.node(id)
	if n.paused == pause {
		c.t.Fatalf("broker %d: paused is %t already", id, pause)
	}
	s := syscall.SIGCONT
	if pause {
		s = syscall.SIGSTOP
	}
	if err := n.process.Signal(s); err != nil {
		c.t.Fatalf("broker %d: %v", id, err)
	}
	n.paused = pause
}

// Heal mends what a test has broken: paused brokers go on, dead ones are
// started. It returns when all replicas of all topics are in sync.
func (c *Cluster) Heal() {
	c.t.Helper()
	for _, n := range c.nodes {
		switch {
		case !n.process.Alive():
			if err := c.launch(n); err != nil {
				c.t.Fatal(err)
			}
		case n.paused:
			c.Continue(n.id)
		}
	}
	if err := c.ready(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.InSync()
}
