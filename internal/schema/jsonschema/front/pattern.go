package front

import (
	"regexp"
	"regexp/syntax"
	"sync"
)

// pattern is a santhosh.Regexp that was parsed and is not compiled before it
// is used: package program compiles patterns in its own way. Safe for
// concurrent use.
type pattern struct {
	text     string
	compiled func() *regexp.Regexp
}

func (p *pattern) String() string { return p.text }

// MatchString compiles the pattern the first time.
func (p *pattern) MatchString(s string) bool { return p.compiled().MatchString(s) }

// pattern returns the pattern of a text, nil if that is not RE2. Whatever
// parses also compiles.
func (c *compiler) pattern(text string) *pattern {
	if p, ok := c.patterns[text]; ok {
		return p
	}
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		return nil
	}
	p := &pattern{text, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })}
	c.patterns[text] = p
	return p
}
