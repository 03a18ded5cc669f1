// Package traffic is what the processes of the measurement agree on: the
// cases, the signed requests made of them, and the result of one window. It
// opens no connection and starts no process.
package traffic

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/cxrelay/cxrelay/internal/devkit/corpus"
)

// Path is where both servers take webhooks.
const Path = "/cxone/webhook"

// Case is one kind of event: its body, its schema and where it is routed.
type Case struct {
	Name   string
	Body   []byte
	Schema string // JSON Schema, draft-07
	Topic  string
}

// topic is the route of an event type in the default routing table.
func topic(eventType string) (string, bool) {
	switch eventType {
	case "INTERACTION_CREATED":
		return "cxone.interactions.raw", true
	case "DISPOSITION_UPDATED":
		return "cxone.dispositions.raw", true
	case "QUEUE_TRANSFER":
		return "cxone.transfers.raw", true
	case "CALL_DISCONNECTED":
		return "cxone.calls.terminated", true
	default:
		return "", false
	}
}

// Topics returns the topics of the default routing table.
func Topics() []string {
	return []string{"cxone.interactions.raw", "cxone.dispositions.raw", "cxone.transfers.raw", "cxone.calls.terminated"}
}

// Names returns the names of all cases, in the order of the corpus.
func Names() []string {
	var names []string
	for _, c := range corpus.Cases() {
		names = append(names, c.Name)
	}
	return names
}

// Find returns the case of that name. It is an error when the corpus has none
// or when the default routing table has no row for its event type.
func Find(name string) (Case, error) {
	for _, c := range corpus.Cases() {
		if c.Name != name {
			continue
		}
		var facts struct {
			ActionType string `json:"actionType"`
			ContactID  string `json:"contactId"`
		}
		if err := json.Unmarshal(c.Body, &facts); err != nil {
			return Case{}, fmt.Errorf("case %s: %w", name, err)
		}
		to, ok := topic(facts.ActionType)
		if !ok {
			return Case{}, fmt.Errorf("case %s: no route for event type %q", name, facts.ActionType)
		}
		return Case{Name: name, Body: c.Body, Schema: string(c.Draft7), Topic: to}, nil
	}
	return Case{}, fmt.Errorf("no case %q in the corpus, there are %q", name, Names())
}

// Requests returns n complete HTTP/1.1 requests to host, signed with secret,
// for n different contacts. All bodies have the length of c.Body.
func (c Case) Requests(host, secret string, n int) ([][]byte, error) {
	const member = `"contactId":"`
	start := bytes.Index(c.Body, []byte(member)) + len(member)
	width := bytes.IndexByte(c.Body[max(start, 0):], '"')
	if start < len(member) || width < len(strconv.Itoa(n)) {
		return nil, fmt.Errorf("case %s: no contactId with room for %d contacts", c.Name, n)
	}
	requests := make([][]byte, n)
	for i := range requests {
		contact := fmt.Sprintf("%0*d", width, i)
		body := bytes.Clone(c.Body)
		copy(body[start:], contact)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
			"X-Cxone-Signature: %s\r\nX-Bench-Contact: %s\r\nContent-Length: %d\r\n\r\n",
			Path, host, hex.EncodeToString(mac.Sum(nil)), contact, len(body))
		requests[i] = append([]byte(head), body...)
	}
	return requests, nil
}

// Window is what the load generator saw: one JSON object on its stdout.
type Window struct {
	OK      int            `json:"ok"`               // answers 2xx
	Failed  map[string]int `json:"failed,omitempty"` // other answers by status, and "error"
	Elapsed time.Duration  `json:"elapsed_ns"`
	P50     time.Duration  `json:"p50_ns"`
	P99     time.Duration  `json:"p99_ns"`
	Max     time.Duration  `json:"max_ns"`
}

// Failures returns how many requests did not get a 2xx.
func (w Window) Failures() int {
	n := 0
	for _, count := range w.Failed {
		n += count
	}
	return n
}
