package httpd_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/devkit/pki"
	"github.com/cxrelay/cxrelay/internal/httpd"
)

func authority(t *testing.T, name string) *pki.Authority {
	t.Helper()
	a, err := pki.New(name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *pki.Authority, host string) tls.Certificate {
	t.Helper()
	pair, err := a.Issue(host, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func pool(authorities ...*pki.Authority) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range authorities {
		p.AppendCertsFromPEM(a.PEM)
	}
	return p
}

// secure puts TLS over a connection of the fixture.
func (f *fixture) secure(c *tls.Config) (*client, error) {
	f.t.Helper()
	conn := tls.Client(f.dial(), c)
	if err := conn.HandshakeContext(f.t.Context()); err != nil {
		return nil, err
	}
	return &client{Conn: conn, t: f.t, r: bufio.NewReader(conn)}, nil
}

// TestCertificateRotates: new handshakes get the new certificate, while a
// connection that is open goes on.
func TestCertificateRotates(t *testing.T) {
	first, second := authority(t, "first"), authority(t, "second")
	holder := httpd.NewTLS(&tls.Config{Certificates: []tls.Certificate{issue(t, first, "relay")}})
	f := start(t, func(o *httpd.Options) { o.TLS = holder })
	old, err := f.secure(&tls.Config{RootCAs: pool(first), ServerName: "relay"})
	if err != nil {
		t.Fatal(err)
	}
	old.isOpen()
	holder.Set(&tls.Config{Certificates: []tls.Certificate{issue(t, second, "relay")}})
	old.isOpen()
	fresh, err := f.secure(&tls.Config{RootCAs: pool(second), ServerName: "relay"})
	if err != nil {
		t.Fatal(err)
	}
	fresh.isOpen()
	old.isOpen()
	speaks, err := f.secure(&tls.Config{RootCAs: pool(second), ServerName: "relay", NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := speaks.Conn.(*tls.Conn); !ok || c.ConnectionState().NegotiatedProtocol != "http/1.1" {
		t.Error("HTTP/2 was offered and taken")
	}
	speaks.Close()
	if _, err := f.secure(&tls.Config{RootCAs: pool(second), ServerName: "relay", NextProtos: []string{"h2"}}); err == nil {
		t.Error("HTTP/2 alone was taken")
	}
	if _, err := f.secure(&tls.Config{RootCAs: pool(first), ServerName: "relay"}); err == nil {
		t.Error("a handshake got the old certificate")
	}
	if _, err := f.secure(&tls.Config{RootCAs: pool(second), ServerName: "relay", MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
	fresh.Close()
	old.Close()
}

// TestClientCertificates: who shows none, or one of another authority, gets
// no further than the handshake; nor does, after a change of the authorities,
// who had a session before.
func TestClientCertificates(t *testing.T) {
	ours, theirs, next := authority(t, "ours"), authority(t, "theirs"), authority(t, "next")
	asks := func(a *pki.Authority) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{issue(t, ours, "relay")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool(a)}
	}
	holder := httpd.NewTLS(asks(ours))
	f := start(t, func(o *httpd.Options) { o.TLS = holder })
	sessions := tls.NewLRUClientSessionCache(8)
	with := func(certs ...tls.Certificate) *tls.Config {
		return &tls.Config{RootCAs: pool(ours), ServerName: "relay", Certificates: certs, ClientSessionCache: sessions}
	}
	// In TLS 1.3 the client learns with its first read that it was refused.
	refused := func(what string, c *tls.Config) {
		t.Helper()
		conn, err := f.secure(c)
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, post("{}")) // the read tells
		if _, err := conn.r.ReadByte(); err == nil {
			t.Errorf("%s was let in", what)
		}
	}
	mine := issue(t, ours, "sender")
	known, err := f.secure(with(mine))
	if err != nil {
		t.Fatal(err)
	}
	known.isOpen()
	refused("no certificate", with())
	refused("a foreign certificate", with(issue(t, theirs, "sender")))
	holder.Set(asks(next))
	known.isOpen()
	refused("a certificate of the authority that is gone", with(mine))
	known.Close()
}

// lineLog is a log that several goroutines write.
type lineLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lineLog) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), part)
}

// TestPlainOnTLS: plain HTTP gets an answer in plain, and one line a minute.
func TestPlainOnTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lineLog{}
		holder := httpd.NewTLS(&tls.Config{Certificates: []tls.Certificate{issue(t, authority(t, "ours"), "relay")}})
		f := pipes(t, func(o *httpd.Options) {
			o.TLS, o.Log = holder, slog.New(slog.NewTextHandler(log, nil))
		})
		plain := func() {
			t.Helper()
			conn := f.dial()
			go func() { _, _ = io.WriteString(conn, post("{}")) }() // the server does not read to the end
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 400 ") {
				t.Errorf("%q, %v", answer, err)
			}
			conn.Close()
			synctest.Wait()
		}
		garbage := func() {
			t.Helper()
			conn := f.dial()
			go func() { _, _ = io.WriteString(conn, "\x00\x01\x02\x03\x04\x05\x06\x07") }()
			_, _ = io.ReadAll(conn) // closed, with or without an alert
			conn.Close()
			synctest.Wait()
		}
		for range 5 {
			plain()
			garbage()
		}
		if n := log.count("plain HTTP on the TLS port"); n != 1 {
			t.Errorf("%d lines, want one a minute", n)
		}
		if n := log.count("TLS handshake failed"); n != 1 {
			t.Errorf("%d lines of other handshakes, want one a minute", n)
		}
		time.Sleep(61 * time.Second)
		plain()
		if log.count("plain HTTP on the TLS port") != 2 || log.count("held_back=4") != 1 {
			t.Error("the next minute has no line with what was held back")
		}
		probe := f.dial()
		probe.Close()
		synctest.Wait()
		if n := log.count("EOF"); n != 0 {
			t.Error("a probe that only connects made a line")
		}
		f.stop()
	})
}

// TestLimitsChange: what begins after the change goes by it; connections that
// are open stay.
func TestLimitsChange(t *testing.T) {
	f := start(t, func(o *httpd.Options) { o.MaxConnections = 2 })
	first, second := f.client(), f.client()
	first.isOpen()
	second.isOpen()
	large := post(strings.Repeat("x", limit+1))
	first.send(large)
	if a := first.reply("POST"); a.code != 413 || !strings.Contains(a.Detail, "8192") {
		t.Errorf("%d %s", a.code, a.text)
	}
	first.isClosed()
	f.server.SetLimits(2*limit, 1)
	second.send(large)
	if a := second.reply("POST"); a.code != 200 {
		t.Errorf("after the change: %d %s", a.code, a.text)
	}
	if got := f.metric("cxrelay_http_connections_limit"); got != 1 {
		t.Errorf("limit %v", got)
	}
	over := f.client()
	over.send(post("{}"))
	if a := over.reply("POST"); a.Reason != "overloaded" {
		t.Errorf("a connection above the new limit: %s", a.text)
	}
	second.isOpen()
	f.server.SetLimits(limit, 5)
	f.client().isOpen()
	second.send(large)
	if a := second.reply("POST"); a.code != 413 {
		t.Errorf("back to the old limit: %d", a.code)
	}
}
