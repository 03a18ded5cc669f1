package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/devkit"
)

// backend is what a relay needs around it.
type backend struct {
	kafka *devkit.Kafka
	env   []string
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	kafka, err := devkit.StartKafka(devkit.KafkaOptions{Topics: devTopics(), RetentionBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	registry, err := devkit.NewRegistry(devkit.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Close() })
	if _, err := registry.Register(devkit.DevSubject, devkit.DevSchema); err != nil {
		t.Fatal(err)
	}
	return &backend{kafka: kafka, env: []string{
		"PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0",
		"KAFKA_BROKERS=" + kafka.Addr(), "SCHEMA_REGISTRY_URL=" + registry.URL(), "CXONE_WEBHOOK_SECRET=" + defaultSecret,
		"CXRELAY_LISTEN_ADDRESS=127.0.0.1:0", "CXRELAY_ADMIN_ADDRESS=127.0.0.1:0",
	}}
}

// command is this test binary as cxrelay; it is killed when the test ends
// before it did.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "cxrelay", args...)
	cmd.Env = env
	return cmd
}

// relay is `cxrelay serve` in a process of its own.
type relay struct {
	cmd            *exec.Cmd
	log            string // file
	webhook, admin string // addresses
}

func (b *backend) serve(t *testing.T, env ...string) *relay {
	t.Helper()
	r := &relay{log: filepath.Join(t.TempDir(), "log")}
	log, err := os.Create(r.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r.cmd = command(t, append(b.env, env...), "serve")
	r.cmd.Stderr = log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started := r.waitLog(t, `"msg":"cxrelay started".*"webhook":"([^"]+)","admin":"([^"]+)"`)
	r.webhook, r.admin = started[1], started[2]
	if !eventually(func() bool {
		status, _, err := get("http://" + r.admin + "/-/ready")
		return err == nil && status == http.StatusOK
	}) {
		t.Fatalf("not ready; the log: %s", r.text(t))
	}
	return r
}

func (r *relay) text(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(r.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (r *relay) waitLog(t *testing.T, expr string) []string {
	t.Helper()
	re := regexp.MustCompile(expr)
	var match []string
	if !eventually(func() bool {
		match = re.FindStringSubmatch(r.text(t))
		return match != nil
	}) {
		t.Fatalf("no line of the log matches %s: %s", expr, r.text(t))
	}
	return match
}

// journal is what a sender has seen. Its methods fit SenderOptions.OnAnswer,
// whose calls do not overlap; the fields are read after the run.
type journal struct {
	sent     map[string]devkit.Event // by event id
	accepted []string                // event ids
	statuses map[int]int             // 0: no answer
}

func (j *journal) answer(a devkit.Answer) {
	j.sent[a.Event.ID] = a.Event
	j.statuses[a.Status]++
	if a.Status == 200 {
		j.accepted = append(j.accepted, a.Event.ID)
	}
}

// slow makes the broker take its time for every produce request, so that
// there always are records which were sent and not acknowledged.
func (b *backend) slow(d time.Duration) {
	cluster := b.kafka.Cluster()
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		<-time.After(d)
		return nil, nil, false
	})
}

// TestTerminatedUnderLoad: SIGTERM while 16 connections send. The relay ends
// in order, with exit code 0, and every event that it has accepted is in
// Kafka, byte for byte.
func TestTerminatedUnderLoad(t *testing.T) {
	t.Parallel()
	for _, delay := range []string{"0s", "200ms"} {
		t.Run("delay="+delay, func(t *testing.T) {
			t.Parallel()
			const before = 300 // accepted events, then the signal
			b := newBackend(t)
			b.slow(5 * time.Millisecond)
			r := b.serve(t, "CXRELAY_SHUTDOWN_DELAY="+delay)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			enough := make(chan struct{})
			var closed atomic.Bool // the listener, which nobody opens again
			j := &journal{sent: map[string]devkit.Event{}, statuses: map[int]int{}}
			done := make(chan struct{})
			go func() {
				defer close(done)
				send(ctx, t, "http://"+r.webhook+"/cxone/webhook", &closed, func(a devkit.Answer) {
					j.answer(a)
					if a.Status == 200 && len(j.accepted) == before {
						close(enough)
					}
					if a.Unreachable() {
						closed.Store(true)
					}
				})
			}()
			select {
			case <-enough:
			case <-ctx.Done():
				t.Fatalf("not even %d events accepted: %v", before, j.statuses)
			}
			if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := r.cmd.Wait(); err != nil {
				t.Errorf("SIGTERM: %v; the log: %s", err, r.text(t))
			}
			<-done
			judge(t, b, r, j)
			if len(j.accepted) <= before {
				t.Errorf("no request that was under way at the signal was accepted")
			}
			t.Logf("answers by status: %v", j.statuses)
		})
	}
}

// send sends until stop is true; what it has sent by then gets its answer.
func send(ctx context.Context, t *testing.T, url string, stop *atomic.Bool, onAnswer func(devkit.Answer)) {
	sign, err := devkit.SignCXone([]byte(defaultSecret))
	if err != nil {
		t.Error(err)
		return
	}
	sender, err := devkit.NewSender(devkit.SenderOptions{URL: url, Sign: sign, Connections: 16, OnAnswer: onAnswer})
	if err != nil {
		t.Error(err)
		return
	}
	traffic, err := devkit.NewTraffic(devkit.TrafficOptions{Contacts: 40})
	if err != nil {
		t.Error(err)
		return
	}
	sender.Run(ctx, func(yield func(devkit.Event) bool) {
		for !stop.Load() && yield(traffic.Next()) {
		}
	})
}

// judge compares what the sender was told with what Kafka has.
func judge(t *testing.T, b *backend, r *relay, j *journal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	records, err := devkit.ReadAll(ctx, devTopics(), kgo.SeedBrokers(b.kafka.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{} // by event id
	for _, rec := range records {
		for _, h := range rec.Headers {
			if h.Key == "cxrelay-event-id" {
				values[string(h.Value)] = string(rec.Value)
			}
		}
	}
	for _, id := range j.accepted {
		if value, ok := values[id]; !ok {
			t.Errorf("LOST: %s was answered 200 and is in no topic", id)
		} else if value != string(j.sent[id].Body) {
			t.Errorf("CHANGED: %s is %q, sent was %q", id, value, j.sent[id].Body)
		}
	}
	for status := range j.statuses {
		if status != 0 && status != 200 && status != 503 {
			t.Errorf("%d answers with %d", j.statuses[status], status)
		}
	}
	stopped := r.waitLog(t, `"msg":"cxrelay stopped",.*"records_left":(\d+),"requests_left":(\d+),"received":\d+,"acked":(\d+)\}`)
	if stopped[1] != "0" || stopped[2] != "0" || stopped[3] != strconv.Itoa(len(records)) {
		t.Errorf("%s, and the topics hold %d records", stopped[0], len(records))
	}
}

// TestReaderGone: whoever read the log has ended. The relay has not.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		args   []string
		reads  func(cmd *exec.Cmd) (io.ReadCloser, error)
		expect string
	}{
		{"serve", []string{"serve"}, (*exec.Cmd).StderrPipe, `"msg":"cxrelay started".*"webhook":"([^"]+)"`},
		{
			"dev", []string{"dev", "--listen=127.0.0.1:0", "--kafka=127.0.0.1:0", "--registry=127.0.0.1:0", "--admin=127.0.0.1:0", "--format=json"},
			(*exec.Cmd).StdoutPipe, `"event":"ready","webhook":"http://([^/]+)/`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, newBackend(t).env, c.args...)
			output, err := c.reads(cmd)
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			address := readUntil(output, c.expect)
			if err := output.Close(); err != nil || address == "" {
				t.Fatalf("no line matches %s (%v)", c.expect, err)
			}
			url := "http://" + address + "/cxone/webhook"
			for range 3 {
				code, _, errs := runMain(t.Context(), "", "send", "--url", url, "--count", "1", "--bad-signature", "--expect", "401")
				if code != 0 {
					t.Fatalf("exit %d: %s", code, errs)
				}
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("SIGTERM: %v", err)
			}
		})
	}
}

