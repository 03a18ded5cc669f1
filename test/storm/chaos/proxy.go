package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Weather is what a proxy does to the connections through it.
type Weather struct {
	Refuse   bool          // new connections are reset
	DropUp   bool          // what the client says goes nowhere, and nobody is told
	DropDown bool          // the same for what the server says
	Delay    time.Duration // of each piece, either way
	Rate     int           // bytes a second, each way of each connection; 0: no limit
}

// Proxy passes TCP connections on, as well as its weather lets it. Safe for
// concurrent use.
type Proxy struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	weather Weather
	changed chan struct{} // closed when the weather changes
	open    map[net.Conn]bool
	closed  bool
	under   sync.WaitGroup
}

// NewProxy listens on address and passes on to target until Close.
func NewProxy(address, target string) (*Proxy, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("proxy for %s: %w", target, err)
	}
	p := &Proxy{listener: l, target: target, changed: make(chan struct{}), open: map[net.Conn]bool{}}
	p.under.Go(p.serve)
	return p, nil
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set changes the weather, also for connections that are there.
func (p *Proxy) Set(w Weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather = w
	close(p.changed)
	p.changed = make(chan struct{})
}

// Cut ends every connection: with a reset, or in order.
func (p *Proxy) Cut(reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		end(c, reset)
	}
}

// Close ends everything.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close() // nothing waits for what it says
	p.Set(Weather{})
	p.Cut(false)
	p.under.Wait()
}

func end(c net.Conn, reset bool) {
	if tcp, ok := c.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // close sends a reset
	}
	_ = c.Close()
}

func (p *Proxy) now() (Weather, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.weather, p.changed
}

// keep remembers a connection, unless the proxy is closed.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return false
	}
	p.open[c] = true
	return true
}

func (p *Proxy) forget(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		if w, _ := p.now(); w.Refuse {
			end(client, true)
			continue
		}
		if p.keep(client) {
			p.under.Go(func() { p.pass(client) })
		}
	}
}

func (p *Proxy) pass(client net.Conn) {
	defer p.forget(client)
	server, err := (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", p.target)
	if err != nil {
		end(client, true) // as if the server itself had refused
		return
	}
	if !p.keep(server) {
		return
	}
	defer p.forget(server)
	var both sync.WaitGroup
	both.Go(func() { p.copy(server, client, func(w Weather) bool { return w.DropUp }) })
	p.copy(client, server, func(w Weather) bool { return w.DropDown })
	both.Wait()
}

// copy passes on what one side says, until it ends; then the other is ended, too.
func (p *Proxy) copy(to, from net.Conn, dropped func(Weather) bool) {
	defer to.Close()
	piece := make([]byte, 16<<10)
	hole := false // a stream with a hole in it is none: nothing comes after it
	for {
		n, err := from.Read(piece)
		if n > 0 {
			if hole = hole || dropped(p.pace(n)); !hole {
				if _, err := to.Write(piece[:n]); err != nil {
					return
				}
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				end(to, true)
			}
			return
		}
	}
}

// pace waits as long as n bytes take in this weather, but no longer than it lasts.
func (p *Proxy) pace(n int) Weather {
	w, changed := p.now()
	d := w.Delay
	if w.Rate > 0 {
		d += time.Duration(n) * time.Second / time.Duration(w.Rate)
	}
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-changed:
			w, _ = p.now()
		}
	}
	return w
}
