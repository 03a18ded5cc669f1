package app

import (
	"testing"
	"time"
)

// TestContact: down after 10 s of silence, up again after answers that span
// 3 s; at the start one answer is enough.
func TestContact(t *testing.T) {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	var c contact
	var last time.Time
	// run looks every 250 ms for d; while answering an answer comes every second.
	now := start
	run := func(d time.Duration, answering bool) {
		for end := now.Add(d); now.Before(end); now = now.Add(lookEvery) {
			if answering && now.Sub(start)%time.Second == 0 {
				last = now
			}
			c.see(last, now)
		}
	}
	want := func(step string, up bool) {
		t.Helper()
		if c.up != up {
			t.Errorf("%s, after %s: up %t, want %t", step, now.Sub(start), c.up, up)
		}
	}
	want("before the first look", false)
	run(2*time.Second, false)
	want("no answer yet", false)
	run(time.Second, true)
	want("the first answer at the start", true)
	run(9*time.Second, false)
	want("silence of less than ten seconds", true)
	run(2*time.Second, false)
	want("silence of more", false)
	run(2*time.Second, true)
	want("two seconds of answers", false)
	run(5*time.Second, false)
	want("a gap ends the run", false)
	run(2*time.Second, true)
	want("answers again, but the run is short", false)
	run(2*time.Second, true)
	want("three seconds in a row", true)
}
