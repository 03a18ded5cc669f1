package jsontape_test

import (
	"fmt"
	"strings"
)

// wideObject returns an object with count members, every tenth name with an
// escape.
func wideObject(count int) []byte {
	var b strings.Builder
	for i := range count {
		escape := ""
		if i%10 == 0 {
			escape = `\u00e9`
		}
		fmt.Fprintf(&b, `,"attribute%s_%d":%d`, escape, i, i)
	}
	return []byte("{" + b.String()[1:] + "}")
}

// hostileTexts are texts made to cost more than they should. None is larger
// than about a megabyte, the size of the largest body that the relay takes.
func hostileTexts() map[string]string {
	const many = 100_000
	rep := strings.Repeat
	join := func(count int, format string) string {
		var b strings.Builder
		for i := range count {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	return map[string]string{
		"arrays, unclosed":              rep("[", many),
		"arrays, closed":                rep("[", many) + rep("]", many),
		"objects, unclosed":             rep(`{"a":`, many),
		"objects, closed":               rep(`{"a":`, many) + "1" + rep("}", many),
		"arrays and objects":            rep(`[{"a":`, many),
		"closing brackets":              rep("]", many),
		"nested to the limit, often":    "[" + rep(rep("[", 127)+rep("]", 127)+",", 1000) + "1]",
		"objects nested to the limit":   rep(`{"a":1,"b":`, 128) + "1" + rep("}", 128),
		"empty arrays":                  "[" + rep("[],", many) + "[]]",
		"empty objects":                 "[" + rep("{},", many) + "{}]",
		"small objects":                 "[" + rep(`{"a":1,"b":2},`, many/2) + "1]",
		"one-digit elements":            "[" + rep("1,", many) + "1]",
		"distinct names":                "{" + join(many/2, `"n%d":0`) + "}",
		"names alike but in the middle": "{" + join(many/4, `"prefix--%08d--suffix":0`) + "}",
		"names of one length":           "{" + join(many/4, `"%08d":0`) + "}",
		"names that are escapes":        "{" + join(many/4, `"\u0061%08d":0`) + "}",
		"names with a zero":             "{" + join(many/4, `"%d\u0000":0`) + "}",
		"names of a long common prefix": "{" + join(500, `"`+rep("x", 2000)+`%d":0`) + "}",
		"long names of escapes alike":   "{" + join(100, `"`+rep(`\u0078`, 1500)+`%d":0`) + "}",
		"duplicate at the end":          "{" + join(many/2, `"n%d":0`) + `,"n0":0}`,
		"one name again and again":      "{" + rep(`"a":1,`, many) + `"a":1}`,
		"unclosed with many names":      "{" + join(many/2, `"n%d":0`),
		"huge exponent":                 "1e9999999",
		"huge exponents":                "[" + rep("1e9999999,", many/10) + "1]",
		"negative huge exponent":        "-1e-9999999",
		"exponent of a megabyte":        "1e" + rep("9", 1_000_000),
		"exponent of zeros":             "1e" + rep("0", 1_000_000) + "1",
		"digits of a megabyte":          rep("9", 1_000_000),
		"fraction of a megabyte":        "0." + rep("3", 1_000_000),
		"numbers at the limit":          "[" + rep(rep("7", 1000)+",", 900) + "1e400]",
		"white space":                   rep(" \t\r\n", 250_000),
		"white space between":           "[" + rep(" ", 500_000) + "1" + rep("\n", 500_000) + "]",
		"long string":                   `"` + rep("a", 1_000_000) + `"`,
		"long string, unclosed":         `"` + rep("a", 1_000_000),
		"escapes":                       `"` + rep(`\n`, 500_000) + `"`,
		"escaped quotes, unclosed":      `"` + rep(`\"`, 500_000),
		"surrogate pairs":               `"` + rep(`\ud83d\ude00`, 80_000) + `"`,
		"high surrogates":               `"` + rep(`\ud83d`, 160_000) + `"`,
		"emoji":                         `"` + rep("😀", 250_000) + `"`,
		"alternating widths":            `"` + rep("aé", 300_000) + `"`,
		"backslashes":                   rep(`\`, many),
		"quotes":                        rep(`"`, many),
		"NULs":                          rep("\x00", many),
		"commas":                        "[" + rep(",", many) + "]",
		"minus signs":                   rep("-", many),
		"byte order marks":              rep("\xEF\xBB\xBF", many),
	}
}
