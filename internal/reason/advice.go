package reason

// advice is what whoever runs the relay can do about a reason, in the words
// of docs/answers.md, which is made of it. Code is between backquotes.
var advice = [Count]string{
	Accepted:          "nothing. `topic`, `partition` and `offset` are in the log at level debug.",
	Dropped:           "nothing; a route with `drop: true` says so. If the type is wanted after all, give it a topic.",
	Malformed:         "the sender's JSON is broken; `detail` has the byte offset. Strictness is not configurable.",
	NoEventType:       "look at a payload and correct the source's `event.type` paths. Names are case-sensitive.",
	NoContact:         "correct `event.contact`, or set `no_contact: event_id` or `null_key` for events that have no contact by nature; these have no order among themselves.",
	Unrouted:          "add a route for the type (or `\"*\"` as the last one), or drop it on purpose.",
	BodyIncomplete:    "the sender gave up, or a proxy cut the connection. A few are normal; many point to a time-out in front of the relay that is shorter than the sender needs.",
	BadSignature:      "read `diagnosis` in the log line: it says whether the secret is an older one, the encoding another, or the header missing. While secrets are rotated, list both under `signature.secrets`.",
	Stale:             "clocks differ or requests wait in a queue for longer than the window; check the time of both hosts before widening `timestamp.tolerance`.",
	NotFound:          "the sender's URL is wrong; the path must match the source's to the letter, a `/` at the end included. Internet noise lands here too.",
	MethodNotAllowed:  "somebody opened the webhook in a browser, or a health check points to it; `/-/healthy` and `/-/ready` on the admin listener are for that.",
	TooLarge:          "raise `limits.body`, or the topic's `max.message.bytes`; `detail` says which one it was.",
	Unsupported:       "the sender compresses or does not send UTF-8; switch that off there. The signature is over the bytes as they are.",
	SchemaMismatch:    "`errors` says where. Either the sender changed, or the schema is stricter than meant: register a corrected version; it is in use within about 72 seconds.",
	TooComplex:        "the schema recurses through branches (`anyOf` and the like), and this payload would take more work than the budget allows: 250,000 to 20 million steps, growing with payload and schema. Send less deeply nested payloads, or tell the branches apart by `required` and `const` on the level itself. `cxrelay check --connect` warns of such a schema.",
	Internal:          "a bug. The log line at level error has the stack; please report it.",
	Overloaded:        "compare `cxrelay_body_bytes_in_flight`, `cxrelay_record_bytes_in_flight`, `cxrelay_records_pending` and `cxrelay_http_connections` with their `_limit`. If Kafka is well, run another instance or raise `limits`.",
	KafkaUnavailable:  "Kafka has not acknowledged for `limits.oldest_unacked`, or one partition holds its whole share of what may be in flight, or no broker was reached yet. See the brokers; nothing needs to be done to the relay.",
	DeliveryTimeout:   "no acknowledgement within the source's `deadline`. A few come with every leader election; many mean a slow broker or too few in-sync replicas (`min.insync.replicas`).",
	TopicUnavailable:  "the log line `topic unavailable` has the cause, and the command that creates a missing topic. Other routes go on.",
	SchemaUnavailable: "the registry has not answered since the start, does not know the subject, or holds a schema that cannot be used; `/-/ready` and `/api/v1/status` say which. A schema that was loaded once stays in use however long the registry is away, unless `schema.max_age` is set. In `schema.mode: remote`: the registry gave no verdict in time.",
	Draining:          "normal while an instance stops, and once on a connection that a reload has left without a certificate that counts (log: `the connection shows no certificate`). If senders see many, set `shutdown.delay` to the time that the load balancer needs to look away.",
}

// Advice returns what whoever runs the relay can do: one line, with names of
// metrics, keys and commands between backquotes. It is empty for what is no
// reason.
func (r Reason) Advice() string {
	if r >= end {
		return ""
	}
	return advice[r]
}

// Meaning returns what a sender learns from a class.
func (c Class) Meaning() string {
	switch c {
	case Stop:
		return "it is done"
	case Fix:
		return "the same request will never succeed"
	case Retry:
		return "the same request may succeed later"
	default:
		return "not a class"
	}
}
