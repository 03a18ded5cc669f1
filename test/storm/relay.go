package storm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
	"github.com/cxrelay/cxrelay/test/process"
	"github.com/cxrelay/cxrelay/test/scrape"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// Where the two sources are: one signs the body, one the body and the time.
const (
	path  = "/cxone/webhook"
	timed = "/hooks"
)

// relay is the program under test: one process after the other.
type relay struct {
	storm  *storm
	listen string // host:port of the webhooks
	url    string
	admin  string // http://host:port
	log    string // file, of all its processes

	registry string // URL

	mu      sync.Mutex
	process *process.Process
	probes  int
}

func newRelay(s *storm, registry string) (*relay, error) {
	ports, err := process.FreePorts(context.Background(), 2)
	if err != nil {
		return nil, err
	}
	r := &relay{storm: s, listen: process.Local(ports[0]), admin: "http://" + process.Local(ports[1]), log: s.path("relay.log")}
	r.url = "http://" + r.listen + path
	r.registry = registry
	return r, errors.Join(os.WriteFile(s.path("secret"), []byte(secret), 0o600),
		os.WriteFile(s.path("stamped"), []byte(load.Stamped{Key: stampKey}.Secret()), 0o600), os.WriteFile(s.path(configFile), []byte(r.config("", "")), 0o600))
}

const configFile = "cxrelay.yaml"

// config is the relay's configuration. A second secret may be given, and more
// keys of the top level.
func (r *relay) config(second, more string) string {
	pins := ""
	for _, t := range Topics() {
		pins += fmt.Sprintf("    %s: %d\n", t, Partitions)
	}
	secrets := fmt.Sprintf("{id: storm, file: %q}", r.storm.path("secret"))
	if second != "" {
		secrets += fmt.Sprintf(", {id: second, value: %q}", second)
	}
	return fmt.Sprintf(`instance: storm
listen: {address: %q}
admin: {address: %q}
sources:
  - name: cxone
    signature: {preset: cxone, secrets: [%s]}
    deadline: %s
  - name: hooks
    path: %s
    signature: {preset: standard-webhooks, secrets: [{id: storm, file: %q}]}
    deadline: %s
schema: {registry: {urls: [%q]}}
kafka:
  brokers: [%s]
  partitions:
%s%s
`, r.listen, strings.TrimPrefix(r.admin, "http://"), secrets, deadline, timed, r.storm.path("stamped"), deadline, r.registry, strings.Join(r.storm.Kafka.Brokers(), ", "), pins, more)
}

func (r *relay) start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	cmd := exec.CommandContext(context.Background(), r.storm.Relay, "serve", "--config", r.storm.path(configFile), "--log-format", "json") //nolint:gosec // what the caller wants tested
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, r.storm.Env...)
	p, err := process.Start(cmd, r.log)
	r.process = p
	return err
}

func (r *relay) current() *process.Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.process
}

func (r *relay) kill() { r.current().Kill() }

// term asks the relay to stop and returns when it has. That it takes too long
// or ends badly is a fact.
func (r *relay) term(f *Facts) {
	p := r.current()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		f.fault("ENDED: the relay was gone before it was stopped: %v; %s", p.Err(), process.LastWords(p.Log))
		return
	}
	limit := time.NewTimer(35 * time.Second)
	defer limit.Stop()
	select {
	case <-p.Ended():
		if p.Err() != nil {
			f.fault("ENDED: the relay did not stop well: %v; %s", p.Err(), process.LastWords(p.Log))
		}
	case <-limit.C:
		f.fault("ENDED: the relay did not stop within 35 s")
		p.Kill()
	}
}

// get asks the admin listener.
func (r *relay) get(ctx context.Context, path string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.admin+path, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := new(http.Client).Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// series returns every series of one scrape.
func (r *relay) series(ctx context.Context) (map[string]float64, error) {
	_, body, err := r.get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	return scrape.Parse(string(body)), nil
}

func (r *relay) untilReady(ctx context.Context, limit time.Duration) error {
	last := errors.New("it was not asked")
	for end := time.Now().Add(limit); time.Now().Before(end); pace.Wait(ctx, 20*time.Millisecond) {
		if !r.current().Alive() {
			return fmt.Errorf("the relay has ended: %w; %s", r.current().Err(), process.LastWords(r.log))
		}
		status, body, err := r.get(ctx, "/-/ready")
		if status == http.StatusOK {
			return nil
		}
		last = fmt.Errorf("%d %s: %w", status, bytes.TrimSpace(body), err)
	}
	return fmt.Errorf("the relay is not ready after %s: %w", limit, last)
}

// probe sends one event of its own contact, and tells whether it was accepted.
// It is in the journal like every other.
func (r *relay) probe(ctx context.Context) bool {
	r.mu.Lock()
	r.probes++
	contact := fmt.Sprintf("probe-%d", r.probes)
	r.mu.Unlock()
	return load.Once(ctx, r.storm.load(), contact).Status == http.StatusOK
}

// alive waits until an event of each partition's worth is accepted within a
// second: as many probes in a row as there are partitions.
func (r *relay) alive(ctx context.Context, limit time.Duration) (time.Duration, error) {
	began, row := time.Now(), 0
	for row < 2*Partitions {
		if time.Since(began) > limit {
			return time.Since(began), fmt.Errorf("%s after the last fault, events are not accepted within a second", limit)
		}
		at := time.Now()
		if r.probe(ctx) && time.Since(at) < time.Second {
			row++
		} else {
			row = 0
			pace.Wait(ctx, 20*time.Millisecond)
		}
	}
	return time.Since(began), nil
}

// settle waits until nothing is under way any more.
func (r *relay) settle(ctx context.Context, f *Facts) {
	var m map[string]float64
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); pace.Wait(ctx, 50*time.Millisecond) {
		m, err = r.series(ctx)
		if err == nil && m["cxrelay_records_pending"] == 0 && m["cxrelay_events_in_flight"] == 0 {
			break
		}
	}
	if err != nil {
		f.fault("ENDED: no metrics after the storm: %v", err)
		return
	}
	if m["cxrelay_records_pending"] != 0 || m["cxrelay_events_in_flight"] != 0 {
		f.fault("DEAD: 30 s after the storm %v records and %v events are under way", m["cxrelay_records_pending"], m["cxrelay_events_in_flight"])
	}
	if produced, acked, failed := m["cxrelay_records_produced_total"], m["cxrelay_records_acked_total"], m["cxrelay_records_failed_total"]; produced != acked+failed {
		f.fault("BOOKS: produced %v, acked %v, failed %v", produced, acked, failed)
	}
	f.Series = len(m)
}
