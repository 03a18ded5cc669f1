package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes.
type Size int64

const (
	kib Size = 1 << 10
	mib Size = 1 << 20
	gib Size = 1 << 30
)

func units() []struct {
	name  string
	bytes Size
} {
	return []struct {
		name  string
		bytes Size
	}{{"GiB", gib}, {"MiB", mib}, {"KiB", kib}, {"B", 1}}
}

// ParseSize reads a whole number of bytes, or of B, KiB, MiB or GiB (powers
// of 1024, IEC 80000-13), and refuses zero.
func ParseSize(s string) (Size, error) {
	number, unit := s, Size(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || Size(n) > math.MaxInt64/unit {
		return 0, fmt.Errorf("%s is not a size (examples: 500000, 960KiB, 64MiB)", quote(s))
	}
	if n == 0 {
		return 0, errors.New("must be more than zero")
	}
	return Size(n) * unit, nil
}

// String returns the shortest text that ParseSize reads as s.
func (s Size) String() string {
	for _, u := range units() {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return "0B"
}

// ParseDuration reads what time.ParseDuration reads and refuses what is
// negative.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%s is not a duration (examples: 500ms, 5s, 2m)", quote(s))
	}
	if d < 0 {
		return 0, errors.New("must not be negative")
	}
	return d, nil
}

func parsePositive(s string) (time.Duration, error) {
	d, err := ParseDuration(s)
	if err == nil && d == 0 {
		return 0, errors.New("must be more than zero")
	}
	return d, err
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, fmt.Errorf("%s is neither true nor false", quote(s))
	}
}

func parseCount(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is not a whole number from 1 to %d", quote(s), math.MaxInt32)
	}
	return int(n), nil
}

// fractionPattern is what a fraction looks like: YAML's numbers without sign,
// but none of its words for what is no number.
const fractionPattern = `\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?`

func parseFraction(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v > 1 || !regexp.MustCompile("^"+fractionPattern+"$").MatchString(s) {
		return 0, fmt.Errorf("%s is not a number from 0 to 1 (examples: 0.01, 1)", quote(s))
	}
	return v, nil
}

// parseVersion gives 0 for the latest version of a subject.
func parseVersion(s string) (int, error) {
	if s == "latest" {
		return 0, nil
	}
	n, err := parseCount(s)
	if err != nil {
		return 0, fmt.Errorf("%s is neither latest nor the number of a version", quote(s))
	}
	return n, nil
}

func schemaModeNames() []string { return []string{"local", "remote", "off"} }

// String returns the word of the configuration.
func (m SchemaMode) String() string { return word(int(m), schemaModeNames()...) }

func parseSchemaMode(s string) (SchemaMode, error) {
	n, err := index(s, schemaModeNames()...)
	return SchemaMode(n), err
}

// Partitioner is how a key picks its partition.
type Partitioner uint8

// The partitioners.
const (
	Murmur2 Partitioner = iota // Java client's default
	CRC32                      // librdkafka's default for keyed records
)

func partitionerNames() []string { return []string{"murmur2", "crc32"} }

// String returns the word of the configuration.
func (p Partitioner) String() string { return word(int(p), partitionerNames()...) }

func parsePartitioner(s string) (Partitioner, error) {
	n, err := index(s, partitionerNames()...)
	return Partitioner(n), err
}

// NoContact says what becomes of an event without a contact id.
type NoContact uint8

// The choices.
const (
	Reject  NoContact = iota // it is answered no_contact
	EventID                  // its key is made of the event id
	NullKey                  // it has no key: any partition, no order
)

func noContactNames() []string { return []string{"reject", "event_id", "null_key"} }

// String returns the word of the configuration.
func (n NoContact) String() string { return word(int(n), noContactNames()...) }

func parseNoContact(s string) (NoContact, error) {
	n, err := index(s, noContactNames()...)
	return NoContact(n), err
}

func word(i int, words ...string) string {
	if i < len(words) {
		return words[i]
	}
	return "unknown"
}

func index(s string, words ...string) (uint8, error) {
	for i, w := range words {
		if s == w {
			return uint8(i), nil
		}
	}
	return 0, fmt.Errorf("%s is none of %s", quote(s), strings.Join(words, ", "))
}

