package httpd_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/httpd"
	"github.com/cxrelay/cxrelay/internal/reason"
)

// gate is a Gatekeeper that accepts everything that intake lets through.
type gate struct {
	accept func(d *gateway.Delivery) *gateway.Verdict // nil: the event is accepted
	refuse func()

	mu                        sync.Mutex
	begun, accepted, refused  int
	bodies                    []string
	last                      gateway.Delivery // of Accept
	errs                      []error
	sourceless, withoutReadAt int
}

func (g *gate) Begin(d *gateway.Delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.begun++
	if d.Path == path {
		d.Source = &gateway.Source{Name: "cxone"}
	}
}

func (g *gate) Accept(d *gateway.Delivery) *gateway.Verdict {
	g.mu.Lock()
	g.accepted++
	g.bodies = append(g.bodies, string(d.Body.Bytes()))
	g.last = *d
	if d.Source == nil {
		g.sourceless++
	}
	if d.ReadAt.IsZero() || d.ReadAt.Before(d.ReceivedAt) {
		g.withoutReadAt++
	}
	g.mu.Unlock()
	defer d.Body.Release()
	if g.accept != nil {
		return g.accept(d)
	}
	return &gateway.Verdict{Reason: reason.Accepted, Verified: true, Event: event.Event{ID: "evt-1"}}
}

func (g *gate) Refuse(d *gateway.Delivery, err error) *gateway.Verdict {
	g.mu.Lock()
	g.refused++
	g.errs = append(g.errs, err)
	g.mu.Unlock()
	if d.Body != nil {
		d.Body.Release()
	}
	if g.refuse != nil {
		g.refuse()
	}
	for _, row := range []struct {
		err   error
		r     reason.Reason
		shown bool
	}{
		{gateway.ErrNotFound, reason.NotFound, false}, {gateway.ErrMethod, reason.MethodNotAllowed, false},
		{gateway.ErrBodyLimit, reason.TooLarge, true}, {gateway.ErrUnsupported, reason.Unsupported, true},
		{gateway.ErrIncomplete, reason.BodyIncomplete, false}, {gateway.ErrConnections, reason.Overloaded, false},
		{gateway.ErrBudget, reason.Overloaded, false}, {gateway.ErrDraining, reason.Draining, false},
	} {
		if errors.Is(err, row.err) {
			v := &gateway.Verdict{Reason: row.r}
			if row.shown {
				v.Detail = err.Error()
			}
			return v
		}
	}
	return &gateway.Verdict{Reason: reason.Internal}
}

func (g *gate) snapshot() (begun, accepted, refused int, bodies []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.begun, g.accepted, g.refused, append([]string(nil), g.bodies...)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

const (
	path  = "/cxone/webhook"
	limit = 8 << 10
)

type fixture struct {
	t        *testing.T
	gate     *gate
	budget   *gateway.Budget
	server   *httpd.Server
	registry *prometheus.Registry
	dial     func() net.Conn
	ran      chan error
	cancel   context.CancelFunc
	stopped  bool
}

// start runs a server on loopback; pipes makes it run on net.Pipe instead.
func start(t *testing.T, change func(*httpd.Options)) *fixture { return run(t, nil, change) }

func pipes(t *testing.T, change func(*httpd.Options)) *fixture {
	return run(t, &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}, change)
}

func run(t *testing.T, memory *pipeListener, change func(*httpd.Options)) *fixture {
	t.Helper()
	f := &fixture{
		t: t, gate: &gate{}, budget: gateway.NewBudget(1 << 20), registry: prometheus.NewPedanticRegistry(),
		ran: make(chan error, 1),
	}
	o := httpd.Options{
		Gateway:    f.gate,
		Bodies:     gateway.NewBodies(f.budget, true),
		BodyLimit:  limit,
		RetryAfter: func() int { return 3 },
		Log:        quiet(),
		Registerer: f.registry,
	}
	if memory != nil {
		o.Listener = memory
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		o.Listener = l
	}
	if change != nil {
		change(&o)
	}
	server, err := httpd.New(o)
	if err != nil {
		t.Fatal(err)
	}
	f.server = server
	f.dial = func() net.Conn {
		t.Helper()
		var c net.Conn
		var err error
		if memory != nil {
			c, err = memory.dial()
		} else {
			c, err = net.Dial("tcp", server.Addr().String())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go func() { f.ran <- server.Run(ctx) }()
	t.Cleanup(f.stop)
	return f
}

// stop ends the server and checks the books: every Begin has its one Accept
// or Refuse, and no body is held.
func (f *fixture) stop() {
	f.cancel()
	if f.stopped {
		return
	}
	f.stopped = true
	if err := <-f.ran; err != nil {
		f.t.Errorf("Run: %v", err)
	}
	begun, accepted, refused, _ := f.gate.snapshot()
	if begun != accepted+refused {
		f.t.Errorf("%d begun, but %d accepted and %d refused", begun, accepted, refused)
	}
	if used := f.budget.Used(); used != 0 {
		f.t.Errorf("%d bytes of bodies are still held", used)
	}
	if f.gate.sourceless+f.gate.withoutReadAt != 0 {
		f.t.Errorf("accepted: %d without source, %d without the time of the last byte", f.gate.sourceless, f.gate.withoutReadAt)
	}
}

// metric returns the value of a counter or gauge without labels.
func (f *fixture) metric(name string) float64 {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			m := family.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	f.t.Fatalf("no metric %s", name)
	return 0
}

// client is one connection of a sender, speaking raw bytes.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (f *fixture) client() *client {
	f.t.Helper()
	c := f.dial()
	return &client{Conn: c, t: f.t, r: bufio.NewReader(c)}
}

func (c *client) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// reply is one parsed answer.
type reply struct {
	code   int
	header http.Header
	text   string
	Type   string            `json:"type"`
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Reason string            `json:"reason"`
	Detail string            `json:"detail"`
	ID     string            `json:"eventId"`
	Errors []json.RawMessage `json:"errors"`
}

func (c *client) reply(method string) *reply {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read answer: %v", err)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("read answer: %v", err)
	}
	a := &reply{code: res.StatusCode, header: res.Header, text: string(text)}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && method != http.MethodHead {
		if err := json.Unmarshal(text, a); err != nil {
			c.t.Fatalf("answer %q: %v", text, err)
		}
		if res.ContentLength != int64(len(text)) {
			c.t.Fatalf("Content-Length %d, body of %d bytes", res.ContentLength, len(text))
		}
	}
	if res.Close {
		a.header.Set("Connection", "close") // ReadResponse takes it out
	}
	return a
}

// isClosed waits for the server to close the connection.
func (c *client) isClosed() {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second)) // fails only when it is closed
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the connection should be closed, but goes on: %q (%v)", rest, err)
	}
}

// isOpen proves that the connection goes on by sending one more event.
func (c *client) isOpen() {
	c.t.Helper()
	c.send(post("after"))
	if a := c.reply("POST"); a.code != http.StatusOK {
		c.t.Fatalf("one more event on the same connection: %d %s", a.code, a.text)
	}
}

func post(body string, headers ...string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n" +
		lines(headers) + "\r\n" + body
}

func chunked(chunks string, headers ...string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n" + lines(headers) + "\r\n" + chunks
}

func lines(headers []string) string {
	if len(headers) == 0 {
		return ""
	}
	return strings.Join(headers, "\r\n") + "\r\n"
}

// pipeListener is a listener in memory, for virtual time.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) dial() (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }
