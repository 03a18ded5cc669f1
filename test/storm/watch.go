package storm

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// Process is one process of the relay.
type Process struct {
	PID  int   `json:"pid"`
	Peak int64 `json:"peak"` // bytes of RSS, by the kernel's own high-water mark (VmHWM, proc(5))
}

// watch takes samples of the relay.
type watch struct {
	relay   *relay
	samples []Sample

	mu    sync.Mutex
	peaks []Process
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

// processes are all that were seen.
func (w *watch) processes() []Process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.peaks)
}

// look reads what the kernel says of the process that runs now. It is also
// called before one is ended, so that its last peak is seen.
func (w *watch) look() (Sample, bool) {
	p := w.relay.current()
	if !p.Alive() {
		return Sample{}, false
	}
	s := Sample{At: time.Now(), PID: p.PID()}
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.PID), "status"))
	if err != nil {
		return Sample{}, false
	}
	peak := Process{PID: s.PID, Peak: kilobytes(status, "VmHWM:")}
	s.RSS = kilobytes(status, "VmRSS:")
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.peaks); n > 0 && w.peaks[n-1].PID == peak.PID {
		w.peaks[n-1] = peak
	} else if peak.Peak > 0 {
		w.peaks = append(w.peaks, peak)
	}
	return s, s.RSS > 0 // a zombie has none
}

func kilobytes(status []byte, name string) int64 {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64) // the kernel's own number
			return kb << 10
		}
	}
	return 0
}

func (w *watch) take(ctx context.Context) (Sample, bool) {
	s, ok := w.look()
	if !ok {
		return s, false
	}
	files, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(s.PID), "fd"))
	if err != nil {
		return s, false
	}
	s.Files = len(files)
	if m, err := w.relay.series(ctx); err == nil {
		s.Goroutines = int(m["go_goroutines"])
	}
	return s, true
}
