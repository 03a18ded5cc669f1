// Package load sends signed events at a fixed rate of arrivals, as senders of
// webhooks do: some wait for each answer, some do not, some give up, some
// repeat what was accepted, some hang up. All that it does stands in the
// journal. It shares no code with the relay.
package load

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// Options are what Run needs.
type Options struct {
	URLs    []string // of the relays; the attempts of each contact and type go to them in turn
	Secret  string
	Stamped Stamped // another source of them; no share: nobody sends there
	Journal *journal.Writer
	Seed    uint64

	Rate        float64 // events a second that come into being
	Events      int     // at most; 0: no bound
	Connections int     // at most, over all contacts
	Contacts    int
	Name        string // of the contacts, before a minus and their number; empty: c
	Types       []Type
	Habits      Habits
	MaxBody     int // bytes of the largest body; they are mostly small

	// Drain is how long after the last event the senders go on with what is
	// not accepted yet.
	Drain time.Duration
}

// Type is a type of event, and the topic in which it must arrive.
type Type struct{ Name, Topic string }

// Habits are shares from 0 to 1.
type Habits struct {
	Waits      float64 // contacts that send only after the 2xx of the event before
	Beside     int     // events that a contact which does not wait has under way, while others queue; 0: as many as come
	Queue      int     // events that a contact has before it, at most: what comes then is skipped; 0: 256
	GivesUp    float64 // contacts that give up an event after Tries attempts
	Tries      int
	Repeats    float64 // events that are sent again although they were accepted, half of them at the same time
	Disconnect float64 // attempts whose sender hangs up before the answer
	Pauses     Pauses  // between two attempts; zero: anything up to 100 ms, then 200 ms, … 2 s
}

// Pauses lie between two attempts: First, then twice that, and so on up to
// Longest. Who is not Steady waits a random part of it.
type Pauses struct {
	First, Longest time.Duration
	Steady         bool
}

func (h Habits) pauses() Pauses {
	if h.Pauses == (Pauses{}) {
		return Pauses{First: 100 * time.Millisecond, Longest: 2 * time.Second}
	}
	return h.Pauses
}

// Stats are what Run did.
type Stats struct {
	Events, Attempts, Accepted, GivenUp atomic.Int64
	Skipped                             atomic.Int64 // arrivals whose contact had too much to send
}

// What a contact may have before it: one that waits in its queue, one that
// does not wait under way.
const (
	longestQueue = 256
	mostBeside   = 64
)

// Run makes events until ctx ends, then goes on sending for up to Drain, and
// returns when no attempt is under way any more. Stats may be read meanwhile.
func Run(ctx context.Context, o Options, stats *Stats) error {
	if len(o.URLs) == 0 || o.Rate <= 0 || o.Contacts <= 0 || o.Connections <= 0 || len(o.Types) == 0 {
		return fmt.Errorf("load: URLs, rate, contacts, connections and types are needed: %+v", o)
	}
	l := newLoad(o, stats)
	defer l.client.CloseIdleConnections()
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for i := range o.Contacts {
		l.contacts = append(l.contacts, newContact(l, i))
	}
	l.arrivals(ctx, sending)
	timer := time.AfterFunc(o.Drain, stop)
	defer timer.Stop()
	l.under.Wait()
	return nil
}

// newLoad returns what is needed to send; o must bound its connections.
func newLoad(o Options, stats *Stats) *load {
	return &load{
		o: o, stats: stats, slots: make(chan struct{}, o.Connections),
		random: rand.New(rand.NewPCG(o.Seed, 1)), //nolint:gosec // a schedule, no secret
		client: &http.Client{
			Timeout: 15 * time.Second, // far longer than the relay may take
			Transport: &http.Transport{
				MaxIdleConnsPerHost: o.Connections, DisableCompression: true,
				DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

type load struct {
	o        Options
	stats    *Stats
	client   *http.Client
	contacts []*contact
	slots    chan struct{} // connections
	turns    sync.Map      // contact and type: *atomic.Uint64, attempts so far
	under    sync.WaitGroup

	random *rand.Rand // of the schedule; only arrivals uses it
}

// arrivals makes events at the rate, however long answers take: an arrival
// that is late is made up for.
func (l *load) arrivals(ctx, sending context.Context) {
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	made := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due := int(time.Since(began).Seconds() * l.o.Rate); made < due; made++ {
			if l.o.Events > 0 && made >= l.o.Events {
				return
			}
			c := l.contacts[l.random.IntN(len(l.contacts))]
			kind := l.o.Types[l.random.IntN(len(l.o.Types))]
			if !c.offer(sending, plan{
				kind: kind, size: l.size(), repeat: l.random.Float64() < l.o.Habits.Repeats, beside: l.random.IntN(2) == 0,
			}) {
				l.stats.Skipped.Add(1)
			}
		}
	}
}

// size is that of a body: most are small, some are as large as they may be.
func (l *load) size() int {
	switch n := l.random.IntN(1000); {
	case n == 0:
		return l.o.MaxBody
	case n < 50:
		return 1_500
	default:
		return 0
	}
}

// plan is an event before it is one.
type plan struct {
	kind   Type
	size   int
	repeat bool // after it was accepted
	beside bool // the repetition goes out with the first attempt
}

// body is what is signed. Spacing, escapes and numbers are such that decoding
// and encoding it again would show.
func body(number int, contact string, p plan) []byte {
	b := fmt.Appendf(nil, "{ \"eventId\":%q ,\t\"z\":1.0e+2,\"actionType\":%q,\n \"contactId\":%q,\"a\":900719925474010%02d,\"é\":\"\\u00e9<&>\\/ 📞\"",
		journal.ID(number), p.kind.Name, contact, number%100)
	if pad := p.size - len(b) - len(`,"pad":""}`); pad > 0 {
		b = append(b, `,"pad":"`...)
		for i := range pad {
			b = append(b, 'a'+byte((number+i)%26))
		}
		b = append(b, '"')
	}
	return append(b, '}')
}

// born writes an event down and signs it. Its body is the one that is made for
// its contact and type if it has none.
func (l *load) born(e journal.Event, p plan, given []byte, stamped bool) *Event {
	signed := &Event{body: given, stamped: stamped}
	signed.Event = l.o.Journal.Event(e, func(number int) string {
		if given == nil {
			signed.body = body(number, e.Contact, p)
		}
		sum := sha256.Sum256(signed.body)
		return hex.EncodeToString(sum[:])
	})
	signed.signature = Sign(l.o.Secret, signed.body)
	l.stats.Events.Add(1)
	return signed
}
