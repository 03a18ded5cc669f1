package process

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const endVariable = "CXRELAY_TEST_END"

// TestProcessesDieWithTheTest runs this test program again, as one that has
// started a process and then ends without a cleanup.
func TestProcessesDieWithTheTest(t *testing.T) {
	for _, end := range []string{"panic", "timeout", "interrupt", "kill", "goroutine"} {
		t.Run(end, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperEnds$", "-test.timeout=2s") //nolint:gosec // ourselves
			cmd.Env = append(os.Environ(), endVariable+"="+end)
			stdin, err1 := cmd.StdinPipe()
			stdout, err2 := cmd.StdoutPipe()
			if err := errors.Join(err1, err2, cmd.Start()); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			pid, atoi := strconv.Atoi(strings.TrimSpace(line))
			if err != nil || atoi != nil || !running(pid) {
				t.Fatalf("the helper said %q: %v", line, err)
			}
			err = stdin.Close() // go on
			switch end {
			case "interrupt":
				err = cmd.Process.Signal(syscall.SIGINT)
			case "kill":
				err = cmd.Process.Kill()
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Error("the helper ended well")
			}
			gone(t, pid)
		})
	}
}

// TestHelperEnds is the program that ends badly, if TestProcessesDieWithTheTest
// runs it.
func TestHelperEnds(t *testing.T) {
	end := os.Getenv(endVariable)
	if end == "" {
		return
	}
	c, err := Start(exec.CommandContext(t.Context(), "sleep", "600"), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(c.cmd.Process.Pid)
	_, _ = io.ReadAll(os.Stdin) // until the other side has seen the process
	switch end {
	case "panic":
		panic("as wanted")
	case "goroutine":
		go func() { panic("as wanted") }()
	}
	<-c.ended
}

// running tells whether a process is there and not only waits to be reaped.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return len(fields) > 0 && fields[0] != "Z" && fields[0] != "X"
}

// TestPausedProcessDies: SIGKILL reaches a process that SIGSTOP holds.
func TestPausedProcessDies(t *testing.T) {
	c, err := Start(exec.CommandContext(t.Context(), "sleep", "600"), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Signal(syscall.SIGSTOP); err != nil || !c.Alive() {
		t.Errorf("paused: alive %t, %v", c.Alive(), err)
	}
	c.Kill()
	if c.Alive() {
		t.Error("alive")
	}
	if err := c.Signal(syscall.SIGCONT); err == nil {
		t.Error("a signal reached a dead process")
	}
}

// gone waits until a process is no longer running.
func gone(t *testing.T, pid int) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for limit := time.After(5 * time.Second); running(pid); {
		select {
		case <-look.C:
		case <-limit:
			t.Fatalf("process %d is still running", pid)
		}
	}
}
