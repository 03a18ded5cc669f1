package signature

import (
	"fmt"
	"slices"
	"strings"
)

// stampSource is a time that may have been signed, as it stands, and where.
type stampSource struct {
	text string
	from Timestamp
}

// idSource is an id that may have been signed.
type idSource struct{ text, header string }

// messages puts together what may have been signed: the scheme's template and
// other common ones, over the body and its relatives.
func (g *generator) messages(bodies []variation[[]byte]) []variation[message] {
	if !g.deep && g.base.Algorithm == Static {
		return nil
	}
	var out []variation[message]
	for _, t := range g.texts() {
		for _, b := range bodies {
			m := t.value
			m.body = b.value
			out = append(out, variation[message]{m, append(t.deps[:len(t.deps):len(t.deps)], b.deps...)})
		}
	}
	return out
}

// texts returns what may stand around the body.
func (g *generator) texts() []variation[message] {
	var out []variation[message]
	stamps, ids := g.stamps(), g.ids()
	for _, t := range g.templates() {
		parts, err := t.parts()
		if err != nil {
			continue
		}
		for _, s := range pick(t.has(slotTimestamp), stamps) {
			for _, id := range pick(t.has(slotID), ids) {
				before, after := split(parts)
				out = append(out, variation[message]{message{
					before: appendParts(nil, before, s.text, id.text), after: appendParts(nil, after, s.text, id.text),
					signed: t, timestamp: s.from, idHeader: id.header, stamp: s.text,
				}, g.otherText(t, s, id)})
			}
		}
	}
	return out
}

// pick returns all where a template needs one, else the zero value alone.
func pick[T any](needed bool, all []T) []T {
	if needed {
		return all
	}
	return make([]T, 1)
}

// otherText is the departure of a template, and of where its time and id stand.
func (g *generator) otherText(t Template, s stampSource, id idSource) []Departure {
	if g.base == nil {
		return nil
	}
	same := (s.from.Header == "" || strings.EqualFold(s.from.Header, g.base.Timestamp.Header)) && s.from.Key == g.base.Timestamp.Key &&
		(id.header == "" || strings.EqualFold(id.header, g.base.IDHeader))
	if t == g.base.Signed && same {
		return nil
	}
	if t == BodyOnly && g.base.Algorithm == Static {
		return nil // that it is signed at all is said of the algorithm
	}
	if t == BodyOnly {
		if g.base.Signed.has(slotTimestamp) {
			return depart(nil, CauseTimeNotSigned, "over the body alone, without the timestamp", remedyTimeExtra)
		}
		return depart(nil, CauseTemplate, "over the body alone", `set signed: "{body}" and take id_header out`)
	}
	cause := CauseTemplate
	if t.has(slotTimestamp) && !g.base.Signed.has(slotTimestamp) {
		cause = CauseTimeSigned
	}
	how, remedy := fmt.Sprintf("over %q", t), fmt.Sprintf("set signed: %q", t)
	if !same {
		if s.from.Header != "" {
			how += ", the time from " + s.from.Header
			remedy += fmt.Sprintf(" and timestamp: {header: %s, unit: %s}", strings.ToLower(s.from.Header), s.from.Unit)
		} else if s.from.Key != "" {
			remedy += fmt.Sprintf(" and timestamp: {key: %s, unit: %s}", s.from.Key, s.from.Unit)
		}
		if id.header != "" {
			how += ", the id from " + id.header
			remedy += " and id_header: " + strings.ToLower(id.header)
		}
	}
	return depart(nil, cause, how, remedy)
}

