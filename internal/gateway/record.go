package gateway

import (
	"encoding/hex"
	"strconv"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// Names of the record headers that consumers may rely on. The origin header
// is added by package deliver, which alone knows the sequence.
const (
	headerEventID     = "cxrelay-event-id"
	headerSource      = "cxrelay-source"
	headerType        = "cxrelay-type"
	headerSchemaID    = "cxrelay-schema-id"
	headerTraceparent = "traceparent"
)

// maxHeaders counts the headers of a record, the origin of deliver included.
const maxHeaders = 6

// record makes the Kafka record of an event. keyed is what the key is made
// of; "" means a record without key. All small pieces share one allocation.
func (d *Delivery) record(ev *event.Event, keyed string, rt *route.Route, sch *schema.Schema, value []byte) *event.Record {
	const keyLen, idLen = len("pk-") + 16, 11
	buf := make([]byte, 0, keyLen+len(keyed)+len(ev.ID)+len(ev.Type)+len(d.Source.Name)+idLen+len(d.Traceparent))
	take := func(start int) []byte { return buf[start:len(buf):len(buf)] }

	rec := &event.Record{
		EventID:   ev.ID,
		Topic:     rt.Topic,
		Value:     value,
		Timestamp: d.ReceivedAt,
		Headers:   make([]event.Header, 0, maxHeaders),
		Held:      d.Body.held,
		Release:   d.Body.release,
	}
	if keyed != "" {
		buf = AppendKey(buf, rt.Key, keyed)
		rec.Key = take(0)
	}
	add := func(name string, start int) {
		rec.Headers = append(rec.Headers, event.Header{Key: name, Value: take(start)})
	}
	start := len(buf)
	buf = append(buf, ev.ID...)
	add(headerEventID, start)
	start = len(buf)
	buf = append(buf, d.Source.Name...)
	add(headerSource, start)
	start = len(buf)
	buf = append(buf, ev.Type...)
	add(headerType, start)
	if sch.ID > 0 { // it was validated against a schema that is known here
		start = len(buf)
		buf = strconv.AppendInt(buf, int64(sch.ID), 10)
		add(headerSchemaID, start)
	}
	if validTraceparent(d.Traceparent) {
		start = len(buf)
		buf = append(buf, d.Traceparent...)
		add(headerTraceparent, start)
	}
	return rec
}

// AppendKey appends the record key of a contact id: the id's own bytes, or
// "pk-" and the 16 hex digits of its 64-bit FNV-1a hash, big-endian.
func AppendKey(dst []byte, rule route.Key, contact string) []byte {
	if rule == route.KeyRaw {
		return append(dst, contact...)
	}
	const offset64, prime64 = 14695981039346656037, 1099511628211
	hash := uint64(offset64)
	for i := range len(contact) {
		hash ^= uint64(contact[i])
		hash *= prime64
	}
	var b [8]byte
	for i := range b {
		b[i] = byte(hash >> (56 - 8*i))
	}
	return hex.AppendEncode(append(dst, "pk-"...), b[:])
}

// validTraceparent checks the W3C Trace Context form of version 00:
// 2-32-16-2 lower-case hex digits with dashes, trace and parent id not zero.
func validTraceparent(s string) bool {
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return false
	}
	return lowerHex(s[3:35], true) && lowerHex(s[36:52], true) && lowerHex(s[53:], false)
}

func lowerHex(s string, nonZero bool) bool {
	seen := !nonZero
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
		seen = seen || c != '0'
	}
	return seen
}
