package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/config"
)

// pemFiles are the certificates and keys of the tests: good.pem and key.pem
// belong together.
var pemFiles = sync.OnceValue(func() map[string][]byte {
	year := func(y int) time.Time { return time.Date(y, 5, 17, 12, 0, 0, 0, time.UTC) }
	certificate := func(name string, from, to int) (cert, key []byte) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: year(from), NotAfter: year(to),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
		if err != nil {
			panic(err)
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			panic(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	}
	files := map[string][]byte{
		"broken.pem":    []byte("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"),
		"encrypted.pem": []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\naGVsbG8=\n-----END ENCRYPTED PRIVATE KEY-----\n"),
	}
	files["good.pem"], files["key.pem"] = certificate("good", 2020, 2220)
	_, files["other-key.pem"] = certificate("other", 2020, 2220)
	files["expired.pem"], _ = certificate("Old Authority", 2019, 2021)
	files["future.pem"], _ = certificate("New Authority", 2200, 2221)
	return files
})

// secured loads a file with PEM files beside it.
func secured(t *testing.T, kafka string, env ...string) (*config.Config, []config.Problem) {
	t.Helper()
	src := faultSource("c.yaml", []byte(kafka))
	src.Env = founding(append(env, "SECRET=hunter2hunter2")...)
	return mustLoad(t, src)
}

func TestKafkaSecurity(t *testing.T) {
	c, warnings := secured(t, `kafka:
  sasl: {mechanism: SCRAM-SHA-512, username: relay, password_file: good}
  tls: {enabled: true, ca_file: good.pem, cert_file: good.pem, key_file: key.pem, server_name: kafka.example.com}
`)
	if len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
	k := c.Kafka
	if k.SASL.Mechanism != config.ScramSHA512 || k.SASL.Mechanism.String() != "SCRAM-SHA-512" || k.SASL.Username != "relay" || string(k.SASL.Password.Bytes()) != "hunter2hunter2" {
		t.Errorf("sasl: %+v", k.SASL)
	}
	files := pemFiles()
	if !k.TLS.Enabled || string(k.TLS.CA) != string(files["good.pem"]) || string(k.TLS.Cert) != string(files["good.pem"]) ||
		string(k.TLS.Key.Bytes()) != string(files["key.pem"]) || k.TLS.ServerName != "kafka.example.com" {
		t.Errorf("tls: %+v", k.TLS)
	}

	c, _ = secured(t, `kafka:
  tls: {enabled: true}
  sasl:
    mechanism: OAUTHBEARER
    oauth: {token_url: "https://id.example.com/token", client_id: relay, client_secret_file: good, scopes: [kafka, "read:all"]}
`)
	if o := c.Kafka.SASL.OAuth; o.TokenURL != "https://id.example.com/token" || o.ClientID != "relay" || string(o.ClientSecret.Bytes()) != "hunter2hunter2" || strings.Join(o.Scopes, " ") != "kafka read:all" {
		t.Errorf("oauth: %+v", o)
	}
}

// Each scalar of kafka.sasl and kafka.tls by its variable.
func TestKafkaSecurityFromTheEnvironment(t *testing.T) {
	c, warnings := secured(t, "",
		"CXRELAY_KAFKA_SASL_MECHANISM=PLAIN", "CXRELAY_KAFKA_SASL_USERNAME=$ConnectionString", "CXRELAY_KAFKA_SASL_PASSWORD=p,w$${x}",
		"CXRELAY_KAFKA_TLS_ENABLED=true", "CXRELAY_KAFKA_TLS_CA_FILE=good.pem", "CXRELAY_KAFKA_TLS_CERT_FILE=good.pem",
		"CXRELAY_KAFKA_TLS_KEY_FILE=key.pem", "CXRELAY_KAFKA_TLS_SERVER_NAME=10.0.0.1")
	if len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
	k := c.Kafka
	if k.SASL.Mechanism != config.Plain || k.SASL.Username != "$ConnectionString" || string(k.SASL.Password.Bytes()) != "p,w$${x}" {
		t.Errorf("sasl: %+v %q", k.SASL, k.SASL.Password.Bytes())
	}
	if !k.TLS.Enabled || len(k.TLS.CA) == 0 || len(k.TLS.Cert) == 0 || k.TLS.Key.Empty() || k.TLS.ServerName != "10.0.0.1" {
		t.Errorf("tls: %+v", k.TLS)
	}
	c, _ = secured(t, "",
		"CXRELAY_KAFKA_SASL_MECHANISM=OAUTHBEARER", "CXRELAY_KAFKA_SASL_OAUTH_TOKEN_URL=http://127.0.0.1:1/t", "CXRELAY_KAFKA_TLS_ENABLED=true",
		"CXRELAY_KAFKA_SASL_OAUTH_CLIENT_ID=id", "CXRELAY_KAFKA_SASL_OAUTH_CLIENT_SECRET_FILE=good")
	if o := c.Kafka.SASL.OAuth; o.TokenURL == "" || o.ClientID != "id" || string(o.ClientSecret.Bytes()) != "hunter2hunter2" {
		t.Errorf("oauth: %+v", o)
	}
}

// What an operator should hear of, although it can be meant so.
func TestKafkaSecurityWarnings(t *testing.T) {
	for name, c := range map[string]struct{ kafka, want string }{
		"plain in the open": {`kafka: {sasl: {mechanism: PLAIN, username: u, password_file: good}}`,
			`c.yaml:1:27: kafka.sasl.mechanism: PLAIN without TLS: whoever is on the network can read the password and every record`},
		"scram in the open": {`kafka: {sasl: {mechanism: SCRAM-SHA-256, username: u, password_file: good}}`,
			`c.yaml:1:27: kafka.sasl.mechanism: SCRAM-SHA-256 without TLS: whoever is on the network can read every record, and try passwords offline`},
		"token in the open": {`kafka: {sasl: {mechanism: OAUTHBEARER, oauth: {token_file: good}}}`,
			`c.yaml:1:27: kafka.sasl.mechanism: OAUTHBEARER without TLS: whoever is on the network can read the token and every record`},
		"no token yet": {`kafka: {tls: {enabled: true}, sasl: {mechanism: OAUTHBEARER, oauth: {token_file: later}}}`,
			`c.yaml:1:82: kafka.sasl.oauth.token_file: the file cannot be read now: file does not exist`},
		"expired authority": {`kafka: {tls: {enabled: true, ca_file: expired.pem}}`,
			`c.yaml:1:39: kafka.tls.ca_file: the certificate "Old Authority" expired on 2021-05-17`},
		"future authority": {`kafka: {tls: {enabled: true, ca_file: future.pem}}`,
			`c.yaml:1:39: kafka.tls.ca_file: the certificate "New Authority" is not valid before 2200-05-17`},
		"secret in the file": {`kafka: {tls: {enabled: true}, sasl: {mechanism: PLAIN, username: u, password: hunter2}}`,
			`c.yaml:1:79: kafka.sasl.password: a secret is written in the file`},
		"http token endpoint": {`kafka: {tls: {enabled: true}, sasl: {mechanism: OAUTHBEARER, oauth: {token_url: "http://id/t", client_id: a, client_secret_file: good}}}`,
			`c.yaml:1:81: kafka.sasl.oauth.token_url: whoever is on the network can read the client's secret`},
		"switched off": {`kafka: {tls: {enabled: false, server_name: x}}`,
			`c.yaml:1:44: kafka.tls.server_name: is not used: kafka.tls.enabled is false`},
	} {
		_, warnings := secured(t, c.kafka)
		if len(warnings) != 1 || firstLine(warnings[0]) != c.want {
			t.Errorf("%s: got %v\nwant %s", name, warnings, c.want)
		}
	}
}

func firstLine(p config.Problem) string {
	s, _, _ := strings.Cut(p.String(), "\n")
	return strings.Replace(s, "warning: ", "", 1)
}

// A private key that everybody can read is worth a line; relative names are
// from the folder of the file.
func TestKafkaKeyOnDisk(t *testing.T) {
	dir := t.TempDir()
	for name, data := range pemFiles() {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "key.pem"), fs.FileMode(0o644)); err != nil {
		t.Fatal(err)
	}
	c, warnings := mustLoad(t, config.Source{File: filepath.Join(dir, "c.yaml"), Env: founding(),
		Data: []byte("kafka: {tls: {enabled: true, ca_file: good.pem, cert_file: good.pem, key_file: key.pem}}\n")})
	if len(warnings) != 1 || warnings[0].Path != "kafka.tls.key_file" || !strings.HasPrefix(warnings[0].Message, "every user of this machine can read") {
		t.Errorf("warnings: %v", warnings)
	}
	if c.Kafka.TLS.KeyFile != filepath.Join(dir, "key.pem") || c.Kafka.TLS.Key.Empty() {
		t.Errorf("%+v", c.Kafka.TLS)
	}
}
