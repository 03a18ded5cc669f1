package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/reason"
)

// newExplainCommand is `cxrelay explain`: what does a word mean that the relay
// uses?
func newExplainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [REASON|METRIC...]",
		Short: "Say what a reason or a metric means, and what to do",
		Long: `Say what a reason of an answer means, what its sender should do and what whoever
runs the relay can do, or what a metric counts and which question it answers.
Without a word, list them all. A metric may be given with labels, as it was
copied from a query. Nothing is contacted.`,
		Example: "  cxrelay explain delivery_timeout\n  cxrelay explain cxrelay_oldest_unacked_seconds --format json",
		Args:    cobra.ArbitraryArgs,
	}
	f := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		metrics, err := app.Metrics()
		if err != nil {
			return err
		}
		facts, err := factsOf(args, metrics)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		switch {
		case *f == formatJSON:
			for _, fact := range facts {
				err = errors.Join(err, printJSON(out, fact))
			}
			return err
		case len(args) == 0:
			return listFacts(out, facts)
		}
		for i, fact := range facts {
			if i > 0 {
				fmt.Fprintln(out)
			}
			err = errors.Join(err, fact.text(out))
		}
		return err
	}
	return cmd
}

// fact is what is known of one word; it is a line of --format json, too.
type fact interface {
	text(out io.Writer) error
	row() string // of the list of all
}

// factsOf finds the words, or all of them where there are none.
func factsOf(words []string, metrics []app.Metric) ([]fact, error) {
	var facts []fact
	if len(words) == 0 {
		for _, r := range reason.All() {
			facts = append(facts, newReasonFact(r))
		}
		for _, m := range metrics {
			facts = append(facts, newMetricFact(m))
		}
	}
	for _, word := range words {
		if r, ok := reason.Parse(strings.TrimPrefix(word, "urn:cxrelay:reason:")); ok {
			facts = append(facts, newReasonFact(r))
		} else if i := slices.IndexFunc(metrics, func(m app.Metric) bool { return isSeriesOf(m, word) }); i >= 0 {
			facts = append(facts, newMetricFact(metrics[i]))
		} else {
			return nil, usageError("%q is no reason and no metric%s", word, nearWords(word, metrics))
		}
	}
	return facts, nil
}

// isSeriesOf tells whether a metric is meant, be it by a series of it.
func isSeriesOf(m app.Metric, word string) bool {
	name, _, _ := strings.Cut(word, "{")
	if name == m.Name {
		return true
	}
	part, ok := strings.CutPrefix(name, m.Name+"_")
	switch {
	case !ok:
		return false
	case m.Kind == "histogram":
		return part == "bucket" || part == "sum" || part == "count"
	default:
		return m.Kind == "summary" && (part == "sum" || part == "count")
	}
}

// nearWords asks whether a known word was meant, or says how to see them all.
func nearWords(word string, metrics []app.Metric) string {
	list := &cobra.Command{SuggestionsMinimumDistance: 2} // letters that a mistyped word may differ in
	for _, known := range explainable(metrics) {
		list.AddCommand(&cobra.Command{Use: known, Run: func(*cobra.Command, []string) {}})
	}
	if near := list.SuggestionsFor(word); word != "" && len(near) > 0 && len(near) <= maxNear {
		return fmt.Sprintf(" (did you mean %s?)", strings.Join(near, " or "))
	}
	return "; `cxrelay explain` lists them all"
}

// maxNear is how many suggestions are still of help.
const maxNear = 5

// explainable are all words that can be explained.
func explainable(metrics []app.Metric) []string {
	var words []string
	for _, r := range reason.All() {
		words = append(words, r.String())
	}
	for _, m := range metrics {
		words = append(words, m.Name)
	}
	return words
}

