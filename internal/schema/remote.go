package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// Bounds of the calls that validate.
const (
	// RemoteCalls is how many may be under way at once; it is a good value
	// for ClientOptions.Connections.
	RemoteCalls = 64
	// maxVerdict is the most that is read of an answer.
	maxVerdict = 64 << 10
	// forDelivery is kept of an event's time for what comes after the
	// verdict, but never more than a quarter of what is left.
	forDelivery = 500 * time.Millisecond
	tellEvery   = time.Minute
)

// RemoteOptions sets up a Judge. Client is needed, and the figures.
type RemoteOptions struct {
	Client   *Client
	Attempts int           // calls for one event, when the registry throttles
	Backoff  time.Duration // before the second attempt, doubled before each further one
	Timeout  time.Duration // of one call
	Log      *slog.Logger  // nil: silent
	// Rand gives the jitter, in [0,1), and must be safe for concurrent use;
	// nil for math/rand/v2.
	Rand func() float64
}

// Judge has payloads validated by a registry that offers the call
//
//	POST /subjects/{subject}/validate
//
// with the payload as body. None of the known registries does; the call is
// that of the program that cxrelay replaces. Safe for concurrent use.
type Judge struct {
	opts  RemoteOptions
	slots chan struct{}
	told  atomic.Int64 // when the log last had that there is no such call; Unix nanoseconds
}

