package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/kafka/awsiam"
)

func TestDiagnose(t *testing.T) {
	with := func(tlsOn bool, m Mechanism, err error) error {
		return &attempt{with: &Security{TLS: TLS{Enabled: tlsOn}, SASL: SASL{Mechanism: m}}, err: err}
	}
	alert := func(a tls.AlertError) error { return &net.OpError{Op: "remote error", Err: a} }
	page, err := os.ReadFile("../../docs/kafka-security.md")
	if err != nil {
		t.Fatal(err)
	}
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, c := range []struct {
		err          error
		what, remedy string // parts; "" for none at all
	}{
		{nil, "", ""},
		{errors.New("unknown"), "", ""},
		{context.Canceled, "", ""},
		{kerr.NotLeaderForPartition, "", ""},
		{kerr.UnknownTopicOrPartition, "", ""},

		{kerr.SaslAuthenticationFailed, "refuses these credentials", "check the credentials"},
		{with(true, Plain, kerr.SaslAuthenticationFailed), "refuses these credentials", "kafka.sasl.username"},
		{with(true, ScramSHA256, kerr.SaslAuthenticationFailed), "refuses these credentials", "per mechanism"},
		{with(true, OAuthBearer, kerr.SaslAuthenticationFailed), "refuses these credentials", "audience"},
		{with(true, AWSMSKIAM, kerr.SaslAuthenticationFailed), "refuses these credentials", "kafka-cluster:Connect"},
		{kerr.UnsupportedSaslMechanism, "does not offer this SASL mechanism", "sasl.enabled.mechanisms"},
		{kerr.IllegalSaslState, "does not use SASL", "remove kafka.sasl"},
		{kerr.TopicAuthorizationFailed, "denies access to the topic", "Write and Describe"},
		{kerr.ClusterAuthorizationFailed, "denies the idempotent producer", "IdempotentWrite"},
		{kerr.InvalidTimestamp, "refuses the time of the records", "NTP"},

		{x509.UnknownAuthorityError{}, "unknown authority", "kafka.tls.ca_file"},
		{x509.SystemRootsError{}, "unknown authority", "kafka.tls.ca_file"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}}}, "another host name", "kafka.tls.server_name"},
		{x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{}}, "broker's certificate is expired", "renew the broker"},
		{x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{IsCA: true}}, "authority is expired", "kafka.tls.ca_file"},
		{x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}, "not acceptable", "openssl"},
		{alert(42), "refuses this client's certificate", "kafka.tls.cert_file"},
		{alert(45), "refuses this client's certificate", "kafka.tls.cert_file"},
		{alert(46), "refuses this client's certificate", "kafka.tls.cert_file"},
		{alert(48), "refuses this client's certificate", "kafka.tls.cert_file"},
		{alert(116), "refuses this client's certificate", "kafka.tls.cert_file"},
		{alert(70), "TLS handshake failed", "TLS versions"},
		{dial(handshakeError(errors.New("odd"))), "TLS handshake failed", "TLS versions"},
		{dial(handshakeError(tls.RecordHeaderError{Msg: "odd"})), "does not speak TLS", "kafka.tls.enabled: false"},
		{dial(handshakeError(io.EOF)), "hangs up on the TLS handshake", "TLS listener"},
		{dial(handshakeError(os.NewSyscallError("read", syscall.ECONNRESET))), "hangs up on the TLS handshake", "TLS listener"},
		{dial(handshakeError(context.DeadlineExceeded)), "does not answer in time", "firewall"},
		{errWantsTLS, "speaks TLS on this port", "kafka.tls.enabled: true"},

		{&kgo.ErrFirstReadEOF{}, "closes the connection at the first request", "TLS or SASL"},
		{with(false, NoSASL, &kgo.ErrFirstReadEOF{}), "closes the connection at the first request", "TLS or SASL"},
		{with(false, Plain, &kgo.ErrFirstReadEOF{}), "closes the connection at the first request", "expects TLS:"},
		{with(true, NoSASL, &kgo.ErrFirstReadEOF{}), "closes the connection at the first request", "expects SASL:"},
		{with(true, Plain, &kgo.ErrFirstReadEOF{}), "closes the connection at the first request", "broker's log"},
		{with(true, ScramSHA512, io.EOF), "closes the connection during authentication", "per mechanism"},
		{with(true, NoSASL, io.EOF), "closes the connection", "broker's log"},

		{&TokenError{File: true, Err: os.ErrNotExist}, "token file", "token_file"},
		{&TokenError{Status: 401}, "endpoint refuses this client", "client_id"},
		{&TokenError{Status: 503}, "endpoint gives no token", "token_url"},
		{&TokenError{Err: dial(os.NewSyscallError("connect", syscall.ECONNREFUSED))}, "endpoint gives no token", "token_url"},
		{awsiam.ErrCredentials, "no AWS credentials", "AWS_ACCESS_KEY_ID"},
		{awsiam.ErrRequest, "AWS region", "AWS_REGION"},

		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "refuses connections", "kafka.brokers"},
		{dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), "no route", "advertised.listeners"},
		{dial(&net.DNSError{IsNotFound: true}), "host name is not known", "DNS"},
		{dial(os.ErrDeadlineExceeded), "does not answer in time", "firewall"},
		{context.DeadlineExceeded, "does not answer in time", "firewall"},
		{dial(fmt.Errorf("%w: i/o timeout", errHangs)), "answers nothing", "firewall"},
		{os.NewSyscallError("read", syscall.ECONNRESET), "closes the connection", "broker's log"},
	} {
		for _, err := range []error{c.err, fmt.Errorf("one: %w", fmt.Errorf("two: %w", c.err))} {
			if c.err == nil {
				err = nil
			}
			what, remedy := Diagnose(err)
			if (what == "") != (c.what == "") || !strings.Contains(what, c.what) || (remedy == "") != (c.remedy == "") || !strings.Contains(remedy, c.remedy) {
				t.Errorf("%v: %q, %q; want %q, %q", err, what, remedy, c.what, c.remedy)
			}
			if !strings.Contains(string(page), what) {
				t.Errorf("docs/kafka-security.md does not have %q", what)
			}
		}
	}
}

