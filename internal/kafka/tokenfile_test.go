package kafka

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func jwt(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte("signature"))
}

func jwtUntil(at time.Time, id int) string {
	return jwt(fmt.Sprintf(`{"jti":"%d","exp":%d.%03d}`, id, at.Unix(), at.Nanosecond()/1e6))
}

func TestEndOf(t *testing.T) {
	for token, want := range map[string]float64{
		jwt(`{"exp":1700000000}`):                     1700000000,
		jwt(`{"sub":"x","exp":1700000000.5,"iat":1}`): 1700000000.5,
		jwt(`{"exp":1.7e9}`):                          1.7e9,
		jwt(`{"exp":"1700000000"}`):                   0,
		jwt(`{"exp":null}`):                           0,
		jwt(`{"exp":-5}`):                             0,
		jwt(`{"exp":1e300}`):                          0,
		jwt(`{}`):                                     0,
		jwt(`[]`):                                     0,
		jwt(`nonsense`):                               0,
		"a.b.c":                                       0,
		"an-opaque-token":                             0,
		"one.two":                                     0,
		jwt(`{"exp":1700000000}`) + ".more":           0,
	} {
		got, known := endOf(token)
		if known != (want > 0) || known && float64(got.UnixMilli())/1000 != want {
			t.Errorf("%s: %v, %v, want %v", token, got, known, want)
		}
	}
}

// FuzzEndOf: whatever stands in the file, there is a sensible time or none.
func FuzzEndOf(f *testing.F) {
	f.Add(jwt(`{"exp":1700000000}`))
	f.Add("a..c")
	f.Fuzz(func(t *testing.T, token string) {
		at, known := endOf(token)
		if known && (at.Unix() < 0 || at.Year() > 9000) || !known && !at.IsZero() {
			t.Errorf("%q: %v, %v", token, at, known)
		}
	})
}

// TestTokenIsRenewedLate: a token with less than two seconds left is no start
// of a session. The next one is waited for until its end, and no longer.
func TestTokenIsRenewedLate(t *testing.T) {
	for name, c := range map[string]struct {
		left    time.Duration // of the token in the file
		opaque  bool
		renewed time.Duration // after the question; 0: never
		took    time.Duration // at most a look more
		second  bool
	}{
		"in time":                 {left: 2 * time.Second},
		"in its last second":      {left: 900 * time.Millisecond, renewed: 600 * time.Millisecond, took: 600 * time.Millisecond, second: true},
		"at once":                 {left: 1900 * time.Millisecond, renewed: time.Millisecond, took: time.Millisecond, second: true},
		"never":                   {left: 1500 * time.Millisecond, took: 1500 * time.Millisecond},
		"over already":            {left: -time.Second, renewed: time.Second},
		"one that says nothing":   {left: time.Second, opaque: true, renewed: 500 * time.Millisecond},
		"after its end, too late": {left: 300 * time.Millisecond, renewed: time.Second, took: 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			write := func(token string) {
				if err := errors.Join(os.WriteFile(path+"~", []byte(token+"\n"), 0o600), os.Rename(path+"~", path)); err != nil {
					t.Error(err)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				first, second := jwtUntil(began.Add(c.left), 1), jwtUntil(began.Add(time.Hour), 2)
				if c.opaque {
					first = "opaque"
				}
				write(first)
				if c.renewed > 0 {
					time.AfterFunc(c.renewed, func() { write(second) })
				}
				got, err := (&tokenFile{path: path}).token(t.Context())
				took := time.Since(began)
				want := first
				if c.second {
					want = second
				}
				if err != nil || got != want {
					t.Errorf("%q, %v, want %q", got, err, want)
				}
				if took < c.took-time.Millisecond || took > c.took+lateLook {
					t.Errorf("after %s, want %s", took, c.took)
				}
				time.Sleep(2 * time.Second) // for the renewal
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(jwtUntil(time.Now().Add(time.Second), 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, err := (&tokenFile{path: path}).token(ctx); err != nil || time.Since(began) != 100*time.Millisecond {
			t.Errorf("%v after %s: a client that closes is not held up", err, time.Since(began))
		}
	})
}
