package kafka

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Problem is one kind of fault that keeps this client from brokers, or from
// what it wants of them.
type Problem struct {
	What    string    // in words; constant per kind of fault
	Remedy  string    // what an operator can do
	Brokers []string  // host:port; empty: not the fault of one broker
	Since   time.Time // of the first failure in an unbroken row
	Cause   string    // the last error's text; holds no secrets

	// Notice marks what costs nothing by itself, such as settings that an ACL hides.
	Notice bool
}

// String is what, where and remedy in one line.
func (p Problem) String() string {
	s := p.What
	if len(p.Brokers) > 0 {
		s += " (" + strings.Join(p.Brokers, ", ") + ")"
	}
	if p.Remedy != "" {
		s += ": " + p.Remedy
	}
	return s
}

// The troubles that are not one broker's.
const (
	ofCluster  = ""       // what the cluster refuses to the producer
	ofLook     = "look"   // requests fail although connections work
	ofToken    = "token"  // no token, although a connection may still live on an old one
	ofSettings = "hidden" // settings that an ACL hides
	ofClock    = "clock"  // records are refused for their time
)

// Pace of the edge.
const (
	firstHold   = time.Second      // doubled with every failure, up to diagnosis.hold
	forgetAfter = 90 * time.Second // a broker that nobody tried for so long is no trouble any more
	sayAgain    = time.Minute      // the same fault makes one line in this time
)

// edge watches every connection to a broker: it remembers why connections
// fail, says each kind of fault once, and holds back what would only fail
// again. Safe for concurrent use.
type edge struct {
	log  *slog.Logger
	with Security

	mu       sync.Mutex
	troubles map[string]*trouble // by host:port, or by one of the names above
	said     map[string]time.Time
}

// trouble is what is wrong at one place.
type trouble struct {
	diagnosis
	cause       string
	since, seen time.Time
	notice      bool
	failures    int
	heldTo      time.Time
}

func newEdge(log *slog.Logger, with Security) *edge {
	return &edge{log: log, with: with, troubles: map[string]*trouble{}, said: map[string]time.Time{}}
}

// heldBack is a connection that was not tried, because the last one failed in
// a way that only a change of settings can mend. It does not wrap that error:
// kgo would treat it as that of a connection.
type heldBack struct {
	until time.Time
	why   diagnosis
}

func (h *heldBack) Error() string {
	return "held back for " + time.Until(h.until).Round(time.Millisecond).String() + " after a refusal"
}

// guard holds connections back. Its error is one of dialing, so that kgo
// treats it as it treats a broker that is away: records wait.
func (e *edge) guard(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, host string) (net.Conn, error) {
		if held := e.held(host); held != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: held}
		}
		return dial(ctx, network, host)
	}
}

func (e *edge) held(broker string) *heldBack {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.troubles[broker]; t != nil && time.Now().Before(t.heldTo) {
		return &heldBack{until: t.heldTo, why: t.diagnosis}
	}
	return nil
}

// release has connections that are held back tried again: the settings changed.
func (e *edge) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.troubles {
		t.heldTo, t.failures = time.Time{}, 0
	}
}

// OnBrokerConnect implements kgo.HookBrokerConnect: kgo tells of every
// connection, after TLS and SASL, whoever asked for it.
func (e *edge) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	broker := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
	var held *heldBack
	switch {
	case err == nil:
		e.clear(broker)
	case errors.As(err, &held), errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
	default:
		e.note(broker, &attempt{with: &e.with, err: err})
	}
}

// token notes whether there is a token to authenticate with.
func (e *edge) token(err error) {
	if err == nil {
		e.clear(ofToken)
	} else if !errors.Is(err, context.Canceled) {
		e.note(ofToken, err)
	}
}

// note remembers a failure at a place, and says it if it is news.
func (e *edge) note(place string, err error) {
	d := diagnose(err)
	if d.what == "" {
		d.what = "the connection to the broker fails"
	}
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.troubles[place]
	if t == nil || t.what != d.what {
		news := !e.present(d.what)
		t = &trouble{diagnosis: d, since: now}
		e.troubles[place] = t
		if news {
			e.say(d, place, err, now)
		}
	}
	t.diagnosis, t.cause, t.seen = d, err.Error(), now
	t.failures++
	if d.hold > 0 {
		t.heldTo = now.Add(min(firstHold<<min(t.failures-1, 10), d.hold))
	}
}

// hidden notes, for the topics that an ACL hides the settings of, that they
// are not visible; none clears it. That is no fault, and said as such.
func (e *edge) hidden(topics []string) {
	if len(topics) == 0 {
		e.clear(ofSettings)
		return
	}
	d := diagnosis{what: "the topics' settings are hidden by an ACL", remedy: "allow DescribeConfigs on the topics for this principal, or leave it: max.message.bytes is then taken to be Kafka's default"}
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	cause := "topics " + strings.Join(topics, ", ")
	if t := e.troubles[ofSettings]; t == nil || t.cause != cause {
		e.troubles[ofSettings] = &trouble{diagnosis: d, cause: cause, since: now, notice: true}
		e.log.Warn("topic settings not visible", slog.Any("topics", topics), slog.String("remedy", d.remedy))
	}
	e.troubles[ofSettings].seen = now
}

// say writes the line. The caller holds the lock.
func (e *edge) say(d diagnosis, place string, err error, now time.Time) {
	if last, ok := e.said[d.what]; ok && now.Sub(last) < sayAgain {
		return
	}
	e.said[d.what] = now
	broker := ""
	if strings.Contains(place, ":") {
		broker = place
	}
	level := slog.LevelError
	if d.hold == 0 && place != ofCluster && place != ofClock {
		level = slog.LevelWarn // the network: it may mend itself
	}
	e.log.Log(context.Background(), level, "kafka connection problem", slog.String("what", d.what),
		slog.String("broker", broker), slog.Any("cause", err), slog.String("remedy", d.remedy))
}

// clear forgets the trouble at a place, and says so where it was the last of
// its kind.
func (e *edge) clear(place string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.troubles[place]
	if t == nil {
		return
	}
	delete(e.troubles, place)
	if !t.notice && !e.present(t.what) {
		e.log.Info("kafka connection problem is over", slog.String("what", t.what), slog.Duration("lasted", time.Since(t.since)))
	}
}

// present tells whether any place has this fault. The caller holds the lock.
func (e *edge) present(what string) bool {
	for _, t := range e.troubles {
		if t.what == what {
			return true
		}
	}
	return false
}

// problems returns what is wrong now, one entry for each kind of fault, the
// oldest first. Brokers that nobody tried for a while are left out.
func (e *edge) problems() []Problem {
	e.mu.Lock()
	defer e.mu.Unlock()
	byWhat := map[string]*Problem{}
	for place, t := range e.troubles {
		isBroker := strings.Contains(place, ":")
		if (isBroker || place == ofLook) && time.Since(t.seen) > forgetAfter {
			delete(e.troubles, place)
			continue
		}
		p := byWhat[t.what]
		if p == nil {
			p = &Problem{What: t.what, Remedy: t.remedy, Since: t.since, Cause: t.cause, Notice: t.notice}
			byWhat[t.what] = p
		}
		if t.since.Before(p.Since) {
			p.Since = t.since
		}
		if isBroker {
			p.Brokers = append(p.Brokers, place)
		}
	}
	all := make([]Problem, 0, len(byWhat))
	for _, p := range byWhat {
		slices.Sort(p.Brokers)
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b Problem) int { return a.Since.Compare(b.Since) })
	return all
}
