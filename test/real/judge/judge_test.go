package judge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/real/judge"
)

// honest is a journal of events of two contacts that waited for each 2xx, and
// the records of a relay that kept its promise.
func honest(t *testing.T) (*judge.Journal, []*kgo.Record) {
	t.Helper()
	var records []*kgo.Record
	j := &judge.Journal{}
	at := time.Unix(1_700_000_000, 0)
	for n := range 5 {
		for partition, contact := range []string{"a", "b"} {
			e := judge.NewEvent("QUEUE_TRANSFER", contact, n)
			e.Sent = at
			e.Answers = []judge.Answer{{At: at.Add(time.Second), Status: 200, Reason: "accepted"}}
			at = at.Add(2 * time.Second)
			judge.Add(j, e)
			records = append(records, &kgo.Record{
				Topic: e.Topic, Partition: int32(partition), Offset: int64(n), Key: []byte("pk-" + contact), Value: []byte(e.Body),
				Headers: []kgo.RecordHeader{
					{Key: "cxrelay-event-id", Value: []byte(e.ID)},
					{Key: "cxrelay-origin", Value: fmt.Appendf(nil, "host/1a2b/%d", n+1)},
				},
			})
		}
	}
	return j, records
}

func TestHonestRelay(t *testing.T) {
	j, records := honest(t)
	if v := judge.Judge(j, records, ""); len(v.Faults) > 0 || v.Accepted != 10 || v.Records != 10 || v.Duplicates != 0 {
		t.Errorf("%+v", v)
	}
}

// TestConvictions: one thing is wrong at a time, and it is found.
func TestConvictions(t *testing.T) {
	const failed = `{"msg":"record failed after its event was answered","topic":"cxone.transfers.raw","partition":0,"seq":3}`
	for name, c := range map[string]struct {
		do   func(j *judge.Journal, r []*kgo.Record) []*kgo.Record
		log  string
		want string // kinds and how often
	}{
		"an accepted event is missing": {
			func(_ *judge.Journal, r []*kgo.Record) []*kgo.Record { return r[:9] }, "", "LOST:1",
		},
		"a missing record in the middle": {
			func(_ *judge.Journal, r []*kgo.Record) []*kgo.Record { return slices.Delete(r, 4, 5) }, "", "LOST:1 GAP:1",
		},
		"a gap that the log explains": {
			func(j *judge.Journal, r []*kgo.Record) []*kgo.Record {
				j.Events()[4].Answers[0] = judge.Answer{Status: 503, Reason: "delivery_timeout"}
				return slices.Delete(r, 4, 5)
			}, failed + "\n", "",
		},
		"a gap of an unknown outcome": {
			func(j *judge.Journal, r []*kgo.Record) []*kgo.Record {
				j.Events()[4].Answers[0] = judge.Answer{Status: 503, Reason: "delivery_timeout"}
				return slices.Delete(r, 4, 5)
			}, strings.Replace(failed, "record failed after its event was answered", `event refused","reason":"delivery_timeout`, 1), "GAP:1",
		},
		"a byte is different": {
			func(_ *judge.Journal, r []*kgo.Record) []*kgo.Record {
				r[3].Value = []byte(strings.Replace(string(r[3].Value), " ,", ",", 1))
				return r
			}, "", "CHANGED:1",
		},
		"another topic": {
			func(_ *judge.Journal, r []*kgo.Record) []*kgo.Record { r[9].Topic = "other"; return r }, "", "CHANGED:1 GAP:4",
		},
		"an event that nobody sent": {
			func(_ *judge.Journal, r []*kgo.Record) []*kgo.Record {
				r[9].Headers[0].Value = []byte("b-99")
				return r
			}, "", "LOST:1 FORGED:1",
		},
		"a key in two partitions": {
			func(_ *judge.Journal, r []*kgo.Record) []*kgo.Record { r[8].Key = r[9].Key; return r }, "", "MOVED:1",
		},
		"two events change places": {
			func(_ *judge.Journal, r []*kgo.Record) []*kgo.Record {
				r[2].Value, r[4].Value = r[4].Value, r[2].Value
				r[2].Headers[0], r[4].Headers[0] = r[4].Headers[0], r[2].Headers[0]
				return r
			}, "", "REORDERED:1",
		},
		"the sequence goes back": {
			func(_ *judge.Journal, r []*kgo.Record) []*kgo.Record {
				r[2].Headers[1], r[4].Headers[1] = r[4].Headers[1], r[2].Headers[1]
				return r
			}, "", "SEQUENCE:1 GAP:1",
		},
		"no sequence": {
			func(_ *judge.Journal, r []*kgo.Record) []*kgo.Record { r[9].Headers = r[9].Headers[:1]; return r }, "", "SEQUENCE:1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			j, records := honest(t)
			v := judge.Judge(j, c.do(j, records), c.log)
			var got []string
			for _, kind := range []string{"LOST", "CHANGED", "FORGED", "MOVED", "REORDERED", "SEQUENCE", "GAP"} {
				if n := v.Count(kind); n > 0 {
					got = append(got, fmt.Sprintf("%s:%d", kind, n))
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s:\n%s", got, c.want, strings.Join(v.Faults, "\n"))
			}
		})
	}
}

// TestDuplicate: a second record of an event is counted, and is no fault even
// where it stands behind later ones.
func TestDuplicate(t *testing.T) {
	j, records := honest(t)
	again := *records[0]
	again.Offset = 5
	again.Headers = []kgo.RecordHeader{again.Headers[0], {Key: "cxrelay-origin", Value: []byte("host/1a2b/6")}}
	v := judge.Judge(j, append(records, &again), "")
	if v.Duplicates != 1 || len(v.Faults) > 0 {
		t.Errorf("%+v", v)
	}
}

// TestUnderWayTogether: nothing is promised of two events of which neither was
// accepted before the other was sent.
func TestUnderWayTogether(t *testing.T) {
	j, records := honest(t)
	events := j.Events()
	events[2].Sent = events[0].Sent // both of contact a
	records[0].Offset, records[2].Offset = 1, 0
	records[0].Headers[1], records[2].Headers[1] = records[2].Headers[1], records[0].Headers[1]
	records[0], records[2] = records[2], records[0]
	if v := judge.Judge(j, records, ""); len(v.Faults) > 0 {
		t.Errorf("%v", v.Faults)
	}
}

func TestTime(t *testing.T) {
	var answers []judge.Answer
	for i := range 1000 {
		answers = append(answers, judge.Answer{Status: 200, Took: time.Duration(1000-i) * time.Millisecond})
	}
	answers = append(answers, judge.Answer{Status: 503, Reason: "draining", Took: 5 * time.Second}, judge.Answer{})
	got := judge.Time(answers)
	if got.Answers != 1002 || got.Max != 5*time.Second || got.P50 != 501*time.Millisecond || got.P99 != 991*time.Millisecond ||
		got.Refused["draining"] != 1 || got.Refused["no answer"] != 1 {
		t.Errorf("%+v", got)
	}
	if empty := judge.Time(nil); empty.Max != 0 {
		t.Errorf("%+v", empty)
	}
}
