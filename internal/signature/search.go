package signature

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"slices"
	"strings"
)

// The search behind Diagnose: what was received can be read, the bytes signed
// can be put together, and the key can be taken, in more ways than the scheme's.
// Each way is a variation; those with the fewest departures are tried first.

// A variation is one way to do a thing, how names it, and steps counts its
// departures from the scheme (0: as configured).
type variation[T any] struct {
	value T
	how   string
	steps int
}

// received is a signature that was read in some way.
type received struct {
	algorithm Algorithm
	bytes     []byte
}

// message is a text that may have been signed.
type message struct {
	parts []part
	body  []byte
	stamp string
	id    string
}

const (
	maxSteps    = 2 // departures in one explanation
	maxReadings = 48
	maxKeys     = 24
)

// search returns the variation under which the request would have matched, or "".
func (v *Verifier) search(h Header, body []byte) string {
	readings, messages, keys := v.readings(h), v.messages(h, body), v.keyings()
	for steps := 0; steps <= maxSteps; steps++ {
		for _, m := range messages {
			for _, k := range keys {
				if found := v.try(readings, m, k, steps); found != "" {
					return found
				}
			}
		}
	}
	return ""
}

// try compares the readings that, with message and key, make exactly so many
// steps.
func (v *Verifier) try(readings []variation[received], m variation[message], k variation[[]byte], steps int) string {
	var made Algorithm
	var want []byte
	for _, r := range readings {
		if r.steps+m.steps+k.steps != steps {
			continue
		}
		if want == nil || made != r.value.algorithm {
			made, want = r.value.algorithm, m.value.sign(r.value.algorithm, k.value)
		}
		if hmac.Equal(want, r.value.bytes) {
			return joinHow(k.how, r.how, m.how)
		}
	}
	return ""
}

// sign returns what a sender would have made of the message.
func (m message) sign(a Algorithm, key []byte) []byte {
	if a == Static {
		return key
	}
	return hmacOf(a, key, m.parts, m.stamp, m.id, m.body)
}

func joinHow(how ...string) string {
	return strings.Join(slices.DeleteFunc(how, func(s string) bool { return s == "" }), ", ")
}

// readings reads every received value in every way.
func (v *Verifier) readings(h Header) []variation[received] {
	var out []variation[received]
	for _, value := range h(v.header) {
		entries := []string{value}
		if sep := v.scheme.List.Separator; sep != "" {
			entries = strings.SplitN(value, sep, MaxEntries)
		}
		for _, entry := range entries {
			for _, text := range v.texts(entry) {
				out = v.appendDecodings(out, text)
			}
		}
		if len(out) > maxReadings {
			return out[:maxReadings]
		}
	}
	return out
}

// texts takes prefix and decoration off one signature.
func (v *Verifier) texts(entry string) []variation[string] {
	var out []variation[string]
	if text, ok := cutPrefixFold(entry, v.scheme.Prefix); ok {
		out = append(out, variation[string]{value: text})
		entry = text
	}
	if trimmed := strings.Trim(entry, " \t\"'"); trimmed != entry {
		out = append(out, variation[string]{trimmed, "without the white space or quotes around it", 1})
		entry = trimmed
	}
	if v.scheme.Prefix != "" {
		out = append(out, variation[string]{entry, fmt.Sprintf("without the prefix %q", v.scheme.Prefix), 1})
	}
	for _, p := range []string{"sha256=", "sha1=", "sha512=", "hmac-sha256=", "v0=", "v1=", "v1,", "Bearer ", "Basic "} {
		if text, ok := cutPrefixFold(entry, p); ok && !strings.EqualFold(p, v.scheme.Prefix) {
			out = append(out, variation[string]{text, fmt.Sprintf("after the prefix %q", p), 1})
		}
	}
	return out
}

// appendDecodings reads one text in every encoding.
func (v *Verifier) appendDecodings(out []variation[received], text variation[string]) []variation[received] {
	if len(text.value) > maxText {
		return out
	}
	for _, e := range Encodings() {
		decoded, ok := appendDecoded(nil, []byte(text.value), e)
		if !ok || e == Plain && v.scheme.Algorithm != Static {
			continue
		}
		how, steps := text.how, text.steps
		if e != v.scheme.Encoding {
			how, steps = joinHow(how, "read as "+string(e)), steps+1
		}
		if v.scheme.Algorithm == Static {
			out = append(out, variation[received]{received{Static, decoded}, how, steps})
			continue
		}
		for _, a := range Algorithms() {
			if a == Static || a.size() != len(decoded) {
				continue
			}
			if a != v.scheme.Algorithm {
				how, steps = joinHow(how, "as "+string(a)), steps+1
			}
			out = append(out, variation[received]{received{a, decoded}, how, steps})
		}
	}
	return out
}

