package judge_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/judge"
)

// history is what a run left behind.
type history struct {
	journal []string
	records []judge.Record
	log     []string
}

const topic = "cxone.transfers.raw"

func value(n int) string { return fmt.Sprintf(`{ "n": %d }`, n) }

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func key(contact string) []byte {
	h := fnv.New64a()
	io.WriteString(h, contact) //nolint:errcheck // a hash takes everything
	return fmt.Appendf(nil, "pk-%016x", h.Sum64())
}

// good is the history of a relay that kept its promise: two contacts that
// waited for each 2xx, five events each; event 3 was sent twice, since its
// first answer never came, and both attempts were written.
func good() *history {
	h := &history{}
	clock := 1_000
	offsets := map[int32]int64{}
	write := func(n int, contact string, partition int32) {
		h.records = append(h.records, judge.Record{
			Topic: topic, Partition: partition, Offset: offsets[partition], Key: key(contact), Value: []byte(value(n)),
			EventID: fmt.Sprintf("storm-%d", n), Origin: fmt.Sprintf("host/ab12/%d", offsets[partition]+1),
			Labels: judge.Labels{Source: "cxone", Type: "QUEUE_TRANSFER", At: time.UnixMilli(0)},
		})
		offsets[partition]++
	}
	say := func(format string, args ...any) { h.journal = append(h.journal, fmt.Sprintf(format, args...)) }
	for n := range 10 {
		contact, partition := fmt.Sprintf("c%d", n%2), int32(n%2)
		say("E\t%d\t%s\tQUEUE_TRANSFER\t%s\t%s", n, contact, topic, sum(value(n)))
		attempts := 1
		if n == 3 {
			attempts = 2
		}
		for a := range attempts {
			say("S\t%d\t%d\t%d", n, a, clock)
			if a < attempts-1 {
				say("A\t%d\t%d\t%d\t0\t-\t1", n, a, clock+5)
			} else {
				say("A\t%d\t%d\t%d\t200\taccepted\t1", n, a, clock+5)
			}
			write(n, contact, partition)
			clock += 10
		}
	}
	say("M\t5\ta broker is killed")
	say("X\tunsigned\t7\t401\tbad_signature\t1")
	say("X\tan unknown coding\t7\t501\t-\t1")
	say("X\tmany\t7\t503\toverloaded\t1")
	say("X\tgone\t7\t0\t-\t1")
	say("F\tlate\t7\t401\tstale\t1\t401")
	say("F\tmany\t7\t503\toverloaded\t1\t401")
	say("F\tno schema yet\t7\t503\tschema_unavailable\t1\t422")
	say("F\tgone\t7\t0\t-\t1\t401")
	return h
}

func (h *history) judge(t *testing.T) *judge.Verdict {
	t.Helper()
	j := judge.New()
	if err := j.Journal(strings.NewReader(strings.Join(h.journal, "\n") + "\n")); err != nil {
		t.Fatal(err)
	}
	for i := range h.records {
		j.Record(&h.records[i])
	}
	if err := j.Log(strings.NewReader(strings.Join(h.log, "\n"))); err != nil {
		t.Fatal(err)
	}
	return j.Verdict(10)
}

// replace changes one line of the journal.
func (h *history) replace(t *testing.T, prefix, old, now string) {
	t.Helper()
	for i, line := range h.journal {
		if strings.HasPrefix(line, prefix) && strings.Contains(line, old) {
			h.journal[i] = strings.Replace(line, old, now, 1)
			return
		}
	}
	t.Fatalf("no line %q with %q", prefix, old)
}

// own gives an event an id that is not its number's.
func (h *history) own(n int, id string) {
	for i, line := range h.journal {
		if strings.HasPrefix(line, fmt.Sprintf("E\t%d\t", n)) {
			h.journal[i] += "\t" + id
		}
	}
}

