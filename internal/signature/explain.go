package signature

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Capture is a request as somebody has written it down. Header names are taken
// in any case.
type Capture struct {
	Fields []Field
	Body   []byte
}

func (c Capture) header(name string) []string {
	var values []string
	for _, f := range c.Fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Question is what Explain is asked: would a source take this request?
type Question struct {
	Scheme  Scheme
	Secrets []Secret // of the source; at least one
	Others  []Secret // that the sender may have used instead
	Now     time.Time
}

// Report is the answer of Explain and Discover. It holds no secret, no value
// that was received, and nothing of the body.
type Report struct {
	// Secret is the id of the secret that made the signature: the source's
	// when Failure is nil, else the one that explains it, or "".
	Secret string
	// Failure is why the source refuses the request; nil when it takes it.
	Failure *Failure
	// Fact is one line about what is there: the words of Diagnose.
	Fact string
	// Departures explain the failure: with all of them at once the signature
	// is right. Nil when nothing was found.
	Departures []Departure
	// Foreign is a scheme that the relay does not know, and that the request
	// seems to be signed by. Only where there is no other explanation.
	Foreign *Foreign
	// MACs is how many signatures were computed, and Whole whether that were
	// all that Explain or Discover know of.
	MACs  int
	Whole bool
}

// Matches reports whether the source takes the request.
func (r *Report) Matches() bool { return r.Failure == nil }

// The bounds of Explain and Discover, which keep the worst case within seconds.
const (
	MaxMACs   = 1_000_000
	MaxHashed = 2 << 30 // bytes
	deepSteps = 8
)

// Explain says whether the request matches, and if not, which departures
// explain it. One form of the secret, one of the body, one of the signed text
// and one of the header are combined with each other, at most MaxMACs
// signatures over MaxHashed bytes; the fewest departures win. A body above 256
// KiB is not tried as written again by JSON libraries. The error says that the
// scheme or a secret of the source cannot be used.
func Explain(q Question, c Capture) (*Report, error) {
	return explainWithin(q, c, MaxMACs, MaxHashed)
}

func explainWithin(q Question, c Capture, maxMACs, maxBytes int) (*Report, error) {
	v, err := NewVerifier(q.Scheme, q.Secrets)
	if err != nil {
		return nil, err
	}
	i, err := v.Verify(c.header, c.Body, q.Now)
	if err == nil {
		return &Report{Secret: v.ids[i], Fact: v.Diagnose(c.header, c.Body, q.Now), Whole: true}, nil
	}
	r := &Report{Whole: true}
	if !errors.As(err, &r.Failure) {
		return nil, err
	}
	r.Fact = v.fact(r.Failure, c.header, c.Body)
	if r.Failure.Why == Stale {
		r.Departures = v.late(c.header, r.Failure.Skew, q.Now)
		return r, nil
	}
	r.explain(q, c, maxMACs, maxBytes)
	return r, nil
}

// fact is Diagnose without the search.
func (v *Verifier) fact(f *Failure, h Header, body []byte) string {
	switch f.Why {
	case Mismatch, Malformed, WrongLength:
		return v.shape(f, h)
	case Stale:
		return v.explainStale(f.Skew)
	case NoTimestamp:
		return v.explainNoTimestamp(f)
	case NoID:
		return "there is no " + f.Header + " header, whose value is signed"
	case BadTimestamp:
		return fmt.Sprintf("the time in %s is not in unit %s", f.Header, v.scheme.Timestamp.Unit)
	default:
		text, _, _ := strings.Cut(v.Diagnose(h, body, time.Time{}), ";")
		return text
	}
}

// late explains a signature that is right but for its time.
func (v *Verifier) late(h Header, skew time.Duration, now time.Time) []Departure {
	g := generator{base: &v.scheme, header: h}
	for _, s := range g.stamps() {
		for _, u := range Units() {
			if t, ok := parseTime(s.text, u); ok && u != v.scheme.Timestamp.Unit && now.Sub(t).Abs() <= v.scheme.Timestamp.Tolerance {
				return depart(nil, CauseUnit, "with the time read in unit "+string(u), "set timestamp.unit: "+string(u))
			}
		}
	}
	return []Departure{clock(skew, v.scheme.Timestamp.Tolerance)}
}

func clock(skew, tolerance time.Duration) Departure {
	side := "ahead of"
	if skew < 0 {
		skew, side = -skew, "behind"
	}
	return Departure{
		CauseClock, fmt.Sprintf("if its time were not %v %s the receiver's, with %v allowed", skew.Round(time.Second), side, tolerance),
		"set the clocks (NTP) on both sides, or raise timestamp.tolerance; a request captured earlier is judged by --at, the time when it arrived",
	}
}

func (r *Report) explain(q Question, c Capture, maxMACs, maxBytes int) {
	g := generator{base: &q.Scheme, header: c.header, fields: c.Fields, deep: true}
	keys := g.keys(q.Secrets)
	for i, secret := range q.Others {
		other := depart(nil, CauseOtherSecret, "made with another secret than the source's", "give the sender and the source the same secret")
		keys = append(keys, g.keysOf(len(q.Secrets)+i, secret.Value, other)...)
	}
	h := hunt{
		readings: g.readings(c.candidates(q.Scheme.Header)), messages: g.messages(farBodies(c.Body)), keys: keys,
		maxSteps: deepSteps, maxMACs: maxMACs, maxBytes: maxBytes,
	}
	found, whole := h.run()
	r.MACs, r.Whole = h.macs, whole
	if found == nil {
		r.Foreign = c.foreign()
		return
	}
	all := append(append([]Secret(nil), q.Secrets...), q.Others...)
	r.Secret, r.Departures = all[found.key.value.secret].ID, found.departures()
	if len(r.Departures) == 0 {
		r.Departures = found.formal(r.Failure)
	}
	if skew, ok := found.skew(q.Now); ok && q.Scheme.Timestamp.Tolerance > 0 && skew.Abs() > q.Scheme.Timestamp.Tolerance {
		r.Departures = append(r.Departures, clock(skew, q.Scheme.Timestamp.Tolerance))
	}
}

// formal explains a signature that is right in itself, in a request that is
// refused before anybody looks at it.
func (h *hit) formal(f *Failure) []Departure {
	switch f.Why {
	case BadTimestamp:
		if u, ok := unitOf(h.message.value.stamp); ok {
			return depart(nil, CauseUnit, "with the time read in unit "+string(u), "set timestamp.unit: "+string(u))
		}
		return depart(nil, CauseUnit, "with the time in the unit of the scheme", "have the sender write the time in that unit: s, ms or rfc3339")
	case Multiple:
		return depart(nil, CauseRepeated, "with the header "+f.Header+" only once", "find the proxy that adds the header again")
	default: // Malformed or TooMany
		return depart(nil, CauseList, "without the empty, second or many other entries of the list", "have the sender write each entry once")
	}
}

// skew is how far the signed time is ahead, if there is one.
func (h *hit) skew(now time.Time) (time.Duration, bool) {
	t, ok := parseTime(h.message.value.stamp, h.message.value.timestamp.Unit)
	return t.Sub(now), ok && h.message.value.stamp != ""
}

// candidates returns the names of the headers that may hold a signature: the
// scheme's, if there is one, and then all that do not belong to HTTP itself.
func (c Capture) candidates(own string) []string {
	var names []string
	if own != "" {
		names = append(names, canonical(own))
	}
	for _, f := range c.Fields {
		known := strings.EqualFold(f.Name, own)
		for _, n := range names {
			known = known || strings.EqualFold(f.Name, n)
		}
		if !known && !ordinary(f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// ordinary reports whether a header is one that clients and proxies add.
func ordinary(name string) bool {
	switch n := strings.ToLower(name); n {
	case "host", "date", "accept", "cookie", "connection", "transfer-encoding", "via", "forwarded", "user-agent", "expect", "origin", "referer", "priority":
		return true
	default:
		return strings.HasPrefix(n, "content-") || strings.HasPrefix(n, "accept-") || strings.HasPrefix(n, "sec-") || strings.HasPrefix(n, "x-forwarded-")
	}
}
