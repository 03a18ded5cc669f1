package journal_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

func TestStories(t *testing.T) {
	stories, err := journal.Stories(strings.NewReader(strings.Join([]string{
		"E\t0\tc\tT\tt\th", "M\t1\ta fault", "S\t0\t0\t10", "E\t1\td\tT\tt\th\tmine", "X\tevil\t11\t401\tr\t1", "A\t0\t0\t12\t503\tdraining\t2",
		"S\t0\t1\t20", "A\t0\t1\t21\t200\taccepted\t1", "S\t0\t2\t30", "A\t0\t2\t31\t0\treset\t0",
	}, "\n") + "\n"))
	if err != nil || len(stories) != 2 {
		t.Fatalf("%d stories, %v", len(stories), err)
	}
	first, second := stories[0], stories[1]
	want := []journal.Attempt{
		{At: time.Unix(0, 12), Answer: journal.Answer{Status: 503, Reason: "draining", Took: 2}},
		{At: time.Unix(0, 21), Answer: journal.Answer{Status: 200, Reason: "accepted", Took: 1}},
		{At: time.Unix(0, 31), Answer: journal.Answer{Reason: "reset"}},
	}
	if at, ok := first.Accepted(); !ok || at != time.Unix(0, 21) || first.Sent != time.Unix(0, 10) || !reflect.DeepEqual(first.Attempts, want) {
		t.Errorf("%+v", first)
	}
	if _, ok := second.Accepted(); ok || !second.Sent.IsZero() || second.ID() != "mine" {
		t.Errorf("%+v", second)
	}
	if _, err := journal.Stories(strings.NewReader("S\t0\t0\t10\n")); err == nil {
		t.Error("an event that nobody made was sent")
	}
}

func TestTime(t *testing.T) {
	var all []journal.Attempt
	for i := range 1000 {
		all = append(all, journal.Attempt{Answer: journal.Answer{Status: 200, Took: time.Duration(1000-i) * time.Millisecond}})
	}
	all = append(all, journal.Attempt{Answer: journal.Answer{Status: 503, Reason: "draining", Took: 5 * time.Second}}, journal.Attempt{})
	got := journal.Time(all)
	if got.Answers != 1002 || got.Max != 5*time.Second || got.P50 != 501*time.Millisecond || got.P99 != 991*time.Millisecond ||
		got.P999 != time.Second || got.Refused["draining"] != 1 || got.Refused["no answer"] != 1 {
		t.Errorf("%+v", got)
	}
	if empty := journal.Time(nil); empty.Max != 0 {
		t.Errorf("%+v", empty)
	}
}