// templates returns the scheme's own and the common ones.
func (g *generator) templates() []Template {
	var all []Template
	if g.base != nil && g.base.Signed != "" {
		all = append(all, g.base.Signed)
	}
	common := []Template{
		BodyOnly, "{timestamp}.{body}", "{timestamp}:{body}", "{timestamp}{body}", "v0:{timestamp}:{body}", "{id}.{timestamp}.{body}",
	}
	if g.deep {
		common = append(common, "{body}{timestamp}", "{body}.{timestamp}", "{timestamp}\n{body}", "{timestamp}|{body}", "v1:{timestamp}:{body}",
			"{id}.{body}", "{id}{body}", "{id}{timestamp}{body}", "{timestamp}.{id}.{body}", "{timestamp}{id}{body}")
	}
	for _, t := range common {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// maxSources bounds the headers that are tried as time or id.
const maxSources = 6

// stamps finds times. A scheme without one may have been configured for a
// sender that signs one, in the header that is called like the signature's;
// deep, any header and any entry of a list may hold it.
func (g *generator) stamps() []stampSource {
	var out []stampSource
	add := func(text string, from Timestamp) {
		known := func(s stampSource) bool {
			return strings.EqualFold(s.from.Header, from.Header) && s.from.Key == from.Key
		}
		if text != "" && len(out) < maxSources && !slices.ContainsFunc(out, known) {
			out = append(out, stampSource{text, from})
		}
	}
	if g.base != nil {
		g.ownStamp(add)
	}
	if !g.deep {
		return out
	}
	for _, f := range g.fields {
		if u, ok := unitOf(f.Value); ok {
			add(f.Value, Timestamp{Header: f.Name, Unit: u})
		}
	}
	for _, f := range g.fields {
		for _, entry := range strings.FieldsFunc(f.Value, func(r rune) bool { return strings.ContainsRune(" ,;", r) }) {
			key, value, ok := strings.Cut(entry, "=")
			if u, isTime := unitOf(value); ok && isTime && token(key) {
				add(value, Timestamp{Key: key, Unit: u})
			}
		}
	}
	return out
}

func (g *generator) ownStamp(add func(string, Timestamp)) {
	t := g.base.Timestamp
	switch name := canonical(g.base.Header); {
	case t.Header != "":
		add(first(g.header(canonical(t.Header))), t)
	case t.Key != "":
		for _, value := range g.header(name) {
			for entry := range strings.SplitSeq(value, g.base.List.Separator) {
				if key, stamp, ok := strings.Cut(entry, "="); ok && key == t.Key {
					add(stamp, t)
				}
			}
		}
	default:
		if stem, ok := strings.CutSuffix(strings.TrimSuffix(name, "-256"), "Signature"); ok {
			stamp := first(g.header(stem + "Timestamp"))
			if u, ok := unitOf(stamp); ok || stamp != "" {
				add(stamp, Timestamp{Header: stem + "Timestamp", Unit: u})
			}
		}
	}
}

// unitOf guesses the unit of a time between 2001 and 2286.
func unitOf(s string) (Unit, bool) {
	for _, u := range Units() {
		if _, ok := parseTime(s, u); ok && (u == RFC3339 || u == Seconds && len(s) == 10 || u == Milliseconds && len(s) == 13) {
			return u, true
		}
	}
	return Seconds, false
}

// ids finds values that may be the id of the message.
func (g *generator) ids() []idSource {
	var out []idSource
	if g.base != nil && g.base.IDHeader != "" {
		if id := first(g.header(canonical(g.base.IDHeader))); id != "" {
			out = append(out, idSource{id, canonical(g.base.IDHeader)})
		}
	}
	if !g.deep {
		return out
	}
	for _, f := range g.fields {
		words := strings.FieldsFunc(strings.ToLower(f.Name), func(r rune) bool { return strings.ContainsRune("-_.", r) })
		isID := slices.ContainsFunc([]string{"id", "nonce", "delivery", "uuid"}, func(w string) bool { return slices.Contains(words, w) })
		known := slices.ContainsFunc(out, func(s idSource) bool { return strings.EqualFold(s.header, f.Name) })
		if isID && !known && visible(f.Value, false) && f.Value != "" && len(out) < maxSources {
			out = append(out, idSource{f.Value, f.Name})
		}
	}
	return out
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
