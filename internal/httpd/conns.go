package httpd

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// overflow is the number of connections above the limit on which one request
// is still answered overloaded, so that senders learn why. Those beyond are
// closed at once.
const overflow = 64

// cappedListener closes connections beyond the reserve as they come. It hands
// the others on unwrapped, so that net/http sees the connection's own type.
type cappedListener struct {
	net.Listener
	open   *counter
	most   func() int // limit and reserve, as of now
	closed prometheus.Counter
}

// Accept implements net.Listener. The count moves in connContext, which
// net/http calls in the same goroutine before the next Accept.
func (l *cappedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || l.open.value() < l.most() {
			return conn, err
		}
		l.closed.Inc()
		_ = conn.Close() // given up
	}
}

// overCap is the context key of connections above the limit.
type overCap struct{}

func (s *Server) connContext(ctx context.Context, _ net.Conn) context.Context {
	if s.opts.TLS != nil {
		ctx = context.WithValue(ctx, proof{}, new(proven))
	}
	if s.conns.add() > s.limits.Load().connections {
		return context.WithValue(ctx, overCap{}, true)
	}
	return ctx
}

func (s *Server) connState(_ net.Conn, state http.ConnState) {
	if state == http.StateClosed { // once per connection, after its last handler
		s.conns.done()
	}
}

// counter counts what is under way and tells when nothing is. The zero value
// is ready. Safe for concurrent use.
type counter struct {
	mu   sync.Mutex
	n    int
	wait chan struct{} // closed at the next zero; nil: nobody waits
}

// add counts one more and returns the sum.
func (c *counter) add() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

// done counts one less.
func (c *counter) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	if c.n == 0 && c.wait != nil {
		close(c.wait)
		c.wait = nil
	}
}

func (c *counter) value() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// zero returns a channel that is closed when the count is zero, now or at any
// moment after the call.
func (c *counter) zero() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wait == nil {
		c.wait = make(chan struct{})
	}
	wait := c.wait
	if c.n == 0 {
		close(wait)
		c.wait = nil
	}
	return wait
}
