package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Pace of the vigil. What it costs is one connection and one request, to a
// broker that owes an answer for a second; what it saves is in DESIGN.md.
const (
	silence  = time.Second            // what a reader waits before the broker is asked whether it lives
	signTime = time.Second            // what a sign of life may take, from the dial to the answer
	longSign = 3 * time.Second        // the same for a broker that is known to hang
	breath   = 100 * time.Millisecond // between two such questions
	unwanted = 10 * time.Minute       // without an attempt to connect: the broker is not asked on, it may be gone for good
)

// errHangs is the fault of a broker that answers nothing while its host, or
// nobody, takes the connection: stopped, swapping, cut off.
var errHangs = errors.New("the broker answers nothing")

// vigil tells brokers that are slow from those that hang. A client waits for
// the first with all patience: a record may wait for a replica that lags. It
// lets go of the second, since Kafka gives the partitions to others: every
// connection to it ends with the next read or write, and new ones are refused
// until it shows a sign of life. Which of the two it is does not show in the
// silence of a connection, so the broker is asked something else on a new one.
//
// Safe for concurrent use; stop ends its goroutines.
type vigil struct {
	dial DialFunc
	ask  []byte // a request that every broker answers to anybody

	ctx    context.Context // ends with stop
	cancel context.CancelFunc
	waits  sync.WaitGroup // one for each broker that hangs

	mu    sync.Mutex
	hung  map[string]time.Time // by host:port: when somebody last wanted to connect
	asked map[string]*sign     // under way
	lived map[string]time.Time // last sign of life
}

// sign is a question whose answer several connections wait for.
type sign struct {
	came chan struct{} // closed with the answer
	hung bool
}

func newVigil(dial DialFunc, clientID string) *vigil {
	v := &vigil{dial: dial, hung: map[string]time.Time{}, asked: map[string]*sign{}, lived: map[string]time.Time{}}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	// Version 0 of ApiVersions is known to every broker, and answered before
	// authentication (KIP-35, KIP-152).
	ask := kmsg.NewPtrApiVersionsRequest()
	v.ask = kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).AppendRequest(nil, ask, correlation)
	return v
}

const correlation = 1 // of the only request on its connection

// stop ends the vigil. Connections go on unwatched.
func (v *vigil) stop() {
	v.mu.Lock()
	v.cancel()
	v.mu.Unlock()
	v.waits.Wait()
}

// connect dials as the vigil's dial does. A broker that hangs is refused at
// once, by an error of dialing that is no time-out: kgo then looks for the
// partitions' new leaders, where it would try a time-out again.
func (v *vigil) connect(ctx context.Context, network, host string) (net.Conn, error) {
	if v.hangs(host) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errHangs}
	}
	conn, err := v.dial(ctx, network, host)
	switch {
	case err == nil:
		return &watched{Conn: conn, vigil: v, host: host}, nil
	case ctx.Err() == nil && isTimeout(err):
		v.condemn(host)
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%w: %v", errHangs, err)} //nolint:errorlint // kgo must not see a time-out
	default:
		return nil, err
	}
}

// hangs tells a connection, or who wants one, whether the broker hangs.
func (v *vigil) hangs(host string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, hung := v.hung[host]
	if hung {
		v.hung[host] = time.Now()
	}
	return hung
}

// givenUp tells whether nobody has wanted a broker that hangs for so long that
// it need not be asked on: its host is most likely not one of the cluster's any
// more. Should it be wanted again, the next dial tells what it is.
func (v *vigil) givenUp(host string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Since(v.hung[host]) > unwanted
}

// silent is called for a connection that waits in vain. It returns whether the
// broker hangs, which takes at most signTime.
func (v *vigil) silent(host string) bool {
	v.mu.Lock()
	_, hung := v.hung[host]
	switch {
	case hung:
		v.mu.Unlock()
		return true
	case time.Since(v.lived[host]) < silence:
		v.mu.Unlock()
		return false
	}
	if s := v.asked[host]; s != nil {
		v.mu.Unlock()
		<-s.came
		return s.hung
	}
	s := &sign{came: make(chan struct{})}
	v.asked[host] = s
	v.mu.Unlock()

	s.hung = isTimeout(v.signOfLife(host, signTime))
	if s.hung {
		v.condemn(host)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.asked, host)
	if !s.hung {
		now := time.Now()
		maps.DeleteFunc(v.lived, func(_ string, at time.Time) bool { return now.Sub(at) >= silence })
		v.lived[host] = now
	}
	close(s.came)
	return s.hung
}

// condemn refuses a broker until it shows a sign of life, or fails in another
// way than by silence (that shows on connections by itself), or nobody wants it
// any more.
func (v *vigil) condemn(host string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, hung := v.hung[host]; hung || v.ctx.Err() != nil {
		return
	}
	v.hung[host] = time.Now()
	v.waits.Go(func() {
		for isTimeout(v.signOfLife(host, longSign)) && !v.givenUp(host) && v.ctx.Err() == nil {
			select {
			case <-time.After(breath):
			case <-v.ctx.Done():
			}
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.hung, host)
	})
}

// signOfLife asks a broker on a connection of its own and returns nil for an
// answer. The answer itself does not matter.
func (v *vigil) signOfLife(host string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(v.ctx, limit)
	defer cancel()
	conn, err := v.dial(ctx, "tcp", host)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(v.ask); err != nil {
		return v.unless(err)
	}
	var head [8]byte // size and correlation id
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return v.unless(err)
	}
	if id := binary.BigEndian.Uint32(head[4:]); id != correlation {
		return fmt.Errorf("an answer to request %d, which nobody asked", id)
	}
	return nil
}

// unless returns err, unless the vigil is over: then that is why.
func (v *vigil) unless(err error) error {
	if v.ctx.Err() != nil {
		return v.ctx.Err()
	}
	return err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// watched is a connection that does not wait for a broker that hangs.
//
// kgo sets a read deadline when it begins to wait for an answer and takes it
// back with the answer, so that this tells when one is owed.
type watched struct {
	net.Conn
	vigil *vigil
	host  string

	mu       sync.Mutex
	deadline time.Time // for reading, as it was set; zero: none
}

// SetDeadline implements net.Conn.
func (c *watched) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *watched) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.arm()
}

// arm makes a read look up after a while, if an answer is owed. The caller
// holds the lock.
func (c *watched) arm() error {
	t := c.deadline
	if soon := time.Now().Add(silence); !t.IsZero() && soon.Before(t) {
		t = soon
	}
	return c.Conn.SetReadDeadline(t)
}

// Read implements net.Conn.
func (c *watched) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || c.overdue() {
			return n, err
		}
		if c.vigil.silent(c.host) {
			return 0, c.letGo("read")
		}
		c.mu.Lock()
		err = c.arm()
		c.mu.Unlock()
		if err != nil {
			return 0, err
		}
	}
}

func (c *watched) overdue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.deadline.IsZero() && !time.Now().Before(c.deadline)
}

// Write implements net.Conn.
func (c *watched) Write(b []byte) (int, error) {
	if c.vigil.hangs(c.host) {
		return 0, c.letGo("write")
	}
	return c.Conn.Write(b)
}

// letGo closes the connection. Its error is one after which kgo tries again.
func (c *watched) letGo(op string) error {
	_ = c.Close() // it is given up
	return &net.OpError{Op: op, Net: "tcp", Err: fmt.Errorf("%w: %w", errHangs, net.ErrClosed)}
}
