package real

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/cxrelay/cxrelay/test/process"
)

// What the listener for tokens wants of one.
const (
	tokenIssuer   = "https://id.example.com"
	tokenAudience = "kafka"
)

// Claims are what a token says; see Cluster.Token.
type Claims struct {
	Subject  string        // the principal is User:Subject
	Life     time.Duration // from now; negative: it is over
	Audience string        // "": the broker's
}

// TokenListener returns the address of the listener that takes OAUTHBEARER and
// nothing else, over TLS.
func (c *Cluster) TokenListener() string { return process.Local(c.secured.ports[tokenListener]) }

// Token returns a token that is signed with a key that the broker knows: a
// JWS in compact form (RFC 7515), which Kafka validates as KIP-768 describes.
// Servers of the test may call it from their own goroutines.
func (c *Cluster) Token(of Claims) string {
	token, err := c.secured.issuer.token(of)
	if err != nil {
		c.t.Error(err)
	}
	return token
}

// issuer signs tokens by ES256 (RFC 7518 §3.4).
type issuer struct{ key *ecdsa.PrivateKey }

func newIssuer() (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &issuer{key}, err
}

const keyID = "of-the-tests"

// jwks is the set of public keys (RFC 7517) by which a broker knows tokens.
func (i *issuer) jwks() ([]byte, error) {
	point, err := i.key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	x, y := point[1:33], point[33:] // behind the byte that says: not compressed
	return fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":%q,"x":%q,"y":%q}]}`, keyID, base64url(x), base64url(y)), nil
}

func (i *issuer) token(of Claims) (string, error) {
	audience := of.Audience
	if audience == "" {
		audience = tokenAudience
	}
	now := time.Now()
	end := now.Add(of.Life)
	payload, err := json.Marshal(map[string]any{
		"iss": tokenIssuer, "aud": audience, "sub": of.Subject, "iat": min(now.Unix(), end.Unix()-1), "exp": end.Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := base64url([]byte(`{"alg":"ES256","kid":"`+keyID+`"}`)) + "." + base64url(payload)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, digest[:])
	if err != nil {
		return "", err
	}
	return signed + "." + base64url(append(fixed(r), fixed(s)...)), nil
}

// fixed is a number of P-256 in 32 bytes.
func fixed(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
