package config

import "strings"

// People paste what they have: client.properties, a librdkafka config, a
// topic's settings. Each of those keys is answered with ours.

// foreign answers a key of Kafka's Java client, of librdkafka, of a topic or
// of a schema-registry client with ours, or with why there is none; "" for an
// unknown one. Keys may be written with underscores or hyphens, and with the
// prefixes that frameworks put before them.
func foreign(name string) string {
	key := strings.NewReplacer("_", ".", "-", ".").Replace(strings.ToLower(name))
	for _, prefix := range []string{"spring.", "kafka.", "properties.", "producer."} {
		if rest := strings.TrimPrefix(key, prefix); strings.Contains(rest, ".") || rest == "retries" || rest == "acks" {
			key = rest
		}
	}
	for _, answer := range []func(key, name string) string{foreignProducer, foreignFixed, foreignSASL, foreignTLS, foreignRegistry, foreignTopic} {
		if hint := answer(key, name); hint != "" {
			return hint
		}
	}
	return ""
}

// foreignProducer: what has a key here.
func foreignProducer(key, name string) string {
	var ours string
	switch key {
	case "bootstrap.servers", "metadata.broker.list", "broker.list", "seed.brokers", "bootstrap", "bootstrap.server":
		ours = "kafka.brokers here, a list"
	case "partitioner", "partitioner.class":
		ours = "kafka.partitioner here: murmur2 or crc32"
	case "queue.buffering.max.messages":
		ours = "limits.in_flight_records here"
	case "queue.buffering.max.kbytes", "buffer.memory":
		ours = "limits.in_flight_bytes here"
	case "max.request.size", "message.max.bytes":
		ours = "limits.body here"
	case "client.id":
		return "there is nothing to set; instance names this relay in every record"
	case "delivery.timeout.ms", "message.timeout.ms", "request.timeout.ms", "max.block.ms":
		return "how long a sender waits for Kafka is sources[].deadline here"
	default:
		return ""
	}
	return "Kafka's " + name + " is " + ours
}

// foreignFixed: what the relay decides.
func foreignFixed(key, _ string) string {
	switch key {
	case "max.retries", "retries", "message.send.max.retries", "retry.backoff.ms", "retry.backoff.max.ms":
		return "there is nothing to set: the relay retries, and answers at sources[].deadline"
	case "acks", "request.required.acks", "enable.idempotence", "max.in.flight.requests.per.connection", "max.in.flight":
		return "there is nothing to set: records are always written idempotently with acks=all"
	case "linger.ms", "queue.buffering.max.ms", "batch.size", "batch.num.messages", "compression.type", "compression.codec", "compression.level":
		return "there is nothing to set: records leave at once, compressed with snappy"
	case "log", "logging", "log.level", "log.format", "logging.level":
		return "not in the file: cxrelay serve has --log-level and --log-format"
	case "key.serializer", "value.serializer":
		return "there is nothing to set: the value is what the sender signed; see wire and key of a route"
	case "transactional.id", "transaction.timeout.ms":
		return "there is nothing to set: the relay uses no transactions"
	case "group.id", "auto.offset.reset", "enable.auto.commit", "session.timeout.ms", "max.poll.records":
		return "this is a consumer's: the relay only writes"
	case "metadata.max.age.ms", "topic.metadata.refresh.interval.ms", "connections.max.idle.ms", "reconnect.backoff.ms",
		"reconnect.backoff.max.ms", "socket.timeout.ms", "socket.keepalive.enable", "broker.address.family", "client.dns.lookup",
		"api.version.request", "broker.version.fallback", "statistics.interval.ms", "log.connection.close":
		return "there is nothing to set: remove it"
	default:
		return ""
	}
}

