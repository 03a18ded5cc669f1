package app_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestStuckFile: a file that cannot be read to its end, on a network that is
// away, holds neither the events nor the stop, whoever has asked for it.
func TestStuckFile(t *testing.T) {
	for name, ask := range map[string]func(*world){
		"by polling":  func(*world) {},
		"by a signal": func(w *world) { w.hangup <- nil },
		"by request": func(w *world) {
			go func() {
				if resp, err := w.client.Post(adminURL+"/-/reload", "", nil); err == nil {
					resp.Body.Close()
				}
			}()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{files: baseFiles()})
				w.untilReady()
				away := make(chan struct{})
				w.files.holdUp(away)
				ask(w)
				time.Sleep(15 * time.Second)
				if why := w.send(event("QUEUE_TRANSFER", "c0", 0)); why != "accepted" {
					t.Errorf("an event meanwhile: %s", why)
				}
				began, stopped := time.Now(), make(chan struct{})
				go func() { defer close(stopped); w.end() }()
				select {
				case <-stopped:
				case <-time.After(time.Minute):
					t.Error("the relay does not stop")
				}
				if took := time.Since(began); took > 15*time.Second {
					t.Errorf("it took %v", took)
				}
				close(away)
				<-stopped
			})
		})
	}
}
