package jsonschema

import "strings"

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

// isDuration: a duration of RFC 3339 appendix A, which ISO 8601 stands behind:
// as there, a unit between two others may be left out.
func isDuration(s string) bool {
	s, ok := strings.CutPrefix(s, "P")
	if !ok || s == "" {
		return false
	}
	if weeks, ok := strings.CutSuffix(s, "W"); ok {
		return weeks != "" && afterDigits(weeks) == ""
	}
	date, clock, hasClock := strings.Cut(s, "T")
	return inUnits(date, "YMD") && (!hasClock || clock != "" && inUnits(clock, "HMS"))
}

// inUnits reports whether s is made of whole numbers, each with one of the
// units behind it, in their order.
func inUnits(s, units string) bool {
	for s != "" {
		unit := afterDigits(s)
		if unit == s || unit == "" {
			return false
		}
		at := strings.IndexByte(units, unit[0])
		if at < 0 {
			return false
		}
		units, s = units[at+1:], unit[1:]
	}
	return true
}

func afterDigits(s string) string {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return s[i:]
}
