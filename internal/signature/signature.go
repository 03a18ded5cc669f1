// Package signature verifies and makes webhook signatures.
//
// Here belong the description of a signature scheme ([Scheme]), the presets,
// the check of a request ([Verifier]), the other side of it ([Sign]) and the
// answers to "why did it not match": one line for the log
// ([Verifier.Diagnose]), all that can be found out for a person ([Explain]),
// and the scheme that fits ([Discover]). The package knows no HTTP (a request
// is a function from header name to values, or a list of fields, and a body),
// reads no files and writes no log.
package signature

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Header gives all values of one request header, by its canonical or
// lower-case name. It is how the package sees a request: it knows no HTTP.
// The verifier asks in the canonical form ("X-Cxone-Signature"), so that a map
// keyed like net/http's can be read directly, and keeps neither the function
// nor what it returns.
type Header func(name string) []string

// Secret is one named key. Every way of formatting it shows the ID alone.
type Secret struct {
	ID    string // shown in metrics and logs
	Value []byte // never shown
}

// Format prints the id and "***", whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.ID+"=***") }

// MarshalText gives the id and "***", for encoders and structured logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.ID + "=***"), nil }

// Errors of Verify; the returned error wraps one of them.
var (
	// ErrSignature says that no configured secret made this signature over this request.
	ErrSignature = errors.New("signature wrong or missing")
	// ErrStale says that the signature is right, and that its time is outside the window.
	ErrStale = errors.New("signed time outside the window")
)

// Why is the closed set of causes behind ErrSignature and ErrStale.
type Why string

// The causes. Stale belongs to ErrStale, all others to ErrSignature.
const (
	Missing      Why = "missing"       // no signature header
	Multiple     Why = "multiple"      // a header that must stand once stands several times, even with equal values
	Malformed    Why = "malformed"     // not in the scheme's form: prefix, list or encoding
	WrongLength  Why = "wrong_length"  // decodes, but not to the length of the scheme's MAC
	TooMany      Why = "too_many"      // more list entries than MaxEntries
	NoID         Why = "no_id"         // the id that was to be signed is absent
	NoTimestamp  Why = "no_timestamp"  // the time that was to be signed is absent
	BadTimestamp Why = "bad_timestamp" // the time is not in the scheme's unit
	Mismatch     Why = "mismatch"      // well formed, and made by none of the secrets over this request
	Stale        Why = "stale"         // right, but signed outside the window
)

// MaxEntries bounds the entries that are looked at in a signature list. A
// request with more is refused whole.
const MaxEntries = 16

// Failure is the error of Verify in detail. It holds nothing that the sender
// sent, so it may be logged.
type Failure struct {
	Why    Why
	Header string        // the canonical name of the header that it is about
	Skew   time.Duration // Stale only: signed time minus the receiver's; negative when signed in the past
}

// Error says the cause in one line.
func (f *Failure) Error() string {
	if f.Why == Stale {
		return fmt.Sprintf("%v: off by %v", ErrStale, f.Skew)
	}
	return fmt.Sprintf("%v: %s (header %s)", ErrSignature, f.Why, f.Header)
}

// Unwrap returns ErrStale or ErrSignature.
func (f *Failure) Unwrap() error {
	if f.Why == Stale {
		return ErrStale
	}
	return ErrSignature
}
