package schema_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/schema"
)

func TestLatest(t *testing.T) {
	w := newWorld(t)
	w.register("orders", object("one"))
	w.register("orders", object("two"))
	got, err := w.client().Latest(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != "orders" || got.Version != 2 || got.ID != 2 || got.Type != "JSON" || got.Text != object("two") {
		t.Errorf("got %+v", got)
	}
}

func TestLatestWithoutTypeIsAvro(t *testing.T) {
	w := newWorld(t)
	w.net.serve(home, says(200, `{"subject":"s","version":1,"id":1,"schema":"\"string\""}`))
	got, err := w.client().Latest(t.Context(), "s")
	if err != nil || got.Type != "AVRO" {
		t.Errorf("type %q, error %v", got.Type, err)
	}
}

// FuzzSubjectPath: whatever a subject is called, the registry is asked for
// exactly that one.
func FuzzSubjectPath(f *testing.F) {
	for _, s := range []string{"a", "a/b", "a b", "100%", "%2F", "a?b#c", ":.ctx:s", "ü", "a+b", "..", ".", "a/../b", "a;b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		if subject == "" {
			return
		}
		var asked []string
		w := newWorld(t)
		w.net.serve(home, roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, strings.TrimSuffix(strings.TrimPrefix(r.URL.EscapedPath(), "/prefix/subjects/"), "/versions/latest"))
			return handler(http.NotFoundHandler()).RoundTrip(r)
		}))
		c := w.client(func(o *schema.ClientOptions) { o.URLs = []string{"http://" + home + "/prefix/"} })
		_, err := c.Latest(t.Context(), subject)
		if err == nil {
			t.Fatal("an empty 404 became a schema")
		}
		if subject == "." || subject == ".." {
			if len(asked) != 0 {
				t.Fatalf("%q was asked for", subject)
			}
			return
		}
		if len(asked) != 1 || strings.Contains(asked[0], "/") {
			t.Fatalf("%q was asked for as %q", subject, asked)
		}
		if got, err := url.PathUnescape(asked[0]); err != nil || got != subject {
			t.Fatalf("%q arrives as %q, %v", subject, got, err)
		}
	})
}

func TestAnswersThatAreNoSchema(t *testing.T) {
	tests := []struct {
		name     string
		server   http.RoundTripper
		notFound bool
		throttle bool
		bad      bool
		status   int
		retry    time.Duration
		text     string
	}{
		{name: "subject unknown", server: says(404, `{"error_code":40401,"message":"x"}`), notFound: true, status: 404, text: "subject not found in registry"},
		{name: "version unknown", server: says(404, `{"error_code":40402}`), notFound: true, status: 404, text: "version not found in registry"},
		{name: "schema unknown", server: says(404, `{"error_code":40403}`), notFound: true, status: 404},
		{name: "404 of another server", server: says(404, `<html>`), status: 404, text: "registry answered 404 (http://registry:8081/subjects/s/versions/latest) without saying what it lacks: no schema registry is there"},
		{name: "404 with another code", server: says(404, `{"error_code":404,"message":"HTTP 404 Not Found"}`), status: 404, text: "the path of schema.registry.urls is wrong"},
		{name: "401", server: says(401, `{"error_code":401,"message":"who?"}`), status: 401, text: "answered 401, code 401: who?"},
		{name: "429 bare", server: says(429, ""), throttle: true, status: 429, text: "registry answered 429"},
		{name: "429 seconds", server: says(429, "", "Retry-After", "7"), throttle: true, status: 429, retry: 7 * time.Second},
		{name: "429 reset", server: says(429, "", "X-RateLimit-Reset", "3"), throttle: true, status: 429, retry: 3 * time.Second},
		{name: "429 for a year", server: says(429, "", "Retry-After", "31536000"), throttle: true, status: 429, retry: 5 * time.Minute},
		{name: "503 seconds", server: says(503, "", "Retry-After", "9"), throttle: true, status: 503, retry: 9 * time.Second},
		{name: "503 bare", server: says(503, ""), status: 503},
		{name: "500 with Retry-After", server: says(500, `{"error_code":50001,"message":"store"}`, "Retry-After", "9"), status: 500, text: "code 50001: store"},
		{name: "redirect", server: says(302, "", "Location", "https://u:secret@elsewhere/x?token=secret"), status: 302, text: "redirect to https://elsewhere/x is not followed"},
		{name: "redirect to nowhere", server: says(308, ""), status: 308, text: "not followed"},
		{name: "204", server: says(204, ""), status: 204},
		{name: "html", server: says(200, "<html>"), bad: true},
		{name: "empty", server: says(200, ""), bad: true},
		{name: "null", server: says(200, "null"), bad: true},
		{name: "array", server: says(200, "[]"), bad: true},
		{name: "no schema", server: says(200, `{"version":1,"id":1}`), bad: true, text: "no schema"},
		{name: "no version", server: says(200, `{"schema":"{}","id":1}`), bad: true, text: "no version"},
		{name: "no id", server: says(200, `{"schema":"{}","version":1}`), bad: true, text: "no usable id"},
		{name: "id beyond four bytes", server: says(200, `{"schema":"{}","version":1,"id":2147483648}`), bad: true},
		{name: "Latin-1", server: says(200, `{"schema":"{\"const\":\"caf`+"\xe9"+`\"}","version":1,"id":1}`), bad: true, text: "not UTF-8"},
		{name: "two objects", server: says(200, `{"schema":"{}","version":1,"id":1}{}`), bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.net.serve(home, tt.server)
			_, err := w.client().Latest(t.Context(), "s")
			if err == nil {
				t.Fatal("no error")
			}
			if got := errors.Is(err, schema.ErrNotFound); got != tt.notFound {
				t.Errorf("not found: %v", got)
			}
			if got := errors.Is(err, schema.ErrThrottled); got != tt.throttle {
				t.Errorf("throttled: %v", got)
			}
			if got := errors.Is(err, schema.ErrBadAnswer); got != tt.bad {
				t.Errorf("bad answer: %v", got)
			}
			var status *schema.StatusError
			if errors.As(err, &status) != (tt.status != 0) || status != nil && (status.Status != tt.status || status.RetryAfter != tt.retry) {
				t.Errorf("status error %+v, want status %d, retry after %s", status, tt.status, tt.retry)
			}
			if !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "secret") {
				t.Errorf("text %q", err)
			}
			if n := len(w.net.requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestRetryAfterDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		at := time.Now().Add(40 * time.Second).UTC().Format(http.TimeFormat)
		w.net.serve(home, says(503, "", "Retry-After", at))
		_, err := w.client().Latest(t.Context(), "s")
		var status *schema.StatusError
		if !errors.As(err, &status) || status.RetryAfter != 40*time.Second {
			t.Errorf("error %+v", status)
		}
	})
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.serve(home, hangs())
		start := time.Now()
		_, err := w.client().Latest(t.Context(), "s")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 5s") {
			t.Errorf("error %v", err)
		}
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("gave up after %s", d)
		}
	})
}

