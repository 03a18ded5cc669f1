package devkit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// Signer adds the signature of body, as of now, to the headers of a request.
// It must be safe for concurrent use.
type Signer func(h http.Header, body []byte, now time.Time)

// SignCXone signs as the preset "cxone". It returns an error for a secret
// that the preset cannot use, such as an empty one.
func SignCXone(secret []byte) (Signer, error) {
	scheme, _ := signature.Preset("cxone")
	return NewSigner(scheme, signature.Secret{ID: "sender", Value: secret})
}

// NewSigner signs as the scheme says. A scheme that signs an id gets one that
// is made of the body, so that a retry has the same. It returns an error,
// with the id of the secret, when the two do not fit each other.
func NewSigner(scheme signature.Scheme, secret signature.Secret) (Signer, error) {
	secret.Value = bytes.Clone(secret.Value)
	if _, err := signature.Sign(scheme, secret, nil, time.Unix(0, 0), "msg_"); err != nil {
		return nil, err
	}
	return func(h http.Header, body []byte, now time.Time) {
		id := ""
		if scheme.IDHeader != "" {
			id = MessageID(body)
		}
		fields, err := signature.Sign(scheme, secret, body, now, id)
		if err != nil {
			panic("devkit: " + err.Error()) // depends on scheme and secret only, which were tried above
		}
		for _, f := range fields {
			h.Set(f.Name, f.Value)
		}
	}, nil
}

// MessageID is an id for schemes that sign one: equal for equal bodies.
func MessageID(body []byte) string {
	sum := sha256.Sum256(body)
	return "msg_" + hex.EncodeToString(sum[:12])
}

const (
	firstBackoff   = 500 * time.Millisecond // doubled with every attempt
	maxBackoff     = 10 * time.Second
	attemptTimeout = 10 * time.Second // of one attempt, when another one may follow
	queueLength    = 64               // events waiting per connection
	maxAnswerBytes = 64 << 10         // of an answer's body
)

// SenderOptions says how a Sender sends. URL and Sign are required.
type SenderOptions struct {
	URL  string
	Sign Signer

	Connections int           // each one sends one event at a time; default 1
	Rate        float64       // events per second over all connections; 0: as fast as the answers come
	Timeout     time.Duration // for one event, retries and waiting included; default 30 s

	// Retry sends again after 429, 5xx and transport errors: after
	// 500 ms · 2^n with jitter, at most 10 s, and not before Retry-After,
	// as long as Timeout allows.
	Retry bool

	Duplicate    bool // send every event a second time, once the first was answered
	BadSignature bool // sign other bytes than those that are sent

	// OnAnswer is told of every answer and every transport error. Calls do
	// not overlap. It must not call into the Sender.
	OnAnswer func(Answer)

	// Transport makes one connection's transport; default an http.Transport
	// of its own, so that Connections is what the receiver sees.
	Transport func() http.RoundTripper
}

// Sender posts signed events, as a webhook sender would. The events of one
// contact go over one connection in the order given, each one after the
// final answer to the one before; events without a contact are spread over
// all connections. Redirects are not followed. Safe for concurrent use.
type Sender struct {
	opts SenderOptions
}

// NewSender checks the options.
func NewSender(o SenderOptions) (*Sender, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("url %q: want http://host:port/path", o.URL)
	}
	if o.Sign == nil {
		return nil, errors.New("a signer is required")
	}
	switch {
	case o.Connections < 0:
		return nil, errors.New("connections must not be negative")
	case !(o.Rate >= 0):
		return nil, errors.New("rate must not be negative")
	case o.Timeout < 0:
		return nil, errors.New("timeout must not be negative")
	}
	if o.Connections == 0 {
		o.Connections = 1
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.OnAnswer == nil {
		o.OnAnswer = func(Answer) {}
	}
	if o.Transport == nil {
		o.Transport = newTransport
	}
	return &Sender{opts: o}, nil
}

func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxConnsPerHost:     1,
		MaxIdleConnsPerHost: 1,
		DisableCompression:  true,
	}
}

// Run sends the events and returns when the last one has its final answer, or
// when ctx has ended: requests under way are then given up and counted as
// unfinished. Events are taken from the sequence a bounded number ahead, on
// the caller's goroutine. A connection that retries holds up the events
// behind it, and, once its queue is full, the taking of further ones.
func (s *Sender) Run(ctx context.Context, events iter.Seq[Event]) Summary {
	r := &run{opts: s.opts, queues: map[int]chan Event{}, tally: newTally()}
	began := time.Now()
	r.dispatch(ctx, events)
	for _, q := range r.queues {
		close(q)
	}
	r.workers.Wait()
	return r.tally.summary(time.Since(began))
}

