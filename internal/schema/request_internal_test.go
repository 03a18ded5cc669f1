package schema

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	tests := []struct {
		after, reset string
		want         time.Duration
	}{
		{"", "", 0},
		{"5", "", 5 * time.Second},
		{" 5 ", "", 5 * time.Second},
		{"5", "9", 5 * time.Second},
		{"", "9", 9 * time.Second},
		{"0", "9", 9 * time.Second},
		{"-5", "", 0},
		{"1.5", "", 0},
		{"soon", "9", 9 * time.Second},
		{"99999999999999999999", "", 0},
		{"4294967295", "", maxRetryAfter},
		{in(90 * time.Second), "", 90 * time.Second},
		{in(-time.Second), "", 0},
		{in(24 * time.Hour), "", maxRetryAfter},
	}
	for _, tt := range tests {
		h := http.Header{}
		h.Set("Retry-After", tt.after)
		h.Set("X-RateLimit-Reset", tt.reset)
		if got := retryAfter(h, now); got != tt.want {
			t.Errorf("Retry-After %q, X-RateLimit-Reset %q: %s, want %s", tt.after, tt.reset, got, tt.want)
		}
	}
}

// FuzzRetryAfter: no header makes the relay wait less than nothing or more
// than the cap.
func FuzzRetryAfter(f *testing.F) {
	f.Add("5", "")
	f.Add("Tue, 24 Nov 2026 12:00:00 GMT", "7")
	f.Add("-1", "18446744073709551615")
	now := time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, after, reset string) {
		h := http.Header{"Retry-After": {after}, "X-Ratelimit-Reset": {reset}}
		if got := retryAfter(h, now); got < 0 || got > maxRetryAfter {
			t.Fatalf("%s", got)
		}
	})
}

// FuzzAnswer: whatever bytes a registry sends, the outcome is an error or a
// schema that is fit for use, never a panic and never half of one.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"version":1,"id":1,"schema":"{}"}`))
	f.Add([]byte(`{"version":1,"id":1,"schema":"{}","references":[{"name":"a","subject":"b","version":1}],"ruleSet":{"domainRules":[{}]}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseAnswer(&endpoint{base: "http://r"}, body)
		if err != nil {
			return
		}
		if a.Schema == nil || a.Version < 1 || a.ID < 1 || int64(a.ID) > 1<<31-1 || a.kind() == "" {
			t.Fatalf("%+v", a)
		}
		_ = a.RuleSet.writeSide()
	})
}

// FuzzShorten: what a registry says stays one short printable line.
func FuzzShorten(f *testing.F) {
	f.Add("subject not found")
	f.Add(strings.Repeat("é", 300))
	f.Add("a\nb\x1b[31m\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := shorten(s)
		if n := utf8.RuneCountInString(got); n > maxWords+1 || strings.ContainsAny(got, "\n\r\x1b") || !utf8.ValidString(got) {
			t.Fatalf("%d runes: %q", n, got)
		}
	})
}
