package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// node is what may stand at one place of the configuration, bound to the
// field that it fills in. The tree of nodes is the one description of all
// keys: the file is read along it, the names of environment variables and the
// suggestions for misspelt keys are made from it.
type node interface{ isNode() }

// object is a mapping with known keys. They are read in this order, whatever
// the order of the file.
type object []key

type key struct {
	name string
	node node
}

// scalar is one value, given as text.
type scalar struct {
	set    func(string) error // the error quotes the value only if it is no secret
	secret bool
}

// list is a sequence.
type list struct {
	reset func()      // forgets the default
	grow  func() node // appends an element and returns where it is filled in
	texts bool        // of texts: one line with commas can give it

	scalars bool // its elements are single values
}

// dict is a mapping with free keys.
type dict struct {
	set func(name, value string) error
}

func (object) isNode()  {}
func (*scalar) isNode() {}
func (*list) isNode()   {}
func (*dict) isNode()   {}

// keys is the tree of all keys.
func (c *Config) keys() object {
	return object{
		{"instance", plain(&c.Instance)},
		{"listen", object{
			{"address", plain(&c.Listen.Address)},
			{"metrics", parsed(&c.Listen.Metrics, parseBool)},
			{"tls", object{
				{"cert_file", plain(&c.Listen.TLS.CertFile)},
				{"key_file", plain(&c.Listen.TLS.KeyFile)},
				{"client_ca_file", plain(&c.Listen.TLS.ClientCAFile)},
			}},
		}},
		{"admin", object{
			{"address", plain(&c.Admin.Address)},
			{"token_file", plain(&c.Admin.TokenFile)},
			{"ready_on_kafka", parsed(&c.Admin.ReadyOnKafka, parseBool)},
		}},
		{"sources", listOf(&c.Sources, newWebhook, (*Webhook).keys)},
		{"routes", listOf(&c.Routes, func() route.Route { return route.Route{} }, routeKeys)},
		{"schema", c.Schema.keys()},
		{"kafka", object{
			{"brokers", texts(&c.Kafka.Brokers)},
			{"sasl", c.Kafka.SASL.keys()},
			{"tls", c.Kafka.TLS.keys()},
			{"partitioner", parsed(&c.Kafka.Partitioner, parsePartitioner)},
			{"partitions", &dict{set: c.Kafka.pin}},
			{"strict", parsed(&c.Kafka.Strict, parseBool)},
		}},
		{"limits", object{
			{"body", parsed(&c.Limits.Body, ParseSize)},
			{"in_flight_bytes", parsed(&c.Limits.InFlightBytes, ParseSize)},
			{"in_flight_records", parsed(&c.Limits.InFlightRecords, parseCount)},
			{"oldest_unacked", parsed(&c.Limits.OldestUnacked, positiveDuration)},
			{"connections", parsed(&c.Limits.Connections, parseCount)},
		}},
		{"shutdown", object{
			{"delay", parsed(&c.Shutdown.Delay, ParseDuration)},
			{"timeout", parsed(&c.Shutdown.Timeout, positiveDuration)},
		}},
	}
}

func (w *Webhook) keys() node {
	return object{
		{"name", plain(&w.Name)},
		{"path", plain(&w.Path)},
		{"deadline", parsed(&w.Deadline, positiveDuration)},
		{"signature", signatureKeys(w)},
		{"event", object{
			{"type", paths(&w.Event.Type)},
			{"contact", paths(&w.Event.Contact)},
			{"id", paths(&w.Event.ID)},
		}},
		{"no_contact", parsed(&w.NoContact, parseNoContact)},
		{"insecure", parsed(&w.Insecure, parseBool)},
	}
}

// signatureKeys has preset first: the other keys change what it gives.
func signatureKeys(w *Webhook) node {
	s := &w.Scheme
	return object{
		{"preset", parsed(s, parsePreset)},
		{"header", plain(&s.Header)},
		{"algorithm", parsed(&s.Algorithm, signature.ParseAlgorithm)},
		{"encoding", parsed(&s.Encoding, signature.ParseEncoding)},
		{"prefix", plain(&s.Prefix)},
		{"signed", parsed(&s.Signed, signature.ParseTemplate)},
		{"timestamp", object{
			{"header", plain(&s.Timestamp.Header)},
			{"key", plain(&s.Timestamp.Key)},
			{"unit", parsed(&s.Timestamp.Unit, signature.ParseUnit)},
			{"tolerance", parsed(&s.Timestamp.Tolerance, positiveDuration)},
		}},
		{"list", object{{"separator", plain(&s.List.Separator)}}},
		{"id_header", plain(&s.IDHeader)},
		{"secret_encoding", parsed(&s.SecretEncoding, signature.ParseSecretEncoding)},
		{"secrets", listOf(&w.Secrets, func() NamedSecret { return NamedSecret{} }, (*NamedSecret).keys)},
	}
}

