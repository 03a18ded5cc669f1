package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/schema"
)

const (
	progressAfter = 2 * time.Second // shorter runs need none
	progressEvery = time.Second
)

// sendOutput prints answers and the summary. Not safe for concurrent use.
type sendOutput struct {
	out     io.Writer
	format  format
	quiet   bool
	timeout time.Duration // of --timeout, for what is said of events given up
	err     error         // the first error of writing to out

	progress io.Writer // nil: no progress line
	began    time.Time
	shown    time.Time
	answers  int
}

func newSendOutput(cmd *cobra.Command, f format, quiet bool, timeout time.Duration) *sendOutput {
	o := &sendOutput{out: cmd.OutOrStdout(), format: f, quiet: quiet, timeout: timeout, began: time.Now()}
	// On one terminal, a progress line would mix with the lines of answers.
	if isTerminal(cmd.ErrOrStderr()) && (quiet || !isTerminal(o.out)) {
		o.progress = cmd.ErrOrStderr()
	}
	return o
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

type answerLine struct {
	Event     string             `json:"event"` // "answer"
	Status    int                `json:"status"`
	Reason    string             `json:"reason,omitempty"`
	Type      string             `json:"type,omitempty"`
	Contact   string             `json:"contact,omitempty"`
	EventID   string             `json:"eventId,omitempty"`
	Ms        float64            `json:"ms"`
	Attempt   int                `json:"attempt"`
	Duplicate bool               `json:"duplicate,omitempty"`
	Final     bool               `json:"final"`
	GaveUp    bool               `json:"gaveUp,omitempty"` // no time is left for the next attempt of --retry
	SpentMs   float64            `json:"spentMs,omitempty"`
	AfterMs   float64            `json:"retryAfterMs,omitempty"`
	Detail    string             `json:"detail,omitempty"`
	Errors    []devkit.Violation `json:"errors,omitempty"`
	Error     string             `json:"error,omitempty"` // of the transport; status is 0 then
}

func (o *sendOutput) answer(a devkit.Answer) {
	if a.Err == nil {
		o.answers++
	}
	o.showProgress()
	if o.quiet || o.err != nil {
		return
	}
	id := cmp.Or(a.EventID, a.Event.ID) // the relay knows better what the id is
	if o.format == formatText {
		_, o.err = fmt.Fprintln(o.out, o.textLine(a, id))
		return
	}
	line := answerLine{
		Event: "answer", Status: a.Status, Reason: a.Reason,
		Type: a.Event.Type, Contact: a.Event.Contact, EventID: id,
		Ms: ms(a.Elapsed), Attempt: a.Attempt, Duplicate: a.Duplicate, Final: a.Final,
		GaveUp: a.GaveUp, AfterMs: ms(a.RetryAfter), Detail: a.Detail, Errors: a.Violations,
	}
	if a.GaveUp {
		line.SpentMs = ms(a.Spent)
	}
	if a.Err != nil {
		line.Error = a.Err.Error()
	}
	o.err = printJSON(o.out, line)
}

func (o *sendOutput) textLine(a devkit.Answer, id string) string {
	status, reason := fmt.Sprint(a.Status), cmp.Or(a.Reason, "-")
	if a.Err != nil {
		status, reason = "---", "no_answer"
	}
	notes := []string{}
	if a.Duplicate {
		notes = append(notes, "duplicate")
	}
	if why := explain(a); why != "" {
		notes = append(notes, why)
	}
	switch {
	case a.GaveUp && a.RetryAfter > o.timeout:
		notes = append(notes, fmt.Sprintf("gave up: Retry-After %v exceeds --timeout %v", a.RetryAfter.Round(time.Second), o.timeout))
	case a.GaveUp:
		notes = append(notes, fmt.Sprintf("gave up after %v", a.Spent.Round(10*time.Millisecond)))
	case !a.Final:
		notes = append(notes, fmt.Sprintf("again in %v", a.RetryIn.Round(10*time.Millisecond)))
	}
	line := fmt.Sprintf("%s %-18s %-19s %-12s %-36s %8.1f ms  %s",
		status, reason, cmp.Or(a.Event.Type, "-"), cmp.Or(a.Event.Contact, "-"), cmp.Or(id, "-"), ms(a.Elapsed), strings.Join(notes, "; "))
	return strings.TrimRight(printable(line), " ")
}

// explain is the shortest useful text of an answer that is not 2xx.
func explain(a devkit.Answer) string {
	switch {
	case a.Err != nil:
		return a.Err.Error()
	case len(a.Violations) > 0:
		text := schema.Violation(a.Violations[0]).String()
		if more := len(a.Violations) - 1; more > 0 {
			text += fmt.Sprintf(" (and %d more)", more)
		}
		return text
	default:
		return a.Detail
	}
}

// printable keeps what a server sent, or a file held, from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

func (o *sendOutput) showProgress() {
	now := time.Now()
	if o.progress == nil || now.Sub(o.began) < progressAfter || now.Sub(o.shown) < progressEvery {
		return
	}
	o.shown = now
	fmt.Fprintf(o.progress, "\r\x1b[K%d answers, %.0f/s", o.answers, float64(o.answers)/now.Sub(o.began).Seconds())
}

type summaryLine struct {
	Event           string         `json:"event"` // "summary"
	Events          int            `json:"events"`
	OK              int            `json:"ok"`
	Answers         int            `json:"answers"`
	Retries         int            `json:"retries"`
	TransportErrors int            `json:"transportErrors"`
	Unfinished      int            `json:"unfinished"`
	Statuses        map[int]int    `json:"statuses"`
	Reasons         map[string]int `json:"reasons"`
	P50Ms           float64        `json:"p50Ms"`
	P99Ms           float64        `json:"p99Ms"`
	MaxMs           float64        `json:"maxMs"`
	Seconds         float64        `json:"seconds"`
}

func (o *sendOutput) summary(s devkit.Summary) {
	if !o.shown.IsZero() {
		fmt.Fprint(o.progress, "\r\x1b[K")
	}
	if o.err != nil {
		return
	}
	if o.format == formatText {
		o.textSummary(s)
		return
	}
	o.err = printJSON(o.out, summaryLine{
		Event: "summary", Events: s.Deliveries, OK: s.OK, Answers: s.Answers, Retries: s.Retries,
		TransportErrors: s.TransportErrors, Unfinished: s.Unfinished, Statuses: s.Statuses, Reasons: s.Reasons,
		P50Ms: ms(s.P50), P99Ms: ms(s.P99), MaxMs: ms(s.Max), Seconds: s.Elapsed.Seconds(),
	})
}

func (o *sendOutput) textSummary(s devkit.Summary) {
	var b strings.Builder
	if !o.quiet {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s, %d with 2xx, in %.2f s (%.0f/s)\n", counted(s.Deliveries, "event"), s.OK, s.Elapsed.Seconds(), float64(s.Answers)/s.Elapsed.Seconds())
	for _, status := range slices.Sorted(maps.Keys(s.Statuses)) {
		fmt.Fprintf(&b, "  %-18d %d\n", status, s.Statuses[status])
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Reasons)) {
		fmt.Fprintf(&b, "  %-18s %d\n", printable(reason), s.Reasons[reason])
	}
	for _, extra := range []struct {
		name string
		n    int
	}{{"retries", s.Retries}, {"without an answer", s.TransportErrors}, {"unfinished", s.Unfinished}} {
		if extra.n > 0 {
			fmt.Fprintf(&b, "  %-18s %d\n", extra.name, extra.n)
		}
	}
	if s.Answers > 0 {
		fmt.Fprintf(&b, "  p50 %.1f ms, p99 %.1f ms, max %.1f ms\n", ms(s.P50), ms(s.P99), ms(s.Max))
	}
	_, o.err = io.WriteString(o.out, b.String())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// counted is "1 event", "2 events".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
