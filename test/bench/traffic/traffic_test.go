package traffic_test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/cxrelay/cxrelay/test/bench/traffic"
)

// Every case must be routable, and every request made of it must be what a
// server accepts: complete, signed, one contact each, all of one length.
func TestRequests(t *testing.T) {
	const secret, n = "s3cret", 100
	if len(traffic.Names()) == 0 {
		t.Fatal("the corpus is empty")
	}
	for _, name := range traffic.Names() {
		t.Run(name, func(t *testing.T) {
			c, err := traffic.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(traffic.Topics(), c.Topic) {
				t.Errorf("topic %q is not among %q", c.Topic, traffic.Topics())
			}
			requests, err := c.Requests("127.0.0.1:1", secret, n)
			if err != nil {
				t.Fatal(err)
			}
			contacts := map[string]bool{}
			for _, raw := range requests {
				contacts[checkRequest(t, raw, secret, len(c.Body))] = true
			}
			if len(contacts) != n {
				t.Errorf("%d different contacts, want %d", len(contacts), n)
			}
		})
	}
}

// checkRequest returns the contact of the request.
func checkRequest(t *testing.T, raw []byte, secret string, size int) string {
	t.Helper()
	reader := bufio.NewReader(bytes.NewReader(raw))
	r, err := http.ReadRequest(reader)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) != size || reader.Buffered() != 0 {
		t.Fatalf("body of %d bytes, %d left over, error %v; want %d bytes", len(body), reader.Buffered(), err, size)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	if got, want := r.Header.Get("X-Cxone-Signature"), hex.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	var event struct{ ContactID string }
	if err := json.Unmarshal(body, &event); err != nil {
		t.Fatal(err)
	}
	if header := r.Header.Get("X-Bench-Contact"); header != event.ContactID {
		t.Errorf("header names contact %q, body %q", header, event.ContactID)
	}
	return event.ContactID
}

func TestFindUnknown(t *testing.T) {
	if _, err := traffic.Find("no such case"); err == nil {
		t.Error("no error for a case that is not there")
	}
}
