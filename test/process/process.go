// Package process starts other programs for a test and ends them with it,
// however it ends, and finds ports for them.
package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// Process is a process that ends no later than this program. Safe for
// concurrent use.
type Process struct {
	Log string // file of its standard output and error

	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // how it ended; valid once ended is closed
}

// Start starts cmd, which must not have been given an output yet, and
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
func Start(cmd *exec.Cmd, log string) (*Process, error) {
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
	p := &Process{cmd: cmd, Log: log, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Alive tells whether the process has not ended; a paused one is alive.
func (p *Process) Alive() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err tells how the process ended; nil if it ended well, or has not.
func (p *Process) Err() error {
	if p.Alive() {
		return nil
	}
	return p.err
}

// Signal sends a signal to the process group.
func (p *Process) Signal(s syscall.Signal) error {
	if !p.Alive() {
		return errors.New("the process has ended")
	}
	return syscall.Kill(-p.cmd.Process.Pid, s)
}

// Kill ends the process as a power cut would, and returns when it has ended.
func (p *Process) Kill() {
	if p.Alive() {
		_ = p.Signal(syscall.SIGKILL) // it may just have ended by itself
		<-p.ended
	}
}

// Run runs a command to its end and returns its standard output. It is killed
// with its children when ctx ends. The error has the end of what it said.
func Run(ctx context.Context, cmd *exec.Cmd, log string) error {
	p, err := Start(cmd, log)
	if err != nil {
		return err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.Kill()
	}
	if err := errors.Join(ctx.Err(), p.err); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Path, err, LastWords(log))
	}
	return nil
}

// LastWords returns the end of a log file, for an error text.
func LastWords(log string) string {
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

// FreePorts finds n loopback ports that nobody uses now. They lie below the
// range from which Linux takes the ports of outgoing connections (32768 up,
// ip(7)): a broker that is restarted must find its port still free.
func FreePorts(ctx context.Context, n int) ([]int, error) {
	const low, high, tries = 15_000, 32_000, 1000
	var ports []int
	for range tries {
		if len(ports) == n {
			return ports, nil
		}
		port := low + rand.IntN(high-low) //nolint:gosec // no secret: only spread
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", Local(port))
		if err != nil {
			continue
		}
		defer l.Close() // all are held until the last one is found
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("no %d free loopback ports between %d and %d", n, low, high)
}

// Local is a port on loopback, as host:port.
func Local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
