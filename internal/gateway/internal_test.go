package gateway

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// TestEveryReasonIsMade: each reason of the closed set has an error that
// leads to it, and each rule leads to its reason.
func TestEveryReasonIsMade(t *testing.T) {
	made := map[reason.Reason]bool{reason.Accepted: true, reason.Dropped: true, reason.Internal: true}
	for _, rule := range rules {
		r, _ := classify(&Verdict{}, rule.err)
		if r != rule.reason {
			t.Errorf("%v: %s, want %s", rule.err, r, rule.reason)
		}
		made[r] = true
	}
	for _, r := range reason.All() {
		if !made[r] {
			t.Errorf("nothing leads to %s", r)
		}
	}
	if r, _ := classify(&Verdict{Route: &route.Route{Drop: true}}, nil); r != reason.Dropped {
		t.Errorf("drop: %s", r)
	}
}

func TestTraceparent(t *testing.T) {
	ok := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if !validTraceparent(ok) {
		t.Error("a valid one was refused")
	}
	for _, bad := range []string{"", ok + "-x", strings.ToUpper(ok), "01" + ok[2:], strings.Replace(ok, "-", "_", 1),
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", ok[:54] + "\n"} {
		if validTraceparent(bad) {
			t.Errorf("%q was taken", bad)
		}
	}
}

// syncLog is a log that is read while another goroutine writes.
type syncLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *syncLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *syncLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestRefusalLines: per reason ten lines in ten seconds, then a count; the
// diagnosis is worked out off the request and shows no secret.
func TestRefusalLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &syncLog{}
		r := newRefusals(slog.New(slog.NewTextHandler(log, nil)))
		scheme, _ := signature.Preset("cxone")
		verifier, err := signature.NewVerifier(scheme, []signature.Secret{{ID: "a", Value: []byte("hush-hush")}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.run(ctx) }()

		bodies := NewBodies(NewBudget(1<<20), true)
		refuse := func(why reason.Reason) {
			b := bodies.Get(64)
			n := copy(b.Spare(), `{"body":"private"}`)
			_ = b.Advance(n)
			d := &Delivery{Source: &Source{Name: "cxone", Verifier: verifier}, Body: b, ReceivedAt: time.Now(),
				Header: func(string) []string { return []string{"00ff"} }}
			r.log(d, &Verdict{Reason: why})
			b.Release()
		}
		for range 25 {
			refuse(reason.BadSignature)
			synctest.Wait()
		}
		refuse(reason.NotFound)
		synctest.Wait()
		if got := strings.Count(log.String(), "reason=bad_signature"); got != 10 {
			t.Errorf("%d lines of bad_signature, want 10", got)
		}
		if got := strings.Count(log.String(), "diagnosis="); got != 10 {
			t.Errorf("%d diagnoses, want 10", got)
		}
		if !strings.Contains(log.String(), "reason=not_found") {
			t.Error("another reason was held back too")
		}
		time.Sleep(21 * time.Second)
		synctest.Wait()
		if !strings.Contains(log.String(), "held_back=15") {
			t.Errorf("the 15 lines held back are not said:\n%s", log.String())
		}
		refuse(reason.BadSignature)
		synctest.Wait()
		if got := strings.Count(log.String(), "diagnosis="); got != 11 {
			t.Errorf("a new window wrote %d diagnoses, want 11", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, hidden := range []string{"hush", "private"} {
			if strings.Contains(log.String(), hidden) {
				t.Errorf("the log holds %q", hidden)
			}
		}
	})
}

// TestDiagnosisPanics: nobody can end the relay by what a diagnosis stumbles
// over; the line is written all the same.
func TestDiagnosisPanics(t *testing.T) {
	log := &syncLog{}
	r := newRefusals(slog.New(slog.NewTextHandler(log, nil)))
	scheme, _ := signature.Preset("cxone")
	verifier, err := signature.NewVerifier(scheme, []signature.Secret{{ID: "a", Value: []byte("hush-hush")}})
	if err != nil {
		t.Fatal(err)
	}
	b := NewBodies(NewBudget(1<<20), true).Get(64)
	defer b.Release()
	d := &Delivery{Source: &Source{Name: "cxone", Verifier: verifier}, Body: b, Header: func(string) []string { panic("stumbled") }}
	r.log(d, &Verdict{Reason: reason.BadSignature})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.run(ctx); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"reason=bad_signature", "diagnosis=\"a bug in cxrelay", "panic=stumbled"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not have %q:\n%s", want, log.String())
		}
	}
}
