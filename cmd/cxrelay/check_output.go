package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
)

// checkPrinter writes what `cxrelay check` has to say to stdout: tables and
// paragraphs for people, or one object a line.
type checkPrinter struct {
	out    io.Writer
	format format
	counts [3]int // by inspect.Severity
	err    error  // the first of writing
}

func newCheckPrinter(out io.Writer, format format) *checkPrinter {
	return &checkPrinter{out: out, format: format}
}

func (p *checkPrinter) print(text string, args ...any) {
	if _, err := fmt.Fprintf(p.out, text, args...); p.err == nil {
		p.err = err
	}
}

func (p *checkPrinter) json(v any) {
	if err := printJSON(p.out, v); p.err == nil {
		p.err = err
	}
}

// problems prints those of the configuration.
func (p *checkPrinter) problems(all []config.Problem) {
	for _, c := range all {
		severity := inspect.Error
		if c.Severity == config.Warning {
			severity = inspect.Warning
		}
		p.counts[severity]++
		if p.format == formatJSON {
			p.json(problemLine{"problem", severity.String(), c.File, c.Line, c.Column, c.Env, c.Path, c.Message, c.Hint})
			continue
		}
		p.print("%s\n\n", c)
	}
}

// report prints what --connect has shown.
func (p *checkPrinter) report(r *app.CheckReport) {
	for _, f := range r.Findings {
		p.counts[f.Severity]++
	}
	if p.format == formatJSON {
		p.reportJSON(r)
		return
	}
	p.brokers(r.Kafka.Brokers)
	p.created(r.Created)
	p.topics(r)
	p.registry(r.Registry)
	p.subjects(r.Subjects)
	p.clock(r.Kafka)
	p.findings(r.Findings)
	p.pins(r)
}

// table prints rows in columns; the first row is the heading.
func (p *checkPrinter) table(rows ...[]string) {
	if len(rows) < 2 {
		return
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell)
		}
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); p.err == nil {
			p.err = err
		}
	}
	p.err = errors.Join(p.err, w.Flush())
	p.print("\n")
}

func (p *checkPrinter) brokers(all []inspect.Broker) {
	rows := [][]string{{"BROKER", "ADDRESS", "ANSWERS IN"}}
	for _, b := range all {
		rows = append(rows, []string{brokerName(b), b.Address, answersIn(b.Latency, b.Err, "fails")})
	}
	p.table(rows...)
}

func brokerName(b inspect.Broker) string {
	if b.ID < 0 {
		return "-" // configured, and not what the cluster calls any broker
	}
	return strconv.Itoa(int(b.ID))
}

func answersIn(took time.Duration, err error, failed string) string {
	if err != nil {
		return failed
	}
	return fmt.Sprintf("%.2f ms", millis(took))
}

// millis is d in milliseconds, to the hundredth.
func millis(d time.Duration) float64 { return math.Round(d.Seconds()*1e5) / 100 }

func (p *checkPrinter) created(all []inspect.NewTopic) {
	for _, t := range all {
		with := fmt.Sprintf("%d partitions, replication factor %d", t.Partitions, t.ReplicationFactor)
		if t.MinInSyncReplicas > 0 {
			with += fmt.Sprintf(", min.insync.replicas=%d", t.MinInSyncReplicas)
		}
		if t.Err != nil {
			p.print("not created  %s (%s): %s\n", t.Name, with, printable(t.Err.Error()))
			continue
		}
		p.print("created  %s: %s\n", t.Name, with)
	}
	if len(all) > 0 {
		p.print("\n")
	}
}

func (p *checkPrinter) topics(r *app.CheckReport) {
	rows := [][]string{{"TOPIC", "PARTITIONS", "PINNED", "REPLICAS", "MIN.INSYNC", "UNCLEAN", "CLEANUP", "MAX.MESSAGE", "KEYS LIE AS"}}
	for _, t := range r.Kafka.Topics {
		pinned := "-"
		if n := r.Policy.Pins[t.Name]; n > 0 {
			pinned = strconv.Itoa(int(n))
		}
		if t.State != inspect.Present {
			rows = append(rows, []string{t.Name, strings.ReplaceAll(t.State.String(), "_", " "), pinned})
			continue
		}
		s := t.Settings
		rows = append(rows, []string{
			t.Name, strconv.Itoa(int(t.Partitions)), pinned, strconv.Itoa(t.ReplicationFactor), number(int64(s.MinInSyncReplicas), s.Err),
			setting(s.UncleanElection, s.Err), setting(s.CleanupPolicy, s.Err), number(s.MaxMessageBytes, s.Err), placement(r.Policy, t),
		})
	}
	p.table(rows...)
}

