package pace_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
)

// TestWatch: a machine whose time is virtual is never late.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := pace.Watch(context.Background())
		time.Sleep(time.Second)
		if l := stop(); l != (pace.Lateness{}) {
			t.Errorf("%+v", l)
		}
	})
}
