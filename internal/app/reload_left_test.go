package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/devkit"
)

// TestOpenSourceAndOldConnections: a source that verifies nothing rests on the
// certificates of its senders. A connection that was opened before they were
// demanded, or with one of an authority that is gone, does not reach it.
func TestOpenSourceAndOldConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newAuthority(t, "one"), newAuthority(t, "two")
		relay, sender, next := newPair(t, one, "relay"), newPair(t, one, "sender"), newPair(t, two, "sender")
		files := baseFiles()
		files.set("relay.yaml", "listen: {tls: {cert_file: tls.crt, key_file: tls.key}}\n"+baseConfig)
		files.set("tls.crt", string(relay.Cert))
		files.set("tls.key", string(relay.Key))
		files.set("ca.crt", string(one.PEM))
		w := newWorld(t, worldOptions{files: files})
		defer w.end()
		w.untilReady()
		w.scheme = "https"
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(one.PEM)
		front, _ := w.client.Transport.(*http.Transport)
		connect := func(pairs ...tls.Certificate) *http.Client {
			return &http.Client{Transport: &http.Transport{DialContext: front.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: pairs}}}
		}
		pair := func(cert, key []byte) tls.Certificate {
			c, err := tls.X509KeyPair(cert, key)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		unsigned := func(c *http.Client) (reason string, closed bool) {
			t.Helper()
			resp, err := c.Post("https://127.0.0.1:8080/cxone/webhook", "application/json", strings.NewReader(event("QUEUE_TRANSFER", "c0", 0).body))
			if err != nil {
				return "no connection", true
			}
			defer resp.Body.Close()
			var answer struct{ Reason string }
			if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
				t.Error(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			return answer.Reason, resp.Close
		}
		expect := func(what string, c *http.Client, want string, wantClosed bool) {
			t.Helper()
			if got, closed := unsigned(c); got != want || closed != wantClosed {
				t.Errorf("%s: %s, closed: %t", what, got, closed)
			}
		}
		nobody := connect()
		expect("before", nobody, "bad_signature", false)

		const signed = "{preset: cxone, secrets: [{id: a, file: a.secret}]}"
		w.files.edit("relay.yaml", signed, "{preset: none}")
		w.files.edit("relay.yaml", "key_file: tls.key", "key_file: tls.key, client_ca_file: ca.crt")
		if a := w.tryReload(); a.status != http.StatusOK {
			t.Fatalf("%+v", a)
		}
		expect("a connection from before", nobody, "draining", true)
		expect("a new one without a certificate", nobody, "no connection", true)
		mine := connect(pair(sender.Cert, sender.Key))
		expect("a certificate", mine, "accepted", false)

		w.files.set("tls.crt", string(newPair(t, one, "relay").Cert)) // fits no key
		w.refused(http.StatusUnprocessableEntity, "listen.tls")
		w.files.set("tls.crt", string(relay.Cert))
		again := newPair(t, one, "relay")
		w.files.set("tls.crt", string(again.Cert))
		w.files.set("tls.key", string(again.Key))
		w.reload("listen.tls.cert_file", "listen.tls.key_file")
		expect("a new certificate of the relay", mine, "accepted", false)

		w.files.set("ca.crt", string(two.PEM))
		w.reload("listen.tls.client_ca_file")
		expect("a certificate of the authority that is gone", mine, "draining", true)
		expect("the same on a new connection", mine, "no connection", true)
		theirs := connect(pair(next.Cert, next.Key))
		expect("a certificate of the next authority", theirs, "accepted", false)
		for _, c := range []*http.Client{nobody, mine, theirs} {
			c.CloseIdleConnections()
		}
	})
}

// TestRefusedReloadPinsNothing: the remedy of a refused reload can be followed.
func TestRefusedReloadPinsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{files: baseFiles(), topics: append([]string{"four"}, seedTopics...)})
		defer w.end()
		w.untilReady()
		routed := baseConfig + "  - {type: NEW, topic: four}\n"
		w.files.set("relay.yaml", routed+"kafka: {partitions: {four: 80}}\n")
		w.refused(http.StatusServiceUnavailable, "set kafka.partitions for four to 8")
		w.files.set("relay.yaml", routed+"  - {type: ELSE, topic: missing}\nkafka: {partitions: {four: 4}}\n")
		w.refused(http.StatusServiceUnavailable, "topic missing")
		time.Sleep(100 * time.Second) // it is tried again and again; not for as long as an idle connection lives, at whose end a request can be lost
		if n := strings.Count(w.log.String(), `"msg":"configuration not reloaded`); n != 2 || strings.Contains(w.log.String(), "topic unavailable") {
			t.Errorf("%d lines of two refusals, or some of the topics", n)
		}
		w.files.set("relay.yaml", routed+"kafka: {partitions: {four: 8}}\n")
		w.reload("routes[4]", "kafka.partitions")
		if !strings.Contains(w.log.String(), `"msg":"topic available","topic":"four","partitions":8`) {
			t.Error("no line of the new topic")
		}
		s := event("NEW", "c0", 0)
		s.topic = "four"
		if why := w.send(s); why != "accepted" {
			t.Error(why)
		}
		if n := w.scrape().series[`cxrelay_topic_partitions_pinned{topic="four"}`]; n != 8 {
			t.Errorf("%v partitions pinned", n)
		}
		w.judge()
	})
}