// setting is a value of a topic's, or why it is not there.
func setting(value string, err error) string {
	switch {
	case err != nil:
		return "not visible"
	case value == "":
		return "not told"
	default:
		return value
	}
}

func number(n int64, err error) string {
	if n < 0 {
		return setting("", err)
	}
	return setting(strconv.FormatInt(n, 10), err)
}

// placement is what the sample of a topic's records says.
func placement(policy inspect.Policy, t inspect.Topic) string {
	at := policy.Place(t)
	switch at.Verdict {
	case inspect.AsOurs, inspect.OtherCount, inspect.OtherHash:
		return fmt.Sprintf("%s over %d (%d keys)", at.Hash, at.Partitions, at.Keys)
	case inspect.NoHash:
		return fmt.Sprintf("by no known rule (%d keys)", at.Keys)
	case inspect.FewKeys:
		return fmt.Sprintf("too few to tell (%d keys)", at.Keys)
	case inspect.NoKeys:
	}
	switch {
	case t.Sample.Err != nil:
		return "not visible"
	case t.Partitions == 1:
		return "one partition"
	default:
		return "no keys"
	}
}

func (p *checkPrinter) registry(all []app.RegistryAddress) {
	rows := [][]string{{"REGISTRY", "ANSWERS IN"}}
	for _, a := range all {
		rows = append(rows, []string{redacted(a.URL), answersIn(a.Latency, a.Err, "no answer")})
	}
	p.table(rows...)
}

// redacted is a URL without what nobody should read.
func redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "?"
	}
	return u.Redacted()
}

func (p *checkPrinter) subjects(all []app.SubjectState) {
	rows := [][]string{{"SUBJECT", "VERSION", "ID", "TYPE", "STATE"}}
	for _, s := range all {
		state := "can be applied"
		if s.Err != nil {
			state = "unusable"
		}
		version, id := "-", "-"
		if s.Version > 0 {
			version, id = strconv.Itoa(s.Version), strconv.Itoa(s.ID)
		}
		rows = append(rows, []string{s.Subject, version, id, cmp.Or(s.Type, "-"), state})
	}
	p.table(rows...)
}

func (p *checkPrinter) clock(r inspect.Report) {
	if c := r.Clock; c.Err == nil && len(r.Topics) > 0 {
		p.print("The cluster's clock is %+.1f ms against this machine's, ± %.1f ms.\n\n", millis(c.Ahead), millis(c.Within))
	}
}

// findings prints each paragraph with what it is about.
func (p *checkPrinter) findings(all []inspect.Finding) {
	for _, g := range inspect.Grouped(all) {
		for line := range strings.Lines(g.String()) {
			p.print("%s\n", printable(strings.TrimSuffix(line, "\n")))
		}
		p.print("\n")
	}
}

// pins prints the lines to paste, if any is missing in the configuration.
func (p *checkPrinter) pins(r *app.CheckReport) {
	if pins := r.Kafka.Pins(r.Policy); len(pins) > 0 && !maps.Equal(pins, r.Policy.Pins) {
		p.print("To pin the partition counts, put this into the configuration:\n\n%s\n", inspect.PinLines(pins))
	}
}

// tally counts what was found.
func (p *checkPrinter) tally() string {
	plural := func(n int, one string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %ss", n, one)
	}
	return plural(p.counts[inspect.Error], "error") + ", " + plural(p.counts[inspect.Warning], "warning")
}

func (p *checkPrinter) summary() {
	if p.format == formatJSON {
		p.json(checkSummaryLine{"summary", p.counts[inspect.Error], p.counts[inspect.Warning], p.counts[inspect.Info]})
		return
	}
	p.print("%s\n", p.tally())
}