// NewJudge makes a judge; it does no I/O.
func NewJudge(o RemoteOptions) (*Judge, error) {
	if o.Client == nil || o.Attempts < 1 || o.Backoff <= 0 || o.Timeout <= 0 {
		return nil, errors.New("remote validation: no client, or no bounds")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return &Judge{opts: o, slots: make(chan struct{}, RemoteCalls)}, nil
}

// Fixed is what a cache needs.
func (j *Judge) Fixed() *Fixed {
	return &Fixed{State: Remote, Validator: func(subject string) Validator {
		return &remote{judge: j, subject: subject, path: "/subjects/" + url.PathEscape(subject) + "/validate"}
	}}
}

// enter waits for one of the calls that may be under way at once; false: ctx
// has ended, and leave must not be called.
func (j *Judge) enter(ctx context.Context) bool {
	select {
	case j.slots <- struct{}{}:
		if ctx.Err() == nil {
			return true
		}
		j.leave()
	case <-ctx.Done():
	}
	return false
}

func (j *Judge) leave() { <-j.slots }

// remote is an Asker for one subject.
type remote struct {
	judge   *Judge
	subject string
	path    string

	answered atomic.Int64 // when the registry last gave a verdict; Unix nanoseconds
	trouble  atomic.Pointer[string]
}

// lastAnswer tells when there was a verdict, and why the last call got none.
func (r *remote) lastAnswer() (at time.Time, trouble string) {
	if t := r.trouble.Load(); t != nil {
		trouble = *t
	}
	if n := r.answered.Load(); n > 0 {
		at = time.Unix(0, n)
	}
	return at, trouble
}

// Check asks for as long as it takes.
func (r *remote) Check(doc *jsontape.Doc, dst []byte) ([]byte, []Violation, error) {
	return r.CheckUntil(doc, dst, time.Time{})
}

// CheckUntil implements Asker. Every error wraps ErrUnavailable.
func (r *remote) CheckUntil(doc *jsontape.Doc, _ []byte, deadline time.Time) ([]byte, []Violation, error) {
	ctx := context.Background() // the verdict does not depend on the sender staying connected
	if !deadline.IsZero() {
		reserve := min(forDelivery, max(0, time.Until(deadline)/4))
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
	}
	if !r.judge.enter(ctx) {
		return nil, nil, r.unavailable(fmt.Sprintf("%d calls of the registry are under way already", RemoteCalls))
	}
	defer r.judge.leave()
	body := &lease{raw: doc.Raw()}
	defer body.end()
	said, err := r.insist(ctx, body)
	if err != nil {
		text := err.Error()
		if ctx.Err() != nil {
			text = "the registry gave no verdict in time"
		}
		r.trouble.Store(&text)
		return nil, nil, r.unavailable(text)
	}
	r.answered.Store(time.Now().UnixNano())
	if r.trouble.Load() != nil {
		r.trouble.Store(nil)
	}
	if said.valid {
		return doc.Raw(), nil, nil
	}
	return nil, []Violation{{Keyword: "validate", Expected: "what the schema registry takes as valid", Actual: said.words}}, nil
}

func (r *remote) unavailable(why string) error {
	return &unavailableError{Pin{Subject: r.subject}, why}
}

// insist asks until there is a verdict, and again only when throttled.
func (r *remote) insist(ctx context.Context, body *lease) (*judgement, error) {
	o := &r.judge.opts
	for attempt := 1; ; attempt++ {
		said, err := r.ask(ctx, body)
		var status *StatusError
		if err == nil || !errors.As(err, &status) || status.Status != http.StatusTooManyRequests || attempt == o.Attempts {
			return said, err
		}
		wait := max(status.RetryAfter, r.judge.backoff(attempt))
		if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
			return nil, err
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// backoff is the wait after an attempt: at least half of the figure, so that
// events that were throttled together do not come back together.
func (j *Judge) backoff(attempt int) time.Duration {
	d := j.opts.Backoff
	for range attempt - 1 {
		if d < time.Hour {
			d *= 2
		}
	}
	return time.Duration((1 + j.opts.Rand()) / 2 * float64(d))
}

// ask makes one call, at the first address that answers.
func (r *remote) ask(ctx context.Context, body *lease) (*judgement, error) {
	c := r.judge.opts.Client
	var said *judgement
	err := c.inTurn(ctx, func(ep *endpoint) error {
		q := &question{
			method: http.MethodPost, path: r.path, body: body.reader, length: len(body.raw),
			within: r.judge.opts.Timeout, limit: maxVerdict,
		}
		return c.observed(ep, func() (err error) {
			answer, err := c.exchange(ctx, ep, q)
			if err == nil {
				said, err = judge(answer)
			}
			return err
		})
	})
	var status *StatusError
	if errors.As(err, &status) && (status.Status == http.StatusNotFound && status.missing() == "" || status.Status == http.StatusMethodNotAllowed) {
		r.judge.tell(status)
	}
	return said, err
}

// tell says, once a minute, that the mode does not fit the registry.
func (j *Judge) tell(status *StatusError) {
	last, now := j.told.Load(), time.Now().UnixNano()
	if last > 0 && now-last < int64(tellEvery) || !j.told.CompareAndSwap(last, now) {
		return
	}
	j.opts.Log.Error("this schema registry has no call that validates payloads, and schema.mode is remote: events are answered schema_unavailable",
		"url", status.URL, "status", status.Status, "remedy", "set schema.mode to local")
}

// judgement is what a registry said of a payload.
type judgement struct {
	valid bool
	words string // why not
}

// judge reads an answer: 2xx means valid unless the body says otherwise; 400
// and 422 mean invalid; else there is no verdict.
func judge(r *reply) (*judgement, error) {
	switch {
	case r.status == http.StatusBadRequest || r.status == http.StatusUnprocessableEntity:
		return &judgement{words: wordsOf(r)}, nil
	case r.status/100 != 2:
		return nil, statusError(r)
	case r.broken != nil:
		return nil, r.broken // it may have said that the payload is invalid
	}
	var said map[string]json.RawMessage
	if json.Unmarshal(r.body, &said) == nil {
		for _, name := range []string{"valid", "is_valid"} {
			if bytes.Equal(bytes.TrimSpace(said[name]), []byte("false")) {
				return &judgement{words: wordsOf(r)}, nil
			}
		}
	}
	return &judgement{valid: true}, nil
}

// wordsOf is the registry's message, fit for an answer and a log line.
func wordsOf(r *reply) string {
	var said map[string]json.RawMessage
	if json.Unmarshal(r.body, &said) == nil {
		for _, name := range []string{"message", "detail", "error", "reason", "title"} {
			var text string
			if json.Unmarshal(said[name], &text) == nil {
				if text = strings.TrimSpace(shorten(text)); text != "" {
					return text
				}
			}
		}
	}
	return fmt.Sprintf("the registry answered %d and did not say why", r.status)
}