// readUntil returns the first group of the expression in the first line that
// matches, or "".
func readUntil(r io.Reader, expr string) string {
	re := regexp.MustCompile(expr)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if m := re.FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
	}
	return ""
}

// TestStoppedBeforeReady: a signal during the start is a stop like any other.
func TestStoppedBeforeReady(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code := make(chan int, 1)
	var stdout, stderr string
	go func() {
		var c int
		c, stdout, stderr = runMain(ctx, "", "dev", "--listen=127.0.0.1:0", "--kafka=127.0.0.1:0", "--registry=127.0.0.1:0", "--admin=127.0.0.1:0")
		code <- c
	}()
	select {
	case c := <-code:
		if c != 0 || stdout != "" || stderr != "" {
			t.Errorf("exit %d, stdout %q, stderr %q", c, stdout, stderr)
		}
	case <-time.After(patience):
		t.Fatal("dev does not end")
	}
}

// TestMissingToolFailsCI: a story must not skip silently where it counts.
func TestMissingToolFailsCI(t *testing.T) {
	t.Setenv("CI", "1")
	if ok, err := storyCondition("need:no-such-program"); ok || err == nil {
		t.Errorf("%v, %v", ok, err)
	}
	if ok, err := storyCondition("need:sh"); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

// TestDevDefaults: others rely on where dev is when nothing is said.
func TestDevDefaults(t *testing.T) {
	flags := newDevCommand().Flags()
	for name, want := range map[string]string{
		"listen": "127.0.0.1:8080", "kafka": "127.0.0.1:9092", "registry": "127.0.0.1:8081", "admin": "127.0.0.1:9640",
		"secret": "dev-secret", "format": "text",
	} {
		if f := flags.Lookup(name); f == nil || f.DefValue != want {
			t.Errorf("--%s: want the default %q, have %+v", name, want, f)
		}
	}
}
