package httpd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/httpd"
	"github.com/cxrelay/cxrelay/internal/reason"
)

func contextWithTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

func TestDelivery(t *testing.T) {
	f := start(t, nil)
	c := f.client()
	c.send(post("{}", "x-cxone-signature: a", "X-CXONE-SIGNATURE: b", "Traceparent: 00-x"))
	a := c.reply("POST")
	if want := `{"reason":"accepted","eventId":"evt-1"}`; a.text != want {
		t.Errorf("body %s, want %s", a.text, want)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Retry-After": "", "Allow": "", "Server": "",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	d := f.gate.last
	if got := fmt.Sprint(d.Header("X-Cxone-Signature")); got != "[a b]" {
		t.Errorf("signature headers %s", got)
	}
	if d.Traceparent != "00-x" || d.Remote != c.LocalAddr().String() || d.Source.Name != "cxone" {
		t.Errorf("traceparent %q, remote %q, source %v", d.Traceparent, d.Remote, d.Source)
	}
	c.send(post("{}", "Traceparent: 00-x", "Traceparent: 00-y"))
	c.reply("POST")
	if f.gate.last.Traceparent != "" {
		t.Errorf("two traceparents give %q", f.gate.last.Traceparent)
	}
	c.send(chunked("2\r\n{}\r\n0\r\nX-Cxone-Signature: ff\r\n\r\n", "Trailer: X-Cxone-Signature"))
	c.reply("POST")
	if got := f.gate.last.Header("X-Cxone-Signature"); got != nil {
		t.Errorf("a trailer became the header %q", got)
	}
}

func TestCharset(t *testing.T) {
	f := start(t, nil)
	for _, row := range []struct {
		contentType string
		code        int
	}{
		{"", 200},
		{"application/json", 200},
		{"text/plain", 200},
		{"application/xml", 200},
		{"not a media type", 200},
		{"application/json; charset", 200},
		{"application/json; charset=utf-8", 200},
		{"application/json;charset=UTF-8", 200},
		{"application/json; Charset=\"Utf-8\"", 200},
		{"application/json; v=1; charset=utf-8", 200},
		{"application/json; x=\"charset=latin1\"", 200},
		{"application/json; charset=iso-8859-1", 415},
		{"application/json; charset=\"utf-16\"", 415},
		{"application/json; CHARSET=UTF-16LE", 415},
		{"text/plain;charset=us-ascii", 415},
		{"application/json\r\nContent-Type: application/json; charset=latin1", 415},
	} {
		c := f.client()
		c.send(post("{}", "Content-Type: "+row.contentType))
		a := c.reply("POST")
		if a.code != row.code {
			t.Errorf("%q: %d, want %d", row.contentType, a.code, row.code)
		}
		if a.code == 415 && a.Detail != "unsupported body: charset other than UTF-8" {
			t.Errorf("%q: detail %q", row.contentType, a.Detail)
		}
		c.Close()
	}
}

func TestBodyLimitDetail(t *testing.T) {
	f := start(t, nil)
	c := f.client()
	c.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: relay\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, 1<<40))
	a := c.reply("POST") // no 100 before it, and no byte of the body is needed
	if a.code != 413 || !strings.Contains(a.Detail, fmt.Sprint(limit)) {
		t.Errorf("%d, detail %q", a.code, a.Detail)
	}
	c.isClosed()
}

