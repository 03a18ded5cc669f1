package jsontape_test

import "strings"

// The texts here continue the tables of grammar_test.go, in the categories of
// the usual suites: structure, number, string, object, array.

func moreValidTexts() []string {
	rep := strings.Repeat
	return []string{
		// structure: white space of RFC 8259 section 2 wherever it may stand
		"\n1\n", "\r\n{}\r\n", "[ ]", "[\n]", "{\t}", "[ 1\t,\n2\r]", "{\"a\"\n:\r1}", "{ \"a\":1 , \"b\":2 }", "[[ ] , { }]", "  null  ",
		// numbers: each form of the grammar with each other
		`1.0`, `-1.0`, `0.1`, `-0.1`, `0E0`, `0E+0`, `0E-0`, `0.0e0`, `1E0`, `1E-0`, `12E3`, `-12.34E-05`, `1234567890`, `-1234567890`, `0.00`,
		`99999999999999999999`, `-99999999999999999999`, `18446744073709551616`, `1.7976931348623157e308`, `4.9e-324`, `2.2250738585072011e-308`,
		`[0,-0,0.0,-0.0]`, `[1e1,1E1,1e+1,1E+1,1e-1,1E-1]`, `100000000000000000000000000000000000000000.5`,
		// strings
		`"\u0000\u0001\u001f"`, `"\u007f\u0080\u00ff"`, `"\uFFFF\uFFFE"`, `"\uabcd\uABCD"`, `"\ud800\udc00"`, `"\uDBFF\uDFFF"`, `"\ud83d\ude00\ud83d\ude00"`,
		`"\/\\\/"`, `"\\u0022"`, `"\u0022\u005c\u002f"`, `" \t "`, `"` + rep("a", 4096) + `"`, `"` + rep("é", 4096) + `"`, `"` + rep(`\n`, 4096) + `"`,
		"\"\u00e9\u0301\"", "\"\u200b\u200e\u202e\"", "\"\U0001f600\U0010fffd\"", "\"\u0800\ud7ff\ue000\"", `"null"`, `"[1,2]"`, `"{}"`, `"'"`, "\"`\"", `"<!-- -->"`, `"/* */"`,
		// objects and arrays
		`{"a":{}}`, `{"":""}`, `{"":{"":{"":[]}}}`, `{"a":null,"b":true,"c":false}`, `{"a":1,"aa":1,"aaa":1}`, `{"1":1,"01":1,"1.0":1}`, `{" ":1,"  ":2}`,
		`{"a\nb":1,"a\tb":2}`, `{"\u0061\u0062":1,"a":2}`, `{"null":null,"true":true}`, `[[[[[]]]]]`, `[{"a":[{"a":[]}]}]`, `["",[],{},0,null]`,
		"[" + rep("0,", 999) + "0]", "[" + rep("[],", 99) + "[]]", rep(`{"a":`, 128) + "1" + rep("}", 128),
	}
}

func moreInvalidTexts() []string {
	return []string{
		// structure
		`[`, `[[`, `[{`, `{"a":[`, `[1,`, `[1,2`, `["a"`, `["a",`, `{"a":1,`, `{"a":1,"b"`, `{"a":{`, `]`, `}`, `[1]]`, `{"a":1}]`, `[1}`, `{"a":1]`, `((1))`, `<1>`,
		`[]{}`, `[][]`, `1,`, `{},`, `"a",`, `[] 1`, `null null`, `true,false`, "[1]\\", "[1]\"", `\u005b\u005d`, "\\n[]", "a", `"`, `'`, `''`, `"a'`, `'a"`,
		"\f1", "1\v", "\b[]", "[\u00a0]", "[\u2003]", "{\u3000}", "\x1e{}", "{}\n\x1e{}", "[1]#", "[1];", "// \n[1]", "[1/*,*/]", "[1,//\n2]", "%YAML", "---\n{}", "){}",
		// literals
		`n`, `nu`, `nulL`, `nill`, `None`, `t`, `tru`, `True`, `trueish`, `f`, `fals`, `False`, `[true]false`, `[nul]`, `[truee]`, `yes`, `on`, `[void]`, `{"a":nul}`,
		// numbers
		`-`, `+`, `.`, `e`, `E5`, `-e1`, `+0`, `++1`, `-+1`, `1-`, `1+1`, `1e+-1`, `1e--1`, `1.2.3`, `1..2`, `.5`, `5.`, `[5.]`, `[.5]`, `[-.5]`, `0.e1`, `0e`, `0e+`, `00.1`, `-00`, `012`, `[1 000]`, `1'000`, `1,000.0]`,
		`0X1F`, `0o17`, `1f`, `1L`, `1n`, `1d`, `#1`, `$1`, `1%`, `inf`, `-inf`, `[Infinity]`, `[nan]`, `[1e]`, `[1ea]`, `[1.a]`, `[1a]`, "[1\x00]", `٣`, `½`, `1e５`,
		// strings
		`"\a"`, `"\v"`, `"\e"`, `"\U00000041"`, `"\N{DASH}"`, `"\u"`, `"\u0"`, `"\u00"`, `"\u000"`, `"\u000g"`, `"\u+041"`, `"\u-041"`, `"\u 041"`, `"\x0a"`, `"\1"`, `"\ "`, "\"\\\t\"", "\"\t\"", "\"\n\"", "\"\r\"", "\"\x01\"", "\"a\x1f\"",
		`"a" b`, `"a"b"`, `"\\"a"`, `"\"`, `"\\\"`, `["a]`, `[a"]`, `{"a:1}`, `{a":1}`, `“a”`, `«a»`,
		// objects and arrays
		`{"a"}`, `{"a",}`, `{"a":1 "b":2}`, `{"a":1;"b":2}`, `{"a"=1}`, `{"a"=>1}`, `{"a":1,}`, `{,"a":1}`, `{"a":1,,}`, `{"a":}`, `{"a"::1}`, `{"a":1:2}`, `{:}`, `{1}`, `{[]:1}`, `{{}:1}`, `{true:1}`, `{"a":1}{"b":2}`, `{"a" 1}`, `{...}`, `{"a":1,...}`,
		`[1:2]`, `[1;2]`, `[,]`, `[1,,]`, `[,,1]`, `["a" "b"]`, `["a":1]`, `[1]]]`, `[...]`, `[(]`, `[1 ,, 2]`, `[\n]`, `[undefined]`, `["a"]"b"`,
	}
}

