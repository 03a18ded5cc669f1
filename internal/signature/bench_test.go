package signature_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

func BenchmarkVerify(b *testing.B) {
	for _, name := range signature.PresetNames() {
		for _, size := range []int{554, 1536} {
			for _, secrets := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/%dB/%d", name, size, secrets), func(b *testing.B) { benchmarkVerify(b, name, size, secrets) })
			}
		}
	}
}

func benchmarkVerify(b *testing.B, name string, size, n int) {
	s, body, now := preset(b, name), bytes.Repeat([]byte("x"), size), at()
	var secrets []signature.Secret
	for i := range n {
		secrets = append(secrets, secret(fmt.Sprint(i), fmt.Sprintf("dev:secret-%d", i)))
		if s.SecretEncoding == signature.SecretWhsec {
			secrets[i].Value = []byte(fmt.Sprintf("whsec_%032d", i))
		}
	}
	v, h := verifier(b, s, secrets...), sign(b, s, secrets[0], string(body))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(h.values, body, now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFloor is the MAC alone: made anew each time as simple code does, and
// with a hash that is kept.
func BenchmarkFloor(b *testing.B) {
	for _, size := range []int{554, 1536} {
		body, key := bytes.Repeat([]byte("x"), size), []byte("dev-secret")
		mac := hmac.New(sha256.New, key)
		mac.Write(body)
		text := []byte(hex.EncodeToString(mac.Sum(nil)))
		b.Run(fmt.Sprintf("new/%dB", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mac := hmac.New(sha256.New, key)
				mac.Write(body)
				want := make([]byte, sha256.Size)
				if _, err := hex.Decode(want, text); err != nil || !hmac.Equal(want, mac.Sum(nil)) {
					b.Fatal("wrong")
				}
			}
		})
		b.Run(fmt.Sprintf("kept/%dB", size), func(b *testing.B) {
			b.ReportAllocs()
			var sum, want [sha256.Size]byte
			for b.Loop() {
				mac.Reset()
				mac.Write(body)
				if _, err := hex.Decode(want[:], text); err != nil || !hmac.Equal(want[:], mac.Sum(sum[:0])) {
					b.Fatal("wrong")
				}
			}
		})
	}
}

func BenchmarkRefuse(b *testing.B) {
	v, body, now := verifier(b, preset(b, "cxone"), secret("a", "dev-secret")), bytes.Repeat([]byte("x"), 554), at()
	h := one("x-cxone-signature", fmt.Sprintf("%064d", 0))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(h.values, body, now); err == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkDiagnose(b *testing.B) {
	s := preset(b, "standard-webhooks")
	k := secret("a", "whsec_AAAA")
	v, h := verifier(b, s, k, secret("b", "whsec_BBBB")), sign(b, s, k, "{}")
	for _, size := range []int{554, 64 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			body := bytes.Repeat([]byte("x"), size)
			b.ReportAllocs()
			for b.Loop() {
				if v.Diagnose(h.values, body, at().Add(time.Second)) == "" {
					b.Fatal("nothing said")
				}
			}
		})
	}
}

// The worst that a request can ask of Diagnose: many secrets, a body at the
// limit that differs from all its relatives.
func BenchmarkDiagnoseWorst(b *testing.B) {
	s := preset(b, "standard-webhooks")
	var secrets []signature.Secret
	for i := range 50 {
		secrets = append(secrets, secret(fmt.Sprint(i), fmt.Sprintf("whsec_%032d", i)))
	}
	v, h := verifier(b, s, secrets...), sign(b, s, secrets[0], "{}")
	body := bytes.Repeat([]byte(" \r\n"), 21<<10)
	b.ReportAllocs()
	for b.Loop() {
		if v.Diagnose(h.values, body, at()) == "" {
			b.Fatal("nothing said")
		}
	}
}
