//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cxrelay/cxrelay/test/bench/traffic"
)

// layout says which CPUs the server has and which are left to broker and load
// generator, as lists for taskset; empty where nothing is pinned.
type layout struct{ server, rest string }

// pinning halves the CPUs, if there are two and taskset is there.
func pinning(wanted bool) layout {
	n := runtime.NumCPU()
	if _, err := exec.LookPath("taskset"); err != nil || !wanted || n < 2 {
		return layout{}
	}
	return layout{rest: fmt.Sprintf("0-%d", n/2-1), server: fmt.Sprintf("%d-%d", n/2, n-1)}
}

// process is a running child; it ends with the context it was started with.
type process struct {
	cmd    *exec.Cmd
	stderr *tail
	ended  chan struct{} // closed when it has ended
}

// family is all children of one case.
type family struct{ children []*process }

// start starts cmd, a command that command made.
func (f *family) start(cmd *exec.Cmd, stderr *tail) (*process, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stderr: stderr, ended: make(chan struct{})}
	f.children = append(f.children, p)
	go func() {
		_ = cmd.Wait() // how it ended is told by what it did not do
		close(p.ended)
	}()
	return p, nil
}

// wait returns when all children have ended.
func (f *family) wait() {
	for _, p := range f.children {
		<-p.ended
	}
}

// command prepares a program that gets SIGTERM when ctx ends, SIGKILL five
// seconds later, and SIGKILL when this process dies before it.
func command(ctx context.Context, cpus, program string, args ...string) (*exec.Cmd, *tail) {
	argv := append([]string{program}, args...)
	if cpus != "" {
		argv = append([]string{"taskset", "-c", cpus}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr := &tail{limit: 4 << 10}
	cmd.Stderr = stderr
	return cmd, stderr
}

// startBroker starts broker and registry and returns their addresses.
func startBroker(ctx context.Context, f *family, o options, l layout, name string) (*process, map[string]string, error) {
	cmd, stderr := command(ctx, l.rest, filepath.Join(o.bin, "broker"), "-case", name)
	stdout, writer := io.Pipe() // not StdoutPipe, which Wait may close too early
	cmd.Stdout = writer
	p, err := f.start(cmd, stderr)
	if err != nil {
		return nil, nil, err
	}
	go func() {
		<-p.ended
		writer.Close()
	}()
	var addrs map[string]string
	if err := json.NewDecoder(stdout).Decode(&addrs); err != nil {
		return nil, nil, fmt.Errorf("no addresses: %w%s", err, p.lastWords())
	}
	return p, addrs, nil
}

// start starts the server with the environment that cxrelay reads.
func (s *server) start(ctx context.Context, f *family, l layout, program string, c traffic.Case, addrs map[string]string) error {
	listen, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	admin, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	cmd, stderr := command(ctx, l.server, program, "serve")
	cmd.Env = append(os.Environ(),
		"KAFKA_BROKERS="+addrs["kafka"],
		"SCHEMA_REGISTRY_URL="+addrs["registry"],
		"CXONE_WEBHOOK_SECRET="+secret,
		"CXRELAY_LISTEN_ADDRESS="+listen,
		"CXRELAY_ADMIN_ADDRESS="+admin,
		"BENCH_TOPIC="+c.Topic, // of the floor, which routes nothing
	)
	s.addr = listen
	s.process, err = f.start(cmd, stderr)
	return err
}

// ready sends single events until one is accepted, for up to 20 seconds.
func (s *server) ready(ctx context.Context, o options, c traffic.Case) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	pause := time.NewTicker(200 * time.Millisecond)
	defer pause.Stop()
	for {
		w, err := generate(ctx, o, "", s.addr, c, "-count", "1", "-connections", "1")
		if err == nil && w.OK == 1 {
			return nil
		}
		select {
		case <-pause.C:
		case <-s.process.ended:
			return errors.New("ended at once")
		case <-ctx.Done():
			return fmt.Errorf("accepts nothing: answers %v: %w", w.Failed, errors.Join(err, ctx.Err()))
		}
	}
}

// load measures one window.
func (s *server) load(ctx context.Context, o options, l layout, c traffic.Case, window time.Duration) (sample, error) {
	before, err := s.process.cpuTime()
	if err != nil {
		return sample{}, err
	}
	w, err := generate(ctx, o, l.rest, s.addr, c, "-duration", window.String(),
		"-connections", strconv.Itoa(o.connections), "-rate", strconv.FormatFloat(o.rate, 'f', -1, 64))
	if err != nil {
		return sample{}, err
	}
	after, err := s.process.cpuTime()
	if err != nil {
		return sample{}, err
	}
	if w.OK == 0 {
		return sample{}, fmt.Errorf("nothing accepted, answers %v%s", w.Failed, s.process.lastWords())
	}
	return sample{Window: w, cpu: after - before}, nil
}

// generate runs the load generator to its end.
func generate(ctx context.Context, o options, cpus, addr string, c traffic.Case, args ...string) (traffic.Window, error) {
	args = append([]string{"-addr", addr, "-case", c.Name, "-secret", secret}, args...)
	cmd, stderr := command(ctx, cpus, filepath.Join(o.bin, "load"), args...)
	out, err := cmd.Output()
	if err != nil {
		return traffic.Window{}, fmt.Errorf("load generator: %w\n%s", err, stderr)
	}
	var w traffic.Window
	if err := json.Unmarshal(out, &w); err != nil {
		return traffic.Window{}, fmt.Errorf("load generator: %w", err)
	}
	return w, nil
}

// cpuTime returns the user and system time of the process, all threads, by
// proc(5): fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms.
func (p *process) cpuTime() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("process is gone: %w%s", err, p.lastWords())
	}
	// Field 2 is the program's name in parentheses and may hold spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("unexpected stat line %q", stat)
	}
	user, errUser := strconv.ParseInt(fields[11], 10, 64)
	system, errSystem := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(errUser, errSystem)
}

// peakRSS returns the most memory, in bytes, that the process ever had
// resident, by proc(5): VmHWM of /proc/PID/status.
func (p *process) peakRSS() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("process is gone: %w%s", err, p.lastWords())
	}
	return parsePeak(status)
}

// parsePeak finds the peak in a status file; the kernel writes kB for KiB.
func parsePeak(status []byte) (int64, error) {
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("no VmHWM in the status of the process")
}

// lastWords returns the end of the process's stderr, for an error text.
func (p *process) lastWords() string {
	if text := p.stderr.String(); text != "" {
		return "\nits last words:\n" + text
	}
	return ""
}

// freeAddr finds a loopback port that nobody uses now.
func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// tail keeps the last bytes written to it. Safe for concurrent use.
type tail struct {
	mu    sync.Mutex
	limit int
	text  []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - t.limit; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
