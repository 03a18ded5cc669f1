package load

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/cxrelay/cxrelay/test/storm/journal"
)

// Attack is one way to get in, or to do harm. Its requests carry ids EVIL-…,
// which must be in no topic, and none of them may be answered 2xx.
type Attack struct {
	Name string
	make func(a *attacker) []byte // a whole request, as it goes over the wire
	ends bool                     // nothing comes after it: the sender says so
}

// AttackOptions are what Storm needs.
type AttackOptions struct {
	Address string // host:port of the relay
	Path    string // of its source
	Secret  string // the right one: some attacks are signed
	Journal *journal.Writer
	Seed    uint64
	Rate    float64 // attacks a second
	Count   int     // at most; 0: no bound
	MaxBody int     // bytes that the relay takes
	Beside  int     // attacks at the same time, at most
}

// attacker makes requests.
type attacker struct {
	o AttackOptions
	n int
}

func (a *attacker) id() string { return fmt.Sprintf("EVIL-%d-%d", a.o.Seed, a.n) }

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
	return append(append(forgeries(), payloads()...), wires()...)
}

// forgeries do not have the right signature.
func forgeries() []Attack {
	return []Attack{
		{Name: "unsigned", make: func(a *attacker) []byte { return a.post(a.evil()) }},
		{Name: "an empty signature", make: func(a *attacker) []byte { return a.post(a.evil(), signed("")) }},
		{Name: "another secret", make: func(a *attacker) []byte { b := a.evil(); return a.post(b, signed(Sign(a.o.Secret+"x", b))) }},
		{Name: "no secret", make: func(a *attacker) []byte { b := a.evil(); return a.post(b, signed(Sign("", b))) }},
		{Name: "the signature of another body", make: func(a *attacker) []byte { return a.post(a.evil(), a.right([]byte("{}"))) }},
		{Name: "a body changed after signing", make: func(a *attacker) []byte {
			b := a.evil()
			header := a.right(b)
			b[len(b)-3] ^= 1
			return a.post(b, header)
		}},
		{Name: "a byte added after signing", make: func(a *attacker) []byte { b := a.evil(); return a.post(append(b, ' '), a.right(b)) }},
		{Name: "the front of the right signature", make: func(a *attacker) []byte { b := a.evil(); return a.post(b, signed(Sign(a.o.Secret, b)[:8])) }},
		{Name: "a signature of one digit more", make: func(a *attacker) []byte { b := a.evil(); return a.post(b, signed(Sign(a.o.Secret, b)+"0")) }},
		{Name: "a signature right in its first half", make: func(a *attacker) []byte {
			b := a.evil()
			return a.post(b, signed(Sign(a.o.Secret, b)[:32]+strings.Repeat("0", 32)))
		}},
		{Name: "two signatures, the first one right", make: func(a *attacker) []byte {
			b := a.evil()
			return a.post(b, a.right(b), signed(strings.Repeat("0", 64)))
		}},
		{Name: "a signature of 8 KiB", make: func(a *attacker) []byte { return a.post(a.evil(), signed(strings.Repeat("a", 8<<10))) }},
		{Name: "the signature in a trailer", make: func(a *attacker) []byte {
			b := a.evil()
			return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: %s\r\n\r\n%x\r\n%s\r\n0\r\n%s\r\n\r\n",
				a.o.Path, SignatureHeader, len(b), b, a.right(b))
		}},
	}
}