// reasonFact is what is known of a reason.
type reasonFact struct {
	Event    string   `json:"event"`
	Reason   string   `json:"reason"`
	Status   int      `json:"status"`
	Class    string   `json:"class"`
	Meaning  string   `json:"meaning"`
	Sender   string   `json:"sender"`   // what the class means to it
	Operator string   `json:"operator"` // what can be done about it
	Metrics  []string `json:"metrics"`
	Log      string   `json:"log"` // attribute of the log line
}

func newReasonFact(r reason.Reason) fact {
	f := &reasonFact{
		Event: "reason", Reason: r.String(), Status: r.Status(), Class: r.Class().String(), Meaning: r.Meaning(),
		Sender: r.Class().Meaning(), Operator: r.Advice(), Log: "reason=" + r.String(),
	}
	f.Metrics = append([]string{fmt.Sprintf("cxrelay_events_total{reason=%q}", r)}, regexp.MustCompile(`\bcx(?:relay|one)_[a-z_]+`).FindAllString(r.Advice(), -1)...)
	return f
}

func (f *reasonFact) text(out io.Writer) error {
	line := "`event refused` or `request refused`"
	if f.Class == reason.Stop.String() {
		line = "`event answered`, at level debug"
	}
	_, err := fmt.Fprintf(out, "%s: %s\n\nanswer    %d\nsender    %s: %s\noperator  %s\nmetric    %s\nlog       %s, in a line %s\n",
		f.Reason, f.Meaning, f.Status, f.Class, f.Sender, f.Operator, strings.Join(f.Metrics, ", "), f.Log, line)
	return err
}

func (f *reasonFact) row() string {
	return fmt.Sprintf("%s\t%d, %s\t%s", f.Reason, f.Status, f.Class, f.Meaning)
}

// metricFact is what is known of a metric.
type metricFact struct {
	Event    string      `json:"event"`
	Metric   string      `json:"metric"`
	Type     string      `json:"type"`
	Help     string      `json:"help"`
	Group    string      `json:"group,omitempty"`
	Question string      `json:"question,omitempty"` // that it helps to answer
	Labels   []labelFact `json:"labels"`
}

type labelFact struct {
	Name    string   `json:"name"`
	Meaning string   `json:"meaning,omitempty"`
	Values  []string `json:"values,omitempty"`
}

func newMetricFact(m app.Metric) fact {
	f := &metricFact{Event: "metric", Metric: m.Name, Type: m.Kind, Help: m.Help, Group: m.Group, Question: m.Question, Labels: []labelFact{}}
	for _, l := range m.Labels {
		f.Labels = append(f.Labels, labelFact(l))
	}
	return f
}

func (f *metricFact) text(out io.Writer) error {
	fmt.Fprintf(out, "%s: %s\n\ntype      %s\n", f.Metric, f.Help, f.Type)
	for _, l := range f.Labels {
		words := l.Meaning
		if len(l.Values) > 0 {
			words = "`" + strings.Join(l.Values, "`, `") + "`"
		}
		fmt.Fprintf(out, "label     %s\n", strings.TrimSuffix(l.Name+": "+words, ": "))
	}
	if f.Question == "" {
		_, err := fmt.Fprintln(out, "answers   what the Go runtime and the process do")
		return err
	}
	_, err := fmt.Fprintf(out, "answers   %s (%s)\n", f.Question, f.Group)
	return err
}

func (f *metricFact) row() string { return fmt.Sprintf("%s\t%s\t%s", f.Metric, f.Type, f.Help) }

// listFacts prints one line for each word, reasons and metrics apart.
func listFacts(out io.Writer, facts []fact) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REASON\tANSWER\tMEANING")
	var before fact
	for _, f := range facts {
		_, isMetric := f.(*metricFact)
		if _, was := before.(*reasonFact); was && isMetric {
			if err := w.Flush(); err != nil {
				return err
			}
			fmt.Fprintln(w, "\nMETRIC\tTYPE\tMEANING")
		}
		fmt.Fprintln(w, f.row())
		before = f
	}
	return w.Flush()
}
