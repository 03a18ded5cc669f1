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
	"github.com/cxrelay/cxrelay/test/real/judge"
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
// nobody notices; the file stays as it is, which is said once, until somebody
// renews it.
func TestTokens(t *testing.T) {
	const life = 5 * time.Second
	cluster := guarded(t)
	endpoint := newIdentity(t, cluster, "a secret", life)
	file := tokenFile(t, cluster.Token(real.Claims{Subject: real.FirstUser, Life: life}))
	var journal judge.Journal
	var relays []*real.Relay
	var senders []*judge.Sender
	for i, kafka := range []string{byClient(cluster, endpoint.URL, "a secret"), byTokenFile(cluster, file)} {
		setup, _ := entering(t, cluster.TokenListener(), kafka)
		setup.Env = []string{fmt.Sprintf("CXRELAY_INSTANCE=token-%d", i)}
		relay := rig.Relay(t, setup)
		sender := judge.NewSender(relay.URL, secret, &journal)
		t.Cleanup(sender.Close)
		relays, senders = append(relays, relay), append(senders, sender)
	}
	n := 0
	send := func(i int) {
		if a := senders[i].Insist(t.Context(), judge.NewEvent(judge.Types()[n%4], fmt.Sprintf("relay %d %d", i, n%10), n)); a.Status != http.StatusOK {
			t.Errorf("relay %d: %+v", i, a)
		}
		n++
	}
	send(1)
	renewing, stale := relays[0], relays[1]
	const what = "the broker refuses these credentials"
	real.Until(t, "one token is renewed, and the end of the other is said", 3*life, func() bool {
		send(0)
		_, body := get(t, stale.Admin+"/-/ready")
		return endpoint.issued.Load() >= 2 && strings.Contains(body, what)
	})
	for range 50 { // on the new token
		send(0)
	}
	if said := problems(t, renewing); len(said) > 0 {
		t.Errorf("a renewal was noticed: %+v", said)
	}
	if said := problems(t, stale); len(said) != 1 || said[0].What != what || !strings.Contains(said[0].Remedy, "expiry") {
		t.Errorf("the log says %+v, want once %q", said, what)
	}
	writeToken(t, file, cluster.Token(real.Claims{Subject: real.FirstUser, Life: time.Hour}))
	real.Until(t, "the new token is taken", 30*time.Second, func() bool {
		status, body := get(t, stale.Admin+"/-/ready")
		return status == http.StatusOK && !strings.Contains(body, what)
	})
	send(1)
	report(t, judge.Judge(&journal, cluster.ReadMany(judge.Topics()...), logs(t, relays)))
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
