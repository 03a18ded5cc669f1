package httpd_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/httpd"
	"github.com/cxrelay/cxrelay/internal/reason"
)

// TestSlowBody measures, in virtual time, when a body that does not come is
// given up: grace 5 s, prolonged at 1 KiB/s, 10 s in all.
func TestSlowBody(t *testing.T) {
	declared := "POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 8000\r\n\r\n"
	for _, row := range []struct {
		name  string
		first string
		each  int           // bytes that follow every
		pause time.Duration // and so on
		want  time.Duration
	}{
		{"nothing comes", declared, 0, 0, 10 * time.Second}, // header time-out and grace
		{"stalls after 2 KiB", declared + strings.Repeat("x", 2048), 0, 0, 7 * time.Second},
		{"stalls early", declared + "x", 0, 0, 5*time.Second + time.Second/1024},
		{"trickles a byte a second", declared + "x", 1, time.Second, 5*time.Second + 6*time.Second/1024},
		{"just fast enough to reach the limit", declared + "x", 700, time.Second, 10 * time.Second},
		{"chunked and stalled", chunked("3\r\nabc\r\n"), 0, 0, 5*time.Second + 3*time.Second/1024},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pipes(t, nil)
				begin := time.Now()
				c := f.client()
				c.send(row.first)
				stop := make(chan struct{})
				if row.each > 0 {
					go trickle(c, strings.Repeat("x", row.each), row.pause, stop)
				}
				a := c.reply("POST")
				close(stop)
				if took := time.Since(begin).Round(time.Millisecond); took != row.want.Round(time.Millisecond) {
					t.Errorf("given up after %v, want %v", took, row.want)
				}
				if a.Reason != "body_incomplete" || a.header.Get("Connection") != "close" {
					t.Errorf("%d %s, Connection %q", a.code, a.text, a.header.Get("Connection"))
				}
				c.isClosed()
				if gone := f.metric("cxrelay_clients_gone_total"); gone != 0 {
					t.Errorf("%v clients gone, but it is there", gone)
				}
				f.stop()
			})
		})
	}
}

func trickle(w io.Writer, part string, pause time.Duration, stop <-chan struct{}) {
	for {
		select {
		case <-time.After(pause):
			if _, err := io.WriteString(w, part); err != nil {
				return
			}
		case <-stop:
			return
		}
	}
}

// TestLinger: after a refusal the rest of the body may come for one second,
// then the connection ends, even if it never comes.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pipes(t, nil)
		c := f.client()
		c.send("POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 100\r\nContent-Encoding: gzip\r\n\r\n")
		begin := time.Now()
		if a := c.reply("POST"); a.code != 415 || time.Since(begin) != 0 {
			t.Errorf("%d after %v", a.code, time.Since(begin))
		}
		c.isClosed()
		if took := time.Since(begin); took != time.Second {
			t.Errorf("closed after %v", took)
		}
		f.stop()
	})
}

// TestSlowButSteady: a body slower than the grace arrives, as long as the rate holds.
func TestSlowButSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pipes(t, nil)
		c := f.client()
		body := strings.Repeat("x", 8000)
		c.send("POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 8000\r\n\r\n")
		go func() {
			for i := range 8 {
				if i > 0 {
					<-time.After(time.Second)
				}
				if _, err := io.WriteString(c, body[i*1000:(i+1)*1000]); err != nil {
					return
				}
			}
		}()
		if a := c.reply("POST"); a.code != 200 {
			t.Errorf("%d %s", a.code, a.text)
		}
		c.isOpen()
		f.stop()
	})
}

// TestSilence: connections on which no request gets together are closed, and
// are no events.
func TestSilence(t *testing.T) {
	for _, row := range []struct {
		name, first string
		want        time.Duration
	}{
		{"says nothing", "", 5 * time.Second},
		{"half a header", "POST /cx", 5 * time.Second},
		{"idle after an event", post("{}"), 120 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := pipes(t, nil)
				begin := time.Now()
				c := f.client()
				c.send(row.first)
				events := 0
				if strings.HasSuffix(row.first, "{}") {
					c.reply("POST")
					events++
				}
				// On a pipe net/http does not know a time-out when it sees one, and says 400.
				if rest, err := io.ReadAll(c.r); err != nil || strings.Contains(string(rest), "reason") {
					t.Errorf("%q, %v", rest, err)
				}
				if took := time.Since(begin); took != row.want {
					t.Errorf("closed after %v, want %v", took, row.want)
				}
				if begun, _, _, _ := f.gate.snapshot(); begun != events {
					t.Errorf("%d events", begun)
				}
				f.stop()
			})
		})
	}
}