// TestEdgeSaysChanges: several brokers with one fault are one line, an
// alternating fault does not flood, the end of the last one is told.
func TestEdgeSaysChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		e := newEdge(slog.New(slog.NewTextHandler(&log, nil)), Security{SASL: SASL{Mechanism: Plain}})
		broker := func(host string) kgo.BrokerMetadata { return kgo.BrokerMetadata{Host: host, Port: 9092} }
		said := func(s string) int { return strings.Count(log.String(), s) }
		for range 100 {
			for _, host := range []string{"a", "b", "c"} {
				e.OnBrokerConnect(broker(host), 0, nil, kerr.SaslAuthenticationFailed)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if said("connection problem\"") != 1 {
			t.Errorf("log:\n%s", &log)
		}
		p := e.problems()
		if len(p) != 1 || strings.Join(p[0].Brokers, " ") != "a:9092 b:9092 c:9092" || time.Since(p[0].Since) != 10*time.Second {
			t.Errorf("%+v", p)
		}
		for i := range 100 { // one broker between two faults
			e.OnBrokerConnect(broker("a"), 0, nil, []error{io.EOF, syscall.ECONNREFUSED}[i%2])
			time.Sleep(100 * time.Millisecond)
		}
		if said("connection problem\"") != 3 {
			t.Errorf("log:\n%s", &log)
		}
		for _, host := range []string{"a", "b"} {
			e.OnBrokerConnect(broker(host), 0, nil, nil)
		}
		if said("refuses these credentials\"") != 1 {
			t.Errorf("the end is told while one broker still has it:\n%s", &log)
		}
		e.OnBrokerConnect(broker("c"), 0, nil, nil)
		if said("is over") != 2 || len(e.problems()) != 0 {
			t.Errorf("%v, log:\n%s", e.problems(), &log)
		}
		e.OnBrokerConnect(broker("a"), 0, nil, context.Canceled)
		e.OnBrokerConnect(broker("a"), 0, nil, &heldBack{})
		if len(e.problems()) != 0 {
			t.Errorf("%v", e.problems())
		}
	})
}

