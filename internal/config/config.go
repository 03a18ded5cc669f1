// Package config is the configuration of cxrelay: its keys, defaults, layers
// and checks.
//
// Here belong what a user may write (YAML file, environment, flags), how the
// layers are merged, and every fault that can be seen without the network,
// reported all at once with its place and a remedy. Not here: what a value
// does (the room that takes it), and whether brokers, topics or a registry
// exist (the rooms that talk to them).
package config

import (
	"errors"
	"time"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// Config is a complete, checked configuration as Load returns it. It is safe
// for concurrent use as long as nobody changes it.
type Config struct {
	Instance string // for record headers, no slash; empty: InstanceOf the host name
	Listen   Listen
	Admin    Admin
	Sources  []Webhook     // at least one
	Routes   []route.Route // in order; Subject is filled in unless the row drops
	Schema   Schema
	Kafka    Kafka
	Limits   Limits
	Shutdown Shutdown

	read reading // where all this was read
}

// Listen is the webhook listener.
type Listen struct {
	Address string // host:port, the host may be empty
	Metrics bool   // serve /metrics here too
	TLS     ListenTLS
}

// ListenTLS makes the webhook listener speak TLS: with both CertFile and
// KeyFile or none of them. The PEM texts were read when the configuration was.
type ListenTLS struct {
	CertFile     string
	KeyFile      string
	ClientCAFile string // senders must show a certificate of these authorities

	Cert     []byte
	Key      Secret
	ClientCA []byte
}

// Admin is the admin listener.
type Admin struct {
	Address      string // host:port
	ReadyOnKafka bool   // not ready while Kafka is unreachable
	TokenFile    string // where Token was read, or empty
	Token        Secret // opens the whole listener off loopback
}

// Webhook is one source: a path with its signature and what is read from its
// events.
type Webhook struct {
	Name      string // metric label and record header
	Path      string // matched exactly
	Deadline  time.Duration
	Preset    string // the name that Scheme started from, or empty
	Scheme    signature.Scheme
	Secrets   []NamedSecret // at least one; none with PresetNone
	Event     event.Paths
	NoContact NoContact
	Insecure  bool // preset none without client certificates
}

// PresetNone is the preset of a source that proves nothing.
const PresetNone = "none"

// Verifier makes the verifier of source i. One that accepts everything is
// made only for preset none, and only where the source is insecure on purpose
// or senders show a certificate.
func (c *Config) Verifier(i int) (*signature.Verifier, error) {
	w := &c.Sources[i]
	if w.Preset != PresetNone {
		return signature.NewVerifier(w.Scheme, w.Keys())
	}
	if !w.Insecure && len(c.Listen.TLS.ClientCA) == 0 {
		return nil, errors.New("preset none needs listen.tls.client_ca_file, or insecure: true")
	}
	return signature.Unverified(), nil
}

// NamedSecret is one key of a source.
type NamedSecret struct {
	ID    string // metric label
	Value Secret
	File  string // where Value was read, or empty

	StandIn bool // Value was made up by Trial.Secret
}

// Keys returns the secrets in the form that package signature takes. The
// values are shared, not copied.
func (w *Webhook) Keys() []signature.Secret {
	keys := make([]signature.Secret, len(w.Secrets))
	for i, s := range w.Secrets {
		keys[i] = signature.Secret{ID: s.ID, Value: s.Value.Bytes()}
	}
	return keys
}

// Schema is how payloads are validated.
type Schema struct {
	Mode        SchemaMode
	Registry    Registry
	Subject     string        // of every route that names none
	Version     int           // of Subject, for routes that name none; 0: the latest
	MaxAge      time.Duration // a schema that nobody confirmed for longer is not used; 0: no limit
	SnapshotDir string        // of the schemas on disk; empty: none
	Shadow      float64       // the share of checks, from 0 to 1, that a second engine repeats
	Remote      Remote
}

// SchemaMode is who validates.
type SchemaMode uint8

// The modes.
const (
	Local     SchemaMode = iota // this relay, with the schemas of the registry
	RemoteAPI                   // the registry, through a call that few have
	Off                         // nobody
)

// Remote is how the registry is asked in mode remote.
type Remote struct {
	Attempts int
	Backoff  time.Duration // before the second attempt, doubled before each further one
	Timeout  time.Duration // of one attempt
}

// Registry is where schemas come from. Either Username and Password, or
// Token, or none of them are set.
type Registry struct {
	URLs         []string // http or https, at least one, without credentials
	Username     string
	Password     Secret
	PasswordFile string // where Password was read, or empty
	Token        Secret
	TokenFile    string // where Token was read, or empty
}

// Kafka is how the cluster is reached and how keys become partitions.
type Kafka struct {
	Brokers     []string // host:port, at least one
	SASL        SASL
	TLS         ClientTLS
	Partitioner Partitioner
	Partitions  map[string]int32 // pinned counts by topic; may be nil
	Strict      bool             // what the inspection at the start warns of refuses the start
}

// Limits are the relay-wide bounds.
type Limits struct {
	Body            Size          // of one request; at most half of InFlightBytes
	InFlightBytes   Size          // of memory, of all events in flight
	InFlightRecords int           // produced and not acknowledged
	OldestUnacked   time.Duration // from here on Kafka counts as unavailable
	Connections     int           // on the webhook listener
}

// Shutdown is what happens between the signal and the exit.
type Shutdown struct {
	Delay   time.Duration // not ready, but serving
	Timeout time.Duration // for all the rest
}

// defaults are the values of every key that no layer sets. A file, even an
// empty one, turns listen.metrics off: without one the relay behaves as its
// founding document says.
func defaults(hasFile bool) *Config {
	return &Config{
		Listen: Listen{Address: ":8080", Metrics: !hasFile},
		Admin:  Admin{Address: "127.0.0.1:9640", ReadyOnKafka: true},
		Routes: []route.Route{
			{Pattern: "INTERACTION_CREATED", Topic: "cxone.interactions.raw"},
			{Pattern: "DISPOSITION_UPDATED", Topic: "cxone.dispositions.raw"},
			{Pattern: "QUEUE_TRANSFER", Topic: "cxone.transfers.raw"},
			{Pattern: "CALL_DISCONNECTED", Topic: "cxone.calls.terminated"},
		},
		Schema: Schema{
			Subject: "cxone-data-action-v1",
			Remote:  Remote{Attempts: 3, Backoff: time.Second, Timeout: 5 * time.Second},
		},
		Limits: Limits{
			Body:            960 * kib, // what Kafka's own default lets through with key and headers
			InFlightBytes:   64 * mib,
			InFlightRecords: 50_000,
			OldestUnacked:   10 * time.Second,
			Connections:     10_000,
		},
		Shutdown: Shutdown{Timeout: 25 * time.Second},
	}
}

// newWebhook is a source of which only the defaults are known.
func newWebhook() Webhook { return Webhook{Path: "/cxone/webhook", Deadline: 2 * time.Second} }

// builtinSource is the source of a configuration without sources; its secret
// comes from the environment.
func builtinSource() Webhook {
	w := newWebhook()
	w.Name, w.Preset = "cxone", "cxone"
	w.Scheme, _ = signature.Preset("cxone")
	return w
}
