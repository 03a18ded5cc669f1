package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/internal/kafka/awsiam"
)

// Diagnose says in an operator's words why a connection or a request failed,
// and what to do about it. The first text is constant per kind of fault, so
// that it tells one from the other; it is "" for an error that is not known,
// and for one that says nothing about security or the network.
func Diagnose(err error) (what, remedy string) {
	d := diagnose(err)
	return d.what, d.remedy
}

// diagnosis is what one kind of error means.
type diagnosis struct {
	what, remedy string

	// hold bounds how long the next connection to this broker is held back:
	// to be refused again at once helps nobody, and can lock an account.
	hold time.Duration

	// away says that somebody does not answer, which may mend itself. All
	// else stays until a person has changed something.
	away bool
}

// The bounds of diagnosis.hold.
const (
	holdAuth  = 30 * time.Second
	holdTLS   = 10 * time.Second
	holdToken = 5 * time.Second
)

// attempt is a connection that failed, with what this client brought along:
// the same error means different things with and without TLS or SASL.
type attempt struct {
	with *Security
	err  error
}

func (a *attempt) Error() string { return a.err.Error() }

func (a *attempt) Unwrap() error { return a.err }

// diagnose is as the function, and knows what this client brings along.
func (c *Client) diagnose(err error) diagnosis {
	return diagnose(&attempt{with: &c.opts.Security, err: err})
}

func diagnose(err error) diagnosis {
	var held *heldBack
	if errors.As(err, &held) {
		return held.why
	}
	with := &Security{}
	var a *attempt
	known := errors.As(err, &a)
	if known {
		with = a.with
	}
	for _, of := range []func(error) (diagnosis, bool){ofCredentials, ofCertificate, ofTLS} {
		if d, ok := of(err); ok {
			return d
		}
	}
	if d, ok := ofBroker(err, with.SASL.Mechanism); ok {
		return d
	}
	if d, ok := ofClosed(err, with, known); ok {
		return d
	}
	d := ofNetwork(err)
	d.away = true
	return d
}

// ofCredentials: there is nothing to authenticate with.
func ofCredentials(err error) (diagnosis, bool) {
	var token *TokenError
	switch {
	case !errors.As(err, &token):
	case token.File:
		return diagnosis{what: "the OAUTHBEARER token file gives no token", remedy: "check kafka.sasl.oauth.token_file: it must exist, be readable by this user and hold nothing but the token", hold: holdToken}, true
	case token.Status >= 400 && token.Status < 500:
		return diagnosis{what: "the token endpoint refuses this client", remedy: "check kafka.sasl.oauth.client_id, client_secret and scopes against the identity provider", hold: holdAuth}, true
	default:
		return diagnosis{what: "the token endpoint gives no token", remedy: "check kafka.sasl.oauth.token_url, and that this host reaches it", hold: holdToken, away: true}, true
	}
	switch {
	case errors.Is(err, awsiam.ErrCredentials):
		return diagnosis{what: "no AWS credentials were found", remedy: "give the process credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, a web identity, or a role of the container or instance", hold: holdToken}, true
	case errors.Is(err, awsiam.ErrRequest):
		return diagnosis{what: "the AWS region is not known", remedy: "set AWS_REGION, or name the brokers by their *.amazonaws.com addresses", hold: holdToken}, true
	}
	return diagnosis{}, false
}

// ofCertificate: the broker's certificate was refused here.
func ofCertificate(err error) (diagnosis, bool) {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var roots x509.SystemRootsError
	switch {
	case errors.As(err, &host):
		return diagnosis{what: "the broker's certificate is for another host name", remedy: "name the brokers as their certificates do, or set kafka.tls.server_name", hold: holdTLS}, true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && invalid.Cert.IsCA:
		return diagnosis{what: "the certificate authority is expired or not valid yet", remedy: "renew kafka.tls.ca_file, or check the clock of this host", hold: holdTLS}, true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return diagnosis{what: "the broker's certificate is expired or not valid yet", remedy: "renew the broker's certificate, or check the clock of this host", hold: holdTLS}, true
	case errors.As(err, &unknown) || errors.As(err, &roots):
		return diagnosis{what: "the broker's certificate is signed by an unknown authority", remedy: "set kafka.tls.ca_file to the PEM file of the authority that signed the brokers' certificates", hold: holdTLS}, true
	case errors.As(err, &invalid):
		return diagnosis{what: "the broker's certificate is not acceptable", remedy: "look at it: openssl s_client -connect HOST:PORT -showcerts", hold: holdTLS}, true
	}
	return diagnosis{}, false
}

// ofTLS: the two ends do not agree on TLS.
func ofTLS(err error) (diagnosis, bool) {
	var remote *net.OpError
	isAlert := errors.As(err, &remote) && remote.Op == "remote error" // what crypto/tls calls an alert of the peer
	switch {
	case errors.Is(err, errNoTLS):
		return diagnosis{what: "the broker does not speak TLS on this port", remedy: "use the port of a TLS listener (SSL or SASL_SSL), or set kafka.tls.enabled: false", hold: holdTLS}, true
	case errors.Is(err, errHungUp):
		return diagnosis{what: "the broker hangs up on the TLS handshake", remedy: "use the port of a TLS listener (SSL or SASL_SSL), or set kafka.tls.enabled: false; if it is one, look into the broker's log"}, true
	case errors.Is(err, errWantsTLS):
		return diagnosis{what: "the broker speaks TLS on this port", remedy: "set kafka.tls.enabled: true, or use the port of a plaintext listener", hold: holdTLS}, true
	case isAlert && certificateAlert(remote.Err):
		return diagnosis{what: "the broker refuses this client's certificate", remedy: "check kafka.tls.cert_file and key_file: not expired, for client authentication, and signed by an authority in the broker's trust store", hold: holdTLS}, true
	case isAlert || errors.Is(err, errHandshake):
		return diagnosis{what: "the TLS handshake failed", remedy: "compare TLS versions and ciphers: openssl s_client -connect HOST:PORT; a broker that asks for a client certificate needs kafka.tls.cert_file", hold: holdTLS}, true
	}
	return diagnosis{}, false
}

