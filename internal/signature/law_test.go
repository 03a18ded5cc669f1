package signature_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
	"pgregory.net/rapid"
)

// schemes draws a valid scheme: a preset, or one put together from parts.
func schemes(t testing.TB) *rapid.Generator[signature.Scheme] {
	return rapid.Custom(func(rt *rapid.T) signature.Scheme {
		if rapid.Bool().Draw(rt, "preset") {
			return preset(t, rapid.SampledFrom(signature.PresetNames()).Draw(rt, "name"))
		}
		s := signature.Scheme{
			Header:         "X-Signature",
			Algorithm:      rapid.SampledFrom(signature.Algorithms()[:3]).Draw(rt, "algorithm"),
			Encoding:       rapid.SampledFrom(signature.Encodings()[:2]).Draw(rt, "encoding"),
			Prefix:         rapid.SampledFrom([]string{"", "sha256=", "v1=", "V0 "}).Draw(rt, "prefix"),
			SecretEncoding: rapid.SampledFrom(signature.SecretEncodings()).Draw(rt, "secret encoding"),
			Signed: signature.Template(rapid.SampledFrom([]string{
				"{body}", "{timestamp}.{body}", "{id}.{timestamp}.{body}", "v0:{timestamp}:{body}", "{body}|{id}", "a{timestamp}b{body}c{id}d",
			}).Draw(rt, "signed")),
		}
		if !strings.Contains(s.Prefix, " ") {
			s.List.Separator = rapid.SampledFrom([]string{"", " ", ",", ";"}).Draw(rt, "separator")
		}
		if strings.Contains(string(s.Signed), "{id}") {
			s.IDHeader = "X-Id"
		}
		if strings.Contains(string(s.Signed), "{timestamp}") {
			s.Timestamp = signature.Timestamp{
				Header: "X-Time", Tolerance: time.Minute,
				Unit: rapid.SampledFrom(signature.Units()).Draw(rt, "unit"),
			}
			if s.List.Separator != "" && s.Prefix != "" && rapid.Bool().Draw(rt, "in list") {
				s.Timestamp.Header, s.Timestamp.Key = "", "t"
			}
		}
		return s
	})
}

// secretFor writes a key the way the scheme wants it.
func secretFor(s signature.Scheme, id string, key []byte) signature.Secret {
	text := string(key)
	if s.Algorithm == signature.Static {
		text = "u:" + hex.EncodeToString(key)
	}
	switch s.SecretEncoding {
	case signature.SecretHex:
		text = hex.EncodeToString([]byte(text))
	case signature.SecretBase64:
		text = base64.RawURLEncoding.EncodeToString([]byte(text))
	case signature.SecretWhsec:
		text = "whsec_" + base64.StdEncoding.EncodeToString([]byte(text))
	}
	return secret(id, text)
}

// What Sign makes, a Verifier accepts, by the right secret; it stops doing so
// when the body, the secret or, beyond the window, the time is another.
func TestSignThenVerify(t *testing.T) {
	all := schemes(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := all.Draw(rt, "scheme")
		if faults := s.Validate(); faults != nil {
			rt.Fatalf("%+v: %v", s, faults)
		}
		key := rapid.SliceOfN(rapid.Byte(), 1, 80).Draw(rt, "key")
		right, other := secretFor(s, "right", key), secretFor(s, "other", append(bytes.Clone(key), 1))
		body := rapid.SliceOf(rapid.Byte()).Draw(rt, "body")
		fields, err := signature.Sign(s, right, body, at(), "msg_1")
		if err != nil {
			rt.Fatal(err)
		}
		h, v := of(fields), verifier(t, s, other, right)
		if i, err := v.Verify(h.values, body, at()); i != 1 || err != nil {
			rt.Fatalf("got %d, %v", i, err)
		}
		if _, err := verifier(t, s, other).Verify(h.values, body, at()); err == nil {
			rt.Fatal("another secret accepts it")
		}
		if s.Algorithm == signature.Static {
			return
		}
		if _, err := v.Verify(h.values, append(bytes.Clone(body), 0), at()); err == nil {
			rt.Fatal("another body is accepted")
		}
		if _, err := v.Verify(h.values, body, at().Add(time.Hour)); (err != nil) != (s.Timestamp != signature.Timestamp{}) {
			rt.Fatalf("an hour later: %v", err)
		}
	})
}

func TestSignRefuses(t *testing.T) {
	sw, k := preset(t, "standard-webhooks"), secret("a", "whsec_AAAA")
	for name, call := range map[string]func() ([]signature.Field, error){
		"no id":         func() ([]signature.Field, error) { return signature.Sign(sw, k, nil, at(), "") },
		"id with break": func() ([]signature.Field, error) { return signature.Sign(sw, k, nil, at(), "a\r\nb: c") },
		"id with space": func() ([]signature.Field, error) { return signature.Sign(sw, k, nil, at(), "a b") },
		"before 1970":   func() ([]signature.Field, error) { return signature.Sign(sw, k, nil, time.Unix(-1, 0), "i") },
		"empty secret":  func() ([]signature.Field, error) { return signature.Sign(sw, secret("a", ""), nil, at(), "i") },
		"token by lines": func() ([]signature.Field, error) {
			return signature.Sign(preset(t, "bearer"), secret("a", "x\ny"), nil, at(), "")
		},
	} {
		if fields, err := call(); err == nil {
			t.Errorf("%s: %v", name, fields)
		}
	}
}

func TestSignLayout(t *testing.T) {
	for name, want := range map[string][]string{
		"cxone":             {"x-cxone-signature: "},
		"standard-webhooks": {"webhook-id: msg_1", "webhook-timestamp: 1700000000", "webhook-signature: v1,"},
		"stripe":            {"stripe-signature: t=1700000000,v1="},
		"token":             {"x-shared-secret: dTpw"},
		"bearer":            {"authorization: Bearer dTpw"},
		"basic":             {"authorization: Basic dTpw"},
	} {
		k := secret("a", "dTpw")
		if name == "basic" {
			k.Value = []byte("u:p")
		}
		fields, err := signature.Sign(preset(t, name), k, []byte("{}"), at(), "msg_1")
		if err != nil || len(fields) != len(want) {
			t.Errorf("%s: %v, %v", name, fields, err)
			continue
		}
		for i, f := range fields {
			if line := f.Name + ": " + f.Value; !strings.HasPrefix(line, want[i]) {
				t.Errorf("%s: field %d is %q, want %q first", name, i, line, want[i])
			}
		}
	}
}
