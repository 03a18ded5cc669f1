package signature

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"time"
)

// Field is one header field to send.
type Field struct{ Name, Value string }

// Sign returns the header fields that a sender of this scheme would send with
// body: id and time where the scheme signs them, then the signature. A list has
// one signature. The id is needed only where the scheme signs one. For Static
// the field holds the secret itself.
//
// A Verifier of the same scheme and secret accepts the result within the
// window around at.
func Sign(scheme Scheme, secret Secret, body []byte, at time.Time, id string) ([]Field, error) {
	if faults := scheme.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("signature scheme: %w", faults[0])
	}
	key, err := scheme.key(secret)
	if err != nil {
		return nil, fmt.Errorf("secret %q %w", secret.ID, err)
	}
	if scheme.Algorithm == Static {
		return []Field{{scheme.Header, scheme.Prefix + encode(key, scheme.Encoding)}}, nil
	}
	if scheme.IDHeader != "" && (id == "" || !visible(id, false)) {
		return nil, errors.New("the scheme signs an id: want printable ASCII without spaces")
	}
	parts, err := scheme.Signed.parts()
	if err != nil {
		return nil, fmt.Errorf("signed template: %w", err)
	}
	stamp := formatTime(at, scheme.Timestamp.Unit)
	if _, ok := parseTime(stamp, scheme.Timestamp.Unit); !ok && scheme.Timestamp != (Timestamp{}) {
		return nil, errors.New("the time cannot be written in the scheme's unit")
	}
	sum := hmacOf(scheme.Algorithm, key, parts, stamp, id, body)
	return scheme.fields(encode(sum, scheme.Encoding), stamp, id), nil
}

// fields lays the parts out as the scheme wants them.
func (s Scheme) fields(signature, stamp, id string) []Field {
	var fields []Field
	if s.IDHeader != "" {
		fields = append(fields, Field{s.IDHeader, id})
	}
	value := s.Prefix + signature
	if s.Timestamp.Header != "" {
		fields = append(fields, Field{s.Timestamp.Header, stamp})
	} else if s.Timestamp.Key != "" {
		value = s.Timestamp.Key + "=" + stamp + s.List.Separator + value
	}
	return append(fields, Field{s.Header, value})
}

// hmacOf signs once. The path of an event uses Verifier.sum.
func hmacOf(a Algorithm, key []byte, parts []part, stamp, id string, body []byte) []byte {
	before, after := split(parts)
	mac := hmac.New(a.hash, key)
	_, _ = mac.Write(appendParts(nil, before, stamp, id))
	_, _ = mac.Write(body)
	_, _ = mac.Write(appendParts(nil, after, stamp, id))
	return mac.Sum(nil)
}
