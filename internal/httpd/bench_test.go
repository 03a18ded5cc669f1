package httpd_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/httpd"
	"github.com/cxrelay/cxrelay/internal/reason"
)

// instant accepts at no cost.
type instant struct {
	source  gateway.Source
	verdict gateway.Verdict
}

func (i *instant) Begin(d *gateway.Delivery) { d.Source = &i.source }

func (i *instant) Accept(d *gateway.Delivery) *gateway.Verdict {
	d.Body.Release()
	return &i.verdict
}

func (i *instant) Refuse(*gateway.Delivery, error) *gateway.Verdict { panic("not reached") }

// BenchmarkRequest is the listener's whole share of one event of 554 bytes on
// a kept-alive connection, the sender's side included. BenchmarkFloor beside it
// is net/http alone: read the body, say 200. In memory, the deadlines of
// net.Pipe allocate; those of TCP do not.
func BenchmarkRequest(b *testing.B) {
	overEach(b, func(b *testing.B, l net.Listener) {
		server, err := httpd.New(httpd.Options{
			Gateway:  &instant{verdict: gateway.Verdict{Reason: reason.Accepted, Verified: true, Event: event.Event{ID: "3f1c0c52-8d4e-4a57-9d0a-6f3ad1a0c1b2"}}},
			Bodies:   gateway.NewBodies(gateway.NewBudget(1<<20), false),
			Listener: l, BodyLimit: limit, Log: quiet(), Registerer: prometheus.NewRegistry(),
		})
		if err != nil {
			b.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- server.Run(b.Context()) }()
		exchange(b, l)
		if err := server.Shutdown(b.Context()); err != nil {
			b.Error(err)
		}
		if err := <-ran; err != nil {
			b.Error(err)
		}
	})
}

func BenchmarkFloor(b *testing.B) {
	overEach(b, func(b *testing.B, l net.Listener) {
		buf := make([]byte, 554) // one connection, one request at a time
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadFull(r.Body, buf); err != nil {
				b.Error(err)
			}
			w.WriteHeader(http.StatusOK)
		})}
		go func() { _ = server.Serve(l) }()
		exchange(b, l)
		if err := server.Shutdown(b.Context()); err != nil {
			b.Error(err)
		}
	})
}

func overEach(b *testing.B, run func(*testing.B, net.Listener)) {
	b.Run("memory", func(b *testing.B) {
		run(b, &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})})
	})
	b.Run("tcp", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		run(b, l)
	})
}

func dial(l net.Listener) (net.Conn, error) {
	if memory, ok := l.(*pipeListener); ok {
		return memory.dial()
	}
	return net.Dial("tcp", l.Addr().String())
}

// exchange sends requests and reads the answers with as little as possible.
func exchange(b *testing.B, l net.Listener) {
	conn, err := dial(l)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := []byte(post(strings.Repeat("x", 554), "Content-Type: application/json",
		"X-Cxone-Signature: "+strings.Repeat("ab", 32), "User-Agent: bench"))
	in := bufio.NewReader(conn)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if err := skim(in); err != nil {
			b.Fatal(err)
		}
	}
}

// skim reads one answer without keeping it.
func skim(in *bufio.Reader) error {
	const name = "Content-Length: "
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			_, err = in.Discard(length)
			return err
		}
		if len(line) > len(name) && string(line[:len(name)]) == name {
			if length, err = strconv.Atoi(string(line[len(name) : len(line)-2])); err != nil {
				return err
			}
		}
	}
}
