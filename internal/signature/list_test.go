package signature_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

const body = `{"test": 2432232314}`

// standardWebhooks returns a right request: its headers, and the signature alone.
func standardWebhooks(t testing.TB) (*signature.Verifier, headers, string) {
	t.Helper()
	s, k := preset(t, "standard-webhooks"), secret("a", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	h := sign(t, s, k, body)
	return verifier(t, s, k), h, h["Webhook-Signature"][0]
}

// The cases of the Standard Webhooks libraries' own suites, and ours.
func TestStandardWebhooksList(t *testing.T) {
	v, right, good := standardWebhooks(t)
	const wrong, other = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=", "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
	many := func(n int, last string) string { return strings.Repeat(wrong+" ", n-1) + last }
	for _, tc := range []struct {
		name       string
		signatures []string
		why        signature.Why
	}{
		{"one", []string{good}, ""},
		{"among others", []string{wrong + " v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= " + good + " " + wrong}, ""},
		{"beside ed25519", []string{other + " " + good}, ""},
		{"beside garbage of its version", []string{"v1,??? v1,AAAA " + good}, ""},
		{"in a second header", []string{wrong, good}, ""},
		{"last of 16", []string{many(16, good)}, ""},
		{"last of 17", []string{many(17, good)}, signature.TooMany},
		{"first of 17 over two headers", []string{good, many(16, wrong)}, signature.TooMany},
		{"wrong", []string{wrong}, signature.Mismatch},
		{"16 wrong", []string{many(16, wrong)}, signature.Mismatch},
		{"another version", []string{"v2" + good[2:]}, signature.Malformed},
		{"without version", []string{good[3:]}, signature.Malformed},
		{"empty", []string{""}, signature.Malformed},
		{"partial", []string{"v1,"}, signature.WrongLength},
		{"only undecodable", []string{"v1,???"}, signature.Malformed},
		{"two spaces", []string{good + "  " + good}, signature.Malformed},
		{"comma for space", []string{good + "," + good}, signature.Malformed},
		{"none", nil, signature.Missing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := headers{"Webhook-Id": right["Webhook-Id"], "Webhook-Timestamp": right["Webhook-Timestamp"], "Webhook-Signature": tc.signatures}
			i, err := v.Verify(h.values, []byte(body), at())
			if tc.why != "" {
				refused(t, i, err, tc.why)
			} else if i != 0 || err != nil {
				t.Fatalf("got %d, %v", i, err)
			}
		})
	}
}

func TestSignedHeaders(t *testing.T) {
	v, right, _ := standardWebhooks(t)
	stamp := right["Webhook-Timestamp"][0]
	for _, tc := range []struct {
		name, header string
		values       []string
		why          signature.Why
	}{
		{"no id", "Webhook-Id", nil, signature.NoID},
		{"empty id", "Webhook-Id", []string{""}, signature.NoID},
		{"two ids", "Webhook-Id", []string{"msg_1", "msg_1"}, signature.Multiple},
		{"another id", "Webhook-Id", []string{"msg_2"}, signature.Mismatch},
		{"no time", "Webhook-Timestamp", nil, signature.NoTimestamp},
		{"empty time", "Webhook-Timestamp", []string{""}, signature.NoTimestamp},
		{"two times", "Webhook-Timestamp", []string{stamp, stamp}, signature.Multiple},
		{"another time", "Webhook-Timestamp", []string{"1700000001"}, signature.Mismatch},
		// An old time that nobody signed is a wrong signature, not a stale one.
		{"old unsigned time", "Webhook-Timestamp", []string{"946684800"}, signature.Mismatch},
		{"leading zero", "Webhook-Timestamp", []string{"0" + stamp}, signature.Mismatch},
		{"sign", "Webhook-Timestamp", []string{"+" + stamp}, signature.BadTimestamp},
		{"negative", "Webhook-Timestamp", []string{"-1"}, signature.BadTimestamp},
		{"fraction", "Webhook-Timestamp", []string{stamp + ".0"}, signature.BadTimestamp},
		{"space", "Webhook-Timestamp", []string{" " + stamp}, signature.BadTimestamp},
		{"milliseconds", "Webhook-Timestamp", []string{stamp + "000"}, signature.BadTimestamp},
		{"date", "Webhook-Timestamp", []string{"2023-11-14T22:13:20Z"}, signature.BadTimestamp},
		{"far", "Webhook-Timestamp", []string{"99999999999999999999"}, signature.BadTimestamp},
		{"other digits", "Webhook-Timestamp", []string{"\u0661\u0662"}, signature.BadTimestamp},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := headers{}
			for name, values := range right {
				h[name] = values
			}
			h[tc.header] = tc.values
			i, err := v.Verify(h.values, []byte(body), at())
			refused(t, i, err, tc.why)
		})
	}
}

