package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// signed makes a request of body that the built-in source accepts.
func (w *world) signed(body string) *http.Request {
	w.t.Helper()
	scheme, _ := signature.Preset("cxone")
	return w.signedAs(scheme, testSecret, body, time.Now())
}

func (w *world) signedAs(scheme signature.Scheme, secret, body string, at time.Time) *http.Request {
	w.t.Helper()
	fields, err := signature.Sign(scheme, signature.Secret{ID: "a", Value: []byte(secret)}, []byte(body), at, "msg-1")
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, webhookURL, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range fields {
		req.Header.Set(f.Name, f.Value)
	}
	return req
}

// dial opens a raw connection to the webhook listener.
func (w *world) dial() net.Conn {
	w.t.Helper()
	conn, err := w.client.Transport.(*http.Transport).DialContext(w.t.Context(), "tcp", "127.0.0.1:8080")
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

func TestTraceparentPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		for i, given := range []string{trace, "", "00-what-ever-01"} {
			req := w.signed(event("QUEUE_TRANSFER", "c2", i).body)
			if given != "" {
				req.Header.Set("Traceparent", given)
			}
			if a := w.do(req); a.status != 200 {
				t.Fatalf("%+v", a)
			}
		}
		records, err := w.kafka.ReadAll(t.Context(), topicByType["QUEUE_TRANSFER"])
		if err != nil || len(records) != 3 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		for i, want := range []string{trace, "", ""} {
			if got := header(records[i], "traceparent"); got != want {
				t.Errorf("record %d: traceparent %q, want %q", i, got, want)
			}
		}
	})
}

// TestMetricsOnTheWebhookPort: on as the seed has it, off as soon as there is
// a file that does not say so.
func TestMetricsOnTheWebhookPort(t *testing.T) {
	for file, want := range map[string]int{"": 200, "instance: a\n": 404, "listen: {metrics: true}\n": 200, "listen: {metrics: false}\n": 404} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, worldOptions{file: file})
			defer w.end()
			status, body := w.get("http://127.0.0.1:8080/metrics")
			if status != want || (want == 200) != strings.Contains(body, "\ncxone_kafka_producer_pending 0\n") {
				t.Errorf("file %q: %d %s", file, status, body)
			}
			if status, _ := w.get(adminURL + "/metrics"); status != 200 {
				t.Errorf("file %q: %d on the admin listener", file, status)
			}
		})
	}
}

// TestReadyBody: the answer says what is missing, and what is degraded.
func TestReadyBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{away: true, registry: answerStatus(500)})
		defer w.end()
		time.Sleep(5 * time.Second)
		check := func(status int, ready bool, missing ...string) {
			t.Helper()
			got, body := w.get(adminURL + "/-/ready")
			var r struct {
				Ready             bool
				Missing, Degraded []string
			}
			if err := json.Unmarshal([]byte(body), &r); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			if got != status || r.Ready != ready || len(r.Missing) != len(missing) {
				t.Fatalf("%d %s", got, body)
			}
			for i, want := range missing {
				if !strings.HasPrefix(r.Missing[i], want) {
					t.Errorf("missing %q, want %q", r.Missing[i], want)
				}
			}
			if v := w.scrape().series["cxrelay_ready"]; (v == 1) != ready {
				t.Errorf("cxrelay_ready %v", v)
			}
		}
		check(503, false, "kafka: no broker", "kafka: the broker refuses connections", "kafka: no metadata", "schema registry: no routed subject")
		w.registry.set(func(r *registry) { r.handle = nil })
		w.until("a schema", 10*time.Second, func() bool { return len(w.app.Readiness().Missing) == 3 })
		check(503, false, "kafka: no broker", "kafka: the broker refuses connections", "kafka: no metadata")
		w.kafka.Heal()
		w.until("ready", 15*time.Second, func() bool { return w.app.Readiness().Ready })
		check(200, true)
		if status, body := w.get(adminURL + "/-/healthy"); status != 200 {
			t.Errorf("healthy: %d %s", status, body)
		}
	})
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		reused := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			if i.Reused {
				reused++
			}
		}})
		for i := range 5 {
			if a := w.do(w.signed(event("QUEUE_TRANSFER", "c2", i).body).WithContext(ctx)); a.status != 200 {
				t.Fatalf("%+v", a)
			}
		}
		if reused != 4 {
			t.Errorf("%d of 5 requests came over a connection that was open already, want 4", reused)
		}
	})
}