// TestUnderWayTogether: nothing is promised of two events of which neither
// was accepted before the other was sent.
func TestUnderWayTogether(t *testing.T) {
	h := good()
	h.replace(t, "S\t4\t", "\t0\t1050", "\t0\t1020")
	a, b := h.of(2), h.of(4)
	x, y := &h.records[a], &h.records[b]
	x.EventID, x.Value, y.EventID, y.Value = y.EventID, y.Value, x.EventID, x.Value
	if v := h.judge(t); !v.Good() {
		t.Errorf("%s", v)
	}
}

// TestSecondRecord: one that stands behind later events is counted, and is no
// fault.
func TestSecondRecord(t *testing.T) {
	h := good()
	again := h.records[h.of(0)]
	again.Offset, again.Origin = 6, "host/ab12/6"
	h.records = append(h.records, again)
	h.journal = append(h.journal, "S\t0\t1\t2000", "A\t0\t1\t2005\t200\taccepted\t1")
	if v := h.judge(t); !v.Good() || v.Duplicates != 2 {
		t.Errorf("%s", v)
	}
}

// of finds the place of an event's first record.
func (h *history) of(n int) int {
	return slices.IndexFunc(h.records, func(r judge.Record) bool { return r.EventID == fmt.Sprintf("storm-%d", n) })
}

func TestGoodHistory(t *testing.T) {
	v := good().judge(t)
	if !v.Good() || v.Accepted != 10 || v.Attempts != 11 || v.Records != 11 || v.Duplicates != 1 || v.Attacks != 8 {
		t.Errorf("%+v", v)
	}
}

