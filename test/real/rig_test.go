//go:build real

package real_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/real"
)

// TestOwnCluster: a cluster of a test's own, whose single broker dies, hangs,
// and comes back with all that three readers agree on.
func TestOwnCluster(t *testing.T) {
	cluster := real.Start(t)
	cluster.Topic("kept", 3)
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d", i)
	}
	cluster.Produce("kept", keys)
	if leader := cluster.Leader("kept", 2); leader != 1 {
		t.Errorf("led by %d", leader)
	}
	before := cluster.Read("kept")
	cluster.Kill(1)
	cluster.Restart(1)
	cluster.Pause(1)
	real.Pass(t, 500*time.Millisecond)
	cluster.Continue(1)
	cluster.Heal()
	after := cluster.ReadMany("kept")
	same := func(a, b *kgo.Record) bool { return a.Offset == b.Offset && string(a.Key) == string(b.Key) }
	if len(before) != len(keys) || !slices.EqualFunc(before, after, same) {
		t.Errorf("%d records before, %d after", len(before), len(after))
	}
	cluster.Topic("kept", 1)
	if again := cluster.ReadMany("kept"); len(again) != 0 {
		t.Errorf("made anew it holds %d records", len(again))
	}
}