func foreignSASL(key, name string) string {
	switch key {
	case "security.protocol", "security":
		return "this is kafka.tls.enabled (SSL) and kafka.sasl.mechanism (SASL) here"
	case "sasl.mechanism", "sasl.mechanisms":
		return "Kafka's " + name + " is kafka.sasl.mechanism here"
	case "sasl.jaas.config":
		return "its user and password are kafka.sasl.username and password_file here"
	case "sasl.username", "sasl.password":
		return "Kafka's " + name + " is under kafka.sasl here: username, password_file"
	case "sasl.oauthbearer.token.endpoint.url":
		return "Kafka's " + name + " is kafka.sasl.oauth.token_url here"
	case "sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret", "sasl.oauthbearer.scope",
		"sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.credentials.client.secret":
		return "Kafka's " + name + " is under kafka.sasl.oauth here: client_id, client_secret_file, scopes"
	case "sasl.login.callback.handler.class", "sasl.client.callback.handler.class", "sasl.oauthbearer.method", "sasl.oauthbearer.config":
		return "there is nothing to set: kafka.sasl.mechanism says it all (OAUTHBEARER, AWS_MSK_IAM)"
	case "sasl.kerberos.service.name", "sasl.kerberos.keytab", "sasl.kerberos.principal":
		return "Kerberos is not supported; kafka.sasl.mechanism has what is"
	default:
		return ""
	}
}

func foreignTLS(key, _ string) string {
	switch key {
	case "ssl":
		return "this is kafka.tls here"
	case "ssl.truststore.location", "ssl.truststore.certificates", "ssl.ca.location", "ssl.ca.pem":
		return "the authorities are kafka.tls.ca_file here, in PEM"
	case "ssl.keystore.location", "ssl.keystore.certificate.chain", "ssl.keystore.key", "ssl.certificate.location", "ssl.certificate.pem",
		"ssl.key.location", "ssl.key.pem":
		return "the client's certificate is kafka.tls.cert_file and key_file here, in PEM"
	case "ssl.truststore.type", "ssl.keystore.type", "ssl.truststore.password", "ssl.keystore.password", "ssl.key.password":
		return "there are no keystores here: kafka.tls takes PEM without a password (keytool -exportcert -rfc, openssl pkcs12 -nodes)"
	case "ssl.endpoint.identification.algorithm", "enable.ssl.certificate.verification", "insecure.skip.verify", "insecure.skip.tls.verify", "tls.insecure":
		return "there is nothing to set: certificates are always verified; see kafka.tls.ca_file and server_name"
	case "ssl.protocol", "ssl.enabled.protocols", "ssl.cipher.suites":
		return "there is nothing to set: TLS 1.2 or newer"
	default:
		return ""
	}
}

func foreignRegistry(key, _ string) string {
	switch key {
	case "schema.registry.url":
		return "this is schema.registry.urls here, a list"
	case "schema.registry":
		return "this is schema: {registry: …} here"
	case "basic.auth.user.info", "basic.auth.credentials.source", "schema.registry.basic.auth.user.info":
		return "these are schema.registry.username and password_file here"
	case "bearer.auth.token", "bearer.auth.credentials.source":
		return "this is schema.registry.token_file here"
	case "auto.register.schemas", "use.latest.version":
		return "there is nothing to set: the relay registers nothing, and takes the latest version, or the one in version"
	case "value.subject.name.strategy", "subject.name.strategy":
		return "the subject is named: subject of a route, or schema.subject"
	default:
		return ""
	}
}

// foreignTopic: what belongs to a topic or a broker.
func foreignTopic(key, name string) string {
	switch key {
	case "num.partitions", "default.replication.factor", "replication.factor", "auto.create.topics.enable", "allow.auto.create.topics":
		return "the relay creates no topics; cxrelay check --connect --create-topics does, with --partitions and --replication-factor"
	case "min.insync.replicas", "retention.ms", "retention.bytes", "cleanup.policy", "max.message.bytes", "segment.bytes", "segment.ms",
		"unclean.leader.election.enable", "delete.retention.ms", "message.timestamp.type":
		return name + " is a setting of the topic: kafka-configs.sh --alter --entity-type topics; cxrelay check --connect looks at it"
	default:
		return ""
	}
}
