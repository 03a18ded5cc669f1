package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/kafka"
	"github.com/cxrelay/cxrelay/internal/kafka/inspect"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// CheckOptions say what Check looks at.
type CheckOptions struct {
	Config *config.Config
	Build  Build
	Log    *slog.Logger

	// Create, if not nil, has the missing topics created.
	Create *TopicDefaults

	// Network is how the world is reached; the zero value is the real one.
	Network Network
}

// TopicDefaults are for topics that Check creates. Zero means: the pinned
// count, else 8; three replicas or as many as there are brokers.
type TopicDefaults struct {
	Partitions        int32
	ReplicationFactor int16
}

// CheckReport is what Check has seen.
type CheckReport struct {
	Kafka    inspect.Report
	Policy   inspect.Policy     // by which it was judged
	Created  []inspect.NewTopic // what was tried
	Registry []RegistryAddress
	Subjects []SubjectState

	// Findings are all of them, the cluster's first.
	Findings []inspect.Finding
	// Away are the dependencies that did not answer, with the reason: not
	// everything could be looked at.
	Away []Away
}

// RegistryAddress is one address of the Schema Registry.
type RegistryAddress struct {
	URL     string
	Latency time.Duration
	Err     error // nil: it answers, whatever the answer is
}

// SubjectState is one routed subject.
type SubjectState struct {
	Subject     string
	Version, ID int    // 0: not known
	Type        string // "": not known
	Err         error  // nil: its schema can be applied
}

// Away is a dependency that does not answer.
type Away struct {
	Dependency string // kafka or schema_registry
	Err        error
}

// Check looks at everything that a relay with this configuration would need:
// brokers, topics, registry and subjects, until ctx ends. It writes nothing
// unless Create says so, and then only topics. The error says that the
// configuration cannot be used; what is wrong outside is in the report.
func Check(ctx context.Context, o CheckOptions) (*CheckReport, error) {
	client, err := kafka.New(kafkaOptions(o.Config, "cxrelay-check", o.Log, o.Network))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	registry, err := newRegistryCheck(o)
	if err != nil {
		return nil, err
	}
	r := &CheckReport{Policy: policyOf(o.Config)}
	var cluster, registered CheckReport
	var wg sync.WaitGroup
	wg.Go(func() { r.checkKafka(ctx, client, o.Create, &cluster) })
	wg.Go(func() { registry.check(ctx, o.Config, &registered) })
	wg.Wait()
	r.Kafka, r.Created = cluster.Kafka, cluster.Created
	r.Registry, r.Subjects = registered.Registry, registered.Subjects
	r.Findings = slices.Concat(cluster.Kafka.Findings, registered.Findings)
	r.Away = slices.Concat(cluster.Away, registered.Away)
	return r, nil
}

// checkKafka fills in what is the cluster's.
func (r *CheckReport) checkKafka(ctx context.Context, client *kafka.Client, create *TopicDefaults, out *CheckReport) {
	report, err := client.Inspect(ctx, r.Policy)
	if err == nil && create != nil {
		if out.Created = missing(report, r.Policy, *create); len(out.Created) > 0 {
			client.CreateTopics(ctx, out.Created)
			report, err = client.Inspect(ctx, r.Policy)
			report.Findings = append(denials(out.Created), report.Findings...)
		}
	}
	out.Kafka = report
	if err != nil && !errors.Is(err, kafka.ErrRefused) {
		out.Away = append(out.Away, Away{"kafka", err})
	}
}

// denials are the findings about topics that an ACL forbids to create.
func denials(tried []inspect.NewTopic) []inspect.Finding {
	var all []inspect.Finding
	for _, n := range tried {
		if n.Denied() {
			all = append(all, inspect.Finding{
				Severity: inspect.Error, Topic: n.Name, Check: inspect.TopicExists,
				Message: "the topic cannot be created: CREATE is denied", Remedy: "grant CREATE on the topic, or on the cluster, to the relay's principal",
			})
		}
	}
	return all
}

// missing are the topics to create.
func missing(report inspect.Report, p inspect.Policy, d TopicDefaults) []inspect.NewTopic {
	brokers := 0
	for _, b := range report.Brokers {
		if b.ID >= 0 {
			brokers++
		}
	}
	var all []inspect.NewTopic
	for _, t := range report.Topics {
		if t.State != inspect.Missing {
			continue
		}
		n := inspect.Proposed(t.Name, p.Pins[t.Name], brokers)
		if d.Partitions > 0 {
			n.Partitions = d.Partitions
		}
		if d.ReplicationFactor > 0 {
			n = n.Replicated(d.ReplicationFactor)
		}
		all = append(all, n)
	}
	return all
}

// registryCheck asks a Schema Registry, each address on its own.
type registryCheck struct {
	urls    []string
	clients []*schema.Client
	watches []*stopwatch
}

func newRegistryCheck(o CheckOptions) (*registryCheck, error) {
	c := &registryCheck{urls: o.Config.Schema.Registry.URLs}
	if o.Config.Schema.Mode == config.Off {
		c.urls = nil
	}
	base := o.Network.Registry
	if base == nil {
		base = &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: schema.DefaultTimeout, IdleConnTimeout: 10 * time.Second, ForceAttemptHTTP2: true}
	}
	for _, u := range c.urls {
		watch := &stopwatch{next: base}
		opts := registryOptions(o.Config, o.Build, o.Log)
		opts.URLs, opts.Transport = []string{u}, watch
		client, err := schema.NewClient(opts)
		if err != nil {
			return nil, fmt.Errorf("schema registry: %w", err)
		}
		c.clients, c.watches = append(c.clients, client), append(c.watches, watch)
	}
	return c, nil
}

