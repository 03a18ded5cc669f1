package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/route"
)

// keyFlags are the flags of `cxrelay key`.
type keyFlags struct {
	config     *configFlag
	partitions partitionsFlag
	topic      string
	format     *format
}

// newKeyCommand is `cxrelay key`: where are the events of a contact?
func newKeyCommand() *cobra.Command {
	var f keyFlags
	cmd := &cobra.Command{
		Use:   "key CONTACT...",
		Short: "Say under which key and in which partition a contact's events are",
		Long: `Print for each contact and each topic of the routes the key of the records, the
partition, and a kcat line that reads the records with this key. Nothing is
contacted, and no secret of the configuration need be on this machine.

A contact is taken as it is given, blanks included; "-" reads one from each line
of standard input. The partition is known of topics that the configuration pins
(kafka.partitions), of others with --partitions.
` + withoutConfig + `
Exit codes: 0 printed, 78 the configuration cannot be used.`,
		Example: "  cxrelay key c-1001 --config cxrelay.yaml\n  cxrelay key c-1001 --topic cxone.transfers.raw --partitions 8",
		Args:    positional(cobra.MinimumNArgs(1)),
	}
	f.partitions.register(cmd)
	cmd.Flags().StringVar(&f.topic, "topic", "", "this `topic` alone (default: all of the routes)")
	f.config = addConfigFlag(cmd)
	f.format = formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		contacts, err := contactsOf(cmd, args)
		if err != nil {
			return err
		}
		cfg, err := f.config.loadOrDev("schema.registry")
		if err != nil {
			return err
		}
		rules, err := f.rules(cmd, cfg)
		if err != nil {
			return err
		}
		f.doubt(cmd.ErrOrStderr(), cfg, rules)
		return f.print(cmd.OutOrStdout(), cfg, rules, contacts)
	}
	return cmd
}

