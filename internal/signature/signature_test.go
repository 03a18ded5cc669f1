package signature_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// at is when everything in these tests is signed.
func at() time.Time { return time.Unix(1_700_000_000, 0) }

type headers map[string][]string

func (h headers) values(name string) []string { return h[name] }

func (h headers) add(name, value string) headers {
	name = textproto.CanonicalMIMEHeaderKey(name)
	h[name] = append(h[name], value)
	return h
}

func one(name, value string) headers { return headers{}.add(name, value) }

func of(fields []signature.Field) headers {
	h := headers{}
	for _, f := range fields {
		h.add(f.Name, f.Value)
	}
	return h
}

func preset(t testing.TB, name string) signature.Scheme {
	t.Helper()
	s, ok := signature.Preset(name)
	if !ok {
		t.Fatalf("no preset %q", name)
	}
	if name == "token" {
		s.Header = "x-shared-secret"
	}
	return s
}

func secret(id, value string) signature.Secret {
	return signature.Secret{ID: id, Value: []byte(value)}
}

func verifier(t testing.TB, s signature.Scheme, secrets ...signature.Secret) *signature.Verifier {
	t.Helper()
	v, err := signature.NewVerifier(s, secrets)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sign(t testing.TB, s signature.Scheme, k signature.Secret, body string) headers {
	t.Helper()
	fields, err := signature.Sign(s, k, []byte(body), at(), "msg_1")
	if err != nil {
		t.Fatal(err)
	}
	return of(fields)
}

// refused asserts that err is a Failure with this cause, of the right class.
func refused(t *testing.T, secret int, err error, want signature.Why) {
	t.Helper()
	var f *signature.Failure
	if !errors.As(err, &f) {
		t.Fatalf("secret %d, err %v, want a failure %q", secret, err, want)
	}
	class, other := signature.ErrSignature, signature.ErrStale
	if want == signature.Stale {
		class, other = other, class
	}
	if f.Why != want || secret != -1 || !errors.Is(err, class) || errors.Is(err, other) {
		t.Fatalf("secret %d, err %v (why %q), want -1 and why %q", secret, err, f.Why, want)
	}
	if f.Header == "" {
		t.Fatal("the failure names no header")
	}
}

// flip changes the last character, keeping it in the alphabet.
func flip(s string) string {
	c := byte('0')
	if s[len(s)-1] == '0' {
		c = '1'
	}
	return s[:len(s)-1] + string(c)
}

func TestVerifyOne(t *testing.T) {
	cx := preset(t, "cxone")
	k := secret("2026-11", "dev-secret")
	v := verifier(t, cx, k)
	const body = `{"actionType":"INTERACTION_CREATED"}`
	good := sign(t, cx, k, body)["X-Cxone-Signature"][0]
	sum, _ := hex.DecodeString(good)
	for _, tc := range []struct {
		name string
		h    headers
		body string
		why  signature.Why // "" accepts
	}{
		{"right", one("x-cxone-signature", good), body, ""},
		{"upper case", one("x-cxone-signature", strings.ToUpper(good)), body, ""},
		{"mixed case", one("x-cxone-signature", strings.ToUpper(good[:9])+good[9:]), body, ""},
		{"no header", headers{}, body, signature.Missing},
		{"other header", one("x-signature", good), body, signature.Missing},
		{"two headers", one("x-cxone-signature", good).add("x-cxone-signature", good), body, signature.Multiple},
		{"right and wrong", one("x-cxone-signature", good).add("x-cxone-signature", flip(good)), body, signature.Multiple},
		{"empty value", one("x-cxone-signature", ""), body, signature.WrongLength},
		{"one digit short", one("x-cxone-signature", good[1:]), body, signature.Malformed},
		{"one byte short", one("x-cxone-signature", good[2:]), body, signature.WrongLength},
		{"one byte long", one("x-cxone-signature", good+"00"), body, signature.WrongLength},
		{"space before", one("x-cxone-signature", " "+good), body, signature.Malformed},
		{"newline after", one("x-cxone-signature", good+"\n"), body, signature.Malformed},
		{"not hex", one("x-cxone-signature", "g"+good[1:]), body, signature.Malformed},
		{"prefix", one("x-cxone-signature", "sha256="+good), body, signature.Malformed},
		{"base64", one("x-cxone-signature", base64.StdEncoding.EncodeToString(sum)), body, signature.Malformed},
		{"comma list", one("x-cxone-signature", good+","+good), body, signature.Malformed},
		{"huge", one("x-cxone-signature", strings.Repeat("0", 1<<16)), body, signature.WrongLength},
		{"last digit", one("x-cxone-signature", flip(good)), body, signature.Mismatch},
		{"zeros", one("x-cxone-signature", strings.Repeat("0", 64)), body, signature.Mismatch},
		{"other body", one("x-cxone-signature", good), body + " ", signature.Mismatch},
		{"no body", one("x-cxone-signature", good), "", signature.Mismatch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i, err := v.Verify(tc.h.values, []byte(tc.body), at())
			if tc.why == "" {
				if i != 0 || err != nil {
					t.Fatalf("got %d, %v", i, err)
				}
				return
			}
			refused(t, i, err, tc.why)
		})
	}
}

