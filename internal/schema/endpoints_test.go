package schema_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/schema"
)

// One subject's 429 keeps the requests for all the others away, too.
func TestThrottledAddressIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.register("s", object("one"))
		w.net.serve(home, says(429, "", "Retry-After", "30"))
		c := w.client()
		_, _ = c.Latest(t.Context(), "other")
		w.up()
		time.Sleep(10 * time.Second)
		_, err := c.Latest(t.Context(), "s")
		var status *schema.StatusError
		if !errors.As(err, &status) || status.RetryAfter != 20*time.Second || !errors.Is(err, schema.ErrThrottled) {
			t.Errorf("error %v, %+v", err, status)
		}
		if n := len(w.net.requests()); n != 1 {
			t.Errorf("%d requests while throttled", n)
		}
		time.Sleep(20 * time.Second)
		if _, err := c.Latest(t.Context(), "s"); err != nil {
			t.Errorf("after the wait: %v", err)
		}
	})
}

// Requests that wait for their turn when the 429 comes are not sent either.
func TestThrottledWhileQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.serve(home, roundTrip(func(r *http.Request) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond) // all have queued by then
			return says(429, "", "Retry-After", "30").RoundTrip(r)
		}))
		c := w.client()
		for range 12 {
			go func() {
				if _, err := c.Latest(t.Context(), "s"); !errors.Is(err, schema.ErrThrottled) {
					t.Errorf("error %v", err)
				}
			}()
		}
		pass(10 * time.Second)
		if n := len(w.net.requests()); n > 5 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestFailOver(t *testing.T) {
	tests := []struct {
		name  string
		first http.RoundTripper
		over  bool
	}{
		{"refused", nil, true},
		{"500", says(500, ""), true},
		{"503 with wait", says(503, "", "Retry-After", "60"), true},
		{"429", says(429, ""), true},
		{"hang", hangs(), true},
		{"garbage", says(200, "<html>"), true},
		{"redirect", says(301, "", "Location", "/x"), true},
		{"404", says(404, `{"error_code":40401}`), false},
		{"401", says(401, ""), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.register("s", object("one"))
				w.net.serve("first", tt.first)
				c := w.client(func(o *schema.ClientOptions) { o.URLs = []string{"http://first", "http://" + home} })
				for range 3 {
					if _, err := c.Latest(t.Context(), "s"); (err == nil) != tt.over {
						t.Fatalf("error %v", err)
					}
				}
				var hosts []string
				for _, s := range w.net.requests() {
					hosts = append(hosts, s.host)
				}
				want := "first " + strings.TrimSpace(strings.Repeat(home+" ", 3)) // sticky
				if !tt.over {
					want = "first first first"
				}
				if got := strings.Join(hosts, " "); got != want {
					t.Errorf("asked %s, want %s", got, want)
				}
				if n := w.logs.count("another address answers"); n != map[bool]int{true: 1}[tt.over] {
					t.Errorf("%d lines on the change of address", n)
				}
			})
		})
	}
}

func TestAllAddressesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.net.serve("first", says(429, "", "Retry-After", "60"))
		c := w.client(func(o *schema.ClientOptions) { o.URLs = []string{"http://first", "http://second"} })
		for range 2 { // the one that is away is asked again, the other one is not
			_, err := c.Latest(t.Context(), "s")
			if err == nil || !strings.Contains(err.Error(), "second") || errors.Is(err, schema.ErrThrottled) {
				t.Errorf("error %v", err)
			}
		}
		if n := len(w.net.requests()); n != 3 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestAuthorization(t *testing.T) {
	tests := []struct {
		name   string
		change func(*schema.ClientOptions)
		want   string
	}{
		{"none", func(*schema.ClientOptions) {}, ""},
		{"basic", func(o *schema.ClientOptions) { o.Username, o.Password = "user", "s3cret" }, "Basic dXNlcjpzM2NyZXQ="},
		{"bearer", func(o *schema.ClientOptions) { o.BearerToken = "s3cret" }, "Bearer s3cret"},
		{"url", func(o *schema.ClientOptions) {
			o.URLs = []string{"http://user:s3cret%2F@" + home}
			o.BearerToken = "other"
		}, "Basic dXNlcjpzM2NyZXQv"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			c := w.client(tt.change)
			texts := ""
			for _, server := range []http.RoundTripper{nil, says(500, ""), says(200, "x"), says(302, ""), says(404, `{"error_code":40401}`)} {
				w.net.serve(home, server)
				_, err := c.Latest(t.Context(), "s")
				texts += err.Error()
			}
			for _, s := range w.net.requests() {
				if s.auth != tt.want {
					t.Errorf("authorization %q, want %q", s.auth, tt.want)
				}
			}
			for _, secret := range []string{"s3cret", "user:", "Basic", "Bearer", "dXNlcjpz"} {
				if strings.Contains(texts+w.logs.String(), secret) {
					t.Errorf("%q shows in %s%s", secret, texts, w.logs)
				}
			}
		})
	}
}

func TestClientOptions(t *testing.T) {
	one := func(u string) schema.ClientOptions { return schema.ClientOptions{URLs: []string{u}} }
	for name, o := range map[string]schema.ClientOptions{
		"no url":           {},
		"unescaped":        one("http://user:s3cret%@host"),
		"bad port":         one("http://user:s3cret#x@host"),
		"no scheme":        one("s3cret:8081"),
		"no host":          one("http:///s3cret"),
		"query":            one("http://host?s3cret"),
		"basic and bearer": {URLs: []string{"http://host"}, Username: "s3cret", BearerToken: "s3cret"},
		"colon":            {URLs: []string{"http://host"}, Username: "s3cret:x"},
		"line break":       {URLs: []string{"http://host"}, BearerToken: "s3cret\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := schema.NewClient(o)
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error %v", err)
			}
		})
	}
}
