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