// TestConvictions checks the checker: each mutation of a good history is
// found, under its own name and no other.
func TestConvictions(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, h *history)
		want string
	}{
		"the last record of an event is dropped": {func(_ *testing.T, h *history) {
			h.records = h.records[:len(h.records)-1]
		}, "LOST:1"},
		"a record in the middle is dropped": {func(_ *testing.T, h *history) {
			h.records = slices.Delete(h.records, h.of(4), h.of(4)+1)
		}, "GAP:1 LOST:1"},
		"the second record of an event is dropped": {func(_ *testing.T, h *history) {
			h.records = slices.Delete(h.records, h.of(3)+1, h.of(3)+2)
		}, "GAP:1"},
		"a gap that the log explains, with an event that was never accepted": {func(t *testing.T, h *history) {
			h.replace(t, "A\t4\t", "200\taccepted", "503\tdelivery_timeout")
			h.journal = append(h.journal, "A\t2\t0\t2000\t200\taccepted\t1")
			h.records = slices.Delete(h.records, h.of(4), h.of(4)+1)
			h.log = append(h.log, `{"msg":"record failed after its event was answered","topic":"cxone.transfers.raw","partition":0,"seq":3}`)
		}, "TOO FEW:1"},
		"a gap of an unknown outcome": {func(t *testing.T, h *history) {
			h.replace(t, "A\t4\t", "200\taccepted", "503\tdelivery_timeout")
			h.records = slices.Delete(h.records, h.of(4), h.of(4)+1)
			h.log = append(h.log, `{"msg":"event refused","reason":"delivery_timeout","topic":"cxone.transfers.raw","partition":0,"seq":3}`)
		}, "GAP:1 TOO FEW:1"},
		"a byte is flipped": {func(_ *testing.T, h *history) {
			h.records[5].Value[3] ^= 1
		}, "CHANGED:1"},
		"a value is written again": {func(_ *testing.T, h *history) {
			h.records[5].Value = []byte(strings.ReplaceAll(string(h.records[5].Value), " ", ""))
		}, "CHANGED:1"},
		"two records are swapped": {func(_ *testing.T, h *history) {
			a, b := h.of(2), h.of(4)
			x, y := &h.records[a], &h.records[b]
			x.EventID, x.Value, y.EventID, y.Value = y.EventID, y.Value, x.EventID, x.Value
		}, "REORDERED:1"},
		"two numbers are swapped": {func(_ *testing.T, h *history) {
			a, b := h.of(2), h.of(4)
			h.records[a].Origin, h.records[b].Origin = h.records[b].Origin, h.records[a].Origin
		}, "GAP:1 SEQUENCE:1"},
		"a record is doubled": {func(_ *testing.T, h *history) {
			r := h.records[h.of(8)]
			r.Offset, r.Origin = 6, "host/ab12/6"
			h.records = append(h.records, r)
		}, "MULTIPLIED:1"},
		"a record is written twice": {func(_ *testing.T, h *history) {
			r := h.records[h.of(8)]
			r.Offset = 6
			h.records = append(h.records, r)
		}, "REPEATED:1"},
		"another partition": {func(_ *testing.T, h *history) {
			r := &h.records[h.of(9)]
			r.Partition, r.Origin = 5, "host/ab12/1"
		}, "MOVED:1"},
		"another topic": {func(_ *testing.T, h *history) {
			r := &h.records[h.of(9)]
			r.Topic, r.Origin = "cxone.calls.terminated", "host/ab12/1"
		}, "MISROUTED:1"},
		"another key": {func(_ *testing.T, h *history) {
			h.records[h.of(9)].Key = key("c0")
		}, "MISKEYED:1"},
		"an injected record": {func(_ *testing.T, h *history) {
			h.records = append(h.records, judge.Record{Topic: topic, Partition: 7, Value: []byte("{}"), EventID: "EVIL-1", Origin: "host/ab12/1"})
		}, "FORGED:1"},
		"an event with an id of its own": {func(_ *testing.T, h *history) {
			h.own(8, "mine")
			h.records[h.of(8)].EventID = "mine"
		}, ""},
		"an id of its own, and the record has that of its number": {func(_ *testing.T, h *history) {
			h.own(8, "mine")
		}, "FORGED:1 LOST:1"},
		"a number that is none": {func(_ *testing.T, h *history) {
			h.records[h.of(9)].Origin += "x"
		}, "SEQUENCE:1"},
		"a record of no relay": {func(_ *testing.T, h *history) {
			h.records[h.of(9)].Origin = ""
		}, "SEQUENCE:1"},
		"a refused event is there": {func(t *testing.T, h *history) {
			h.replace(t, "A\t8\t", "200\taccepted", "422\tschema_mismatch")
		}, "REFUSED:1 TOO FEW:1"},
		"an attack is accepted": {func(_ *testing.T, h *history) {
			h.journal = append(h.journal, "X\tprefix\t7\t200\taccepted\t1")
		}, "ADMITTED:1"},
		"a dropped event is answered 2xx": {func(t *testing.T, h *history) {
			h.replace(t, "A\t8\t", "200\taccepted", "200\tdropped")
		}, "UNTRUE:1"},
		"the answer has the id of another event": {func(t *testing.T, h *history) {
			h.replace(t, "A\t8\t", "200\taccepted", "200\taccepted as storm-6")
		}, "UNTRUE:1"},
		"an event is there that was answered as not produced": {func(t *testing.T, h *history) {
			h.replace(t, "A\t8\t", "200\taccepted", "503\tkafka_unavailable")
		}, "REFUSED:1 TOO FEW:1"},
		"an event is there of which only the outcome was unknown": {func(t *testing.T, h *history) {
			h.replace(t, "A\t8\t", "200\taccepted", "503\tdelivery_timeout")
		}, "TOO FEW:1"},
		"an attempt that was refused has a record, beside one that was accepted": {func(t *testing.T, h *history) {
			h.replace(t, "A\t3\t0", "0\t-", "503\toverloaded")
		}, "MULTIPLIED:1"},
		"another type in the header": {func(_ *testing.T, h *history) {
			h.records[h.of(4)].Labels.Type = "CALL_DISCONNECTED"
		}, "MISLABELLED:1"},
		"another source in the header": {func(_ *testing.T, h *history) {
			h.records[h.of(4)].Labels.Source = "hooks"
		}, "MISLABELLED:1"},
		"no source in the header": {func(_ *testing.T, h *history) {
			h.records[h.of(9)].Labels.Source = ""
		}, "MISLABELLED:1"},
		"a header too many": {func(_ *testing.T, h *history) {
			h.records[h.of(4)].Labels.Odd = "header \"x-secret\""
		}, "MISLABELLED:1"},
		"the time of a record long before its event": {func(_ *testing.T, h *history) {
			h.records[h.of(4)].Labels.At = time.Unix(-3, 0)
		}, "MISTIMED:1"},
		"the time of a record long after its answer": {func(_ *testing.T, h *history) {
			h.records[h.of(4)].Labels.At = time.Unix(3, 0)
		}, "MISTIMED:1"},
		"the time of a record of which an attempt had no answer": {func(_ *testing.T, h *history) {
			h.records[h.of(3)+1].Labels.At = time.Unix(3, 0)
		}, ""},
		"a forged request learns that its body was read": {func(_ *testing.T, h *history) {
			h.journal = append(h.journal, "F\tprefix\t7\t422\tschema_mismatch\t1\t401")
		}, "MISANSWERED:1"},
		"a replay is accepted": {func(_ *testing.T, h *history) {
			h.journal = append(h.journal, "F\ta replay\t7\t200\taccepted\t1\t401")
		}, "ADMITTED:1 MISANSWERED:1"},
		"an attack breaks something": {func(_ *testing.T, h *history) {
			h.journal = append(h.journal, "X\tdeep\t7\t500\tinternal\t1")
		}, "BROKEN:1"},
		"an attack comes as far as Kafka": {func(_ *testing.T, h *history) {
			h.journal = append(h.journal, "X\tdeep\t7\t503\tkafka_unavailable\t1")
		}, "BROKEN:1"},
		"nothing happened": {func(_ *testing.T, h *history) {
			h.journal, h.records = []string{"M\t5\tnothing"}, nil
		}, "TOO FEW:1"},
	} {
		t.Run(name, func(t *testing.T) {
			h := good()
			c.do(t, h)
			v := h.judge(t)
			var got []string
			for _, kind := range slices.Sorted(maps.Keys(v.Faults)) {
				got = append(got, fmt.Sprintf("%s:%d", kind, v.Faults[kind]))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("convicted of %q, want %q\n%s", got, c.want, v)
			}
		})
	}
}

