// Package app wires the rooms of cxrelay together, runs them and stops them.
//
// New builds everything in one straight function; Run serves until its
// context ends and then stops in order. Nothing but the command imports it.
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cxrelay/cxrelay/internal/admin"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/deliver"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/httpd"
	"github.com/cxrelay/cxrelay/internal/kafka"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// Options are what New needs.
type Options struct {
	Config    *config.Config
	Build     Build
	Log       *slog.Logger
	Level     *slog.LevelVar         // behind Log; the admin listener changes it
	OnVerdict func(*gateway.Verdict) // may be nil; must not block

	// Network is how the world is reached. The zero value is the real one;
	// tests put a virtual network here.
	Network Network

	// Source is where Config was read, and will be at a reload; nil: it never is.
	Source *Source
	// Hangup asks for a reload; may be nil.
	Hangup <-chan os.Signal
	// Prepare readies what a configuration needs outside the relay, before a
	// reload looks for it: for a broker of our own. Nil: nothing.
	Prepare func(context.Context, *config.Config) error
	// OnReload is told of each configuration that a reload took over; may be
	// nil; must not block.
	OnReload func(*config.Config)
	// SkipInspection leaves the look at the cluster at the start out: for a
	// broker of our own.
	SkipInspection bool

	// PoisonBodies overwrites a body's buffer when it is given back, so that
	// a use after that shows. For tests.
	PoisonBodies bool

	// mutateFastPath makes the fast path of every schema that of another one.
	// For tests of who watches it.
	mutateFastPath func(schema.Definition) schema.Definition
}

// Network is how the relay reaches the world; a nil field means TCP.
type Network struct {
	Listen    func(network, address string) (net.Listener, error)
	DialKafka func(ctx context.Context, network, host string) (net.Conn, error)
	Registry  http.RoundTripper
}

// Build says which program this is.
type Build struct{ Version, Commit, Go string }

// App is the running relay.
type App struct {
	opts     Options
	log      *slog.Logger
	instance string
	started  time.Time

	config    atomic.Pointer[config.Config] // the running one; opts.Config was the first
	reloader  *reloader
	metrics   *prometheus.Registry
	ledger    *gateway.Ledger
	budget    *gateway.Budget
	schemas   *schemas
	shadow    *shadow
	tls       *httpd.TLS // nil: plain HTTP
	kafka     *kafka.Client
	deliverer *deliver.Deliverer
	gateway   *gateway.Gateway
	webhook   *httpd.Server
	admin     *admin.Server
	ready     *readiness

	inspection *inspection
}