// registryOptions are those of every client of the registry.
func registryOptions(cfg *config.Config, b Build, log *slog.Logger) schema.ClientOptions {
	r := cfg.Schema.Registry
	return schema.ClientOptions{
		URLs: r.URLs, Username: r.Username, Password: string(r.Password.Bytes()), BearerToken: string(r.Token.Bytes()),
		UserAgent: "cxrelay/" + b.Version, Log: log,
	}
}

// engines compile the schemas of the types that can be applied.
func engines(json schema.Compiler) schema.Compiler {
	return schema.ByType(map[string]schema.Compiler{"JSON": json})
}

// check asks every address for the first subject, and the first address that
// answers for all of them.
func (c *registryCheck) check(ctx context.Context, cfg *config.Config, out *CheckReport) {
	pins := pinsOf(cfg.Routes)
	if len(pins) == 0 || cfg.Schema.Mode == config.Off {
		return
	}
	var use *schema.Client
	var away []error
	for i, client := range c.clients {
		defer client.Close()
		_, err := fetch(ctx, client, pins[0])
		address := RegistryAddress{URL: c.urls[i]}
		var answered bool
		if address.Latency, answered = c.watches[i].best(); !answered {
			address.Err = err
			away = append(away, err)
		} else if use == nil {
			use = client
		}
		out.Registry = append(out.Registry, address)
	}
	severity := inspect.Warning
	if use == nil {
		severity = inspect.Error
		out.Away = append(out.Away, Away{"schema_registry", errors.Join(away...)})
	}
	for _, err := range away {
		out.Findings = append(out.Findings, inspect.Finding{
			Severity: severity, Check: inspect.Registry, Message: "an address does not answer: " + err.Error(), Remedy: "check schema.registry.urls, and that this host reaches it",
		})
	}
	if use == nil {
		return
	}
	if cfg.Schema.Mode == config.RemoteAPI {
		return // its own schemas are its own business
	}
	for _, pin := range pins {
		state, _, finding := checkSubject(ctx, use, pin)
		out.Subjects = append(out.Subjects, state)
		if finding != nil {
			out.Findings = append(out.Findings, *finding)
		}
		if state.Err != nil && finding == nil {
			out.Away = append(out.Away, Away{"schema_registry", state.Err})
			return
		}
	}
}

func fetch(ctx context.Context, client *schema.Client, pin schema.Pin) (schema.Definition, error) {
	if pin.Version == 0 {
		return client.Latest(ctx, pin.Subject)
	}
	return client.Version(ctx, pin.Subject, pin.Version)
}

// checkSubject fetches and compiles one schema, which is nil with every error.
// An error without a finding means that the registry gave no usable answer now.
func checkSubject(ctx context.Context, client *schema.Client, pin schema.Pin) (SubjectState, *schema.Schema, *inspect.Finding) {
	name := pin.Subject
	state := SubjectState{Subject: name}
	var usable schema.Validator
	def, err := fetch(ctx, client, pin)
	if err == nil {
		state.Version, state.ID, state.Type = def.Version, def.ID, def.Type
		usable, err = engines(jsonschema.Compile)(def)
	}
	state.Err = err
	if err == nil {
		return state, &schema.Schema{Subject: name, Version: def.Version, ID: def.ID, Validator: usable, FetchedAt: time.Now()}, subjectWarning(name, usable)
	}
	f := &inspect.Finding{Severity: inspect.Error, Subject: name, Check: inspect.Subject}
	var status *schema.StatusError
	var refused *schema.RefusedError
	isStatus := errors.As(err, &status)
	switch {
	case errors.Is(err, schema.ErrNotFound):
		f.Message = "the subject is not registered: its events are answered schema_unavailable"
		f.Remedy = "register a JSON Schema: POST /subjects/" + name + "/versions"
		if pin.Version > 0 {
			f.Message = fmt.Sprintf("the subject has no version %d: its events are answered schema_unavailable", pin.Version)
			f.Remedy = "pin a version that is there"
		}
	case errors.As(err, &refused) || state.Version > 0:
		f.Message = "its schema cannot be applied: " + err.Error() + "; its events are answered schema_unavailable"
		f.Remedy = "register a version that can"
	case isStatus && (status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden):
		f.Check, f.Message, f.Remedy = inspect.Registry, "the registry does not let the relay in: "+err.Error(), "check schema.registry.username and password, or token"
	case isStatus && status.Status == http.StatusNotFound:
		f.Check, f.Message, f.Remedy = inspect.Registry, "there is no Schema Registry at this address: "+err.Error(), "check the path of schema.registry.urls (Apicurio: /apis/ccompat/v7)"
	default:
		return state, nil, nil
	}
	return state, nil, f
}

// subjectWarning is what an author should know of a schema that can be
// applied, or nil.
func subjectWarning(name string, engine schema.Validator) *inspect.Finding {
	described, ok := engine.(schema.Described)
	if !ok || len(described.Warnings()) == 0 {
		return nil
	}
	return &inspect.Finding{
		Severity: inspect.Warning, Subject: name, Check: inspect.Subject, Message: strings.Join(described.Warnings(), "; "),
		Remedy: "let the branches differ by required or const on the level itself, or bound the depth of what is sent",
	}
}

// stopwatch measures round trips.
type stopwatch struct {
	next http.RoundTripper

	mu      sync.Mutex
	took    time.Duration
	replies int
}

// RoundTrip implements http.RoundTripper.
func (s *stopwatch) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := s.next.RoundTrip(req)
	took := time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && (s.replies == 0 || took < s.took) {
		s.took = took
	}
	if err == nil {
		s.replies++
	}
	return resp, err
}

// best is the fastest round trip, and whether there was one.
func (s *stopwatch) best() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took, s.replies > 0
}
