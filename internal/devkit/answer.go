package devkit

import (
	"encoding/json"
	"errors"
	"io"
	"math/bits"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Violation is one entry of "errors" in an answer with reason schema_mismatch.
type Violation struct {
	Pointer  string `json:"pointer"`
	Keyword  string `json:"keyword"`
	Expected string `json:"expected"`
	Actual   string `json:"actual"`
}

// Answer is what came back for one attempt to send one event.
type Answer struct {
	Event     Event
	Duplicate bool // the second sending of the event
	Attempt   int  // from 1

	// Err is the transport's error when there was no answer; all fields of
	// the answer are zero then. It wraps context.DeadlineExceeded when the
	// answer took too long.
	Err error

	Status     int
	RetryAfter time.Duration // of the header Retry-After; 0 without one

	// The members of the relay's body, empty when another server answered.
	Reason     string
	EventID    string
	Detail     string
	Violations []Violation

	Elapsed time.Duration // from writing the request to the end of the answer
	Spent   time.Duration // on the event, from the first attempt on

	Final   bool          // no further attempt follows
	GaveUp  bool          // because Timeout leaves no time for one
	RetryIn time.Duration // when the next attempt follows
}

// Unreachable tells that no connection could be made.
func (a Answer) Unreachable() bool {
	var op *net.OpError
	return errors.As(a.Err, &op) && op.Op == "dial"
}

func (a *Answer) read(resp *http.Response, err error) {
	if err != nil {
		a.Err = err
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		a.Err = err
		return
	}
	a.Status = resp.StatusCode
	a.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	var members struct {
		Reason  string      `json:"reason"`
		EventID string      `json:"eventId"`
		Detail  string      `json:"detail"`
		Errors  []Violation `json:"errors"`
	}
	if json.Unmarshal(body, &members) != nil {
		return // another server's answer; its status stands
	}
	a.Reason, a.EventID, a.Detail, a.Violations = members.Reason, members.EventID, members.Detail, members.Errors
}

// retryAfter reads both forms of RFC 9110 §10.2.3, seconds and a date.
func retryAfter(value string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// OtherReason stands in Summary.Reasons for answers without a reason, and for
// every reason past the first 64: what another server sends must not grow the
// summary without limit.
const OtherReason = "other"

const maxReasons = 64

// Summary counts one Run. Statuses, Reasons and the durations cover every
// answer, those that were followed by a retry included.
type Summary struct {
	Deliveries      int // events sent, duplicates counted on their own
	OK              int // deliveries whose final answer was 2xx
	Unfinished      int // deliveries given up because the context ended
	Answers         int
	Retries         int
	TransportErrors int
	Statuses        map[int]int
	Reasons         map[string]int
	P50, P99        time.Duration // at most 0.8 % above the exact quantile
	Max             time.Duration
	Elapsed         time.Duration // of the whole run
}

// tally collects a Summary in bounded memory. Not safe for concurrent use.
type tally struct {
	deliveries, ok, final, answers, retries, transportErrors int

	statuses map[int]int
	reasons  map[string]int
	times    histogram
}

func newTally() *tally {
	return &tally{statuses: map[int]int{}, reasons: map[string]int{}}
}

func (t *tally) add(a Answer) {
	if a.Final {
		t.final++
	}
	if a.Attempt > 1 {
		t.retries++
	}
	if a.Err != nil {
		t.transportErrors++
		return
	}
	t.answers++
	if a.Final && a.Status/100 == 2 {
		t.ok++
	}
	t.statuses[a.Status]++
	word := a.Reason
	if _, known := t.reasons[word]; word == "" || (!known && len(t.reasons) >= maxReasons) {
		word = OtherReason
	}
	t.reasons[word]++
	t.times.add(a.Elapsed)
}

func (t *tally) summary(elapsed time.Duration) Summary {
	return Summary{
		Deliveries:      t.deliveries,
		OK:              t.ok,
		Unfinished:      t.deliveries - t.final,
		Answers:         t.answers,
		Retries:         t.retries,
		TransportErrors: t.transportErrors,
		Statuses:        t.statuses,
		Reasons:         t.reasons,
		P50:             t.times.quantile(500),
		P99:             t.times.quantile(990),
		Max:             t.times.max,
		Elapsed:         elapsed,
	}
}

const (
	subBits = 7 // 128 buckets per power of two: a bucket is at most 1/128 wide, relative to its values
	buckets = (64 - subBits) << subBits
)

// histogram counts durations in buckets whose width grows with the value:
// exact below 256 ns, then with a relative error of at most 1/128.
type histogram struct {
	counts [buckets]uint64
	total  uint64
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucket(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// bucket maps v to its top subBits+1 bits and the number of bits below them.
func bucket(v uint64) int {
	shift := max(0, bits.Len64(v)-subBits-1)
	return shift<<subBits + int(v>>shift)
}

// upper is the largest value of a bucket.
func upper(i int) uint64 {
	shift := max(0, i>>subBits-1)
	return uint64(i-shift<<subBits+1)<<shift - 1
}

// quantile returns the upper end of the bucket that holds the quantile, by
// nearest rank, but never more than the maximum. It returns 0 without data.
func (h *histogram) quantile(perMille uint64) time.Duration {
	rank := (h.total*perMille + 999) / 1000
	seen := uint64(0)
	for i, n := range h.counts {
		seen += n
		if n > 0 && seen >= rank {
			return min(time.Duration(upper(i)), h.max)
		}
	}
	return 0
}
