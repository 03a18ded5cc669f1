package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/signature"
)

type sendFlags struct {
	url, secret      string
	preset, header   string
	count            int
	rate             float64
	connections      int
	contact          string
	contacts         int
	set              []string
	file             string
	badSignature     bool
	duplicate, retry bool
	timeout          time.Duration
	expect           int
	seed             uint64
	quiet            bool
	format           *format
}

func newSendCommand() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send [TYPE...]",
		Short: "Send signed sample events and print the answers",
		Long: `Send posts signed sample events and prints one line per answer: status, reason,
type, contact, event id, milliseconds, and what the relay found fault with. A
summary follows. Types are INTERACTION_CREATED, QUEUE_TRANSFER,
CALL_DISCONNECTED and DISPOSITION_UPDATED; all four when none is named.

The events of one contact go over one connection, in order, each one after the
answer to the one before. With --retry, an answer 429 or 5xx, or none at all,
is tried again after 500 ms, 1 s, 2 s ... up to 10 s (less up to half of it at
random), not before Retry-After, until --timeout has passed.

The signature is that of a source with the same --preset: bearer, basic and
token send the secret itself, token in the header that --header names. The
secret is --secret, else the variable ` + secretEnv + `, else the
one that "cxrelay dev" uses.

In --set a.0.b=1, a name inside an array is an index from 0; one more than the
last appends. Nothing else than a member or an element is ever replaced: a way
through a string or a number is refused, as is an index that a sample lacks.

Exit code: 0 when every event's last answer was 2xx (or, with --expect, that
code), 1 when not, 69 when nothing answered at all.`,
		Example: `  cxrelay send
  cxrelay send CALL_DISCONNECTED --count 1000 --connections 8 --rate 200 --quiet
  cxrelay send --set agentId=0 --expect 422
  cxrelay send --file event.json --set 'customer.name=Zoë'
  cxrelay send --preset token --header X-Token --secret t0ken --count 100`,
		Args: cobra.ArbitraryArgs,
	}
	f.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(cmd, args); err != nil {
			return err
		}
		traffic, err := f.traffic(cmd, args)
		if err != nil {
			return err
		}
		return f.send(cmd, traffic)
	}
	return cmd
}

func (f *sendFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", defaultURL, "where to send to")
	flags.StringVar(&f.secret, "secret", "", "signing secret (default: see above)")
	flags.StringVar(&f.preset, "preset", "cxone", "signature scheme: "+strings.Join(signature.PresetNames(), ", "))
	flags.StringVar(&f.header, "header", "", "header of --preset token")
	flags.Var((*whole)(&f.count), "count", "number of events (default: one of each type, or the file once)")
	flags.Float64Var(&f.rate, "rate", 0, "events per second; 0 is as fast as the answers come")
	f.connections = 1
	flags.Var((*whole)(&f.connections), "connections", "connections, each with one event at a time")
	flags.StringVar(&f.contact, "contact", "", "contact id of every event")
	flags.Var((*whole)(&f.contacts), "contacts", "number of contacts that share the events (default: a new one for each life)")
	flags.StringArrayVar(&f.set, "set", nil, "set a value, as in a.b=1 or tags.0=x; JSON if it is JSON, else a string; repeatable")
	flags.StringVar(&f.file, "file", "", "send this file (- is standard input) byte for byte; --set encodes the changed members anew")
	flags.BoolVar(&f.badSignature, "bad-signature", false, "sign other bytes than those sent")
	flags.BoolVar(&f.duplicate, "duplicate", false, "send every event twice")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "for one event, retries included")
	flags.BoolVar(&f.retry, "retry", false, "try again after 429, 5xx and transport errors")
	flags.Var((*whole)(&f.expect), "expect", "the status that every event must get in the end")
	flags.Uint64Var(&f.seed, "seed", 0, "same seed, same events, times included (default: random, beginning now)")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print the summary only")
	f.format = formatFlag(cmd)
}

// check finds combinations and values that mean nothing.
func (f *sendFlags) check(cmd *cobra.Command, types []string) error {
	changed := cmd.Flags().Changed
	switch {
	case changed("count") && f.count < 1:
		return usageError("--count %d: want at least 1", f.count)
	case f.connections < 1:
		return usageError("--connections %d: want at least 1", f.connections)
	case changed("contacts") && f.contacts < 1:
		return usageError("--contacts %d: want at least 1", f.contacts)
	case !(f.rate >= 0) || math.IsInf(f.rate, 0): // or not a number
		return usageError("--rate %v: want 0 or more", f.rate)
	case f.timeout <= 0:
		return usageError("--timeout %v: want more than 0", f.timeout)
	case changed("expect") && (f.expect < 200 || f.expect > 599):
		return usageError("--expect %d: want a status from 200 to 599", f.expect)
	case changed("contact") && f.contacts > 0:
		return usageError("--contact and --contacts exclude each other")
	case changed("file") && (len(types) > 0 || changed("contact") || f.contacts > 0):
		return usageError("--file takes no types and no contacts; --set contactId=... changes the file's")
	}
	return nil
}

func (f *sendFlags) traffic(cmd *cobra.Command, types []string) (*devkit.Traffic, error) {
	o := devkit.TrafficOptions{Types: types, Contacts: f.contacts, Seed: f.seed}
	if cmd.Flags().Changed("contact") {
		o.Contact = &f.contact // which may be empty
	}
	if !cmd.Flags().Changed("seed") {
		o.Seed, o.Start = rand.Uint64(), time.Now()
	}
	for _, s := range f.set {
		set, err := devkit.ParseOverride(s)
		if err != nil {
			return nil, usageError("--set: %w", err)
		}
		o.Set = append(o.Set, set)
	}
	if cmd.Flags().Changed("file") {
		var err error
		if o.Body, err = readInput(cmd.InOrStdin(), f.file); err != nil {
			return nil, err
		}
	}
	traffic, err := devkit.NewTraffic(o)
	if err != nil {
		return nil, usageError("%w", err)
	}
	if f.count == 0 {
		f.count = defaultCount(f.file, types)
	}
	return traffic, nil
}