// TestClientGone: who leaves after sending is counted, and the event is
// written once all the same.
func TestClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		w.hangAll()
		s := event("QUEUE_TRANSFER", "c2", 0)
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			resp, err := w.client.Do(w.signed(s.body).WithContext(ctx))
			if err == nil {
				resp.Body.Close()
			}
			done <- err
		}()
		w.until("produced", time.Second, func() bool { return w.app.Books().Produced == 1 })
		leave()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		w.kafka.Heal()
		w.until("answered", 2*time.Second, func() bool { return w.app.Books().InFlight == 0 })
		synctest.Wait()
		books, after := w.app.Books(), w.scrape()
		if after.series["cxrelay_clients_gone_total"] != 1 || after.series[`cxrelay_events_total{reason="accepted",source="cxone"}`] != 1 {
			t.Errorf("clients gone %v, books %+v", after.series["cxrelay_clients_gone_total"], books)
		}
		records, err := w.kafka.ReadAll(t.Context(), seedTopics...)
		if err != nil || len(records) != 1 || string(records[0].Value) != s.body {
			t.Errorf("%d records, %v", len(records), err)
		}
	})
}

// hangAll makes every broker take requests and answer none, until Heal.
func (w *world) hangAll() {
	for node := range int32(len(w.kafka.Brokers)) {
		w.kafka.Hang(node)
	}
}

// TestThousandLateAcks: the producer reads a body long after its request was
// answered, while buffers come and go. Those given back are overwritten in
// tests, so a body that was given back too early would show.
func TestThousandLateAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		defer w.end()
		w.untilReady()
		w.kafka.Cut()
		bodies := map[string]string{}
		var wg sync.WaitGroup
		for i := range 1000 {
			s := event("QUEUE_TRANSFER", fmt.Sprintf("late%d", i), i)
			s.body = strings.TrimSuffix(s.body, "}") + fmt.Sprintf(",\"pad\":%q}", strings.Repeat("p", i))
			bodies[s.id] = s.body
			wg.Go(func() {
				if why := w.send(s); why != "delivery_timeout" {
					t.Errorf("%s: %s", s.id, why)
				}
			})
		}
		wg.Wait()
		for i := range 200 { // take from the pool and give back
			req := w.signed(strings.Repeat("x", 5*i))
			req.Header.Set("X-Cxone-Signature", strings.Repeat("0", 64))
			if a := w.do(req); a.status != 401 {
				t.Fatalf("%+v", a)
			}
		}
		if s := w.app.Books(); s.Pending != 1000 || s.LateAcks != 0 {
			t.Fatalf("before: %+v", s)
		}
		w.kafka.Heal()
		w.until("nothing pending", 30*time.Second, func() bool { return w.app.Books().Pending == 0 })
		if s := w.app.Books(); s.LateAcks != 1000 || s.Acked != 1000 || s.Failed != 0 {
			t.Errorf("after: %+v", s)
		}
		records, err := w.kafka.ReadAll(t.Context(), seedTopics...)
		if err != nil || len(records) != 1000 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		for _, r := range records {
			id := header(r, "cxrelay-event-id")
			if string(r.Value) != bodies[id] {
				t.Errorf("%s: %q, sent %q", id, r.Value, bodies[id])
			}
			delete(bodies, id)
		}
		if len(bodies) > 0 {
			t.Errorf("%d events are in no record", len(bodies))
		}
	})
}

// raw writes one request as it stands and reads the answer.
func (w *world) raw(conn net.Conn, text string) answer {
	w.t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.read(resp)
}
