package signature_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

// sender is one row of testdata/senders/senders.json.
type sender struct {
	Name, Row     string
	Secret, Other string
	At            int64
	Assumed       string
	OpenSSL       string
	Scheme        signature.Scheme
}

func (s sender) at() time.Time { return time.Unix(s.At, 0) }

const sendersDir = "testdata/senders"

func senders(t *testing.T) []sender {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(sendersDir, "senders.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []sender
	if err := json.Unmarshal(b, &all); err != nil || len(all) < 40 {
		t.Fatalf("%d senders, %v", len(all), err)
	}
	return all
}

// capture reads a request with the library's own parser.
func capture(t *testing.T, name string) signature.Capture {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(sendersDir, name+".http"))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	var c signature.Capture
	for name, values := range req.Header {
		for _, v := range values {
			c.Fields = append(c.Fields, signature.Field{Name: name, Value: v})
		}
	}
	if c.Body, err = io.ReadAll(req.Body); err != nil {
		t.Fatal(err)
	}
	return c
}

func headersOf(c signature.Capture) headers { return of(c.Fields) }

// Every sender's scheme that the fields can express: the Verifier takes the
// request that another program made, and no other.
func TestSenders(t *testing.T) {
	for _, s := range senders(t) {
		t.Run(s.Name, func(t *testing.T) {
			c := capture(t, s.Name)
			secrets := []signature.Secret{secret("own", s.Secret)}
			if s.Other != "" {
				secrets = append([]signature.Secret{secret("other", s.Other)}, secrets...)
			}
			v := verifier(t, s.Scheme, secrets...)
			if i, err := v.Verify(headersOf(c).values, c.Body, s.at()); err != nil || secrets[i].ID != "own" {
				t.Errorf("secret %d, %v", i, err)
			}
			if s.Scheme.Algorithm != signature.Static {
				if _, err := v.Verify(headersOf(c).values, append(c.Body, ' '), s.at()); err == nil {
					t.Error("takes another body")
				}
			}
			if s.Scheme.Timestamp.Tolerance > 0 {
				_, err := v.Verify(headersOf(c).values, c.Body, s.at().Add(s.Scheme.Timestamp.Tolerance+time.Second))
				refused(t, -1, err, signature.Stale)
			}
			r, err := signature.Explain(signature.Question{Scheme: s.Scheme, Secrets: secrets, Now: s.at()}, c)
			if err != nil || !r.Matches() || r.Secret != "own" {
				t.Errorf("explained as %+v, %v", r, err)
			}
		})
	}
}

// Discover finds the scheme of each of them from the secret alone, and what it
// finds takes the request.
func TestDiscoverSenders(t *testing.T) {
	for _, s := range senders(t) {
		t.Run(s.Name, func(t *testing.T) {
			c := capture(t, s.Name)
			d, err := signature.Discover([]signature.Secret{secret("wrong", "something else"), secret("own", s.Secret)}, c)
			if err != nil {
				t.Fatal(err)
			}
			if d.Secret != "own" || len(d.Departures) > 0 || !d.Matches() {
				t.Errorf("found %+v", d)
			}
			if _, err := verifier(t, d.Scheme, secret("own", s.Secret)).Verify(headersOf(c).values, c.Body, s.at()); err != nil {
				t.Errorf("%+v does not take the request: %v", d.Scheme, err)
			}
			want := s.Scheme
			want.Header, d.Scheme.Header = strings.ToLower(want.Header), strings.ToLower(d.Scheme.Header)
			if d.Scheme != want {
				t.Errorf("found %+v\nwant  %+v", d.Scheme, want)
			}
		})
	}
}

// A secret that made none of them explains none of them.
func TestSendersForeignSecret(t *testing.T) {
	for _, s := range senders(t) {
		c := capture(t, s.Name)
		d, err := signature.Discover([]signature.Secret{secret("wrong", "something else")}, c)
		if err == nil {
			t.Errorf("%s: found %+v", s.Name, d)
		}
		if d.Foreign != nil {
			t.Errorf("%s: called foreign: %+v", s.Name, d.Foreign)
		}
	}
}

