package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// paused is a writer that takes nothing until it is let go.
type paused struct {
	got strings.Builder
	let chan struct{}
}

func (p *paused) Write(b []byte) (int, error) {
	<-p.let
	return p.got.Write(b)
}

// TestPausedReader: a reader that pauses holds up no answer; what does not fit
// is counted.
func TestPausedReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &paused{let: make(chan struct{})}
		p := newDevPrinter(out, formatText)
		p.ready(readyFacts{Webhook: "http://127.0.0.1:1/x", Secret: "s"})
		synctest.Wait() // the banner is being written
		for n := range devQueue + 3 {
			p.print("line %d\n", n)
		}
		close(out.let)
		p.end()
		got := out.got.String()
		if !strings.HasPrefix(got, "cxrelay dev:") || !strings.Contains(got, fmt.Sprintf("line %d\n", devQueue-1)) || !strings.Contains(got, "(3 lines left out") {
			t.Errorf("%d bytes, ends with %q", len(got), got[max(0, len(got)-200):])
		}
	})
}

// TestProgramName: the line that sends more starts the program as the user
// has, and "go run" has a name for it that nobody can type.
func TestProgramName(t *testing.T) {
	hash := strings.Repeat("0123456789abcdef", 4)
	for name, want := range map[string]string{
		"cxrelay":               "cxrelay",
		"./bin/cxrelay":         "./bin/cxrelay",
		"/opt/my tools/cxrelay": "'/opt/my tools/cxrelay'",
		"/tmp/go-build507429976/b001/exe/cxrelay":             "go run ./cmd/cxrelay",
		"/home/dev/.cache/go-build/89/" + hash + "-d/cxrelay": "go run ./cmd/cxrelay",
		"/elsewhere/89/" + hash + "-d/cxrelay":                "go run ./cmd/cxrelay",
		"/home/go-build/cxrelay":                              "/home/go-build/cxrelay",
	} {
		if got := programName(name); got != want {
			t.Errorf("programName(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	long := strings.Repeat("é", 39)
	for in, want := range map[string]string{
		"": "", "abc": "abc", long + "é": long + "é", long + "éx": long + "…", long + "xyz": long + "…", "a\x1b[2J": "a?[2J",
	} {
		if got := short(in); got != want {
			t.Errorf("short(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestUsable(t *testing.T) {
	for in, want := range map[string]string{
		":80": "localhost:80", "0.0.0.0:80": "localhost:80", "[::]:80": "localhost:80",
		"127.0.0.1:80": "127.0.0.1:80", "[::1]:80": "[::1]:80", "relay.test:80": "relay.test:80",
	} {
		if got := usable(in); got != want {
			t.Errorf("usable(%q) = %s, want %s", in, got, want)
		}
	}
}

// TestExposed: what is not on loopback can be reached from the network.
func TestExposed(t *testing.T) {
	f := devFlags{listen: ":0", kafka: "0.0.0.0:9092", registry: "127.0.0.1:0", admin: "localhost:0"}
	var out strings.Builder
	f.warn(&out)
	const want = "cxrelay: warning: --listen :0 can be reached from the network\n" +
		"cxrelay: warning: --kafka 0.0.0.0:9092 can be reached from the network; it asks for no password, and tells its clients localhost:9092\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
	f = devFlags{listen: "127.0.0.2:1", kafka: "[::1]:1", registry: "192.0.2.1:0", admin: "[::]:0"}
	if got := flagNames(f.exposed()); got != "--registry, --admin" {
		t.Errorf("exposed: %s", got)
	}
}
