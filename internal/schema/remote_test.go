package schema_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
)

const payload = `{ "n" : 1.0e2 }`

// parse makes a document of a payload.
func parse(t *testing.T, raw string) *jsontape.Doc {
	t.Helper()
	doc := new(jsontape.Doc)
	if err := doc.Parse([]byte(raw), jsontape.Limits{}); err != nil {
		t.Fatal(err)
	}
	return doc
}

// remoteCache is a cache of mode remote over the world's network.
func (w *world) remoteCache(change ...func(*schema.ClientOptions)) *schema.Cache {
	w.t.Helper()
	judge, err := schema.NewJudge(schema.RemoteOptions{
		Client: w.client(change...), Attempts: 3, Backoff: time.Second, Timeout: 5 * time.Second, Log: w.logs.logger(), Rand: func() float64 { return 1 },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := schema.NewCache(schema.CacheOptions{Fixed: judge.Fixed(), Pins: latest("s/1"), Log: w.logs.logger()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(run(w.t, c))
	return c
}

// ask has a payload validated by the subject of remoteCache.
func ask(t *testing.T, c *schema.Cache, deadline time.Time) ([]schema.Violation, error) {
	t.Helper()
	s, err := c.Lookup("s/1", 0)
	if err != nil {
		t.Fatal(err)
	}
	value, violations, err := s.Check(parse(t, payload), nil, deadline)
	if err == nil && violations == nil && string(value) != payload {
		t.Errorf("value %q", value)
	}
	return violations, err
}

func TestRemoteRequest(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		var seen *http.Request
		var body []byte
		w.net.serve(home, handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			seen = r
			body, _ = io.ReadAll(r.Body)
			rw.WriteHeader(http.StatusNoContent)
		})))
		c := w.remoteCache(func(o *schema.ClientOptions) { o.Username, o.Password = "u", "p" })
		if st := c.Subjects()[0]; st.State != schema.Remote || !st.Usable || !c.Answered() {
			t.Errorf("before the first event: %+v", st)
		}
		if v, err := ask(t, c, time.Time{}); v != nil || err != nil {
			t.Fatalf("%v, %v", v, err)
		}
		if seen.Method != http.MethodPost || seen.URL.EscapedPath() != "/subjects/s%2F1/validate" || string(body) != payload || seen.ContentLength != int64(len(payload)) {
			t.Errorf("%s %s %q, %d bytes", seen.Method, seen.URL.EscapedPath(), body, seen.ContentLength)
		}
		if seen.Header.Get("Content-Type") != "application/json" || seen.Header.Get("Authorization") == "" || len(seen.Header["Idempotency-Key"]) != 0 {
			t.Errorf("header %v", seen.Header)
		}
		if st := c.Subjects()[0]; !st.LastSuccess.Equal(time.Now()) || st.LastError != "" || st.Problem() != "" {
			t.Errorf("after it: %+v", st)
		}
	})
}

