package storm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cxrelay/cxrelay/test/process"
	"github.com/cxrelay/cxrelay/test/storm/chaos"
)

const fakeBrokers = 3

// Fake is a cluster of in-process brokers in a process of their own, each
// behind a proxy.
type Fake struct {
	binary  string
	dir     string
	listen  []string
	proxies []*chaos.Proxy
	control string

	mu      sync.Mutex
	process *process.Process
	killed  bool
	grown   int
}

// StartFake starts a cluster with the storm's topics. Its records are in dir,
// which must be there. Close ends it.
func StartFake(ctx context.Context, binary, dir string) (*Fake, error) {
	ports, err := process.FreePorts(ctx, fakeBrokers+1)
	if err != nil {
		return nil, err
	}
	f := &Fake{binary: binary, dir: dir, control: process.Local(ports[fakeBrokers])}
	for _, port := range ports[:fakeBrokers] {
		f.listen = append(f.listen, process.Local(port))
		p, err := chaos.NewProxy("127.0.0.1:0", process.Local(port))
		if err != nil {
			f.Close()
			return nil, err
		}
		f.proxies = append(f.proxies, p)
	}
	if err := f.start(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Brokers returns the addresses of the proxies.
func (f *Fake) Brokers() []string {
	var all []string
	for _, p := range f.proxies {
		all = append(all, p.Addr())
	}
	return all
}

// Forgetful implements Kafka: these brokers write down what producers have
// written only when they stop in order, so that the retry of a record whose
// answer died with them is written again. Real ones find it in their log.
func (f *Fake) Forgetful() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.killed
}

// Close ends brokers and proxies; the records stay on disk.
func (f *Fake) Close() {
	f.mu.Lock()
	f.process.Kill()
	f.mu.Unlock()
	for _, p := range f.proxies {
		p.Close()
	}
}

// start returns when the brokers serve.
func (f *Fake) start(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	cmd := exec.CommandContext(context.Background(), f.binary, //nolint:gosec // our own program
		"-data", filepath.Join(f.dir, "kafka"), "-listen", strings.Join(f.listen, ","), "-advertise", strings.Join(f.Brokers(), ","),
		"-control", f.control, "-topics", strings.Join(Topics(), ","), "-partitions", fmt.Sprint(Partitions))
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd.Stdout = write
	f.process, err = process.Start(cmd, filepath.Join(f.dir, "kafka.log"))
	_ = write.Close() // the child has its own
	if err != nil {
		return err
	}
	said := make(chan error, 1)
	go func() { _, err := bufio.NewReader(read).ReadString('\n'); said <- err }()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	select {
	case err = <-said:
	case <-limit.C:
		err = errors.New("not ready within a minute")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		f.process.Kill()
		return fmt.Errorf("start brokers: %w; %s", err, process.LastWords(f.process.Log))
	}
	return nil
}

func (f *Fake) kill(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killed = true
	f.process.Kill()
	return nil
}

// stop ends the brokers as an administrator does.
func (f *Fake) stop(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	select {
	case <-f.process.Ended():
		return f.process.Err()
	case <-ctx.Done():
		f.process.Kill()
		return errors.New("the brokers did not stop within 20 s")
	}
}

func (f *Fake) signal(s syscall.Signal) func(context.Context) error {
	return func(context.Context) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.process.Signal(s)
	}
}

// tell uses the control listener.
func (f *Fake) tell(format string, args ...any) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.control+fmt.Sprintf(format, args...), nil)
		if err != nil {
			return err
		}
		resp, err := new(http.Client).Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %d %s %w", req.URL.Path, resp.StatusCode, text, err)
		}
		return nil
	}
}

// Faults returns what may happen to the brokers and to the network before them.
func (f *Fake) Faults() []chaos.Fault {
	all := []chaos.Fault{
		{Name: "the brokers are killed", Min: 100 * time.Millisecond, Max: 2 * time.Second,
			Begin: f.kill, End: f.start},
		{Name: "the brokers are restarted", Begin: f.stop, End: f.start},
		{Name: "the brokers hang", Min: 500 * time.Millisecond, Max: 4 * time.Second, Begin: f.signal(syscall.SIGSTOP), End: f.signal(syscall.SIGCONT)},
		{Name: "leaders move", Begin: f.tell("/leaders")},
		{Name: "a topic grows", Begin: func(ctx context.Context) error {
			f.grown = min(f.grown+1, 8)
			return f.tell("/grow?topic=%s&partitions=%d", Topics()[0], Partitions+f.grown)(ctx)
		}},
	}
	for name, code := range map[string]int{
		"NOT_LEADER_OR_FOLLOWER": 6, "REQUEST_TIMED_OUT, and it was written": 7, "NOT_ENOUGH_REPLICAS": 19,
		"NOT_ENOUGH_REPLICAS_AFTER_APPEND, and it was written": 20, "TOPIC_AUTHORIZATION_FAILED": 29, "MESSAGE_TOO_LARGE": 10,
	} {
		all = append(all, chaos.Fault{Name: "Kafka answers " + name + " for 100 ms", Lasts: 100 * time.Millisecond, Begin: f.tell("/fault?code=%d&ms=100", code)})
	}
	for name, w := range map[string]chaos.Weather{
		"is delayed by 200 ms": {Delay: 200 * time.Millisecond}, "has 1 KB/s": {Rate: 1000}, "refuses connections": {Refuse: true},
		"swallows what goes to it": {DropUp: true}, "swallows what comes from it": {DropDown: true},
	} {
		all = append(all, f.network(name, w))
	}
	cut := func(name string, reset bool) chaos.Fault {
		return chaos.Fault{Name: "all connections to brokers are " + name, Begin: func(context.Context) error {
			for _, p := range f.proxies {
				p.Cut(reset)
			}
			return nil
		}}
	}
	return byName(append(all, cut("closed", false), cut("reset", true)))
}

// network gives one broker after the other bad weather.
func (f *Fake) network(name string, w chaos.Weather) chaos.Fault {
	next := 0
	return chaos.Fault{
		Name: "the network to a broker " + name, Min: time.Second, Max: 4 * time.Second,
		Begin: func(context.Context) error {
			p := f.proxies[next%fakeBrokers]
			p.Set(w)
			if w.Refuse {
				p.Cut(true)
			}
			return nil
		},
		End: func(context.Context) error {
			p := f.proxies[next%fakeBrokers]
			p.Set(chaos.Weather{})
			if w.DropUp || w.DropDown {
				p.Cut(true) // those that swallowed something go on swallowing
			}
			next++
			return nil
		},
	}
}

// byName makes the order of the faults that of their names, whatever maps do.
func byName(all []chaos.Fault) []chaos.Fault {
	slices.SortFunc(all, func(a, b chaos.Fault) int { return strings.Compare(a.Name, b.Name) })
	return all
}
