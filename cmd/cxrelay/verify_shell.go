package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// shellWords splits one command as bash does: words at blanks, '…', "…", $'…'
// with its escapes, backslashes and line continuations. It ends at an unquoted
// newline, | ; & or #, and refuses what only a shell can fill in (variables,
// commands, here documents). Errors name the byte, never the words.
func shellWords(line string) ([]string, error) {
	p := shellParser{rest: line}
	for p.rest != "" {
		at := len(line) - len(p.rest)
		done, err := p.step()
		if err != nil {
			return nil, fmt.Errorf("byte %d: %w", at+1, err)
		}
		if done {
			break
		}
	}
	p.end()
	return p.words, nil
}

type shellParser struct {
	rest   string
	words  []string
	word   strings.Builder
	inWord bool
}

func (p *shellParser) end() {
	if p.inWord {
		p.words = append(p.words, p.word.String())
	}
	p.word.Reset()
	p.inWord = false
}

func (p *shellParser) put(s string) {
	p.word.WriteString(s)
	p.inWord = true
}

// take moves n bytes on and returns them.
func (p *shellParser) take(n int) string {
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}

// step reads one character or one quoted part. done: the command ends here.
func (p *shellParser) step() (done bool, err error) {
	switch c := p.rest[0]; {
	case strings.HasPrefix(p.rest, "\\\r\n"):
		p.take(3)
	case strings.HasPrefix(p.rest, "\\\n"):
		p.take(2)
	case c == ' ' || c == '\t' || c == '\r':
		p.end()
		p.take(1)
	case c == '\n' || c == '|' || c == ';' || c == '&' || c == '#' && !p.inWord:
		return len(p.words) > 0 || p.inWord, p.leading()
	case strings.HasPrefix(p.rest, "$'"):
		return false, p.ansi()
	case c == '\'':
		return false, p.single()
	case c == '"' || strings.HasPrefix(p.rest, `$"`):
		return false, p.double()
	case c == '\\':
		return false, p.escaped()
	case c == '$' || c == '`':
		return false, errors.New("a variable or a command, which only a shell can fill in: write its value there")
	case c == '<' || c == '(' || c == '>':
		return false, errors.New("a redirection, which only a shell can follow: name the file behind @")
	case c == '^' && strings.HasPrefix(p.rest, `^"`):
		return false, errors.New(`this is written for cmd.exe: copy it as cURL for bash`)
	default:
		_, size := utf8.DecodeRuneInString(p.rest)
		p.put(p.take(size))
	}
	return false, nil
}

// leading drops what stands before the command: empty lines and comments.
func (p *shellParser) leading() error {
	if len(p.words) > 0 || p.inWord {
		return nil
	}
	switch p.rest[0] {
	case '\n':
		p.take(1)
		return nil
	case '#':
		if i := strings.IndexByte(p.rest, '\n'); i >= 0 {
			p.take(i)
		} else {
			p.rest = ""
		}
		return nil
	default:
		return errors.New("no command before it")
	}
}

func (p *shellParser) escaped() error {
	if len(p.rest) == 1 {
		return errors.New("a backslash at the end")
	}
	p.take(1)
	_, size := utf8.DecodeRuneInString(p.rest)
	p.put(p.take(size))
	return nil
}

func (p *shellParser) single() error {
	i := strings.IndexByte(p.rest[1:], '\'')
	if i < 0 {
		return errors.New("a ' that is never closed")
	}
	p.put(p.take(i + 2)[1 : i+1])
	return nil
}

func (p *shellParser) double() error {
	p.rest = strings.TrimPrefix(p.rest, "$")
	p.take(1)
	p.put("")
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == '"':
			p.take(1)
			return nil
		case c == '\\' && len(p.rest) > 1 && p.rest[1] == '\n':
			p.take(2)
		case c == '\\' && len(p.rest) > 1 && strings.IndexByte("\"\\$`", p.rest[1]) >= 0:
			p.put(p.take(2)[1:])
		case c == '`' || c == '$' && len(p.rest) > 1 && isExpansion(p.rest[1]):
			return errors.New("a variable or a command between quotes, which only a shell can fill in: write its value there")
		default:
			p.put(p.take(1))
		}
	}
	return errors.New(`a " that is never closed`)
}

// isExpansion reports whether a $ before c stands for something.
func isExpansion(c byte) bool {
	return c == '{' || c == '(' || c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("0123456789@*#?$!-", c) >= 0
}

// ansi reads $'…' (bash, QUOTING).
func (p *shellParser) ansi() error {
	p.take(2)
	p.put("")
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == '\'':
			p.take(1)
			return nil
		case c == '\\' && len(p.rest) > 1:
			p.take(1)
			p.put(p.ansiEscape())
		default:
			p.put(p.take(1))
		}
	}
	return errors.New("a $' that is never closed")
}

// ansiEscape reads what stands after a backslash. What is no escape stays,
// backslash and all, as in bash.
func (p *shellParser) ansiEscape() string {
	const simple, meaning = `abeEfnrtv\'"?`, "\a\b\x1b\x1b\f\n\r\t\v\\'\"?"
	c := p.rest[0]
	if i := strings.IndexByte(simple, c); i >= 0 {
		p.take(1)
		return meaning[i : i+1]
	}
	switch {
	case c >= '0' && c <= '7':
		return string([]byte{byte(p.number(0, 3, 8))})
	case c == 'x' && p.digits(1, 2, 16) > 0:
		return string([]byte{byte(p.number(1, 2, 16))})
	case c == 'u' && p.digits(1, 4, 16) > 0:
		return string(rune(p.number(1, 4, 16)))
	case c == 'U' && p.digits(1, 8, 16) > 0:
		return string(rune(p.number(1, 8, 16)))
	case c == 'c' && len(p.rest) > 1 && p.rest[1] != '\'':
		return string([]byte{p.take(2)[1] & 0x1f})
	default:
		return "\\"
	}
}

// digits counts the digits of a base behind skip bytes, up to limit.
func (p *shellParser) digits(skip, limit, base int) (n int) {
	for n < limit && skip+n < len(p.rest) {
		if _, err := strconv.ParseUint(p.rest[skip+n:skip+n+1], base, 8); err != nil {
			break
		}
		n++
	}
	return n
}

func (p *shellParser) number(skip, limit, base int) uint64 {
	n := p.digits(skip, limit, base)
	v, err := strconv.ParseUint(p.rest[skip:skip+n], base, 32)
	if err != nil {
		return 0 // not reached: they are digits, and few
	}
	p.take(skip + n)
	return v
}
