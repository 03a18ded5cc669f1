package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// keys is the tree of all keys.
func (c *Config) keys() object {
	return object{
		{"instance", plain(&c.Instance), "names this relay in every record; empty: the host name"},
		{"listen", c.Listen.keys(), "the webhook listener"},
		{"admin", c.Admin.keys(), "the listener for metrics, health and the admin API"},
		{"sources", c.sourceList(), "who sends webhooks, and how they are signed; without this key: `/cxone/webhook` with preset `cxone` and the secret of `CXONE_WEBHOOK_SECRET`"},
		{"routes", c.routeList(), "which type of event goes to which topic: the type itself beats a glob, of several globs the first wins; without this key: the four types of a CXone Data Action"},
		{"schema", c.Schema.keys(), "how payloads are validated"},
		{"kafka", c.Kafka.keys(), "the cluster"},
		{"limits", c.Limits.keys(), "bounds of the whole relay"},
		{"shutdown", object{
			{"delay", duration(&c.Shutdown.Delay), "how long the relay still serves, no longer ready, before it stops: for load balancers"},
			{"timeout", positiveDuration(&c.Shutdown.Timeout), "for what is under way then"},
		}, "what happens between the signal and the exit"},
	}
}

func (l *Listen) keys() object {
	return object{
		{"address", plain(&l.Address), "`host:port` for the webhooks; without a host, every interface"},
		{"metrics", boolean(&l.Metrics), "serve `/metrics` here, too; true when there is no file at all"},
		{"tls", object{
			{"cert_file", pemFile(&l.TLS.CertFile, &l.TLS.Cert), "the certificate with its chain, in PEM; together with key_file it makes the listener speak TLS"},
			{"key_file", secretFile(&l.TLS.KeyFile, &l.TLS.Key), "its private key, in PEM"},
			{"client_ca_file", pemFile(&l.TLS.ClientCAFile, &l.TLS.ClientCA), "senders must show a certificate of these authorities (PEM)"},
		}, "TLS of the webhook listener"},
	}
}

func (a *Admin) keys() object {
	return object{
		{"address", plain(&a.Address), "`host:port` for metrics, health and the admin API: keep it off the network"},
		{"token_file", secretFile(&a.TokenFile, &a.Token), "a file with the token that opens the admin API off loopback; without it, only metrics and health answer there"},
		{"ready_on_kafka", boolean(&a.ReadyOnKafka), "not ready while Kafka is away; false: ready, and webhooks get 503"},
	}
}

// sourceList compares what a source has with what its own preset gives.
func (c *Config) sourceList() *list {
	l := listOf(&c.Sources, newWebhook, (*Webhook).keys)
	l.fresh = func(i int) node {
		w := newWebhook()
		if i >= 0 && i < len(c.Sources) {
			w.Preset = c.Sources[i].Preset
			w.Scheme, _ = signature.Preset(w.Preset)
		}
		return w.keys()
	}
	return l
}

func (w *Webhook) keys() node {
	return object{
		{"name", plain(&w.Name), "the source's name in metrics and record headers"},
		{"path", plain(&w.Path), "the path of the webhook's URL, matched exactly"},
		{"deadline", positiveDuration(&w.Deadline), "how long a sender waits for Kafka; then it gets a 503, although Kafka may still take the record"},
		{"signature", w.signatureKeys(), "how a request proves where it is from"},
		{"event", object{
			{"type", paths(&w.Event.Type), "where the type of an event stands: the first path that finds one wins; default `[actionType]`"},
			{"contact", paths(&w.Event.Contact), "where the contact id stands; default `[contactId]`"},
			{"id", paths(&w.Event.ID), "where the event id stands; none found: the SHA-256 of the body; default `[eventId]`"},
		}, "where the facts stand in the JSON, as names joined by dots"},
		{"no_contact", oneOf(&w.NoContact, parseNoContact, noContactNames()...), "what becomes of an event without a contact id: refused, keyed by its event id, or without a key and so without order"},
		{"insecure", boolean(&w.Insecure), "with preset `none`: anybody who reaches the path may write into Kafka"},
	}
}

