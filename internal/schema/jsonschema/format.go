package jsonschema

import (
	"errors"
	"net/netip"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// The library's own formats take what their RFCs do not (a sign before an
// hour, blanks in a URI) or refuse what they allow (most operators of a URI
// template), and allocate. So all that are asserted are ours.

var errFormat = errors.New("not of that format")

// ownFormats are the checks by the name of the format. None of them keeps or
// copies the string. A name that is not here is an annotation, as
// idn-hostname and idn-email are.
func ownFormats() map[string]func(string) bool {
	return map[string]func(string) bool{
		"date-time": isDateTime, "date": isDate, "time": isTime, "duration": isDuration,
		"uuid": isUUID, "ipv4": isIPv4, "ipv6": isIPv6, "email": isEmail, "hostname": isHostname,
		"uri": isURI, "uri-reference": isURIReference, "iri": isIRI, "iri-reference": isIRIReference, "uri-template": isURITemplate,
		"json-pointer": isJSONPointer, "relative-json-pointer": isRelativeJSONPointer, "regex": isRegex,
		// The library asserts two names that no draft has.
		"period": anything, "semver": anything,
	}
}

func anything(string) bool { return true }

// formats are the same as the library's structs, by name.
func formats() map[string]*santhosh.Format {
	own := ownFormats()
	all := make(map[string]*santhosh.Format, len(own))
	for name, ok := range own {
		all[name] = formatOf(name, ok)
	}
	return all
}

func formatOf(name string, ok func(string) bool) *santhosh.Format {
	return &santhosh.Format{Name: name, Validate: func(v any) error {
		if s, isString := v.(string); isString && !ok(s) {
			return errFormat
		}
		return nil
	}}
}

// isUUID: RFC 9562 section 4, any version and variant, either case.
func isUUID(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' &&
		allHex(s[:8]) && allHex(s[9:13]) && allHex(s[14:18]) && allHex(s[19:23]) && allHex(s[24:])
}

func allHex(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isIPv4: dotted-quad of RFC 2673 section 3.2; no leading zeros, as their
// meaning differs between readers.
func isIPv4(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is4()
}

func isIPv6(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// isHostname: RFC 1123 section 2.1 over RFC 952: labels of letters, digits
// and inner hyphens, 63 bytes each, 253 bytes together, no dot at the end.
func isHostname(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if !isAlnum(label[i]) && label[i] != '-' {
				return false
			}
		}
	}
	return true
}

// isEmail: Mailbox of RFC 5321 section 4.1.2, with the lengths of section
// 4.5.3.1.
func isEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 {
		return false
	}
	return isLocalPart(s[:at]) && isMailDomain(s[at+1:])
}

func isMailDomain(s string) bool {
	inner, ok := strings.CutPrefix(s, "[")
	if !ok {
		return isHostname(s)
	}
	inner, ok = strings.CutSuffix(inner, "]")
	if v6, tagged := strings.CutPrefix(inner, "IPv6:"); ok && tagged {
		return isIPv6(v6)
	}
	return ok && isIPv4(inner)
}

func isLocalPart(s string) bool {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return isQuoted(s[1 : len(s)-1])
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			if !isAlnum(atom[i]) && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", atom[i]) < 0 {
				return false
			}
		}
	}
	return true
}

func isQuoted(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			if i == len(s) {
				return false
			}
		} else if s[i] == '"' {
			return false
		}
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c-'0' <= 9 }
func isAlnum(c byte) bool { return isDigit(c) || c|0x20-'a' <= 'z'-'a' }
func isHex(c byte) bool   { return isDigit(c) || c|0x20-'a' <= 'f'-'a' }
