package jsontape

import "strconv"

// scanNumber scans the number literal at i, which is a minus sign or a digit,
// and returns the index after it.
func scanNumber(b []byte, i int, lim *Limits) (end int, flags Flags, err *SyntaxError) {
	start := i
	if b[i] == '-' {
		flags |= Negative
		i++
	}
	first := i
	i = skipDigits(b, i)
	if i == first {
		return 0, 0, fault(i, "expected a digit after '-'")
	}
	if b[first] == '0' && i > first+1 {
		return 0, 0, fault(first, "number with a leading zero")
	}
	if i < len(b) && b[i] == '.' {
		flags |= Fraction
		point := i
		i = skipDigits(b, i+1)
		if i == point+1 {
			return 0, 0, fault(i, "expected a digit after the decimal point")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		flags |= Fraction
		if i, err = scanExponent(b, i, lim.Exponent, start); err != nil {
			return 0, 0, err
		}
	}
	if i-start > lim.NumberLen {
		return 0, 0, fault(start, "number longer than "+strconv.Itoa(lim.NumberLen)+" bytes")
	}
	return i, flags, nil
}

// scanExponent scans from the "e" at i. The value stops growing once it is
// over the limit, so that it cannot overflow.
func scanExponent(b []byte, i, limit, start int) (end int, err *SyntaxError) {
	i++
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		i++
	}
	first, value := i, int64(0)
	for ; i < len(b) && isDigit(b[i]); i++ {
		if value <= int64(limit) {
			value = value*10 + int64(b[i]-'0')
		}
	}
	if i == first {
		return 0, fault(i, "expected a digit in the exponent")
	}
	if value > int64(limit) {
		return 0, fault(start, "number with an exponent beyond "+strconv.Itoa(limit))
	}
	return i, nil
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}
