package config

import (
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
	}
}

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

// checkAdmin warns of an admin listener on the network without a token.
func (ld *loader) checkAdmin() {
	a := &ld.cfg.Admin
	host, _, err := net.SplitHostPort(a.Address)
	if err != nil || isLoopback(host) || !a.Token.Empty() || ld.faulty["admin"] || ld.faulty["admin.token_file"] {
		return
	}
	ld.warn("admin.address", "is not on loopback, and there is no admin.token_file: only /metrics and /-/healthy, /-/ready answer there",
		"that is enough for Prometheus and Kubernetes; for the rest set admin.token_file, or listen on 127.0.0.1")
}