// slowBody sends one byte a second and hangs in between.
type slowBody struct{ ctx context.Context }

func (b slowBody) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

func (b slowBody) Close() error { return nil }

func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.serve(home, roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: slowBody{r.Context()}, ContentLength: -1}, nil
		}))
		start := time.Now()
		_, err := w.client().Latest(t.Context(), "s")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("error %v after %s", err, time.Since(start))
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.serve(home, hangs())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := w.client().Latest(ctx, "s")
		if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "registry") {
			t.Errorf("error %v", err)
		}
	})
}

func TestHugeAnswer(t *testing.T) {
	const size = 50 << 20
	for name, length := range map[string]int64{"declared": size, "chunked": -1} {
		t.Run(name, func(t *testing.T) {
			body := &endless{left: size}
			w := newWorld(t)
			w.net.serve(home, roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: body, ContentLength: length}, nil
			}))
			_, err := w.client().Latest(t.Context(), "s")
			if !errors.Is(err, schema.ErrBadAnswer) || !strings.Contains(err.Error(), "larger than 4194304 bytes") {
				t.Errorf("error %v", err)
			}
			if most := 4<<20 + 1; body.read > most || length > 0 && body.read > 0 {
				t.Errorf("read %d bytes", body.read)
			}
		})
	}
}

func TestHugeErrorAnswer(t *testing.T) {
	w := newWorld(t)
	w.net.serve(home, says(500, `{"error_code":50001,"message":"`+strings.Repeat("é\\n", 1000)+`"}`))
	_, err := w.client().Latest(t.Context(), "s")
	if err == nil || len(err.Error()) > 800 || strings.Contains(err.Error(), "\n") {
		t.Errorf("error of %d bytes: %v", len(err.Error()), err)
	}
}

func TestCutAnswer(t *testing.T) {
	w := newWorld(t)
	w.register("s", object("one"))
	w.net.serve(home, roundTrip(func(*http.Request) (*http.Response, error) {
		body := io.NopCloser(io.MultiReader(strings.NewReader(`{"ver`), brokenReader{}))
		return &http.Response{StatusCode: 200, Body: body, ContentLength: -1}, nil
	}))
	w.net.serve("second", handler(w.registry.Handler()))
	c := w.client(func(o *schema.ClientOptions) { o.URLs = append(o.URLs, "http://second") })
	if _, err := c.Latest(t.Context(), "s"); err != nil {
		t.Errorf("the second address was not asked: %v", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.register("s", object("one"))
		c := w.client()
		start := time.Now()
		for range 23 {
			go func() { _, _ = c.Latest(t.Context(), "s") }()
		}
		pass(4 * time.Second)
		seen := w.net.requests()
		if len(seen) != 23 {
			t.Fatalf("%d requests", len(seen))
		}
		expectPaced(t, seen)
		if d := seen[4].at.Sub(start); d != 0 {
			t.Errorf("the fifth request waited %s", d)
		}
		if d := seen[22].at.Sub(start); d != 4*time.Second {
			t.Errorf("the last request went at %s", d)
		}
	})
}