func parsePreset(s string) (signature.Scheme, error) {
	scheme, ok := signature.Preset(s)
	if !ok {
		names := signature.PresetNames()
		if near := nearest(s, names); near != "" {
			return scheme, fmt.Errorf("%s is no preset; did you mean %q?", quote(s), near)
		}
		return scheme, fmt.Errorf("%s is none of %s", quote(s), strings.Join(names, ", "))
	}
	return scheme, nil
}

func (n *NamedSecret) keys() node {
	return object{
		{"id", plain(&n.ID)},
		{"value", secretText(&n.Value)},
		{"file", plain(&n.File)},
	}
}

func routeKeys(r *route.Route) node {
	return object{
		{"type", plain(&r.Pattern)},
		{"topic", plain(&r.Topic)},
		{"sources", texts(&r.Sources)},
		{"subject", plain(&r.Subject)},
		{"version", parsed(&r.Version, parseVersion)},
		{"wire", parsed(&r.Wire, route.ParseWire)},
		{"key", parsed(&r.Key, route.ParseKey)},
		{"drop", parsed(&r.Drop, parseBool)},
	}
}

func (s *Schema) keys() node {
	return object{
		{"mode", parsed(&s.Mode, parseSchemaMode)},
		{"registry", s.Registry.keys()},
		{"subject", plain(&s.Subject)},
		{"version", parsed(&s.Version, parseVersion)},
		{"max_age", parsed(&s.MaxAge, ParseDuration)},
		{"snapshot_dir", plain(&s.SnapshotDir)},
		{"remote", object{
			{"attempts", parsed(&s.Remote.Attempts, parseCount)},
			{"backoff", parsed(&s.Remote.Backoff, positiveDuration)},
			{"timeout", parsed(&s.Remote.Timeout, positiveDuration)},
		}},
	}
}

func (r *Registry) keys() node {
	return object{
		{"urls", texts(&r.URLs)},
		{"username", plain(&r.Username)},
		{"password", secretText(&r.Password)},
		{"password_file", plain(&r.PasswordFile)},
		{"token", secretText(&r.Token)},
		{"token_file", plain(&r.TokenFile)},
	}
}

func (k *Kafka) pin(topic, count string) error {
	n, err := parseCount(count)
	if err != nil {
		return err
	}
	if k.Partitions == nil {
		k.Partitions = make(map[string]int32)
	}
	k.Partitions[topic] = int32(n)
	return nil
}

// The makers of nodes.

func plain(dst *string) *scalar {
	return &scalar{set: func(s string) error {
		for _, r := range s {
			if !isPrint(r) {
				return errors.New("a control character in a text")
			}
		}
		*dst = s
		return nil
	}}
}

func secretText(dst *Secret) *scalar {
	return &scalar{secret: true, set: func(s string) error {
		*dst = NewSecret([]byte(s))
		return nil
	}}
}

func parsed[T any](dst *T, parse func(string) (T, error)) *scalar {
	return &scalar{set: func(s string) error {
		v, err := parse(s)
		if err == nil {
			*dst = v
		}
		return err
	}}
}

func listOf[T any](dst *[]T, fresh func() T, keys func(*T) node) *list {
	_, scalars := keys(new(T)).(*scalar)
	return &list{
		scalars: scalars,
		reset:   func() { *dst = nil },
		grow: func() node {
			*dst = append(*dst, fresh())
			return keys(&(*dst)[len(*dst)-1])
		},
	}
}

func texts(dst *[]string) *list {
	l := listOf(dst, func() string { return "" }, func(s *string) node { return plain(s) })
	l.texts = true
	return l
}

func paths(dst *[]event.Path) *list {
	return listOf(dst, func() event.Path { return event.Path{} },
		func(p *event.Path) node { return parsed(p, event.ParsePath) })
}

// defaultTolerance is the window for a signed time that names none.
const defaultTolerance = 5 * time.Minute

