package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cxrelay/cxrelay/internal/devkit"
)

// patience is how long a test waits for what should take a moment. It is no
// claim about speed: machines that run tests are slow at times.
const patience = 30 * time.Second

// TestStories runs the scripts in testdata that need no port of their own.
//
// Each script has a stub of a relay at $RELAY, whose address $TAKEN is thus
// in use, and an address where nobody listens at $NOBODY. $REPO is the root
// of the repository. "exec bg NAME PROGRAM ARG... &NAME&" runs a program in
// the background with its output in NAME.out and NAME.err; see also the
// commands in storyCommands.
func TestStories(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var free []string
	for _, s := range scripts {
		if filepath.Base(s) != quickstartScript {
			free = append(free, s)
		}
	}
	runStories(t, free, func(env *testscript.Env) error {
		if !strings.HasPrefix(filepath.Base(env.WorkDir), "script-check") {
			return nil
		}
		n, err := newNeighbours(t.Context())
		if err != nil {
			return err
		}
		n.env(env)
		return nil
	})
}

func runStories(t *testing.T, scripts []string, setup func(*testscript.Env) error) {
	t.Helper()
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	tools := t.TempDir()
	const bg = "#!/bin/sh\nname=$1\nshift\nexec \"$@\" >\"$name.out\" 2>\"$name.err\"\n"
	if err := os.WriteFile(filepath.Join(tools, "bg"), []byte(bg), 0o755); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files:               scripts,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                storyCommands(),
		Condition:           storyCondition,
		Setup: func(env *testscript.Env) error {
			stub := httptest.NewServer(&stubRelay{secret: defaultSecret, tries: map[string]int{}})
			env.Defer(stub.Close)
			nobody, err := reserve()
			if err != nil {
				return err
			}
			env.Defer(nobody.release)
			w := &story{reserved: map[string]*reservation{}}
			env.Defer(w.close)
			env.Values[storyKey{}] = w
			env.Setenv("RELAY", stub.URL)
			env.Setenv("TAKEN", stub.Listener.Addr().String())
			env.Setenv("NOBODY", "http://"+nobody.addr)
			env.Setenv("REPO", repo)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else every command ends a second late
			env.Setenv("PATH", tools+string(os.PathListSeparator)+env.Getenv("PATH"))
			return setup(env)
		},
	})
}

// storyCondition knows [need:PROGRAM]. It is true when the program is there.
// When it is not, CI fails, and others are told what was not tested.
func storyCondition(cond string) (bool, error) {
	program, ok := strings.CutPrefix(cond, "need:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	if _, err := exec.LookPath(program); err == nil {
		return true, nil
	}
	if os.Getenv("CI") != "" {
		return false, fmt.Errorf("%s is not installed", program)
	}
	fmt.Fprintf(os.Stderr, "NOT TESTED: a part of a story needs %s, which is not installed\n", program)
	return false, nil
}

// storyKey finds the story of a script.
type storyKey struct{}

// story is what a script has started inside the test process.
type story struct {
	reserved map[string]*reservation
	kafka    *devkit.Kafka // the last one started
	stop     []func()
}

func storyOf(ts *testscript.TestScript) *story {
	w, ok := ts.Value(storyKey{}).(*story)
	if !ok {
		ts.Fatalf("no story")
	}
	return w
}

func (w *story) close() {
	for i := len(w.stop) - 1; i >= 0; i-- {
		w.stop[i]()
	}
	for _, r := range w.reserved {
		r.release()
	}
}

// take gives up a reservation right before its address is used.
func (w *story) take(addr string) string {
	if r := w.reserved[addr]; r != nil {
		r.release()
		delete(w.reserved, addr)
	}
	return addr
}

// reservation keeps a port of 127.0.0.1 to itself without listening on it:
// connections are refused, and nobody else is given the port.
type reservation struct {
	fd   int
	addr string
}

func reserve() (*reservation, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	r := &reservation{fd: fd}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		r.release()
		return nil, err
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		r.release()
		return nil, err
	}
	in4, ok := bound.(*syscall.SockaddrInet4)
	if !ok {
		r.release()
		return nil, fmt.Errorf("bound to %T", bound)
	}
	r.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(in4.Port))
	return r, nil
}

func (r *reservation) release() { _ = syscall.Close(r.fd) }

func storyCommands() map[string]func(*testscript.TestScript, bool, []string) {
	commands := map[string]func(*testscript.TestScript, []string){
		"kafka": cmdKafka, "createtopic": cmdCreateTopic, "registry": cmdRegistry, "reserve": cmdReserve,
		"signal": cmdSignal, "waitline": cmdWaitLine, "waithttp": cmdWaitHTTP, "post": cmdPost,
	}
	all := make(map[string]func(*testscript.TestScript, bool, []string), len(commands))
	for name, run := range commands {
		all[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("unsupported: ! %s", name)
			}
			run(ts, args)
		}
	}
	return all
}

// reserve VAR: sets VAR to an address where nobody listens, until kafka or
// registry is told to.
func cmdReserve(ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: reserve VAR")
	}
	r, err := reserve()
	ts.Check(err)
	storyOf(ts).reserved[r.addr] = r
	ts.Setenv(args[0], r.addr)
}

