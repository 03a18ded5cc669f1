package gateway

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// Errors of intake, for Refuse. Text wrapped around them is shown to the
// sender, so it must hold nothing that the sender did not send.
var (
	ErrNotFound    = errors.New("no source has this path")
	ErrMethod      = errors.New("only POST is accepted")
	ErrBodyLimit   = errors.New("the body is over the limit")
	ErrUnsupported = errors.New("unsupported body")
	ErrIncomplete  = errors.New("the declared body did not arrive")
	ErrConnections = errors.New("bound on connections reached")
	ErrDraining    = event.ErrDraining
	ErrUncertified = errors.New("the connection shows no certificate of an authority that counts now: it was opened before a reload")
)

// OverBodyLimit is the ErrBodyLimit of a limit in bytes.
func OverBodyLimit(limit int64) error { return fmt.Errorf("%w of %d bytes", ErrBodyLimit, limit) }

// panicError is what a recovered panic becomes.
type panicError struct {
	value any
	stack []byte
}

// NewPanic makes an error of a recovered panic value and the current stack.
// Refuse turns it into the reason internal.
func NewPanic(v any) error { return &panicError{value: v, stack: debug.Stack()} }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// rules lists which error means which reason, first match wins.
var rules = []struct {
	err    error
	reason reason.Reason
	shown  bool // the error's text is the detail of the answer
}{
	{signature.ErrSignature, reason.BadSignature, false},
	{signature.ErrStale, reason.Stale, false},
	{event.ErrNotObject, reason.Malformed, true},
	{event.ErrNoType, reason.NoEventType, true},
	{errNoContact, reason.NoContact, true},
	{errUnrouted, reason.Unrouted, true},
	{errMismatch, reason.SchemaMismatch, true},
	{schema.ErrTooComplex, reason.TooComplex, false},
	{schema.ErrUnavailable, reason.SchemaUnavailable, false},
	{event.ErrTooLarge, reason.TooLarge, true},
	{event.ErrOverloaded, reason.Overloaded, false},
	{event.ErrKafkaUnavailable, reason.KafkaUnavailable, false},
	{event.ErrTopicUnavailable, reason.TopicUnavailable, false},
	{event.ErrDeliveryTimeout, reason.DeliveryTimeout, false},
	{event.ErrOutcomeUnknown, reason.DeliveryTimeout, false},
	{event.ErrDraining, reason.Draining, false},
	{ErrUncertified, reason.Draining, false}, // the connection ends; a new one is asked for a certificate
	{ErrBudget, reason.Overloaded, false},
	{ErrConnections, reason.Overloaded, false},
	{ErrNotFound, reason.NotFound, false},
	{ErrMethod, reason.MethodNotAllowed, false},
	{ErrBodyLimit, reason.TooLarge, true},
	{ErrUnsupported, reason.Unsupported, true},
	{ErrIncomplete, reason.BodyIncomplete, false},
}

// classify is the only place where an error becomes a reason. The detail is
// for the sender; what the operator needs stays in the error.
func classify(v *Verdict, err error) (r reason.Reason, detail string) {
	if err == nil {
		if v.Route != nil && v.Route.Drop {
			return reason.Dropped, ""
		}
		return reason.Accepted, ""
	}
	var syntax *jsontape.SyntaxError
	if errors.As(err, &syntax) {
		return reason.Malformed, syntax.Error()
	}
	for _, rule := range rules {
		if !errors.Is(err, rule.err) {
			continue
		}
		if rule.shown {
			return rule.reason, err.Error()
		}
		return rule.reason, ""
	}
	return reason.Internal, ""
}
