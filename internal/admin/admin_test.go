package admin_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cxrelay/cxrelay/internal/admin"
)

type health admin.Readiness

func (h health) Readiness() admin.Readiness { return admin.Readiness(h) }

// elsewhere is a listener that claims to be bound to a network address.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9640} }

func start(t *testing.T, wrap func(net.Listener) net.Listener, h admin.Health) (base string, level *slog.LevelVar) {
	t.Helper()
	return startWith(t, wrap, h, func(*admin.Options) {})
}

func startWith(t *testing.T, wrap func(net.Listener) net.Listener, h admin.Health, change func(*admin.Options)) (base string, level *slog.LevelVar) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base = "http://" + l.Addr().String()
	level = new(slog.LevelVar)
	o := admin.Options{
		Listener: wrap(l),
		Metrics:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metric 1\n") }),
		Health:   h, Level: level, Log: slog.New(slog.DiscardHandler),
		Status:  func() any { return map[string]int{"answer": 42} },
		Schemas: func(string) (any, bool) { return []string{}, true },
		Reload:  func() admin.Reloaded { return admin.Reloaded{Status: 200} }, Token: func() []byte { return nil },
	}
	change(&o)
	s := admin.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return base, level
}

func same(l net.Listener) net.Listener { return l }

func do(t *testing.T, method, url, body string, edit func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestEndpoints(t *testing.T) {
	base, _ := start(t, same, health{Ready: true, Degraded: []string{"topic x is missing"}})
	for _, c := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/metrics", 200, "metric 1\n"},
		{"GET", "/-/healthy", 200, "{\"healthy\":true}\n"},
		{"GET", "/-/ready", 200, "{\"ready\":true,\"missing\":null,\"degraded\":[\"topic x is missing\"]}\n"},
		{"GET", "/api/v1/status", 200, "{\"answer\":42}\n"},
		{"GET", "/-/log-level", 200, "{\"level\":\"INFO\"}\n"},
		{"GET", "/debug/pprof/cmdline", 200, ""},
		{"GET", "/nothing", 404, ""},
		{"DELETE", "/-/log-level", 405, ""},
	} {
		code, body := do(t, c.method, base+c.path, "", nil)
		if code != c.code || c.body != "" && body != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, code, body, c.code, c.body)
		}
	}
}

// TestIndex: the index names what answers, each with a line of its own, and
// nothing that does not.
func TestIndex(t *testing.T) {
	far := func(l net.Listener) net.Listener { return elsewhere{l} }
	token := func(o *admin.Options) { o.Token = func() []byte { return []byte("open sesame") } }
	const open = "GET /metrics, GET /-/healthy, GET /-/ready"
	const all = open + ", GET /api/v1/status, GET /api/v1/schemas, POST /-/reload, GET,PUT /-/log-level, GET /debug/pprof/"
	for name, c := range map[string]struct {
		where       func(net.Listener) net.Listener
		change      func(*admin.Options)
		want, extra string
	}{
		"loopback":         {same, func(*admin.Options) {}, all, ""},
		"network":          {far, func(*admin.Options) {}, open, "There is more on a loopback admin.address"},
		"network, a token": {far, token, all, "Authorization: Bearer TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			base, _ := startWith(t, c.where, health{Ready: true}, c.change)
			code, index := do(t, "GET", base+"/", "", nil)
			var got []string
			for line := range strings.Lines(index) {
				fields := strings.Fields(line)
				if len(fields) < 3 || fields[1][0] != '/' {
					continue
				}
				got = append(got, fields[0]+" "+fields[1])
				method, _, _ := strings.Cut(fields[0], ",")
				authorized := func(r *http.Request) { r.Header.Set("Authorization", "Bearer open sesame") }
				if code, body := do(t, method, base+fields[1], "", authorized); code != 200 {
					t.Errorf("the index names %s, which answers %d %s", fields[1], code, body)
				}
			}
			if code != 200 || strings.Join(got, ", ") != c.want || !strings.Contains(index, c.extra) {
				t.Errorf("%d, want %s and %q:\n%s", code, c.want, c.extra, index)
			}
		})
	}
}

func TestNotReadySaysWhy(t *testing.T) {
	base, _ := start(t, same, health{Missing: []string{"kafka unreachable"}})
	code, body := do(t, "GET", base+"/-/ready", "", nil)
	if code != 503 || !strings.Contains(body, "kafka unreachable") {
		t.Errorf("%d %s", code, body)
	}
}

func TestLogLevel(t *testing.T) {
	base, level := start(t, same, health{})
	if code, body := do(t, "PUT", base+"/-/log-level", `{"level":"debug"}`, nil); code != 200 || level.Level() != slog.LevelDebug {
		t.Errorf("%d %s, level %v", code, body, level.Level())
	}
	for _, bad := range []string{"", "{", `{"level":"loud"}`} {
		if code, _ := do(t, "PUT", base+"/-/log-level", bad, nil); code != 400 {
			t.Errorf("%q: %d, want 400", bad, code)
		}
	}
	if level.Level() != slog.LevelDebug {
		t.Errorf("a refused change changed the level to %v", level.Level())
	}
}

