package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/devkit/pki"
)

const syscallHangup = syscall.SIGHUP

// TestFilesArePolled: a change of the file and of a secret is taken over by
// itself; a file that is being written is left until it rests; one that
// vanishes is said once and tried again; what is refused is tried again too.
func TestFilesArePolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles()})
		defer w.end()
		w.untilReady()
		said := func(part string) int { return strings.Count(w.log.String(), part) }
		const taken, refused = `"msg":"configuration reloaded"`, `"msg":"configuration not reloaded`
		time.Sleep(time.Minute)
		if said(taken) != 0 {
			t.Error("reloaded without a change")
		}

		w.files.set("a.secret", "rotated\n")
		w.secret.Store("rotated")
		w.within(12*time.Second, "the secret", func() bool { return said(taken) == 1 })
		if why := w.send(event("QUEUE_TRANSFER", "c0", 0)); why != "accepted" {
			t.Error(why)
		}

		// Half a file every 700 ms, for half a minute.
		for n := range 40 {
			w.files.set("relay.yaml", baseConfig+strings.Repeat("#", n))
			time.Sleep(700 * time.Millisecond)
		}
		if said(taken) != 1 || said(refused) != 0 {
			t.Error("a file that was being written was loaded")
		}
		w.files.edit("relay.yaml", "topic: cxone.transfers.raw", "drop: true")
		w.within(22*time.Second, "the file", func() bool { return said(taken) == 2 })

		secret := w.files.remove("a.secret")
		w.within(12*time.Second, "the loss", func() bool { return said(refused) == 1 })
		time.Sleep(time.Minute)
		if said(refused) != 1 {
			t.Errorf("said %d times", said(refused))
		}
		if _, why := w.post(event("QUEUE_TRANSFER", "c0", 1)); why != "dropped" {
			t.Errorf("without the file: %s", why)
		}
		w.files.set("a.secret", secret)
		w.within(12*time.Second, "the return", func() bool { return said(taken) == 3 })
		if w.scrape().series["cxrelay_config_last_reload_successful"] != 1 {
			t.Error("not successful again")
		}

		// The topic comes after the route.
		w.files.set("relay.yaml", baseConfig+"  - {type: NEW, topic: later}\n")
		w.within(22*time.Second, "the refusal", func() bool { return said(refused) == 2 })
		time.Sleep(30 * time.Second)
		if err := w.kafka.Cluster.CreateTopic("later", 4, nil); err != nil {
			t.Fatal(err)
		}
		w.within(22*time.Second, "the topic", func() bool { return said(taken) == 4 })
		if said(refused) != 2 {
			t.Errorf("said %d times", said(refused))
		}
		if why := w.send(event("NEW", "c0", 2)); why != "accepted" {
			t.Errorf("the new route: %s", why)
		}
	})
}

// TestCertificateReloads under load: the certificate is renewed by another
// authority, and client certificates are demanded later. No connection is
// dropped, no event refused.
func TestCertificateReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newAuthority(t, "one"), newAuthority(t, "two")
		first, second, sender := newPair(t, one, "relay"), newPair(t, two, "relay"), newPair(t, two, "sender")
		files := baseFiles()
		files.set("relay.yaml", "listen: {tls: {cert_file: tls.crt, key_file: tls.key}}\n"+baseConfig)
		files.set("tls.crt", string(first.Cert))
		files.set("tls.key", string(first.Key))
		files.set("ca.crt", string(two.PEM))
		w := newWorld(t, worldOptions{files: files})
		defer w.end()
		w.untilReady()

		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(one.PEM)
		roots.AppendCertsFromPEM(two.PEM)
		mine, err := tls.X509KeyPair(sender.Cert, sender.Key)
		if err != nil {
			t.Fatal(err)
		}
		transport, _ := w.client.Transport.(*http.Transport)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{mine}}
		w.scheme = "https"
		issuer := func() string {
			t.Helper()
			conn, err := transport.DialContext(t.Context(), "tcp", "127.0.0.1:8080")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "relay"})
			if err := c.HandshakeContext(t.Context()); err != nil {
				return err.Error()
			}
			return c.ConnectionState().PeerCertificates[0].Issuer.CommonName
		}
		if got := issuer(); got != "one" {
			t.Errorf("the first certificate is by %s", got)
		}
		end := time.Now().Add(40 * time.Second)
		wait := w.load(8, 100*time.Millisecond, end)
		var scraper sync.WaitGroup
		scraper.Go(func() { w.watchReloads(200*time.Millisecond, end) })
		time.Sleep(2 * time.Second)
		w.files.set("tls.crt", string(second.Cert)) // certificate and key do not fit for a moment
		w.files.set("tls.key", string(second.Key))
		w.within(22*time.Second, "the new certificate", func() bool {
			return strings.Contains(w.log.String(), `"trigger":"polling","changed":["listen.tls.cert_file","listen.tls.key_file"]`)
		})
		if got := issuer(); got != "two" {
			t.Errorf("the new certificate is by %s", got)
		}
		w.files.edit("relay.yaml", "key_file: tls.key", "key_file: tls.key, client_ca_file: ca.crt")
		w.reload("listen.tls.client_ca_file")
		wait()
		scraper.Wait()
		w.never()
		w.judge()
		w.files.edit("relay.yaml", "listen: {tls: {cert_file: tls.crt, key_file: tls.key, client_ca_file: ca.crt}}", "")
		w.refused(http.StatusConflict, "listen.tls.cert_file: has changed")
	})
}

func newAuthority(t *testing.T, name string) *pki.Authority {
	t.Helper()
	a, err := pki.New(name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newPair(t *testing.T, a *pki.Authority, host string) pki.Pair {
	t.Helper()
	p, err := a.Issue(host, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}
