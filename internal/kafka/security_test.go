package kafka_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/kafka"
)

// guarded is a client of a cluster with security, over real loopback: TLS
// needs buffers between the ends.
type guarded struct {
	*kafka.Client
	t     *testing.T
	log   *lines
	dials atomic.Int64
	seen  sync.Map // topic to kafka.Topic
}

// lines is a log that counts its lines.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// with returns the lines that hold s.
func (l *lines) with(s string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.all {
		if strings.Contains(line, s) {
			found = append(found, line)
		}
	}
	return found
}

func secureCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(2, "a", "b")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func guard(t *testing.T, brokers []string, s kafka.Security) *guarded {
	t.Helper()
	g := &guarded{t: t, log: &lines{}}
	var d net.Dialer
	var err error
	g.Client, err = kafka.New(kafka.Options{
		Brokers: brokers, Topics: []string{"a", "b"}, ClientID: "test", MaxRecords: 1000, MaxBytes: 1 << 20,
		Security: s, Log: slog.New(slog.NewTextHandler(g.log, nil)),
		Dial: func(ctx context.Context, network, host string) (net.Conn, error) {
			g.dials.Add(1)
			return d.DialContext(ctx, network, host)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = g.Run(ctx, func(topic kafka.Topic) { g.seen.Store(topic.Name, topic) }) })
	t.Cleanup(func() {
		cancel()
		g.Close()
		wg.Wait()
		if t.Failed() {
			t.Log("log:\n" + strings.Join(g.log.all, "\n"))
		}
	})
	return g
}

// eventually waits for a condition in real time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("never: " + what)
		}
	}
}

// delivers sends one record and waits for its ack.
func (g *guarded) delivers() {
	g.t.Helper()
	eventually(g.t, "topic a is usable", func() bool { a, ok := g.seen.Load("a"); return ok && a.(kafka.Topic).Err == nil })
	done := make(chan error, 1)
	g.Produce(&event.Record{Topic: "a", Value: []byte("v")}, 0, func(_ int64, err error) { done <- err })
	if err := <-done; err != nil {
		g.t.Errorf("produce: %v", err)
	}
}

// user and password of the tests.
const (
	user     = "relay"
	password = "s3cret,with$=comma"
)

func sasl(m kafka.Mechanism) kafka.SASL {
	return kafka.SASL{Mechanism: m, Username: user, Password: password}
}

