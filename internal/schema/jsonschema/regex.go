package jsonschema

import (
	"regexp/syntax"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

// replaceRegex puts this package's regex format where the library's is, which
// no registered format can replace.
func replaceRegex(s *santhosh.Schema) {
	if s.Format != nil && s.Format.Name == "regex" {
		s.Format = formatOf("regex", isRegex)
	}
}

// isRegex: RE2, as for the pattern keyword. Whatever parses also compiles, but
// compiling writes every repetition out: x{1000} is seven bytes and a thousand
// instructions, and a payload of them took ten seconds.
func isRegex(s string) bool {
	_, err := syntax.Parse(s, syntax.Perl)
	return err == nil
}