// signatureKeys has preset first: the other keys change what it gives.
func (w *Webhook) signatureKeys() node {
	s := &w.Scheme
	return object{
		{"preset", presetOf(w), "a scheme that is known by name; the keys below change it, or describe one whole"},
		{"header", plain(&s.Header), "the header that carries the signature, or the token"},
		{"algorithm", oneOf(&s.Algorithm, signature.ParseAlgorithm, signature.Algorithms()...), "how the signature is made; `static`: the header carries the secret itself"},
		{"encoding", oneOf(&s.Encoding, signature.ParseEncoding, signature.Encodings()...), "how the signature is written in the header"},
		{"prefix", plain(&s.Prefix), "what stands before the signature, such as `sha256=`"},
		{"signed", parsed(&s.Signed, signature.ParseTemplate, form{name: "template"}), "what is signed, of `{body}`, `{timestamp}` and `{id}`"},
		{"timestamp", object{
			{"header", plain(&s.Timestamp.Header), "the header that carries the signed time"},
			{"key", plain(&s.Timestamp.Key), "the list entry that carries it, in place of a header"},
			{"unit", oneOf(&s.Timestamp.Unit, signature.ParseUnit, signature.Units()...), "the unit of the signed time"},
			{"tolerance", positiveDuration(&s.Timestamp.Tolerance), "how far the signed time may lie from the relay's clock"},
		}, "where the signed time stands"},
		{"list", object{
			{"separator", plain(&s.List.Separator), "what stands between them: a space, a comma or a semicolon"},
		}, "the header holds several signatures, of which one must match"},
		{"id_header", plain(&s.IDHeader), "the header that `{id}` stands for"},
		{"secret_encoding", oneOf(&s.SecretEncoding, signature.ParseSecretEncoding, signature.SecretEncodings()...), "how the secrets are written"},
		{"secrets", listOf(&w.Secrets, func() NamedSecret { return NamedSecret{} }, (*NamedSecret).keys), "any of them may match; metrics tell which one did"},
	}
}

// presetOf sets the name and with it the whole scheme.
func presetOf(w *Webhook) *scalar {
	return oneOf(&w.Preset, func(name string) (string, error) {
		scheme, err := parsePreset(name)
		if err == nil {
			w.Scheme = scheme
		}
		return name, err
	}, presetNames()...)
}

func presetNames() []string { return append(signature.PresetNames(), PresetNone) }

func parsePreset(s string) (signature.Scheme, error) {
	scheme, ok := signature.Preset(s)
	if !ok && s != PresetNone {
		names := presetNames()
		if near := Nearest(s, names); near != "" {
			return scheme, fmt.Errorf("%s is no preset; did you mean %q?", quote(s), near)
		}
		return scheme, fmt.Errorf("%s is none of %s", quote(s), strings.Join(names, ", "))
	}
	return scheme, nil
}

func (n *NamedSecret) keys() node {
	return object{
		{"id", plain(&n.ID), "its name in metrics and logs, such as the month it was made"},
		{"value", secretText(&n.Value, &n.File), "the secret itself: better a file, or `${NAME}`"},
		{"file", secretFile(&n.File, &n.Value), "the file that holds it"},
	}
}

func (c *Config) routeList() *list {
	l := listOf(&c.Routes, func() route.Route { return route.Route{} }, routeKeys)
	l.brief = true
	return l
}

