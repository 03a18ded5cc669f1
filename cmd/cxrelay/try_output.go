package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/deliver"
	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/route"
)

// trialOutput tells what has become of a payload.
type trialOutput struct {
	cfg   *config.Config
	trial *app.Trial
	size  int    // of the payload, in bytes
	file  string // of the schema, if it came from one
}

// result is nil where the event would be answered 2xx.
func (o *trialOutput) result() error {
	v := o.trial.Verdict
	switch {
	case v.Reason.Class() == reason.Stop:
		return nil
	case v.Reason == reason.SchemaMismatch:
		return violates(len(v.Violations), o.trial.Schema)
	}
	return &exitError{code: exitFindings, err: fmt.Errorf("%s: %s", v.Reason, printable(o.why()))}
}

// why says of a refusal what its sender, and else what the log would be told.
func (o *trialOutput) why() string {
	v := o.trial.Verdict
	if v.Detail == "" && v.Cause != nil {
		return v.Cause.Error()
	}
	return cmp.Or(v.Detail, v.Reason.Meaning())
}

func (o *trialOutput) text(out io.Writer) error {
	v := o.trial.Verdict
	said := cmp.Or(v.Detail, v.Reason.Meaning())
	if v.Reason == reason.Accepted {
		said = "this would be produced"
	}
	lines := [][2]string{{fmt.Sprint(v.Reason.Status()), fmt.Sprintf("%s: %s", v.Reason, said)}, {"source", v.Source + " (the signature was not looked at)"}}
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, [2]string{name, value})
		}
	}
	add("type", v.Event.Type)
	add("contact", v.Event.Contact)
	add("event id", v.Event.ID)
	add("body", fmt.Sprintf("%d of at most %d bytes", o.size, int64(o.cfg.Limits.Body)))
	if v.Route != nil {
		add("route", v.Route.Pattern)
		add("topic", v.Route.Topic)
	}
	add("schema", o.schema())
	if r := o.trial.Record; r != nil {
		add("key", cmp.Or(string(r.Key), "none"))
		add("partition", placed(o.trial.Placement, r.Key))
		add("value", fmt.Sprintf("%s, %d bytes", o.wire(), len(r.Value)))
		for _, h := range r.Headers {
			add("header", h.Key+": "+string(h.Value))
		}
		add("header", deliver.HeaderOrigin+": set at delivery")
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%-10s %s\n", l[0], printable(l[1]))
	}
	_, err := io.WriteString(out, b.String())
	if err == nil && len(v.Violations) > 0 {
		_, err = io.WriteString(out, "\n")
	}
	return errors.Join(err, printViolations(out, v.Violations))
}

// schema names what judged the payload; "" where it did not come to that.
func (o *trialOutput) schema() string {
	switch s := o.trial.Schema; {
	case s == nil:
		return ""
	case s.Version > 0:
		return nameOf(s)
	case o.file != "":
		return o.file + " (a record also has the id of its schema in a header)"
	case o.cfg.Schema.Mode == config.RemoteAPI:
		return s.Subject + ", by the registry (schema.mode is remote)"
	default:
		return "none (schema.mode is off)"
	}
}

func (o *trialOutput) wire() string {
	if o.trial.Verdict.Route.Wire == route.Raw {
		return "the bytes of the body"
	}
	if o.trial.Schema.ID == 0 {
		return "00 and the id of the schema before the bytes of the body"
	}
	return fmt.Sprintf("00 and the schema id %d before the bytes of the body", o.trial.Schema.ID)
}

// placed says to which partition a key goes.
func placed(p app.Placement, key []byte) string {
	origin := "--partitions"
	if p.Pinned {
		origin = "kafka.partitions"
	}
	switch {
	case key == nil:
		return "any, for there is no key"
	case p.Partitions == 0:
		return "not known: the topic is not under kafka.partitions; --partitions N tells"
	default:
		return fmt.Sprintf("%d of %d (%s)", p.Partition, p.Partitions, origin)
	}
}

// The lines of --format json; violationLine comes before them.
type (
	trialLine struct {
		Event      string       `json:"event"`
		Reason     string       `json:"reason"`
		Status     int          `json:"status"`
		Class      string       `json:"class"`
		Detail     string       `json:"detail,omitempty"`
		Cause      string       `json:"cause,omitempty"` // for the log, not for the sender
		Source     string       `json:"source"`
		Type       string       `json:"type,omitempty"`
		Contact    *string      `json:"contact"` // null: none was found
		EventID    string       `json:"eventId,omitempty"`
		BodyBytes  int          `json:"bodyBytes"`
		BodyLimit  int64        `json:"bodyLimit"`
		Route      string       `json:"route,omitempty"`
		Topic      string       `json:"topic,omitempty"`
		Schema     string       `json:"schema,omitempty"`
		SchemaID   int          `json:"schemaId,omitempty"`
		Version    int          `json:"schemaVersion,omitempty"`
		Violations int          `json:"violations"`
		Record     *trialRecord `json:"record,omitempty"`
	}
	trialRecord struct {
		Key        *string       `json:"key"`       // null: a record without key
		Partition  *int32        `json:"partition"` // null: not known, or any
		Partitions int32         `json:"partitions,omitempty"`
		Pinned     bool          `json:"pinned"`
		Wire       string        `json:"wire"`
		ValueBytes int           `json:"valueBytes"`
		Headers    []trialHeader `json:"headers"`
	}
	trialHeader struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

func (o *trialOutput) json(out io.Writer) error {
	v := o.trial.Verdict
	var err error
	for _, violation := range v.Violations {
		err = errors.Join(err, printJSON(out, violationLine{"violation", violation}))
	}
	line := trialLine{
		Event: "verdict", Reason: v.Reason.String(), Status: v.Reason.Status(), Class: v.Reason.Class().String(), Detail: v.Detail,
		Source: v.Source, Type: v.Event.Type, EventID: v.Event.ID, BodyBytes: o.size, BodyLimit: int64(o.cfg.Limits.Body), Violations: len(v.Violations),
	}
	if v.Cause != nil && v.Detail == "" {
		line.Cause = v.Cause.Error()
	}
	if v.Event.HasContact {
		line.Contact = &v.Event.Contact
	}
	if v.Route != nil {
		line.Route, line.Topic = v.Route.Pattern, v.Route.Topic
	}
	if s := o.trial.Schema; s != nil {
		line.Schema, line.SchemaID, line.Version = s.Subject, s.ID, s.Version
	}
	if r := o.trial.Record; r != nil {
		line.Record = o.record(r)
	}
	return errors.Join(err, printJSON(out, line))
}

func (o *trialOutput) record(r *event.Record) *trialRecord {
	p := o.trial.Placement
	line := &trialRecord{Partitions: p.Partitions, Pinned: p.Pinned, Partition: known(p), Wire: o.trial.Verdict.Route.Wire.String(), ValueBytes: len(r.Value), Headers: []trialHeader{}}
	if r.Key != nil {
		key := string(r.Key)
		line.Key = &key
	}
	for _, h := range r.Headers {
		line.Headers = append(line.Headers, trialHeader{h.Key, string(h.Value)})
	}
	return line
}
