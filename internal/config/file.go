package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile is far above any configuration; the parser's time is not linear.
const maxFile = 1 << 20

// loadFile reads the file and walks it along the tree of keys.
func (ld *loader) loadFile() {
	data := ld.src.Data
	if data == nil {
		if ld.src.File == "" {
			return
		}
		var err error
		if data, err = ld.src.ReadFile(ld.src.File); err != nil {
			ld.faultFile("cannot be read: " + cause(err))
			return
		}
	}
	if len(data) > maxFile {
		ld.faultFile(fmt.Sprintf("has %d bytes, more than %d", len(data), maxFile))
		return
	}
	ld.origins[""] = origin{layer: fromFile}
	source := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(data), "\ufeff"))
	ld.text = newText(source)
	body, ok := ld.parse(source)
	if !ok || body == nil {
		return
	}
	ld.walk("", ld.keys, body)
}

func (ld *loader) faultFile(message string) {
	ld.unread = true
	ld.faults = append(ld.faults, Problem{File: ld.src.File, Message: message})
}

// parse returns the one document of the file, nil for an empty one.
func (ld *loader) parse(source string) (body ast.Node, ok bool) {
	defer func() {
		if recover() != nil { // the library's bug, for input that nobody means
			ld.faultFile("is no YAML that can be read")
			body, ok = nil, false
		}
	}()
	file, err := parser.ParseBytes([]byte(source), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		ld.faultSyntax(err)
		return nil, false
	}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.DirectiveType:
		case body != nil:
			ld.hideSecrets(doc.Body)
			ld.faultAt("", placeOf(doc.Body), "a second document; a configuration is one", "remove the line ---")
			return body, true
		default:
			body = doc.Body
		}
	}
	return body, true
}

// faultSyntax reports the first place where the file is no YAML. The line may
// hold a secret, and there is no tree to tell: only what is surely harmless is
// shown. What the library's message quotes is left out for the same reason.
func (ld *loader) faultSyntax(err error) {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.Token == nil || syntax.Token.Position == nil {
		ld.faultFile("is no YAML")
		return
	}
	at := place{max(1, syntax.Token.Position.Line), max(1, syntax.Token.Position.Column)}
	ld.hideForSyntax(at.line)
	message, _, _ := strings.Cut(syntax.Message, ": \"")
	var found rune
	if at.line <= len(ld.text.lines) {
		if line := []rune(ld.text.lines[at.line-1]); at.col <= len(line) {
			found = line[at.col-1]
		}
	}
	hint := syntaxHint(found)
	switch {
	case found == '\t':
		message = "a tab cannot stand here"
	case hint == "" && message == "value is not allowed in this context":
		hint = "look at the indentation: the keys of one mapping begin in one column"
	}
	ld.unread = true
	ld.faultAt("", at, "no YAML: "+message, hint)
}

func syntaxHint(r rune) string {
	switch {
	case r == '\t':
		return "indent with spaces"
	case r == '{':
		return "quote a value with ${…} when it stands between { and }"
	case strings.ContainsRune("@`%|>&!*", r):
		return "quote a value that starts with " + string(r)
	default:
		return ""
	}
}

// hideForSyntax hides a line of a file that is no YAML from the first value
// on whose key is not known to be harmless.
func (ld *loader) hideForSyntax(line int) {
	if line > len(ld.text.lines) {
		return
	}
	source := ld.text.lines[line-1]
	keys := regexp.MustCompile(`[^\s:,{}\[\]-][^\s:,{}\[\]]*\s*:`).FindAllStringIndex(source, -1)
	from := 1
	for i, k := range keys {
		if i == 0 && strings.Trim(source[:k[0]], " \t-{[") != "" {
			break // the line goes on with something
		}
		name, rest := strings.TrimRight(source[k[0]:k[1]], " \t:"), strings.TrimLeft(source[k[1]:], " ")
		if !harmless(name) || holdsSecrets(name) && rest != "" && rest[0] != '{' {
			blanks := len(source) - k[1] - len(rest)
			from = len([]rune(source[:k[1]])) + blanks + 1
			break
		}
		from = len([]rune(source)) + 2
	}
	ld.text.hidden = append(ld.text.hidden, span{place{line, from}, place{line + 1, 1}})
}
