package config

import (
	"fmt"
	"strings"
)

// Mechanism is how the relay authenticates to Kafka.
type Mechanism uint8

// The mechanisms, by Kafka's own names.
const (
	NoSASL Mechanism = iota
	Plain
	ScramSHA256
	ScramSHA512
	OAuthBearer
	AWSMSKIAM
)

var mechanismNames = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"}

// String returns the word of the configuration, or "none".
func (m Mechanism) String() string {
	if m == NoSASL {
		return "none"
	}
	return word(int(m)-1, mechanismNames...)
}

func parseMechanism(s string) (Mechanism, error) {
	n, err := index(s, mechanismNames...)
	if err != nil {
		for _, name := range mechanismNames {
			if strings.EqualFold(strings.ReplaceAll(s, "_", "-"), strings.ReplaceAll(name, "_", "-")) {
				return NoSASL, fmt.Errorf("%s is no mechanism; did you mean %q?", quote(s), name)
			}
		}
		return NoSASL, err
	}
	return Mechanism(n + 1), nil
}

// SASL is how the relay authenticates to Kafka. What a mechanism does not use
// is empty.
type SASL struct {
	Mechanism    Mechanism
	Username     string // PLAIN, SCRAM
	Password     Secret
	PasswordFile string // where Password was read, or empty
	OAuth        OAuth  // OAUTHBEARER
}

// OAuth is where OAUTHBEARER gets its tokens: from TokenFile, which is read at
// each authentication, or with client credentials from TokenURL.
type OAuth struct {
	TokenFile        string
	TokenURL         string // http or https, without credentials
	ClientID         string
	ClientSecret     Secret
	ClientSecretFile string // where ClientSecret was read, or empty
	Scopes           []string
}

// ClientTLS is how connections to Kafka are encrypted. The PEM texts were
// read when the configuration was.
type ClientTLS struct {
	Enabled    bool
	CAFile     string // empty: the system's authorities
	CertFile   string // both or none of CertFile and KeyFile
	KeyFile    string
	ServerName string // empty: the broker's host

	CA   []byte
	Cert []byte
	Key  Secret
}

// Security names how connections are protected, as Kafka's security.protocol
// does, with the mechanism: "SASL_SSL SCRAM-SHA-512".
func (k *Kafka) Security() string {
	protocol := "PLAINTEXT"
	if k.TLS.Enabled {
		protocol = "SSL"
	}
	if k.SASL.Mechanism != NoSASL {
		protocol = "SASL_" + protocol + " " + k.SASL.Mechanism.String()
	}
	return protocol
}

func (s *SASL) keys() object {
	return object{
		{"mechanism", mechanismOf(&s.Mechanism), "Kafka's name for the way to authenticate; none: no SASL"},
		{"username", plain(&s.Username), "for PLAIN and SCRAM"},
		{"password", secretText(&s.Password, &s.PasswordFile), "the password itself: better a file"},
		{"password_file", secretFile(&s.PasswordFile, &s.Password), "the file that holds it"},
		{"oauth", object{
			{"token_file", filename(&s.OAuth.TokenFile), "a file with a token that somebody else keeps fresh; read at each authentication"},
			{"token_url", plain(&s.OAuth.TokenURL), "the endpoint that gives tokens for client_id and client_secret"},
			{"client_id", plain(&s.OAuth.ClientID), "the client's id, beside token_url"},
			{"client_secret", secretText(&s.OAuth.ClientSecret, &s.OAuth.ClientSecretFile), "the secret itself: better a file"},
			{"client_secret_file", secretFile(&s.OAuth.ClientSecretFile, &s.OAuth.ClientSecret), "the file that holds it"},
			{"scopes", texts(&s.OAuth.Scopes), "the scopes to ask for"},
		}, "for OAUTHBEARER: token_file alone, or token_url with the rest"},
	}
}

func (t *ClientTLS) keys() object {
	return object{
		{"enabled", boolean(&t.Enabled), "speak TLS with the brokers"},
		{"ca_file", pemFile(&t.CAFile, &t.CA), "the authorities that signed the brokers' certificates, in PEM; default: those of the system"},
		{"cert_file", pemFile(&t.CertFile, &t.Cert), "the certificate that this relay shows, in PEM"},
		{"key_file", secretFile(&t.KeyFile, &t.Key), "its private key, in PEM"},
		{"server_name", plain(&t.ServerName), "the name in the brokers' certificates, where it is not their address"},
	}
}

// mechanismOf has no text for none: there is no word for it.
func mechanismOf(dst *Mechanism) *scalar {
	s := oneOf(dst, parseMechanism, mechanismNames...)
	s.text = func() string {
		if *dst == NoSASL {
			return ""
		}
		return dst.String()
	}
	return s
}
