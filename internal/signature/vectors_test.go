package signature_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// Signatures that others computed. None of the values below comes from this package.
func TestPublishedVectors(t *testing.T) {
	stripeEvent, err := os.ReadFile("testdata/stripe-event.json")
	if err != nil {
		t.Fatal(err)
	}
	github := preset(t, "cxone")
	github.Header, github.Prefix = "X-Hub-Signature-256", "sha256="
	slack := preset(t, "cxone")
	slack.Header, slack.Prefix, slack.Signed = "X-Slack-Signature", "v0=", "v0:{timestamp}:{body}"
	slack.Timestamp = signature.Timestamp{Header: "X-Slack-Request-Timestamp", Unit: signature.Seconds, Tolerance: 5 * time.Minute}

	for _, tc := range []struct {
		source string
		scheme signature.Scheme
		secret string
		h      headers
		body   string
		at     int64
	}{
		{
			source: "Standard Webhooks, Go library, TestSymmetricWebhookSign",
			scheme: preset(t, "standard-webhooks"), secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			h: one("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek").add("webhook-timestamp", "1614265330").
				add("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
			body: `{"test": 2432232314}`, at: 1614265330,
		},
		{
			source: "Svix (the scheme's author), manual verification example",
			scheme: preset(t, "standard-webhooks"), secret: "whsec_plJ3nmyCDGBKInavdOK15jsl",
			h: one("webhook-id", "msg_loFOjxBNrRLzqYUf").add("webhook-timestamp", "1731705121").
				add("webhook-signature", "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="),
			body: `{"event_type":"ping","data":{"success":true}}`, at: 1731705121,
		},
		{
			source: "Stripe, stripe-dotnet, EventUtilityTest",
			scheme: preset(t, "stripe"), secret: "webhook_secret",
			h: one("stripe-signature", "t=1533204620,v1=f0bdba6d4eacbd8ad8a3bbadd7248e633ec1477f7899c124c51b39405fa36613,"+
				"v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"),
			body: string(stripeEvent), at: 1533204620,
		},
		{
			source: "GitHub, docs, Validating webhook deliveries",
			scheme: github, secret: "It's a Secret to Everybody",
			h:    one("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
			body: "Hello, World!",
		},
		{
			source: "Slack, docs, Verifying requests from Slack",
			scheme: slack, secret: "8f742231b10e8888abcd99yyyzzz85a5",
			h: one("X-Slack-Request-Timestamp", "1531420618").
				add("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
			body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
				"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com" +
				"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
			at: 1531420618,
		},
	} {
		t.Run(tc.source, func(t *testing.T) {
			v := verifier(t, tc.scheme, secret("a", tc.secret))
			if i, err := v.Verify(tc.h.values, []byte(tc.body), time.Unix(tc.at, 0)); i != 0 || err != nil {
				t.Fatalf("got %d, %v", i, err)
			}
			i, err := v.Verify(tc.h.values, []byte(tc.body+"x"), time.Unix(tc.at, 0))
			refused(t, i, err, signature.Mismatch)
			if tc.scheme.Timestamp != (signature.Timestamp{}) {
				i, err = v.Verify(tc.h.values, []byte(tc.body), time.Unix(tc.at+301, 0))
				refused(t, i, err, signature.Stale)
			}
		})
	}
}

// RFC 4231 §4 for SHA-256 and SHA-512 (case 5, truncated output, left out), RFC 2202 §3 for SHA-1.
func TestRFCVectors(t *testing.T) {
	fill := func(b byte, n int) string { return strings.Repeat(string([]byte{b}), n) }
	count := make([]byte, 25)
	for i := range count {
		count[i] = byte(i + 1)
	}
	const long = "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm."
	for i, tc := range []struct {
		algorithm      signature.Algorithm
		key, data, mac string
	}{
		{signature.HMACSHA256, fill(0x0b, 20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{signature.HMACSHA256, "Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{signature.HMACSHA256, fill(0xaa, 20), fill(0xdd, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
		{signature.HMACSHA256, string(count), fill(0xcd, 50), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
		{signature.HMACSHA256, fill(0xaa, 131), "Test Using Larger Than Block-Size Key - Hash Key First", "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		{signature.HMACSHA256, fill(0xaa, 131), long, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
		{signature.HMACSHA512, fill(0x0b, 20), "Hi There", "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
		{signature.HMACSHA512, "Jefe", "what do ya want for nothing?", "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
		{signature.HMACSHA512, fill(0xaa, 20), fill(0xdd, 50), "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
		{signature.HMACSHA512, string(count), fill(0xcd, 50), "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
		{signature.HMACSHA512, fill(0xaa, 131), "Test Using Larger Than Block-Size Key - Hash Key First", "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
		{signature.HMACSHA512, fill(0xaa, 131), long, "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
		{signature.HMACSHA1, fill(0x0b, 20), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"},
		{signature.HMACSHA1, "Jefe", "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{signature.HMACSHA1, fill(0xaa, 20), fill(0xdd, 50), "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
		{signature.HMACSHA1, string(count), fill(0xcd, 50), "4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
		{signature.HMACSHA1, fill(0x0c, 20), "Test With Truncation", "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
		{signature.HMACSHA1, fill(0xaa, 80), "Test Using Larger Than Block-Size Key - Hash Key First", "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
		{signature.HMACSHA1, fill(0xaa, 80), "Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data", "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
	} {
		s := preset(t, "cxone")
		s.Algorithm = tc.algorithm
		h := one(s.Header, tc.mac)
		if _, err := verifier(t, s, secret("a", tc.key)).Verify(h.values, []byte(tc.data), at()); err != nil {
			t.Errorf("case %d, %s: %v", i, tc.algorithm, err)
		}
		if got := sign(t, s, secret("a", tc.key), tc.data); fmt.Sprint(got) != fmt.Sprint(h) {
			t.Errorf("case %d, %s: signed as %v, want %v", i, tc.algorithm, got, h)
		}
	}
}

// NICE publishes no vectors, so the cxone scheme is held against two programs
// that others wrote.
func TestAgainstOtherPrograms(t *testing.T) {
	t.Run("openssl", func(t *testing.T) {
		againstProgram(t, func(ctx context.Context, key []byte) *exec.Cmd {
			return exec.CommandContext(ctx, "openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString(key), "-r")
		})
	})
	t.Run("python3", func(t *testing.T) {
		const program = "import hashlib, hmac, sys; print(hmac.new(bytes.fromhex(sys.argv[1]), sys.stdin.buffer.read(), hashlib.sha256).hexdigest())"
		againstProgram(t, func(ctx context.Context, key []byte) *exec.Cmd {
			return exec.CommandContext(ctx, "python3", "-c", program, hex.EncodeToString(key))
		})
	})
}

// againstProgram has bodies signed by a command that reads one on stdin and
// prints the hex MAC first.
func againstProgram(t *testing.T, command func(context.Context, []byte) *exec.Cmd) {
	t.Helper()
	if name := command(t.Context(), []byte{0}).Path; !found(name) {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed: in CI this test must run", name)
		}
		t.Skipf("%s is not installed: the signatures are not compared with it", name)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []struct{ key, body int }{{10, 0}, {1, 1}, {32, 554}, {64, 63}, {65, 64}, {200, 1500}, {32, 100_000}} {
		key, body := random(rng, size.key), random(rng, size.body)
		cmd := command(t.Context(), key)
		cmd.Stdin = bytes.NewReader(body)
		out, err := cmd.Output()
		if err != nil || len(out) < 64 {
			t.Fatalf("%s: %v, %q", cmd, err, out)
		}
		mac, s := string(out[:64]), preset(t, "cxone")
		k := signature.Secret{ID: "a", Value: key}
		if _, err := verifier(t, s, k).Verify(one(s.Header, mac).values, body, at()); err != nil {
			t.Errorf("key of %d, body of %d bytes: %v", size.key, size.body, err)
		}
		if got := sign(t, s, k, string(body))["X-Cxone-Signature"][0]; got != mac {
			t.Errorf("key of %d, body of %d bytes: signed as %s, the other program says %s", size.key, size.body, got, mac)
		}
	}
}

func found(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