// New builds the relay and binds its listeners. It does not wait for Kafka or
// the registry. The caller runs Run exactly once, which closes everything.
func New(o Options) (_ *App, err error) {
	cfg := o.Config
	var undo []func()
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				undo[i]()
			}
		}
	}()

	a := &App{opts: o, log: o.Log, started: time.Now(), metrics: newRegistry(o.Build)}
	if a.instance, err = instanceName(cfg.Instance); err != nil {
		return nil, err
	}
	a.config.Store(cfg)
	rules, err := newRules(cfg)
	if err != nil {
		return nil, err
	}

	if a.shadow, err = newShadow(&o, a.metrics); err != nil {
		return nil, err
	}
	client, cache, err := newSchemas(o, a.metrics, a.shadow, nil, false)
	if err != nil {
		return nil, err
	}
	a.schemas = newSchemaRunner(&schemaSet{client, cache})
	undo = append(undo, a.schemas.close)
	rules.Schemas = cache

	topics := topicsOf(cfg.Routes)
	a.kafka, err = kafka.New(kafkaOptions(cfg, "cxrelay-"+a.instance, o.Log, o.Network))
	if err != nil {
		return nil, err
	}
	undo = append(undo, a.kafka.Close)

	a.ledger = gateway.NewLedger()
	a.budget = gateway.NewBudget(int64(cfg.Limits.InFlightBytes))
	a.deliverer, err = deliver.New(deliver.Options{
		Producer: a.kafka, Books: a.ledger, Topics: topics, Pins: cfg.Kafka.Partitions,
		Partitioner: partitioners[cfg.Kafka.Partitioner],
		Limits:      deliverLimits(cfg),
		Origin:      a.instance + "/" + startID(), Bootstrap: cfg.Kafka.Brokers[0], Log: o.Log, Registerer: a.metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	a.gateway, err = gateway.New(gateway.Options{
		Rules: rules, Sink: a.deliverer, Ledger: a.ledger,
		Log: o.Log, Registerer: a.metrics, OnVerdict: o.OnVerdict,
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	a.ready, a.inspection = newReadiness(a), newInspection(a)
	a.reloader = newReloader(a, rules)
	if err = a.registerOwn(); err != nil {
		return nil, err
	}

	listener, err := o.Network.listen("listen.address", cfg.Listen.Address)
	if err != nil {
		return nil, err
	}
	undo = append(undo, func() { _ = listener.Close() })
	secure, err := listenTLS(&cfg.Listen.TLS)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		a.tls = httpd.NewTLS(secure)
	}
	exposed := promhttp.HandlerFor(a.metrics, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelError)})
	var public http.Handler
	if cfg.Listen.Metrics {
		public = exposed
	}
	a.webhook, err = httpd.New(httpd.Options{
		Gateway: a.gateway, Bodies: gateway.NewBodies(a.budget, o.PoisonBodies), Listener: listener, TLS: a.tls,
		Metrics: public, BodyLimit: int64(cfg.Limits.Body), MaxConnections: cfg.Limits.Connections,
		Log: o.Log, Registerer: a.metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("webhook listener: %w", err)
	}

	adminListener, err := o.Network.listen("admin.address", cfg.Admin.Address)
	if err != nil {
		return nil, err
	}
	a.admin = admin.New(admin.Options{
		Listener: adminListener, Metrics: exposed, Health: a.ready, Level: o.Level,
		Status: func() any { return a.status() }, Schemas: a.listSchemas, Reload: a.reloader.answer, Token: a.adminToken, Log: o.Log,
	})
	return a, nil
}

// WebhookAddr returns the bound address of the webhook listener.
func (a *App) WebhookAddr() string { return a.webhook.Addr().String() }

// AdminAddr returns the bound address of the admin listener.
func (a *App) AdminAddr() string { return a.admin.Addr() }

// Readiness tells whether events are accepted, and what is missing.
func (a *App) Readiness() admin.Readiness { return a.ready.Readiness() }

// Books returns the counts of events and records, taken at one moment.
func (a *App) Books() gateway.Snapshot { return a.ledger.Snapshot() }

// AddressError says which configuration key holds an address that cannot be bound.
type AddressError struct {
	Key, Address string
	Err          error
}

func (e *AddressError) Error() string { return fmt.Sprintf("%s %q: %v", e.Key, e.Address, e.Err) }

// Unwrap returns the cause, such as syscall.EADDRINUSE.
func (e *AddressError) Unwrap() error { return e.Err }

func (n Network) listen(key, address string) (net.Listener, error) {
	bind := n.Listen
	if bind == nil {
		bind = func(network, address string) (net.Listener, error) {
			var lc net.ListenConfig
			return lc.Listen(context.Background(), network, address)
		}
	}
	l, err := bind("tcp", address)
	if err != nil {
		return nil, &AddressError{Key: key, Address: address, Err: err}
	}
	return l, nil
}

func instanceName(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("the host has no name (%w): set instance", err)
	}
	if host == "" {
		return "", errors.New("the host has no name: set instance")
	}
	return config.InstanceOf(host), nil
}

// startID is new at every start: 6 random bytes in hex.
func startID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails, crypto/rand promises
	return hex.EncodeToString(b[:])
}

var partitioners = map[config.Partitioner]deliver.Partitioner{
	config.Murmur2: deliver.Murmur2,
	config.CRC32:   deliver.CRC32,
}

var noContactRules = map[config.NoContact]gateway.NoContact{
	config.Reject:  gateway.Reject,
	config.EventID: gateway.EventID,
	config.NullKey: gateway.NullKey,
}

func deliverLimits(cfg *config.Config) deliver.Limits {
	l := cfg.Limits
	return deliver.Limits{Records: l.InFlightRecords, Bytes: int64(l.InFlightBytes), OldestUnacked: l.OldestUnacked}
}

// adminToken is what opens the admin listener off loopback, as of now.
func (a *App) adminToken() []byte { return a.config.Load().Admin.Token.Bytes() }

func topicsOf(rows []route.Route) []string {
	return distinct(rows, func(r route.Route) string { return r.Topic })
}

// distinct returns the non-empty values of the delivering rows, in order.
func distinct(rows []route.Route, of func(route.Route) string) []string {
	var all []string
	seen := map[string]bool{"": true}
	for _, r := range rows {
		if v := of(r); !r.Drop && !seen[v] {
			seen[v] = true
			all = append(all, v)
		}
	}
	return all
}
