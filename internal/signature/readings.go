package signature

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// generator makes the variations of one request. With base they depart from
// that scheme; without one, whatever a Scheme can express is no departure.
type generator struct {
	base   *Scheme
	header Header
	fields []Field // the whole request's; deep only
	deep   bool    // more ways, in other headers too
}

// depart returns deps with one more.
func depart(deps []Departure, cause Cause, how, remedy string) []Departure {
	return append(slices.Clip(deps), Departure{cause, how, remedy})
}

// differs adds a departure from the base, if there is one.
func (g *generator) differs(deps []Departure, is bool, cause Cause, how, remedy string) []Departure {
	if g.base == nil || is {
		return deps
	}
	return depart(deps, cause, how, remedy)
}

// readings reads every value of the headers in every way.
func (g *generator) readings(headers []string) []variation[received] {
	var out []variation[received]
	for _, name := range headers {
		deps := g.differs(nil, g.base == nil || strings.EqualFold(name, g.base.Header),
			CauseHeader, "in the header "+name, "set header: "+strings.ToLower(name))
		for _, value := range g.header(name) {
			if len(value) > maxText {
				continue
			}
			for _, sep := range g.separators(value) {
				out = g.appendList(out, received{header: name, separator: sep}, value, deps)
			}
		}
	}
	return out
}

// separators returns the ways to take a value apart, the base's first.
func (g *generator) separators(value string) []string {
	var out []string
	if g.base != nil {
		out = append(out, g.base.List.Separator)
	}
	if !g.deep {
		return out
	}
	all := []string{"", ",", ";", " "}
	if strings.HasPrefix(value, "v1") && strings.Contains(value, " v1") {
		all = []string{"", " ", ",", ";"} // Standard Webhooks: the comma belongs to the prefix
	}
	for _, sep := range all {
		if !slices.Contains(out, sep) && strings.Contains(value, sep) {
			out = append(out, sep)
		}
	}
	return out
}

func (g *generator) appendList(out []variation[received], r received, value string, deps []Departure) []variation[received] {
	entries := []string{value}
	if r.separator != "" {
		entries = strings.SplitN(value, r.separator, MaxEntries)
	}
	how, remedy := "as one of a list", fmt.Sprintf("set list: {separator: %q}", r.separator)
	if r.separator == "" {
		how, remedy = "alone, not in a list", "take list out"
	}
	deps = g.differs(deps, g.base == nil || g.base.List.Separator == r.separator, CauseList, how, remedy)
	for _, entry := range entries {
		out = g.appendTexts(out, r, entry, deps)
	}
	return out
}

// appendTexts takes prefix and decoration off one signature.
func (g *generator) appendTexts(out []variation[received], r received, entry string, deps []Departure) []variation[received] {
	if trimmed := strings.Trim(entry, " \t\"'"); trimmed != entry {
		out = g.appendTexts(out, r, trimmed, depart(deps, CauseDecoration, "without the white space or quotes around it", "have the sender write the value bare"))
	}
	if g.deep && strings.Contains(entry, "%") {
		if plain, err := url.QueryUnescape(entry); err == nil && plain != entry {
			out = g.appendTexts(out, r, plain, depart(deps, CauseDecoration, "after decoding %XX in the header", "have the sender write the value bare"))
		}
	}
	own := ""
	if g.base != nil {
		own = g.base.Prefix
	}
	if text, ok := cutPrefixFold(entry, own); ok {
		r.prefix = own
		out = g.appendDecodings(out, r, text, deps)
	}
	if own != "" {
		r.prefix = ""
		out = g.appendDecodings(out, r, entry, depart(deps, CausePrefix, fmt.Sprintf("without the prefix %q", own), "take prefix out"))
	}
	for _, p := range g.prefixes(entry) {
		if strings.EqualFold(p, own) {
			continue
		}
		r.prefix = p
		out = g.appendDecodings(out, r, entry[len(p):],
			g.differs(deps, false, CausePrefix, fmt.Sprintf("after the prefix %q", p), fmt.Sprintf("set prefix: %q", p)))
	}
	return out
}

