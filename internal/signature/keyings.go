package signature

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// keys takes every secret in every way. Without a base the encodings are no
// departures.
func (g *generator) keys(secrets []Secret) []variation[keyed] {
	var out []variation[keyed]
	for i, secret := range secrets {
		out = append(out, g.keysOf(i, secret.Value, nil)...)
	}
	return out
}

func (g *generator) keysOf(i int, value []byte, deps []Departure) []variation[keyed] {
	var out []variation[keyed]
	seen := make(map[string]bool)
	add := func(key []byte, e SecretEncoding, deps []Departure) {
		if len(key) > 0 && !seen[string(key)] {
			seen[string(key)] = true
			out = append(out, variation[keyed]{keyed{key, i, e}, deps})
		}
	}
	own := SecretRaw
	if g.base != nil {
		own = g.base.SecretEncoding
	}
	decoded := func(value []byte, e SecretEncoding, deps []Departure) {
		if key, err := decodeSecret(value, e); err == nil {
			add(key, e, deps)
		}
	}
	decoded(value, own, deps)
	for _, d := range g.bare(value) {
		decoded(d.value, own, append(deps[:len(deps):len(deps)], d.deps...))
	}
	newline := depart(deps, CauseSecretNewline, "and a newline after it", "the sender's key ends in a line end: enter the secret there anew, without it")
	add(append(bytes.Clone(value), '\n'), SecretRaw, newline)
	if g.deep {
		add(append(bytes.Clone(value), '\r', '\n'), SecretRaw, newline)
	}
	for _, e := range SecretEncodings() {
		decoded(value, e, g.takenAs(value, e, deps))
		if g.deep {
			for _, d := range g.bare(value) {
				decoded(d.value, e, g.takenAs(value, e, append(deps[:len(deps):len(deps)], d.deps...)))
			}
		}
	}
	if g.deep {
		g.oddKeys(value, deps, add)
	}
	return out
}

// takenAs is the departure of another encoding.
func (g *generator) takenAs(value []byte, e SecretEncoding, deps []Departure) []Departure {
	cause := CauseSecretEncoding
	if e == SecretRaw && bytes.HasPrefix(value, []byte("whsec_")) {
		cause = CauseWhsec
	}
	return g.differs(deps, g.base == nil || e == g.base.SecretEncoding, cause, "taken as "+string(e), "set secret_encoding: "+string(e))
}

// bare takes off what editors and shells put around a secret.
func (g *generator) bare(value []byte) []variation[[]byte] {
	var out []variation[[]byte]
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(value, []byte("\xef\xbb\xbf")))
	if len(trimmed) != len(value) {
		out = append(out, variation[[]byte]{trimmed, depart(nil, CauseSecretBlanks, "without the white space around it", remedySecret)})
	}
	if n := len(trimmed); n > 2 && trimmed[0] == trimmed[n-1] && (trimmed[0] == '"' || trimmed[0] == '\'') {
		out = append(out, variation[[]byte]{trimmed[1 : n-1], depart(nil, CauseSecretQuotes, "without the quotes around it", remedySecret)})
	}
	return out
}

// oddKeys are the keys of senders that do something that no secret_encoding says.
func (g *generator) oddKeys(value []byte, deps []Departure, add func([]byte, SecretEncoding, []Departure)) {
	for _, q := range []string{`"`, `'`} {
		add([]byte(q+string(value)+q), SecretRaw, depart(deps, CauseSecretQuotes, "with quotes around it", "the sender's key has quotes around it: enter the secret there anew, without them"))
	}
	for _, blank := range []string{" %s", "%s ", "%s\t"} {
		add(fmt.Appendf(nil, blank, value), SecretRaw, depart(deps, CauseSecretBlanks, "with a blank beside it", "the sender's key has a blank at an end: enter the secret there anew"))
	}
	if rest, ok := bytes.CutPrefix(value, []byte("whsec_")); ok {
		add(rest, SecretRaw, depart(deps, CauseWhsec, "without whsec_, and not decoded", "store the secret without whsec_, with secret_encoding: raw"))
	}
	if utf8.Valid(value) {
		add(utf16Bytes(string(value), binary.LittleEndian), SecretRaw,
			depart(deps, CauseSecretCharset, "written as UTF-16", "the sender turns the secret into bytes as UTF-16: have it use UTF-8"))
	}
}

// utf16Bytes writes s without a byte order mark.
func utf16Bytes(s string, order binary.AppendByteOrder) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return b
}
