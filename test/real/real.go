// Package real runs the software that users run, for tests: Apache Kafka, one
// broker or three, a schema registry, and the relay's own binary, as processes
// of this machine on loopback ports. No container engine is needed: Java and
// Maven are, and the artefacts are fetched once.
//
//	cluster := real.Start(t, real.Brokers(3))
//	cluster.Topic("events", 8)
//	cluster.Kill(2)
//	cluster.Restart(2)
//
// What belongs here: starting, breaking, mending and reading such processes.
// What does not: what the relay promises and how that is judged. The tests say
// the one, with the senders and the journal of the storm, and its judge the
// other (test/storm).
//
// Every process that is started here ends with the test program, however that
// ends; package process says how. Nothing here is safe for concurrent use by
// several tests at once: a machine has room for one cluster.
package real

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/process"
)

// Rig is what the tests of one package share, because starting it takes
// seconds: a cluster, a registry, the relay's binary. The zero value is ready;
// TestMain closes it after the tests have run.
type Rig struct {
	dir      string   // of this run; "" before the first use
	failed   bool     // some test that used it did
	clusters int      // started so far
	cluster  *cluster // the one that runs
	registry *Registry
	binaries map[string]string // by mutation
}

// Cluster returns a cluster that tests share, whole and in sync: what the test
// before it broke is mended. Only one runs at a time: asking for another kind
// ends the one before. The test makes the topics it needs itself.
func (r *Rig) Cluster(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	r.use(t)
	want := newSettings(options)
	if r.cluster != nil && r.cluster.settings != want {
		r.cluster.stop()
		r.cluster = nil
	}
	if r.cluster == nil {
		r.clusters++
		dir := filepath.Join(r.dir, fmt.Sprintf("%d-%s", r.clusters, want))
		c, err := startCluster(t.Context(), libraries(t, want.line), dir, want)
		if err != nil {
			t.Fatal(err)
		}
		r.cluster = c
	}
	shared := &Cluster{cluster: r.cluster, t: t}
	shared.Heal()
	return shared
}

// Registry returns the schema registry that tests share.
func (r *Rig) Registry(t testing.TB) *Registry {
	t.Helper()
	r.use(t)
	if r.registry == nil {
		registry, err := startRegistry(t.Context(), registryJar(t), r.dir)
		if err != nil {
			t.Fatal(err)
		}
		r.registry = registry
	}
	return r.registry
}

// Close ends all shared processes. Their logs stay if a test failed.
func (r *Rig) Close() {
	if r.cluster != nil {
		r.cluster.stop()
	}
	if r.registry != nil {
		r.registry.stop()
	}
	if r.dir != "" {
		tidy(r.dir, r.failed)
	}
}

// use makes the folder of this run and remembers how the test ends.
func (r *Rig) use(t testing.TB) {
	t.Helper()
	if r.dir == "" {
		r.dir = runFolder(t)
	}
	t.Cleanup(func() {
		if t.Failed() && !r.failed {
			r.failed = true
			t.Logf("logs of the shared processes are kept in %s", r.dir)
		}
	})
}

// runFolder makes a folder for data and logs beside the artefacts.
func runFolder(t testing.TB) string {
	t.Helper()
	runs := filepath.Join(cacheFolder(t), "runs")
	if err := os.MkdirAll(runs, 0o750); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(runs, time.Now().Format("0102-150405-"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// tidy removes a run's folder, or, where its logs are wanted, all but those.
func tidy(dir string, failed bool) {
	if !failed && os.Getenv(modeVariable) != "keep" {
		_ = os.RemoveAll(dir) // what stays is in an ignored folder
		return
	}
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.HasSuffix(path, ".log") && !strings.HasSuffix(path, ".properties") {
			_ = os.Remove(path)
		}
		return nil
	})
}

// Until waits for a condition, looking every 20 ms, and fails the test when
// it does not hold within the limit.
func Until(t testing.TB, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	if err := until(t.Context(), what, limit, ok); err != nil {
		t.Fatal(err)
	}
}

func until(ctx context.Context, what string, limit time.Duration, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %s", limit, what)
		}
	}
	return nil
}

// Pass lets real time pass: for what a test cannot observe, such as how long
// a fault lasts.
func Pass(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// Process starts a program beside the relay, such as one that watches it. It
// is killed when the test has ended; what it says stays if the test fails.
func (r *Rig) Process(t testing.TB, name string, args ...string) {
	t.Helper()
	r.use(t)
	child, err := process.Start(exec.CommandContext(context.Background(), name, args...), filepath.Join(r.dir, filepath.Base(name)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
}

// FreeAddress returns a loopback address that nobody listens on now.
func FreeAddress(t testing.TB) string {
	t.Helper()
	ports, err := process.FreePorts(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return process.Local(ports[0])
}