// TestEdgeHoldsBack: twice as long after every refusal, up to a bound, and
// not at all for what may mend itself.
func TestEdgeHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(slog.New(slog.DiscardHandler), Security{})
		meta := kgo.BrokerMetadata{Host: "k", Port: 1}
		dials := 0
		dial := e.guard(func(context.Context, string, string) (net.Conn, error) { dials++; return nil, nil })
		var held []time.Duration
		for range 8 {
			e.OnBrokerConnect(meta, 0, nil, kerr.SaslAuthenticationFailed)
			began := time.Now()
			for before := dials; dials == before; {
				if _, err := dial(t.Context(), "tcp", "k:1"); err != nil {
					var op *net.OpError
					if !errors.As(err, &op) || op.Op != "dial" || op.Timeout() || errors.Is(err, kerr.SaslAuthenticationFailed) {
						t.Fatalf("kgo would not wait for the broker: %v", err)
					}
					if what, _ := Diagnose(err); !strings.Contains(what, "refuses these credentials") {
						t.Fatalf("%v: %q", err, what)
					}
					time.Sleep(100 * time.Millisecond)
				}
			}
			held = append(held, time.Since(began))
		}
		if got := fmt.Sprint(held); got != "[1s 2s 4s 8s 16s 30s 30s 30s]" {
			t.Errorf("held back %s", got)
		}
		e.OnBrokerConnect(meta, 0, nil, nil)
		e.OnBrokerConnect(meta, 0, nil, syscall.ECONNREFUSED)
		if _, err := dial(t.Context(), "tcp", "k:1"); err != nil {
			t.Errorf("a broker that was away is held back: %v", err)
		}
		if time.Sleep(2 * forgetAfter); len(e.problems()) != 0 {
			t.Errorf("a broker that nobody tries is still a problem: %v", e.problems())
		}
	})
}

// TestDiagnoseAway: who does not answer is told from what a person must mend.
func TestDiagnoseAway(t *testing.T) {
	for _, c := range []struct {
		err  error
		away bool
	}{
		{syscall.ECONNREFUSED, true},
		{&net.DNSError{IsNotFound: true}, true},
		{context.DeadlineExceeded, true},
		{io.EOF, true},
		{&TokenError{Err: syscall.ECONNREFUSED}, true},
		{&TokenError{Status: 503}, true},
		{&TokenError{Status: 401}, false},
		{&TokenError{File: true, Err: os.ErrNotExist}, false},
		{kerr.SaslAuthenticationFailed, false},
		{&kgo.ErrFirstReadEOF{}, false},
		{x509.UnknownAuthorityError{}, false},
		{errNoTLS, false},
		{awsiam.ErrCredentials, false},
	} {
		if d := diagnose(c.err); d.what == "" || d.away != c.away {
			t.Errorf("%v: %q, away %t", c.err, d.what, d.away)
		}
	}
}

// TestSecretsDoNotPrint: whatever prints the settings.
func TestSecretsDoNotPrint(t *testing.T) {
	s := Security{
		TLS:  TLS{Enabled: true, Key: []byte("hunter2")},
		SASL: SASL{Mechanism: Plain, Username: "u", Password: "hunter2", OAuth: OAuth{ClientSecret: "hunter2"}},
	}
	for _, format := range []string{"%v", "%+v", "%s"} {
		if got := fmt.Sprintf(format, s); strings.Contains(got, "hunter2") || strings.Contains(got, "104 117 110") {
			t.Errorf("%s: %s", format, got)
		}
	}
}
