package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cxrelay/cxrelay/internal/event"
)

// The makers of nodes, and what text each of them takes.

// form says what texts a scalar takes: for people, and for a JSON Schema that
// refuses nothing that set takes.
type form struct {
	name    string   // "duration"
	pattern string   // of the text, a regular expression (ECMA-262) without anchors; empty: any
	words   []string // the only ones, if there are any
	number  bool     // the text may be a whole number
	most    int      // of that number; 0: no limit
	share   bool     // the text may be a number from 0 to 1
}

func textForm() form   { return form{name: "text"} }
func secretForm() form { return form{name: "secret"} }
func fileForm() form   { return form{name: "file name"} }
func countForm() form {
	return form{name: "whole number", pattern: `\+?[0-9]+`, number: true, most: math.MaxInt32}
}

// plain is any text without control characters.
func plain(dst *string) *scalar {
	return &scalar{
		form: textForm(),
		text: func() string { return *dst },
		set: func(s string) error {
			for _, r := range s {
				if !isPrint(r) {
					return errors.New("a control character in a text")
				}
			}
			*dst = s
			return nil
		},
	}
}

// filename is the name of a file or folder that is not read with the
// configuration.
func filename(dst *string) *scalar {
	s := plain(dst)
	s.form, s.file = fileForm(), true
	return s
}

// pemFile is the name of a file whose content the configuration holds.
func pemFile(dst *string, content *[]byte) *scalar {
	s := filename(dst)
	s.content = func() []byte { return *content }
	return s
}

// secretText is a secret that stands in the configuration itself; file is
// where it was read otherwise.
func secretText(dst *Secret, file *string) *scalar {
	own := func() []byte {
		if *file != "" {
			return nil
		}
		return dst.Bytes()
	}
	return &scalar{
		secret: true, form: secretForm(), content: own,
		text: func() string {
			if len(own()) == 0 {
				return ""
			}
			return masked
		},
		set: func(s string) error {
			*dst = NewSecret([]byte(s))
			return nil
		},
	}
}

// secretFile is the name of a file that holds a secret.
func secretFile(dst *string, value *Secret) *scalar {
	s := filename(dst)
	s.content = func() []byte {
		if *dst == "" {
			return nil
		}
		return value.Bytes()
	}
	return s
}

func parsed[T any](dst *T, parse func(string) (T, error), f form) *scalar {
	return &scalar{
		form: f,
		text: func() string { return fmt.Sprint(*dst) },
		set: func(s string) error {
			v, err := parse(s)
			if err == nil {
				*dst = v
			}
			return err
		},
	}
}

func boolean(dst *bool) *scalar {
	return parsed(dst, parseBool, form{name: "true or false", words: []string{"true", "false"}})
}

func count(dst *int) *scalar { return parsed(dst, parseCount, countForm()) }

// fraction is a number from 0 to 1.
func fraction(dst *float64) *scalar {
	s := parsed(dst, parseFraction, form{name: "number from 0 to 1", pattern: fractionPattern, share: true})
	s.text = func() string { return strconv.FormatFloat(*dst, 'f', -1, 64) }
	return s
}

func size(dst *Size) *scalar {
	return parsed(dst, ParseSize, form{name: "size", pattern: `[0-9]+ *(B|KiB|MiB|GiB)?`, number: true})
}

// durationPattern is what time.ParseDuration takes, and a little more.
const durationPattern = `[-+]?(0|([0-9]*\.?[0-9]*(ns|us|µs|μs|ms|s|m|h))+)`

func duration(dst *time.Duration) *scalar { return durationOf(dst, ParseDuration) }

func durationOf(dst *time.Duration, parse func(string) (time.Duration, error)) *scalar {
	s := parsed(dst, parse, form{name: "duration", pattern: durationPattern, number: true})
	s.text = func() string { return showDuration(*dst) }
	return s
}

// positiveDuration has no text for zero, which is none.
func positiveDuration(dst *time.Duration) *scalar {
	s := durationOf(dst, parsePositive)
	s.text = func() string {
		if *dst == 0 {
			return ""
		}
		return showDuration(*dst)
	}
	return s
}

// showDuration is shorter than d.String where that ends in zeros: 5m, not 5m0s.
func showDuration(d time.Duration) string {
	s := d.String()
	for _, zero := range []struct{ long, short string }{{"m0s", "m"}, {"h0m", "h"}} {
		if strings.HasSuffix(s, zero.long) {
			s = strings.TrimSuffix(s, zero.long) + zero.short
		}
	}
	return s
}

// version is that of a subject; 0 stands for the latest.
func version(dst *int) *scalar {
	s := parsed(dst, parseVersion, form{name: "`latest` or a number", pattern: `latest|\+?[0-9]+`, number: true, most: math.MaxInt32})
	s.text = func() string {
		if *dst == 0 {
			return "latest"
		}
		return strconv.Itoa(*dst)
	}
	return s
}

// oneOf is one of a few words.
func oneOf[T any, W ~string](dst *T, parse func(string) (T, error), words ...W) *scalar {
	f := form{name: "word"}
	for _, w := range words {
		f.words = append(f.words, string(w))
	}
	return parsed(dst, parse, f)
}

func listOf[T any](dst *[]T, fresh func() T, keys func(*T) node) *list {
	_, scalars := keys(new(T)).(*scalar)
	return &list{
		scalars: scalars,
		reset:   func() { *dst = nil },
		grow: func() node {
			*dst = append(*dst, fresh())
			return keys(&(*dst)[len(*dst)-1])
		},
		len: func() int { return len(*dst) },
		at:  func(i int) node { return keys(&(*dst)[i]) },
		fresh: func(int) node {
			v := fresh()
			return keys(&v)
		},
	}
}

func texts(dst *[]string) *list {
	l := listOf(dst, func() string { return "" }, func(s *string) node { return plain(s) })
	l.texts = true
	return l
}

func paths(dst *[]event.Path) *list {
	l := listOf(dst, func() event.Path { return event.Path{} },
		func(p *event.Path) node { return parsed(p, event.ParsePath, form{name: "path"}) })
	l.always = true
	return l
}
