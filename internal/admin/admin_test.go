package admin_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base = "http://" + l.Addr().String()
	level = new(slog.LevelVar)
	s := admin.New(admin.Options{
		Listener: wrap(l),
		Metrics:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metric 1\n") }),
		Health:   h, Level: level, Log: slog.New(slog.DiscardHandler),
		Status: func() any { return map[string]int{"answer": 42} },
	})
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

// TestIndex: the index names what answers, and nothing else does not.
func TestIndex(t *testing.T) {
	local, _ := start(t, same, health{Ready: true})
	far, _ := start(t, func(l net.Listener) net.Listener { return elsewhere{l} }, health{Ready: true})
	for base, want := range map[string]int{local: 6, far: 3} {
		code, index := do(t, "GET", base+"/", "", nil)
		paths := 0
		for line := range strings.Lines(index) {
			path, _, ok := strings.Cut(line, " ")
			if !ok || path[0] != '/' {
				continue
			}
			paths++
			if code, body := do(t, "GET", base+path, "", nil); code != 200 {
				t.Errorf("the index names %s, which answers %d %s", path, code, body)
			}
		}
		if code != 200 || paths != want {
			t.Errorf("%d with %d paths, want %d:\n%s", code, paths, want, index)
		}
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