// TestClientGone: who leaves before the answer is counted, whether that shows
// while the gateway decides or only when the answer is written.
func TestClientGone(t *testing.T) {
	t.Run("while the gateway decides", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := pipes(t, nil)
			f.gate.accept = func(*gateway.Delivery) *gateway.Verdict {
				<-time.After(time.Second)
				return &gateway.Verdict{Reason: reason.Accepted}
			}
			c := f.client()
			c.send(post("{}"))
			synctest.Wait()
			c.Close()
			<-time.After(2 * time.Second)
			if gone := f.metric("cxrelay_clients_gone_total"); gone != 1 {
				t.Errorf("%v clients gone", gone)
			}
			if _, accepted, _, _ := f.gate.snapshot(); accepted != 1 {
				t.Errorf("%d accepted: the event must not depend on its sender staying", accepted)
			}
			f.stop()
		})
	})
	t.Run("and does not read the answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := pipes(t, nil)
			c := f.client()
			c.send(post("{}")) // a pipe holds nothing: the write waits for a reader
			<-time.After(10*time.Second - time.Millisecond)
			if gone := f.metric("cxrelay_clients_gone_total"); gone != 0 {
				t.Errorf("%v clients gone before the write time-out", gone)
			}
			<-time.After(2 * time.Millisecond)
			if gone := f.metric("cxrelay_clients_gone_total"); gone != 1 {
				t.Errorf("%v clients gone", gone)
			}
			f.stop()
		})
	})
	t.Run("in the middle of the body", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := pipes(t, nil)
			c := f.client()
			c.send("POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 100\r\n\r\n{")
			c.Close()
			synctest.Wait()
			if gone := f.metric("cxrelay_clients_gone_total"); gone != 1 {
				t.Errorf("%v clients gone", gone)
			}
			if _, accepted, refused, _ := f.gate.snapshot(); accepted != 0 || refused != 1 {
				t.Errorf("%d accepted, %d refused", accepted, refused)
			}
			f.stop()
		})
	})
}

// TestSlowDecision: neither the time-out of bodies nor that of answers cuts
// off a gateway that takes its time.
func TestSlowDecision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := pipes(t, nil)
		f.gate.accept = func(*gateway.Delivery) *gateway.Verdict {
			<-time.After(time.Minute)
			return &gateway.Verdict{Reason: reason.Accepted, Verified: true, Event: event.Event{ID: "slow"}}
		}
		c := f.client()
		c.send(post("{}"))
		if a := c.reply("POST"); a.code != 200 || a.ID != "slow" {
			t.Errorf("%d %s", a.code, a.text)
		}
		f.stop()
	})
}

// TestShutdownInTime looks at the edges of Shutdown in virtual time.
func TestShutdownInTime(t *testing.T) {
	t.Run("a request under way is answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := pipes(t, nil)
			f.gate.accept = func(*gateway.Delivery) *gateway.Verdict {
				<-time.After(2 * time.Second)
				return &gateway.Verdict{Reason: reason.Accepted}
			}
			idle, busy := f.client(), f.client()
			busy.send(post("{}"))
			synctest.Wait()
			begin := time.Now()
			ended := make(chan error, 1)
			go func() { ended <- f.server.Shutdown(t.Context()) }()
			if a := busy.reply("POST"); a.code != 200 || a.header.Get("Connection") != "close" {
				t.Errorf("%d %s; Connection %q, so that the sender may send the next event into a connection that is closed", a.code, a.text, a.header.Get("Connection"))
			}
			busy.isClosed()
			idle.isClosed()
			if err := <-ended; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			if took := time.Since(begin); took > 3100*time.Millisecond {
				t.Errorf("Shutdown took %v", took)
			}
			f.stop()
		})
	})
	t.Run("but not longer than asked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := pipes(t, func(o *httpd.Options) { o.BodyGrace, o.BodyTimeout = time.Hour, time.Hour })
			c := f.client()
			c.send("POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 100\r\n\r\n{")
			synctest.Wait()
			ctx, cancel := contextWithTimeout(t, 3*time.Second)
			defer cancel()
			begin := time.Now()
			err := f.server.Shutdown(ctx)
			if err == nil || !strings.Contains(err.Error(), "1 requests under way") {
				t.Errorf("Shutdown: %v", err)
			}
			if took := time.Since(begin); took != 3*time.Second {
				t.Errorf("Shutdown took %v", took)
			}
			f.stop()
		})
	})
}

// TestBudget: half of the budget is for bodies not verified yet, and counts
// their buffers.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := gateway.NewBudget(2000)
		f := pipes(t, func(o *httpd.Options) { o.Bodies = gateway.NewBodies(budget, true) })
		defer f.stop()
		half, whole := f.client(), post(strings.Repeat("x", 600))
		half.send(whole[:len(whole)-1])
		synctest.Wait()
		if budget.Used() != 1024 {
			t.Fatalf("%d bytes held, want the buffer of 1024", budget.Used())
		}
		c := f.client()
		c.send(post("x"))
		a := c.reply("POST")
		if a.code != 503 || a.Reason != "overloaded" || a.header.Get("Retry-After") != "3" {
			t.Errorf("%d %s, Retry-After %q", a.code, a.text, a.header.Get("Retry-After"))
		}
		c.isClosed()
		half.send("x")
		if a := half.reply("POST"); a.code != 200 {
			t.Errorf("the one that was there first: %d %s", a.code, a.text)
		}
		f.client().isOpen()
	})
}
