package signature_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
	"pgregory.net/rapid"
)

// tell signs body by another scheme or secret than the verifier's, and returns
// what the verifier says about it.
func tell(t testing.TB, v, sender signature.Scheme, k signature.Secret, signed, sent string) string {
	t.Helper()
	return verifier(t, v, secret("new", "dev-secret"), secret("old", "6f6c64")).Diagnose(sign(t, sender, k, signed).values, []byte(sent), at())
}

func TestDiagnoseVariations(t *testing.T) {
	stamped := func(s *signature.Scheme) {
		s.Signed = "{timestamp}.{body}"
		s.Timestamp = signature.Timestamp{Header: "X-Cxone-Timestamp", Unit: signature.Seconds, Tolerance: time.Minute}
	}
	nothing := func(*signature.Scheme) {}
	const body = `{"a":1}`
	for _, tc := range []struct {
		name             string
		verifier, sender func(*signature.Scheme)
		secret           string // of the sender
		signed, sent     string
		want             []string
	}{
		{"matches", nothing, nothing, "dev-secret", body, body, []string{`matches secret "new"`}},
		{"matches the other", nothing, nothing, "6f6c64", body, body, []string{`matches secret "old"`}},
		{"unknown secret", nothing, nothing, "another", body, body, []string{"none of the 2 secrets", "another secret, or the body was changed"}},
		{"base64", nothing, func(s *signature.Scheme) { s.Encoding = signature.Base64 }, "dev-secret", body, body,
			[]string{"44 characters, all in the base64 alphabet, want 64 hex digits", `with secret "new", read as base64`}},
		{"hex", func(s *signature.Scheme) { s.Encoding = signature.Base64 }, nothing, "6f6c64", body, body,
			[]string{"64 characters, all hex digits, want 32 bytes as base64"}},
		{"prefix not expected", nothing, func(s *signature.Scheme) { s.Prefix = "sha256=" }, "dev-secret", body, body,
			[]string{"71 characters", `after the prefix "sha256="`}},
		{"prefix missing", func(s *signature.Scheme) { s.Prefix = "sha256=" }, nothing, "dev-secret", body, body,
			[]string{`want "sha256=" and then 64 hex digits`, `without the prefix "sha256="`}},
		{"sha1", nothing, func(s *signature.Scheme) { s.Algorithm = signature.HMACSHA1 }, "dev-secret", body, body,
			[]string{"40 characters, all hex digits", "as hmac-sha1"}},
		{"sha512", nothing, func(s *signature.Scheme) { s.Algorithm = signature.HMACSHA512 }, "dev-secret", body, body,
			[]string{"128 characters", "as hmac-sha512"}},
		{"time not signed", stamped, nothing, "dev-secret", body, body,
			[]string{"there is no X-Cxone-Timestamp header, whose time is signed", "over the body alone, without the timestamp"}},
		{"time signed", nothing, stamped, "dev-secret", body, body, []string{`over "{timestamp}.{body}"`}},
		{"slack", nothing, func(s *signature.Scheme) { stamped(s); s.Signed = "v0:{timestamp}:{body}" }, "dev-secret", body, body,
			[]string{`over "v0:{timestamp}:{body}"`}},
		{"colon", stamped, func(s *signature.Scheme) { stamped(s); s.Signed = "{timestamp}:{body}" }, "dev-secret", body, body,
			[]string{`over "{timestamp}:{body}"`}},
		{"newline lost", nothing, nothing, "dev-secret", body + "\n", body, []string{"with a newline added at the body's end"}},
		{"newline won", nothing, nothing, "dev-secret", body, body + "\n", []string{"with the newline at the body's end removed"}},
		{"space", nothing, nothing, "dev-secret", body, " " + body + "\n", []string{"white space around the body removed"}},
		{"byte order mark", nothing, nothing, "dev-secret", body, "\ufeff" + body, []string{"without the byte order mark"}},
		{"line ends", nothing, nothing, "dev-secret", "{\r\n}", "{\n}", []string{"CRLF instead of LF"}},
		{"line ends back", nothing, nothing, "dev-secret", "{\n}", "{\r\n}", []string{"LF instead of CRLF"}},
		{"empty body signed", nothing, nothing, "dev-secret", "", body, []string{"over an empty body"}},
		{"empty body sent", nothing, nothing, "dev-secret", body, "", []string{"the body is empty"}},
		{"secret as hex", nothing, nothing, "old", body, body, []string{`with secret "old" taken as hex`}},
		{"secret with newline", nothing, nothing, "dev-secret\n", body, body, []string{`secret "new" and a newline after it`}},
		{"two departures", nothing, func(s *signature.Scheme) { s.Encoding = signature.Base64 }, "dev-secret", body + "\n", body,
			[]string{`with secret "new", read as base64, with a newline added`}},
		{"too long", nothing, nothing, "dev-secret", "", strings.Repeat("x", 64<<10+1), []string{"too long to try variations"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, s := preset(t, "cxone"), preset(t, "cxone")
			tc.verifier(&v)
			tc.sender(&s)
			got := tell(t, v, s, secret("sender", tc.secret), tc.signed, tc.sent)
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("says %q, want %q in it", got, want)
				}
			}
			if strings.ContainsAny(got, "\r\n") {
				t.Errorf("more than one line: %q", got)
			}
		})
	}
}

