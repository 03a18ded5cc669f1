package jsonschema

import (
	"errors"
	"net/netip"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// The library's own date-time, date, time, uuid, ipv4, email, hostname and
// uri take what their RFCs do not (a sign before an hour, blanks in a uri), so
// these are ours, and ipv6, to check it without allocating, and regex, which
// the library compiles. Its json-pointer, duration and the rest stay.

var errFormat = errors.New("not of that format")

// ownFormats are the checks by the name of the format. None of them keeps the
// string.
func ownFormats() map[string]func(string) bool {
	return map[string]func(string) bool{
		"date-time": isDateTime, "date": isDate, "time": isTime, "uuid": isUUID,
		"ipv4": isIPv4, "ipv6": isIPv6, "email": isEmail, "hostname": isHostname, "uri": isURI,
		"regex": isRegex,
	}
}

// formats are the same for the library.
func formats() []*santhosh.Format {
	own := ownFormats()
	list := make([]*santhosh.Format, 0, len(own))
	for name, ok := range own {
		list = append(list, formatOf(name, ok))
	}
	return list
}

func formatOf(name string, ok func(string) bool) *santhosh.Format {
	return &santhosh.Format{Name: name, Validate: func(v any) error {
		if s, isString := v.(string); isString && !ok(s) {
			return errFormat
		}
		return nil
	}}
}

// isDateTime: date-time of RFC 3339 section 5.6; "T" and "Z" in either case,
// no blank in place of the "T".
func isDateTime(s string) bool {
	if len(s) < len("2026-11-20T04:03:22Z") {
		return false
	}
	if usualMoment(s) {
		_, ok := zoneOffset(afterFraction(s[19:]))
		return ok
	}
	return s[10]|0x20 == 't' && isDate(s[:10]) && isTime(s[11:])
}

// usualMoment reports whether s begins with a date and a time that every month
// and every minute has: a day up to the 28th and no leap second. It looks at
// eight bytes at once; most date-times are such.
func usualMoment(s string) bool {
	const (
		zeros     = 0x3030303030303030
		dateForm  = zeros ^ ('0'^'-')<<32 ^ ('0'^'-')<<56 // 0000-00-
		dateMarks = 0xFF<<32 | 0xFF<<56
		timeForm  = zeros ^ ('0'^'t')<<16 ^ ('0'^':')<<40 // 00t00:00
		timeMarks = 0xFF<<16 | 0xFF<<40
	)
	date, clock := word(s)^dateForm, (word(s[8:])|0x20<<16)^timeForm
	month, day := pair(date, 5), pair(clock, 0)
	return (date&dateMarks|clock&timeMarks)|(overNine(date)|overNine(clock)) == 0 && s[16] == ':' &&
		month-1 < 12 && day-1 < 28 && pair(clock, 3) < 24 && pair(clock, 6) < 60 && twoDigits(s[17], s[18]) < 60
}

// overNine has a bit set if a byte of w, which was compared with zeros, is no digit.
func overNine(w uint64) uint64 { return (w | (w + 0x7676767676767676)) & 0x8080808080808080 }

// word is the first eight bytes of s, the first one lowest.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// pair is the number of the two digits from byte i on.
func pair(digits uint64, i int) uint {
	return uint(digits>>(8*i)&0xFF)*10 + uint(digits>>(8*i+8)&0xFF)
}

// isDate: full-date of RFC 3339 section 5.6, with the days of each month
// (section 5.7 and appendix C).
func isDate(s string) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	century, year, month, day := twoDigits(s[0], s[1]), twoDigits(s[2], s[3]), twoDigits(s[5], s[6]), twoDigits(s[8], s[9])
	if max(century, year) >= noDigits || month-1 > 11 || day-1 > 30 {
		return false
	}
	return day <= 28 || day <= daysIn(century*100+year, month)
}

// noDigits is more than any two digits.
const noDigits = 100