func defaultCount(file string, types []string) int {
	switch {
	case file != "":
		return 1
	case len(types) > 0:
		return len(types)
	default:
		return len(devkit.EventTypes())
	}
}

// signer signs as a source with the preset expects it.
func (f *sendFlags) signer(cmd *cobra.Command) (devkit.Signer, error) {
	scheme, ok := signature.Preset(f.preset)
	switch headless := ok && scheme.Header == ""; {
	case !ok:
		return nil, usageError("unknown preset %q (known: %s)", f.preset, strings.Join(signature.PresetNames(), ", "))
	case headless && f.header == "":
		return nil, usageError("--preset %s needs --header, the header that carries the secret", f.preset)
	case headless:
		scheme.Header = f.header
	case cmd.Flags().Changed("header"):
		return nil, usageError("--header: preset %s has its own, %s", f.preset, scheme.Header)
	}
	if scheme.Algorithm == signature.Static && f.badSignature {
		return nil, usageError("--bad-signature: preset %s signs nothing; give a wrong --secret instead", f.preset)
	}
	secret, err := secretOf(cmd, f.secret)
	if err != nil {
		return nil, err
	}
	sign, err := devkit.NewSigner(scheme, secret)
	if err != nil {
		return nil, usageError("--preset %s: %w", f.preset, err)
	}
	return sign, nil
}

func (f *sendFlags) send(cmd *cobra.Command, traffic *devkit.Traffic) error {
	sign, err := f.signer(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	out := newSendOutput(cmd, *f.format, f.quiet, f.timeout)
	v := verdict{expect: f.expect}
	sender, err := devkit.NewSender(devkit.SenderOptions{
		URL:          f.url,
		Sign:         sign,
		Connections:  f.connections,
		Rate:         f.rate,
		Timeout:      f.timeout,
		Retry:        f.retry,
		Duplicate:    f.duplicate,
		BadSignature: f.badSignature,
		OnAnswer: func(a devkit.Answer) {
			v.add(a)
			out.answer(a)
			if v.hopeless() || out.err != nil {
				cancel()
			}
		},
	})
	if err != nil {
		return usageError("%w", err)
	}
	sum := f.complete(sender.Run(ctx, traffic.Events(f.count)))
	out.summary(sum)
	if out.err != nil {
		return fmt.Errorf("standard output: %w", out.err)
	}
	return v.result(cmd.Context(), f.url, sum)
}

// complete counts events that were never tried as unfinished.
func (f *sendFlags) complete(sum devkit.Summary) devkit.Summary {
	planned := f.count
	if f.duplicate {
		planned *= 2
	}
	sum.Unfinished += planned - sum.Deliveries
	sum.Deliveries = planned
	return sum
}

// verdict decides on the exit code.
type verdict struct {
	expect int // 0: any 2xx

	answers     int
	wrong       int // final answers other than expected, and events without one
	unreachable int // final
	lastErr     error
}

func (v *verdict) add(a devkit.Answer) {
	if a.Err != nil {
		v.lastErr = a.Err
	} else {
		v.answers++
	}
	if !a.Final {
		return
	}
	if a.Unreachable() {
		v.unreachable++
	}
	ok := a.Err == nil && a.Status/100 == 2
	if v.expect != 0 {
		ok = a.Status == v.expect
	}
	if !ok {
		v.wrong++
	}
}

// hopeless tells that nobody listens at the target, so that the remaining
// events need not be tried.
func (v *verdict) hopeless() bool { return v.answers == 0 && v.unreachable > 0 }

func (v *verdict) result(ctx context.Context, url string, sum devkit.Summary) error {
	want := "2xx"
	if v.expect != 0 {
		want = fmt.Sprint(v.expect)
	}
	switch {
	case v.answers == 0 && v.lastErr != nil:
		return &exitError{code: exitUnavailable, err: explainSilence(url, v.lastErr)}
	case ctx.Err() != nil:
		return errors.New("interrupted before every event was answered")
	case v.wrong > 0 || sum.Unfinished > 0:
		return fmt.Errorf("%d of %s did not end with %s%s", v.wrong+sum.Unfinished, counted(sum.Deliveries, "event"), want, remedyOf(sum))
	}
	return nil
}

// remedyOf names the help for the refusal that came most often.
func remedyOf(sum devkit.Summary) string {
	most := ""
	for _, word := range slices.Sorted(maps.Keys(sum.Reasons)) {
		if r, known := reason.Parse(word); known && r != reason.Accepted && sum.Reasons[word] > sum.Reasons[most] {
			most = word
		}
	}
	if most == "" {
		return ""
	}
	return "; cxrelay explain " + most + " says what to do"
}

// explainSilence says why nothing was answered.
func explainSilence(url string, err error) error {
	switch {
	case (devkit.Answer{Err: err}).Unreachable():
		return fmt.Errorf("no answer from %s: %w (is `cxrelay dev` running? --url gives another address)", url, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", url, err) // "no answer within ..."
	default:
		return fmt.Errorf("no answer from %s: %w", url, err)
	}
}

// whole is the value of a flag that takes a whole number.
type whole int

func (w *whole) String() string { return strconv.Itoa(int(*w)) }
func (w *whole) Type() string   { return "int" }

func (w *whole) Set(s string) error {
	n, err := strconv.ParseInt(s, 0, strconv.IntSize)
	if err != nil {
		return errors.New("want a whole number")
	}
	*w = whole(n)
	return nil
}
