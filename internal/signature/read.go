package signature

import (
	"crypto/sha256"
	"strings"
	"time"
)

// read fills s with what the request's headers say: the candidates, the text
// around the body, and the signed time (zero when the scheme signs none). It
// computes nothing that depends on a secret.
func (v *Verifier) read(h Header, s *scratch) (time.Time, error) {
	s.candidates, s.stamp, s.stamped = 0, "", false
	values := h(v.header)
	if len(values) == 0 {
		return time.Time{}, &Failure{Why: Missing, Header: v.header}
	}
	var why Why
	if v.scheme.List.Separator == "" {
		if len(values) > 1 {
			return time.Time{}, &Failure{Why: Multiple, Header: v.header}
		}
		why = v.readOne(values[0], s)
	} else {
		why = v.readList(values, s)
	}
	if why != "" {
		return time.Time{}, &Failure{Why: why, Header: v.header}
	}
	return v.readSigned(h, s)
}

// readSigned reads time and id and renders what stands around the body.
func (v *Verifier) readSigned(h Header, s *scratch) (signed time.Time, err error) {
	if v.timeHeader != "" {
		if s.stamp, err = single(h, v.timeHeader, NoTimestamp); err != nil {
			return time.Time{}, err
		}
	} else if v.scheme.Timestamp.Key != "" && !s.stamped {
		return time.Time{}, &Failure{Why: NoTimestamp, Header: v.header}
	}
	if v.scheme.Timestamp != (Timestamp{}) {
		var ok bool
		if signed, ok = parseTime(s.stamp, v.scheme.Timestamp.Unit); !ok {
			return time.Time{}, &Failure{Why: BadTimestamp, Header: v.stampHeader()}
		}
	}
	var id string
	if v.idHeader != "" {
		if id, err = single(h, v.idHeader, NoID); err != nil {
			return time.Time{}, err
		}
	}
	s.before = appendParts(s.before[:0], v.before, s.stamp, id)
	s.after = appendParts(s.after[:0], v.after, s.stamp, id)
	return signed, nil
}

// stampHeader names the header that carries the signed time.
func (v *Verifier) stampHeader() string {
	if v.timeHeader != "" {
		return v.timeHeader
	}
	return v.header
}

// single returns the value of a header that must stand exactly once.
func single(h Header, name string, absent Why) (string, error) {
	switch values := h(name); {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", &Failure{Why: absent, Header: name}
	case len(values) > 1:
		return "", &Failure{Why: Multiple, Header: name}
	default:
		return values[0], nil
	}
}

// readList reads all entries of all values. An entry without the prefix is
// another version's and skipped; one that does not decode cannot match and is
// skipped too. What is left over is reported only when nothing is left.
func (v *Verifier) readList(values []string, s *scratch) Why {
	entries, why := 0, Malformed
	for _, rest := range values {
		for more := true; more; {
			var entry string
			entry, rest, more = strings.Cut(rest, v.scheme.List.Separator)
			if entries++; entries > MaxEntries {
				return TooMany
			}
			if entry == "" {
				return Malformed
			}
			if stamp, ok := v.cutStamp(entry); ok {
				if s.stamped { // two times: which one is meant?
					return Malformed
				}
				s.stamp, s.stamped = stamp, true
				continue
			}
			if w := v.readOne(entry, s); w == WrongLength {
				why = w
			}
		}
	}
	if s.candidates == 0 {
		return why
	}
	return ""
}

func (v *Verifier) cutStamp(entry string) (string, bool) {
	key := v.scheme.Timestamp.Key
	if key == "" {
		return "", false
	}
	name, value, ok := strings.Cut(entry, "=")
	return value, ok && name == key
}

// readOne reads one signature and adds it to the candidates.
func (v *Verifier) readOne(value string, s *scratch) Why {
	text, ok := cutPrefixFold(value, v.scheme.Prefix)
	if !ok {
		return Malformed
	}
	if len(text) > maxText {
		return WrongLength
	}
	s.text = append(s.text[:0], text...)
	if s.decoded, ok = appendDecoded(s.decoded[:0], s.text, v.scheme.Encoding); !ok {
		return Malformed
	}
	if v.scheme.Algorithm == Static {
		// Hashed, so that the comparison tells nothing about the length either.
		sum := sha256.Sum256(s.decoded)
		copy(s.candidate[s.candidates][:], sum[:])
		s.candidates++
		return ""
	}
	if len(s.decoded) != v.size {
		return WrongLength
	}
	copy(s.candidate[s.candidates][:], s.decoded)
	s.candidates++
	return ""
}

// cutPrefixFold is strings.CutPrefix without regard to ASCII case. The prefix
// is ASCII.
func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !equalFoldASCII(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

func equalFoldASCII(a, b string) bool {
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
