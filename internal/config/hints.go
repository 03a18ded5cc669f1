package config

import (
	"fmt"
	"strings"
)

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