// Secret holds bytes that are shown nowhere: whatever prints, logs or
// marshals it gets "***".
type Secret struct{ value []byte }

// NewSecret keeps value; the caller does not change it any more.
func NewSecret(value []byte) Secret { return Secret{value} }

// Bytes returns the value itself. Do not change it.
func (s Secret) Bytes() []byte { return s.value }

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return len(s.value) == 0 }

const masked = "***"

// String returns "***".
func (s Secret) String() string { return masked }

// GoString returns "***".
func (s Secret) GoString() string { return masked }

// Format writes "***" for every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// LogValue gives slog "***".
func (s Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText gives encoders of JSON, YAML and others "***".
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// holdsCredentials reports whether s looks like user:password@host, with or
// without a scheme in front.
func holdsCredentials(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && strings.Contains(s[:at], ":")
}

// quote shows a value in a message: printable, and not endless.
// An address that holds credentials is masked.
func quote(s string) string {
	const most = 60
	if holdsCredentials(s) {
		s = masked
	}
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

// reference is what stands between ${ and }.
func reference() *regexp.Regexp {
	return regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(?::([-?])(.*))?$`)
}

// variables are the names of those that expand looks at in s.
func variables(s string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)`).FindAllStringSubmatch(s, -1) {
		names = append(names, m[1])
	}
	return names
}

// references is a text for expand of which only its variables are left, with
// their messages: other text, and defaults, may be part of a secret and become
// "***".
func references(s string) string {
	var out strings.Builder
	literal := func(text string) {
		if text != "" && !strings.HasSuffix(out.String(), masked) {
			out.WriteString(masked)
		}
	}
	done := 0
	for _, at := range regexp.MustCompile(`\$\$\{|\$\{[^}]*\}`).FindAllStringIndex(s, -1) {
		literal(s[done:at[0]])
		done = at[1]
		m := reference().FindStringSubmatch(strings.TrimSuffix(strings.TrimPrefix(s[at[0]:at[1]], "${"), "}"))
		switch {
		case m == nil: // $${
			literal(s[at[0]:at[1]])
		case m[2] == "-" && m[3] != "":
			out.WriteString("${" + m[1] + ":-" + masked + "}")
		default:
			out.WriteString(s[at[0]:at[1]])
		}
	}
	literal(s[done:])
	return out.String()
}

// expand replaces ${NAME}, ${NAME:-default} (when NAME is unset or empty) and
// ${NAME:?message} (a fault when NAME is unset or empty) in one scalar, once:
// what a variable holds is never looked at again. $${ stands for a literal
// ${, and any other $ for itself. The rules are those of the POSIX shell
// (XCU 2.6.2) as far as they go. Faults name variables, never values or
// defaults.
func expand(s string, env map[string]string) (string, []problem) {
	var out strings.Builder
	var faults []problem
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			out.WriteString(s)
			return out.String(), faults
		}
		if i > 0 && s[i-1] == '$' {
			out.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		out.WriteString(s[:i])
		inner, rest, closed := strings.Cut(s[i+2:], "}")
		if !closed {
			return "", append(faults, problem{"${ has no closing }", literalHint})
		}
		value, fault := resolve(inner, env)
		if fault.message != "" {
			faults = append(faults, fault)
		}
		out.WriteString(value)
		s = rest
	}
}

const literalHint = "a literal ${ is written $${"

// problem is a message with its remedy.
type problem struct{ message, hint string }

func resolve(inner string, env map[string]string) (string, problem) {
	m := reference().FindStringSubmatch(inner)
	if m == nil || strings.Contains(m[3], "${") {
		return "", problem{"${…} takes NAME, NAME:-default or NAME:?message, not nested", literalHint}
	}
	name, op, arg := m[1], m[2], m[3]
	value, set := env[name]
	switch {
	case value != "" || set && op == "":
		return value, problem{}
	case op == "-":
		return arg, problem{}
	case op == "?" && arg != "":
		return "", problem{"the environment variable " + name + " is not set: " + arg, "set " + name}
	default:
		return "", problem{"the environment variable " + name + " is not set",
			"set " + name + ", or give a default: ${" + name + ":-…}"}
	}
}
