package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Severity tells faults from warnings.
type Severity uint8

// The severities.
const (
	Fault   Severity = iota // the configuration cannot be used
	Warning                 // it can, but somebody should look
)

// String returns "error" or "warning".
func (s Severity) String() string { return word(int(s), "error", "warning") }

// Problem is one thing to mend. It never holds the value of a secret.
type Problem struct {
	Severity Severity
	File     string // empty: not from the file
	Line     int    // from 1; 0: no line
	Column   int    // from 1, in characters; 0: no column
	Env      string // the variable, where the value came from the environment
	Path     string // such as sources[0].signature.secrets[1].file; may be empty
	Message  string
	Hint     string // what to do; may be empty
	Excerpt  string // the line and a caret under the place; may be empty
}

// String returns the problem as a paragraph for people: place, severity,
// path, message, then excerpt and hint on lines of their own.
func (p Problem) String() string {
	var b strings.Builder
	if at := p.Place(); at != "" {
		b.WriteString(at + ": ")
	}
	fmt.Fprintf(&b, "%s: ", p.Severity)
	if p.Path != "" {
		fmt.Fprintf(&b, "%s: ", p.Path)
	}
	b.WriteString(p.Message)
	if p.Excerpt != "" {
		b.WriteString("\n" + p.Excerpt)
	}
	if p.Hint != "" {
		b.WriteString("\n  hint: " + p.Hint)
	}
	return b.String()
}

// Summary is the problem on one line, without the excerpt.
func (p Problem) Summary() string {
	var parts []string
	for _, s := range []string{p.Place(), p.Path, strings.ReplaceAll(p.Message, "\n", " ")} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	line := strings.Join(parts, ": ")
	if p.Hint != "" {
		line += "; remedy: " + p.Hint
	}
	return line
}

// Place is where the value came from: FILE:LINE:COLUMN, the name of a variable,
// FILE, or "" for a default.
func (p Problem) Place() string {
	switch {
	case p.Line > 0:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	case p.Env != "":
		return p.Env
	default:
		return p.File
	}
}

// Errors is every fault of a configuration, in the order of the file, then
// those without a line.
type Errors struct{ Problems []Problem }

// Error joins the faults.
func (e *Errors) Error() string {
	parts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		parts[i] = p.String()
	}
	return strings.Join(parts, "\n")
}

func sortProblems(ps []Problem) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// fault reports one fault of the value at path, where that value came from.
// A path has at most one fault: what follows from it, or from a key that is
// misspelt, is not worth a line.
func (ld *loader) fault(path, message, hint string) {
	if ld.wrong(path) {
		return
	}
	ld.faulty[path] = true
	ld.faults = append(ld.faults, ld.problem(Fault, path, ld.origin(path), message, hint))
}

// wrong reports whether nothing is known of the value at path, because that has
// a fault, or because it may stand in the file under a key that nobody knows.
func (ld *loader) wrong(path string) bool {
	if ld.faulty[path] {
		return true
	}
	lacking := !ld.given(path)
	for p := path; p != ""; p = parent(p) {
		if ld.meant[p] || lacking && ld.strayed[parent(p)] && !ld.given(p) {
			return true
		}
	}
	return false
}

// parent is the path of the mapping or list around path, "" for that of the file.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// faultAt reports a fault at a place of the file that has no value of its own.
func (ld *loader) faultAt(path string, at place, message, hint string) {
	ld.faulty[path] = true
	o := origin{layer: fromFile, place: at}
	ld.faults = append(ld.faults, ld.problem(Fault, path, o, message, hint))
}

func (ld *loader) warn(path, message, hint string) {
	ld.warnings = append(ld.warnings, ld.problem(Warning, path, ld.origin(path), message, hint))
}

func (ld *loader) faultEnv(name, message, hint string) {
	ld.faults = append(ld.faults, Problem{Env: name, Message: message, Hint: hint})
}

func (ld *loader) warnEnv(name, message, hint string) {
	ld.warnings = append(ld.warnings, Problem{Severity: Warning, Env: name, Message: message, Hint: hint})
}

// problem is made when it is found, but its excerpt only at the end: what is
// hidden in the file is known when all of it was walked.
func (ld *loader) problem(s Severity, path string, o origin, message, hint string) Problem {
	return problemAt(ld.src.File, s, path, o, message, hint)
}

func problemAt(file string, s Severity, path string, o origin, message, hint string) Problem {
	p := Problem{Severity: s, Path: clean(path), Message: clean(message), Hint: clean(hint)}
	switch o.layer {
	case fromFile:
		p.File, p.Line, p.Column = file, o.place.line, o.place.col
	case fromEnv:
		p.Env = o.env
	case fromFlag, fromDefault:
	}
	return p
}

