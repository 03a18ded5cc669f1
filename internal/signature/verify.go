package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"
)

// maxSize is the length of the longest MAC.
const maxSize = sha512.Size

// Verifier checks requests against one scheme and several secrets. Safe for
// concurrent use. It keeps its own copy of the keys.
type Verifier struct {
	open                         bool // see Unverified
	scheme                       Scheme
	header, timeHeader, idHeader string // canonical
	before, after                []part // of the signed template, around {body}
	size                         int    // of a signature in bytes: the MAC's, or SHA-256's for Static
	ids                          []string
	keys                         [][]byte
	secrets                      []Secret // as configured, for Diagnose
	tokens                       [][]byte // Static only: SHA-256 of each key

	// scratch per call. A keyed hash costs two blocks and six allocations to
	// make and next to nothing to reset. The pool belongs to this Verifier, as
	// the keys do.
	pool sync.Pool
}

// scratch is what one Verify works with.
type scratch struct {
	macs          []hash.Hash // one for each secret
	before, after []byte      // signed text around the body
	text, decoded []byte
	stamp         string // signed time as it stands in the request
	stamped       bool   // a list entry with the time was seen
	sum           [maxSize]byte
	candidate     [MaxEntries][maxSize]byte
	candidates    int
}

// NewVerifier returns a Verifier, or every fault of the scheme and of the
// secrets. It refuses an unusable scheme, no secrets, an empty or undecodable
// secret, and ids that are empty or occur twice. No error holds a part of a
// secret.
func NewVerifier(scheme Scheme, secrets []Secret) (*Verifier, error) {
	var errs []error
	for _, f := range scheme.Validate() {
		errs = append(errs, f)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("signature scheme: %w", errors.Join(errs...))
	}
	v := &Verifier{
		scheme: scheme, header: canonical(scheme.Header), size: scheme.Algorithm.size(),
		timeHeader: canonical(scheme.Timestamp.Header), idHeader: canonical(scheme.IDHeader),
	}
	if scheme.Algorithm == Static {
		v.size = sha256.Size
	} else {
		parts, err := scheme.Signed.parts()
		if err != nil {
			return nil, fmt.Errorf("signed template: %w", err)
		}
		v.before, v.after = split(parts)
	}
	if err := v.take(secrets); err != nil {
		return nil, err
	}
	v.pool.New = func() any { return v.newScratch() }
	return v, nil
}

// take checks the secrets and keeps them.
func (v *Verifier) take(secrets []Secret) error {
	if len(secrets) == 0 {
		return errors.New("no secret")
	}
	var errs []error
	seen := make(map[string]bool, len(secrets))
	for i, secret := range secrets {
		switch {
		case secret.ID == "":
			errs = append(errs, fmt.Errorf("secret %d has no id", i+1))
		case seen[secret.ID]:
			errs = append(errs, fmt.Errorf("secret id %q occurs twice", secret.ID))
		}
		seen[secret.ID] = true
		key, err := v.scheme.key(secret)
		if err != nil {
			errs = append(errs, fmt.Errorf("secret %q %w", secret.ID, err))
			continue
		}
		v.ids = append(v.ids, secret.ID)
		v.keys = append(v.keys, key)
		v.secrets = append(v.secrets, Secret{secret.ID, append([]byte(nil), secret.Value...)})
		if v.scheme.Algorithm == Static {
			sum := sha256.Sum256(key)
			v.tokens = append(v.tokens, sum[:])
		}
	}
	return errors.Join(errs...)
}

func (v *Verifier) newScratch() *scratch {
	s := new(scratch)
	if v.scheme.Algorithm == Static {
		return s
	}
	for _, key := range v.keys {
		s.macs = append(s.macs, hmac.New(v.scheme.Algorithm.hash, key))
	}
	return s
}

// Verify returns the index (into the secrets given to NewVerifier) of the
// secret that matched, or -1 and a *Failure that wraps ErrSignature or
// ErrStale. The signature is judged before the signed time, so that ErrStale is
// told only to those who know a secret. All secrets are tried, whichever
// matches; h and body are not kept.
func (v *Verifier) Verify(h Header, body []byte, now time.Time) (secret int, err error) {
	if v.open {
		return 0, nil
	}
	s := v.pool.Get().(*scratch)
	defer v.pool.Put(s)
	signed, err := v.read(h, s)
	if err != nil {
		return -1, err
	}
	secret = v.match(s, body)
	if secret < 0 {
		return -1, &Failure{Why: Mismatch, Header: v.header}
	}
	if v.scheme.Timestamp != (Timestamp{}) {
		skew, tolerance := signed.Sub(now), v.scheme.Timestamp.Tolerance
		if skew > tolerance || skew < -tolerance {
			return -1, &Failure{Why: Stale, Header: v.stampHeader(), Skew: skew}
		}
	}
	return secret, nil
}

// match returns the first secret that one of the candidates belongs to, or -1.
// It does the same work wherever and whether there is a match.
func (v *Verifier) match(s *scratch, body []byte) int {
	found := -1
	for i := range v.ids {
		want := v.sum(s, i, body)
		equal := 0
		for c := range s.candidates {
			equal |= subtle.ConstantTimeCompare(want, s.candidate[c][:v.size])
		}
		if equal == 1 && found < 0 {
			found = i
		}
	}
	return found
}

// sum returns what secret i makes of the request. It is valid until the next call.
func (v *Verifier) sum(s *scratch, i int, body []byte) []byte {
	if v.scheme.Algorithm == Static {
		return v.tokens[i]
	}
	mac := s.macs[i]
	mac.Reset()
	// A hash's Write never fails.
	_, _ = mac.Write(s.before)
	_, _ = mac.Write(body)
	_, _ = mac.Write(s.after)
	return mac.Sum(s.sum[:0])
}

// Secrets returns the ids of the secrets, in order.
func (v *Verifier) Secrets() []string { return append([]string(nil), v.ids...) }

// Format prints the header and the ids, whatever the verb: never a key.
func (v *Verifier) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "signature.Verifier("+v.header+" "+fmt.Sprint(v.ids)+")")
}
