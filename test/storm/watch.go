package storm

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
)

// Sample is what a relay uses at one moment.
type Sample struct {
	At         time.Time `json:"at"`
	PID        int       `json:"pid"`
	RSS        int64     `json:"rss"` // bytes
	Files      int       `json:"files"`
	Goroutines int       `json:"goroutines"`
}

// watch takes samples of the relay.
type watch struct {
	relay   *relay
	samples []Sample
}

func newWatch(r *relay) *watch { return &watch{relay: r} }

// run takes a sample every half second until ctx ends. One that cannot be had,
// because the relay is just dead, is left out.
func (w *watch) run(ctx context.Context) {
	for pace.Wait(ctx, 500*time.Millisecond) {
		if s, ok := w.take(ctx); ok {
			w.samples = append(w.samples, s)
		}
	}
}

func (w *watch) take(ctx context.Context) (Sample, bool) {
	p := w.relay.current()
	if !p.Alive() {
		return Sample{}, false
	}
	s := Sample{At: time.Now(), PID: p.PID()}
	dir := filepath.Join("/proc", strconv.Itoa(s.PID))
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return Sample{}, false
	}
	s.Files = len(files)
	status, err := os.ReadFile(filepath.Join(dir, "status")) //nolint:gosec // of our child
	if err != nil {
		return Sample{}, false
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64) // the kernel's own number
			s.RSS = kb << 10
		}
	}
	if m, err := w.relay.series(ctx); err == nil {
		s.Goroutines = int(m["go_goroutines"])
	}
	return s, s.RSS > 0
}
