package real

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cxrelay/cxrelay/test/process"
)

// Secure asks for more listeners: SASL_SSL, one for mutual TLS, one for tokens,
// two with certificates that are over; and for ACLs that allow nobody anything.
// The rig's own way in, plain text, stays and is the super user's.
func Secure() Option { return func(s *settings) { s.secure = true } }

// Users who may log in on the SASL_SSL listener, all with Password, by PLAIN,
// SCRAM-SHA-256 and SCRAM-SHA-512. What they may do is up to Allow.
const (
	FirstUser  = "first"
	SecondUser = "second"
	Password   = "word; of the tests"
)

// The listeners of a secure cluster, by Kafka's name.
const (
	saslListener    = "SASL_SSL"
	mutualListener  = "SSL"
	tokenListener   = "TOKEN"   // SASL_SSL with OAUTHBEARER alone
	expiredListener = "EXPIRED" // TLS, with a certificate that is over
	oldListener     = "OLD"     // TLS, with a certificate of an authority that is over
)

// protocols are Kafka's names for how the listeners talk.
var protocols = map[string]string{
	saslListener: "SASL_SSL", mutualListener: "SSL", tokenListener: "SASL_SSL", expiredListener: "SSL", oldListener: "SSL",
}

// secured is what the broker of a secure cluster has besides the plain one.
type secured struct {
	dir    string
	ports  map[string]int // by listener
	ca     *authority
	issuer *issuer
}

// secure makes the authorities, the broker's certificates, and the keys of the
// issuer of tokens.
func secure(ctx context.Context, dir string) (*secured, error) {
	s := &secured{dir: dir, ports: map[string]int{}}
	ports, err := process.FreePorts(ctx, len(protocols))
	if err != nil {
		return nil, err
	}
	for name := range protocols {
		s.ports[name], ports = ports[0], ports[1:]
	}
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Minute)
	if s.ca, err = newAuthority("authority of the tests", soon); err != nil {
		return nil, err
	}
	old, err := newAuthority("authority of the past", past)
	if err != nil {
		return nil, err
	}
	if s.issuer, err = newIssuer(); err != nil {
		return nil, err
	}
	keys, err := s.issuer.jwks()
	err = errors.Join(err,
		os.WriteFile(s.file("ca.pem"), s.ca.pem, 0o600),
		os.WriteFile(s.file("old-ca.pem"), old.pem, 0o600),
		os.WriteFile(s.file("jwks.json"), keys, 0o600),
	)
	for file, of := range map[string]struct {
		by  *authority
		end time.Time
	}{"broker.pem": {s.ca, soon}, "expired.pem": {s.ca, past}, "old.pem": {old, soon}} {
		cert, key, failed := of.by.issue("broker", of.end)
		err = errors.Join(err, failed, os.WriteFile(s.file(file), append(key, cert...), 0o600))
	}
	return s, err
}

func (s *secured) file(name string) string { return filepath.Join(s.dir, name) }

// listeners are added to those of a plain broker, as a list of name and
// address, and of name and protocol.
func (s *secured) listeners() (addresses, speak string) {
	if s == nil {
		return "", ""
	}
	for _, name := range slices.Sorted(maps.Keys(protocols)) {
		addresses += "," + name + "://" + process.Local(s.ports[name])
		speak += "," + name + ":" + protocols[name]
	}
	return addresses, speak
}

// virtualMachine are options of the broker's JVM: from Kafka 4.0 on it takes
// keys only from URLs that are listed there, from 4.1 on also files
// (https://kafka.apache.org/41/configuration/system-properties).
func (s *secured) virtualMachine() []string {
	if s == nil {
		return nil
	}
	return []string{
		"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://" + s.file("jwks.json"),
		"-Dorg.apache.kafka.sasl.oauthbearer.allowed.files=" + s.file("jwks.json"),
	}
}