func TestStripeList(t *testing.T) {
	s, k := preset(t, "stripe"), secret("a", "whsec_test_secret")
	v := verifier(t, s, k)
	good := sign(t, s, k, body)["Stripe-Signature"][0]
	stamp, sig, _ := strings.Cut(good, ",")
	rolled := sign(t, s, secret("b", "whsec_test_secret_rolled_key"), body)["Stripe-Signature"][0]
	_, sigRolled, _ := strings.Cut(rolled, ",")
	for value, why := range map[string]signature.Why{
		good:                                 "",
		sig + "," + stamp:                    "",
		good + ",v1=bad_signature":           "", // as Stripe's libraries
		stamp + "," + sigRolled + "," + sig:  "",
		stamp + ",v0=" + sig[3:] + "," + sig: "",
		good + ",x":                          "",
		rolled:                               signature.Mismatch,
		stamp + ",v0=" + sig[3:]:             signature.Malformed,
		stamp:                                signature.Malformed,
		sig:                                  signature.NoTimestamp,
		"v1,t=1":                             signature.Malformed,
		"T=1700000000," + sig:                signature.NoTimestamp,
		"t=":                                 signature.Malformed,
		"t=," + sig:                          signature.BadTimestamp,
		"t=x," + sig:                         signature.BadTimestamp,
		good + "," + stamp:                   signature.Malformed, // two times
		good + ",t=1":                        signature.Malformed,
		stamp + ", " + sig:                   signature.Malformed,
		good + ",":                           signature.Malformed,
		"t=1700000001," + sig:                signature.Mismatch,
	} {
		i, err := v.Verify(one("stripe-signature", value).values, []byte(body), at())
		if why != "" {
			refused(t, i, err, why)
		} else if i != 0 || err != nil {
			t.Errorf("%s: got %d, %v", value, i, err)
		}
	}
}

func TestWindow(t *testing.T) {
	units := map[signature.Unit]time.Duration{
		signature.Seconds: time.Second, signature.Milliseconds: time.Millisecond, signature.RFC3339: time.Second,
	}
	for unit, step := range units {
		s, k := preset(t, "standard-webhooks"), secret("a", "whsec_AAAA")
		s.Timestamp.Unit, s.Timestamp.Tolerance = unit, time.Minute
		v, h := verifier(t, s, k), sign(t, s, k, body)
		for _, tc := range []struct {
			now time.Duration // after the signed time
			in  bool
		}{
			{0, true}, {time.Minute, true}, {-time.Minute, true},
			{time.Minute + 1, false}, {-time.Minute - 1, false},
			{time.Minute + step, false}, {-time.Minute - step, false},
			{1 << 62, false}, {-1 << 62, false},
		} {
			i, err := v.Verify(h.values, []byte(body), at().Add(tc.now))
			if !tc.in {
				refused(t, i, err, signature.Stale)
			} else if i != 0 || err != nil {
				t.Errorf("unit %s, %v later: %d, %v", unit, tc.now, i, err)
			}
		}
		i, err := v.Verify(h.values, []byte(body+" "), at().Add(time.Hour))
		refused(t, i, err, signature.Mismatch)
		i, err = v.Verify(h.values, []byte(body), time.Time{})
		refused(t, i, err, signature.Stale)
	}
}

// What real senders of NICE's family and others use, as far as a Scheme says it.
func TestOtherSenders(t *testing.T) {
	stamped := func(header string, unit signature.Unit) signature.Timestamp {
		return signature.Timestamp{Header: header, Unit: unit, Tolerance: time.Minute}
	}
	base := signature.Scheme{Algorithm: signature.HMACSHA256, Encoding: signature.Hex, Signed: "{body}", SecretEncoding: signature.SecretRaw}
	for name, change := range map[string]func(*signature.Scheme){
		"X-Nexus-Signature-256": func(s *signature.Scheme) {
			s.Prefix, s.Signed, s.Timestamp = "sha256=", "{timestamp}.{body}", stamped("X-Nexus-Timestamp", signature.Seconds)
		},
		"X-Hub-Signature-256": func(s *signature.Scheme) { s.Prefix, s.Encoding = "sha256=", signature.Base64 },
		"X-Hub-Signature":     func(s *signature.Scheme) { s.Prefix, s.Algorithm = "sha1=", signature.HMACSHA1 },
		"Paddle-Signature": func(s *signature.Scheme) {
			s.Prefix, s.Signed, s.List.Separator = "h1=", "{timestamp}:{body}", ";"
			s.Timestamp = signature.Timestamp{Key: "ts", Unit: signature.Seconds, Tolerance: time.Minute}
		},
		"X-Webflow-Signature": func(s *signature.Scheme) {
			s.Signed, s.Timestamp = "{timestamp}:{body}", stamped("X-Webflow-Timestamp", signature.Milliseconds)
		},
		"X-Tail": func(s *signature.Scheme) {
			s.Algorithm, s.Signed, s.Timestamp = signature.HMACSHA512, "{body}|{timestamp}!", stamped("X-Time", signature.RFC3339)
		},
		"X-Untagged": func(s *signature.Scheme) { s.List.Separator = "," },
	} {
		s := base
		s.Header = name
		change(&s)
		k := secret("a", "key")
		if i, err := verifier(t, s, k).Verify(sign(t, s, k, body).values, []byte(body), at()); i != 0 || err != nil {
			t.Errorf("%s: %d, %v", name, i, err)
		}
	}
}

func TestFailureText(t *testing.T) {
	v, right, _ := standardWebhooks(t)
	_, err := v.Verify(right.values, []byte(body), at().Add(10*time.Minute))
	if got, want := err.Error(), "signed time outside the window: off by -10m0s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err = v.Verify(headers{}.values, []byte(body), at())
	if got, want := err.Error(), "signature wrong or missing: missing (header Webhook-Signature)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if strconv.Itoa(signature.MaxEntries) != "16" {
		t.Error("MaxEntries is part of the documentation")
	}
}
