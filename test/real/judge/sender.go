package judge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cxrelay/cxrelay/test/pace"
)

// Pauses of a sender between attempts, and how long it waits for an answer:
// far longer than the relay may take.
const (
	firstPause    = 500 * time.Millisecond
	longestPause  = 5 * time.Second
	answerTimeout = 15 * time.Second
)

// Sender sends signed events to one relay, or to several in turn. Safe for
// concurrent use.
type Sender struct {
	urls    []string
	turns   sync.Map // contact and type: *atomic.Uint64, attempts so far
	secret  string
	client  *http.Client
	journal *Journal
	pause   time.Duration // before the second attempt
}

// NewSender returns a sender that writes into the journal.
func NewSender(url, secret string, j *Journal) *Sender {
	return &Sender{urls: []string{url}, secret: secret, journal: j, pause: firstPause, client: &http.Client{
		Timeout:   answerTimeout,
		Transport: &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: 10_000, DisableCompression: true},
	}}
}

// Close closes idle connections.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Alternate adds a relay: from now on the attempts of each contact and type go
// to each relay in turn. Not to be called while the sender sends.
func (s *Sender) Alternate(url string) { s.urls = append(s.urls, url) }

// Send sends an event once. Header is added to the request; nil for none.
func (s *Sender) Send(ctx context.Context, e *Event, header http.Header) Answer {
	s.journal.add(e)
	return s.attempt(ctx, e, header)
}

// Insist sends an event until it is accepted or refused for good, or ctx
// ends: after a 503 or an error of the transport it sends the same again.
func (s *Sender) Insist(ctx context.Context, e *Event) Answer {
	s.journal.add(e)
	return s.insist(ctx, e)
}

func (s *Sender) insist(ctx context.Context, e *Event) Answer {
	for pause := s.pause; ; pause = min(2*pause, longestPause) {
		a := s.attempt(ctx, e, nil)
		if (a.Status != 0 && a.Status < 500) || !pace.Wait(ctx, pause) {
			return a
		}
	}
}

// Again goes on sending an event that Send has sent, as Insist does.
func (s *Sender) Again(ctx context.Context, e *Event) Answer { return s.insist(ctx, e) }

func (s *Sender) attempt(ctx context.Context, e *Event, header http.Header) (a Answer) {
	defer func() { e.Answers = append(e.Answers, a) }()
	mac := hmac.New(sha256.New, []byte(s.secret))
	io.WriteString(mac, e.Body) //nolint:errcheck // a hash takes everything
	began := time.Now()
	if e.Sent.IsZero() {
		e.Sent = began
	}
	var written atomic.Int64 // by the transport's goroutine
	url := s.next(e)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { written.Store(int64(time.Since(began))) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(e.Body))
	if err != nil {
		return Answer{Err: err}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Cxone-Signature", hex.EncodeToString(mac.Sum(nil)))
	resp, err := s.client.Do(req)
	if err == nil {
		a, err = read(resp)
	}
	a.At, a.Err = time.Now(), err
	a.Took = a.At.Sub(began) - time.Duration(written.Load())
	return a
}

// next returns the relay whose turn it is.
func (s *Sender) next(e *Event) string {
	turn, _ := s.turns.LoadOrStore(e.Contact+" "+e.Type, new(atomic.Uint64))
	return s.urls[turn.(*atomic.Uint64).Add(1)%uint64(len(s.urls))]
}

func read(resp *http.Response) (Answer, error) {
	defer resp.Body.Close()
	var body struct{ Reason string }
	err := json.NewDecoder(resp.Body).Decode(&body)
	if _, rest := io.Copy(io.Discard, resp.Body); err == nil {
		err = rest
	}
	if err == nil && resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
		err = errors.New("a 503 without Retry-After")
	}
	return Answer{Status: resp.StatusCode, Reason: body.Reason}, err
}

// Crowd is many contacts that send at once. Those with an even number wait
// for each 2xx before they send on; each of the others has several senders,
// so that several of its events are under way.
type Crowd struct {
	Contacts int
	Events   int           // of each contact
	Senders  int           // of each contact that does not wait
	Over     time.Duration // the n-th event is due at n/Events of it
	Until    time.Time     // no event is begun after it; zero: all are sent
}

// Crowd starts sending, and returns a function that waits until every event
// has been accepted or ctx has ended. Types take turns within a contact.
func (s *Sender) Crowd(ctx context.Context, c Crowd) (wait func()) {
	began := time.Now()
	pace := c.Over / time.Duration(c.Events)
	var all sync.WaitGroup
	for i := range c.Contacts {
		contact := fmt.Sprintf("c%d", i)
		senders, phase := 1, pace*time.Duration(i)/time.Duration(c.Contacts)
		if i%2 == 1 {
			senders = c.Senders
		}
		next := new(atomic.Int64)
		for range senders {
			all.Go(func() {
				for n := int(next.Add(1)) - 1; n < c.Events && ctx.Err() == nil; n = int(next.Add(1)) - 1 {
					due := began.Add(time.Duration(n)*pace + phase)
					if !pauseUntil(ctx, due) || !c.Until.IsZero() && time.Now().After(c.Until) {
						return
					}
					s.Insist(ctx, NewEvent(Types()[(i+n)%len(Types())], contact, n))
				}
			})
		}
	}
	return all.Wait
}

func pauseUntil(ctx context.Context, due time.Time) bool {
	d := time.Until(due)
	return d <= 0 || pace.Wait(ctx, d)
}