// twoDigits reads two decimal digits, or returns noDigits.
func twoDigits(tens, ones byte) uint {
	tens, ones = tens-'0', ones-'0'
	if tens > 9 || ones > 9 {
		return noDigits
	}
	return uint(tens)*10 + uint(ones)
}

func daysIn(year, month uint) uint {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// isTime: full-time of RFC 3339 section 5.6. A 60th second only where it is
// 23:59 in UTC (section 5.7).
func isTime(s string) bool {
	if len(s) < 9 || s[2] != ':' || s[5] != ':' {
		return false
	}
	hour, minute, second := twoDigits(s[0], s[1]), twoDigits(s[3], s[4]), twoDigits(s[6], s[7])
	if hour > 23 || minute > 59 || second > 60 {
		return false
	}
	offset, ok := zoneOffset(afterFraction(s[8:]))
	if !ok {
		return false
	}
	if second < 60 {
		return true
	}
	const day = 24 * 60
	return (int(hour*60+minute)-offset+day)%day == day-1
}

// afterFraction skips a fraction of a second. It leaves a lone dot, which no
// zone starts with.
func afterFraction(s string) string {
	if s[0] != '.' {
		return s
	}
	i := 1
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == 1 {
		return s
	}
	return s[i:]
}

// zoneOffset returns the minutes east of UTC.
func zoneOffset(s string) (minutes int, ok bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':' {
		return 0, false
	}
	hour, minute := twoDigits(s[1], s[2]), twoDigits(s[4], s[5])
	if hour > 23 || minute > 59 {
		return 0, false
	}
	minutes = int(hour*60 + minute)
	if s[0] == '-' {
		return -minutes, true
	}
	return minutes, true
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

// The character sets of RFC 3986 beside letters and digits.
const (
	unreserved = "-._~"
	subDelims  = "!$&'()*+,;="
	pathChars  = unreserved + subDelims + ":@/"
)

// isURI: URI of RFC 3986 section 3 (with a scheme; a relative reference is
// none).
func isURI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) {
		return false
	}
	rest, fragment, _ := strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	if !only(fragment, pathChars+"?") || !only(query, pathChars+"?") {
		return false
	}
	if after, hasAuthority := strings.CutPrefix(rest, "//"); hasAuthority {
		path := len(after)
		if i := strings.IndexByte(after, '/'); i >= 0 {
			path = i
		}
		return isAuthority(after[:path]) && only(after[path:], pathChars)
	}
	return only(rest, pathChars)
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
func isAuthority(s string) bool {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		if !only(s[:at], unreserved+subDelims+":") {
			return false
		}
		s = s[at+1:]
	}
	if literal, ok := strings.CutPrefix(s, "["); ok {
		host, port, closed := strings.Cut(literal, "]")
		return closed && isIPLiteral(host) && (port == "" || port[0] == ':' && isPort(port[1:]))
	}
	host, port, _ := strings.Cut(s, ":")
	return only(host, unreserved+subDelims) && isPort(port)
}

// isIPLiteral: IPv6address or IPvFuture of section 3.2.2.
func isIPLiteral(s string) bool {
	if s == "" || s[0] != 'v' && s[0] != 'V' {
		return isIPv6(s)
	}
	version, address, ok := strings.Cut(s[1:], ".")
	if !ok || version == "" || address == "" || strings.Contains(address, "%") {
		return false
	}
	for i := range len(version) {
		if !isHex(version[i]) {
			return false
		}
	}
	return only(address, unreserved+subDelims+":")
}

func isPort(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// only reports whether s has nothing but letters, digits, the bytes of extra
// and whole percent-encoded octets (section 2.1).
func only(s, extra string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isAlnum(c) || strings.IndexByte(extra, c) >= 0:
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			i += 2
		default:
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c-'0' <= 9 }
func isAlnum(c byte) bool { return isDigit(c) || c|0x20-'a' <= 'z'-'a' }
func isHex(c byte) bool   { return isDigit(c) || c|0x20-'a' <= 'f'-'a' }
