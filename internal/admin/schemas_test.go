package admin_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/admin"
)

// listing starts a listener that knows one subject.
func listing(t *testing.T, wrap func(net.Listener) net.Listener) (base string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := admin.New(admin.Options{
		Listener: wrap(l), Metrics: http.NotFoundHandler(), Health: health{}, Level: new(slog.LevelVar),
		Log: slog.New(slog.DiscardHandler), Status: func() any { return nil },
		Schemas: func(subject string) (any, bool) {
			return map[string]string{"asked": subject}, subject == "" || subject == "a/b c"
		},
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
	return "http://" + l.Addr().String()
}

func TestSchemas(t *testing.T) {
	base := listing(t, same)
	for path, want := range map[string]string{
		"":                  `200 {"asked":""}`,
		"?subject=a%2Fb+c":  `200 {"asked":"a/b c"}`,
		"?subject=":         `400 {"error":"the subject is empty"}`,
		"?subject=%22<b>":   `404 {"error":"no route has the subject \"\\\"\u003cb\u003e\""}`,
		"/a":                "404 404 page not found",
		"?x=1&subject=none": `404 {"error":"no route has the subject \"none\""}`,
	} {
		code, body := do(t, "GET", base+"/api/v1/schemas"+path, "", nil)
		if got := fmt.Sprintf("%d %s", code, strings.TrimSpace(body)); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
	if code, _ := do(t, "POST", base+"/api/v1/schemas", "", nil); code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", code)
	}
	if code, _ := do(t, "GET", base+"/api/v1/schemas", "", func(r *http.Request) { r.Host = "evil.example" }); code != http.StatusForbidden {
		t.Errorf("foreign Host: %d", code)
	}
	far := listing(t, func(l net.Listener) net.Listener { return elsewhere{l} })
	if code, _ := do(t, "GET", far+"/api/v1/schemas", "", nil); code != http.StatusForbidden {
		t.Errorf("off loopback: %d", code)
	}
}
