package app_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// habit is how a contact's sender behaves.
type habit int

const (
	waits      habit = iota // for each 2xx before the next
	hurries                 // has several events of one contact under way
	givesUp                 // after a few tries
	repeats                 // sends an event again, also at the same time
	disconnect              // hangs up before the answer, and may try again
	habits
)

// stormTypes are what senders send. The last two have their routes only
// sometimes.
func stormTypes() []string { return append(slices.Sorted(maps.Keys(topicByType)), "NEW", "OTHER") }

func stormTopic(kind string) string {
	switch kind {
	case "NEW":
		return "four"
	case "OTHER":
		return "five"
	default:
		return topicByType[kind]
	}
}

// sender sends the events of one contact. All that it does comes from the
// seed: what the n-th event is and what is done with it, never when.
type sender struct {
	st      *storm
	contact string
	habit   habit
	pace    time.Duration
	stream  uint64
}

// run sends until the storm's traffic ends, and brings what it began to an end.
func (c *sender) run() {
	var under sync.WaitGroup
	for n := 0; !c.st.over(); n++ {
		dice := rand.New(rand.NewPCG(c.st.seed, c.stream<<32|uint64(n))) //nolint:gosec // no secret
		s := c.event(dice, n)
		pause := c.pace/2 + time.Duration(dice.Int64N(int64(c.pace)))
		send := func() { c.send(s, dice) }
		if c.habit == waits {
			send()
		} else {
			under.Go(send)
		}
		pass(pause)
	}
	under.Wait()
}

func (c *sender) event(dice *rand.Rand, n int) *sent {
	types := stormTypes()
	kind := types[dice.IntN(4)]
	if dice.IntN(8) == 0 {
		kind = types[4+dice.IntN(2)]
	}
	s := event(kind, c.contact, n)
	s.topic, s.key = stormTopic(kind), keyOf(c.contact)
	c.st.w.journal.add(s)
	return s
}

// send does with an event what the habit says.
func (c *sender) send(s *sent, dice *rand.Rand) {
	switch c.habit {
	case givesUp:
		c.insist(s, 1+dice.IntN(3), 0)
	case repeats:
		var copies sync.WaitGroup
		for range dice.IntN(4) {
			if later := time.Duration(dice.IntN(3000)) * time.Millisecond; dice.IntN(3) > 0 {
				copies.Go(func() { pass(later); c.insist(s, 2, 0) })
			} else {
				copies.Go(func() { c.insist(s, 2, 0) })
			}
		}
		c.insist(s, 0, 0)
		copies.Wait()
	case disconnect:
		leave := time.Millisecond + time.Duration(dice.IntN(40*int(time.Millisecond)))
		if dice.IntN(2) == 0 {
			leave = time.Millisecond + time.Duration(dice.IntN(2500*int(time.Millisecond)))
		}
		if dice.IntN(2) == 0 {
			c.insist(s, 1, leave)
		} else if !c.insist(s, 1, leave) {
			c.insist(s, 0, 0)
		}
	default:
		c.insist(s, 0, 0)
	}
}

// insist tries up to so often, 0 for no end, with pauses that grow, and
// returns whether there was an answer after which nothing is to be done. A
// positive leave is when it hangs up.
func (c *sender) insist(s *sent, tries int, leave time.Duration) bool {
	pause := 500 * time.Millisecond
	for n := 1; ; n++ {
		switch status := c.st.attempt(s, leave); {
		case status/100 == 2:
			return true
		case status/100 == 4:
			c.st.unwelcome(s)
			return true
		case n == tries, c.st.tooLate():
			return false
		}
		pass(pause)
		pause = min(2*pause, 4*time.Second)
	}
}

// attempt sends an event once; 0 means that there was no answer. That may be
// only if the sender itself went, or a relay did.
func (st *storm) attempt(s *sent, leave time.Duration) int {
	ctx := st.w.t.Context()
	if leave > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, leave)
		defer cancel()
	}
	req, err := st.w.request(ctx, s)
	if err != nil {
		st.w.t.Error(err)
		return 0
	}
	began, turn := time.Now(), st.turns.Load()
	status, why, err := st.w.deliver(s, req)
	took := time.Since(began)
	if err != nil {
		if st.turns.Load() == turn && st.steady() && !(leave > 0 && errors.Is(err, context.DeadlineExceeded)) {
			st.w.t.Errorf("BROKEN: %s: %v", s.id, err)
		}
		return 0
	}
	if took > stormDeadline {
		st.w.t.Errorf("LATE: %s was answered %s after %s", s.id, why, took)
	}
	if status == http.StatusInternalServerError {
		st.w.t.Errorf("INTERNAL: %s", s.id)
	}
	return status
}