// complete fills in what a hand-written scheme may leave out.
func complete(s *signature.Scheme) {
	if s.SecretEncoding == "" {
		s.SecretEncoding = signature.SecretRaw
	}
	if s.Signed == "" && s.Algorithm != signature.Static {
		s.Signed = signature.BodyOnly
	}
	if s.Timestamp.Header == "" && s.Timestamp.Key == "" {
		return
	}
	if s.Timestamp.Unit == "" {
		s.Timestamp.Unit = signature.Seconds
	}
	if s.Timestamp.Tolerance == 0 {
		s.Timestamp.Tolerance = defaultTolerance
	}
}

// nearest returns the known name that a misspelt one is most likely meant to
// be, or "".
func nearest(name string, known []string) string {
	best, bestDistance := "", min(3, (len(name)+1)/2)
	for _, k := range known {
		if d := distance(name, k); d < bestDistance && d < len(k) {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the number of characters to insert, delete or replace to turn a
// into b (Levenshtein).
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	if len(from) > len(to)+3 {
		return len(from) - len(to)
	}
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, c := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, d := range to {
			cost := diagonal
			if c != d {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(to)]
}

// foreign answers a key of Kafka's Java client or of librdkafka (also written
// with underscores) with ours, or "".
func foreign(name string) string {
	switch strings.ToLower(strings.ReplaceAll(name, "_", ".")) {
	case "bootstrap.servers", "metadata.broker.list", "seed.brokers":
		return "Kafka's " + name + " is kafka.brokers here, a list"
	case "partitioner", "partitioner.class":
		return "Kafka's " + name + " is kafka.partitioner here: murmur2 or crc32"
	case "queue.buffering.max.messages":
		return "Kafka's " + name + " is limits.in_flight_records here"
	case "queue.buffering.max.kbytes", "buffer.memory":
		return "Kafka's " + name + " is limits.in_flight_bytes here"
	case "max.request.size", "message.max.bytes":
		return "Kafka's " + name + " is limits.body here"
	case "delivery.timeout.ms", "message.timeout.ms", "request.timeout.ms":
		return "how long a sender waits for Kafka is sources[].deadline here"
	case "max.retries", "retries", "message.send.max.retries", "retry.backoff.ms":
		return "there is nothing to set: the relay retries, and answers at sources[].deadline"
	case "acks", "request.required.acks", "enable.idempotence", "max.in.flight.requests.per.connection":
		return "there is nothing to set: records are always written idempotently with acks=all"
	case "linger.ms", "queue.buffering.max.ms", "batch.size", "compression.type", "compression.codec":
		return "there is nothing to set: records leave at once, compressed with snappy"
	case "client.id":
		return "there is nothing to set; instance names this relay in every record"
	case "schema.registry.url":
		return "this is schema.registry.urls here, a list"
	default:
		return foreignSecurity(strings.ToLower(name))
	}
}

func keyHint(name, near string, siblings []string) string {
	if near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if hint := foreign(name); hint != "" {
		return hint
	}
	elsewhere := ""
	eachName(func(path string, _ bool) {
		switch {
		case path == name && strings.Contains(name, "."):
			elsewhere = "write it nested: " + strings.ReplaceAll(path, ".", ": {") + ": …" + strings.Repeat("}", strings.Count(path, "."))
		case elsewhere == "" && strings.HasSuffix("."+path, "."+name):
			elsewhere = "there is " + path
		}
	})
	if elsewhere != "" {
		return elsewhere
	}
	return "known here: " + strings.Join(siblings, ", ")
}

// eachName visits the path of every key, with [] for the elements of lists.
func eachName(visit func(path string, secret bool)) {
	scratch := new(Config)
	var walk func(path string, n node)
	walk = func(path string, n node) {
		s, isScalar := n.(*scalar)
		if path != "" {
			visit(path, isScalar && s.secret)
		}
		switch n := n.(type) {
		case object:
			for _, k := range n {
				walk(member(path, k.name), k.node)
			}
		case *list:
			if inner, ok := n.grow().(object); ok {
				for _, k := range inner {
					walk(member(path+"[]", k.name), k.node)
				}
			}
		}
	}
	walk("", scratch.keys())
}

// Keys returns the path of every key, with [] for the elements of a list, in
// the order of the documentation.
func Keys() []string {
	var paths []string
	eachName(func(path string, _ bool) { paths = append(paths, path) })
	return paths
}
