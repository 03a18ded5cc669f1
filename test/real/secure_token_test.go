//go:build real

package real_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/real"
	"github.com/cxrelay/cxrelay/test/storm"
)

// tokenFile writes a token as a sidecar would.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	writeToken(t, file, token)
	return file
}

// writeToken puts a token in the place of another at once, as a sidecar would.
func writeToken(t *testing.T, file, token string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// byTokenFile and byClient are settings for the listener that takes tokens.
func byTokenFile(cluster *real.Cluster, file string) string {
	return fmt.Sprintf("tls: {enabled: true, ca_file: %q}, sasl: {mechanism: OAUTHBEARER, oauth: {token_file: %q}}", cluster.CA(), file)
}

func byClient(cluster *real.Cluster, url, clientSecret string) string {
	return fmt.Sprintf("tls: {enabled: true, ca_file: %q}, sasl: {mechanism: OAUTHBEARER, oauth: {token_url: %q, client_id: %s, client_secret: %q, scopes: [kafka]}}",
		cluster.CA(), url, real.FirstUser, clientSecret)
}

// identity is a token endpoint of RFC 6749 for one client.
type identity struct {
	*httptest.Server
	issued atomic.Int64
}

func newIdentity(t *testing.T, cluster *real.Cluster, clientSecret string, life time.Duration) *identity {
	t.Helper()
	i := &identity{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		user, password, ok := r.BasicAuth()
		if !ok {
			user, password = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
		}
		if user != real.FirstUser || password != clientSecret || r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("scope") != "kafka" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
			return
		}
		i.issued.Add(1)
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, cluster.Token(real.Claims{Subject: real.FirstUser, Life: life}), int(life.Seconds()))
	}))
	t.Cleanup(i.Close)
	return i
}

// TestTokens: relays get in with OAUTHBEARER, by a file and by an endpoint. The
// broker ends each session with its token: the endpoint gives a new one and
// nobody notices; a file that is not renewed is said once, until it is.
func TestTokens(t *testing.T) {
	const life = 6 * time.Second
	const what = "the broker refuses these credentials"
	cluster := guarded(t)
	endpoint := newIdentity(t, cluster, "a secret", life)
	file := tokenFile(t, cluster.Token(real.Claims{Subject: real.FirstUser, Life: life}))
	book := newBook(t)
	renewing, send := tokenRelay(t, cluster, book, "endpoint", byClient(cluster, endpoint.URL, "a secret"))
	stale, sendStale := tokenRelay(t, cluster, book, "file", byTokenFile(cluster, file))
	real.Until(t, "a relay is in with a token that somebody renews", 30*time.Second, func() bool {
		writeToken(t, file, cluster.Token(real.Claims{Subject: real.FirstUser, Life: life}))
		return sendStale() == http.StatusOK
	})
	if said := problems(t, stale); len(said) > 0 {
		t.Errorf("a problem with a good token: %+v", said)
	}
	// From here on nobody renews the file.
	real.Until(t, "a token of the endpoint is renewed, and the end of that in the file is said", 5*life, func() bool {
		send()
		_, body := get(t, stale.Admin+"/-/ready")
		return endpoint.issued.Load() >= 2 && strings.Contains(body, what)
	})
	for range 50 { // on the new token
		if status := send(); status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
	}
	if said := problems(t, renewing); len(said) > 0 {
		t.Errorf("a renewal was noticed: %+v", said)
	}
	if said := problems(t, stale); len(said) != 1 || said[0].What != what || !strings.Contains(said[0].Remedy, "expiry") {
		t.Errorf("the log says %+v, want once %q", said, what)
	}
	writeToken(t, file, cluster.Token(real.Claims{Subject: real.FirstUser, Life: time.Hour}))
	real.Until(t, "the new token is taken", time.Minute, func() bool {
		status, body := get(t, stale.Admin+"/-/ready")
		return status == http.StatusOK && !strings.Contains(body, what)
	})
	if status := sendStale(); status != http.StatusOK {
		t.Errorf("answered %d with the new token", status)
	}
	kept(t, book.judge(t, cluster.ReadMany(storm.Topics()...), logs(t, []*real.Relay{renewing, stale})))
}

// tokenRelay starts a relay at the listener for tokens, which may not be ready
// yet, and returns how to send it one more event, once.
func tokenRelay(t *testing.T, cluster *real.Cluster, book *book, name, kafka string) (relay *real.Relay, send func() (status int)) {
	t.Helper()
	setup, _ := entering(t, cluster.TokenListener(), kafka)
	setup.Env, setup.Unready = []string{"CXRELAY_INSTANCE=" + name}, true
	relay = rig.Relay(t, setup)
	sender := book.sender(t, relay)
	n := 0
	return relay, func() int {
		n++
		return sender.Send(t.Context(), sender.Event(fmt.Sprintf("%s %d", name, n%10), storm.Types()[n%4])).Status
	}
}

// TestTokenRefused: a token that the broker does not take, and none at all.
func TestTokenRefused(t *testing.T) {
	cluster := guarded(t)
	endpoint := newIdentity(t, cluster, "a secret", time.Hour)
	refused := func(c real.Claims) string { return byTokenFile(cluster, tokenFile(t, cluster.Token(c))) }
	for _, w := range []way{
		{name: "expired", kafka: refused(real.Claims{Subject: real.FirstUser, Life: -time.Minute}), what: "the broker refuses these credentials", remedy: "expiry of the token"},
		{name: "for another audience", kafka: refused(real.Claims{Subject: real.FirstUser, Life: time.Hour, Audience: "mail"}), what: "the broker refuses these credentials", remedy: "audience"},
		{name: "not a token", kafka: byTokenFile(cluster, tokenFile(t, "abc")), what: "the broker refuses these credentials", remedy: "expiry of the token"},
		{name: "client refused", kafka: byClient(cluster, endpoint.URL, "another secret"), what: "the token endpoint refuses this client", remedy: "client_secret"},
	} {
		t.Run(w.name, func(t *testing.T) {
			w.address = cluster.TokenListener()
			w.lockedOut(t)
		})
	}
}