// messages puts together what may have been signed: the scheme's template and
// other common ones, over the body and its near relatives.
func (v *Verifier) messages(h Header, body []byte) []variation[message] {
	if v.scheme.Algorithm == Static {
		return []variation[message]{{}}
	}
	var out []variation[message]
	stamp, id := v.signedValues(h)
	for _, t := range v.templates(stamp != "", id != "") {
		parts, err := t.value.parts()
		if err != nil {
			continue
		}
		for _, b := range bodies(body) {
			out = append(out, variation[message]{
				message{parts, b.value, stamp, id}, joinHow(t.how, b.how), t.steps + b.steps,
			})
		}
	}
	return out
}

// signedValues finds time and id as far as they are there. A scheme without a
// time may have been configured for a sender that signs one, in the header that
// is called like the signature's.
func (v *Verifier) signedValues(h Header) (stamp, id string) {
	s := new(scratch)
	switch {
	case v.timeHeader != "":
		stamp = first(h(v.timeHeader))
	case v.scheme.Timestamp.Key != "":
		v.readList(h(v.header), s)
		stamp = s.stamp
	default:
		if stem, ok := strings.CutSuffix(strings.TrimSuffix(v.header, "-256"), "Signature"); ok {
			stamp = first(h(stem + "Timestamp"))
		}
	}
	if v.idHeader != "" {
		id = first(h(v.idHeader))
	}
	return stamp, id
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// templates returns the scheme's own and the common ones that can be filled.
func (v *Verifier) templates(stamp, id bool) []variation[Template] {
	all := []variation[Template]{{v.scheme.Signed, "", 0}}
	for _, t := range []Template{
		BodyOnly, "{timestamp}.{body}", "{timestamp}:{body}", "{timestamp}{body}", "v0:{timestamp}:{body}", "{id}.{timestamp}.{body}",
	} {
		if t == v.scheme.Signed || t.has(slotTimestamp) && !stamp || t.has(slotID) && !id {
			continue
		}
		how := fmt.Sprintf("over %q", t)
		if t == BodyOnly {
			how = "over the body alone"
			if v.scheme.Signed.has(slotTimestamp) {
				how = "over the body alone, without the timestamp"
			}
		}
		all = append(all, variation[Template]{t, how, 1})
	}
	return all
}

// bodies returns the body and what proxies, editors and shells make of one.
func bodies(body []byte) []variation[[]byte] {
	all := []variation[[]byte]{{body, "", 0}}
	add := func(b []byte, how string) {
		if !slices.ContainsFunc(all, func(o variation[[]byte]) bool { return bytes.Equal(o.value, b) }) {
			all = append(all, variation[[]byte]{b, how, 1})
		}
	}
	add(bytes.TrimSuffix(body, []byte("\n")), "with the newline at the body's end removed")
	add(append(bytes.Clone(body), '\n'), "with a newline added at the body's end")
	add(bytes.TrimSpace(body), "with the white space around the body removed")
	add(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), "without the byte order mark before the body")
	add(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), "with line ends LF instead of CRLF in the body")
	add(bytes.ReplaceAll(body, []byte("\n"), []byte("\r\n")), "with line ends CRLF instead of LF in the body")
	add(nil, "over an empty body")
	return all
}

// keyings takes every secret in every way.
func (v *Verifier) keyings() []variation[[]byte] {
	var out []variation[[]byte]
	for i, secret := range v.secrets {
		named := fmt.Sprintf("with secret %q", secret.ID)
		out = append(out, variation[[]byte]{v.keys[i], named, 0})
		if trimmed := bytes.TrimSpace(secret.Value); len(trimmed) != len(secret.Value) {
			if key, err := decodeSecret(trimmed, v.scheme.SecretEncoding); err == nil {
				out = append(out, variation[[]byte]{key, named + " without the white space around it", 1})
			}
		}
		out = append(out, variation[[]byte]{
			append(bytes.Clone(secret.Value), '\n'), named + " and a newline after it", 1,
		})
		for _, e := range SecretEncodings() {
			key, err := decodeSecret(secret.Value, e)
			if err == nil && !bytes.Equal(key, v.keys[i]) {
				out = append(out, variation[[]byte]{key, named + " taken as " + string(e), 1})
			}
		}
	}
	return out[:min(len(out), maxKeys)]
}