// TestReach: what is not metrics or health answers only on loopback, to a
// loopback Host, and never to another origin's POST.
func TestReach(t *testing.T) {
	local, _ := start(t, same, health{Ready: true})
	far, level := start(t, func(l net.Listener) net.Listener { return elsewhere{l} }, health{Ready: true})
	for _, path := range []string{"/-/log-level", "/api/v1/status", "/debug/pprof/", "/debug/pprof/heap"} {
		if code, body := do(t, "GET", far+path, "", nil); code != 403 || !strings.Contains(body, "admin.address") {
			t.Errorf("off loopback %s: %d %s", path, code, body)
		}
		if code, _ := do(t, "GET", local+path, "", func(r *http.Request) { r.Host = "evil.example" }); code != 403 {
			t.Errorf("foreign Host %s: %d", path, code)
		}
		if code, _ := do(t, "GET", local+path, "", func(r *http.Request) { r.Host = "localhost:9640" }); code != 200 {
			t.Errorf("localhost %s: %d", path, code)
		}
	}
	for _, path := range []string{"/metrics", "/-/healthy", "/-/ready"} {
		if code, _ := do(t, "GET", far+path, "", nil); code != 200 {
			t.Errorf("off loopback %s: %d", path, code)
		}
	}
	if code, _ := do(t, "PUT", far+"/-/log-level", `{"level":"debug"}`, nil); code != 403 || level.Level() != slog.LevelInfo {
		t.Errorf("off loopback PUT: %d, level %v", code, level.Level())
	}
	if code, _ := do(t, "PUT", local+"/-/log-level", `{"level":"debug"}`, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }); code != 403 {
		t.Errorf("other origin: %d", code)
	}
}

// TestToken: off loopback, who shows the token as of now gets everything; who
// does not, what needs none. On loopback it changes nothing.
func TestToken(t *testing.T) {
	var token atomic.Value
	token.Store("first")
	with := func(o *admin.Options) {
		o.Token = func() []byte { return []byte(token.Load().(string)) }
	}
	far, _ := startWith(t, func(l net.Listener) net.Listener { return elsewhere{l} }, health{Ready: true}, with)
	local, _ := startWith(t, same, health{Ready: true}, with)
	show := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	for value, want := range map[string]int{
		"Bearer first": 200, "bearer first": 200,
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer firs": 401, "Bearer first x": 401, "Basic first": 401, "first": 401,
	} {
		if code, _ := do(t, "GET", far+"/api/v1/status", "", show(value)); code != want {
			t.Errorf("%q: %d, want %d", value, code, want)
		}
	}
	if code, _ := do(t, "POST", far+"/-/reload", "", nil); code != 401 {
		t.Errorf("a reload without the token: %d", code)
	}
	for _, path := range []string{"/metrics", "/-/healthy", "/-/ready"} {
		if code, _ := do(t, "GET", far+path, "", nil); code != 200 {
			t.Errorf("%s without the token: %d", path, code)
		}
	}
	if code, _ := do(t, "GET", local+"/api/v1/status", "", nil); code != 200 {
		t.Errorf("on loopback: %d", code)
	}
	token.Store("second")
	if code, _ := do(t, "GET", far+"/api/v1/status", "", show("Bearer first")); code != 401 {
		t.Errorf("the token of before: %d", code)
	}
	token.Store("")
	if code, _ := do(t, "GET", far+"/api/v1/status", "", show("Bearer ")); code != 403 {
		t.Errorf("without a token: %d", code)
	}
}

// TestReload: a POST alone reloads; what is wrong comes as problem details.
func TestReload(t *testing.T) {
	var next admin.Reloaded
	calls := 0
	base, _ := startWith(t, same, health{}, func(o *admin.Options) {
		o.Reload = func() admin.Reloaded { calls++; return next }
	})
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if code, _ := do(t, method, base+"/-/reload", "", nil); code != 405 {
			t.Errorf("%s: %d", method, code)
		}
	}
	if code, _ := do(t, "POST", base+"/-/reload", "", func(r *http.Request) { r.Host = "evil.example" }); code != 403 {
		t.Errorf("foreign Host: %d", code)
	}
	if code, _ := do(t, "POST", base+"/-/reload", "", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); code != 403 {
		t.Errorf("from another site: %d", code)
	}
	if calls != 0 {
		t.Fatalf("%d reloads", calls)
	}
	for _, c := range []struct {
		answer admin.Reloaded
		want   string
	}{
		{admin.Reloaded{Status: 200, Changed: []string{"routes[1]"}, Warnings: []string{}}, `{"changed":["routes[1]"],"warnings":[]}` + "\n"},
		{admin.Reloaded{Status: 422, Title: "faults", Detail: "a\nb", Problems: []admin.Problem{{File: "x.yaml", Line: 3, Column: 5, Key: "a", Message: "is wrong", Remedy: "mend it"}, {Variable: "B", Message: "b"}}},
			`{"detail":"a\nb","errors":[{"file":"x.yaml","line":3,"column":5,"key":"a","message":"is wrong","remedy":"mend it"},{"variable":"B","message":"b"}],"status":422,"title":"faults","type":"about:blank"}` + "\n"},
	} {
		next = c.answer
		if code, body := do(t, "POST", base+"/-/reload", "", nil); code != c.answer.Status || body != c.want {
			t.Errorf("%d %s, want %s", code, body, c.want)
		}
	}
}
