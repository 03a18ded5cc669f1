package signature

import (
	"crypto/hmac"
	"encoding/base64"
	"hash"
	"strings"
)

// The search behind Diagnose, Explain and Discover: what was received can be
// read, the bytes signed can be put together, and the key can be taken, in more
// ways than the scheme's. Each way is a variation; the one that matches with
// the fewest departures is the explanation.

// A variation is one way to do a thing, with its departures from the scheme.
type variation[T any] struct {
	value T
	deps  []Departure
}

func (v variation[T]) steps() int { return len(v.deps) }

// received is a signature that was read in some way, and where.
type received struct {
	algorithm Algorithm
	bytes     []byte
	folded    bool // bytes is base64 text in one case, not decoded

	header    string
	encoding  Encoding
	prefix    string
	separator string
}

// message is a text that may have been signed.
type message struct {
	before, after []byte // around the body
	body          []byte

	signed    Template
	timestamp Timestamp
	idHeader  string
	stamp     string
}

// keyed is one secret, taken in some way.
type keyed struct {
	key      []byte
	secret   int
	encoding SecretEncoding
}

// hunt is one search. Its lists are in the order of likelihood.
type hunt struct {
	readings []variation[received]
	messages []variation[message]
	keys     []variation[keyed]
	maxSteps int // departures in one explanation

	maxMACs  int
	maxBytes int // hashed, in all

	best        *hit
	macs, bytes int
}

// hit is what fits together.
type hit struct {
	reading variation[received]
	message variation[message]
	key     variation[keyed]
}

func (h *hit) steps() int { return h.reading.steps() + h.message.steps() + h.key.steps() }

// departures returns all of them, the key's first, the body's last.
func (h *hit) departures() []Departure {
	var all []Departure
	all = append(all, h.key.deps...)
	all = append(all, h.reading.deps...)
	return append(all, h.message.deps...)
}

// run returns the match with the fewest departures, or nil, and whether every
// combination within maxSteps was looked at.
func (h *hunt) run() (best *hit, whole bool) {
	macs := make([]map[Algorithm]hash.Hash, len(h.keys))
	for i := range macs {
		macs[i] = make(map[Algorithm]hash.Hash)
	}
	algorithms, folds := h.algorithms()
	bySteps := make([][]*variation[message], h.maxSteps+1)
	for i := range h.messages {
		if n := h.messages[i].steps(); n <= h.maxSteps {
			bySteps[n] = append(bySteps[n], &h.messages[i])
		}
	}
	for steps := 0; steps <= h.maxSteps; steps++ {
		if h.best != nil && h.best.steps() <= steps {
			break // what is left has as many departures at least
		}
		for i := range h.keys {
			k := &h.keys[i]
			if k.steps() > steps {
				continue
			}
			if k.steps() == steps {
				h.compare(Static, k.value.key, false, new(variation[message]), k)
			}
			for _, m := range bySteps[steps-k.steps()] {
				for _, a := range algorithms {
					if h.macs >= h.maxMACs || h.bytes >= h.maxBytes {
						return h.best, false
					}
					h.compare(a, h.sum(macs[i], a, k, m), folds, m, k)
				}
			}
		}
	}
	return h.best, true
}

// algorithms returns those that some reading asks for, and whether one of them
// is folded.
func (h *hunt) algorithms() (all []Algorithm, folds bool) {
	for _, a := range Algorithms() {
		for _, r := range h.readings {
			if r.value.algorithm == a && a != Static {
				all = append(all, a)
				break
			}
		}
	}
	for _, r := range h.readings {
		folds = folds || r.value.folded
	}
	return all, folds
}

// sum signs the message as a sender would have.
func (h *hunt) sum(macs map[Algorithm]hash.Hash, a Algorithm, k *variation[keyed], m *variation[message]) []byte {
	mac := macs[a]
	if mac == nil {
		mac = hmac.New(a.hash, k.value.key)
		macs[a] = mac
	}
	mac.Reset()
	_, _ = mac.Write(m.value.before) // a hash's Write never fails
	_, _ = mac.Write(m.value.body)
	_, _ = mac.Write(m.value.after)
	h.macs++
	h.bytes += len(m.value.before) + len(m.value.body) + len(m.value.after)
	return mac.Sum(nil)
}

// compare looks for what was made among the readings, and keeps the best.
func (h *hunt) compare(a Algorithm, made []byte, folds bool, m *variation[message], k *variation[keyed]) {
	text := ""
	if folds {
		text = fold(base64.RawStdEncoding.EncodeToString(made))
	}
	for i := range h.readings {
		r := &h.readings[i]
		if r.value.algorithm != a {
			continue
		}
		steps := r.steps() + m.steps() + k.steps()
		if steps > h.maxSteps || h.best != nil && steps >= h.best.steps() {
			continue
		}
		same := hmac.Equal(r.value.bytes, made)
		if r.value.folded {
			same = string(r.value.bytes) == text
		}
		if same {
			h.best = &hit{*r, *m, *k}
		}
	}
}

// fold is a base64 text of which only the letters' order is left: one case,
// one alphabet, no padding.
func fold(s string) string {
	return strings.NewReplacer("-", "+", "_", "/").Replace(strings.ToLower(strings.TrimRight(s, "=")))
}

// joinHow makes the end of a sentence of departures.
func joinHow(deps []Departure) string {
	var how []string
	for _, d := range deps {
		how = append(how, d.How)
	}
	return strings.Join(how, ", ")
}

// The bounds of Diagnose.
const (
	maxSteps    = 2
	maxReadings = 48
	maxKeys     = 24
)

// search returns the variation under which the request would have matched, or
// "". It looks only at the scheme's header and at near relatives of the body.
func (v *Verifier) search(h Header, body []byte) string {
	g := generator{base: &v.scheme, header: h}
	keys := g.keys(v.secrets)
	s := hunt{
		readings: g.readings([]string{v.header}), messages: g.messages(nearBodies(body)), keys: keys[:min(len(keys), maxKeys)],
		maxSteps: maxSteps, maxMACs: 1 << 20, maxBytes: 1 << 40, // the lists are short
	}
	s.readings = s.readings[:min(len(s.readings), maxReadings)]
	found, _ := s.run()
	if found == nil {
		return ""
	}
	how := "with secret \"" + v.ids[found.key.value.secret] + "\""
	if found.key.steps() > 0 {
		how += " " + joinHow(found.key.deps)
	}
	if rest := joinHow(found.departures()[found.key.steps():]); rest != "" {
		how += ", " + rest
	}
	return how
}
