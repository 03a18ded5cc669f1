package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
)

// loadCertificates reads a PEM file with at least one certificate, and warns
// of those that are not valid now.
func (ld *loader) loadCertificates(path string, file *string) []byte {
	*file = ld.resolve(*file)
	data, err := ld.src.ReadFile(*file)
	if _, ok := ld.absent(path, err); ok {
		return nil
	}
	if err != nil {
		ld.faultUnread(path, *file, err)
		return nil
	}
	n := 0
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			ld.fault(path, fmt.Sprintf("certificate %d of the file cannot be parsed", n), "look at it: openssl x509 -in FILE -text")
			return nil
		}
		ld.warnOfDates(path, cert)
	}
	if n == 0 {
		ld.fault(path, "the file holds no certificate in PEM", "convert it: openssl x509 -inform der -in FILE -out FILE.pem")
		return nil
	}
	return data
}

func (ld *loader) warnOfDates(path string, cert *x509.Certificate) {
	name := cert.Subject.CommonName
	if name == "" {
		name = cert.Subject.String()
	}
	const date = time.DateOnly
	switch now := time.Now(); {
	case now.After(cert.NotAfter):
		ld.warn(path, fmt.Sprintf("the certificate %s expired on %s", quote(name), cert.NotAfter.UTC().Format(date)), "renew it")
	case now.Before(cert.NotBefore):
		ld.warn(path, fmt.Sprintf("the certificate %s is not valid before %s", quote(name), cert.NotBefore.UTC().Format(date)), "look at the clock of this host")
	}
}

// loadPair reads a certificate and its private key, under the keys cert_file
// and key_file of path: both of them or none.
func (ld *loader) loadPair(path string, certFile, keyFile *string) (cert []byte, key Secret) {
	switch {
	case *certFile == "" && *keyFile == "":
		return nil, Secret{}
	case *keyFile == "":
		ld.fault(path+".key_file", "is missing beside cert_file", "")
	case *certFile == "":
		ld.fault(path+".cert_file", "is missing beside key_file", "")
	}
	if *certFile != "" {
		cert = ld.loadCertificates(path+".cert_file", certFile)
	}
	if *keyFile != "" {
		key = ld.loadKey(path+".key_file", keyFile, cert)
	}
	return cert, key
}

// loadKey reads the private key of a certificate, which is empty when that has
// a fault of its own.
func (ld *loader) loadKey(path string, file *string, cert []byte) Secret {
	*file = ld.resolve(*file)
	data, err := ld.src.ReadFile(*file)
	if _, ok := ld.absent(path, err); ok {
		return Secret{}
	}
	if err != nil {
		ld.faultUnread(path, *file, err)
		return Secret{}
	}
	ld.readable(path, *file)
	switch {
	case bytes.Contains(data, []byte("ENCRYPTED")): // PKCS #8, or the older Proc-Type header
		ld.fault(path, "the private key is encrypted", "decrypt it into a file that only the relay can read: openssl pkey -in FILE -out FILE.plain")
		return Secret{}
	case !bytes.Contains(data, []byte("PRIVATE KEY-----")):
		ld.fault(path, "the file holds no private key in PEM", "")
		return Secret{}
	case len(cert) == 0:
		return Secret{} // said already
	}
	if _, err := tls.X509KeyPair(cert, data); err != nil {
		ld.fault(path, "the key does not go with the certificate: "+strings.TrimPrefix(err.Error(), "tls: "), "")
		return Secret{}
	}
	return NewSecret(data)
}