// TestSecureDelivery: each mechanism that the in-process broker has, with and
// without TLS, and a client certificate.
func TestSecureDelivery(t *testing.T) {
	ca := newAuthority(t, "ca", time.Now().Add(time.Hour))
	server := ca.issue("kafka.test", time.Now().Add(time.Hour))
	client := ca.issue("relay", time.Now().Add(time.Hour))
	listener := &tls.Config{Certificates: []tls.Certificate{server.pair}}
	asking := listener.Clone()
	asking.ClientAuth, asking.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	asking.ClientCAs.AddCert(ca.cert)
	trust := kafka.TLS{Enabled: true, CA: ca.pem, ServerName: "kafka.test"}
	mutual := trust
	mutual.Cert, mutual.Key = client.pem, client.key

	for name, c := range map[string]struct {
		opts []kfake.Opt
		with kafka.Security
	}{
		"PLAIN":                 {[]kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", user, password)}, kafka.Security{SASL: sasl(kafka.Plain)}},
		"SCRAM-SHA-256":         {[]kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", user, password)}, kafka.Security{SASL: sasl(kafka.ScramSHA256)}},
		"SCRAM-SHA-512":         {[]kfake.Opt{kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", user, password)}, kafka.Security{SASL: sasl(kafka.ScramSHA512)}},
		"TLS":                   {[]kfake.Opt{kfake.TLS(listener)}, kafka.Security{TLS: trust}},
		"TLS, SCRAM":            {[]kfake.Opt{kfake.TLS(listener), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", user, password)}, kafka.Security{TLS: trust, SASL: sasl(kafka.ScramSHA512)}},
		"TLS, its own name":     {[]kfake.Opt{kfake.TLS(listener)}, kafka.Security{TLS: kafka.TLS{Enabled: true, CA: ca.pem}}}, // 127.0.0.1 is in the certificate
		"mutual TLS":            {[]kfake.Opt{kfake.TLS(asking)}, kafka.Security{TLS: mutual}},
		"mutual TLS by TLS 1.2": {[]kfake.Opt{kfake.TLS(upTo(tls.VersionTLS12, asking))}, kafka.Security{TLS: mutual}},
	} {
		t.Run(name, func(t *testing.T) {
			g := guard(t, secureCluster(t, c.opts...).ListenAddrs(), c.with)
			g.delivers()
			if p := g.Problems(); len(p) > 0 {
				t.Errorf("problems: %v", p)
			}
			if said := g.log.with("level=ERROR"); len(said) > 0 {
				t.Errorf("log: %v", said)
			}
		})
	}
}

func upTo(version uint16, c *tls.Config) *tls.Config {
	c = c.Clone()
	c.MaxVersion = version
	return c
}

// refusal is a way in which a connection fails.
type refusal struct {
	name   string
	opts   []kfake.Opt
	fault  *kfake.Fault
	with   kafka.Security
	what   string // constant text
	remedy string // part of the remedy
	gone   bool   // nothing listens

	broker string
	client *guarded
}

// TestRefusals: each fault at the edge is one line with its remedy, however
// often it is met, and is known as a problem with its broker.
func TestRefusals(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	ca, other, old := newAuthority(t, "ca", soon), newAuthority(t, "other", soon), newAuthority(t, "old", time.Now().Add(-time.Hour))
	listener := func(s issued) kfake.Opt { return kfake.TLS(&tls.Config{Certificates: []tls.Certificate{s.pair}}) }
	good := listener(ca.issue("kafka.test", soon))
	asking := &tls.Config{Certificates: []tls.Certificate{ca.issue("kafka.test", soon).pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	asking.ClientCAs.AddCert(ca.cert)
	trust := kafka.TLS{Enabled: true, CA: ca.pem}
	foreign := trust
	foreignCert := other.issue("relay", soon)
	foreign.Cert, foreign.Key = foreignCert.pem, foreignCert.key
	named := trust
	named.ServerName = "kafka.example.com"
	wrong := func(m kafka.Mechanism) kafka.Security {
		return kafka.Security{SASL: kafka.SASL{Mechanism: m, Username: user, Password: "wrong"}}
	}
	users := func(m string) []kfake.Opt { return []kfake.Opt{kfake.EnableSASL(), kfake.Superuser(m, user, password)} }
	authenticate := func(e *kerr.Error) *kfake.Fault {
		return &kfake.Fault{Keys: []kmsg.Key{kmsg.SASLAuthenticate}, TopLevel: true, Err: e, Count: -1}
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	cases := []*refusal{
		{name: "wrong password, PLAIN, connection closed", opts: users("PLAIN"), with: wrong(kafka.Plain),
			what: "the broker closes the connection during authentication", remedy: "kafka.sasl.username"},
		{name: "wrong password, SCRAM, connection closed", opts: users("SCRAM-SHA-512"), with: wrong(kafka.ScramSHA512),
			what: "the broker closes the connection during authentication", remedy: "per mechanism"},
		{name: "wrong password", opts: users("PLAIN"), fault: authenticate(kerr.SaslAuthenticationFailed), with: kafka.Security{SASL: sasl(kafka.Plain)},
			what: "the broker refuses these credentials", remedy: "kafka.sasl.username"},
		{name: "mechanism not offered", opts: users("PLAIN"), with: kafka.Security{SASL: kafka.SASL{Mechanism: kafka.OAuthBearer, OAuth: kafka.OAuth{TokenFile: token}}},
			what: "the broker does not offer this SASL mechanism", remedy: "sasl.enabled.mechanisms"},
		{name: "no SASL here", fault: &kfake.Fault{Keys: []kmsg.Key{kmsg.SASLHandshake}, TopLevel: true, Err: kerr.IllegalSaslState, Count: -1}, with: kafka.Security{SASL: sasl(kafka.Plain)},
			what: "the listener does not use SASL", remedy: "remove kafka.sasl"},
		{name: "unknown authority", opts: []kfake.Opt{good}, with: kafka.Security{TLS: kafka.TLS{Enabled: true, CA: other.pem}},
			what: "the broker's certificate is signed by an unknown authority", remedy: "kafka.tls.ca_file"},
		{name: "system's authorities", opts: []kfake.Opt{good}, with: kafka.Security{TLS: kafka.TLS{Enabled: true}},
			what: "the broker's certificate is signed by an unknown authority", remedy: "kafka.tls.ca_file"},
		{name: "expired certificate", opts: []kfake.Opt{listener(ca.issue("kafka.test", time.Now().Add(-time.Minute)))}, with: kafka.Security{TLS: trust},
			what: "the broker's certificate is expired or not valid yet", remedy: "renew"},
		{name: "expired authority", opts: []kfake.Opt{listener(old.issue("kafka.test", soon))}, with: kafka.Security{TLS: kafka.TLS{Enabled: true, CA: old.pem}},
			what: "the certificate authority is expired or not valid yet", remedy: "kafka.tls.ca_file"},
		{name: "another host name", opts: []kfake.Opt{good}, with: kafka.Security{TLS: named},
			what: "the broker's certificate is for another host name", remedy: "kafka.tls.server_name"},
		{name: "no client certificate", opts: []kfake.Opt{kfake.TLS(asking)}, with: kafka.Security{TLS: trust},
			what: "the broker refuses this client's certificate", remedy: "kafka.tls.cert_file"},
		{name: "no client certificate, TLS 1.2", opts: []kfake.Opt{kfake.TLS(upTo(tls.VersionTLS12, asking))}, with: kafka.Security{TLS: trust},
			what: "the TLS handshake failed", remedy: "kafka.tls.cert_file"}, // TLS 1.2 has no alert for it
		{name: "foreign client certificate", opts: []kfake.Opt{kfake.TLS(asking)}, with: kafka.Security{TLS: foreign},
			what: "the broker refuses this client's certificate", remedy: "kafka.tls.cert_file"},
		{name: "old TLS", opts: []kfake.Opt{kfake.TLS(upTo(tls.VersionTLS11, asking))}, with: kafka.Security{TLS: trust},
			what: "the TLS handshake failed", remedy: "TLS versions"},
		{name: "plaintext to a TLS port", opts: []kfake.Opt{good}, with: kafka.Security{},
			what: "the broker closes the connection at the first request", remedy: "kafka.tls"},
		{name: "no SASL where it is asked for", opts: users("PLAIN"), with: kafka.Security{},
			what: "the broker closes the connection at the first request", remedy: "kafka.sasl"},
		{name: "token file missing", with: kafka.Security{SASL: kafka.SASL{Mechanism: kafka.OAuthBearer, OAuth: kafka.OAuth{TokenFile: token + "none"}}},
			what: "the OAUTHBEARER token file gives no token", remedy: "token_file"},
		{name: "token endpoint down", with: kafka.Security{SASL: kafka.SASL{Mechanism: kafka.OAuthBearer, OAuth: kafka.OAuth{TokenURL: "http://127.0.0.1:1/token", ClientID: "i", ClientSecret: "s"}}},
			what: "the token endpoint gives no token", remedy: "token_url"},
		{name: "nobody there", gone: true, what: "the broker refuses connections", remedy: "kafka.brokers"},
	}
	for _, c := range cases { // they wait for the second attempt together
		c.start(t)
	}
	for _, c := range cases {
		t.Run(c.name, c.check)
	}
}

func (c *refusal) start(t *testing.T) {
	t.Helper()
	cluster := secureCluster(t, c.opts...)
	if c.with.SASL.Mechanism == kafka.OAuthBearer && c.opts == nil {
		new(exchange).serve(cluster)
	}
	if c.fault != nil {
		cluster.Fault(*c.fault)
	}
	c.broker = cluster.ListenAddrs()[0]
	if c.gone {
		cluster.Close()
	}
	c.client = guard(t, []string{c.broker}, c.with)
}

func (c *refusal) check(t *testing.T) {
	g := c.client
	eventually(t, "a second try", func() bool { return len(g.Problems()) > 0 && g.dials.Load() >= 2 })
	p := g.Problems()[0]
	if p.What != c.what || !strings.Contains(p.Remedy, c.remedy) {
		t.Errorf("problem: %+v", p)
	}
	if len(p.Brokers) > 0 && p.Brokers[0] != c.broker || p.Since.IsZero() || p.Cause == "" {
		t.Errorf("problem: %+v", p)
	}
	said := g.log.with("kafka connection problem")
	if len(said) != 1 || !strings.Contains(said[0], c.what) || !strings.Contains(said[0], "remedy=") {
		t.Errorf("lines: %v", said)
	}
	if more := append(g.log.with("level=ERROR"), g.log.with("level=WARN")...); len(more) != 1 {
		t.Errorf("more lines: %v", more)
	}
	for _, secret := range []string{"wrong", password} {
		if found := g.log.with(secret); len(found) > 0 {
			t.Errorf("a secret in the log: %v", found)
		}
	}
}

// TestWrongPort: what a port answers that is not what the client takes it for.
func TestWrongPort(t *testing.T) {
	for name, c := range map[string]struct {
		answer string // before it hangs up
		with   kafka.Security
		what   string
	}{
		"TLS to plaintext, which hangs up": {"", kafka.Security{TLS: kafka.TLS{Enabled: true}}, "the broker hangs up on the TLS handshake"},
		"TLS to another protocol":          {"HTTP/1.1 400 Bad Request\r\n\r\n", kafka.Security{TLS: kafka.TLS{Enabled: true}}, "the broker does not speak TLS on this port"},
		"plaintext to TLS, with an alert":  {"\x15\x03\x03\x00\x02\x02\x50", kafka.Security{}, "the broker speaks TLS on this port"},
		"plaintext, which hangs up":        {"", kafka.Security{}, "the broker closes the connection at the first request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := guard(t, []string{answering(t, c.answer)}, c.with)
			eventually(t, "a problem", func() bool { return len(g.Problems()) > 0 && g.dials.Load() >= 2 })
			if p := g.Problems()[0]; p.What != c.what {
				t.Errorf("%+v", p)
			}
			if said := g.log.with("kafka connection problem"); len(said) != 1 {
				t.Errorf("lines: %v", said)
			}
		})
	}
}

// answering is a port that reads a request, answers and hangs up.
func answering(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 64<<10))
			_, _ = c.Write([]byte(answer))
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

func TestSecurityThatCannotWork(t *testing.T) {
	for name, s := range map[string]kafka.Security{
		"no authority":    {TLS: kafka.TLS{Enabled: true, CA: []byte("x")}},
		"no key":          {TLS: kafka.TLS{Enabled: true, Cert: []byte("x")}},
		"not a mechanism": {SASL: kafka.SASL{Mechanism: 99}},
	} {
		if _, err := kafka.New(kafka.Options{Brokers: []string{"127.0.0.1:1"}, Security: s, MaxRecords: 1, MaxBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
