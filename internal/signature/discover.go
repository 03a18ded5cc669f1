package signature

import (
	"errors"
	"strings"
	"time"
)

// Discovery is a scheme that fits a request.
type Discovery struct {
	Report
	Preset string // whose scheme it is, or ""
	Scheme Scheme // can be used
}

// ErrNoScheme says that Discover found nothing.
var ErrNoScheme = errors.New("no scheme fits")

// ErrNoField says that Discover found what was signed, and that no Scheme can
// express it.
var ErrNoField = errors.New("no scheme can express this signature")

// Discover looks for the scheme that one of the secrets signed the request by:
// every header, encoding, usual signed text and secret form, within the bounds
// of Explain. Departures are what no scheme can express: when there are any,
// the request itself is refused, and the scheme takes those that are sent
// without them. The time of the request is not judged. The error is ErrNoScheme
// or ErrNoField; the Discovery then tells what is known, Foreign among it.
func Discover(secrets []Secret, c Capture) (*Discovery, error) {
	if d := discoverPreset(secrets, c); d != nil {
		return d, nil
	}
	g := generator{header: c.header, fields: c.Fields, deep: true}
	h := hunt{
		readings: g.readings(c.candidates("")), messages: g.messages(farBodies(c.Body)), keys: g.keys(secrets),
		maxSteps: deepSteps, maxMACs: MaxMACs, maxBytes: MaxHashed,
	}
	found, whole := h.run()
	d := &Discovery{Report: Report{MACs: h.macs, Whole: whole, Failure: &Failure{Why: Mismatch}}}
	if found == nil {
		d.Foreign = c.foreign()
		return d, ErrNoScheme
	}
	d.Secret, d.Departures, d.Scheme = secrets[found.key.value.secret].ID, found.departures(), found.scheme()
	d.Failure.Header = canonical(d.Scheme.Header)
	if len(d.Scheme.Validate()) > 0 {
		return d, ErrNoField
	}
	if len(d.Departures) == 0 {
		if !fits(d.Scheme, secrets[found.key.value.secret], c) {
			return d, ErrNoField
		}
		d.Failure = nil
	}
	return d, nil
}

// discoverPreset tries what has a name.
func discoverPreset(secrets []Secret, c Capture) *Discovery {
	for _, name := range PresetNames() {
		s, _ := Preset(name)
		for _, secret := range secrets {
			if len(s.Validate()) == 0 && fits(s, secret, c) {
				return &Discovery{Report: Report{Secret: secret.ID, Whole: true}, Preset: name, Scheme: s}
			}
		}
	}
	return nil
}

// fits reports whether the scheme takes the request, whatever its time.
func fits(s Scheme, secret Secret, c Capture) bool {
	v, err := NewVerifier(s, []Secret{secret})
	if err != nil {
		return false
	}
	_, err = v.Verify(c.header, c.Body, time.Unix(0, 0))
	return err == nil || errors.Is(err, ErrStale)
}

// scheme puts together what was found.
func (h *hit) scheme() Scheme {
	r, m, k := h.reading.value, h.message.value, h.key.value
	s := Scheme{
		Header: strings.ToLower(r.header), Algorithm: r.algorithm, Encoding: r.encoding, Prefix: r.prefix,
		List: List{r.separator}, SecretEncoding: k.encoding,
	}
	if s.Prefix == "v1," { // Standard Webhooks: the list may have one entry
		s.List.Separator = " "
	}
	if s.Algorithm == Static {
		s.List = List{}
		return s
	}
	s.Signed, s.Timestamp, s.IDHeader = m.signed, m.timestamp, strings.ToLower(m.idHeader)
	s.Timestamp.Header = strings.ToLower(s.Timestamp.Header)
	if s.Timestamp != (Timestamp{}) {
		s.Timestamp.Tolerance = defaultTolerance
	}
	return s
}
