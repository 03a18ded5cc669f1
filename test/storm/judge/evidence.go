package judge

import (
	"context"
	"fmt"
	"io"
	"os"
)

// Evidence is what a run left behind. It can be judged as often as one likes.
type Evidence struct {
	Journal   string   // file
	Log       string   // file, of all relays
	Brokers   []string // host:port of the cluster with the records
	Topics    []string // none: all that there are, and a record in any other is FORGED
	Accepted  int      // events, at least
	Forgetful bool     // see Judge
	AnyTime   bool     // see Judge
}

// Judge reads all of it and decides. The error tells what kept it from that.
func (e Evidence) Judge(ctx context.Context) (*Verdict, error) {
	j := New()
	j.Forgetful, j.AnyTime = e.Forgetful, e.AnyTime
	if err := read(e.Journal, j.Journal); err != nil {
		return nil, err
	}
	if err := read(e.Log, j.Log); err != nil {
		return nil, err
	}
	if err := j.Read(ctx, e.Brokers, e.Topics...); err != nil {
		return nil, err
	}
	return j.Verdict(e.Accepted), nil
}

func read(path string, take func(io.Reader) error) error {
	file, err := os.Open(path) //nolint:gosec // the caller's own evidence
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	defer file.Close()
	return take(file)
}