func TestRemoteVerdicts(t *testing.T) {
	const unavailable = "UNAVAILABLE"
	long := strings.Repeat("x", 1000)
	for name, tt := range map[string]struct {
		server http.RoundTripper
		actual string // of the violation; "": valid
		text   string // of the error
	}{
		"200":              {says(200, ""), "", ""},
		"201, text":        {says(201, "ok"), "", ""},
		"200 true":         {says(200, `{"valid":true,"is_valid":true}`), "", ""},
		"200 other":        {says(200, `{"valid":"false"}`), "", ""},
		"200 list":         {says(200, `[false]`), "", ""},
		"valid false":      {says(200, `{"valid":false,"message":"no id"}`), "no id", ""},
		"is_valid false":   {says(202, `{"is_valid": false }`), "the registry answered 202 and did not say why", ""},
		"400":              {says(400, `{"error_code":400,"message":"a\nb\u0007c"}`), "a b c", ""},
		"422":              {says(422, `{"message":{"x":1},"detail":"missing"}`), "missing", ""},
		"422 text":         {says(422, "<html>secret</html>"), "the registry answered 422 and did not say why", ""},
		"422 long":         {says(422, `{"error":"`+long+`"}`), long[:200] + "…", ""},
		"422 endless":      {says(422, `{"error":"`+strings.Repeat("x", 1<<20)+`"}`), "the registry answered 422 and did not say why", ""},
		"404":              {says(404, `{"error_code":404,"message":"HTTP 404 Not Found"}`), unavailable, "registry answered 404"},
		"405":              {says(405, ``), unavailable, "registry answered 405"},
		"unknown subject":  {says(404, `{"error_code":40401}`), unavailable, "subject not found in registry"},
		"401":              {says(401, ``), unavailable, "registry answered 401"},
		"409":              {says(409, ``), unavailable, "registry answered 409"},
		"500":              {says(500, ``), unavailable, "registry answered 500"},
		"503":              {says(503, ``, "Retry-After", "1"), unavailable, "registry answered 503"},
		"redirect":         {says(307, ``, "Location", "/x"), unavailable, "is not followed"},
		"away":             {nil, unavailable, "connection refused"},
		"hang":             {hangs(), unavailable, "no answer within 5s"},
		"an endless 200":   {huge(), unavailable, "larger than"},
		"a 200 broken off": {breaksOff(), unavailable, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				w.net.serve(home, tt.server)
				c := w.remoteCache()
				violations, err := ask(t, c, time.Now().Add(time.Minute))
				switch {
				case tt.actual == unavailable:
					if !errors.Is(err, schema.ErrUnavailable) || !strings.Contains(err.Error(), tt.text) || violations != nil {
						t.Errorf("%v, %v", violations, err)
					}
					if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, schema.ErrThrottled) {
						t.Errorf("the registry's error is in the chain of %v", err)
					}
					if st := c.Subjects()[0]; c.Answered() || !strings.Contains(st.Problem(), tt.text) {
						t.Errorf("status %+v", st)
					}
				case err != nil:
					t.Error(err)
				case tt.actual == "":
					if violations != nil {
						t.Errorf("violations %v", violations)
					}
				case len(violations) != 1 || violations[0] != schema.Violation{Keyword: "validate", Expected: "what the schema registry takes as valid", Actual: tt.actual}:
					t.Errorf("violations %+v", violations)
				}
				if n := len(w.net.requests()); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

func breaksOff() http.RoundTripper {
	return roundTrip(func(*http.Request) (*http.Response, error) {
		body := io.MultiReader(strings.NewReader(`{"va`), errReader{})
		return &http.Response{StatusCode: 200, Body: io.NopCloser(body), ContentLength: -1}, nil
	})
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// throttles answers 429 so many times, and then 200.
func throttles(times int64, header ...string) http.RoundTripper {
	var n atomic.Int64
	no, yes := says(429, `{"message":"slow down"}`, header...), says(200, "")
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if n.Add(1) <= times {
			return no.RoundTrip(r)
		}
		return yes.RoundTrip(r)
	})
}

func TestRemoteThrottled(t *testing.T) {
	for name, tt := range map[string]struct {
		server  http.RoundTripper
		within  time.Duration // of the event, for the verdict and the delivery; 0: without a deadline
		ok      bool
		took    time.Duration
		request int
	}{
		"twice":                {throttles(2), time.Minute, true, 3 * time.Second, 3},
		"for good":             {throttles(9), time.Minute, false, 3 * time.Second, 3},
		"no deadline":          {throttles(2), 0, true, 3 * time.Second, 3},
		"no time for a second": {throttles(2), 1200 * time.Millisecond, false, 0, 1},
		"time for a second":    {throttles(1), 2 * time.Second, true, time.Second, 2},
		"no time for a third":  {throttles(2), 2 * time.Second, false, time.Second, 2},
		"asks for longer":      {throttles(1, "Retry-After", "7"), time.Minute, true, 7 * time.Second, 2},
		"asks for too long":    {throttles(1, "Retry-After", "7"), 4 * time.Second, false, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				w.net.serve(home, tt.server)
				c := w.remoteCache()
				began := time.Now()
				var deadline time.Time
				if tt.within > 0 {
					deadline = began.Add(tt.within)
				}
				violations, err := ask(t, c, deadline)
				if (err == nil) != tt.ok || violations != nil || err != nil && !strings.Contains(err.Error(), "registry answered 429") {
					t.Errorf("%v, %v", violations, err)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("took %s", took)
				}
				if n := len(w.net.requests()); n != tt.request {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

// A Retry-After is honoured for the events that come after it, too.
func TestRemoteThrottledForAll(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.net.serve(home, throttles(1, "Retry-After", "30"))
		c := w.remoteCache()
		for range 20 {
			if _, err := ask(t, c, time.Now().Add(2*time.Second)); !errors.Is(err, schema.ErrUnavailable) {
				t.Fatal(err)
			}
			pass(time.Second)
		}
		if n := len(w.net.requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
		pass(11 * time.Second)
		if _, err := ask(t, c, time.Now().Add(2*time.Second)); err != nil {
			t.Error(err)
		}
	})
}

// The verdict comes early enough to deliver the record, whatever the registry
// does; the event never waits beyond its deadline.
func TestRemoteDeadline(t *testing.T) {
	for within, want := range map[time.Duration]time.Duration{
		2 * time.Second: 1500 * time.Millisecond, 400 * time.Millisecond: 300 * time.Millisecond, 20 * time.Second: 5 * time.Second, 0: 0, -time.Second: 0,
	} {
		in(t, func(t *testing.T, w *world) {
			w.net.serve(home, hangs())
			c := w.remoteCache()
			began := time.Now()
			_, err := ask(t, c, began.Add(within))
			if !errors.Is(err, schema.ErrUnavailable) || time.Since(began) != want {
				t.Errorf("%s: %v after %s, want %s", within, err, time.Since(began), want)
			}
		})
	}
}

func TestRemoteFailover(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.net.serve("two", says(422, `{"message":"no"}`))
		c := w.remoteCache(func(o *schema.ClientOptions) { o.URLs = []string{"http://one", "http://two"} })
		for range 2 {
			if v, err := ask(t, c, time.Time{}); len(v) != 1 || err != nil {
				t.Errorf("%v, %v", v, err)
			}
		}
		if n := len(w.net.requests()); n != 3 {
			t.Errorf("%d requests: the address that answers is asked first", n)
		}
	})
}

// A registry without the call is named once a minute, not once an event.
func TestRemoteNoSuchCall(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.up() // a registry as they are
		c := w.remoteCache()
		for range 150 {
			if _, err := ask(t, c, time.Now().Add(time.Second)); !errors.Is(err, schema.ErrUnavailable) {
				t.Fatal(err)
			}
			pass(time.Second)
		}
		if n := w.logs.count("no call that validates payloads"); n != 3 || w.logs.count(`remedy="set schema.mode to local"`) != 3 {
			t.Errorf("%d lines in 150 s:\n%s", n, w.logs)
		}
	})
}