// unwelcome: a good event was refused for good. Only a type whose route comes
// and goes may be.
func (st *storm) unwelcome(s *sent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if why := s.reasons[len(s.reasons)-1]; why != "unrouted" || s.topic != "four" && s.topic != "five" {
		st.w.t.Errorf("UNWELCOME: %s to %s was answered %v", s.id, s.topic, s.reasons)
	}
}

// attack sends what must never be accepted, nor be anywhere in Kafka.
func (st *storm) attack(stream uint64) {
	for n := 0; !st.over(); n++ {
		dice := rand.New(rand.NewPCG(st.seed, stream<<32|uint64(n))) //nolint:gosec // no secret
		pass(100*time.Millisecond + time.Duration(dice.IntN(600))*time.Millisecond)
		s := event("QUEUE_TRANSFER", fmt.Sprintf("EVIL-%d", stream), n)
		s.evil = true
		spoil := attacks()[dice.IntN(len(attacks()))]
		req, err := st.w.request(st.w.t.Context(), s)
		if err != nil {
			st.w.t.Error(err)
			return
		}
		if req = spoil(st.w, s, req); req == nil {
			continue
		}
		st.w.journal.add(s)
		turn := st.turns.Load()
		if _, _, err := st.w.deliver(s, req); err != nil && st.turns.Load() == turn && st.steady() {
			st.w.t.Errorf("BROKEN: %s: %v", s.id, err)
		}
	}
}

// attacks make a good request one that must be refused; nil: not this time.
func attacks() []func(w *world, s *sent, req *http.Request) *http.Request {
	const field = "X-Cxone-Signature"
	again := func(w *world, s *sent, body string) *http.Request { // signed: what is wrong is in the body
		s.body = body
		req, err := w.request(w.t.Context(), s)
		if err != nil {
			w.t.Error(err)
		}
		return req
	}
	change := func(s *sent, old, text string) string { return strings.Replace(s.body, old, text, 1) }
	signature := func(req *http.Request) string {
		for name := range req.Header {
			if strings.Contains(strings.ToLower(name), "signature") {
				return name
			}
		}
		return field
	}
	return []func(*world, *sent, *http.Request) *http.Request{
		func(_ *world, _ *sent, req *http.Request) *http.Request { // unsigned
			req.Header.Del(signature(req))
			return req
		},
		func(_ *world, _ *sent, req *http.Request) *http.Request { // right but for its end
			name := signature(req)
			v := []byte(req.Header.Get(name))
			at := len(v) - 4
			if v[at] == 'a' {
				v[at] = 'b'
			} else {
				v[at] = 'a'
			}
			req.Header.Set(name, string(v))
			return req
		},
		func(w *world, s *sent, _ *http.Request) *http.Request { // another's secret
			s.secret = "not-" + testSecret
			return again(w, s, s.body)
		},
		func(w *world, s *sent, req *http.Request) *http.Request { // changed after it was signed
			signed := req.Header.Clone()
			req = again(w, s, s.body+" ")
			req.Header = signed
			return req
		},
		func(w *world, s *sent, _ *http.Request) *http.Request { // signed from here on, and wrong: no contact
			return again(w, s, change(s, "contactId", "contactID"))
		},
		func(w *world, s *sent, _ *http.Request) *http.Request {
			return again(w, s, change(s, "1.0e+2", "1.0e+"))
		},
		func(w *world, s *sent, _ *http.Request) *http.Request {
			return again(w, s, change(s, "QUEUE_TRANSFER", "UNKNOWN"))
		},
		func(w *world, s *sent, _ *http.Request) *http.Request { // over the limit of a body
			return again(w, s, change(s, "<&>", strings.Repeat("x", stormBody)))
		},
		func(w *world, s *sent, _ *http.Request) *http.Request { // not what its schema says
			return again(w, s, change(s, `"x"`, `"agentId":0,"x"`))
		},
		func(_ *world, _ *sent, req *http.Request) *http.Request {
			req.Header.Set("Content-Encoding", "gzip")
			return req
		},
		func(_ *world, _ *sent, req *http.Request) *http.Request {
			req.URL.Path += "/"
			return req
		},
		func(_ *world, _ *sent, req *http.Request) *http.Request {
			req.Method = http.MethodPut
			return req
		},
	}
}