// TestPrefixNeedsSchemaAtReload: without schemas of our own there is no id to
// put before a value, at the start and at a reload.
func TestPrefixNeedsSchemaAtReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := baseFiles()
		remote := baseConfig + "schema: {mode: remote}\n"
		files.set("relay.yaml", remote)
		w := newWorld(t, worldOptions{files: files})
		defer w.end()
		w.untilReady()
		w.files.set("relay.yaml", strings.Replace(remote, "topic: cxone.transfers.raw", "topic: cxone.transfers.raw, wire: prefix", 1))
		w.refused(http.StatusUnprocessableEntity, "wire")
		if why := w.send(event("QUEUE_TRANSFER", "c0", 0)); why != "accepted" {
			t.Error(why)
		}
		w.judge()
	})
}

// TestPinnedVersionOfAnotherRegistry: the ids are those of the registry that is
// configured, also for a version that is pinned and was loaded before, and from
// the first event on.
func TestPinnedVersionOfAnotherRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Credentials choose the registry, as with a hosted one.
		registry := func(rw http.ResponseWriter, r *http.Request) {
			ids := map[string]int{"one": 101, "two": 202}
			user, _, _ := r.BasicAuth()
			subject, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/subjects/"), "/")
			if subject == "gone" && user == "two" {
				rw.WriteHeader(http.StatusNotFound)
				return
			}
			_ = json.NewEncoder(rw).Encode(map[string]any{"subject": subject, "version": 1, "id": ids[user], "schemaType": "JSON", "schema": devkit.DevSchema})
		}
		files := baseFiles()
		files.set("relay.yaml", strings.Replace(baseConfig, "topic: cxone.calls.terminated", "topic: cxone.calls.terminated, subject: gone, version: 1", 1)+
			"schema: {version: 1, registry: {username: one, password: p}}\n")
		w := newWorld(t, worldOptions{files: files, registry: registry})
		defer w.end()
		w.untilReady()
		id := func(kind string, n int) string {
			t.Helper()
			s := event(kind, "c0", n)
			if why := w.send(s); why != "accepted" {
				t.Error(why)
			}
			return w.headers(s.id)["cxrelay-schema-id"]
		}
		if got := id("QUEUE_TRANSFER", 0); got != "101" {
			t.Errorf("id %s", got)
		}
		w.files.edit("relay.yaml", "username: one", "username: two")
		w.reload("schema.registry.username")
		if got := id("QUEUE_TRANSFER", 1); got != "202" {
			t.Errorf("id %s in the other registry", got)
		}
		if got := id("CALL_DISCONNECTED", 2); got != "101" {
			t.Errorf("id %s where the other registry has none: the last good one stays", got)
		}
		if d := w.app.Readiness().Degraded; len(d) != 1 || !strings.Contains(d[0], "subject gone version 1") {
			t.Errorf("degraded: %q", d)
		}
		w.judge()
	})
}

// TestFileChangesWhileLoaded: a secret that is rotated between two readings of
// one load is in use after the next look at the files.
func TestFileChangesWhileLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := baseFiles()
		two := baseConfig + "limits: {body: 32KiB}\n"
		two = strings.Replace(two, "routes:", "  - {name: other, path: /other, signature: {preset: cxone, secrets: [{id: a, file: a.secret}]}}\nroutes:", 1)
		files.set("relay.yaml", two)
		w := newWorld(t, worldOptions{files: files})
		defer w.end()
		w.untilReady()
		w.files.set("relay.yaml", strings.Replace(two, "32KiB", "64KiB", 1))
		w.files.rotate("a.secret", "the-next-secret\n")
		if a := w.tryReload(); a.status != http.StatusOK {
			t.Fatalf("%+v", a)
		}
		w.secret.Store("the-next-secret")
		w.until("the next secret", 15*time.Second, func() bool {
			_, why := w.post(event("QUEUE_TRANSFER", "c0", 0))
			return why == "accepted"
		})
	})
}