func TestRemoteBound(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.net.serve(home, hangs())
		c := w.remoteCache()
		var busy atomic.Int64
		var wg sync.WaitGroup
		call := func(n int, within time.Duration) {
			deadline := time.Now().Add(within)
			for range n {
				wg.Go(func() {
					s, err := c.Lookup("s/1", 0)
					if err != nil {
						t.Error(err)
						return
					}
					_, _, err = s.Check(parse(t, payload), nil, deadline)
					if err != nil && strings.Contains(err.Error(), "64 calls of the registry are under way already") {
						busy.Add(1)
					}
				})
			}
			synctest.Wait()
		}
		call(schema.RemoteCalls, time.Minute)
		call(9, 4*time.Second)
		wg.Wait()
		if n := busy.Load(); n != 9 || len(w.net.requests()) != schema.RemoteCalls {
			t.Errorf("%d waited in vain, %d requests", n, len(w.net.requests()))
		}
		w.net.serve(home, says(200, ""))
		if _, err := ask(t, c, time.Now().Add(time.Second)); err != nil {
			t.Errorf("a slot was not given back: %v", err)
		}
		synctest.Wait()
	})
}

// The payload's buffer has another owner when Check has returned. net/http may
// go on reading a request's body then (http.RoundTripper says so); it must get
// an error, and no byte of the next event.
func TestRemoteGivesThePayloadBack(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		var body, again io.Reader
		first := make([]byte, 4)
		w.net.serve(home, roundTrip(func(r *http.Request) (*http.Response, error) {
			body = r.Body
			if _, err := io.ReadFull(body, first); err != nil {
				return nil, err
			}
			copied, err := r.GetBody()
			again = copied
			return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, err
		}))
		c := w.remoteCache()
		if _, err := ask(t, c, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if string(first) != payload[:4] {
			t.Errorf("read %q", first)
		}
		for _, r := range []io.Reader{body, again} {
			if b, err := io.ReadAll(r); len(b) != 0 || err == nil {
				t.Errorf("read %q after the end, %v", b, err)
			}
		}
	})
}

func TestJudgeOptions(t *testing.T) {
	w := newWorld(t)
	good := schema.RemoteOptions{Client: w.client(), Attempts: 1, Backoff: 1, Timeout: 1}
	for name, change := range map[string]func(*schema.RemoteOptions){
		"client": func(o *schema.RemoteOptions) { o.Client = nil }, "attempts": func(o *schema.RemoteOptions) { o.Attempts = 0 },
		"backoff": func(o *schema.RemoteOptions) { o.Backoff = 0 }, "timeout": func(o *schema.RemoteOptions) { o.Timeout = 0 },
	} {
		o := good
		change(&o)
		if _, err := schema.NewJudge(o); err == nil {
			t.Errorf("no %s: no error", name)
		}
	}
	if _, err := schema.NewJudge(good); err != nil {
		t.Error(err)
	}
}
