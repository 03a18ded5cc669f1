package program

import (
	"fmt"
	"strings"
	"testing"
)

// Every text of a set is found in whatever text it stands, and no other is.
func TestShortSet(t *testing.T) {
	letters := "abcdefghijklmnopq"
	var all []string
	for n := range 17 {
		all = append(all, letters[:n])
	}
	sets := map[string][]string{
		"one":           {"phone"},
		"the empty one": {""},
		"every length":  all,
		"alike":         {"a", "aa", "aaa", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaaaaaaaaaa", "a\x00", "\x00"},
		"one byte":      strings.Split("abcdefghijklmnopqrstuvwxyzABCDEF", ""),
		"usual":         {"handler", "caller", "machine", "enterprise", "business", "basic"},
	}
	for name, texts := range sets {
		set := newShortSet(texts)
		if set == nil {
			t.Errorf("%s: no set", name)
			continue
		}
		in := map[string]bool{}
		for _, text := range texts {
			in[text] = true
		}
		for _, text := range texts {
			for _, other := range []string{text, text + "x", text + "\x00", "x" + text, strings.ToUpper(text), strings.TrimSuffix(text, "a"), letters} {
				if len(other) > 16 {
					continue
				}
				around := `:"` + other + `","more":1}`
				if got := set.has(cut([]byte(around), 2, len(other))); got != in[other] {
					t.Errorf("%s has %q: %v", name, other, got)
				}
			}
		}
	}
	many := make([]string, maxShortTexts+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for name, texts := range map[string][]string{"none": nil, "long": {"a", letters}, "many": many} {
		if newShortSet(texts) != nil {
			t.Errorf("%s: a set", name)
		}
	}
}
