package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// idp is a token endpoint that answers as the test says.
type idp struct {
	*httptest.Server
	handle atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

func newIDP(t *testing.T, handle http.HandlerFunc) *idp {
	t.Helper()
	p := &idp{}
	p.handle.Store(&handle)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		(*p.handle.Load())(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *idp) endpoint() *endpoint {
	return newEndpoint(&OAuth{TokenURL: p.URL + "/token", ClientID: "relay one", ClientSecret: "s&cret:", Scopes: []string{"kafka", "read"}})
}

// TestEndpoint: what is asked (RFC 6749 §4.4, §2.3.1) and what is taken.
func TestEndpoint(t *testing.T) {
	p := newIDP(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if u, _ := url.QueryUnescape(user); r.Method != http.MethodPost || r.URL.Path != "/token" || !ok || u != "relay one" {
			t.Errorf("%s %s, user %q", r.Method, r.URL, user)
		}
		if s, _ := url.QueryUnescape(password); s != "s&cret:" {
			t.Errorf("secret %q", password)
		}
		if r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "kafka read" {
			t.Errorf("form %v", r.Form)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"abc.def","token_type":"Bearer","expires_in":300}`)
	})
	token, ends, err := p.endpoint().fetch(t.Context())
	if err != nil || token != "abc.def" || time.Until(ends) < 290*time.Second || time.Until(ends) > 300*time.Second {
		t.Errorf("%q, ends in %s, %v", token, time.Until(ends), err)
	}
}

// TestEndpointFaults: every answer that is no token has its place, and no
// secret, token or body of the endpoint shows.
func TestEndpointFaults(t *testing.T) {
	const hidden = "hunter2"
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		status int
		code   string
	}{
		"refused":  {says(401, `{"error":"invalid_client","error_description":"`+hidden+`"}`), 401, "invalid_client"},
		"odd code": {says(400, `{"error":"`+hidden+` <b>"}`), 400, ""},
		"down":     {says(503, hidden), 503, ""},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?"+hidden, http.StatusFound)
		}, 302, ""},
		"no JSON":    {says(200, "<html>"+hidden), 0, ""},
		"no token":   {says(200, `{"x":"`+hidden+`"}`), 0, ""},
		"bad token":  {says(200, `{"access_token":"a\u0001`+hidden+`"}`), 0, ""},
		"too large":  {says(200, `{"access_token":"`+strings.Repeat("a", maxToken)+`"}`), 0, ""},
		"hangs up":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, ""},
		"error, 200": {says(200, `{"error":"access_denied"}`), 200, "access_denied"},
	} {
		token, _, err := newIDP(t, c.handle).endpoint().fetch(t.Context())
		var failed *TokenError
		if token != "" || !errors.As(err, &failed) || failed.File || failed.Status != c.status || failed.Code != c.code {
			t.Errorf("%s: %q, %v", name, token, err)
			continue
		}
		if s := err.Error(); strings.Contains(s, hidden) || strings.Contains(s, "s&cret") || len(s) > 300 {
			t.Errorf("%s: says too much: %s", name, s)
		}
		if what, remedy := Diagnose(fmt.Errorf("x: %w", err)); what == "" || remedy == "" {
			t.Errorf("%s: no diagnosis", name)
		}
	}
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// source is a fetch that a test controls; each token lives for life.
type source struct {
	mu    sync.Mutex
	n     int
	life  time.Duration
	err   error
	takes time.Duration
}

func (s *source) fetch(ctx context.Context) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return "", time.Time{}, ctx.Err()
	}
	if s.err != nil {
		return "", time.Time{}, s.err
	}
	if s.life == 0 {
		return fmt.Sprintf("t%d", s.n), time.Time{}, nil
	}
	return fmt.Sprintf("t%d", s.n), time.Now().Add(s.life), nil
}

func (s *source) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// TestTokenCache: one fetch for many callers, a new token shortly before the
// old one ends, the old one as long as it is good.
func TestTokenCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{life: 10 * time.Minute, takes: time.Second}
		c := newTokenCache(s.fetch)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if got, err := c.token(t.Context()); got != "t1" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
		wg.Wait()
		began := time.Now()
		for time.Since(began) < 8*time.Minute {
			if got, _ := c.token(t.Context()); got != "t1" {
				t.Fatalf("%q after %s", got, time.Since(began))
			}
			time.Sleep(10 * time.Second)
		}
		time.Sleep(time.Minute)
		if got, err := c.token(t.Context()); got != "t2" || err != nil || s.n != 2 {
			t.Errorf("%q, %v, %d fetches: not renewed a minute before its end", got, err, s.n)
		}
		down := errors.New("down")
		s.set(func() { s.err = down })
		time.Sleep(9*time.Minute + 10*time.Second)
		if got, err := c.token(t.Context()); got != "t2" || !errors.Is(err, down) {
			t.Errorf("%q, %v: a token that is still good, with the reason why there is no newer one", got, err)
		}
		time.Sleep(time.Minute)
		if got, err := c.token(t.Context()); got != "" || !errors.Is(err, down) {
			t.Errorf("%q, %v: a token that is over", got, err)
		}
		before := s.n
		for range 100 {
			_, _ = c.token(t.Context())
		}
		if s.n > before+1 {
			t.Errorf("%d fetches in a row from an endpoint that is down", s.n-before)
		}
		s.set(func() { s.err = nil })
		time.Sleep(tokenPause)
		if got, err := c.token(t.Context()); got == "" || err != nil {
			t.Errorf("%q, %v after recovery", got, err)
		}
	})
}

// TestEarly: the client authenticates anew max(1 s, 2 to 5 % of a session)
// before a session ends with its token. A token that has then less than two
// seconds left would give a session that ends at once.
func TestEarly(t *testing.T) {
	for life, want := range map[time.Duration]time.Duration{
		0: 0, 2 * time.Second: time.Second, 6 * time.Second: 3 * time.Second, 30 * time.Second: 3 * time.Second,
		time.Minute: 6 * time.Second, time.Hour: time.Minute, 24 * time.Hour: time.Minute,
	} {
		if got := early(life); got != want {
			t.Errorf("life %s: renewed %s early, want %s", life, got, want)
		}
	}
}

func TestTokenWithoutAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := newTokenCache(s.fetch)
		first, _ := c.token(t.Context())
		second, _ := c.token(t.Context())
		time.Sleep(2 * tokenUnstated)
		third, err := c.token(t.Context())
		if first != "t1" || second != "t1" || third != "t2" || err != nil {
			t.Errorf("%q %q %q %v", first, second, third, err)
		}
	})
}

func TestTokenWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: time.Hour, life: time.Hour}
		c := newTokenCache(s.fetch)
		long, end := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.token(long) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		end()
		wg.Wait()
	})
}

// FuzzCheckToken: what is taken for a token cannot leave its field of RFC
// 7628, and every bearer token of RFC 6750 is taken.
func FuzzCheckToken(f *testing.F) {
	for _, s := range []string{"", "abc", "a b", "a\x01b", "é", "eyJ.a-b_c~d+e/f==", "a\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := checkToken(s)
		bad := s == "" || len(s) > maxToken || strings.IndexFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e }) >= 0
		if bad != (err != nil) {
			t.Fatalf("%q: %v", s, err)
		}
		if err != nil && len(s) > 3 && len(s) < maxToken && strings.Contains(err.Error(), s) {
			t.Fatalf("the error repeats the token: %v", err)
		}
	})
}

func TestTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{"abc\n": "abc", " a.b=\r\n\r\n": "a.b=", "": "", "\n": "", "a b": "", strings.Repeat("a", maxToken+2): ""} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := (&tokenFile{file}).token(t.Context())
		var failed *TokenError
		if got != want || (err == nil) != (want != "") || err != nil && (!errors.As(err, &failed) || !failed.File) {
			t.Errorf("%.10q: %q, %v", content, got, err)
		}
	}
}

// TestClientCredentials: the mechanism as kgo uses it, from the endpoint to
// the first message.
func TestClientCredentials(t *testing.T) {
	p := newIDP(t, says(200, `{"access_token":"abc","token_type":"bearer","expires_in":"3600"}`))
	var reports []error
	m := (&OAuth{TokenURL: p.URL, ClientID: "i", ClientSecret: "s"}).mechanism(func(err error) { reports = append(reports, err) })
	for range 3 {
		_, first, err := m.Authenticate(t.Context(), "kafka:9092")
		if err != nil || string(first) != "n,,\x01auth=Bearer abc\x01\x01" {
			t.Errorf("%q, %v", first, err)
		}
	}
	if n := p.asked.Load(); n != 1 || m.Name() != "OAUTHBEARER" {
		t.Errorf("%d requests, mechanism %s", n, m.Name())
	}
	if len(reports) != 3 || errors.Join(reports...) != nil {
		t.Errorf("reports: %v", reports)
	}
}
