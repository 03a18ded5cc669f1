package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// devPrinter writes what `cxrelay dev` has to say to stdout: first the
// addresses, then one line for every event that is answered. Lines are queued,
// because a reader that pauses must not hold up answers; when the queue is
// full, lines are left out and counted.
type devPrinter struct {
	format  format
	out     io.Writer
	lines   chan string
	left    atomic.Int64  // lines left out
	ended   chan struct{} // closed by end
	written chan struct{} // closed when the last line was written
}

const (
	devQueue   = 10_000          // lines
	shortRunes = 40              // of type and contact
	devFlush   = 2 * time.Second // for the lines that are left at the end
)

func newDevPrinter(out io.Writer, format format) *devPrinter {
	return &devPrinter{out: out, format: format, lines: make(chan string, devQueue), ended: make(chan struct{}), written: make(chan struct{})}
}

// readyFacts is the first line of --format json.
type readyFacts struct {
	Event    string `json:"event"`
	Webhook  string `json:"webhook"`
	Kafka    string `json:"kafka"`
	Registry string `json:"registry"`
	Admin    string `json:"admin"`
	Secret   string `json:"secret,omitempty"` // of the one source that there is without a configuration

	Config  string        `json:"config,omitempty"`
	Data    string        `json:"data,omitempty"`
	Notes   []string      `json:"notes,omitempty"` // what is not as the configuration says, and where schemas are from
	Sources []readySource `json:"sources,omitempty"`

	topic   []string     // of the configuration
	exposed []devAddress // what can be reached from the network
	program string       // how to start this program, for a shell
}

const sampleBody = `{"eventId":"hello-1","actionType":"CALL_DISCONNECTED","contactId":"698423177015","agentId":40117823,"note":"sent with curl"}`

// ready prints the addresses and has the lines of events follow.
func (p *devPrinter) ready(f readyFacts) {
	go p.write(p.banner(f))
}

// banner is what is printed first.
func (p *devPrinter) banner(f readyFacts) string {
	if p.format == formatJSON {
		return jsonLine(f)
	}
	if f.Config != "" {
		return configBanner(f)
	}
	scheme, _ := signature.Preset("cxone")
	fields, err := signature.Sign(scheme, signature.Secret{ID: "dev", Value: []byte(f.Secret)}, []byte(sampleBody), time.Now(), "")
	if err != nil {
		return err.Error() + "\n"
	}
	var headers strings.Builder
	for _, h := range fields {
		fmt.Fprintf(&headers, " -H '%s: %s'", h.Name, h.Value)
	}
	return fmt.Sprintf(`cxrelay dev: %s

  webhook   %s
  secret    %s
  kafka     %s
  registry  %s
  admin     %s

Send one event (the signature fits this body and secret):

  curl -sS -i %s -H 'Content-Type: application/json'%s --data-raw '%s'

Send more:  %s send --url %s --secret %s
Read them:  kcat -b %s -C -e -t cxone.calls.terminated -f '%%k  %%p/%%o  %%s\n'
Stop:       Ctrl-C

`, f.where(), f.Webhook, f.Secret, f.Kafka, f.Registry, f.Admin, shellQuote(f.Webhook), headers.String(), sampleBody, f.program, shellQuote(f.Webhook), shellQuote(f.Secret), f.Kafka)
}

// where says who can reach this, and where its data are.
func (f *readyFacts) where() string {
	where, data := "nothing leaves this machine", "all data is in memory"
	if len(f.exposed) > 0 {
		where = "REACHABLE FROM THE NETWORK by " + flagNames(f.exposed)
	}
	if f.Data != "" {
		data = "data is kept in " + printable(f.Data)
	}
	return where + ", " + data
}

// configBanner is what is printed first for a configuration.
func configBanner(f readyFacts) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cxrelay dev: %s: %s\n\n  kafka     %s\n  registry  %s\n  admin     %s\n\n", printable(f.Config), f.where(), f.Kafka, f.Registry, f.Admin)
	b.WriteString(newsText(f.Notes, f.Sources))
	for _, topic := range f.topic {
		fmt.Fprintf(&b, "Read them:  kcat -b %s -C -e -t %s -f '%%k  %%p/%%o  %%s\\n'\n", f.Kafka, topic)
	}
	fmt.Fprintf(&b, "Reload:     kill -HUP %d, or change the file\nStop:       Ctrl-C\n\n", os.Getpid())
	return b.String()
}

// newsText is what is told of a configuration: one line for each note, then
// the sources.
func newsText(notes []string, sources []readySource) string {
	var b strings.Builder
	for _, n := range notes {
		fmt.Fprintf(&b, "- %s\n", printable(n))
	}
	if len(notes) > 0 {
		b.WriteString("\n")
	}
	for _, s := range sources {
		fmt.Fprintf(&b, "Source %s  %s", s.Name, s.Webhook)
		if s.Preset != "" {
			fmt.Fprintf(&b, "  preset %s", s.Preset)
		}
		if s.Secret != "" {
			fmt.Fprintf(&b, "  secret %s", s.Secret)
		}
		if s.hint != "" {
			fmt.Fprintf(&b, "  (%s)", s.hint)
		}
		b.WriteString("\n\n")
		for _, line := range []string{s.Curl, s.Send} {
			if line != "" {
				fmt.Fprintf(&b, "  %s\n\n", line)
			}
		}
	}
	return b.String()
}