// kafka ADDR TOPIC...: starts a broker in the test process and sets
// KAFKA_BROKERS. "default" stands for the topics of the default routes.
func cmdKafka(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: kafka ADDR TOPIC...")
	}
	topics := args[1:]
	if topics[0] == "default" {
		topics = devTopics()
	}
	w := storyOf(ts)
	broker, err := devkit.StartKafka(devkit.KafkaOptions{Addr: w.take(args[0]), Topics: topics})
	ts.Check(err)
	w.kafka = broker
	w.stop = append(w.stop, broker.Close)
	ts.Setenv("KAFKA_BROKERS", broker.Addr())
}

// devTopics are the topics of the default routes.
func devTopics() []string {
	return []string{"cxone.interactions.raw", "cxone.dispositions.raw", "cxone.transfers.raw", "cxone.calls.terminated"}
}

// createtopic TOPIC: creates a topic of the default number of partitions.
func cmdCreateTopic(ts *testscript.TestScript, args []string) {
	w := storyOf(ts)
	if len(args) != 1 || w.kafka == nil {
		ts.Fatalf("usage: createtopic TOPIC, after kafka")
	}
	ts.Check(w.kafka.Cluster().CreateTopic(args[0], devkit.DefaultPartitions, nil))
}

// registry ADDR SUBJECT...: starts a registry in the test process, registers
// the schema of cxrelay dev as each subject, and sets SCHEMA_REGISTRY_URL.
func cmdRegistry(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: registry ADDR SUBJECT...")
	}
	w := storyOf(ts)
	registry, err := devkit.NewRegistry(devkit.RegistryOptions{Addr: w.take(args[0])})
	ts.Check(err)
	w.stop = append(w.stop, func() { _ = registry.Close() })
	for _, subject := range args[1:] {
		_, err := registry.Register(subject, devkit.DevSchema)
		ts.Check(err)
	}
	ts.Setenv("SCHEMA_REGISTRY_URL", registry.URL())
}

// signal NAME TERM|INT|HUP|KILL: sends a signal to what bg has started under NAME.
func cmdSignal(ts *testscript.TestScript, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt, "HUP": syscall.SIGHUP, "KILL": os.Kill}
	if len(args) != 2 || signals[args[1]] == nil {
		ts.Fatalf("usage: signal NAME TERM|INT|HUP|KILL")
	}
	for _, cmd := range ts.BackgroundCmds() {
		if len(cmd.Args) > 1 && cmd.Args[1] == args[0] {
			ts.Check(cmd.Process.Signal(signals[args[1]]))
			return
		}
	}
	ts.Fatalf("bg has started no %s", args[0])
}

// waitline FILE REGEXP [VAR...]: waits until a line of the file matches, and
// sets the variables to what the groups of the expression matched.
func cmdWaitLine(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: waitline FILE REGEXP [VAR...]")
	}
	var last []byte
	var match []string
	re := compile(ts, args[1])
	if !eventually(func() bool {
		last, _ = os.ReadFile(ts.MkAbs(args[0])) // the program may not have made it yet
		match = re.FindStringSubmatch(string(last))
		return match != nil
	}) {
		ts.Fatalf("no line of %s matches %s; it holds:\n%s", args[0], args[1], last)
	}
	setGroups(ts, args[2:], match)
}

// waithttp URL STATUS REGEXP [VAR...]: waits until a GET of the URL is
// answered so, with a body that matches.
func cmdWaitHTTP(ts *testscript.TestScript, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: waithttp URL STATUS REGEXP [VAR...]")
	}
	last := ""
	var match []string
	re := compile(ts, args[2])
	if !eventually(func() bool {
		status, body, err := get(args[0])
		last = fmt.Sprintf("%d %s %v", status, body, err)
		match = re.FindStringSubmatch(body)
		return err == nil && strconv.Itoa(status) == args[1] && match != nil
	}) {
		ts.Fatalf("%s: want %s and %s, the last answer is: %s", args[0], args[1], args[2], last)
	}
	setGroups(ts, args[3:], match)
}

// post URL STATUS REGEXP: a POST of nothing is answered so, with a body that
// matches.
func cmdPost(ts *testscript.TestScript, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: post URL STATUS REGEXP")
	}
	status, body, err := ask(http.MethodPost, args[0])
	ts.Check(err)
	if strconv.Itoa(status) != args[1] || !compile(ts, args[2]).MatchString(body) {
		ts.Fatalf("%s: want %s and %s, the answer is: %d %s", args[0], args[1], args[2], status, body)
	}
}

func compile(ts *testscript.TestScript, expr string) *regexp.Regexp {
	re, err := regexp.Compile("(?m)" + expr)
	ts.Check(err)
	return re
}

func setGroups(ts *testscript.TestScript, names, match []string) {
	if len(names) > len(match)-1 {
		ts.Fatalf("%d variables for %d groups", len(names), len(match)-1)
	}
	for i, name := range names {
		ts.Setenv(name, match[i+1])
	}
}

// eventually tries until it succeeds, or until patience ends: false.
func eventually(try func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !try() {
		select {
		case <-tick.C:
		case <-limit:
			return false
		}
	}
	return true
}

func get(url string) (status int, body string, err error) { return ask(http.MethodGet, url) }

func ask(method, url string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	return resp.StatusCode, string(b), err
}
