package journal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	w, err := journal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 123)
	hash := func(n int) string { return strings.Repeat(string(rune('a'+n)), 64) }
	first := w.Event(journal.Event{Contact: "c1", Type: "T\t1", Topic: "t"}, hash)
	second := w.Event(journal.Event{Own: "mine", Contact: "c\\t2\r\n", Type: "U", Topic: "u"}, hash)
	w.Send(1, 0, at)
	w.Answer(1, 0, at.Add(time.Second), journal.Answer{Status: 503, Reason: "delivery_timeout", Took: time.Millisecond})
	w.Answer(1, 1, at, journal.Answer{})
	w.Attack("unsigned", at, journal.Answer{Status: 401, Reason: "bad_signature"})
	w.Due("gzip", at, journal.Answer{Status: 415, Reason: "unsupported"}, 415)
	w.Mark(at, "a broker\nis killed")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if first.ID() != "storm-0" || second.ID() != "mine" || second.SHA256 != hash(1) {
		t.Errorf("events: %+v %+v", first, second)
	}

	want := []journal.Entry{
		{Kind: 'E', Event: first},
		{Kind: 'E', Event: second},
		{Kind: 'S', Event: journal.Event{Number: 1}, At: at},
		{Kind: 'A', Event: journal.Event{Number: 1}, At: at.Add(time.Second), Answer: journal.Answer{Status: 503, Reason: "delivery_timeout", Took: time.Millisecond}},
		{Kind: 'A', Event: journal.Event{Number: 1}, Attempt: 1, At: at},
		{Kind: 'X', Name: "unsigned", At: at, Answer: journal.Answer{Status: 401, Reason: "bad_signature"}},
		{Kind: 'F', Name: "gzip", At: at, Answer: journal.Answer{Status: 415, Reason: "unsupported"}, Due: 415},
		{Kind: 'M', Name: "a broker\nis killed", At: at},
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, text); !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}
	if _, err := journal.Create(path); err == nil {
		t.Error("a journal was written over")
	}
}

func read(t *testing.T, text []byte) []journal.Entry {
	t.Helper()
	var all []journal.Entry
	err := journal.Read(bytes.NewReader(text), func(e journal.Entry) error {
		all = append(all, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBrokenLines(t *testing.T) {
	for _, line := range []string{
		"", "Q\t1", "EE\t0", "E\t0\tc", "E\tx\tc\tt\tu\th", "S\t1\t2", "S\t1\t2\t3\t4", "A\t1\t2\t3\t200\t-", "A\t1\t2\tnow\t200\t-\t5", "M", "F\tname\t1\t401\t-\t5", "E\t0\tc\tt\tu\th\tid\tmore",
	} {
		err := journal.Read(strings.NewReader("M\t1\tgood\n"+line+"\n"), func(journal.Entry) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "journal line 2") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestNumber(t *testing.T) {
	for id, want := range map[string]int{"storm-0": 0, "storm-12": 12} {
		if n, ok := journal.Number(id); n != want || !ok {
			t.Errorf("%s: %d %t", id, n, ok)
		}
	}
	for _, id := range []string{"", "12", "storm-", "storm--1", "storm-01", "storm-+1", "EVIL-1", "xstorm-1"} {
		if n, ok := journal.Number(id); ok {
			t.Errorf("%s is taken for %d", id, n)
		}
	}
}
