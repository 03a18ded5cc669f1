package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// peer is a broker on pipes. It answers requests as the test says, and counts
// its connections.
type peer struct {
	mu     sync.Mutex
	sign   time.Duration // how long it takes to answer ApiVersions; less than 0: for ever
	answer time.Duration // the same for everything else
	refuse error         // of new connections
	dials  int
	asked  int // signs of life
}

const forever = time.Duration(-1)

func (p *peer) set(change func(*peer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// counted returns connections and signs of life that were asked for.
func (p *peer) counted() (dials, asked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials, p.asked
}

func (p *peer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	p.mu.Lock()
	p.dials++
	refuse := p.refuse
	p.mu.Unlock()
	if refuse != nil {
		if errors.Is(refuse, os.ErrDeadlineExceeded) {
			<-time.After(time.Second)
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: refuse}
	}
	client, broker := net.Pipe()
	go p.serve(broker)
	return client, ctx.Err()
}

func (p *peer) serve(c net.Conn) {
	defer c.Close()
	gone := make(chan struct{})
	requests := make(chan []byte, 100)
	go func() {
		defer close(gone)
		for {
			var size [4]byte
			if _, err := io.ReadFull(c, size[:]); err != nil {
				return
			}
			r := make([]byte, binary.BigEndian.Uint32(size[:]))
			if _, err := io.ReadFull(c, r); err != nil {
				return
			}
			requests <- r
		}
	}()
	for {
		var r []byte
		select {
		case r = <-requests:
		case <-gone:
			return
		}
		p.mu.Lock()
		wait := &p.answer
		if binary.BigEndian.Uint16(r) == 18 {
			p.asked++
			wait = &p.sign
		}
		p.mu.Unlock()
		for began := time.Now(); ; {
			p.mu.Lock()
			d := *wait
			p.mu.Unlock()
			if d >= 0 && time.Since(began) >= d {
				break
			}
			select {
			case <-gone:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
		if _, err := c.Write(append([]byte{0, 0, 0, 4}, r[4:8]...)); err != nil {
			return
		}
	}
}

const host = "broker:9092"

var request = []byte{0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 0, 7} // Metadata, correlation id 7

// ask writes a request and waits for the answer as kgo does.
func ask(c net.Conn, limit time.Duration) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	defer c.SetReadDeadline(time.Time{}) //nolint:errcheck // as kgo does
	var head [8]byte
	_, err := io.ReadFull(c, head[:])
	return err
}

// watch starts a vigil over a peer, in virtual time.
func watch(t *testing.T, p *peer, test func(t *testing.T, v *vigil, connect func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := newVigil(p.dial, "client")
		defer v.stop()
		test(t, v, func() net.Conn {
			c, err := v.connect(t.Context(), "tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return c
		})
	})
}

// TestSlowBrokerIsWaitedFor: as long as it shows signs of life, only the
// client's own time-out ends a wait.
func TestSlowBrokerIsWaitedFor(t *testing.T) {
	p := &peer{sign: 900 * time.Millisecond, answer: 4 * time.Second}
	watch(t, p, func(t *testing.T, v *vigil, connect func() net.Conn) {
		c := connect()
		began := time.Now()
		if err := ask(c, 5*time.Second); err != nil || time.Since(began).Round(100*time.Millisecond) != 4*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if _, asked := p.counted(); asked < 1 || asked > 3 {
			t.Errorf("asked %d times in 4 s", asked)
		}
		began = time.Now()
		if err := ask(c, 3500*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 4*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if v.hangs(host) {
			t.Error("taken for hung")
		}
	})
}

// TestQuickBrokerIsNotAsked: nor is one that nobody waits for.
func TestQuickBrokerIsNotAsked(t *testing.T) {
	p := &peer{sign: forever, answer: 900 * time.Millisecond}
	watch(t, p, func(t *testing.T, _ *vigil, connect func() net.Conn) {
		c := connect()
		for range 3 {
			if err := ask(c, 5*time.Second); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
		var idle sync.WaitGroup
		idle.Go(func() {
			if _, err := c.Read(make([]byte, 1)); errors.Is(err, errHangs) {
				t.Error(err)
			}
		})
		time.Sleep(time.Hour)
		_ = c.Close()
		idle.Wait()
		if dials, asked := p.counted(); asked != 0 || dials != 1 {
			t.Errorf("asked %d times, %d connections", asked, dials)
		}
	})
}

// TestHungBrokerIsLetGo: everything that waits ends, at once what comes
// later, and it is taken back when it answers. kgo goes by the errors.
func TestHungBrokerIsLetGo(t *testing.T) {
	p := &peer{}
	watch(t, p, func(t *testing.T, v *vigil, connect func() net.Conn) {
		waiting, second, idle := connect(), connect(), connect()
		p.set(func(p *peer) { p.sign, p.answer = forever, forever })
		began := time.Now()
		var all sync.WaitGroup
		for _, c := range []net.Conn{waiting, second} {
			all.Go(func() {
				if err := ask(c, 5*time.Second); !errors.Is(err, errHangs) || !errors.Is(err, net.ErrClosed) {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took != silence+signTime {
			t.Errorf("after %s", took)
		}
		synctest.Wait()
		if _, asked := p.counted(); asked != 2 { // the second is asked with more patience, of one that hangs
			t.Errorf("asked %d times for two connections", asked)
		}
		began = time.Now()
		if n, err := idle.Write(request); n != 0 || !errors.Is(err, errHangs) {
			t.Errorf("write: %d, %v", n, err)
		}
		_, err := v.connect(t.Context(), "tcp", host)
		var dialing *net.OpError
		if !errors.Is(err, errHangs) || !errors.As(err, &dialing) || dialing.Op != "dial" || dialing.Timeout() {
			t.Errorf("connect: %v", err)
		}
		if time.Since(began) != 0 {
			t.Errorf("refused after %s", time.Since(began))
		}
		if c, err := v.connect(t.Context(), "tcp", "other:9092"); err != nil {
			t.Error(err)
		} else {
			_ = c.Close()
		}
		time.Sleep(20 * time.Second)
		if !v.hangs(host) {
			t.Error("taken back although it hangs")
		}
		if dials, _ := p.counted(); dials > 15 {
			t.Errorf("%d connections in 20 s", dials)
		}
		p.set(func(p *peer) { p.sign, p.answer = 0, 0 })
		time.Sleep(breath + 20*time.Millisecond)
		if err := ask(connect(), time.Second); err != nil {
			t.Errorf("it goes on, but: %v", err)
		}
	})
}

// TestVerySlowSign: a broker that takes too long for the first question is
// given more time by the next.
func TestVerySlowSign(t *testing.T) {
	watch(t, &peer{sign: 2500 * time.Millisecond, answer: forever}, func(t *testing.T, v *vigil, connect func() net.Conn) {
		if err := ask(connect(), 5*time.Second); !errors.Is(err, errHangs) {
			t.Error(err)
		}
		time.Sleep(2600 * time.Millisecond)
		if v.hangs(host) {
			t.Error("still refused")
		}
	})
}

// TestNoSignButARefusal: what fails in another way than by silence is left to
// those who see it.
func TestNoSignButARefusal(t *testing.T) {
	p := &peer{answer: 3 * time.Second}
	watch(t, p, func(t *testing.T, v *vigil, connect func() net.Conn) {
		c := connect()
		p.set(func(p *peer) { p.refuse = syscall.ECONNREFUSED })
		if err := ask(c, 5*time.Second); err != nil {
			t.Error(err)
		}
		if _, err := v.connect(t.Context(), "tcp", host); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v", err)
		}
	})
}

// TestDialTimesOut: nobody takes the connection. To kgo it is not a time-out:
// after one it would only try again.
func TestDialTimesOut(t *testing.T) {
	p := &peer{refuse: os.ErrDeadlineExceeded}
	watch(t, p, func(t *testing.T, v *vigil, _ func() net.Conn) {
		_, err := v.connect(t.Context(), "tcp", host)
		if !errors.Is(err, errHangs) || isTimeout(err) || !v.hangs(host) {
			t.Errorf("%v, hangs %t", err, v.hangs(host))
		}
		p.set(func(p *peer) { p.refuse = nil })
		time.Sleep(2 * time.Second)
		if v.hangs(host) {
			t.Error("still refused")
		}
	})
}

// TestStopEndsQuestions: nobody waits for a broker at the end.
// TestGoneForGood: a broker that hangs is asked on as long as somebody wants to
// connect; a host that left the cluster is let be, and leaves nothing behind.
func TestGoneForGood(t *testing.T) {
	p := &peer{refuse: os.ErrDeadlineExceeded}
	watch(t, p, func(t *testing.T, v *vigil, _ func() net.Conn) {
		dial := func() error {
			_, err := v.connect(t.Context(), "tcp", host)
			return err
		}
		if err := dial(); !errors.Is(err, errHangs) {
			t.Fatal(err)
		}
		for range 30 { // wanted now and then for half an hour
			time.Sleep(time.Minute)
			if err := dial(); !errors.Is(err, errHangs) || isTimeout(err) {
				t.Fatal(err)
			}
		}
		before, _ := p.counted()
		time.Sleep(unwanted - time.Minute)
		if now, _ := p.counted(); now < before+100 {
			t.Errorf("%d questions in nine minutes", now-before)
		}
		time.Sleep(2 * time.Minute)
		before, _ = p.counted()
		time.Sleep(time.Hour)
		v.mu.Lock()
		kept := len(v.hung)
		v.mu.Unlock()
		if now, _ := p.counted(); now != before || kept != 0 {
			t.Errorf("%d questions to a host that nobody wants, %d kept in mind", now-before, kept)
		}
		if err := dial(); !errors.Is(err, errHangs) {
			t.Errorf("wanted again: %v", err)
		}
	})
}

func TestStopEndsQuestions(t *testing.T) {
	p := &peer{sign: forever, answer: forever}
	watch(t, p, func(t *testing.T, v *vigil, connect func() net.Conn) {
		c := connect()
		done := make(chan error)
		go func() { done <- ask(c, 5*time.Second) }()
		time.Sleep(silence + signTime/2)
		began := time.Now()
		v.stop()
		_ = c.SetDeadline(time.Now())
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		v.condemn(host)
		if v.hangs(host) {
			t.Error("condemned after the end")
		}
	})
}