func routeKeys(r *route.Route) node {
	return object{
		{"type", plain(&r.Pattern), "the type of the event, or a glob: `*` is any run, `?` is one character"},
		{"topic", plain(&r.Topic), "the topic that the events are written to"},
		{"sources", texts(&r.Sources), "only events of these sources; none: of all"},
		{"subject", plain(&r.Subject), "the subject of the schema; default: `schema.subject`"},
		{"version", version(&r.Version), "the version of the subject; default: the latest, or for `schema.subject` that of `schema.version`"},
		{"wire", oneOf(&r.Wire, route.ParseWire, "raw", "prefix"), "the signed bytes, or `00` and the schema id before them as Confluent's clients expect"},
		{"key", oneOf(&r.Key, route.ParseKey, "fnv", "raw"), "`pk-` and the FNV-1a hash of the contact id, or the contact id itself"},
		{"drop", boolean(&r.Drop), "answer 200 and write nothing"},
	}
}

func (s *Schema) keys() object {
	return object{
		{"mode", oneOf(&s.Mode, parseSchemaMode, schemaModeNames()...), "who validates: this relay, the registry (through a call that few have), or nobody"},
		{"registry", s.Registry.keys(), "where the schemas come from"},
		{"subject", plain(&s.Subject), "the subject of every route that names none"},
		{"version", version(&s.Version), "the version of `schema.subject`, for every route that names none"},
		{"max_age", duration(&s.MaxAge), "a schema that the registry has not confirmed for so long is not used any more; `0s`: no limit"},
		{"snapshot_dir", filename(&s.SnapshotDir), "a folder where the last good schemas are kept, for a start while the registry is away"},
		{"shadow", fraction(&s.Shadow), "the share of checks, from 0 to 1, that a second and slower engine repeats; where the two disagree its verdict counts, and metrics and log tell"},
		{"remote", object{
			{"attempts", count(&s.Remote.Attempts), "how often the registry is asked"},
			{"backoff", positiveDuration(&s.Remote.Backoff), "how long to wait before the second attempt, doubled before each further one"},
			{"timeout", positiveDuration(&s.Remote.Timeout), "for one attempt"},
		}, "how the registry is asked in mode `remote`"},
	}
}

func (r *Registry) keys() object {
	return object{
		{"urls", texts(&r.URLs), "the addresses of the Schema Registry, tried in turn"},
		{"username", plain(&r.Username), "for basic authentication"},
		{"password", secretText(&r.Password, &r.PasswordFile), "the password itself: better a file"},
		{"password_file", secretFile(&r.PasswordFile, &r.Password), "the file that holds it"},
		{"token", secretText(&r.Token, &r.TokenFile), "a bearer token, in place of username and password"},
		{"token_file", secretFile(&r.TokenFile, &r.Token), "the file that holds it"},
	}
}

func (k *Kafka) keys() object {
	return object{
		{"brokers", texts(&k.Brokers), "`host:port` of some brokers; the others are found"},
		{"sasl", k.SASL.keys(), "how the relay authenticates"},
		{"tls", k.TLS.keys(), "how connections are encrypted"},
		{"partitioner", oneOf(&k.Partitioner, parsePartitioner, partitionerNames()...), "how a key picks its partition: as Java's clients do, or as librdkafka's default does"},
		{"partitions", &dict{set: k.pin, values: k.pins, form: countForm()}, "the partition count of a topic, by its name: keys stay where they are when the topic grows"},
		{"strict", boolean(&k.Strict), "refuse to start with a cluster that `cxrelay check --connect` warns of"},
	}
}

func (l *Limits) keys() object {
	return object{
		{"body", size(&l.Body), "the largest request; at most half of in_flight_bytes"},
		{"in_flight_bytes", size(&l.InFlightBytes), "the memory that all events together may hold, their records included"},
		{"in_flight_records", count(&l.InFlightRecords), "records given to Kafka and not acknowledged"},
		{"oldest_unacked", positiveDuration(&l.OldestUnacked), "the oldest record without an answer from Kafka; from here on Kafka counts as away"},
		{"connections", count(&l.Connections), "connections of the webhook listener"},
	}
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

func (k *Kafka) pins() map[string]string {
	texts := make(map[string]string, len(k.Partitions))
	for topic, n := range k.Partitions {
		texts[topic] = strconv.Itoa(int(n))
	}
	return texts
}
