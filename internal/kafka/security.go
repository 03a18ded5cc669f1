package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/cxrelay/cxrelay/internal/kafka/awsiam"
)

// Mechanism is how the client authenticates (SASL). The names are those that
// Kafka's sasl.mechanism takes.
type Mechanism uint8

// The mechanisms.
const (
	NoSASL      Mechanism = iota
	Plain                 // user and password, in clear text inside the connection
	ScramSHA256           // user and password, proven without being sent (RFC 5802, RFC 7677)
	ScramSHA512           // the same with SHA-512
	OAuthBearer           // a token (RFC 7628, KIP-255)
	AWSMSKIAM             // a request signed with AWS credentials (Amazon MSK)
)

// String returns Kafka's name of the mechanism, or "none".
func (m Mechanism) String() string {
	names := [...]string{"none", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"}
	if int(m) < len(names) {
		return names[m]
	}
	return "unknown"
}

// Security is how connections to brokers are protected. The zero value is
// plaintext without authentication.
type Security struct {
	TLS  TLS
	SASL SASL
}

// TLS encrypts connections. At least TLS 1.2; the broker's certificate is
// always verified.
type TLS struct {
	Enabled    bool
	CA         []byte // PEM, one or more certificates; empty: what the system trusts
	Cert, Key  []byte // PEM, both or none: the client's certificate (mTLS)
	ServerName string // the name in the brokers' certificates; empty: the host that is dialed
}

// SASL authenticates. Which fields a mechanism takes stands beside them.
type SASL struct {
	Mechanism Mechanism
	Username  string // PLAIN, SCRAM
	Password  string // PLAIN, SCRAM
	OAuth     OAuth  // OAUTHBEARER
}

// OAuth is where OAUTHBEARER gets its tokens: TokenFile, or else TokenURL.
type OAuth struct {
	TokenFile    string // read at each authentication
	TokenURL     string // RFC 6749 §4.4, client credentials
	ClientID     string
	ClientSecret string
	Scopes       []string
}

// String keeps the private key out of whatever prints the struct.
func (t TLS) String() string { return "TLS " + strconv.FormatBool(t.Enabled) }

// String keeps the password out of whatever prints the struct.
func (s SASL) String() string { return "SASL " + s.Mechanism.String() }

// String keeps the client's secret out of whatever prints the struct.
func (o OAuth) String() string { return "OAuth client " + o.ClientID }

// DialFunc connects; it is the form of net.Dialer.DialContext.
type DialFunc func(ctx context.Context, network, host string) (net.Conn, error)

// errFixed is why SetSecurity refuses.
var errFixed = errors.New("TLS and the SASL mechanism stay as they are until restart")

// What is wrong between TLS and plaintext.
var (
	errNoTLS     = errors.New("the peer does not speak TLS") // it answered the handshake with something else
	errHungUp    = errors.New("the peer hung up")            // it closed the connection during the handshake
	errHandshake = errors.New("TLS handshake")               // any other handshake that failed
	errWantsTLS  = errors.New("the peer speaks TLS")         // it answered plaintext with a TLS record
)

// dialer returns how to connect to a broker; dial may be nil for TCP.
func (s *Security) dialer(dial DialFunc) (DialFunc, error) {
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	if !s.TLS.Enabled {
		return plaintext(dial), nil
	}
	cfg, err := s.TLS.config()
	if err != nil {
		return nil, err
	}
	return encrypted(dial, cfg), nil
}

func (t *TLS) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if len(t.CA) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(t.CA) {
			return nil, errors.New("TLS: no certificate authority in the PEM text")
		}
	}
	if len(t.Cert) > 0 || len(t.Key) > 0 {
		pair, err := tls.X509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("TLS client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// encrypted dials with TLS. Its errors are dial errors, also those of the
// handshake: so kgo goes on to the next broker, and keeps what it buffers,
// when one broker's certificate is bad.
func encrypted(dial DialFunc, cfg *tls.Config) DialFunc {
	return func(ctx context.Context, network, host string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		raw, err := dial(ctx, network, host)
		if err != nil {
			return nil, err
		}
		mine := cfg.Clone()
		if mine.ServerName == "" {
			if mine.ServerName, _, err = net.SplitHostPort(host); err != nil {
				mine.ServerName = host
			}
		}
		conn := tls.Client(raw, mine)
		if err := conn.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, &net.OpError{Op: "dial", Net: network, Addr: raw.RemoteAddr(), Err: handshakeError(err)}
		}
		return conn, nil
	}
}

// handshakeError gives a failed handshake its type.
func handshakeError(err error) error {
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &header):
		return fmt.Errorf("%w: %w", errNoTLS, err)
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w: %w", errHungUp, err)
	case errors.Is(err, context.DeadlineExceeded):
		return os.ErrDeadlineExceeded // a time-out of the dial, not of the request that asked for it
	default:
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
}

// plaintext dials without TLS and looks at the first bytes that come back.
func plaintext(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, host string) (net.Conn, error) {
		conn, err := dial(ctx, network, host)
		if err != nil {
			return nil, err
		}
		return &firstLook{Conn: conn}, nil
	}
}

// firstLook is a connection that refuses an answer in TLS by name: kgo would
// take it for the length of a response. A connection has one reader.
type firstLook struct {
	net.Conn
	done bool
}

// Read reads, and looks at the first bytes: a TLS record starts with its type
// (20 to 23) and the major version 3 (RFC 8446 §5.1); a response of Kafka that
// starts so would have over 300 MiB.
func (c *firstLook) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.done && n > 0 {
		c.done = true
		if n > 1 && b[0] >= 20 && b[0] <= 23 && b[1] == 3 {
			return 0, errWantsTLS
		}
	}
	return n, err
}

// mechanism returns kgo's side of SASL, or nil for none. report is told of
// every attempt to get a token, nil for success.
func (s *SASL) mechanism(report func(error)) (sasl.Mechanism, error) {
	switch s.Mechanism {
	case NoSASL:
		return nil, nil //nolint:nilnil // no mechanism is a choice, not a fault
	case Plain:
		return plain.Auth{User: s.Username, Pass: s.Password}.AsMechanism(), nil
	case ScramSHA256:
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha256Mechanism(), nil
	case ScramSHA512:
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha512Mechanism(), nil
	case OAuthBearer:
		return s.OAuth.mechanism(report), nil
	case AWSMSKIAM:
		return awsiam.Mechanism(), nil
	default:
		return nil, fmt.Errorf("SASL mechanism %d is not known", s.Mechanism)
	}
}
