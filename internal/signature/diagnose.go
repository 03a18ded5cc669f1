package signature

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxDiagnosed bounds the bodies that Diagnose computes over.
const maxDiagnosed = 64 << 10

// Diagnose says in one line why a request did not match, without showing
// secret, expected value, received value or body: it names headers, lengths,
// secret ids and the variation under which the signature would have matched.
//
// It tries some hundred MACs (about 130 for each secret), so it belongs to a
// refusal whose log line will be written, away from the request; over bodies
// above 64 KiB it reports the facts of the header alone. Safe for concurrent
// use. h is called again and body read, so both must still be the request's.
func (v *Verifier) Diagnose(h Header, body []byte, now time.Time) string {
	secret, err := v.Verify(h, body, now)
	if err == nil {
		return fmt.Sprintf("the signature matches secret %q", v.ids[secret])
	}
	var f *Failure
	if !errors.As(err, &f) {
		return err.Error()
	}
	switch f.Why {
	case Missing:
		return "there is no " + f.Header + " header"
	case Multiple:
		return fmt.Sprintf("there are %d %s headers, want exactly one", len(h(f.Header)), f.Header)
	case TooMany:
		return fmt.Sprintf("%s lists more than %d signatures", f.Header, MaxEntries)
	case NoID:
		return "there is no " + f.Header + " header, whose value is signed" + v.alternative(h, body)
	case NoTimestamp:
		return v.explainNoTimestamp(f) + v.alternative(h, body)
	case BadTimestamp:
		return fmt.Sprintf("the time in %s is not in unit %s", f.Header, v.scheme.Timestamp.Unit) +
			v.unitHint(h, now) + v.alternative(h, body)
	case Stale:
		return v.explainStale(f.Skew) + v.unitHint(h, now)
	default:
		return v.explainValue(f, h, body)
	}
}

func (v *Verifier) explainNoTimestamp(f *Failure) string {
	if key := v.scheme.Timestamp.Key; key != "" {
		return fmt.Sprintf("%s holds no time, want an entry %s=…", f.Header, key)
	}
	return "there is no " + f.Header + " header, whose time is signed"
}

func (v *Verifier) explainStale(skew time.Duration) string {
	side := "ahead of"
	if skew < 0 {
		skew, side = -skew, "behind"
	}
	return fmt.Sprintf("the signature is right, but its time is %v %s this clock; the window is %v either way",
		skew.Round(time.Millisecond), side, v.scheme.Timestamp.Tolerance)
}

// explainValue is for signatures that are there: it says what is wrong with
// the form, and under which variation they would match.
func (v *Verifier) explainValue(f *Failure, h Header, body []byte) string {
	text := v.shape(f, h)
	if len(body) == 0 && v.scheme.Algorithm != Static {
		text += "; the body is empty"
	}
	if also := v.alternative(h, body); also != "" {
		return text + also
	}
	if f.Why == Mismatch && v.scheme.Algorithm != Static {
		text += ": another secret, or the body was changed after it was signed"
	}
	return text
}

// alternative names the variation under which the signature would match, as
// the end of a sentence.
func (v *Verifier) alternative(h Header, body []byte) string {
	if len(body) > maxDiagnosed {
		return "; the body is too long to try variations"
	}
	if found := v.search(h, body); found != "" {
		return "; it would match " + found
	}
	return ""
}

// unitHint says in which other unit the time would be inside the window.
func (v *Verifier) unitHint(h Header, now time.Time) string {
	g := generator{base: &v.scheme, header: h}
	stamps := g.stamps()
	if len(stamps) == 0 {
		return ""
	}
	stamp := stamps[0].text
	for _, u := range Units() {
		t, ok := parseTime(stamp, u)
		if ok && u != v.scheme.Timestamp.Unit && now.Sub(t).Abs() <= v.scheme.Timestamp.Tolerance {
			return fmt.Sprintf("; read in unit %s it is inside the window", u)
		}
	}
	return ""
}

// shape says in which form the value is, and which was wanted.
func (v *Verifier) shape(f *Failure, h Header) string {
	switch {
	case f.Why == Mismatch && v.scheme.Algorithm == Static:
		if len(v.ids) == 1 {
			return fmt.Sprintf("the value in %s is not the secret", f.Header)
		}
		return fmt.Sprintf("the value in %s is none of the %d secrets", f.Header, len(v.ids))
	case f.Why == Mismatch && len(v.ids) == 1:
		return fmt.Sprintf("the signature in %s was not made with the secret over these bytes", f.Header)
	case f.Why == Mismatch:
		return fmt.Sprintf("the signature in %s was made by none of the %d secrets over these bytes", f.Header, len(v.ids))
	case v.scheme.List.Separator != "":
		return fmt.Sprintf("no entry in %s is %s", f.Header, v.wanted())
	default:
		return fmt.Sprintf("the value in %s has %s, want %s", f.Header, describe(h(f.Header)[0]), v.wanted())
	}
}

// wanted describes a well formed signature.
func (v *Verifier) wanted() string {
	var b strings.Builder
	if v.scheme.Prefix != "" {
		fmt.Fprintf(&b, "%q and then ", v.scheme.Prefix)
	}
	switch {
	case v.scheme.Algorithm == Static && v.scheme.Encoding == Plain:
		b.WriteString("a secret")
	case v.scheme.Algorithm == Static:
		fmt.Fprintf(&b, "a secret as %s", v.scheme.Encoding)
	case v.scheme.Encoding == Hex:
		fmt.Fprintf(&b, "%d hex digits", 2*v.size)
	default:
		fmt.Fprintf(&b, "%d bytes as %s", v.size, v.scheme.Encoding)
	}
	return b.String()
}

// describe gives length and kind of characters, never the characters.
func describe(s string) string {
	kind := "other characters than hex and base64"
	switch {
	case s == "":
		return "no characters"
	case strings.ContainsAny(s, " \t\r\n"):
		kind = "with white space"
	case consists(s, "0123456789abcdefABCDEF"):
		kind = "all hex digits"
	case consists(strings.TrimRight(s, "="), base64Alphabet):
		kind = "all in the base64 alphabet"
	}
	return fmt.Sprintf("%d characters, %s", len(s), kind)
}

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"

// consists reports whether all characters of s are in set.
func consists(s, set string) bool { return strings.Trim(s, set) == "" && s != "" }