// A list of one is a list: the sender may sign with two keys tomorrow.
func TestDiscoverListOfOne(t *testing.T) {
	c := capture(t, "svix")
	for i, f := range c.Fields {
		if f.Name == "Svix-Signature" {
			c.Fields[i].Value = strings.TrimPrefix(f.Value, "v1,AAAA ")
		}
	}
	d, err := signature.Discover([]signature.Secret{secret("own", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}, c)
	if err != nil || d.Scheme.List.Separator != " " || d.Scheme.Prefix != "v1," {
		t.Errorf("%+v, %v", d, err)
	}
}

// A token beside a signature is no reason to call the signature foreign.
func TestTokenBesideSignature(t *testing.T) {
	c := capture(t, "nice-expert")
	for _, f := range capture(t, "foreign-jwt").Fields {
		if f.Name == "Authorization" {
			c.Fields = append(c.Fields, f)
		}
	}
	if d, err := signature.Discover([]signature.Secret{secret("wrong", "something else")}, c); err == nil || d.Foreign != nil {
		t.Errorf("%+v, foreign %+v, %v", d, d.Foreign, err)
	}
}

// The rest of the senders is called by name.
func TestForeignSchemes(t *testing.T) {
	want := map[string]string{
		"sigv4": "AWS Signature Version 4", "jwt": "a JWT", "gc-jwt": "a JWT", "8x8": "8x8", "standard-ed25519": "Ed25519",
		"hubspot-v3": "HubSpot v3", "hubspot-v1": "HubSpot v1", "twilio": "Twilio", "coinbase": "Coinbase", "sendgrid": "SendGrid",
		"bridge": "public-key", "fusionauth": "FusionAuth", "sns": "Amazon SNS", "mtls": "no signature at all",
	}
	files, err := filepath.Glob(filepath.Join(sendersDir, "foreign-*.http"))
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, %d wanted, %v", len(files), len(want), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		c, short := capture(t, name), strings.TrimPrefix(name, "foreign-")
		k := []signature.Secret{secret("a", "fixture-secret-2026")}
		r, err := signature.Explain(signature.Question{Scheme: preset(t, "cxone"), Secrets: k, Now: at()}, c)
		if err != nil || r.Matches() || r.Foreign == nil || !strings.Contains(r.Foreign.Name, want[short]) || r.Foreign.Reason == "" || len(r.Departures) > 0 {
			t.Errorf("%s: %+v, foreign %+v, %v", name, r, r.Foreign, err)
		}
		if d, err := signature.Discover(k, c); err == nil || d.Foreign == nil || !strings.Contains(d.Foreign.Name, want[short]) {
			t.Errorf("%s: discovered %+v, %v", name, d, err)
		}
	}
}

// The requests are what make.py makes, today and here.
func TestSendersAreMadeByAnotherProgram(t *testing.T) {
	if !found("python3") {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 is not installed: in CI this test must run")
		}
		t.Skip("python3 is not installed: the requests are not made again")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "python3", filepath.Join(sendersDir, "make.py"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	made, err := os.ReadDir(dir)
	if err != nil || len(made) < 50 {
		t.Fatalf("%d files, %v", len(made), err)
	}
	for _, f := range made {
		want, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if have, err := os.ReadFile(filepath.Join(sendersDir, f.Name())); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not what make.py makes (%v)", f.Name(), err)
		}
	}
}

// And openssl agrees with Python where the body alone is signed in hex.
func TestSendersAgainstOpenSSL(t *testing.T) {
	if !found("openssl") {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is not installed: in CI this test must run")
		}
		t.Skip("openssl is not installed: the MACs are not compared with it")
	}
	compared := 0
	for _, s := range senders(t) {
		if s.OpenSSL == "" {
			continue
		}
		c := capture(t, s.Name)
		cmd := exec.CommandContext(t.Context(), "openssl", "dgst", "-"+s.OpenSSL, "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString([]byte(s.Secret)), "-r")
		cmd.Stdin = bytes.NewReader(c.Body)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		mac, _, _ := strings.Cut(string(out), " ")
		if !slices.ContainsFunc(c.Fields, func(f signature.Field) bool { return strings.EqualFold(f.Value, s.Scheme.Prefix+mac) }) {
			t.Errorf("%s: openssl says %s", s.Name, mac)
		}
		compared++
	}
	if compared < 8 {
		t.Errorf("%d compared", compared)
	}
}