func TestExpectContinue(t *testing.T) {
	f := start(t, nil)
	c := f.client()
	c.send("POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if line, err := c.r.ReadString('\n'); err != nil || line != "\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	c.send("{}")
	if a := c.reply("POST"); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
	c.isOpen()
}

func TestHalfClose(t *testing.T) {
	f := start(t, nil)
	c := f.client()
	c.send("POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 10\r\n\r\n{}")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if a := c.reply("POST"); a.code != 400 || a.Reason != "body_incomplete" {
		t.Errorf("%d %s", a.code, a.text)
	}
	c.isClosed()
	if !errors.Is(f.gate.errs[0], gateway.ErrIncomplete) || !errors.Is(f.gate.errs[0], io.ErrUnexpectedEOF) {
		t.Errorf("error %v", f.gate.errs[0])
	}
}

func TestConnections(t *testing.T) {
	const most, reserve = 3, 64
	f := start(t, func(o *httpd.Options) { o.MaxConnections = most })
	var held []*client
	for range most + reserve {
		held = append(held, f.client())
	}
	within, over := held[0], held[most+1] // accepted in this order
	within.isOpen()
	over.send(post("{}"))
	a := over.reply("POST")
	if a.code != 503 || a.Reason != "overloaded" || a.header.Get("Retry-After") != "3" || a.header.Get("Connection") != "close" {
		t.Errorf("%d %s, Connection %q", a.code, a.text, a.header.Get("Connection"))
	}
	over.isClosed()
	if got := f.metric("cxrelay_http_connections_limit"); got != most {
		t.Errorf("limit %v", got)
	}

	// Fill the place again; the next one is closed at once.
	waitFor(t, func() bool { return f.metric("cxrelay_http_connections") == most+reserve-1 })
	f.client()
	waitFor(t, func() bool { return f.metric("cxrelay_http_connections") == most+reserve })
	f.client().isClosed()
	if got := f.metric("cxrelay_http_connections_closed_total"); got != 1 {
		t.Errorf("%v closed", got)
	}
	for _, c := range held {
		c.Close()
	}
	waitFor(t, func() bool { return f.metric("cxrelay_http_connections") <= 1 })
	f.client().isOpen()
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the condition does not come true")
		}
	}
}