func TestDiagnoseFacts(t *testing.T) {
	cx, sw, stripe := preset(t, "cxone"), preset(t, "standard-webhooks"), preset(t, "stripe")
	k, whsec := secret("a", "dev-secret"), secret("a", "whsec_AAAA")
	mac := sign(t, cx, k, body)["X-Cxone-Signature"][0]
	signed := func() headers { return sign(t, sw, whsec, body) }
	without := func(name string) headers { h := signed(); delete(h, name); return h }
	with := func(name, value string) headers { h := without(name); return h.add(name, value) }
	for _, tc := range []struct {
		name string
		v    *signature.Verifier
		h    headers
		late time.Duration
		want string
	}{
		{"missing", verifier(t, cx, k), headers{}, 0, "there is no X-Cxone-Signature header"},
		{"twice", verifier(t, cx, k), one("x-cxone-signature", mac).add("x-cxone-signature", mac), 0, "there are 2 X-Cxone-Signature headers, want exactly one"},
		{"empty", verifier(t, cx, k), one("x-cxone-signature", ""), 0, "the value in X-Cxone-Signature has no characters, want 64 hex digits"},
		{"odd characters", verifier(t, cx, k), one("x-cxone-signature", "{!}"), 0, "the value in X-Cxone-Signature has 3 characters, other characters than hex and base64, want 64 hex digits"},
		{"space", verifier(t, cx, k), one("x-cxone-signature", mac+" "), 0, `the value in X-Cxone-Signature has 65 characters, with white space, want 64 hex digits; it would match with secret "a", without the white space or quotes around it`},
		{"quotes", verifier(t, cx, k), one("x-cxone-signature", `"`+mac+`"`), 0, `; it would match with secret "a", without the white space or quotes around it`},
		{"no id", verifier(t, sw, whsec), without("Webhook-Id"), 0, "there is no Webhook-Id header, whose value is signed"},
		{"no time", verifier(t, sw, whsec), without("Webhook-Timestamp"), 0, "there is no Webhook-Timestamp header, whose time is signed"},
		{"bad time", verifier(t, sw, whsec), with("Webhook-Timestamp", "soon"), 0, "the time in Webhook-Timestamp is not in unit s"},
		{"milliseconds", verifier(t, sw, whsec), with("Webhook-Timestamp", "1700000000000"), 0, "the time in Webhook-Timestamp is not in unit s; read in unit ms it is inside the window"},
		{"late", verifier(t, sw, whsec), signed(), 10 * time.Minute, "the signature is right, but its time is 10m0s behind this clock; the window is 5m0s either way"},
		{"early", verifier(t, sw, whsec), signed(), -10 * time.Minute, "the signature is right, but its time is 10m0s ahead of this clock; the window is 5m0s either way"},
		{"no version", verifier(t, sw, whsec), with("Webhook-Signature", signed()["Webhook-Signature"][0][3:]), 0, `no entry in Webhook-Signature is "v1," and then 32 bytes as base64; it would match with secret "a", without the prefix "v1,"`},
		{"many", verifier(t, sw, whsec), with("Webhook-Signature", strings.Repeat("v1, ", 20)), 0, "Webhook-Signature lists more than 16 signatures"},
		{"no time in the list", verifier(t, stripe, k), one("stripe-signature", "v1="+mac), 0, `Stripe-Signature holds no time, want an entry t=…; it would match with secret "a", over the body alone, without the timestamp`},
		{"bearer missing", verifier(t, preset(t, "bearer"), k), one("authorization", "dev-secret"), 0, `want "Bearer " and then a secret; it would match with secret "a", without the prefix "Bearer "`},
		{"basic for bearer", verifier(t, preset(t, "bearer"), secret("a", "u:p")), one("authorization", "Basic dTpw"), 0, `; it would match with secret "a", after the prefix "Basic ", read as base64`},
		{"token", verifier(t, preset(t, "token"), k), one("x-shared-secret", "nonsense"), 0, "the value in X-Shared-Secret is not the secret"},
		{"token with Bearer", verifier(t, preset(t, "token"), k), one("x-shared-secret", "Bearer dev-secret"), 0, `the value in X-Shared-Secret is not the secret; it would match with secret "a", after the prefix "Bearer "`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := tc.v.Diagnose(tc.h.values, []byte(body), at().Add(tc.late))
			if got != tc.want && (!strings.HasPrefix(tc.want, ";") && !strings.HasPrefix(tc.want, "want") || !strings.HasSuffix(got, tc.want)) {
				t.Errorf("says  %q\nwant  %q", got, tc.want)
			}
		})
	}
}