type run struct {
	opts    SenderOptions
	queues  map[int]chan Event // by connection; of those that have had an event
	workers sync.WaitGroup

	mu    sync.Mutex // guards tally and serialises OnAnswer
	tally *tally
}

func (r *run) dispatch(ctx context.Context, events iter.Seq[Event]) {
	began, n := time.Now(), 0
	for e := range events {
		if r.opts.Rate > 0 {
			due := min(float64(n)/r.opts.Rate*float64(time.Second), math.MaxInt64/2)
			if !sleep(ctx, time.Until(began.Add(time.Duration(due)))) {
				return
			}
		}
		select {
		case r.queue(ctx, connection(e, n, r.opts.Connections)) <- e:
		case <-ctx.Done():
			return
		}
		n++
	}
}

// queue returns the queue of a connection, with somebody at its end.
func (r *run) queue(ctx context.Context, i int) chan<- Event {
	q, ok := r.queues[i]
	if !ok {
		q = make(chan Event, queueLength)
		r.queues[i] = q
		r.workers.Go(func() { r.work(ctx, q) })
	}
	return q
}

// connection keeps a contact on one connection.
func connection(e Event, n, connections int) int {
	if e.Contact == "" {
		return n % connections
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, e.Contact)
	return int(h.Sum32()) % connections
}

func (r *run) work(ctx context.Context, queue <-chan Event) {
	rt := r.opts.Transport()
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		defer c.CloseIdleConnections()
	}
	for e := range queue {
		r.deliver(ctx, rt, Answer{Event: e})
		if r.opts.Duplicate {
			r.deliver(ctx, rt, Answer{Event: e, Duplicate: true})
		}
	}
}

// deliver sends one event until its final answer. The answer given to it
// says what is sent; each attempt fills a copy of it.
func (r *run) deliver(ctx context.Context, rt http.RoundTripper, a Answer) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	r.tally.deliveries++
	r.mu.Unlock()
	began := time.Now()
	deadline := began.Add(r.opts.Timeout)
	for n := 1; ; n++ {
		a := a
		a.Attempt = n
		r.attempt(ctx, rt, &a, deadline)
		if a.Err != nil && ctx.Err() != nil {
			return // given up by us: no answer
		}
		a.Spent = time.Since(began)
		r.decide(&a)
		r.record(a)
		if a.Final || !sleep(ctx, a.RetryIn) {
			return
		}
	}
}

func (r *run) record(a Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally.add(a)
	r.opts.OnAnswer(a)
}

func (r *run) attempt(ctx context.Context, rt http.RoundTripper, a *Answer, deadline time.Time) {
	if r.opts.Retry {
		if at := time.Now().Add(attemptTimeout); at.Before(deadline) {
			deadline = at
		}
	}
	began := time.Now()
	limited, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	req, err := r.request(limited, a.Event.Body)
	if err != nil {
		a.Err = err
		return
	}
	a.read(rt.RoundTrip(req))
	a.Elapsed = time.Since(began)
	if errors.Is(a.Err, context.DeadlineExceeded) && !a.Unreachable() {
		a.Err = noAnswer{within: deadline.Sub(began)}
	}
}

// noAnswer is the error of an attempt that took too long.
type noAnswer struct{ within time.Duration }

func (e noAnswer) Error() string {
	if rounded := e.within.Round(time.Millisecond); rounded > 0 {
		e.within = rounded
	}
	return fmt.Sprintf("no answer within %v", e.within)
}

func (noAnswer) Unwrap() error { return context.DeadlineExceeded }

func (r *run) request(ctx context.Context, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.opts.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "cxrelay-send")
	signed := body
	if r.opts.BadSignature {
		signed = append([]byte("not "), body...)
	}
	r.opts.Sign(req.Header, signed, time.Now())
	return req, nil
}

// decide says whether another attempt follows, and when.
func (r *run) decide(a *Answer) {
	again := a.Err != nil || a.Status == http.StatusTooManyRequests || a.Status >= 500
	if !r.opts.Retry || !again {
		a.Final = true
		return
	}
	wait := max(backoff(a.Attempt), a.RetryAfter)
	if a.Spent+wait > r.opts.Timeout {
		a.Final, a.GaveUp = true, true
		return
	}
	a.RetryIn = wait
}

// backoff is 500 ms · 2^(attempt-1), at most 10 s, of which the upper half is
// random so that senders spread.
func backoff(attempt int) time.Duration {
	d := maxBackoff
	if attempt < 6 {
		d = min(d, firstBackoff<<(attempt-1))
	}
	return d/2 + rand.N(d/2+1)
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
