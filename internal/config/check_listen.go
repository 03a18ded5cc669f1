package config

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
)

func (ld *loader) checkListeners() {
	ld.checkAddresses()
	ld.checkListenTLS()
	ld.checkAdmin()
}

func (ld *loader) checkAddresses() {
	listen, admin := ld.cfg.Listen.Address, ld.cfg.Admin.Address
	ld.checkAddress("listen.address", listen)
	ld.checkAddress("admin.address", admin)
	if _, port, _ := net.SplitHostPort(listen); listen == admin && port != "0" {
		path, other := "admin.address", "listen.address"
		if !ld.given(path) {
			path, other = other, path
		}
		ld.fault(path, "is "+other+" too", "give each listener a port of its own")
	}
}

func (ld *loader) checkAddress(path, address string) {
	_, port, err := net.SplitHostPort(address)
	if err != nil || !isPort(port, 0) {
		ld.fault(path, ld.quote(path, address)+" is no address (examples: :8080, 127.0.0.1:8080, [::1]:8080)", "")
		return
	}
	if n, err := strconv.Atoi(port); err == nil && Ephemeral(n) {
		ld.warn(path, fmt.Sprintf("Linux lends port %d to outgoing connections: one of them may have it when the relay starts", n), "choose a port below 32768")
	}
}

// Ephemeral reports whether a port is one of those that Linux gives to outgoing
// connections by itself (net.ipv4.ip_local_port_range, by default).
func Ephemeral(port int) bool { return port >= 32768 && port <= 60999 }

func isPort(s string, lowest uint64) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n >= lowest
}

// checkListenTLS reads what the webhook listener needs to speak TLS.
func (ld *loader) checkListenTLS() {
	const path = "listen.tls"
	t := &ld.cfg.Listen.TLS
	t.Cert, t.Key = ld.loadPair(path, &t.CertFile, &t.KeyFile)
	if t.ClientCAFile == "" {
		return
	}
	t.ClientCA = ld.loadCertificates(path+".client_ca_file", &t.ClientCAFile)
	if t.CertFile == "" && !ld.anyFault(path) {
		ld.fault(path+".cert_file", "is missing beside client_ca_file: without TLS nobody shows a certificate", "set cert_file and key_file")
	}
}

// shortToken is the fewest bytes of an admin token that nobody guesses.
const shortToken = 16

// checkAdmin looks at the token, and warns of an admin listener on the network
// without one.
func (ld *loader) checkAdmin() {
	a := &ld.cfg.Admin
	const path = "admin.token_file"
	token := a.Token.Bytes()
	switch {
	case bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		ld.fault(path, "the token has characters that no Authorization header carries", "one line, without blanks: openssl rand -hex 32")
	case len(token) > 0 && len(token) < shortToken:
		ld.warn(path, fmt.Sprintf("the token has %d bytes: it can be guessed", len(token)), "openssl rand -hex 32")
	}
	host, _, err := net.SplitHostPort(a.Address)
	if err != nil || isLoopback(host) || len(token) > 0 || ld.wrong("admin") || ld.wrong(path) {
		return
	}
	ld.warn("admin.address", "is not on loopback, and there is no admin.token_file: only /metrics, /-/healthy and /-/ready answer there",
		"that is enough for Prometheus and Kubernetes; for the rest set admin.token_file, or listen on 127.0.0.1")
}
