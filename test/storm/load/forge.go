package load

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // an attack
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// forged is an attack whose signature is wrong: the answer must be 401 and
// tell nothing.
func forged(name string, forge func(a *attacker) []byte) Attack {
	return Attack{Name: name, make: forge, due: http.StatusUnauthorized}
}

// header forges a request of a good body with these header lines.
func header(name string, lines func(a *attacker, body []byte) []string) Attack {
	return forged(name, func(a *attacker) []byte { b := a.evil(); return a.post(b, lines(a, b)...) })
}

// value forges a request of a good body with this signature.
func value(name string, signature func(a *attacker, body []byte) string) Attack {
	return header(name, func(a *attacker, body []byte) []string { return []string{signed(signature(a, body))} })
}

// forgeries do not have the right signature, or not of this body.
func forgeries() []Attack {
	other := func(name string, change func(body []byte) []byte) Attack { // what is sent is not what was signed
		return forged(name, func(a *attacker) []byte {
			b := a.evil()
			right := a.right(b)
			return a.post(change(b), right)
		})
	}
	return []Attack{
		header("unsigned", func(*attacker, []byte) []string { return nil }),
		value("an empty signature", func(*attacker, []byte) string { return "" }),
		value("another secret", func(a *attacker, b []byte) string { return Sign(a.o.Secret+"x", b) }),
		value("the secret of the other source", func(a *attacker, b []byte) string { return Sign(a.o.Stamped.Key, b) }),
		value("no secret", func(_ *attacker, b []byte) string { return Sign("", b) }),
		value("the signature of another body", func(a *attacker, _ []byte) string { return Sign(a.o.Secret, []byte("{}")) }),
		value("the signature of no body", func(a *attacker, _ []byte) string { return Sign(a.o.Secret, nil) }),
		value("body and secret in each other's place", func(a *attacker, b []byte) string { return Sign(string(b), []byte(a.o.Secret)) }),
		other("a body changed after signing", func(b []byte) []byte { b[len(b)-3] ^= 1; return b }),
		other("a byte added after signing", func(b []byte) []byte { return append(b, ' ') }),
		other("a line feed added after signing", func(b []byte) []byte { return append(b, '\n') }),
		other("a byte cut off after signing", func(b []byte) []byte { return b[:len(b)-1] }),
		other("another type after signing", func(b []byte) []byte {
			return bytes.Replace(b, []byte("QUEUE_TRANSFER"), []byte("CALL_DISCONNECTED"), 1)
		}),
		other("a body encoded again after signing", func(b []byte) []byte {
			var out bytes.Buffer
			_ = json.Indent(&out, b, "", "  ") // our own JSON
			return out.Bytes()
		}),
		other("a body compressed after signing, without a word of it", compressed),
		value("the signature of the body encoded again", func(a *attacker, b []byte) string {
			var out bytes.Buffer
			_ = json.Indent(&out, b, "", "  ") // our own JSON
			return Sign(a.o.Secret, out.Bytes())
		}),
		value("the signature of the body in capitals", func(a *attacker, b []byte) string { return Sign(a.o.Secret, bytes.ToUpper(b)) }),
		header("two signatures, the first one right", func(a *attacker, b []byte) []string { return []string{a.right(b), signed(strings.Repeat("0", 64))} }),
		header("two signatures, the second one right", func(a *attacker, b []byte) []string { return []string{signed(strings.Repeat("0", 64)), a.right(b)} }),
		header("the right signature twice", func(a *attacker, b []byte) []string { return []string{a.right(b), a.right(b)} }),
		header("the right signature in another header", func(a *attacker, b []byte) []string {
			return []string{"X-Signature: " + Sign(a.o.Secret, b), "X-Hub-Signature-256: sha256=" + Sign(a.o.Secret, b)}
		}),
		forged("the right signature in the query", func(a *attacker) []byte {
			b := a.evil()
			return a.request(http.MethodPost, a.o.Path+"?"+SignatureHeader+"="+Sign(a.o.Secret, b), b)
		}),
		forged("the signature in a trailer", func(a *attacker) []byte {
			b := a.evil()
			return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: %s\r\n\r\n%x\r\n%s\r\n0\r\n%s\r\n\r\n",
				a.o.Path, SignatureHeader, len(b), b, a.right(b))
		}),
	}
}

// signatures are written otherwise than they must be. That hexadecimal digits
// are capitals is no attack: their value counts.
func signatures() []Attack {
	right := func(name string, change func(signature string) string) Attack {
		return value(name, func(a *attacker, b []byte) string { return change(Sign(a.o.Secret, b)) })
	}
	return []Attack{
		right("the front of the right signature", func(s string) string { return s[:8] }),
		right("a signature of one digit less", func(s string) string { return s[:63] }),
		right("a signature of one digit more", func(s string) string { return s + "0" }),
		right("a signature right in its first half", func(s string) string { return s[:32] + strings.Repeat("0", 32) }),
		right("a signature right in its second half", func(s string) string { return strings.Repeat("0", 32) + s[32:] }),
		right("the right signature twice in one header", func(s string) string { return s + s }),
		right("a list of signatures, one of them right", func(s string) string { return strings.Repeat("0", 64) + "," + s }),
		right("sha256= before the right signature", func(s string) string { return "sha256=" + s }),
		right("0x before the right signature", func(s string) string { return "0x" + s }),
		right("the right signature in quotes", func(s string) string { return `"` + s + `"` }),
		right("a space in the right signature", func(s string) string { return s[:32] + " " + s[32:] }),
		right("a digit of another width", func(s string) string { return string(rune(s[0])+0xfee0) + s[1:] }),
		value("a wrong signature in capitals", func(a *attacker, b []byte) string { return strings.ToUpper(Sign(a.o.Secret+"x", b)) }),
		value("the right signature in base64", func(a *attacker, b []byte) string { return base64.StdEncoding.EncodeToString(mac(a.o.Secret, b)) }),
		value("HMAC-SHA1", func(a *attacker, b []byte) string {
			h := hmac.New(sha1.New, []byte(a.o.Secret))
			h.Write(b)
			return hex.EncodeToString(h.Sum(nil))
		}),
		value("the front of HMAC-SHA512", func(a *attacker, b []byte) string {
			h := hmac.New(sha512.New, []byte(a.o.Secret))
			h.Write(b)
			return hex.EncodeToString(h.Sum(nil))[:64]
		}),
		value("the secret itself", func(a *attacker, _ []byte) string { return a.o.Secret }),
		value("zeros", func(*attacker, []byte) string { return strings.Repeat("0", 64) }),
		value("a signature of 8 KiB", func(*attacker, []byte) string { return strings.Repeat("a", 8<<10) }),
	}
}

