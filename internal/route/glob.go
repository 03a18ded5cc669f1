package route

import (
	"strings"
	"unicode/utf8"
)

func isGlob(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// glob reports whether the whole of text matches pattern, where * is any run
// of characters and ? is one. A byte that is not UTF-8 counts as one
// character.
//
// Only the last star seen is ever retried, one character further each time:
// with an earlier star the rest of the pattern would have to match a suffix
// that the last star can reach as well. So the work is at most
// len(pattern) steps for each character of text, whatever the pattern.
func glob(pattern, text string) bool { return match(pattern, text, false) }

// covers reports whether every text that inner matches is matched by outer
// too. It may say no where yes is true, never the other way round: inner is
// read as a text in which * stands for a run of unknown length, which only a
// * of outer can take.
func covers(outer, inner string) bool { return match(outer, inner, true) }

func match(pattern, text string, starIsRun bool) bool {
	p, t := 0, 0
	star, retry := -1, 0 // behind the last star; where its text ends
	for t < len(text) {
		tr, tw := utf8.DecodeRuneInString(text[t:])
		if p < len(pattern) {
			pr, pw := utf8.DecodeRuneInString(pattern[p:])
			if pr == '*' {
				p += pw
				star, retry = p, t
				continue
			}
			if pr == '?' && (!starIsRun || tr != '*') || pr != '?' && pr == tr {
				p, t = p+pw, t+tw
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, rw := utf8.DecodeRuneInString(text[retry:])
		retry += rw
		p, t = star, retry
	}
	return strings.Trim(pattern[p:], "*") == ""
}
