package judge

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestLabels(t *testing.T) {
	header := func(key, value string) kgo.RecordHeader { return kgo.RecordHeader{Key: key, Value: []byte(value)} }
	usual := []kgo.RecordHeader{
		header("cxrelay-event-id", "storm-1"), header("cxrelay-source", "cxone"), header("cxrelay-type", "T"),
		header("cxrelay-schema-id", "17"), header("cxrelay-origin", "host/ab12/1"), header("traceparent", "00-1-2-01"),
	}
	for name, c := range map[string]struct {
		more []kgo.RecordHeader
		odd  string
	}{
		"usual":                {nil, ""},
		"an unknown header":    {[]kgo.RecordHeader{header("X-Cxone-Signature", "ab")}, `header "X-Cxone-Signature"`},
		"one of ours, unknown": {[]kgo.RecordHeader{header("cxrelay-key", "ab")}, `header "cxrelay-key"`},
		"a header twice":       {[]kgo.RecordHeader{header("cxrelay-type", "T")}, "two headers cxrelay-type"},
		"no schema id":         {[]kgo.RecordHeader{header("cxrelay-schema-id", "0x11")}, `schema id "0x11"`},
		"a signed schema id":   {[]kgo.RecordHeader{header("cxrelay-schema-id", "+17")}, `schema id "+17"`},
	} {
		at := time.UnixMilli(5)
		l := labels(&kgo.Record{Timestamp: at, Headers: append(usual[:len(usual):len(usual)], c.more...)})
		if l.Source != "cxone" || l.Type != "T" || !l.At.Equal(at) || l.Odd != c.odd {
			t.Errorf("%s: %+v, want %q", name, l, c.odd)
		}
	}
}