func moreChoices() []choice {
	rep := strings.Repeat
	return []choice{
		{"duplicate names below the top", `{"a":{"b":1,"b":2}}`, false},
		{"duplicate names in an array's object", `[{"a":1},{"b":1,"c":2,"b":3}]`, false},
		{"duplicate empty names", `{"":1,"":2}`, false},
		{"duplicate names, both written with escapes", `{"\u0061":1,"\u0061":2}`, false},
		{"duplicate names by a surrogate pair", "{\"\\ud83d\\ude00\":1,\"\U0001f600\":2}", false},
		{"a duplicate among a hundred names", `{` + numbered(100) + `,"n7":0}`, false},
		{"a hundred names", `{` + numbered(100) + `}`, true},
		{"one name in two objects", `[{"a":1},{"a":2}]`, true},
		{"names that differ in a zero", `{"a":1,"a\u0000":2}`, true},
		{"UTF-16 with a mark, little-endian", "\xFF\xFE{\x00}\x00", false},
		{"UTF-16 with a mark, big-endian", "\xFE\xFF\x00{\x00}", false},
		{"UTF-32, little-endian", "{\x00\x00\x00}\x00\x00\x00", false},
		{"UTF-32, big-endian", "\x00\x00\x00{\x00\x00\x00}", false},
		{"a byte order mark alone", "\xEF\xBB\xBF", false},
		{"two byte order marks", "\xEF\xBB\xBF\xEF\xBB\xBF{}", false},
		{"invalid UTF-8 in a name", "{\"\xff\":1}", false},
		{"invalid UTF-8: truncated at the end of the string", "[\"\xE2\x82\"]", false},
		{"invalid UTF-8: five-byte form", "[\"\xF8\x88\x80\x80\x80\"]", false},
		{"invalid UTF-8: beyond U+10FFFF", "[\"\xF4\x90\x80\x80\"]", false},
		{"invalid UTF-8: overlong slash", "[\"\xC0\xAF\"]", false},
		{"invalid UTF-8: overlong in three bytes", "[\"\xE0\x80\xAF\"]", false},
		{"invalid UTF-8: a lone surrogate", "[\"\xED\xA0\x80\"]", false},
		{"invalid UTF-8: continuation first", "[\"\xBF\"]", false},
		{"a high surrogate at the end of a string", `["a\ud83d"]`, false},
		{"a high surrogate before a letter", `["\ud83da"]`, false},
		{"a high surrogate before another escape", `["\ud83d\n"]`, false},
		{"two high surrogates", `["\ud83d\ud83d\ude00"]`, false},
		{"a pair and a low surrogate", `["\ud83d\ude00\ude00"]`, false},
		{"a lone surrogate in a name", `{"\udc00":1}`, false},
		{"U+FEFF written as an escape", `["\ufeff"]`, true},
		{"a noncharacter of a higher plane", "[\"\U0001ffff\"]", true},
		{"a private character", "[\"\ue000\"]", true},
		{"an unassigned character", "[\"\u0378\"]", true},
		{"depth 128 of arrays and objects", rep(`[{"a":`, 64) + "1" + rep("}]", 64), true},
		{"depth 129 of arrays and objects", rep(`[{"a":`, 64) + "[]" + rep("}]", 64), false},
		{"depth is not the count", "[" + rep("[],", 1000) + "[]]", true},
		{"an exponent of -400", `[1e-400]`, true},
		{"an exponent of -401", `[1e-401]`, false},
		{"an exponent of 401 digits", `[1e` + rep("9", 401) + `]`, false},
		{"1,000 characters with a sign and a point", `[-0.` + rep("1", 997) + `]`, true},
		{"1,001 characters with a sign and a point", `[-0.` + rep("1", 998) + `]`, false},
		{"2^64", `[18446744073709551616]`, true},
		{"the least subnormal and half of it", `[4.9e-324,2.4e-324]`, true},
		{"0.1 in 60 digits is kept as text", `[0.1000000000000000055511151231257827021181583404541015625]`, true},
		{"minus zero with a fraction", `[-0.0e-0]`, true},
		{"a number as the whole text", `42`, true},
		{"null as the whole text", `null`, true},
		{"a slash may be escaped or not", `["/\/"]`, true},
		{"a long string", `["` + rep("x", 1<<16) + `"]`, true},
	}
}

func numbered(count int) string {
	var b strings.Builder
	for i := range count {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"n` + strings.Repeat("x", i%3) + string(rune('0'+i%10)) + string(rune('a'+i/10)) + `":0`)
	}
	return b.String() + `,"n7":1`
}
