package kafka

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Limits of getting a token.
const (
	maxToken      = 64 << 10         // bytes of a token, and of an answer with one
	tokenTimeout  = 5 * time.Second  // for one token
	tokenEarly    = 60 * time.Second // a token is renewed this long before it ends, or after 9/10 of its life if that is later
	tokenMargin   = 3 * time.Second  // but at least this long before; see early
	tokenPause    = time.Second      // after a failure, before the endpoint is asked again
	tokenUnstated = 5 * time.Second  // how long a token without expires_in is taken again
)

// TokenError is why there is no OAUTHBEARER token. It never holds a token, a
// secret, or what the endpoint wrote in its body, but for the error code of
// RFC 6749 §5.2.
type TokenError struct {
	File   bool   // from the token file, not from the endpoint
	Status int    // HTTP status of the endpoint, 0 without an answer
	Code   string // error code of the endpoint, or ""
	Err    error
}

// Error says which source failed, and how.
func (e *TokenError) Error() string {
	switch {
	case e.File:
		return fmt.Sprintf("token file: %v", e.Err)
	case e.Status != 0:
		return fmt.Sprintf("token endpoint answered %d %s", e.Status, e.Code)
	default:
		return fmt.Sprintf("token endpoint: %v", e.Err)
	}
}

// Unwrap returns the cause.
func (e *TokenError) Unwrap() error { return e.Err }

func (o *OAuth) mechanism(report func(error)) sasl.Mechanism {
	token := (&tokenFile{path: o.TokenFile}).token
	if o.TokenFile == "" {
		token = newTokenCache(newEndpoint(o).fetch).token
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		t, err := token(ctx)
		report(err)
		if t == "" {
			return oauth.Auth{}, err
		}
		return oauth.Auth{Token: t}, nil
	})
}

// checkToken refuses what is no bearer token (RFC 6750 §2.1): another
// character could end the field of RFC 7628 that it stands in.
func checkToken(t string) error {
	switch {
	case t == "":
		return errors.New("the token is empty")
	case len(t) > maxToken:
		return fmt.Errorf("the token has more than %d bytes", maxToken)
	}
	for i := range len(t) {
		if t[i] <= ' ' || t[i] > '~' {
			return fmt.Errorf("byte %d of the token is no printable ASCII", i)
		}
	}
	return nil
}

// endpoint is a token endpoint of RFC 6749, asked with client credentials.
type endpoint struct {
	config *clientcredentials.Config
	client *http.Client
}

func newEndpoint(o *OAuth) *endpoint {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: dialTimeout, ForceAttemptHTTP2: true,
	}
	return &endpoint{
		config: &clientcredentials.Config{TokenURL: o.TokenURL, ClientID: o.ClientID, ClientSecret: o.ClientSecret, Scopes: o.Scopes},
		client: &http.Client{
			Transport: capped{transport}, Timeout: tokenTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it would carry the secret elsewhere
		},
	}
}

// fetch gets a new token; the time is when it ends, zero where the endpoint
// does not say.
func (e *endpoint) fetch(ctx context.Context) (string, time.Time, error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, e.client), tokenTimeout)
	defer cancel()
	t, err := e.config.Token(ctx)
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused): // its text repeats the whole body
		return "", time.Time{}, &TokenError{Status: refused.Response.StatusCode, Code: errorCode(refused.ErrorCode), Err: errors.New("no token")}
	case err != nil:
		return "", time.Time{}, &TokenError{Err: err}
	}
	if err := checkToken(t.AccessToken); err != nil {
		return "", time.Time{}, &TokenError{Err: err}
	}
	return t.AccessToken, t.Expiry, nil
}

// errorCode lets only what RFC 6749 §5.2 calls an error code into the log.
func errorCode(s string) string {
	if len(s) > 64 {
		return ""
	}
	for _, r := range s {
		if !(r == '_' || r == '-' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') {
			return ""
		}
	}
	return s
}

// capped bounds the answers of a transport.
type capped struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (c capped) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxToken)
	}
	return resp, err
}

// tokenCache keeps one token until shortly before it ends. One caller at a
// time asks for a new one, the others wait for it.
type tokenCache struct {
	fetch func(context.Context) (string, time.Time, error)
	turn  chan struct{} // held by the caller that reads or renews

	// Guarded by turn.
	value   string
	renewAt time.Time
	endsAt  time.Time
	failed  error
	pauseTo time.Time
}

func newTokenCache(fetch func(context.Context) (string, time.Time, error)) *tokenCache {
	return &tokenCache{fetch: fetch, turn: make(chan struct{}, 1)}
}

// token returns a token that is not over. A token comes together with an
// error while the endpoint gives no new one and the old one is still good.
func (c *tokenCache) token(ctx context.Context) (string, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	now := time.Now()
	if c.value != "" && now.Before(c.renewAt) {
		return c.value, nil
	}
	if c.failed == nil || !now.Before(c.pauseTo) {
		c.renew(ctx)
	}
	if c.failed != nil && !time.Now().Before(c.endsAt) {
		return "", c.failed
	}
	return c.value, c.failed
}

func (c *tokenCache) renew(ctx context.Context) {
	value, ends, err := c.fetch(ctx)
	now := time.Now()
	if c.failed = err; err != nil {
		c.pauseTo = now.Add(tokenPause)
		return
	}
	if ends.IsZero() {
		ends = now.Add(tokenUnstated)
	}
	c.value, c.endsAt, c.renewAt = value, ends, ends.Add(-early(ends.Sub(now)))
}

// early is how long before its end a token of this life is renewed. The client
// authenticates anew a second before a session ends with its token, or earlier
// (KIP-368): the same token again would give it a session of less than a
// second, and a broker lets nobody authenticate twice within one (it answers
// ILLEGAL_SASL_STATE).
func early(life time.Duration) time.Duration {
	return max(min(tokenEarly, life/10), min(tokenMargin, life/2))
}
