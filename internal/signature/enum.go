package signature

import (
	"crypto/sha1" // HMAC-SHA1 is still what some vendors send, and sound as a MAC
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"slices"
)

// Algorithm says how a signature is made.
type Algorithm string

// The algorithms. Static is no signature: the secret itself is sent.
const (
	HMACSHA256 Algorithm = "hmac-sha256"
	HMACSHA1   Algorithm = "hmac-sha1"
	HMACSHA512 Algorithm = "hmac-sha512"
	Static     Algorithm = "static"
)

// Algorithms returns all algorithms, in order.
func Algorithms() []Algorithm { return []Algorithm{HMACSHA256, HMACSHA1, HMACSHA512, Static} }

// ParseAlgorithm returns the algorithm of that name; the error lists all names.
func ParseAlgorithm(s string) (Algorithm, error) { return parse("algorithm", s, Algorithms()) }

// size is the length of a MAC in bytes, 0 for Static.
func (a Algorithm) size() int {
	switch a {
	case HMACSHA256:
		return sha256.Size
	case HMACSHA1:
		return sha1.Size
	case HMACSHA512:
		return sha512.Size
	default:
		return 0
	}
}

// hash makes the hash under the HMAC. Not for Static.
func (a Algorithm) hash() hash.Hash {
	switch a {
	case HMACSHA1:
		return sha1.New()
	case HMACSHA512:
		return sha512.New()
	default:
		return sha256.New()
	}
}

// Encoding says how the bytes of a signature are written in the header.
type Encoding string

// The encodings. Reading is strict (no white space, nothing after the end) but
// takes every usual spelling; writing picks one.
const (
	Hex    Encoding = "hex"    // RFC 4648 §8 in any case; written in lower case
	Base64 Encoding = "base64" // RFC 4648 §4 or §5, padded or not; written as §4 with padding
	Plain  Encoding = "plain"  // the bytes themselves; only for Static
)

// Encodings returns all encodings, in order.
func Encodings() []Encoding { return []Encoding{Hex, Base64, Plain} }

// ParseEncoding returns the encoding of that name; the error lists all names.
func ParseEncoding(s string) (Encoding, error) { return parse("encoding", s, Encodings()) }

// SecretEncoding says how a configured secret stands for the bytes of the key.
type SecretEncoding string

// The secret encodings.
const (
	SecretRaw    SecretEncoding = "raw"    // the key is the text's own bytes
	SecretHex    SecretEncoding = "hex"    // RFC 4648 §8, any case
	SecretBase64 SecretEncoding = "base64" // RFC 4648 §4 or §5, padded or not
	SecretWhsec  SecretEncoding = "whsec"  // base64 after "whsec_", which may be absent (Standard Webhooks)
)

// SecretEncodings returns all secret encodings, in order.
func SecretEncodings() []SecretEncoding {
	return []SecretEncoding{SecretRaw, SecretHex, SecretBase64, SecretWhsec}
}

// ParseSecretEncoding returns the secret encoding of that name; the error lists all names.
func ParseSecretEncoding(s string) (SecretEncoding, error) {
	return parse("secret encoding", s, SecretEncodings())
}

// Unit says how a signed time is written.
type Unit string

// The units. Seconds and milliseconds count from the Unix epoch, in decimal
// digits without a sign.
const (
	Seconds      Unit = "s"
	Milliseconds Unit = "ms"
	RFC3339      Unit = "rfc3339"
)

// Units returns all units, in order.
func Units() []Unit { return []Unit{Seconds, Milliseconds, RFC3339} }

// ParseUnit returns the unit of that name; the error lists all names.
func ParseUnit(s string) (Unit, error) { return parse("unit", s, Units()) }

func parse[T ~string](what, s string, all []T) (T, error) {
	if i := slices.Index(all, T(s)); i >= 0 {
		return all[i], nil
	}
	return "", fmt.Errorf("unknown %s %q, want one of %q", what, s, all)
}