func TestDrain(t *testing.T) {
	f := start(t, nil)
	c := f.client()
	c.isOpen()
	f.server.Drain()
	c.send(post("{}"))
	if a := c.reply("POST"); a.code != 200 || a.header.Get("Connection") != "close" {
		t.Errorf("%d %s, Connection %q", a.code, a.text, a.header.Get("Connection"))
	}
	c.isClosed()
	c = f.client() // still listening
	c.send(post("{}"))
	if a := c.reply("POST"); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func TestShutdown(t *testing.T) {
	f := start(t, nil)
	hold, held := make(chan struct{}), make(chan struct{})
	f.gate.accept = func(d *gateway.Delivery) *gateway.Verdict {
		if string(d.Body.Bytes()) == "hold" {
			close(held)
			<-hold
		}
		return &gateway.Verdict{Reason: reason.Accepted}
	}
	busy, kept := f.client(), f.client()
	kept.isOpen()
	busy.send(post("hold"))
	<-held

	ended := make(chan error, 1)
	go func() { ended <- f.server.Shutdown(t.Context()) }()
	waitFor(t, func() bool {
		c, err := net.Dial("tcp", f.server.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	kept.send(post("late"))
	a := kept.reply("POST")
	if a.code != 503 || a.Reason != "draining" || a.header.Get("Retry-After") != "3" || a.header.Get("Connection") != "close" {
		t.Errorf("%d %s, Connection %q", a.code, a.text, a.header.Get("Connection"))
	}
	kept.isClosed()
	select {
	case err := <-ended:
		t.Fatalf("Shutdown returned %v with a request under way", err)
	default:
	}
	close(hold)
	if a := busy.reply("POST"); a.code != 200 {
		t.Errorf("%d %s", a.code, a.text)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := f.server.Shutdown(t.Context()); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
}

// TestListenerFails: Run says so instead of going on deaf.
func TestListenerFails(t *testing.T) {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server, err := httpd.New(httpd.Options{
		Gateway: &gate{}, Bodies: gateway.NewBodies(gateway.NewBudget(1), true), BodyLimit: 1, Listener: l,
		Log: quiet(), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := server.Run(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
}

func TestPanics(t *testing.T) {
	bug := func() { panic("bug") }
	for _, row := range []struct {
		name string
		set  func(*httpd.Options, *gate)
		raw  string
	}{
		{"in Accept", func(_ *httpd.Options, g *gate) {
			g.accept = func(*gateway.Delivery) *gateway.Verdict { panic(http.ErrAbortHandler) }
		}, post("{}")},
		{"in Refuse", func(_ *httpd.Options, g *gate) { g.refuse = bug }, post("{}", "Content-Encoding: gzip")},
		{"in the answer", func(o *httpd.Options, g *gate) {
			o.RetryAfter = func() int { bug(); return 0 }
			g.accept = func(*gateway.Delivery) *gateway.Verdict { return &gateway.Verdict{Reason: reason.DeliveryTimeout} }
		}, post("{}")},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := start(t, func(o *httpd.Options) { row.set(o, o.Gateway.(*gate)) })
			c := f.client()
			c.send(row.raw)
			if a := c.reply("POST"); a.code != 500 || a.Reason != "internal" || a.Detail != "" || a.header.Get("Connection") != "close" {
				t.Errorf("%d %s", a.code, a.text)
			}
			c.isClosed()
			if n := f.metric("cxrelay_http_panics_total"); n != 1 {
				t.Errorf("%v panics counted, want 1", n)
			}
			f.gate.accept, f.gate.refuse = nil, nil
			next := f.client()
			next.send(strings.Replace(post(""), path, "/other", 1))
			if a := next.reply("POST"); a.code != 404 {
				t.Errorf("after it: %d %s", a.code, a.text)
			}
		})
	}
}

func TestMetricsPath(t *testing.T) {
	f := start(t, func(o *httpd.Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Panic") != "" {
				w.Header().Set("Content-Length", "5")
				_, _ = io.WriteString(w, "a 1")
				panic("bug")
			}
			_, _ = io.WriteString(w, "a 1\n")
		})
	})
	c := f.client()
	c.send("GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n")
	if a := c.reply("GET"); a.code != 200 || a.text != "a 1\n" {
		t.Errorf("%d %q", a.code, a.text)
	}
	if begun, _, _, _ := f.gate.snapshot(); begun != 0 {
		t.Errorf("a scrape counted as %d events", begun)
	}
	c.send("POST /metrics HTTP/1.1\r\nHost: relay\r\nContent-Length: 0\r\n\r\n")
	if a := c.reply("POST"); a.code != 404 {
		t.Errorf("POST: %d", a.code)
	}
	c.send("GET /metrics HTTP/1.1\r\nHost: relay\r\nX-Panic: now\r\n\r\n")
	if res, err := http.ReadResponse(c.r, nil); err == nil {
		if text, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("half a scrape looks whole: %q", text)
		}
	}
	c = f.client()
	c.isOpen()
}

func TestMetricsThemselves(t *testing.T) {
	f := start(t, nil)
	problems, err := testutil.GatherAndLint(f.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for _, name := range []string{"cxrelay_http_connections", "cxrelay_http_connections_limit", "cxrelay_http_connections_closed_total", "cxrelay_clients_gone_total"} {
		f.metric(name) // there from the start
	}
}

func TestOptions(t *testing.T) {
	for name, spoil := range map[string]func(*httpd.Options){
		"no gateway": func(o *httpd.Options) { o.Gateway = nil },
		"no limit":   func(o *httpd.Options) { o.BodyLimit = 0 },
		"huge limit": func(o *httpd.Options) { o.BodyLimit = 1 << 40 },
	} {
		o := httpd.Options{
			Gateway: &gate{}, Bodies: gateway.NewBodies(gateway.NewBudget(1), true), BodyLimit: 1,
			Listener: &pipeListener{}, Log: quiet(), Registerer: prometheus.NewRegistry(),
		}
		if _, err := httpd.New(o); err != nil {
			t.Fatalf("without a fault: %v", err)
		}
		o.Registerer = prometheus.NewRegistry()
		spoil(&o)
		if _, err := httpd.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
