package config

import (
	"fmt"
	"strings"
)

// nearest returns the known name that a misspelt one is most likely meant to
// be, or "".
func nearest(name string, known []string) string {
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
	if near := nearest(name, siblings); near != "" {
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

// distance is the number of characters to insert, delete or replace to turn a
// into b (Levenshtein).
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	if len(from) > len(to)+3 {
		return len(from) - len(to)
	}
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, c := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, d := range to {
			cost := diagonal
			if c != d {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(to)]
}

// keyHint says what to do about an unknown key of the mapping at path. meant is
// the path of the key that it stands for, where that is plain, or "".
func keyHint(path, name string, siblings []string) (meant, hint string) {
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
		return meant, "write it nested: " + strings.ReplaceAll(name, ".", ": {") + ": …" + strings.Repeat("}", strings.Count(name, "."))
	}
	if hint := foreign(name); hint != "" {
		for _, needed := range []string{"kafka.brokers", "schema.registry.urls"} {
			if strings.Contains(hint, " "+needed+" here") {
				meant = needed
			}
		}
		return meant, hint
	}
	if near := nearestKey(name, siblings); near != "" {
		return member(path, near), fmt.Sprintf("did you mean %q?", near)
	}
	if elsewhere != "" {
		return "", elsewhere
	}
	return "", "known here: " + strings.Join(siblings, ", ")
}
