package reason_test

import (
	"regexp"
	"testing"

	"github.com/cxrelay/cxrelay/internal/reason"
)

// TestContract is the public table, written down again: a change here is a
// breaking change.
func TestContract(t *testing.T) {
	want := []struct {
		word   string
		status int
		class  string
	}{
		{"accepted", 200, "stop"}, {"dropped", 200, "stop"},
		{"malformed", 400, "fix"}, {"no_event_type", 400, "fix"}, {"no_contact", 400, "fix"}, {"unrouted", 400, "fix"},
		{"body_incomplete", 400, "retry"}, {"bad_signature", 401, "fix"}, {"stale", 401, "fix"},
		{"not_found", 404, "fix"}, {"method_not_allowed", 405, "fix"}, {"too_large", 413, "fix"}, {"unsupported", 415, "fix"},
		{"schema_mismatch", 422, "fix"}, {"too_complex", 422, "fix"}, {"internal", 500, "retry"},
		{"overloaded", 503, "retry"}, {"kafka_unavailable", 503, "retry"}, {"delivery_timeout", 503, "retry"},
		{"topic_unavailable", 503, "retry"}, {"schema_unavailable", 503, "retry"}, {"draining", 503, "retry"},
	}
	if len(reason.All()) != len(want) || reason.Count != len(want)+1 {
		t.Fatalf("%d reasons, count %d, want %d", len(reason.All()), reason.Count, len(want))
	}
	for i, r := range reason.All() {
		w := want[i]
		if r.String() != w.word || r.Status() != w.status || r.Class().String() != w.class {
			t.Errorf("%s %d %s, want %s %d %s", r, r.Status(), r.Class(), w.word, w.status, w.class)
		}
		if back, ok := reason.Parse(w.word); !ok || back != r {
			t.Errorf("Parse(%s) = %s", w.word, back)
		}
		if r.URN() != "urn:cxrelay:reason:"+w.word {
			t.Errorf("URN %s", r.URN())
		}
	}
}

func TestRowsAreWhole(t *testing.T) {
	word := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for _, r := range reason.All() {
		if !word.MatchString(r.String()) || r.Meaning() == "" || r.Advice() == "" || seen[r.String()] {
			t.Errorf("row %d: %q, %q, %q", r, r, r.Meaning(), r.Advice())
		}
		seen[r.String()] = true
		if ok := r.Status() == 503; ok && r.Class() != reason.Retry {
			t.Errorf("%s: 503 must be retried", r)
		}
	}
}

func TestNoReason(t *testing.T) {
	for _, r := range []reason.Reason{0, reason.Reason(reason.Count), 255} {
		if r.String() != "unknown" || r.Status() != 500 || r.Class() != reason.Retry || r.Advice() != "" {
			t.Errorf("%d: %s %d %s %q", r, r, r.Status(), r.Class(), r.Advice())
		}
	}
	if _, ok := reason.Parse("unknown"); ok {
		t.Error("unknown is not a reason")
	}
	if reason.Class(0).String() != "unknown" || reason.Class(0).Meaning() != "not a class" {
		t.Error("class 0")
	}
}
