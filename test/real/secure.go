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
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Secure asks for two more listeners, SASL_SSL and one for mutual TLS, and for
// ACLs that allow nobody anything. The rig's own way in, plain text, stays and
// is the super user's.
func Secure() Option { return func(s *settings) { s.secure = true } }

// Users who may log in on the SASL_SSL listener, all with Password, by PLAIN,
// SCRAM-SHA-256 and SCRAM-SHA-512. What they may do is up to Allow.
const (
	FirstUser  = "first"
	SecondUser = "second"
	Password   = "word; of the tests"
)

// secured is what the broker of a secure cluster has besides the plain one.
type secured struct {
	dir       string
	sasl, tls int // ports
	ca        *authority
}

// secure makes the authority and the broker's certificate.
func secure(ctx context.Context, dir string) (*secured, error) {
	ports, err := freePorts(ctx, 2)
	if err != nil {
		return nil, err
	}
	s := &secured{dir: dir, sasl: ports[0], tls: ports[1]}
	if s.ca, err = newAuthority("authority of the tests"); err != nil {
		return nil, err
	}
	cert, key, err := s.ca.issue("broker")
	if err != nil {
		return nil, err
	}
	return s, errors.Join(
		os.WriteFile(s.file("ca.pem"), s.ca.pem, 0o600),
		os.WriteFile(s.file("broker.pem"), append(key, cert...), 0o600),
	)
}

func (s *secured) file(name string) string { return filepath.Join(s.dir, name) }

// listeners are added to those of a plain broker.
func (s *secured) listeners() string {
	return fmt.Sprintf(",SASL_SSL://%s,SSL://%s", local(s.sasl), local(s.tls))
}

// properties are added to those of a plain broker.
func (s *secured) properties() []string {
	const scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	plain := fmt.Sprintf("org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=\"%s\" user_%s=\"%s\";", FirstUser, Password, SecondUser, Password)
	return []string{
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"listener.name.sasl_ssl.plain.sasl.jaas.config=" + plain,
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=" + scram,
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=" + scram,
		"listener.name.sasl_ssl.ssl.client.auth=requested",
		"listener.name.ssl.ssl.client.auth=required",
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
	for _, user := range []string{FirstUser, SecondUser} {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, Password))
		}
	}
	return args
}

// SASL returns the address of the SASL_SSL listener.
func (c *Cluster) SASL() string { return local(c.secured.sasl) }

// MutualTLS returns the address of the listener that asks for a certificate.
func (c *Cluster) MutualTLS() string { return local(c.secured.tls) }

// CA returns the file of the authority that the broker's certificate is from.
func (c *Cluster) CA() string { return c.secured.file("ca.pem") }

// OtherCA returns the file of an authority that nothing here is from.
func (c *Cluster) OtherCA() string {
	c.t.Helper()
	other, err := newAuthority("another authority")
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
	cert, key, err := c.secured.ca.issue(name)
	certFile, keyFile = c.secured.file(name+".pem"), c.secured.file(name+"-key.pem")
	if err := errors.Join(err, os.WriteFile(certFile, cert, 0o600), os.WriteFile(keyFile, key, 0o600)); err != nil {
		c.t.Fatal(err)
	}
	return certFile, keyFile
}

// Allow lets a principal write to topics and see their settings.
func (c *Cluster) Allow(principal string, topics ...string) {
	c.t.Helper()
	c.acl(kadm.NewACLs().Allow(principal), kadm.OpWrite, topics)
	c.acl(kadm.NewACLs().Allow(principal), kadm.OpDescribeConfigs, topics)
}

// Deny forbids a principal to write to topics, which it may still describe.
func (c *Cluster) Deny(principal string, topics ...string) {
	c.t.Helper()
	c.acl(kadm.NewACLs().Deny(principal), kadm.OpWrite, topics)
}

func (c *Cluster) acl(b *kadm.ACLBuilder, op kadm.ACLOperation, topics []string) {
	c.t.Helper()
	done, err := c.admin.CreateACLs(c.t.Context(), b.Topics(topics...).ResourcePatternType(kadm.ACLPatternLiteral).Operations(op))
	for _, one := range done {
		err = errors.Join(err, one.Err)
	}
	if err != nil || len(done) != len(topics) {
		c.t.Fatalf("%d ACLs for %d topics: %v", len(done), len(topics), err)
	}
}

// Forget takes back what Allow and Deny said of a principal and topics.
func (c *Cluster) Forget(principal string, topics ...string) {
	c.t.Helper()
	b := kadm.NewACLs().Allow(principal).AllowHosts().Deny(principal).DenyHosts().Topics(topics...).ResourcePatternType(kadm.ACLPatternLiteral).Operations()
	done, err := c.admin.DeleteACLs(c.t.Context(), b)
	for _, one := range done {
		err = errors.Join(err, one.Err)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// authority signs certificates that are good for an hour, on both ends of TLS.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := template(name)
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
func (a *authority) issue(name string) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := template(name)
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

func template(name string) *x509.Certificate {
	now := time.Now()
	serial := big.NewInt(now.UnixNano())
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
}
