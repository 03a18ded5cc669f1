package signature_test

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// decodeLoosely reads the bytes of a hex or base64 text by the library alone.
// It is laxer than the verifier, so that what it cannot read must be refused.
func decodeLoosely(text string) [][]byte {
	var all [][]byte
	if b, err := hex.DecodeString(text); err == nil {
		all = append(all, b)
	}
	bare := strings.TrimRight(text, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(bare); err == nil {
			all = append(all, b)
		}
	}
	return all
}

// FuzzSignatureHeader holds the reading of one signature against a law: what is
// accepted stands for exactly the MAC's bytes.
func FuzzSignatureHeader(f *testing.F) {
	k := secret("a", "dev-secret")
	cx, b64, prefixed := preset(f, "cxone"), preset(f, "cxone"), preset(f, "cxone")
	b64.Encoding, prefixed.Prefix = signature.Base64, "sha256="
	all := []signature.Scheme{cx, b64, prefixed}
	right := sign(f, cx, k, "{}")["X-Cxone-Signature"][0]
	mac, err := hex.DecodeString(right)
	if err != nil {
		f.Fatal(err)
	}
	std := base64.StdEncoding.EncodeToString(mac)
	for _, seed := range []string{
		right, strings.ToUpper(right), std, strings.TrimRight(std, "="), base64.URLEncoding.EncodeToString(mac),
		"sha256=" + right, "SHA256=" + right, right + right, right[:63], " " + right, std + "=", std + "\n", "", "=", "sha256=",
	} {
		f.Add(seed)
	}
	var verifiers []*signature.Verifier
	for _, s := range all {
		verifiers = append(verifiers, verifier(f, s, secret("other", "x"), k))
	}
	f.Fuzz(func(t *testing.T, value string) {
		for n, v := range verifiers {
			i, err := v.Verify(one("x-cxone-signature", value).values, []byte("{}"), at())
			if err != nil {
				if i != -1 {
					t.Fatalf("secret %d beside %v", i, err)
				}
				v.Diagnose(one("x-cxone-signature", value).values, []byte("{}"), at())
				continue
			}
			text := value[len(all[n].Prefix):]
			if i != 1 || !strings.EqualFold(value[:len(all[n].Prefix)], all[n].Prefix) {
				t.Fatalf("accepted %q by secret %d", value, i)
			}
			if strings.ContainsAny(text, " \t\r\n") {
				t.Fatalf("accepted white space: %q", value)
			}
			same := false
			for _, b := range decodeLoosely(text) {
				same = same || string(b) == string(mac)
			}
			if !same {
				t.Fatalf("accepted %q, which does not stand for the MAC", value)
			}
		}
	})
}

// FuzzSpellings: every spelling of the right bytes is accepted, of any other
// bytes refused.
func FuzzSpellings(f *testing.F) {
	f.Add([]byte("key"), []byte("{}"), uint64(0), uint8(0))
	f.Add([]byte{0}, []byte(nil), ^uint64(0), uint8(7))
	f.Fuzz(func(t *testing.T, key, body []byte, upper uint64, wrong uint8) {
		if len(key) == 0 {
			return
		}
		s, k := preset(t, "cxone"), signature.Secret{ID: "a", Value: key}
		text := []byte(sign(t, s, k, string(body))["X-Cxone-Signature"][0])
		mac, err := hex.DecodeString(string(text))
		if err != nil {
			t.Fatal(err)
		}
		for i := range text {
			if upper>>(i%64)&1 == 1 {
				text[i] = strings.ToUpper(string(text[i]))[0]
			}
		}
		accept := func(e signature.Encoding, value string, want bool) {
			s.Encoding = e
			_, err := verifier(t, s, k).Verify(one(s.Header, value).values, body, at())
			if (err == nil) != want {
				t.Fatalf("%s %q: %v", e, value, err)
			}
		}
		encodings := []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding}
		accept(signature.Hex, string(text), true)
		for _, enc := range encodings {
			accept(signature.Base64, enc.EncodeToString(mac), true)
		}
		mac[wrong%32] ^= 1 << (wrong / 32)
		accept(signature.Hex, hex.EncodeToString(mac), false)
		for _, enc := range encodings {
			accept(signature.Base64, enc.EncodeToString(mac), false)
		}
	})
}