// certificateAlert tells whether a TLS alert (RFC 8446 §6.2) is about the
// client's certificate. The alert's own type is not exported; what it says is
// what the exported one says.
func certificateAlert(alert error) bool {
	const first, last, unknownCA, accessDenied, required = 42, 46, 48, 49, 116 // bad, unsupported, revoked, expired, unknown
	said := alert.Error()
	for a := tls.AlertError(first); a <= last; a++ {
		if said == a.Error() {
			return true
		}
	}
	return said == tls.AlertError(unknownCA).Error() || said == tls.AlertError(accessDenied).Error() || said == tls.AlertError(required).Error()
}

// ofBroker: the broker said so.
func ofBroker(err error, m Mechanism) (diagnosis, bool) {
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return diagnosis{what: "the broker refuses these credentials", remedy: refused(m), hold: holdAuth}, true
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return diagnosis{what: "the broker does not offer this SASL mechanism", remedy: "set kafka.sasl.mechanism to one of the broker's sasl.enabled.mechanisms", hold: holdAuth}, true
	case errors.Is(err, kerr.IllegalSaslState):
		return diagnosis{what: "the listener does not use SASL", remedy: "remove kafka.sasl, or use the port of a SASL listener", hold: holdAuth}, true
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return diagnosis{what: "an ACL denies access to the topic", remedy: "allow the operations Write and Describe on the topic for this principal"}, true
	case errors.Is(err, kerr.InvalidTimestamp):
		return diagnosis{what: "the broker refuses the time of the records", remedy: "synchronise the clock of this machine, and those of the brokers, with NTP: a topic takes times up to message.timestamp.after.max.ms ahead of its broker's clock, an hour by default"}, true
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return diagnosis{what: "an ACL denies the idempotent producer", remedy: "allow the operation Write on at least one topic for this principal, or IdempotentWrite on the cluster (older brokers take only that)"}, true
	}
	return diagnosis{}, false
}

// hungUp marks the failure of a first question on a connection that only
// greetings went over: as good as one that was closed at once.
type hungUp struct{ error }

func (h *hungUp) Unwrap() error { return h.error }

// ofClosed: the broker hung up where it should have answered. known says that
// with is what the connection was made with.
func ofClosed(err error, with *Security, known bool) (diagnosis, bool) {
	var first *kgo.ErrFirstReadEOF
	var question *hungUp
	early := errors.As(err, &first) || errors.As(err, &question) && errors.Is(err, io.EOF)
	switch {
	case early && (!known || !with.TLS.Enabled && with.SASL.Mechanism == NoSASL):
		return diagnosis{what: "the broker closes the connection at the first request", remedy: "the listener expects TLS or SASL: set kafka.tls and kafka.sasl as it asks for"}, true
	case early && !with.TLS.Enabled:
		return diagnosis{what: "the broker closes the connection at the first request", remedy: "the listener expects TLS: set kafka.tls.enabled: true"}, true
	case early && with.SASL.Mechanism == NoSASL:
		return diagnosis{what: "the broker closes the connection at the first request", remedy: "the listener expects SASL: set kafka.sasl as it asks for"}, true
	case early:
		return diagnosis{what: "the broker closes the connection at the first request", remedy: "look into the broker's log"}, true
	case known && with.SASL.Mechanism != NoSASL && errors.Is(err, io.EOF):
		return diagnosis{what: "the broker closes the connection during authentication", remedy: refused(with.SASL.Mechanism), hold: holdAuth}, true
	}
	return diagnosis{}, false
}

// refused is the remedy for credentials that the broker does not take.
func refused(m Mechanism) string {
	switch m {
	case Plain:
		return "check kafka.sasl.username and its password"
	case ScramSHA256, ScramSHA512:
		return "check kafka.sasl.username and its password; the broker keeps SCRAM credentials per mechanism: kafka-configs.sh --bootstrap-server BROKER:9092 --describe --entity-type users --entity-name NAME"
	case OAuthBearer:
		return "check issuer, audience and expiry of the token against what the broker's listener wants; a token file must be renewed before its token ends"
	case AWSMSKIAM:
		return "allow kafka-cluster:Connect to this AWS identity, and check the clock of this host"
	default:
		return "check the credentials, and that the broker knows them for this mechanism"
	}
}

// ofNetwork: nobody is there.
func ofNetwork(err error) diagnosis {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, errHangs):
		return diagnosis{what: "the broker answers nothing", remedy: "look at its process and its host (stopped, out of memory, a disk that hangs), and at firewalls on the way"}
	case errors.As(err, &dns) && dns.IsNotFound:
		return diagnosis{what: "the broker's host name is not known", remedy: "check kafka.brokers, the brokers' advertised.listeners, and DNS"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return diagnosis{what: "the broker refuses connections", remedy: "check that it runs, and the port in kafka.brokers and in its advertised.listeners"}
	case errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH):
		return diagnosis{what: "there is no route to the broker", remedy: "check the network, and the brokers' advertised.listeners"}
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return diagnosis{what: "the broker does not answer in time", remedy: "check that it is well, and that no firewall drops the packets"}
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return diagnosis{what: "the broker closes the connection", remedy: "look into the broker's log"}
	}
	return diagnosis{}
}