func TestBase64Spellings(t *testing.T) {
	s := preset(t, "cxone")
	s.Encoding = signature.Base64
	// A key whose signature over {} has both characters in which the alphabets differ.
	var k signature.Secret
	var std string
	for i := 0; !strings.Contains(std, "+") || !strings.Contains(std, "/"); i++ {
		k = secret("a", fmt.Sprintf("key-%d", i))
		std = sign(t, s, k, "{}")["X-Cxone-Signature"][0]
	}
	v := verifier(t, s, k)
	url := strings.NewReplacer("+", "-", "/", "_").Replace(std)
	bare := strings.TrimRight(std, "=")
	last := strings.IndexByte(alphabet, bare[len(bare)-1])
	loose := bare[:len(bare)-1] + string(alphabet[last|1])
	for text, why := range map[string]signature.Why{
		std: "", url: "", bare: "", strings.TrimRight(url, "="): "",
		strings.Replace(std, "+", "-", 1): signature.Malformed, // mixed alphabets
		bare + "==":                       signature.Malformed,
		bare + "=\n":                      signature.Malformed,
		bare[:9] + "\n" + bare[9:]:        signature.Malformed,
		bare[:9] + " " + bare[9:]:         signature.Malformed,
		"=" + bare:                        signature.Malformed,
		loose:                             signature.Malformed, // unused bits that are not zero
		bare[:40]:                         signature.WrongLength,
		bare[:41]:                         signature.Malformed,
	} {
		i, err := v.Verify(one("x-cxone-signature", text).values, []byte("{}"), at())
		if why == "" && err != nil {
			t.Errorf("%q: %v", text, err)
		} else if why != "" {
			refused(t, i, err, why)
		}
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func TestSeveralSecrets(t *testing.T) {
	s := preset(t, "cxone")
	all := []signature.Secret{secret("new", "n"), secret("old", "o"), secret("older", "oo")}
	v := verifier(t, s, all...)
	for want, k := range all {
		i, err := v.Verify(sign(t, s, k, "{}").values, []byte("{}"), at())
		if i != want || err != nil {
			t.Errorf("secret %s: got %d, %v, want %d", k.ID, i, err, want)
		}
	}
	i, err := v.Verify(sign(t, s, secret("none", "x"), "{}").values, []byte("{}"), at())
	refused(t, i, err, signature.Mismatch)
	// While a secret is being changed, two ids may hold the same value: the first is named.
	twins := verifier(t, s, secret("a", "same"), secret("b", "same"))
	if i, err := twins.Verify(sign(t, s, secret("", "same"), "{}").values, []byte("{}"), at()); i != 0 || err != nil {
		t.Errorf("twins: got %d, %v", i, err)
	}
	if got := v.Secrets(); fmt.Sprint(got) != "[new old older]" {
		t.Errorf("Secrets() = %v", got)
	}
}

func TestVerifierKeepsItsOwnKeys(t *testing.T) {
	s, k := preset(t, "cxone"), secret("a", "dev-secret")
	v, good := verifier(t, s, k), sign(t, preset(t, "cxone"), k, "{}")
	copy(k.Value, "**********")
	if _, err := v.Verify(good.values, []byte("{}"), at()); err != nil {
		t.Error(err)
	}
}

func TestStatic(t *testing.T) {
	for _, tc := range []struct {
		preset, secret, header string
		why                    signature.Why
	}{
		{"token", "s3cret", "s3cret", ""},
		{"token", "s3cret", "S3cret", signature.Mismatch},
		{"token", "s3cret", "s3cret ", signature.Mismatch},
		{"token", "s3cret", "s3cre", signature.Mismatch},
		{"token", "s3cret", "", signature.Mismatch},
		{"token", "s3cret", strings.Repeat("s", 9000), signature.WrongLength},
		{"bearer", "a.b-c", "Bearer a.b-c", ""},
		{"bearer", "a.b-c", "bearer a.b-c", ""}, // RFC 9110 §11.1
		{"bearer", "a.b-c", "Bearer  a.b-c", signature.Mismatch},
		{"bearer", "a.b-c", "a.b-c", signature.Malformed},
		{"bearer", "a.b-c", "Bearer", signature.Malformed},
		{"bearer", "a.b-c", "Basic a.b-c", signature.Malformed},
		{"basic", "Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ""}, // RFC 7617 §2
		{"basic", "test:123\u00a3", "Basic dGVzdDoxMjPCow==", ""},                  // RFC 7617 §2.1
		{"basic", "Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==", signature.Malformed},
		{"basic", "Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVu", signature.Mismatch},
		{"basic", "Aladdin:open sesame", "Basic !", signature.Malformed},
	} {
		s := preset(t, tc.preset)
		v := verifier(t, s, secret("other", "x:y"), secret("a", tc.secret))
		i, err := v.Verify(one(s.Header, tc.header).values, []byte("{}"), at())
		if tc.why != "" {
			refused(t, i, err, tc.why)
		} else if i != 1 || err != nil {
			t.Errorf("%s %q: got %d, %v", tc.preset, tc.header, i, err)
		}
	}
	v := verifier(t, preset(t, "bearer"), secret("a", "x"))
	i, err := v.Verify(one("authorization", "Bearer x").add("authorization", "Bearer x").values, nil, at())
	refused(t, i, err, signature.Multiple)
}

func TestPrefixInAnyCase(t *testing.T) {
	s := preset(t, "cxone")
	s.Prefix = "sha256="
	k := secret("a", "k")
	v, good := verifier(t, s, k), sign(t, s, k, "{}")["X-Cxone-Signature"][0]
	for value, why := range map[string]signature.Why{
		good: "", "SHA256=" + good[7:]: "",
		good[7:]: signature.Malformed, "sha256=": signature.WrongLength, "sha256": signature.Malformed,
		"sha256=sha256=" + good[7:]: signature.Malformed,
	} {
		i, err := v.Verify(one("x-cxone-signature", value).values, []byte("{}"), at())
		if why != "" {
			refused(t, i, err, why)
		} else if err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	k := secret("2026-11", "hunter2hunter2")
	v := verifier(t, preset(t, "cxone"), k)
	text, err := json.Marshal(map[string]any{"secret": k, "list": []signature.Secret{k}})
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.NewBuffer(text)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(out, verb+" "+verb+" "+verb+" "+verb+"\n", k, &k, v, struct{ S []signature.Secret }{[]signature.Secret{k}})
	}
	for _, leak := range []string{"hunter2", hex.EncodeToString(k.Value), base64.StdEncoding.EncodeToString(k.Value), "104 117 110"} {
		if strings.Contains(strings.ToLower(out.String()), strings.ToLower(leak)) {
			t.Errorf("%q occurs in %s", leak, out)
		}
	}
	if !strings.Contains(out.String(), "2026-11=***") {
		t.Errorf("the id is not shown: %s", out)
	}
}

func TestConcurrentUse(t *testing.T) {
	s := preset(t, "standard-webhooks")
	a, b := secret("a", "whsec_AAAA"), secret("b", "whsec_BBBB")
	v := verifier(t, s, a, b)
	ha, hb := sign(t, s, a, "{}"), sign(t, s, b, "{}")
	done := make(chan string, 4)
	for range 4 {
		go func() {
			for range 200 {
				i, errA := v.Verify(ha.values, []byte("{}"), at())
				j, errB := v.Verify(hb.values, []byte("{}"), at())
				_, errC := v.Verify(ha.values, []byte("[]"), at())
				if i != 0 || j != 1 || errA != nil || errB != nil || errC == nil {
					done <- fmt.Sprint(i, j, errA, errB, errC)
					return
				}
			}
			done <- ""
		}()
	}
	for range 4 {
		if msg := <-done; msg != "" {
			t.Error(msg)
		}
	}
}
