package real

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/mutant"
	"github.com/cxrelay/cxrelay/test/process"
	"github.com/cxrelay/cxrelay/test/scrape"
)

// Relay is a running cxrelay: the binary that users run.
type Relay struct {
	URL     string // of the webhook
	Admin   string // base of the admin listener
	process *process.Process
	launch  func() (*process.Process, error)
}

// Setup says how a relay is started. Brokers and Registry are required; they
// and Secret become the three variables that alone are enough.
type Setup struct {
	Brokers, Registry, Secret string

	Env     []string // further variables, NAME=value
	Args    []string // further arguments of serve
	Mutant  Mutant   // a relay with a fault; the zero value has none
	Unready bool     // do not wait until it is ready: it is not meant to become so
}

// Mutant is a change of one source text, for relays that must be convicted.
type Mutant = mutant.Edit

// Relay starts a relay and returns when it is ready. It ends with the test,
// by SIGTERM, and the test fails if it then ends with an error. Its log stays
// if the test fails.
func (r *Rig) Relay(t testing.TB, s Setup) *Relay {
	t.Helper()
	r.use(t)
	binary := r.build(t, s.Mutant)
	ports, err := process.FreePorts(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	log := r.logFile(t)
	relay := &Relay{URL: "http://" + process.Local(ports[0]) + "/cxone/webhook", Admin: "http://" + process.Local(ports[1])}
	relay.launch = func() (*process.Process, error) {
		cmd := exec.CommandContext(context.Background(), binary, append([]string{"serve"}, s.Args...)...) //nolint:gosec // built above
		cmd.Env = append([]string{"CXRELAY_LISTEN_ADDRESS=" + process.Local(ports[0]), "CXRELAY_ADMIN_ADDRESS=" + process.Local(ports[1])}, s.environment()...)
		return process.Start(cmd, log)
	}
	t.Cleanup(func() { relay.Stop(t) })
	relay.begin(t)
	if !s.Unready {
		relay.whenReady(t)
	}
	return relay
}

// Run runs another command of the relay's binary to its end, with the same
// variables, and returns what it wrote and its exit code.
func (r *Rig) Run(t testing.TB, s Setup, args ...string) (output string, code int) {
	t.Helper()
	r.use(t)
	cmd := exec.CommandContext(t.Context(), r.build(t, s.Mutant), args...) //nolint:gosec // built above
	cmd.Env = s.environment()
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(said), cmd.ProcessState.ExitCode()
}

func (s Setup) environment() []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "KAFKA_BROKERS=" + s.Brokers, "SCHEMA_REGISTRY_URL=" + s.Registry, "CXONE_WEBHOOK_SECRET=" + s.Secret,
	}, s.Env...)
}

// Restart stops the relay as Stop does and starts it anew, with the same
// addresses; it returns when that one is ready, and how long it took to stop.
// The log goes on in the same file.
func (r *Relay) Restart(t testing.TB) (stopping time.Duration) {
	t.Helper()
	began := time.Now()
	r.Stop(t)
	stopping = time.Since(began)
	r.begin(t)
	r.whenReady(t)
	return stopping
}

func (r *Relay) begin(t testing.TB) {
	t.Helper()
	child, err := r.launch()
	if err != nil {
		t.Fatal(err)
	}
	r.process = child
}

func (r *Relay) whenReady(t testing.TB) {
	t.Helper()
	Until(t, "the relay is ready", 30*time.Second, func() bool { return !r.process.Alive() || r.Ready() })
	if !r.process.Alive() {
		t.Fatalf("the relay has ended: %v; %s", r.process.Err(), process.LastWords(r.process.Log))
	}
}

// logFile finds a name for the log of another relay of this test.
func (r *Rig) logFile(t testing.TB) string {
	for n := 1; ; n++ {
		file := filepath.Join(r.dir, fmt.Sprintf("relay-%s-%d.log", strings.ReplaceAll(t.Name(), "/", "-"), n))
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return file
		}
	}
}

// build compiles the relay once per run and mutation.
func (r *Rig) build(t testing.TB, m Mutant) string {
	t.Helper()
	name := m.File + m.New
	if binary, ok := r.binaries[name]; ok {
		return binary
	}
	dir, err := os.MkdirTemp(r.dir, "build-")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "cxrelay")
	var edits []mutant.Edit
	if m != (Mutant{}) {
		edits = append(edits, m)
	}
	if err := mutant.Build(t.Context(), moduleRoot(t), dir, "./cmd/cxrelay", binary, edits...); err != nil {
		t.Fatal(err)
	}
	if r.binaries == nil {
		r.binaries = map[string]string{}
	}
	r.binaries[name] = binary
	return binary
}

// Stop ends the relay by SIGTERM, once; the test fails if that takes longer
// than its shutdown time-out or ends with an error.
func (r *Relay) Stop(t testing.TB) {
	t.Helper()
	if !r.process.Alive() {
		if r.process != nil && r.process.Err() != nil {
			t.Errorf("the relay ended by itself: %v; %s", r.process.Err(), process.LastWords(r.process.Log))
		}
		return
	}
	if err := r.process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("stop the relay: %v", err)
	}
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	select {
	case <-r.process.Ended():
		if r.process.Err() != nil {
			t.Errorf("the relay ended with %v; %s", r.process.Err(), process.LastWords(r.process.Log))
		}
	case <-limit.C:
		r.process.Kill()
		t.Error("the relay did not stop within 30 s")
	}
}

// Log returns what the relay has logged so far: JSON, one object a line.
func (r *Relay) Log(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(r.process.Log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Ready asks the admin listener.
func (r *Relay) Ready() bool {
	status, _, err := r.ask("/-/ready")
	return err == nil && status == http.StatusOK
}

// Metrics returns every series of one scrape, by name with labels as they are
// written in the exposition.
func (r *Relay) Metrics(t testing.TB) map[string]float64 {
	t.Helper()
	_, body, err := r.ask("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	return scrape.Parse(body)
}

// Sum adds all series of a metric, whatever their labels.
func Sum(series map[string]float64, metric string) (total float64) {
	for name := range maps.Keys(series) {
		if base, _, _ := strings.Cut(name, "{"); base == metric {
			total += series[name]
		}
	}
	return total
}

func (r *Relay) ask(path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Admin+path, nil)
	if err != nil {
		return 0, "", err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}
