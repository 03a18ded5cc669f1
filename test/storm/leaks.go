package storm

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/cxrelay/cxrelay/test/process"
	"github.com/cxrelay/cxrelay/test/storm/load"
)

// Words that belong nowhere but into a request: secrets, as they are given
// and as they are used, and what came without a valid signature.
func secrets() []string {
	return []string{secret, stampKey, load.Stamped{Key: stampKey}.Secret()[len("whsec_"):]}
}

// leaks are the places where one of the words is.
type leaks struct{ facts *Facts }

func (l leaks) look(where string, text []byte, err error, words ...string) {
	if err != nil {
		l.facts.fault("ENDED: %s: %v", where, err)
		return
	}
	for _, word := range append(words, secrets()...) {
		if bytes.Contains(text, []byte(word)) {
			l.facts.fault("LEAKED: %q is in %s", word, where)
		}
	}
}

// running looks at what a running relay shows: its pages, profiles among
// them, what the system shows of it, and its configuration as it prints it.
func (l leaks) running(ctx context.Context, r *relay) {
	for _, page := range []string{
		"/metrics", "/api/v1/status", "/api/v1/schemas", "/-/ready", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2",
		"/debug/pprof/heap", "/debug/pprof/heap?debug=1", "/debug/pprof/allocs?debug=1", "/debug/pprof/trace?seconds=0.2",
	} {
		_, body, err := r.get(ctx, page)
		body, err = plain(body, err)
		l.look(page, body, err, load.Evil)
	}
	for _, file := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(r.current().PID()), file))
		l.look("/proc/PID/"+file, text, err)
	}
	text, err := exec.CommandContext(ctx, r.storm.Relay, "config", "print", "--config", r.storm.path(configFile)).CombinedOutput() //nolint:gosec // what the caller wants tested
	if err != nil {
		err = fmt.Errorf("%w: %s", err, text)
	}
	l.look("cxrelay config print", text, err)
}

// plain takes off the compression of a profile.
func plain(body []byte, err error) ([]byte, error) {
	if err != nil || !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return body, err
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// crash starts the relay once more, lets it dump its stacks while events are
// under way (SIGQUIT), and looks at everything that all processes wrote.
func (l leaks) crash(ctx context.Context, r *relay) {
	l.facts.Crash = underWay
	err := r.start()
	if err == nil {
		err = r.untilReady(ctx, 30*time.Second)
	}
	if err == nil {
		err = quit(ctx, r)
	}
	log, failed := os.ReadFile(r.log)
	if err = errors.Join(err, failed); err == nil && !bytes.Contains(log, []byte("SIGQUIT: quit")) {
		err = errors.New("there is no dump after SIGQUIT")
	}
	l.look("the log", log, err, load.Forged)
}

// underWay are the events that are under way when the relay dumps its stacks.
const underWay = 20

func quit(ctx context.Context, r *relay) error {
	var under sync.WaitGroup
	defer under.Wait()
	began := make(chan struct{}, underWay)
	for range cap(began) {
		under.Go(func() {
			began <- struct{}{}
			r.probe(ctx)
		})
	}
	for range cap(began) {
		<-began
	}
	p := r.current()
	if err := p.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	select {
	case <-p.Ended():
		return nil
	case <-limit.C:
		p.Kill()
		return fmt.Errorf("not ended 10 s after SIGQUIT; %s", process.LastWords(p.Log))
	}
}
