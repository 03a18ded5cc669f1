package config

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// loadKafkaSecrets reads the files with secrets under kafka.
func (ld *loader) loadKafkaSecrets() {
	s := &ld.cfg.Kafka.SASL
	ld.loadSecret("kafka.sasl.password", "kafka.sasl.password_file", &s.Password, &s.PasswordFile, false)
	ld.loadSecret("kafka.sasl.oauth.client_secret", "kafka.sasl.oauth.client_secret_file", &s.OAuth.ClientSecret, &s.OAuth.ClientSecretFile, false)
}

func (ld *loader) checkKafkaSecurity() {
	ld.checkTLS()
	ld.checkSASL()
}

// What the groups of mechanisms take.
var (
	saslUserKeys  = []string{"username", "password", "password_file"}
	saslOAuthKeys = []string{"oauth.token_file", "oauth.token_url", "oauth.client_id", "oauth.client_secret", "oauth.client_secret_file", "oauth.scopes"}
	tlsKeys       = []string{"ca_file", "cert_file", "key_file", "server_name"}
)

func (ld *loader) checkSASL() {
	const path = "kafka.sasl"
	s := &ld.cfg.Kafka.SASL
	if ld.wrong(path + ".mechanism") {
		return
	}
	encrypted := ld.cfg.Kafka.TLS.Enabled || ld.wrong("kafka.tls.enabled")
	switch s.Mechanism {
	case NoSASL:
		if slices.ContainsFunc(slices.Concat(saslUserKeys, saslOAuthKeys), func(k string) bool { return ld.given(path + "." + k) }) {
			ld.fault(path+".mechanism", "is missing", "one of "+strings.Join(mechanismNames, ", "))
		}
		return
	case Plain, ScramSHA256, ScramSHA512:
		ld.unused(saslOAuthKeys, s.Mechanism)
		ld.checkUser()
	case OAuthBearer:
		ld.unused(saslUserKeys, s.Mechanism)
		ld.checkOAuth()
	case AWSMSKIAM:
		ld.unused(slices.Concat(saslUserKeys, saslOAuthKeys), s.Mechanism)
		if !encrypted {
			ld.fault(path+".mechanism", "AWS_MSK_IAM needs TLS", "set kafka.tls.enabled: true")
		}
	}
	if !encrypted && s.Mechanism != AWSMSKIAM {
		ld.warn(path+".mechanism", s.Mechanism.String()+" without TLS: "+inTheOpen(s.Mechanism), "set kafka.tls.enabled: true")
	}
}

// inTheOpen says what somebody on the network gets.
func inTheOpen(m Mechanism) string {
	switch m {
	case Plain:
		return "whoever is on the network can read the password and every record"
	case OAuthBearer:
		return "whoever is on the network can read the token and every record"
	default:
		return "whoever is on the network can read every record, and try passwords offline"
	}
}

// unused refuses keys that the mechanism does not take.
func (ld *loader) unused(keys []string, m Mechanism) {
	for _, k := range keys {
		if p := "kafka.sasl." + k; ld.given(p) {
			ld.fault(p, m.String()+" does not use it", "remove it")
		}
	}
}

func (ld *loader) checkUser() {
	const path = "kafka.sasl"
	s := &ld.cfg.Kafka.SASL
	if s.Username == "" {
		ld.fault(path+".username", s.Mechanism.String()+" needs a username", "")
	}
	if s.Password.Empty() && !ld.wrong(path+".password") && !ld.wrong(path+".password_file") {
		ld.fault(path+".password", s.Mechanism.String()+" needs a password", "set password_file")
	}
}

func (ld *loader) checkOAuth() {
	const path = "kafka.sasl.oauth"
	o := &ld.cfg.Kafka.SASL.OAuth
	switch {
	case o.TokenFile != "" && o.TokenURL != "":
		ld.fault(path+".token_url", "is set beside token_file", "use one of them")
	case o.TokenFile != "":
		for _, k := range []string{"client_id", "client_secret", "client_secret_file", "scopes"} {
			if ld.given(path + "." + k) {
				ld.fault(path+"."+k, "a token file does not use it", "remove it, or set token_url in place of token_file")
			}
		}
		ld.checkTokenFile(path + ".token_file")
	case o.TokenURL != "":
		ld.checkTokenURL(path)
	case !ld.anyFault(path):
		ld.fault(path, "OAUTHBEARER needs token_file or token_url", "token_file: a file that somebody else keeps fresh; token_url: the endpoint that gives tokens for client_id and client_secret")
	}
}

// checkTokenFile only warns: the file may be written later than the relay starts.
func (ld *loader) checkTokenFile(path string) {
	o := &ld.cfg.Kafka.SASL.OAuth
	o.TokenFile = ld.resolve(o.TokenFile)
	if _, err := ld.src.ReadFile(o.TokenFile); err != nil {
		ld.warn(path, "the file cannot be read now: "+cause(err), "it is read again at each authentication")
		return
	}
	ld.readable(path, o.TokenFile)
}

func (ld *loader) checkTokenURL(path string) {
	o := &ld.cfg.Kafka.SASL.OAuth
	u, err := url.Parse(o.TokenURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		ld.fault(path+".token_url", "is no URL of a token endpoint", "example: https://id.example.com/oauth2/token")
	case u.User != nil:
		ld.fault(path+".token_url", "a URL holds no credentials: it is shown in logs", "set client_id and client_secret_file")
	case u.Fragment != "":
		ld.fault(path+".token_url", "a URL of a token endpoint has no #", "")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		ld.warn(path+".token_url", "whoever is on the network can read the client's secret", "use https")
	}
	if o.ClientID == "" {
		ld.fault(path+".client_id", "is missing beside token_url", "")
	}
	if o.ClientSecret.Empty() && !ld.wrong(path+".client_secret") && !ld.wrong(path+".client_secret_file") {
		ld.fault(path+".client_secret", "is missing beside token_url", "set client_secret_file")
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (ld *loader) checkTLS() {
	const path = "kafka.tls"
	t := &ld.cfg.Kafka.TLS
	if ld.wrong(path + ".enabled") {
		return
	}
	if !t.Enabled {
		ld.checkTLSOff(path)
		return
	}
	if strings.ContainsAny(t.ServerName, "/ ") || strings.Contains(t.ServerName, ":") && net.ParseIP(t.ServerName) == nil {
		ld.fault(path+".server_name", ld.quote(path+".server_name", t.ServerName)+" is no host name", "without scheme and port, as in the brokers' certificates")
	}
	if t.CAFile != "" {
		t.CA = ld.loadCertificates(path+".ca_file", &t.CAFile)
	}
	t.Cert, t.Key = ld.loadPair(path, &t.CertFile, &t.KeyFile)
}

// checkTLSOff finds settings that have no effect: with them somebody may
// believe that connections are encrypted.
func (ld *loader) checkTLSOff(path string) {
	for _, k := range tlsKeys {
		switch p := path + "." + k; {
		case !ld.given(p):
		case ld.given(path + ".enabled"):
			ld.warn(p, "is not used: kafka.tls.enabled is false", "")
		default:
			ld.fault(path+".enabled", "is missing beside "+k, "enabled: true (or false, to keep the rest for later)")
			return
		}
	}
}