// reloaded queues what a reload brought.
func (p *devPrinter) reloaded(file string, notes []string, sources []readySource) {
	if p.format == formatJSON {
		p.print("%s", jsonLine(struct {
			Event   string        `json:"event"`
			Config  string        `json:"config"`
			Notes   []string      `json:"notes,omitempty"`
			Sources []readySource `json:"sources,omitempty"`
		}{"reload", file, notes, sources}))
		return
	}
	p.print("%s  %s loaded again\n%s", time.Now().Format("15:04:05.000"), printable(file), newsText(notes, sources))
}

func flagNames(addresses []devAddress) string {
	names := make([]string, len(addresses))
	for i, a := range addresses {
		names[i] = a.flag
	}
	return strings.Join(names, ", ")
}

// programName is how to start the program that was started as name. "go run"
// starts it from a directory of its own, either a temporary one or one in the
// build cache, which is no name to type again.
func programName(name string) string {
	if goRun := regexp.MustCompile(`/go-build[0-9]+/b[0-9]+/exe/[^/]+$|/[0-9a-f]{2}/[0-9a-f]{64}-d/[^/]+$`); goRun.MatchString(filepath.ToSlash(name)) {
		return "go run ./cmd/cxrelay"
	}
	return shellWord(name)
}

// devAnswer is one answered event of --format json.
type devAnswer struct {
	Event     string             `json:"event"`
	Time      time.Time          `json:"time"`
	Status    int                `json:"status"`
	Reason    string             `json:"reason"`
	Type      string             `json:"type,omitempty"`
	Contact   string             `json:"contact,omitempty"`
	EventID   string             `json:"eventId,omitempty"`
	Topic     string             `json:"topic,omitempty"`
	Partition *int32             `json:"partition,omitempty"`
	Offset    *int64             `json:"offset,omitempty"`
	Millis    float64            `json:"ms"`
	Detail    string             `json:"detail,omitempty"`
	Errors    []devkit.Violation `json:"errors,omitempty"`
}

// verdict prints one answered event.
func (p *devPrinter) verdict(v *gateway.Verdict) {
	ms := float64(v.Elapsed.Microseconds()) / 1000
	if p.format == formatJSON {
		line := devAnswer{
			Event: "answer", Time: time.Now(), Status: v.Reason.Status(), Reason: v.Reason.String(),
			Type: v.Event.Type, Contact: v.Event.Contact, EventID: v.Event.ID, Topic: v.Receipt.Topic,
			Millis: ms, Detail: v.Detail, Errors: violationsOf(v),
		}
		if v.Receipt.Topic != "" && v.Receipt.Partition >= 0 {
			line.Partition = &v.Receipt.Partition
		}
		if v.Receipt.Topic != "" && v.Receipt.Offset >= 0 {
			line.Offset = &v.Receipt.Offset
		}
		p.print("%s", jsonLine(line))
		return
	}
	place := v.Receipt.Topic
	if place != "" && v.Receipt.Offset >= 0 {
		place = fmt.Sprintf("%s/%d/%d", v.Receipt.Topic, v.Receipt.Partition, v.Receipt.Offset)
	}
	why := explain(devkit.Answer{Detail: v.Detail, Violations: violationsOf(v)})
	if why != "" {
		why = "  " + printable(why)
	}
	p.print("%s  %d %-18s %-20s %-14s %-30s %7.1f ms%s\n", time.Now().Format("15:04:05.000"), v.Reason.Status(), v.Reason,
		cmp.Or(short(v.Event.Type), "-"), cmp.Or(short(v.Event.Contact), "-"), cmp.Or(place, "-"), ms, why)
}

// short keeps a column of a line readable, whatever a sender put there: at
// most shortRunes characters, none of which steers the terminal.
func short(s string) string {
	n := 0
	for i := range s {
		if n++; n == shortRunes {
			if _, size := utf8.DecodeRuneInString(s[i:]); i+size < len(s) {
				return printable(s[:i]) + "…"
			}
		}
	}
	return printable(s)
}

// violationsOf gives the violations the form in which a sender sees them.
func violationsOf(v *gateway.Verdict) []devkit.Violation {
	var seen []devkit.Violation
	for _, found := range v.Violations {
		seen = append(seen, devkit.Violation(found))
	}
	return seen
}

// jsonLine is v as one line.
func jsonLine(v any) string {
	var b strings.Builder
	if err := printJSON(&b, v); err != nil {
		return fmt.Sprintf("{\"event\":\"error\",\"detail\":%q}\n", err)
	}
	return b.String()
}

// print queues one line.
func (p *devPrinter) print(line string, args ...any) {
	select {
	case p.lines <- fmt.Sprintf(line, args...):
	default:
		p.left.Add(1)
	}
}

// write prints first and then every line, until end.
func (p *devPrinter) write(first string) {
	defer close(p.written)
	_, _ = io.WriteString(p.out, first) // a closed stdout must not end the relay
	for {
		select {
		case line := <-p.lines:
			p.put(line)
			continue
		default:
		}
		select {
		case line := <-p.lines:
			p.put(line)
		case <-p.ended:
			return
		}
	}
}

func (p *devPrinter) put(line string) {
	_, _ = io.WriteString(p.out, line)
	if n := p.left.Swap(0); n > 0 {
		_, _ = io.WriteString(p.out, p.leftOut(n))
	}
}

func (p *devPrinter) leftOut(n int64) string {
	if p.format == formatJSON {
		return jsonLine(map[string]any{"event": "left_out", "lines": n})
	}
	return fmt.Sprintf("(%d lines left out: stdout was not read)\n", n)
}

// end waits for the lines that are queued, but not for a reader that has
// stopped reading.
func (p *devPrinter) end() {
	close(p.ended)
	select {
	case <-p.written:
	case <-time.After(devFlush):
	}
}