func TestDiagnoseUnitOfAStaleTime(t *testing.T) {
	s, k := preset(t, "standard-webhooks"), secret("a", "whsec_AAAA")
	h := sign(t, s, k, body)
	s.Timestamp.Unit = signature.Milliseconds
	got := verifier(t, s, k).Diagnose(h.values, []byte(body), at())
	if !strings.HasSuffix(got, "; read in unit s it is inside the window") {
		t.Errorf("says %q", got)
	}
}

// Whatever is sent, the diagnosis holds neither a secret nor the expected
// signature nor what was received nor the body.
func TestDiagnoseShowsNothing(t *testing.T) {
	const word = `[A-Z0-9]{4}-[A-Z0-9]{12}` // of no text that Diagnose writes
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(signature.PresetNames()).Draw(rt, "preset")
		s := preset(t, name)
		key := rapid.StringMatching(word).Draw(rt, "secret") + ":x"
		k := secret("id", key)
		if s.SecretEncoding == signature.SecretWhsec {
			k.Value = []byte(base64.StdEncoding.EncodeToString([]byte(key)))
		}
		sent := rapid.StringMatching(word).Draw(rt, "body")
		fields, err := signature.Sign(s, k, []byte(sent), at(), "MSG-0000")
		if err != nil {
			rt.Fatal(err)
		}
		right := of(fields)
		h := mangle(rt, right)
		at := at().Add(time.Duration(rapid.Int64Range(-1000, 1000).Draw(rt, "late")) * time.Second)
		got := verifier(t, s, k).Diagnose(h.values, []byte(sent+rapid.SampledFrom([]string{"", "\n", "QQ"}).Draw(rt, "tail")), at)
		leaks := []string{key, key[:8], string(k.Value), hex.EncodeToString([]byte(key)), sent, "MSG-0000"}
		for _, values := range []headers{right, h} {
			for _, list := range values {
				for _, v := range list {
					leaks = append(leaks, v, tail(v))
				}
			}
		}
		for _, leak := range leaks {
			if len(leak) >= 8 && strings.Contains(strings.ToLower(got), strings.ToLower(leak)) {
				rt.Fatalf("%q occurs in %q", leak, got)
			}
		}
	})
}

// mangle changes a request as broken senders, proxies and attackers do.
func mangle(rt *rapid.T, right headers) headers {
	h := headers{}
	for name, values := range right {
		v := values[0]
		switch rapid.IntRange(0, 8).Draw(rt, name) {
		case 0:
			continue
		case 1:
			h[name] = []string{v, v}
		case 2:
			h[name] = []string{flip(v)}
		case 3:
			h[name] = []string{tail(v)}
		case 4:
			h[name] = []string{v + " "}
		case 5:
			h[name] = []string{rapid.StringMatching(`[A-Z]{8,20}`).Draw(rt, "noise")}
		case 6:
			h[name] = []string{"sha256=" + strings.ToUpper(v)}
		default:
			h[name] = values
		}
	}
	return h
}

// tail returns what stands after the first separator.
func tail(v string) string { return v[strings.IndexAny(v, ",= ")+1:] }
