package devkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
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
	key := signature.Secret{ID: "sender", Value: bytes.Clone(secret)}
	if _, err := signature.Sign(scheme, key, nil, time.Time{}, ""); err != nil {
		return nil, err
	}
	return func(h http.Header, body []byte, now time.Time) {
		fields, err := signature.Sign(scheme, key, body, now, "")
		if err != nil {
			panic("devkit: " + err.Error()) // depends on scheme and key only, which were tried above
		}
		for _, f := range fields {
			h.Set(f.Name, f.Value)
		}
	}, nil
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
	if o.Connections < 0 || o.Rate < 0 || o.Timeout < 0 {
		return nil, errors.New("connections, rate and timeout must not be negative")
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
	r := &run{opts: s.opts, tally: newTally()}
	began := time.Now()
	queues := make([]chan Event, s.opts.Connections)
	var wg sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan Event, queueLength)
		wg.Go(func() { r.work(ctx, queues[i]) })
	}
	r.dispatch(ctx, events, queues)
	for _, q := range queues {
		close(q)
	}
	wg.Wait()
	return r.tally.summary(time.Since(began))
}

type run struct {
	opts SenderOptions

	mu    sync.Mutex // guards tally and serialises OnAnswer
	tally *tally
}

func (r *run) dispatch(ctx context.Context, events iter.Seq[Event], queues []chan Event) {
	began, n := time.Now(), 0
	for e := range events {
		if r.opts.Rate > 0 {
			due := began.Add(time.Duration(float64(n) / r.opts.Rate * float64(time.Second)))
			if !sleep(ctx, time.Until(due)) {
				return
			}
		}
		select {
		case queues[connection(e, n, len(queues))] <- e:
		case <-ctx.Done():
			return
		}
		n++
	}
}

// connection keeps a contact on one connection.
func connection(e Event, n, connections int) int {
	if e.Contact == "" {
		return n % connections
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, e.Contact)
	return int(h.Sum32() % uint32(connections))
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
	deadline := time.Now().Add(r.opts.Timeout)
	for n := 1; ; n++ {
		a := a
		a.Attempt = n
		r.attempt(ctx, rt, &a, deadline)
		if a.Err != nil && ctx.Err() != nil {
			return // given up by us: no answer
		}
		a.RetryIn, a.Final = r.retry(&a, deadline)
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
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	req, err := r.request(ctx, a.Event.Body)
	if err != nil {
		a.Err = err
		return
	}
	began := time.Now()
	a.read(rt.RoundTrip(req))
	a.Elapsed = time.Since(began)
}

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

// retry tells how long to wait before the next attempt, or that there is none.
func (r *run) retry(a *Answer, deadline time.Time) (wait time.Duration, final bool) {
	again := a.Err != nil || a.Status == http.StatusTooManyRequests || a.Status >= 500
	if !r.opts.Retry || !again {
		return 0, true
	}
	wait = max(backoff(a.Attempt), a.RetryAfter)
	if time.Now().Add(wait).After(deadline) {
		return 0, true
	}
	return wait, false
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