// TestForgetfulBrokers: what such brokers repeat is counted, and nothing else
// is forgiven.
func TestForgetfulBrokers(t *testing.T) {
	h := good()
	again := h.records[h.of(8)]
	again.Offset = 6
	h.records = append(h.records, again)
	h.records[h.of(9)].Value = []byte("{}")
	j := judge.New()
	j.Forgetful = true
	if err := j.Journal(strings.NewReader(strings.Join(h.journal, "\n") + "\n")); err != nil {
		t.Fatal(err)
	}
	for i := range h.records {
		j.Record(&h.records[i])
	}
	v := j.Verdict(10)
	if v.Repeated != 1 || v.Duplicates != 1 || len(v.Faults) != 1 || v.Faults["CHANGED"] != 1 {
		t.Errorf("%+v", v)
	}
}

func TestBrokenJournal(t *testing.T) {
	for _, lines := range []string{
		"S\t0\t0\t1",
		"E\t1\tc\tt\tu\t" + sum("x"),
		"E\t0\tc\tt\tu\tabc",
		"E\t0\tc\tt\tu\t" + sum("x") + "\nE\t1\tc\tt\tu\t" + sum("y") + "\tstorm-0",
	} {
		if err := judge.New().Journal(strings.NewReader(lines + "\n")); err == nil {
			t.Errorf("%q is taken", lines)
		}
	}
}