// properties are added to those of a plain broker.
func (s *secured) properties() []string {
	if s == nil {
		return nil
	}
	const scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	plain := fmt.Sprintf("org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=\"%s\" user_%s=\"%s\";", FirstUser, Password, SecondUser, Password)
	return []string{
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"listener.name.sasl_ssl.plain.sasl.jaas.config=" + plain,
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=" + scram,
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=" + scram,
		"listener.name.sasl_ssl.ssl.client.auth=requested",
		"listener.name.ssl.ssl.client.auth=required",
		"listener.name.expired.ssl.keystore.location=" + s.file("expired.pem"),
		"listener.name.old.ssl.keystore.location=" + s.file("old.pem"),
		"listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER",
		"listener.name.token.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
		"listener.name.token.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
		"listener.name.token.oauthbearer.sasl.oauthbearer.jwks.endpoint.url=file://" + s.file("jwks.json"),
		"listener.name.token.oauthbearer.sasl.oauthbearer.expected.issuer=" + tokenIssuer,
		"listener.name.token.oauthbearer.sasl.oauthbearer.expected.audience=" + tokenAudience,
		"listener.name.token.oauthbearer.sasl.oauthbearer.clock.skew.seconds=0",
		"listener.name.token.oauthbearer.connections.max.reauth.ms=3600000",
		"ssl.keystore.type=PEM",
		"ssl.keystore.location=" + s.file("broker.pem"),
		"ssl.truststore.type=PEM",
		"ssl.truststore.location=" + s.file("ca.pem"),
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:ANONYMOUS", // whoever comes without TLS and SASL: the rig, and the broker itself
	}
}

// users are arguments of the format command.
func (s *secured) users() (args []string) {
	if s == nil {
		return nil
	}
	for _, user := range []string{FirstUser, SecondUser} {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, Password))
		}
	}
	return args
}

// SASL returns the address of the SASL_SSL listener.
func (c *Cluster) SASL() string { return process.Local(c.secured.ports[saslListener]) }

// MutualTLS returns the address of the listener that asks for a certificate.
func (c *Cluster) MutualTLS() string { return process.Local(c.secured.ports[mutualListener]) }

// Expired returns the address of a TLS listener whose certificate is over.
func (c *Cluster) Expired() string { return process.Local(c.secured.ports[expiredListener]) }

// Old returns the address of a TLS listener whose certificate is good and its
// authority over, and that authority's file.
func (c *Cluster) Old() (address, ca string) {
	return process.Local(c.secured.ports[oldListener]), c.secured.file("old-ca.pem")
}

// CA returns the file of the authority that the broker's certificate is from.
func (c *Cluster) CA() string { return c.secured.file("ca.pem") }

// OtherCA returns the file of an authority that nothing here is from.
func (c *Cluster) OtherCA() string {
	c.t.Helper()
	other, err := newAuthority("another authority", time.Now().Add(time.Hour))
	if err == nil {
		err = os.WriteFile(c.secured.file("other.pem"), other.pem, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return c.secured.file("other.pem")
}

// Certificate returns the files of a new certificate and its key. The
// principal is User:CN=name.
func (c *Cluster) Certificate(name string) (certFile, keyFile string) {
	c.t.Helper()
	cert, key, err := c.secured.ca.issue(name, time.Now().Add(time.Hour))
	certFile, keyFile = c.secured.file(name+".pem"), c.secured.file(name+"-key.pem")
	if err := errors.Join(err, os.WriteFile(certFile, cert, 0o600), os.WriteFile(keyFile, key, 0o600)); err != nil {
		c.t.Fatal(err)
	}
	return certFile, keyFile
}

// authority signs certificates, for both ends of TLS.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(name string, end time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := template(name, end)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert: cert, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, err
}

// issue returns a certificate and its key, both PEM, the key in PKCS #8, which
// is what Java takes.
func (a *authority) issue(name string, end time.Time) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := template(name, end)
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

func template(name string, end time.Time) *x509.Certificate {
	serial := big.NewInt(time.Now().UnixNano())
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: end.Add(-3 * time.Hour), NotAfter: end}
}
