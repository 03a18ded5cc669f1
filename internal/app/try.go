package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// TryOptions say what Try tries.
type TryOptions struct {
	Config  *config.Config
	Source  string // name of one of the configuration's
	Payload []byte

	// Schemas are asked for the schema of the payload's route, and may take
	// their time. An error of theirs ends Try. nil: the registry of the
	// configuration is asked, as schema.mode says.
	Schemas gateway.Schemas

	Partitions int32 // of topics that the configuration does not pin; 0: not known
	Build      Build
	Network    Network
}

// Trial is what would have become of a payload.
type Trial struct {
	Verdict *gateway.Verdict
	Schema  *schema.Schema // that judged it; nil: it did not come to that

	// Record is what Kafka would have been given; nil unless accepted. Its
	// bytes are its own, and the header of the origin is missing.
	Record    *event.Record
	Placement Placement // of Record
}

// ErrRegistryAway means that the schema registry gave no answer by which a
// payload could be judged.
var ErrRegistryAway = errors.New("no answer from the schema registry")

// Try brings a payload through the path of an event, up to where its record
// would be produced. The gateway that decides is the relay's own; only the
// signature is not looked at, so that no secret is needed, and what stands in the place of Kafka keeps the
// record. Nothing is written anywhere.
//
// The error is no verdict: the source is unknown, a schema could not be had
// (ErrRegistryAway, or an error of Schemas).
func Try(ctx context.Context, o TryOptions) (*Trial, error) {
	rules, err := rulesWith(o.Config, func(int) (*signature.Verifier, error) { return signature.Unverified(), nil })
	if err != nil {
		return nil, err
	}
	src := sourceOf(rules, o.Source)
	if src == nil {
		return nil, fmt.Errorf("no source is called %q", o.Source)
	}
	ask := &asking{next: o.Schemas}
	if ask.next == nil {
		schemas, end, err := schemasToAsk(ctx, o)
		if err != nil {
			return nil, err
		}
		defer end()
		ask.next = schemas
	}
	rules.Schemas = ask
	keep := &keeper{}
	g, err := gateway.New(gateway.Options{
		Rules: rules, Sink: keep, Ledger: gateway.NewLedger(),
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	t := &Trial{Verdict: arrive(g, src, o)}
	switch {
	case ask.err != nil:
		return nil, ask.err
	case o.Schemas == nil && o.Config.Schema.Mode == config.RemoteAPI && t.Verdict.Reason == reason.SchemaUnavailable:
		return nil, fmt.Errorf("%w: %w", ErrRegistryAway, t.Verdict.Cause)
	}
	t.Schema, t.Record = ask.given, keep.record
	if t.Record != nil {
		t.Placement = Place(o.Config, t.Record.Topic, t.Record.Key, o.Partitions)
	}
	return t, nil
}

// arrive has the gateway decide about the payload as the listener does.
func arrive(g *gateway.Gateway, src *gateway.Source, o TryOptions) *gateway.Verdict {
	now := time.Now()
	d := &gateway.Delivery{Path: src.Path, Header: http.Header{}.Values, ReceivedAt: now, ReadAt: now}
	g.Begin(d)
	if limit := int64(o.Config.Limits.Body); int64(len(o.Payload)) > limit {
		return g.Refuse(d, gateway.OverBodyLimit(limit))
	}
	d.Body = gateway.NewBodies(gateway.NewBudget(int64(o.Config.Limits.InFlightBytes)), false).Get(int64(len(o.Payload)))
	for rest := o.Payload; len(rest) > 0; {
		n := copy(d.Body.Spare(), rest)
		if err := d.Body.Advance(n); err != nil {
			return g.Refuse(d, err)
		}
		rest = rest[n:]
	}
	return g.Accept(d)
}

// keeper is a gateway.Sink that keeps a copy of the record.
type keeper struct{ record *event.Record }

// Deliver implements gateway.Sink.
func (k *keeper) Deliver(rec *event.Record, _ time.Time) (event.Receipt, error) {
	kept := *rec
	kept.Key, kept.Value, kept.Headers, kept.Release = bytes.Clone(rec.Key), bytes.Clone(rec.Value), slices.Clone(rec.Headers), nil
	k.record = &kept
	rec.Release()
	return event.Receipt{Outcome: event.NotProduced, Topic: rec.Topic, Partition: -1, Offset: -1}, nil
}

// asking remembers the schema that it was given, and an error that is no
// verdict.
type asking struct {
	next  gateway.Schemas
	given *schema.Schema
	err   error
}

// Lookup implements gateway.Schemas.
func (a *asking) Lookup(subject string, version int) (s *schema.Schema, err error) {
	s, err = a.next.Lookup(subject, version)
	if err != nil && !errors.Is(err, schema.ErrUnavailable) {
		a.err = err
	}
	a.given = s
	return s, err
}

// askedRegistry asks the registry of a configuration, and keeps nothing.
type askedRegistry struct {
	ctx    context.Context
	client *schema.Client
}

// Lookup implements gateway.Schemas. The error wraps schema.ErrUnavailable
// where a relay would have no schema, whoever asks again, else ErrRegistryAway.
func (r *askedRegistry) Lookup(subject string, version int) (*schema.Schema, error) {
	state, usable, finding := checkSubject(r.ctx, r.client, schema.Pin{Subject: subject, Version: version})
	switch {
	case usable != nil: // a finding then is a warning
		return usable, nil
	case finding != nil:
		return nil, fmt.Errorf("%w: %s; %s", schema.ErrUnavailable, finding.Message, finding.Remedy)
	default:
		return nil, fmt.Errorf("%w: %w", ErrRegistryAway, state.Err)
	}
}

// schemasToAsk returns what schema.mode says, and what closes it.
func schemasToAsk(ctx context.Context, o TryOptions) (gateway.Schemas, func(), error) {
	log := slog.New(slog.DiscardHandler)
	if o.Config.Schema.Mode != config.Local {
		client, cache, err := newSchemas(Options{Config: o.Config, Build: o.Build, Log: log, Network: o.Network}, nil, nil, nil, false)
		if err != nil {
			return nil, nil, err
		}
		return cache, (&schemaSet{client, cache}).close, nil
	}
	opts := registryOptions(o.Config, o.Build, log)
	opts.Transport = o.Network.Registry
	client, err := schema.NewClient(opts)
	if err != nil {
		return nil, nil, fmt.Errorf("schema registry: %w", err)
	}
	return &askedRegistry{ctx, client}, client.Close, nil
}

// Placement says to which partition a key goes.
type Placement struct {
	Partition  int32 // -1: not known, or any for a record without key
	Partitions int32 // that keys are spread over; 0: not known
	Pinned     bool  // by the configuration
}

// Place says where a relay with this configuration puts a key of a topic.
// partitions is the count of a topic that is not pinned, 0 where it is not
// known.
func Place(cfg *config.Config, topic string, key []byte, partitions int32) Placement {
	p := Placement{Partition: -1, Partitions: partitions}
	if n := cfg.Kafka.Partitions[topic]; n > 0 {
		p.Partitions, p.Pinned = n, true
	}
	if key != nil && p.Partitions > 0 {
		p.Partition = partitioners[cfg.Kafka.Partitioner].Partition(key, p.Partitions)
	}
	return p
}
