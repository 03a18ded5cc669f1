package kafka_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/event"
)

// TestLargestRecord: what is said to be a topic's limit is one that the
// producer can use, so that a record over it is refused as too large and not
// tried again and again.
func TestLargestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, "a")
		defer r.stop()
		until(t, "topic", time.Second, func() bool { _, ok := r.topic("a"); return ok })
		r.setLimit("a", "67108864")
		until(t, "the limit is known", 20*time.Second, func() bool { a, _ := r.topic("a"); return a.MaxMessageBytes > 2<<20 && a.Err == nil })
		a, _ := r.topic("a")
		done := make(chan error, 1)
		value := bytes.Repeat([]byte("\x01\x02\x03"), int(a.MaxMessageBytes)/3-100)
		r.Produce(&event.Record{Topic: "a", Value: value, Timestamp: time.Now()}, 0, func(_ int64, err error) { done <- err })
		if err := <-done; err != nil {
			t.Errorf("a record of %d bytes, with a limit of %d: %v", len(value), a.MaxMessageBytes, err)
		}
	})
}