// clean lets no control character out of a file reach a terminal.
func clean(s string) string { return string(printable([]rune(s))) }

// addExcerpts shows the lines of the problems that have one.
func (ld *loader) addExcerpts(ps []Problem) {
	for i, p := range ps {
		if p.Line > 0 && p.Excerpt == "" {
			ps[i].Excerpt = ld.text.excerpt(place{p.Line, p.Column})
		}
	}
}

// origin finds where the value at path came from, or else where the nearest
// mapping or list around it stands. The top of the file is no place to point
// at for what is missing in it.
func (ld *loader) origin(path string) origin { return originOf(ld.origins, path) }

func originOf(origins map[string]origin, path string) origin {
	for p := path; p != ""; p = parent(p) {
		if o, ok := origins[p]; ok {
			return o
		}
	}
	top := origins[""]
	if path != "" {
		top.place = place{}
	}
	return top
}

// anyFault reports whether path, or anything below it, has a fault.
func (ld *loader) anyFault(path string) bool {
	if ld.wrong(path) {
		return true
	}
	for p := range ld.faulty {
		if p == path || strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[") {
			return true
		}
	}
	return false
}

// given reports whether any layer but the defaults set the path.
func (ld *loader) given(path string) bool {
	_, ok := ld.origins[path]
	return ok
}

// filled reports whether variables were filled in in the value at path, which
// may hold a secret then.
func (ld *loader) filled(path string) bool { return ld.origins[path].expanded }

// quote shows the value at path in a message, if it is the file's own text.
func (ld *loader) quote(path, value string) string {
	if ld.filled(path) {
		value = masked
	}
	return quote(value)
}

func member(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// place is a line and a column, both from 1, columns in characters. The zero
// place is none.
type place struct{ line, col int }

func (p place) before(q place) bool {
	return p.line < q.line || p.line == q.line && p.col < q.col
}

// text is the file as it was read, and what of it must not be shown.
type text struct {
	lines  []string
	hidden []span
}

// span is from its start up to, not including, its end.
type span struct{ start, end place }

// newText takes a text whose lines end in "\n" alone.
func newText(data string) *text { return &text{lines: strings.Split(data, "\n")} }

// end is a place behind all others.
func (t *text) end() place { return place{len(t.lines) + 1, 1} }

func (t *text) isHidden(p place) bool {
	return slices.ContainsFunc(t.hidden, func(s span) bool { return !p.before(s.start) && p.before(s.end) })
}

// excerpt shows the line of p with a caret under it. Hidden spans show as ***.
func (t *text) excerpt(p place) string {
	if p.line < 1 || p.line > len(t.lines) {
		return ""
	}
	var out []rune
	caret := -1
	line := []rune(t.lines[p.line-1])
	for i := 0; i < len(line); {
		end := i + 1
		hidden := t.isHidden(place{p.line, i + 1})
		for hidden && end < len(line) && t.isHidden(place{p.line, end + 1}) {
			end++
		}
		if p.col-1 >= i && p.col-1 < end {
			caret = len(out)
		}
		if hidden && strings.TrimSpace(string(line[i:end])) != "" {
			out = append(out, []rune(masked)...)
		} else {
			out = append(out, printable(line[i:end])...)
		}
		i = end
	}
	if caret < 0 {
		caret = len(out)
	}
	out, caret = clip(out, caret)
	number := fmt.Sprintf("%5d", p.line)
	return number + " | " + strings.TrimRight(string(out), " ") + "\n" +
		strings.Repeat(" ", len(number)) + " | " + strings.Repeat(" ", caret) + "^"
}

// printable keeps one column for each character and lets no control
// character reach a terminal.
func printable(rs []rune) []rune {
	out := slices.Clone(rs)
	for i, r := range out {
		switch {
		case r == '\t':
			out[i] = ' '
		case !isPrint(r):
			out[i] = '?'
		}
	}
	return out
}

func isPrint(r rune) bool { return r >= 0x20 && r != 0x7f && !(r >= 0x80 && r < 0xa0) }

// clip cuts a long line down to the part around the caret.
func clip(line []rune, caret int) ([]rune, int) {
	const width = 120
	if len(line) <= width {
		return line, caret
	}
	start := max(0, min(caret-width/2, len(line)-width))
	out := slices.Clone(line[start : start+width])
	if start > 0 {
		out[0] = '…'
	}
	if start+width < len(line) {
		out[width-1] = '…'
	}
	return out, caret - start
}
