package devkit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "3": 3 * time.Second, "-1": 0, "1.5": 0, "soon": 0, "99999999999": 0,
		"Mon, 05 Jan 2026 08:00:30 GMT": 30 * time.Second, "Mon, 05 Jan 2026 07:00:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestSummaryOfStrangeReasonsStaysSmall(t *testing.T) {
	ta := newTally()
	for i := range 1000 {
		ta.add(Answer{Status: 200, Final: true, Reason: fmt.Sprint(i)})
	}
	if s := ta.summary(0); len(s.Reasons) > maxReasons+1 || s.Reasons[OtherReason] < 900 || s.OK != 1000 {
		t.Errorf("%d reasons, %d other", len(s.Reasons), s.Reasons[OtherReason])
	}
}

func TestHistogram(t *testing.T) {
	var empty histogram
	if empty.quantile(500) != 0 {
		t.Error("an empty histogram has a quantile")
	}
	for i := range buckets {
		if got := bucket(upper(i)); got != i {
			t.Fatalf("upper end %d of bucket %d lies in bucket %d", upper(i), i, got)
		}
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for range 50 {
		var h histogram
		values := make([]time.Duration, 1+rng.IntN(3000))
		for i := range values {
			values[i] = time.Duration(rng.Uint64() >> (1 + rng.IntN(60)))
			h.add(values[i])
		}
		slices.Sort(values)
		for _, q := range []uint64{1, 500, 990, 1000} {
			exact := values[max(0, (len(values)*int(q)+999)/1000-1)]
			if got := h.quantile(q); got < exact || float64(got) > float64(exact)*(1+1.0/128) {
				t.Errorf("quantile %d of %d values is %d, want %d up to 1/128 more", q, len(values), got, exact)
			}
		}
	}
}
