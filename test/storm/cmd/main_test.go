package main

import (
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/test/storm"
)

func TestOften(t *testing.T) {
	var o storm.Options
	for _, text := range []string{"leaders move", "the relay is killed=3", "slow clients=0"} {
		if err := often(&o, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got, want := strings.Join(o.Often, ","), "leaders move,the relay is killed,the relay is killed,the relay is killed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, text := range []string{"x=", "x=many", "x=-1", "x=1001"} {
		if err := often(&o, text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
