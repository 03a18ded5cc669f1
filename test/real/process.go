package real

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// child is a process that ends no later than this program.
type child struct {
	cmd   *exec.Cmd
	log   string        // file of its standard output and error
	ended chan struct{} // closed when it has ended
	err   error         // how it ended; valid once ended is closed
}

// startChild starts cmd, which must not have been given an output yet, and
// appends what it says to the file log.
//
// A test program ends in several ways, and only some of them run a cleanup:
// a panic in a goroutine, the time-out of go test, an interrupt or a SIGKILL
// do not. So the kernel is asked to kill the child when its parent dies
// (PR_SET_PDEATHSIG, prctl(2); Linux only). What it calls the parent is the
// thread that started the child, therefore that thread is held until the
// child has ended. The child leads a process group of its own, so that
// killing it takes its own children along, and so that an interrupt from the
// terminal reaches it only through us.
func startChild(cmd *exec.Cmd, log string) (*child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own descriptor
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	cmd.Stderr = out
	cmd.SysProcAttr = untilParentDies()
	c := &child{cmd: cmd, log: log, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return c, nil
}

// Process starts a program beside the relay, such as one that watches it. It
// is killed when the test has ended; what it says stays if the test fails.
func (r *Rig) Process(t testing.TB, name string, args ...string) {
	t.Helper()
	r.use(t)
	process, err := startChild(exec.CommandContext(context.Background(), name, args...), filepath.Join(r.dir, filepath.Base(name)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.kill)
}

// FreeAddress returns a loopback address that nobody listens on now.
func FreeAddress(t testing.TB) string {
	t.Helper()
	ports, err := freePorts(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return local(ports[0])
}

// alive tells whether the process has not ended; a paused one is alive.
func (c *child) alive() bool {
	if c == nil {
		return false
	}
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// signal sends a signal to the process group.
func (c *child) signal(s syscall.Signal) error {
	if !c.alive() {
		return errors.New("the process has ended")
	}
	return syscall.Kill(-c.cmd.Process.Pid, s)
}

// kill ends the process as a power cut would, and returns when it has ended.
func (c *child) kill() {
	if c.alive() {
		_ = c.signal(syscall.SIGKILL) // it may just have ended by itself
		<-c.ended
	}
}

// run runs a command to its end and returns its standard output. It is killed
// with its children when ctx ends. The error has the end of what it said.
func run(ctx context.Context, cmd *exec.Cmd, log string) error {
	c, err := startChild(cmd, log)
	if err != nil {
		return err
	}
	select {
	case <-c.ended:
	case <-ctx.Done():
		c.kill()
	}
	if err := errors.Join(ctx.Err(), c.err); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Path, err, lastWords(log))
	}
	return nil
}

// lastWords returns the end of a log file, for an error text.
func lastWords(log string) string {
	const limit = 1500
	text, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	if len(text) > limit {
		text = text[len(text)-limit:]
	}
	return log + " ends with:\n" + string(text)
}

// freePorts finds n loopback ports that nobody uses now. They lie below the
// range from which Linux takes the ports of outgoing connections (32768 up,
// ip(7)): a broker that is restarted must find its port still free.
func freePorts(ctx context.Context, n int) ([]int, error) {
	const low, high, tries = 15_000, 32_000, 1000
	var ports []int
	for range tries {
		if len(ports) == n {
			return ports, nil
		}
		port := low + rand.IntN(high-low) //nolint:gosec // no secret: only spread
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", local(port))
		if err != nil {
			continue
		}
		defer l.Close() // all are held until the last one is found
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("no %d free loopback ports between %d and %d", n, low, high)
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