// FuzzSignatureList: a list is accepted if and only if it has at most
// MaxEntries entries, none empty, exactly one time, and a right signature.
func FuzzSignatureList(f *testing.F) {
	s, k := preset(f, "stripe"), secret("a", "whsec_test_secret")
	v := verifier(f, s, k)
	good := sign(f, s, k, body)["Stripe-Signature"][0]
	stamp, sig, _ := strings.Cut(good, ",")
	for _, seed := range []string{
		good, sig + "," + stamp, good + ",v1=bad", good + ",v0=" + sig[3:], stamp, sig, good + "," + stamp, good + ",", "v1,t=1",
		strings.Repeat("v1=00,", 14) + good, strings.Repeat("v1=00,", 15) + good, strings.ToUpper(sig) + "," + stamp,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		entries := strings.Split(value, ",")
		times, rights, empty := 0, 0, false
		for _, e := range entries {
			if e == "" {
				empty = true
			}
			if strings.HasPrefix(e, "t=") {
				times++
			} else if strings.EqualFold(e, sig) {
				rights++
			}
		}
		want := len(entries) <= signature.MaxEntries && !empty && times == 1 && rights > 0 && strings.Contains(","+value+",", ","+stamp+",")
		i, err := v.Verify(one("stripe-signature", value).values, []byte(body), at())
		if (err == nil) != want || (i == 0) != want {
			t.Fatalf("%q: %d, %v, want accepted: %v", value, i, err, want)
		}
	})
}

// FuzzTemplate: what parses is itself, and signs exactly the text that a plain
// replacement of its placeholders gives.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"{body}", "{timestamp}.{body}", "{id}.{timestamp}.{body}", "v0:{timestamp}:{body}", "{body}{id}", "{{body}}", "{body", "}", "{x}{body}", "{body}{body}"} {
		f.Add(seed)
	}
	k := secret("a", "key")
	f.Fuzz(func(t *testing.T, text string) {
		template, err := signature.ParseTemplate(text)
		valid := strings.Count(text, "{body}") == 1 && strings.Count(text, "{id}") <= 1 && strings.Count(text, "{timestamp}") <= 1 &&
			!strings.ContainsAny(strings.NewReplacer("{body}", "", "{id}", "", "{timestamp}", "").Replace(text), "{}")
		if (err == nil) != valid {
			t.Fatalf("%q: %v, want valid: %v", text, err, valid)
		}
		if err != nil {
			return
		}
		if string(template) != text {
			t.Fatalf("%q became %q", text, template)
		}
		s := preset(t, "cxone")
		s.Signed = template
		if strings.Contains(text, "{id}") {
			s.IDHeader = "x-id"
		}
		if strings.Contains(text, "{timestamp}") {
			s.Timestamp = signature.Timestamp{Header: "x-time", Unit: signature.Seconds, Tolerance: time.Second}
		}
		whole := strings.NewReplacer("{body}", "{id}{}", "{id}", "msg_1", "{timestamp}", "1700000000").Replace(text)
		want := sign(t, preset(t, "cxone"), k, whole)["X-Cxone-Signature"][0]
		h := sign(t, s, k, "{id}{}")
		if got := h["X-Cxone-Signature"][0]; got != want {
			t.Fatalf("%q signs other bytes than %q", text, whole)
		}
		if _, err := verifier(t, s, k).Verify(h.values, []byte("{id}{}"), at()); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzSignedTime: whatever a right signature covers, it is accepted only if the
// text means an instant inside the window.
func FuzzSignedTime(f *testing.F) {
	for _, seed := range []string{"1700000000", "1700000000000", "2023-11-14T22:13:20Z", "0", "-1", "99999999999999999999", "1e9", "2023-11-14T22:13:20.5+01:00", "999999999999999"} {
		f.Add(seed)
	}
	k := secret("a", "key")
	var schemes []signature.Scheme
	for _, u := range signature.Units() {
		s := preset(f, "cxone")
		s.Signed = "{timestamp}.{body}"
		s.Timestamp = signature.Timestamp{Header: "x-time", Unit: u, Tolerance: time.Minute}
		schemes = append(schemes, s)
	}
	f.Fuzz(func(t *testing.T, stamp string) {
		for _, s := range schemes {
			// A right signature over whatever the time says.
			mac := sign(t, preset(t, "cxone"), k, stamp+".{}")["X-Cxone-Signature"][0]
			h := one("x-time", stamp).add("x-cxone-signature", mac)
			if _, err := verifier(t, s, k).Verify(h.values, []byte("{}"), at()); err != nil {
				continue
			}
			ok := false
			for late := -time.Minute; late <= time.Minute && !ok; late += time.Second {
				ok = inUnit(stamp, s.Timestamp.Unit, at().Add(late))
			}
			if !ok {
				t.Fatalf("%q is inside the window in unit %s", stamp, s.Timestamp.Unit)
			}
		}
	})
}

// inUnit reports whether stamp means the second that begins at u.
func inUnit(stamp string, u signature.Unit, second time.Time) bool {
	switch u {
	case signature.Seconds:
		return strings.TrimLeft(stamp, "0") == strconv.FormatInt(second.Unix(), 10)
	case signature.Milliseconds:
		digits := strings.TrimLeft(stamp, "0")
		return len(digits) > 3 && digits[:len(digits)-3] == strconv.FormatInt(second.Unix(), 10)
	default:
		t, err := time.Parse(time.RFC3339Nano, stamp)
		return err == nil && t.Unix() == second.Unix()
	}
}