// payloads are signed, and no event that may be written.
func payloads() []Attack {
	whole := func(name string, body func(a *attacker) []byte, headers ...string) Attack {
		return Attack{Name: name, make: func(a *attacker) []byte { b := body(a); return a.post(b, append(headers, a.right(b))...) }}
	}
	text := func(format string) func(a *attacker) []byte {
		return func(a *attacker) []byte { return []byte(strings.ReplaceAll(format, "ID", a.id())) }
	}
	const front = `{"eventId":"ID","actionType":"QUEUE_TRANSFER"`
	return []Attack{
		whole("no body", func(*attacker) []byte { return nil }),
		whole("an unknown type", text(`{"eventId":"ID","actionType":"NOBODY","contactId":"e"}`)),
		whole("no type", text(`{"eventId":"ID","contactId":"e"}`)),
		whole("no contact", text(front+`}`)),
		whole("an empty contact", text(front+`,"contactId":"  "}`)),
		whole("a schema violation", text(front+`,"contactId":["e"]}`)),
		whole("cut off JSON", text(front+`,"contactId":"e"`)),
		whole("a repeated name", text(front+`,"contactId":"e","contactId":"f"}`)),
		whole("two values", text(front+`,"contactId":"e"}{}`)),
		whole("broken UTF-8", text(front+",\"contactId\":\"\xff\"}")),
		whole("a lone surrogate", text(front+`,"contactId":"\ud800"}`)),
		whole("a byte order mark", text("\xef\xbb\xbf"+front+`,"contactId":"e"}`)),
		whole("an array", text(`[`+front+`,"contactId":"e"}]`)),
		whole("a number of 2000 digits", text(front+`,"contactId":`+strings.Repeat("9", 2000)+`}`)),
		whole("ten thousand brackets", text(front+`,"contactId":"e","x":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`}`)),
		whole("gzip", func(a *attacker) []byte {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(a.evil()) // a buffer takes everything
			_ = z.Close()
			return b.Bytes()
		}, "Content-Encoding: gzip"),
		whole("another charset", (*attacker).evil, "Content-Type: application/json; charset=utf-16"),
		whole("a body over the limit", func(a *attacker) []byte {
			return fmt.Appendf(nil, `{"eventId":%q,"actionType":"QUEUE_TRANSFER","contactId":"e","x":%q}`, a.id(), strings.Repeat("x", a.o.MaxBody))
		}),
	}
}

// wires are about HTTP.
func wires() []Attack {
	raw := func(name, format string) Attack {
		return Attack{Name: name, ends: strings.Contains(name, "too "), make: func(a *attacker) []byte {
			b := a.evil()
			return []byte(strings.NewReplacer("PATH", a.o.Path, "SIGNED", SignatureHeader+": "+Sign("wrong", b), "LEN", fmt.Sprint(len(b)), "HEXLEN", fmt.Sprintf("%x", len(b)), "BODY", string(b)).Replace(format))
		}}
	}
	const front = "POST PATH HTTP/1.1\r\nHost: h\r\nConnection: close\r\nSIGNED\r\n"
	return []Attack{
		{Name: "another path", make: func(a *attacker) []byte { b := a.evil(); return a.request("POST", a.o.Path+"/", b, a.right(b)) }},
		{Name: "a path that a cleaner would clean", make: func(a *attacker) []byte { b := a.evil(); return a.request("POST", "/x/.."+a.o.Path, b, a.right(b)) }},
		{Name: "another method", make: func(a *attacker) []byte { b := a.evil(); return a.request("PUT", a.o.Path, b, a.right(b)) }},
		{Name: "a method in a header", make: func(a *attacker) []byte {
			b := a.evil()
			return a.request("GET", a.o.Path, b, a.right(b), "X-Http-Method-Override: POST")
		}},
		raw("length and chunks", front+"Content-Length: LEN\r\nTransfer-Encoding: chunked\r\n\r\nHEXLEN\r\nBODY\r\n0\r\n\r\n"),
		raw("two lengths", front+"Content-Length: LEN\r\nContent-Length: 3\r\n\r\nBODY"),
		raw("a length with a plus", front+"Content-Length: +LEN\r\n\r\nBODY"),
		raw("an unknown coding", front+"Transfer-Encoding: xchunked\r\n\r\nBODY"),
		raw("a chunk that is too short", front+"Transfer-Encoding: chunked\r\n\r\nffff\r\nBODY"),
		raw("a length that is too long", front+"Content-Length: 99999\r\n\r\nBODY"),
		raw("a space before the colon", "POST PATH HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length : LEN\r\nSIGNED\r\n\r\nBODY"),
		raw("no host", "POST PATH HTTP/1.1\r\nConnection: close\r\nContent-Length: LEN\r\nSIGNED\r\n\r\nBODY"),
		raw("a header of 64 KiB", front+"X-Big: "+strings.Repeat("b", 64<<10)+"\r\nContent-Length: LEN\r\n\r\nBODY"),
		raw("a zero byte in a header", front+"X-Zero: a\x00b\r\nContent-Length: LEN\r\n\r\nBODY"),
		raw("no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"+strings.Repeat("\x00", 64)+"\r\n\r\n"),
	}
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
		attack, request := all[n%len(all)], all[n%len(all)].make(&attacker{o: o, n: n})
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			began := time.Now()
			answer := exchange(o.Address, request, attack.ends)
			answer.Took = time.Since(began)
			o.Journal.Attack(attack.Name, time.Now(), answer)
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
