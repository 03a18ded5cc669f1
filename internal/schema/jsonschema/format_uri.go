package jsonschema

import (
	"strings"
	"unicode/utf8"
)

// The character sets of RFC 3986 beside letters and digits.
const (
	unreserved = "-._~"
	subDelims  = "!$&'()*+,;="
	pathChars  = unreserved + subDelims + ":@/"
)

// beyond says which characters beyond ASCII a text may have.
type beyond int

const (
	none    beyond = iota // a URI: none, they are percent-encoded
	ucs                   // an IRI: ucschar of RFC 3987 section 2.2
	private               // its query: iprivate as well
)

func (b beyond) inQuery() beyond {
	if b == ucs {
		return private
	}
	return b
}

func isURI(s string) bool          { return isReference(s, none, true) }
func isURIReference(s string) bool { return isReference(s, none, false) }
func isIRI(s string) bool          { return isReference(s, ucs, true) }
func isIRIReference(s string) bool { return isReference(s, ucs, false) }

// isReference: URI-reference of RFC 3986 section 4.1, or of RFC 3987 section
// 2.2 where characters beyond ASCII are taken. An absolute one has a scheme;
// in a relative one, no colon stands in the first segment (section 4.2).
func isReference(s string, wide beyond, absolute bool) bool {
	if i := strings.IndexAny(s, ":/?#"); i >= 0 && s[i] == ':' {
		if !isScheme(s[:i]) {
			return false
		}
		s = s[i+1:]
	} else if absolute {
		return false
	}
	s, fragment, _ := strings.Cut(s, "#")
	s, query, _ := strings.Cut(s, "?")
	if !only(fragment, pathChars+"?", wide) || !only(query, pathChars+"?", wide.inQuery()) {
		return false
	}
	after, hasAuthority := strings.CutPrefix(s, "//")
	if !hasAuthority {
		return only(s, pathChars, wide)
	}
	path := len(after)
	if i := strings.IndexByte(after, '/'); i >= 0 {
		path = i
	}
	return isAuthority(after[:path], wide) && only(after[path:], pathChars, wide)
}

func isScheme(s string) bool {
	if s == "" || !isAlnum(s[0]) || isDigit(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("+-.", s[i]) < 0 {
			return false
		}
	}
	return true
}

// isAuthority: section 3.2. The host of a port-less authority may be empty.
func isAuthority(s string, wide beyond) bool {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		if !only(s[:at], unreserved+subDelims+":", wide) {
			return false
		}
		s = s[at+1:]
	}
	if literal, ok := strings.CutPrefix(s, "["); ok {
		host, port, closed := strings.Cut(literal, "]")
		return closed && isIPLiteral(host) && (port == "" || port[0] == ':' && afterDigits(port[1:]) == "")
	}
	host, port, _ := strings.Cut(s, ":")
	return only(host, unreserved+subDelims, wide) && afterDigits(port) == ""
}

// isIPLiteral: IPv6address or IPvFuture of section 3.2.2.
func isIPLiteral(s string) bool {
	if s == "" || s[0] != 'v' && s[0] != 'V' {
		return isIPv6(s)
	}
	version, address, ok := strings.Cut(s[1:], ".")
	return ok && version != "" && allHex(version) && address != "" &&
		!strings.Contains(address, "%") && only(address, unreserved+subDelims+":", none)
}

// only reports whether s has nothing but letters, digits, the bytes of extra,
// whole percent-encoded octets (RFC 3986 section 2.1) and what wide allows.
func only(s, extra string, wide beyond) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isAlnum(c) || strings.IndexByte(extra, c) >= 0:
		case c == '%' && isEncoded(s[i:]):
			i += 2
		case c >= utf8.RuneSelf && wide != none:
			r, size := utf8.DecodeRuneInString(s[i:])
			if !isUCS(r) && (wide != private || !isPrivate(r)) {
				return false
			}
			i += size - 1
		default:
			return false
		}
	}
	return true
}

func isEncoded(s string) bool { return len(s) > 2 && s[0] == '%' && isHex(s[1]) && isHex(s[2]) }

// isUCS: ucschar of RFC 3987 section 2.2. No plane has its last two.
func isUCS(r rune) bool {
	return r >= 0xA0 && r <= 0xD7FF || r >= 0xF900 && r <= 0xFDCF || r >= 0xFDF0 && r <= 0xFFEF ||
		r >= 0x10000 && r < 0xF0000 && r&0xFFFF <= 0xFFFD && (r < 0xE0000 || r >= 0xE1000)
}

// isPrivate: iprivate of RFC 3987 section 2.2.
func isPrivate(r rune) bool {
	return r >= 0xE000 && r <= 0xF8FF || r >= 0xF0000 && r&0xFFFF <= 0xFFFD
}

// isURITemplate: RFC 6570 section 2, every level, with the apostrophe that its
// grammar of literals left out (erratum 6937).
func isURITemplate(s string) bool {
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			return only(s, templateLiterals, private)
		}
		expression, rest, closed := strings.Cut(s[i+1:], "}")
		if s[i] == '}' || !closed || !only(s[:i], templateLiterals, private) || !isExpression(expression) {
			return false
		}
		s = rest
	}
	return true
}

const templateLiterals = "!#$&'()*+,-./:;=?@[]_~"

// isExpression: what stands between braces, section 2.2 to 2.4.
func isExpression(s string) bool {
	if s != "" && strings.IndexByte("+#./;?&=,!@|", s[0]) >= 0 {
		s = s[1:]
	}
	for spec := range strings.SplitSeq(s, ",") {
		if prefix, length, ok := strings.Cut(spec, ":"); ok {
			if length == "" || len(length) > 4 || length[0] == '0' || afterDigits(length) != "" {
				return false
			}
			spec = prefix
		} else {
			spec = strings.TrimSuffix(spec, "*")
		}
		if !isVariable(spec) {
			return false
		}
	}
	return true
}

// isVariable: varname of section 2.3; no dot at an end or beside another.
func isVariable(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || !only(part, "_", none) {
			return false
		}
	}
	return true
}

// isJSONPointer: RFC 6901 section 3.
func isJSONPointer(s string) bool {
	if s != "" && s[0] != '/' {
		return false
	}
	for i := strings.IndexByte(s, '~'); i >= 0; i = strings.IndexByte(s, '~') {
		if i+1 == len(s) || s[i+1] != '0' && s[i+1] != '1' {
			return false
		}
		s = s[i+2:]
	}
	return true
}

// isRelativeJSONPointer: draft-handrews-relative-json-pointer-01 section 3: a
// number without leading zeros, then "#" or a pointer.
func isRelativeJSONPointer(s string) bool {
	rest := afterDigits(s)
	if rest == s || s[0] == '0' && len(rest) < len(s)-1 {
		return false
	}
	return rest == "#" || isJSONPointer(rest)
}
