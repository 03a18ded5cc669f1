package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// Attack is one way to get in, or to do harm. Its requests carry ids EVIL-…,
// which must be in no topic, and none of them may be answered 2xx.
type Attack struct {
	Name string
	make func(a *attacker) []byte // a whole request, as it goes over the wire
	ends bool                     // nothing comes after it: the sender says so
	due  int                      // the only status that is a right answer; 0: none of 2xx and 5xx
}

// AttackOptions are what Storm needs.
type AttackOptions struct {
	Address string // host:port of the relay
	Path    string // of its source
	Secret  string // the right one: some attacks are signed
	Timed   string // path of the source whose signatures have a time
	Stamped Stamped
	Journal *journal.Writer
	Seed    uint64
	Rate    float64 // attacks a second
	Count   int     // at most; 0: no bound
	MaxBody int     // bytes that the relay takes
	Beside  int     // attacks at the same time, at most
}

// What the ids of attacks begin with: those of all, and those of requests
// without a valid signature, which must not even be in a log.
const (
	Evil   = "EVIL-"
	Forged = Evil + "FORGED-"
)

// attacker makes requests.
type attacker struct {
	o     AttackOptions
	n     int
	front string // of its ids
}

func (a *attacker) id() string { return fmt.Sprintf("%s%d-%d", a.front, a.o.Seed, a.n) }

// evil is a body that would be taken if it were signed.
func (a *attacker) evil() []byte {
	return fmt.Appendf(nil, `{"eventId":%q,"actionType":"QUEUE_TRANSFER","contactId":"evil-%d"}`, a.id(), a.n)
}

// request is a well-formed one with the given headers beside the usual.
func (a *attacker) request(method, path string, body []byte, headers ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, path, a.o.Address)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(body))
	b.Write(body)
	return b.Bytes()
}

func (a *attacker) post(body []byte, headers ...string) []byte {
	return a.request(http.MethodPost, a.o.Path, body, headers...)
}

func signed(signature string) string { return SignatureHeader + ": " + signature }

// right signs the body as a good sender does.
func (a *attacker) right(body []byte) string { return signed(Sign(a.o.Secret, body)) }

// Attacks lists them all.
func Attacks() []Attack {
	return slices.Concat(forgeries(), signatures(), replays(), borrowed(), payloads(), broken(), wires())
}

// Storm attacks until ctx ends or Count is reached: each attack in turn, in
// an order that the seed decides. Every answer goes into the journal.
func Storm(ctx context.Context, o AttackOptions) error {
	if o.Rate <= 0 || o.Beside <= 0 {
		return fmt.Errorf("load: attacks need a rate and a bound: %+v", o)
	}
	random := rand.New(rand.NewPCG(o.Seed, 0xe71)) //nolint:gosec // a schedule, no secret
	all := Attacks()
	slots := make(chan struct{}, o.Beside)
	tick := time.NewTicker(max(time.Millisecond, time.Duration(float64(time.Second)/o.Rate)))
	defer tick.Stop()
	for n := 0; o.Count == 0 || n < o.Count; n++ {
		if n%len(all) == 0 {
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		if ctx.Err() != nil {
			break
		}
		attack := all[n%len(all)]
		a := &attacker{o: o, n: n, front: Evil}
		if attack.due == http.StatusUnauthorized {
			a.front = Forged
		}
		request := attack.make(a)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			began := time.Now()
			answer := exchange(o.Address, request, attack.ends)
			answer.Took = time.Since(began)
			if attack.due == 0 {
				o.Journal.Attack(attack.Name, time.Now(), answer)
			} else {
				o.Journal.Due(attack.Name, time.Now(), answer, attack.due)
			}
		}()
	}
	for range cap(slots) {
		slots <- struct{}{} // all have ended
	}
	return nil
}

// exchange sends raw bytes over a connection of their own.
func exchange(address string, request []byte, ends bool) journal.Answer {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).Dial("tcp", address)
	if err != nil {
		return journal.Answer{}
	}
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(20*time.Second)) != nil {
		return journal.Answer{}
	}
	sent := make(chan struct{})
	go func() { // a server may answer, and close, before it has read all
		defer close(sent)
		_, _ = conn.Write(request)
		if tcp, ok := conn.(*net.TCPConn); ok && ends {
			_ = tcp.CloseWrite()
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	defer func() { _ = conn.Close(); <-sent }()
	if err != nil {
		return journal.Answer{}
	}
	defer resp.Body.Close()
	var said struct{ Reason string }
	if text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20)); err == nil {
		_ = json.Unmarshal(text, &said) // net/http's own answers have no reason
	}
	return journal.Answer{Status: resp.StatusCode, Reason: said.Reason}
}