// prefixes returns the usual ones that entry begins with; deep also whatever
// word stands before the first = , : or space.
func (g *generator) prefixes(entry string) []string {
	var out []string
	for _, p := range []string{"sha256=", "sha1=", "sha512=", "hmac-sha256=", "v0=", "v1=", "v1,", "Bearer ", "Basic "} {
		if _, ok := cutPrefixFold(entry, p); ok {
			out = append(out, entry[:len(p)])
		}
	}
	if i := strings.IndexAny(entry, "=,: "); g.deep && i > 0 && i <= 24 && i+1 < len(entry) {
		if p := entry[:i+1]; token(p[:i]) && !slices.Contains(out, p) && strings.Trim(entry[i:], "=") != "" {
			out = append(out, p)
		}
	}
	return out
}

// appendDecodings reads one text in every encoding.
func (g *generator) appendDecodings(out []variation[received], r received, text string, deps []Departure) []variation[received] {
	for _, e := range Encodings() {
		decoded, ok := appendDecoded(nil, []byte(text), e)
		if !ok || text == "" {
			continue
		}
		r.encoding, r.bytes = e, decoded
		read := g.differs(deps, g.base == nil || e == g.base.Encoding, CauseEncoding, "read as "+string(e), "set encoding: "+string(e))
		out = g.appendAlgorithms(out, r, deps, read)
	}
	if g.deep {
		out = g.appendOdd(out, r, text, deps)
	}
	return out
}

// appendAlgorithms adds the algorithms that make signatures of this length.
// bare are the departures without that of the encoding, which a static value
// has its own opinion about.
func (g *generator) appendAlgorithms(out []variation[received], r received, bare, read []Departure) []variation[received] {
	static := g.base != nil && g.base.Algorithm == Static
	if g.deep || static {
		r.algorithm = Static
		deps := read
		if !static {
			deps = g.differs(bare, false, CauseAlgorithm, "as the secret itself, sent in the header", "set preset: token (or bearer, basic): this sender does not sign")
		}
		out = append(out, variation[received]{r, deps})
	}
	if static && !g.deep || r.encoding == Plain {
		return out
	}
	for _, a := range Algorithms() {
		if a == Static || a.size() != len(r.bytes) {
			continue
		}
		r.algorithm = a
		out = append(out, variation[received]{r, g.differs(read, g.base == nil || a == g.base.Algorithm, CauseAlgorithm, "as "+string(a), "set algorithm: "+string(a))})
	}
	return out
}

// appendOdd reads what no scheme can express: hex that was written as base64
// once more, and base64 whose case was lost.
func (g *generator) appendOdd(out []variation[received], r received, text string, deps []Departure) []variation[received] {
	if twice, ok := appendDecoded(nil, []byte(text), Base64); ok {
		if mac, err := hex.DecodeString(string(twice)); err == nil {
			r.encoding, r.bytes = Base64, mac
			out = g.appendAlgorithms(out, r, deps, depart(deps, CauseEncoding, "read as base64 of the hex digits",
				"have the sender write the bytes of the MAC in hex or base64, not one in the other"))
		}
	}
	if text != strings.ToLower(text) && text != strings.ToUpper(text) {
		return out
	}
	if folded := fold(text); consists(folded, base64Alphabet) {
		for _, a := range Algorithms() {
			if a != Static && a.size() == len(folded)*6/8 {
				r.encoding, r.bytes, r.folded, r.algorithm = Base64, []byte(folded), true, a
				out = append(out, variation[received]{r, depart(deps, CauseLetterCase, "read as base64 without regard to letter case",
					"find what changes the letter case of the header's value on the way: base64 does not survive that")})
			}
		}
	}
	return out
}
