package schema

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What the registry's answers are tested for with errors.Is.
var (
	// ErrNotFound: the registry knows no such subject, version or schema. A
	// 404 without one of the registry's own codes is not one: it more likely
	// comes from a wrong URL.
	ErrNotFound = errors.New("not found in registry")
	// ErrThrottled: the registry asks for fewer requests: 429, or a 503 that
	// says when to come back.
	ErrThrottled = errors.New("throttled by registry")
	// ErrBadAnswer: the answer is no schema: not JSON, incomplete, or larger
	// than the client takes.
	ErrBadAnswer = errors.New("unusable answer from registry")
)

// ErrTooComplex means that an engine gave a check up because its work budget
// was spent. It is no verdict about the payload, but the same payload meets it
// again.
var ErrTooComplex = errors.New("the payload is too complex for its schema: the work budget is spent")

// Error codes of the Schema Registry API for what is not there.
const (
	codeSubjectNotFound = 40401
	codeVersionNotFound = 40402
	codeSchemaNotFound  = 40403
)

// StatusError is an answer of the registry other than 200. It matches
// ErrNotFound and ErrThrottled where they apply.
type StatusError struct {
	URL        string        // what was asked, without credentials
	Status     int           // HTTP status
	Code       int           // the registry's error_code, 0 if it sent none
	Message    string        // the registry's words, or the place of a redirect; shortened
	RetryAfter time.Duration // how long the registry wants to be left alone, 0 if it did not say
}

// Error says what was asked and what came back.
func (e *StatusError) Error() string {
	switch {
	case e.Is(ErrNotFound):
		return fmt.Sprintf("%s not found in registry (%s)", e.missing(), e.URL)
	case e.Status == http.StatusNotFound:
		return fmt.Sprintf("registry answered 404 (%s) without saying what it lacks: no schema registry is there, or the path of schema.registry.urls is wrong "+
			"(Apicurio: /apis/ccompat/v7)", e.URL)
	case e.Code != 0:
		return fmt.Sprintf("registry answered %d, code %d: %s (%s)", e.Status, e.Code, e.Message, e.URL)
	case e.Message != "":
		return fmt.Sprintf("registry answered %d: %s (%s)", e.Status, e.Message, e.URL)
	}
	return fmt.Sprintf("registry answered %d (%s)", e.Status, e.URL)
}

// Is makes the error match ErrNotFound and ErrThrottled.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound && e.missing() != ""
	case ErrThrottled:
		return e.Status == http.StatusTooManyRequests ||
			e.Status == http.StatusServiceUnavailable && e.RetryAfter > 0
	}
	return false
}

func (e *StatusError) missing() string {
	switch e.Code {
	case codeSubjectNotFound:
		return "subject"
	case codeVersionNotFound:
		return "version"
	case codeSchemaNotFound:
		return "schema"
	}
	return ""
}

// RefusedError means that the relay will not use the schema it was given. Asking
// again brings the same one; someone has to register another version.
type RefusedError struct {
	Version int
	ID      int
	Reason  string
	Err     error // the engine's own words, may be nil
}

// Error gives the reason and the version it is about.
func (e *RefusedError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v (version %d, id %d)", e.Reason, e.Err, e.Version, e.ID)
	}
	return fmt.Sprintf("%s (version %d, id %d)", e.Reason, e.Version, e.ID)
}

// Unwrap gives the engine's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// unavailableError is what Lookup returns while a subject has no schema. Only
// ErrUnavailable is in its chain: a time-out towards the registry must never
// be mistaken for a time-out of the event at hand.
type unavailableError struct {
	pin Pin
	why string
}

func (e *unavailableError) Error() string {
	if e.pin.Version > 0 {
		return fmt.Sprintf("%v for subject %q version %d: %s", ErrUnavailable, e.pin.Subject, e.pin.Version, e.why)
	}
	return fmt.Sprintf("%v for subject %q: %s", ErrUnavailable, e.pin.Subject, e.why)
}

func (e *unavailableError) Unwrap() error { return ErrUnavailable }
