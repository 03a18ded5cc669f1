package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxText bounds one signature, token or password as it stands in a header.
const maxText = 8 << 10

// appendDecoded appends what text stands for. It refuses white space, characters
// outside the alphabet, half digits and padding that is not exactly right;
// spellings of the same bytes are all taken.
func appendDecoded(dst, text []byte, e Encoding) ([]byte, bool) {
	switch e {
	case Hex:
		out, err := hex.AppendDecode(dst, text)
		return out, err == nil
	case Base64:
		return appendBase64(dst, text)
	default:
		return append(dst, text...), true
	}
}

func appendBase64(dst, text []byte) ([]byte, bool) {
	if bytes.ContainsAny(text, "\r\n") { // the library would skip them
		return dst, false
	}
	bare := bytes.TrimRight(text, "=")
	if pad := len(text) - len(bare); pad > 0 && (pad > 2 || len(text)%4 != 0) {
		return dst, false
	}
	enc := base64.RawStdEncoding
	if bytes.ContainsAny(bare, "-_") { // mixed alphabets fail in either
		enc = base64.RawURLEncoding
	}
	n := len(dst)
	out, err := enc.AppendDecode(dst, bare)
	if err != nil || !tightBase64(out[n:], bare, enc) {
		return dst, false
	}
	return out, true
}

// tightBase64 reports whether the bits of the last character that stand for
// nothing are zero (RFC 4648 §3.5). It encodes the last group again.
func tightBase64(decoded, text []byte, enc *base64.Encoding) bool {
	rest := len(text) % 4
	if rest == 0 {
		return true
	}
	var group [4]byte
	enc.Encode(group[:], decoded[len(decoded)-(rest-1):])
	return bytes.Equal(group[:rest], text[len(text)-rest:])
}

// encode is the inverse of appendDecoded, in one spelling.
func encode(b []byte, e Encoding) string {
	switch e {
	case Hex:
		return hex.EncodeToString(b)
	case Base64:
		return base64.StdEncoding.EncodeToString(b)
	default:
		return string(b)
	}
}

// parseTime reads a signed time. It takes no sign, no fraction (but in RFC
// 3339), and nothing beyond the year 9999 or so, so that no arithmetic on it
// can overflow.
func parseTime(s string, u Unit) (time.Time, bool) {
	if u == RFC3339 {
		t, err := time.Parse(time.RFC3339, s)
		return t, err == nil
	}
	limit := 12
	if u == Milliseconds {
		limit = 15
	}
	if s == "" || len(s) > limit || strings.Trim(s, "0123456789") != "" {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	if u == Milliseconds {
		return time.UnixMilli(n), true
	}
	return time.Unix(n, 0), true
}

// formatTime is the inverse of parseTime, as precise as the unit is.
func formatTime(t time.Time, u Unit) string {
	switch u {
	case Milliseconds:
		return strconv.FormatInt(t.UnixMilli(), 10)
	case RFC3339:
		return t.UTC().Format(time.RFC3339)
	default:
		return strconv.FormatInt(t.Unix(), 10)
	}
}

// decodeSecret returns the key that a configured secret stands for. The error
// never holds a part of the secret.
func decodeSecret(value []byte, e SecretEncoding) ([]byte, error) {
	text, enc := value, Plain
	switch e {
	case SecretHex:
		enc = Hex
	case SecretBase64:
		enc = Base64
	case SecretWhsec:
		enc = Base64
		text = bytes.TrimPrefix(text, []byte("whsec_"))
	}
	key, ok := appendDecoded(nil, text, enc)
	if !ok {
		return nil, fmt.Errorf("is not %s", enc)
	}
	if len(key) == 0 {
		return nil, errors.New("is empty")
	}
	return key, nil
}

// key returns the key of one secret for this scheme.
func (s Scheme) key(secret Secret) ([]byte, error) {
	key, err := decodeSecret(secret.Value, s.SecretEncoding)
	if err != nil {
		return nil, err
	}
	if s.Algorithm != Static {
		return key, nil
	}
	if s.Encoding == Plain && (!printable(key) || len(bytes.TrimSpace(key)) != len(key)) {
		return nil, errors.New("has characters that a header value cannot carry: control characters, or white space at an end")
	}
	if s.basic() && !bytes.Contains(key, []byte(":")) {
		return nil, errors.New(`has no colon, want "user:password"`)
	}
	if len(s.Prefix)+len(encode(key, s.Encoding)) > maxText {
		return nil, fmt.Errorf("is longer than %d bytes as a header value", maxText)
	}
	return key, nil
}

// basic reports whether the scheme is HTTP's Basic authentication.
func (s Scheme) basic() bool {
	return s.Algorithm == Static && s.Encoding == Base64 && strings.EqualFold(s.Prefix, "Basic ")
}

// printable reports whether b can stand in a header value (RFC 9110 §5.5).
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
