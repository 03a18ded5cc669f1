package config

import (
	"fmt"
	"strings"
)

// Nearest returns the known name that a misspelt one is most likely meant to
// be, or "": the first of those with the fewest letters to change, and at most
// two of them.
func Nearest(name string, known []string) string {
	best, bestDistance := "", min(3, (len(name)+1)/2)
	for _, k := range known {
		if d := distance(name, k); d < bestDistance && d < len(k) {
			best, bestDistance = k, d
		}
	}
	return best
}

// nearestKey also finds the one key that goes on where name ends: token_file
// for token.
func nearestKey(name string, siblings []string) string {
	if near := Nearest(name, siblings); near != "" {
		return near
	}
	longer := ""
	for _, k := range siblings {
		if strings.HasPrefix(k, name+"_") {
			if longer != "" {
				return ""
			}
			longer = k
		}
	}
	return longer
}

// distance is the number of characters to insert, delete, replace or exchange
// with the next one to turn a into b (optimal string alignment).
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	if len(from) > len(to)+3 {
		return len(from) - len(to)
	}
	above, row := make([]int, len(to)+1), make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, c := range from {
		next := make([]int, len(to)+1)
		next[0] = i + 1
		for j, d := range to {
			cost := 1
			if c == d {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && c == to[j-1] && from[i-1] == d {
				next[j+1] = min(next[j+1], above[j-1]+1)
			}
		}
		above, row = row, next
	}
	return row[len(to)]
}

// keyHint says what to do about an unknown key of the mapping at path. meant is
// the path of the key that it stands for, where that is plain, or ""; open says
// that it may stand for any of the siblings.
func keyHint(path, name string, siblings []string) (meant, hint string, open bool) {
	elsewhere := ""
	eachName(func(known string, _ bool) {
		switch {
		case strings.Contains(name, ".") && (known == name || known == member(path, name)):
			meant = known
		case strings.Contains(name, "_") && strings.ReplaceAll(known, ".", "_") == strings.ToLower(name):
			elsewhere = "there is " + known
		case elsewhere == "" && strings.HasSuffix("."+known, "."+name):
			elsewhere = "there is " + known
		}
	})
	if meant != "" {
		return meant, "write it nested: " + strings.ReplaceAll(name, ".", ": {") + ": …" + strings.Repeat("}", strings.Count(name, ".")), false
	}
	if hint := foreign(name); hint != "" {
		for _, needed := range []string{"kafka.brokers", "schema.registry.urls"} {
			if strings.Contains(hint, " "+needed+" here") {
				meant = needed
			}
		}
		return meant, hint, false
	}
	if near := nearestKey(name, siblings); near != "" {
		return member(path, near), fmt.Sprintf("did you mean %q?", near), false
	}
	if elsewhere != "" && strings.Contains(name, "_") {
		return "", elsewhere, false
	}
	hint = "known here: " + strings.Join(siblings, ", ")
	if elsewhere != "" {
		hint = elsewhere + "; " + hint
	}
	return "", hint, true
}
