package kafka

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"os"
	"strings"
	"time"
)

// Of a token file that is renewed late. A session that begins with less than
// lateToken left is no use: the client authenticates anew a second before its
// end, and a broker lets nobody authenticate twice within a second (KIP-368; it
// answers ILLEGAL_SASL_STATE, and the connection is lost with what waits on it).
const (
	lateToken = 2 * time.Second
	lateLook  = 50 * time.Millisecond
)

// tokenFile is a file that somebody else keeps fresh. Safe for concurrent use.
type tokenFile struct{ path string }

// token reads the file, so that whoever rotates it needs to tell nobody. A
// token that says itself that it is about to end (a JWT) is not taken while
// another one may still come: token waits for that until the end, lateToken at
// most. Then it returns what is there; the broker says what it is worth.
func (f *tokenFile) token(ctx context.Context) (string, error) {
	t, err := f.read()
	if err != nil {
		return "", err
	}
	ends, known := endOf(t)
	if left := time.Until(ends); !known || left <= 0 || left >= lateToken {
		return t, nil
	}
	ctx, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	look := time.NewTicker(lateLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return t, nil
		case <-look.C:
		}
		if now, err := f.read(); err == nil && now != t { // half written: the next look has it whole, or its end
			return now, nil
		}
	}
}

func (f *tokenFile) read() (string, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return "", &TokenError{File: true, Err: err}
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	if err != nil {
		return "", &TokenError{File: true, Err: err}
	}
	t := string(bytes.TrimSpace(b))
	if err := checkToken(t); err != nil {
		return "", &TokenError{File: true, Err: err}
	}
	return t, nil
}

// endOf returns when a token ends by its own words: the claim exp of a JWT
// (RFC 7519 §4.1.4). Nothing of it is verified, that is the broker's business.
// Other tokens do not say.
func endOf(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Exp *float64 `json:"exp"`
	}
	if json.Unmarshal(text, &claims) != nil || claims.Exp == nil || !(*claims.Exp > 0 && *claims.Exp < math.MaxInt32*100) {
		return time.Time{}, false
	}
	whole, part := math.Modf(*claims.Exp)
	return time.Unix(int64(whole), int64(part*float64(time.Second))), true
}
