package real

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/process"
)

// fake is a test that remembers how it was ended.
type fake struct {
	testing.TB
	how string
}

func (f *fake) Helper() {}
func (f *fake) Fatalf(format string, args ...any) {
	f.how = "failed: " + fmt.Sprintf(format, args...)
	panic(f)
}

func (f *fake) Skipf(format string, args ...any) {
	f.how = "skipped: " + fmt.Sprintf(format, args...)
	panic(f)
}

// TestDemand: nothing is skipped by accident.
func TestDemand(t *testing.T) {
	for name, c := range map[string]struct{ mode, ci, path, want string }{
		"a tool is missing":      {path: "/nowhere", want: "failed: java is missing"},
		"skip on a laptop":       {mode: "skip", path: "/nowhere", want: "skipped: "},
		"skip in CI":             {mode: "skip", ci: "1", want: "failed: CXRELAY_REAL=skip is not for CI"},
		"a word that is not one": {mode: "yes", want: `failed: CXRELAY_REAL="yes"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(modeVariable, c.mode)
			t.Setenv("CI", c.ci)
			t.Setenv("PATH", c.path)
			f := &fake{}
			func() {
				defer func() { _ = recover() }()
				demand(f)
			}()
			if !strings.HasPrefix(f.how, c.want) {
				t.Errorf("got %q, want %q", f.how, c.want)
			}
		})
	}
}

// TestVerify: what was pinned is what runs.
func TestVerify(t *testing.T) {
	for _, name := range []string{"kafka-" + string(Current), "kafka-" + string(Oldest), registryFolder} {
		if _, err := pinned.ReadFile("testdata/" + name + ".sha256"); err != nil {
			t.Errorf("%s has no sums: %v", name, err)
		}
		if err := verify(name, t.TempDir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s, nothing there: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "apicurio-registry-app-2.6.13.Final-all.tar.gz"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := verify(registryFolder, dir); err == nil || !strings.Contains(err.Error(), "not the file that was pinned") {
		t.Errorf("another file: %v", err)
	}
}

// TestParseKcat: lengths decide, so that keys and values may hold anything.
func TestParseKcat(t *testing.T) {
	in := "3 17 1700000000123 4 9 a=1,b=x=y\nk\n 1{\n\"a\"\n: 1\n" + "0 0 5 -1 0 \n\n"
	var a, b kgo.Record
	rest, err := parseKcat(&a, []byte(in))
	if err == nil {
		rest, err = parseKcat(&b, rest)
	}
	if err != nil || len(rest) != 0 {
		t.Fatalf("%v, rest %q", err, rest)
	}
	if got, want := text(&a), `/3@17 1700000000123 "k\n 1" "{\n\"a\"\n: 1" "a=1,b=x=y"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if b.Key != nil || len(b.Value) != 0 || b.Headers != nil {
		t.Errorf("null key: %+v", b)
	}
	for i := range in[:len(in)-len("0 0 5 -1 0 \n\n")] {
		if _, err := parseKcat(new(kgo.Record), []byte(in[:i])); err == nil {
			t.Errorf("%q was taken", in[:i])
		}
	}
}

func TestFreePorts(t *testing.T) {
	ports, err := process.FreePorts(t.Context(), 50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", process.Local(port))
		if err != nil || seen[port] {
			t.Errorf("port %d: twice %t, %v", port, seen[port], err)
			continue
		}
		seen[port] = true
		defer l.Close()
	}
}

// TestProperties: what the tests rely on is what the brokers are told.
func TestProperties(t *testing.T) {
	for brokers, want := range map[int][]string{
		1: {"min.insync.replicas=1", "default.replication.factor=1", "controller.quorum.voters=1@127.0.0.1:21\n"},
		3: {"min.insync.replicas=2", "default.replication.factor=3", "voters=1@127.0.0.1:21,2@127.0.0.1:22,3@127.0.0.1:23\n", "unclean.leader.election.enable=false", "node.id=1"},
	} {
		c := &cluster{settings: newSettings([]Option{Brokers(brokers)})}
		got := c.properties(&node{id: 1, port: 20}, []int{21, 22, 23}[:brokers])
		for _, line := range want {
			if !strings.Contains(got, line) {
				t.Errorf("%d brokers: no %q in\n%s", brokers, line, got)
			}
		}
	}
}

func TestSum(t *testing.T) {
	m := map[string]float64{`a{x="1"}`: 1, `a{x="2"}`: 2, "a": 4, "ab": 8}
	if got := Sum(m, "a"); got != 7 {
		t.Errorf("got %v", got)
	}
}
