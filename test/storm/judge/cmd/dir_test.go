//go:build storm

package main

import (
	"path/filepath"
	"testing"

	"github.com/cxrelay/cxrelay/test/mutant"
	"github.com/cxrelay/cxrelay/test/storm"
)

// TestDataDirectory: the brokers that were killed are started again on what
// they left.
func TestDataDirectory(t *testing.T) {
	root, err := mutant.Root()
	if err != nil {
		t.Fatal(err)
	}
	broker, dir := filepath.Join(t.TempDir(), "broker"), t.TempDir()
	if err := mutant.Build(t.Context(), root, t.TempDir(), "./test/storm/broker", broker); err != nil {
		t.Fatal(err)
	}
	cluster, err := storm.StartFake(t.Context(), broker, dir)
	if err != nil {
		t.Fatal(err)
	}
	leave(t, dir, cluster.Brokers(), 2)
	cluster.Close()
	if good, v := judged(t, "-dir", dir, "-broker", broker); good || v.Records != 2 || v.Faults["LOST"] != 1 || len(v.Faults) != 1 {
		t.Errorf("%+v", v)
	}
}