// window is how far a signed time may be from the relay's clock.
const window = 5 * time.Minute

// stamp is a time as Standard Webhooks has it, so long from now.
func stamp(after time.Duration) string { return strconv.FormatInt(time.Now().Add(after).Unix(), 10) }

// stamped are the header lines of Standard Webhooks.
func stamped(id, stamp, signature string) []string {
	return []string{"webhook-id: " + id, "webhook-timestamp: " + stamp, "webhook-signature: " + signature}
}

// timed forges a request to the source whose signatures have a time.
func timed(name string, lines func(a *attacker, body []byte) []string) Attack {
	return forged(name, func(a *attacker) []byte {
		b := a.evil()
		return a.request(http.MethodPost, a.o.Timed, b, lines(a, b)...)
	})
}

// replays were truly signed, but not for now.
func replays() []Attack {
	at := func(name string, when func() string) Attack {
		return timed(name, func(a *attacker, b []byte) []string {
			t := when()
			return stamped(a.id(), t, a.o.Stamped.Sign(a.id(), t, b))
		})
	}
	return []Attack{
		at("a replay from ten minutes ago", func() string { return stamp(-2 * window) }),
		at("a replay from just before the window", func() string { return stamp(-window - 5*time.Second) }),
		at("a replay from a year ago", func() string { return stamp(-365 * 24 * time.Hour) }),
		at("a signature for later", func() string { return stamp(2 * window) }),
		at("a signature for just behind the window", func() string { return stamp(window + time.Minute) }),
		at("a signature for 1970", func() string { return "0" }),
		at("a signature for a time in milliseconds", func() string { return strconv.FormatInt(time.Now().UnixMilli(), 10) }),
		at("a signature for no time", func() string { return "" }),
		at("a signature for a time that is none", func() string { return "now" }),
		timed("a replay with the time changed to now", func(a *attacker, b []byte) []string {
			return stamped(a.id(), stamp(0), a.o.Stamped.Sign(a.id(), stamp(-2*window), b))
		}),
		timed("a replay with another id", func(a *attacker, b []byte) []string {
			return stamped(a.id()+"-again", stamp(0), a.o.Stamped.Sign(a.id(), stamp(0), b))
		}),
		timed("two times, one of them signed", func(a *attacker, b []byte) []string {
			t := stamp(-2 * window)
			return append(stamped(a.id(), t, a.o.Stamped.Sign(a.id(), t, b)), "webhook-timestamp: "+stamp(0))
		}),
	}
}

// borrowed were truly signed, but not for this request or not for this source.
func borrowed() []Attack {
	now := func(name string, sign func(a *attacker, stamp string, body []byte) string) Attack {
		return timed(name, func(a *attacker, b []byte) []string { t := stamp(0); return stamped(a.id(), t, sign(a, t, b)) })
	}
	return []Attack{
		now("the signature of another body, with its time", func(a *attacker, t string, _ []byte) string {
			return a.o.Stamped.Sign(a.id(), t, []byte("{}"))
		}),
		timed("an id that ends with the time", func(a *attacker, b []byte) []string {
			t := stamp(0)
			return stamped(a.id()+"."+t, t, a.o.Stamped.Sign(a.id(), t, b))
		}),
		now("a signature of another version", func(a *attacker, t string, b []byte) string {
			return "v2" + a.o.Stamped.Sign(a.id(), t, b)[2:]
		}),
		now("a signature of the body only, with a time beside it", func(a *attacker, _ string, b []byte) string {
			return "v1," + base64.StdEncoding.EncodeToString(mac(a.o.Stamped.Key, b))
		}),
		timed("a signature of the body only, and no time", func(a *attacker, b []byte) []string {
			return []string{"webhook-signature: v1," + base64.StdEncoding.EncodeToString(mac(a.o.Stamped.Key, b))}
		}),
		timed("a signature of the other source, as that has it", func(a *attacker, b []byte) []string { return []string{a.right(b)} }),
		now("a signature with the key of the other source", func(a *attacker, t string, b []byte) string {
			return Stamped{Key: a.o.Secret}.Sign(a.id(), t, b)
		}),
		now("a signature with the key as it is written", func(a *attacker, t string, b []byte) string {
			return Stamped{Key: a.o.Stamped.Secret()}.Sign(a.id(), t, b)
		}),
		now("seventeen signatures, the last one right", func(a *attacker, t string, b []byte) string {
			return strings.Repeat("v1,"+strings.Repeat("A", 43)+"= ", 16) + a.o.Stamped.Sign(a.id(), t, b)
		}),
		header("a signature with a time at the source without", func(a *attacker, b []byte) []string {
			t := stamp(0)
			return stamped(a.id(), t, a.o.Stamped.Sign(a.id(), t, b))
		}),
	}
}

func compressed(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}