// contactsOf reads the contacts, and refuses those that no event can have.
func contactsOf(cmd *cobra.Command, args []string) ([]string, error) {
	var all []string
	for _, arg := range args {
		if arg != "-" {
			all = append(all, arg)
			continue
		}
		lines := bufio.NewScanner(cmd.InOrStdin())
		lines.Split(scanLines)
		for lines.Scan() {
			if strings.HasSuffix(lines.Text(), "\r") {
				fmt.Fprintf(cmd.ErrOrStderr(), "cxrelay: the carriage return at the end of %q is taken as a part of the contact\n", lines.Text())
			}
			all = append(all, lines.Text())
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
	}
	if len(all) == 0 {
		return nil, usageError("there is no contact on standard input")
	}
	for _, c := range all {
		switch {
		case strings.TrimSpace(c) == "":
			return nil, usageError("%q is no contact: an event with it counts as one without", c)
		case !utf8.ValidString(c):
			return nil, usageError("%q is no contact: it is not UTF-8", c)
		}
	}
	return all, nil
}

// scanLines is bufio.ScanLines, but for a carriage return, which it keeps.
func scanLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if line, _, found := strings.Cut(string(data), "\n"); found {
		return len(line) + 1, data[:len(line)], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// keyRule is what the routes to one topic make keys by.
type keyRule struct {
	topic string
	rule  route.Key
	types []string // patterns of these routes
}

// rules are those of the routes that deliver, each once.
func (f *keyFlags) rules(cmd *cobra.Command, cfg *config.Config) ([]*keyRule, error) {
	var all []*keyRule
	for _, r := range cfg.Routes {
		if r.Drop || cmd.Flags().Changed("topic") && r.Topic != f.topic {
			continue
		}
		i := slices.IndexFunc(all, func(k *keyRule) bool { return k.topic == r.Topic && k.rule == r.Key })
		if i < 0 {
			i, all = len(all), append(all, &keyRule{topic: r.Topic, rule: r.Key})
		}
		all[i].types = append(all[i].types, r.Pattern)
	}
	switch {
	case len(all) > 0:
		return all, nil
	case cmd.Flags().Changed("topic"):
		return nil, usageError("--topic %q: no route leads there (known: %s)", f.topic, strings.Join(topicNames(cfg), ", "))
	}
	return nil, errors.New("no route of the configuration leads to a topic")
}

// topicNames are the topics of the routes, each once.
func topicNames(cfg *config.Config) []string {
	var names []string
	for _, r := range cfg.Routes {
		if !r.Drop && !slices.Contains(names, r.Topic) {
			names = append(names, r.Topic)
		}
	}
	return names
}

// doubt says what the output cannot.
func (f *keyFlags) doubt(stderr io.Writer, cfg *config.Config, rules []*keyRule) {
	for _, k := range rules {
		f.partitions.doubt(stderr, cfg, k.topic)
	}
	if s := cfg.Kafka.Security(); s != "PLAINTEXT" {
		fmt.Fprintf(stderr, "cxrelay: the brokers want %s: give kcat its -X options, or a file with them by -F\n", s)
	}
}

// contactLine is one line of --format json.
type contactLine struct {
	Event      string   `json:"event"`
	Contact    string   `json:"contact"`
	Topic      string   `json:"topic"`
	Types      []string `json:"types"`
	Rule       string   `json:"rule"`
	Key        string   `json:"key"`
	Partition  *int32   `json:"partition"` // null: not known
	Partitions int32    `json:"partitions,omitempty"`
	Pinned     bool     `json:"pinned"`
	Kcat       string   `json:"kcat"`
}

func (f *keyFlags) print(out io.Writer, cfg *config.Config, rules []*keyRule, contacts []string) error {
	for i, contact := range contacts {
		for j, k := range rules {
			key := gateway.AppendKey(nil, k.rule, contact)
			p := app.Place(cfg, k.topic, key, int32(f.partitions))
			line := contactLine{
				Event: "key", Contact: contact, Topic: k.topic, Types: k.types, Rule: k.rule.String(), Key: string(key),
				Partition: known(p), Partitions: p.Partitions, Pinned: p.Pinned, Kcat: kcatLine(cfg, k.topic, p, string(key)),
			}
			var err error
			if *f.format == formatJSON {
				err = printJSON(out, line)
			} else {
				err = line.text(out, placed(p, key), i+j > 0)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *contactLine) text(out io.Writer, partition string, apart bool) error {
	gap := ""
	if apart {
		gap = "\n"
	}
	_, err := fmt.Fprintf(out, "%scontact    %s\ntopic      %s (%s)\nkey        %s\npartition  %s\n%s\n",
		gap, printable(l.Contact), l.Topic, printable(strings.Join(l.Types, ", ")), printable(l.Key), partition, l.Kcat)
	return err
}

// known is the partition, or nil where it is not.
func known(p app.Placement) *int32 {
	if p.Partition < 0 {
		return nil
	}
	return &p.Partition
}

// kcatLine is a command for a POSIX shell that prints the records with a key.
func kcatLine(cfg *config.Config, topic string, p app.Placement, key string) string {
	words := []string{"kcat", "-b", strings.Join(cfg.Kafka.Brokers, ","), "-C", "-e", "-q", "-J", "-t", topic}
	if p.Partition >= 0 {
		words = append(words, "-p", strconv.Itoa(int(p.Partition)))
	}
	words = append(words, "-o", "beginning")
	for i, w := range words {
		words[i] = shellWord(w)
	}
	return strings.Join(words, " ") + " | " + keyFilter(key)
}

// keyFilter keeps the lines of kcat -J that have a key. A key that JSON could
// write in more than one way needs a program that reads JSON.
func keyFilter(key string) string {
	plain := func(r rune) bool { return r >= ' ' && r < 0x7F && !strings.ContainsRune(`"\/<>&`, r) }
	if strings.IndexFunc(key, func(r rune) bool { return !plain(r) }) < 0 {
		return "grep -F " + shellQuote(`"key":"`+key+`"`)
	}
	text, _ := json.Marshal(key) // of a string: no error
	return "jq -c " + shellQuote("select(.key == "+string(text)+")")
}

// partitionsFlag is --partitions; 0: not given.
type partitionsFlag int32

func (p *partitionsFlag) register(cmd *cobra.Command) {
	cmd.Flags().Var(p, "partitions", "of topics that kafka.partitions does not pin")
}

func (p *partitionsFlag) String() string { return strconv.Itoa(int(*p)) }
func (p *partitionsFlag) Type() string   { return "int" }

func (p *partitionsFlag) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 {
		return errors.New("want a whole number from 1")
	}
	*p = partitionsFlag(n)
	return nil
}

// doubt says that the flag does not hold for a topic.
func (p *partitionsFlag) doubt(stderr io.Writer, cfg *config.Config, topic string) {
	if n := cfg.Kafka.Partitions[topic]; n > 0 && *p > 0 && n != int32(*p) {
		fmt.Fprintf(stderr, "cxrelay: kafka.partitions pins %s to %d, so --partitions %d is not used for it\n", topic, n, *p)
	}
}
