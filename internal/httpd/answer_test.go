package httpd

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/schema"
)

var _ Gatekeeper = (*gateway.Gateway)(nil)

// full is a verdict with everything in it that an answer could show.
func full(r reason.Reason) *gateway.Verdict {
	return &gateway.Verdict{
		Reason: r, Verified: true, Event: event.Event{ID: "evt-1"}, Detail: "why",
		Violations: []schema.Violation{{Pointer: "/a", Keyword: "type", Expected: "string", Actual: "number"}, {Pointer: "/b", Keyword: "required"}},
	}
}

// TestBodies walks all reasons through the form of their answers.
func TestBodies(t *testing.T) {
	for _, r := range reason.All() {
		got := map[string]any{}
		if err := json.Unmarshal(appendBody(nil, full(r)), &got); err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		want := map[string]any{"reason": r.String(), "eventId": "evt-1"}
		if r.Status()/100 != 2 {
			want = map[string]any{
				"type": "urn:cxrelay:reason:" + r.String(), "title": r.Meaning(), "status": float64(r.Status()),
				"reason": r.String(), "detail": "why", "eventId": "evt-1",
			}
		}
		switch r {
		case reason.BadSignature, reason.Stale:
			delete(want, "detail")
			delete(want, "eventId")
		case reason.SchemaMismatch:
			want["errors"] = []any{
				map[string]any{"pointer": "/a", "keyword": "type", "expected": "string", "actual": "number"},
				map[string]any{"pointer": "/b", "keyword": "required", "expected": "", "actual": ""},
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %v, want %v", r, got, want)
		}
	}
}

// Test401: whatever is known, the bytes depend on the reason alone.
func Test401(t *testing.T) {
	for _, r := range []reason.Reason{reason.BadSignature, reason.Stale} {
		bare := string(appendBody(nil, &gateway.Verdict{Reason: r}))
		if got := string(appendBody(nil, full(r))); got != bare {
			t.Errorf("%s and %s differ", got, bare)
		}
	}
}

// TestUnverified: without a right signature nobody learns an event id.
func TestUnverified(t *testing.T) {
	for _, r := range reason.All() {
		v := full(r)
		v.Verified = false
		if got := string(appendBody(nil, v)); strings.Contains(got, "eventId") {
			t.Errorf("%v: %s", r, got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	s := newServer(t, nil)
	seen := map[string]bool{}
	for _, r := range reason.All() {
		for range 200 {
			x := &exchange{w: httptest.NewRecorder()}
			s.setHeader(x, r, 1)
			got := x.w.Header().Get("Retry-After")
			if (got != "") != (r.Status() == http.StatusServiceUnavailable) {
				t.Fatalf("%v: Retry-After %q", r, got)
			}
			seen[got] = true
		}
	}
	delete(seen, "")
	for _, s := range []string{"1", "2", "3", "4", "5"} {
		if !seen[s] {
			t.Errorf("never %s", s)
		}
		delete(seen, s)
	}
	if len(seen) > 0 {
		t.Errorf("also %v", seen)
	}
}

// FuzzString: the output is JSON in one line of UTF-8, decodes to the same
// text, and needs no escaping in older JavaScript.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "evt-1", `"\/`, "\x00\x1f\x7f\r\n\t", "a\u2028b\u2029c", "\xff\xc0\xafz", "ü€𝄞", "\xed\xa0\x80", "\xe2\x80", "\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := appendString([]byte("x"), s)
		if out[0] != 'x' {
			t.Fatal("does not append")
		}
		out = out[1:]
		if !utf8.Valid(out) || strings.ContainsAny(string(out), "\u2028\u2029\n\r\x7f") {
			t.Fatalf("%q", out)
		}
		var back string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if want := string([]rune(s)); back != want { // each byte that is no UTF-8 is one U+FFFD
			t.Fatalf("%q became %q", want, back)
		}
	})
}

var epoch = time.Unix(0, 0)

func TestPatience(t *testing.T) {
	s := newServer(t, nil)
	// Never earlier for more bytes, never beyond the limit of the whole body.
	deadlines := make([]int64, 0, 2000)
	for n := range 2000 {
		deadlines = append(deadlines, s.patience(epoch, n*1000).Sub(epoch).Milliseconds())
	}
	if !slices.IsSorted(deadlines) || deadlines[0] != 5000 || deadlines[1] != 5976 || deadlines[1999] != 10000 {
		t.Errorf("%v … %v", deadlines[:10], deadlines[1999])
	}
	if got := s.patience(epoch, MaxBody).Sub(epoch).Milliseconds(); got != 10000 {
		t.Errorf("largest body: %d ms", got)
	}
}

// TestPanicInIntake: the delivery is refused, once, and its body is given back.
func TestPanicInIntake(t *testing.T) {
	g := &countingGate{}
	s := newServer(t, g)
	r := httptest.NewRequest("POST", "/x", io.MultiReader(strings.NewReader("{"), panicReader{}))
	w := httptest.NewRecorder()
	s.serve(patientWriter{w}, r)
	if w.Code != 500 || w.Header().Get("Connection") != "close" || g.begun != 1 || g.refused != 1 || g.body == nil {
		t.Errorf("%d, Connection %q, %+v", w.Code, w.Header().Get("Connection"), g)
	}
	if g.err == nil || errors.Is(g.err, gateway.ErrIncomplete) || !strings.Contains(g.err.Error(), "bug in a reader") {
		t.Errorf("error %v", g.err)
	}
}

// patientWriter takes deadlines, as the writer of a real connection does.
type patientWriter struct{ *httptest.ResponseRecorder }

func (patientWriter) SetReadDeadline(time.Time) error  { return nil }
func (patientWriter) SetWriteDeadline(time.Time) error { return nil }

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("bug in a reader") }

type countingGate struct {
	begun, refused int
	body           *gateway.Body
	err            error
}

func (g *countingGate) Begin(d *gateway.Delivery) {
	g.begun++
	if d.Path == "/x" {
		d.Source = &gateway.Source{Name: "x"}
	}
}
func (g *countingGate) Accept(*gateway.Delivery) *gateway.Verdict { panic("not reached") }
func (g *countingGate) Refuse(d *gateway.Delivery, err error) *gateway.Verdict {
	g.refused, g.body, g.err = g.refused+1, d.Body, err
	return &gateway.Verdict{Reason: reason.Internal}
}

func newServer(t *testing.T, g Gatekeeper) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if g == nil {
		g = &countingGate{}
	}
	s, err := New(Options{
		Gateway: g, Bodies: gateway.NewBodies(gateway.NewBudget(1<<20), true), Listener: l, BodyLimit: 1 << 10,
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
