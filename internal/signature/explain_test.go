package signature_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/cxrelay/cxrelay/internal/signature"
	"pgregory.net/rapid"
)

// mutation is one thing that goes wrong between a sender that signs as "as
// says", and a source that has the scheme and the secret below.
type mutation struct {
	name   string
	source func(*signature.Scheme) // what the source has instead of cxone
	secret string                  // of the source; "": dev-secret
	other  string                  // a secret that is given beside it
	as     func(*signature.Scheme) // what the sender has instead of the source's
	key    string                  // of the sender, "": the source's
	signed string                  // "": goodBody
	sent   string                  // "": what was signed
	alter  func(headers)           // of the headers, on the way
	late   time.Duration
	want   []signature.Cause
	how    string // in the explanation
	remedy string
}

const goodBody = `{"b":"caf\u00e9 <1> a/b","a":[1.0,{"x":null}],"n":900719925474010002}`

func utf16le(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

func rename(from, to string) func(headers) {
	return func(h headers) { h[to] = h[from]; delete(h, from) }
}

func change(f func(string) string) func(headers) {
	return func(h headers) { h["X-Cxone-Signature"][0] = f(h["X-Cxone-Signature"][0]) }
}

func mutations() []mutation {
	type causes = []signature.Cause
	stamped := func(s *signature.Scheme) {
		s.Signed = "{timestamp}.{body}"
		s.Timestamp = signature.Timestamp{Header: "X-Cxone-Timestamp", Unit: signature.Seconds, Tolerance: time.Minute}
	}
	prefixed := func(s *signature.Scheme) { s.Prefix = "sha256=" }
	base64ed := func(s *signature.Scheme) { s.Encoding = signature.Base64 }
	whsec := func(s *signature.Scheme) { s.SecretEncoding = signature.SecretWhsec }
	return []mutation{
		{name: "other secret", other: "the sender's", key: "the sender's", want: causes{signature.CauseOtherSecret}, remedy: "the same secret"},
		{name: "secret in hex, to be decoded", secret: "6f6c6421", key: "old!", want: causes{signature.CauseSecretEncoding}, how: "taken as hex", remedy: "secret_encoding: hex"},
		{name: "secret in base64, to be decoded", secret: "b2xkISEh", key: "old!!!", want: causes{signature.CauseSecretEncoding}, remedy: "secret_encoding: base64"},
		{name: "secret with whsec_, used as it stands", source: whsec, secret: "whsec_b2xkISEh", as: func(s *signature.Scheme) { s.SecretEncoding = signature.SecretRaw }, want: causes{signature.CauseWhsec}, remedy: "secret_encoding: raw"},
		{name: "secret with whsec_, to be cut off", secret: "whsec_b2xkISEh", key: "b2xkISEh", want: causes{signature.CauseWhsec}, remedy: "without whsec_"},
		{name: "secret with whsec_, to be decoded", secret: "whsec_b2xkISEh", key: "old!!!", want: causes{signature.CauseSecretEncoding}, remedy: "secret_encoding: whsec"},
		{name: "secret with a newline at the sender's", key: "dev-secret\n", want: causes{signature.CauseSecretNewline}},
		{name: "secret with CRLF at the sender's", key: "dev-secret\r\n", want: causes{signature.CauseSecretNewline}},
		{name: "secret with a newline here", secret: "dev-secret\n", key: "dev-secret", want: causes{signature.CauseSecretBlanks}, remedy: "store the secret exactly"},
		{name: "secret with blanks here", secret: "  dev-secret ", key: "dev-secret", want: causes{signature.CauseSecretBlanks}},
		{name: "secret with a blank at the sender's", key: "dev-secret ", want: causes{signature.CauseSecretBlanks}},
		{name: "secret with a byte order mark here", secret: "\ufeffdev-secret", key: "dev-secret", want: causes{signature.CauseSecretBlanks}},
		{name: "secret in quotes here", secret: `"dev-secret"`, key: "dev-secret", want: causes{signature.CauseSecretQuotes}},
		{name: "secret in quotes at the sender's", key: `'dev-secret'`, want: causes{signature.CauseSecretQuotes}},
		{name: "secret as UTF-16", key: utf16le("dev-secret"), want: causes{signature.CauseSecretCharset}},
		{name: "header", alter: rename("X-Cxone-Signature", "X-Nice-Signature"), want: causes{signature.CauseHeader}, remedy: "set header: x-nice-signature"},
		{name: "header twice", alter: func(h headers) { h.add("X-Cxone-Signature", h["X-Cxone-Signature"][0]) }, want: causes{signature.CauseRepeated}},
		{name: "empty entry", source: func(s *signature.Scheme) { s.List.Separator = "," }, alter: change(func(s string) string { return s + "," }), want: causes{signature.CauseList}},
		{name: "many entries", source: func(s *signature.Scheme) { s.List.Separator = "," }, alter: change(func(s string) string { return s + strings.Repeat(","+s, 16) }), want: causes{signature.CauseList}},
		{name: "list", alter: change(func(s string) string { return strings.Repeat("0", 64) + "," + s }), want: causes{signature.CauseList}},
		{name: "prefix missing", source: prefixed, as: func(s *signature.Scheme) { s.Prefix = "" }, want: causes{signature.CausePrefix}, remedy: "take prefix out"},
		{name: "prefix extra", as: prefixed, want: causes{signature.CausePrefix}, remedy: `set prefix: "sha256="`},
		{name: "prefix of one's own", as: func(s *signature.Scheme) { s.Prefix = "nice-v7=" }, want: causes{signature.CausePrefix}, remedy: `set prefix: "nice-v7="`},
		{name: "quotes around the value", alter: change(func(s string) string { return `"` + s + `"` }), want: causes{signature.CauseDecoration}},
		{name: "percent signs in the value", source: base64ed, alter: change(func(s string) string { return strings.NewReplacer("=", "%3D", "+", "%2B", "/", "%2F").Replace(s) }), want: causes{signature.CauseDecoration}},
		{name: "base64 for hex", as: base64ed, want: causes{signature.CauseEncoding}, remedy: "set encoding: base64"},
		{name: "hex for base64", source: base64ed, as: func(s *signature.Scheme) { s.Encoding = signature.Hex }, want: causes{signature.CauseEncoding}, remedy: "set encoding: hex"},
		{name: "base64 of the hex", alter: change(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }), want: causes{signature.CauseEncoding}, how: "base64 of the hex digits"},
		{name: "base64 in lower case", source: base64ed, alter: change(strings.ToLower), want: causes{signature.CauseLetterCase}},
		{name: "base64 in upper case", source: base64ed, alter: change(strings.ToUpper), want: causes{signature.CauseLetterCase}},
		{name: "SHA-1", as: func(s *signature.Scheme) { s.Algorithm = signature.HMACSHA1 }, want: causes{signature.CauseAlgorithm}, remedy: "hmac-sha1"},
		{name: "SHA-512", as: func(s *signature.Scheme) { s.Algorithm = signature.HMACSHA512 }, want: causes{signature.CauseAlgorithm}, remedy: "hmac-sha512"},
		{name: "the secret itself", alter: change(func(string) string { return "dev-secret" }), want: causes{signature.CauseAlgorithm}, remedy: "preset: token"},
		{name: "time not signed", source: stamped, as: func(s *signature.Scheme) { s.Signed, s.Timestamp = "{body}", signature.Timestamp{} },
			alter: func(h headers) { h.add("X-Cxone-Timestamp", fmt.Sprint(at().Unix())) }, want: causes{signature.CauseTimeNotSigned}, remedy: `signed: "{body}"`},
		{name: "time signed", as: stamped, want: causes{signature.CauseTimeSigned}, remedy: "header: x-cxone-timestamp"},
		{name: "time signed, in another header", as: stamped, alter: rename("X-Cxone-Timestamp", "X-Sent-At"), want: causes{signature.CauseTimeSigned}, remedy: "timestamp: {header: x-sent-at, unit: s}"},
		{name: "joined by a colon", source: stamped, as: func(s *signature.Scheme) { s.Signed = "{timestamp}:{body}" }, want: causes{signature.CauseTemplate}},
		{name: "time behind the body", source: stamped, as: func(s *signature.Scheme) { s.Signed = "{body}{timestamp}" }, want: causes{signature.CauseTemplate}},
		{name: "late", source: stamped, late: time.Hour, want: causes{signature.CauseClock}, how: "1h0m0s behind"},
		{name: "early", source: stamped, late: -time.Hour, want: causes{signature.CauseClock}, how: "1h0m0s ahead"},
		{name: "milliseconds", source: stamped, as: func(s *signature.Scheme) { s.Timestamp.Unit = signature.Milliseconds },
			want: causes{signature.CauseUnit}, remedy: "timestamp.unit: ms"},
		{name: "empty body signed", signed: "\x00", sent: goodBody, want: causes{signature.CauseEmptyBody}},
		{name: "newline added", sent: goodBody + "\n", want: causes{signature.CauseNewline}},
		{name: "newline lost", signed: goodBody + "\n", sent: goodBody, want: causes{signature.CauseNewline}},
		{name: "CRLF added", sent: goodBody + "\r\n", want: causes{signature.CauseNewline}},
		{name: "CRLF lost", signed: goodBody + "\r\n", sent: goodBody, want: causes{signature.CauseNewline}},
		{name: "white space", sent: "  " + goodBody + " ", want: causes{signature.CauseWhiteSpace}},
		{name: "CRLF became LF", signed: "{\r\n}", sent: "{\n}", want: causes{signature.CauseLineEnds}},
		{name: "LF became CRLF", signed: "{\n}", sent: "{\r\n}", want: causes{signature.CauseLineEnds}},
		{name: "line ends cut, as curl -d does", signed: "{\n\"a\":\n1}", sent: "{\"a\":1}", want: nil}, // what is gone cannot be known
		{name: "line ends were added", signed: `{"a":"b"}`, sent: "{\"a\":\n\"b\"}", want: causes{signature.CauseLineEnds}},
		{name: "byte order mark added", sent: "\ufeff" + goodBody, want: causes{signature.CauseByteOrderMark}},
		{name: "byte order mark lost", signed: "\ufeff" + goodBody, sent: goodBody, want: causes{signature.CauseByteOrderMark}},
		{name: "signed as Latin-1", signed: "{\"a\":\"caf\xe9\"}", sent: `{"a":"café"}`, want: causes{signature.CauseCharset}, how: "Latin-1"},
		{name: "sent as Latin-1", signed: `{"a":"café"}`, sent: "{\"a\":\"caf\xe9\"}", want: causes{signature.CauseCharset}},
		{name: "signed as UTF-16", signed: utf16le(`{"a":"b"}`), sent: `{"a":"b"}`, want: causes{signature.CauseCharset}, how: "UTF-16LE"},
		{name: "signed as UTF-16 with a mark", signed: "\xff\xfe" + utf16le(`{"a":"b"}`), sent: `{"a":"b"}`, want: causes{signature.CauseCharset}},
		{name: "sent as UTF-16", signed: `{"a":"b"}`, sent: "\xff\xfe" + utf16le(`{"a":"b"}`), want: causes{signature.CauseCharset}},
		{name: "UTF-8 twice", signed: `{"a":"é"}`, sent: `{"a":"Ã©"}`, want: causes{signature.CauseCharset}},
		{name: "sent as base64", sent: base64.StdEncoding.EncodeToString([]byte(goodBody)), want: causes{signature.CauseBodyEncoding}},
		{name: "signed as base64", signed: base64.StdEncoding.EncodeToString([]byte(goodBody)), sent: goodBody, want: causes{signature.CauseBodyEncoding}},
		{name: "gzip", sent: gzipped(goodBody), want: causes{signature.CauseBodyEncoding}},
		{name: "written again: compact", signed: `{"b":1,"a":[1.0,{}]}`, sent: "{\"b\": 1,\n\t\"a\": [1.0, { }]}", want: causes{signature.CauseReserialised}, how: "compact"},
		{name: "written again: Python", signed: `{"b": "caf\u00e9", "a": [1, {}, []]}`, sent: `{"b":"café","a":[1,{},[]]}`, want: causes{signature.CauseReserialised}, how: "Python's json.dumps"},
		{name: "written again: Python, not ASCII", signed: `{"b": "café", "a": 1}`, sent: `{"b":"caf\u00e9","a":1}`, want: causes{signature.CauseReserialised}, how: "Python"},
		{name: "written again: sorted", signed: `{"a":{"c":1,"d":2},"b":1}`, sent: `{"b":1,"a":{"d":2,"c":1}}`, want: causes{signature.CauseReserialised}, how: "sorted by name"},
		{name: "written again: sorted, Python", signed: `{"a": 2, "b": 1}`, sent: `{"b":1,"a":2}`, want: causes{signature.CauseReserialised}, how: "sorted by name"},
		{name: "written again: sorted, of two the last", signed: `{"a":2,"b":[{"c":4}]}`, sent: `{"b":[{"c":3,"c":4}],"a":1,"a":2}`, want: causes{signature.CauseReserialised}, how: "sorted by name"},
		{name: "written again: of two the last", signed: `{"b":3,"a":2}`, sent: `{"b":1,"a":2,"b":3}`, want: causes{signature.CauseReserialised}, how: "the last"},
		{name: "written again: two spaces", signed: "{\n  \"b\": [\n    1\n  ],\n  \"a\": {}\n}", sent: `{"b":[1],"a":{}}`, want: causes{signature.CauseReserialised}, how: "two spaces"},
		{name: "written again: four spaces", signed: "{\n    \"b\": 1\n}", sent: `{"b":1}`, want: causes{signature.CauseReserialised}, how: "four spaces"},
		{name: "written again: two spaces and newline", signed: "{\n  \"b\": 1\n}\n", sent: `{"b":1}`, want: causes{signature.CauseReserialised}, how: "newline at the end"},
		{name: "written again: .NET on Windows", signed: "{\r\n  \"b\": 1\r\n}", sent: `{"b":1}`, want: causes{signature.CauseReserialised}, how: "CRLF"},
		{name: "written again: Go", signed: "{\"a\":\"\\u003cb\\u003e \\u0026\"}\n", sent: `{"a":"<b> &"}`, want: causes{signature.CauseReserialised}, how: "Go's encoding/json"},
		{name: "written again: not Go", signed: `{"a":"<b> &"}`, sent: `{"a":"\u003cb\u003e \u0026"}`, want: causes{signature.CauseReserialised}},
		{name: "written again: slashes", signed: `{"a":"b\/c"}`, sent: `{"a":"b/c"}`, want: causes{signature.CauseReserialised}, how: `slashes as \/`},
		{name: "written again: no slashes", signed: `{"a":"b/c"}`, sent: `{"a":"b\/c"}`, want: causes{signature.CauseReserialised}},
		{name: "written again: PHP", signed: `{"a":"\u20ac\/\ud83d\ude00"}`, sent: `{"a":"€/😀"}`, want: causes{signature.CauseReserialised}, how: "PHP"},
		{name: "written again: Gson", signed: `{"a":"x\u003dy\u0027"}`, sent: `{"a":"x=y'"}`, want: causes{signature.CauseReserialised}, how: "Gson"},
		{name: "written again: .NET", signed: `{"a":"\u0022\u00E9\u002B"}`, sent: `{"a":"\"é+"}`, want: causes{signature.CauseReserialised}, how: ".NET"},
		{name: "written again: strings alone", signed: `{ "a" :"é"}`, sent: `{ "a" :"\u00e9"}`, want: causes{signature.CauseReserialised}, how: "strings written again"},
		{name: "written again: float64", signed: `{"a":1,"n":900719925474010000,"e":100}`, sent: `{"a":1.0,"n":900719925474010002,"e":1e2}`, want: causes{signature.CauseReserialised}, how: "float64"},
		{name: "secret, encoding and body at once", key: "dev-secret\n", as: base64ed, signed: goodBody + "\n", sent: goodBody,
			want: causes{signature.CauseSecretNewline, signature.CauseEncoding, signature.CauseNewline}},
		{name: "secret, prefix, template and body at once", secret: "6f6c6421", key: "old!", as: func(s *signature.Scheme) { stamped(s); prefixed(s) }, signed: `{"a":1}`, sent: `{ "a": 1 }`,
			want: causes{signature.CauseSecretEncoding, signature.CausePrefix, signature.CauseTimeSigned, signature.CauseReserialised}},
		{name: "base64 and late", source: stamped, as: base64ed, late: time.Hour, want: causes{signature.CauseEncoding, signature.CauseClock}},
	}
}

func (m mutation) run(t *testing.T) (*signature.Report, []string) {
	t.Helper()
	source := preset(t, "cxone")
	if m.source != nil {
		m.source(&source)
	}
	as := source
	if m.as != nil {
		m.as(&as)
	}
	or := func(s, instead string) string {
		if s == "" {
			return instead
		}
		return s
	}
	m.secret = or(m.secret, "dev-secret")
	m.signed = or(m.signed, goodBody)
	m.sent = or(m.sent, m.signed)
	if m.signed == "\x00" {
		m.signed = ""
	}
	h := sign(t, as, secret("sender", or(m.key, m.secret)), m.signed)
	h.add("Content-Type", "application/json")
	h.add("X-Request-Id", "7e3c")
	if m.alter != nil {
		m.alter(h)
	}
	q := signature.Question{Scheme: source, Secrets: []signature.Secret{secret("unrelated", "nothing-of-the-kind"), secret("own", m.secret)}, Now: at().Add(m.late)}
	if source.SecretEncoding == signature.SecretWhsec {
		q.Secrets = q.Secrets[1:]
	}
	if m.other != "" {
		q.Others = []signature.Secret{secret("other", m.other)}
	}
	c := captureOf(h, m.sent)
	r, err := signature.Explain(q, c)
	if err != nil {
		t.Fatal(err)
	}
	return r, []string{m.secret, m.key, m.other, m.sent}
}

func captureOf(h headers, body string) signature.Capture {
	c := signature.Capture{Body: []byte(body)}
	for name, values := range h {
		for _, v := range values {
			c.Fields = append(c.Fields, signature.Field{Name: name, Value: v})
		}
	}
	slices.SortFunc(c.Fields, func(a, b signature.Field) int { return strings.Compare(a.Name, b.Name) })
	return c
}

// Each mutation of a good request is explained by its own cause and no other.
func TestMutationsAreExplained(t *testing.T) {
	named := map[signature.Cause]bool{}
	for _, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			r, secrets := m.run(t)
			var got []signature.Cause
			text := r.Fact
			for _, d := range r.Departures {
				got = append(got, d.Cause)
				named[d.Cause] = true
				text += "\n" + d.How + "\n" + d.Remedy
				if d.How == "" || d.Remedy == "" {
					t.Errorf("%+v says nothing", d)
				}
			}
			if r.Matches() || !slices.Equal(got, m.want) {
				t.Fatalf("explained by %v, want %v (%d MACs)\n%s", got, m.want, r.MACs, text)
			}
			if !strings.Contains(text, m.how) || !strings.Contains(text, m.remedy) {
				t.Errorf("says %s\nwant %q and %q in it", text, m.how, m.remedy)
			}
			for _, s := range secrets {
				if s = strings.TrimSpace(s); len(s) > 6 && strings.Contains(text, s) {
					t.Errorf("%q stands in %s", s, text)
				}
			}
		})
	}
	for _, c := range signature.Causes() {
		if !named[c] {
			t.Errorf("no mutation is explained by %s", c)
		}
	}
}

// The same mutations, signed with a secret that nobody was given: nothing
// explains them.
func TestForeignSecretsAreNotExplained(t *testing.T) {
	for _, m := range mutations() {
		if slices.Contains(m.want, signature.CauseAlgorithm) && m.alter != nil {
			continue // the secret itself was sent
		}
		m.key, m.late = "of somebody else", 0
		r, _ := m.run(t)
		if r.Matches() || len(r.Departures) > 0 || r.Secret != "" || r.Foreign != nil {
			t.Errorf("%s: explained by %+v, foreign %+v", m.name, r.Departures, r.Foreign)
		}
	}
}

// Whatever the secrets, body and header are: nothing is explained that was
// signed with another secret, and nothing is shown.
func TestNothingIsExplainedByChance(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`[A-Z]{4}-[A-Z0-9]{12}`)
		own, foreign, body := text.Draw(rt, "own"), text.Draw(rt, "foreign"), text.Draw(rt, "body")
		if own == foreign {
			return
		}
		s := preset(t, "cxone")
		h := sign(t, s, secret("x", foreign), body)
		r, err := signature.Explain(signature.Question{Scheme: s, Secrets: []signature.Secret{secret("own", own)}, Now: at()}, captureOf(h, body))
		if err != nil || r.Matches() || len(r.Departures) > 0 || !r.Whole {
			rt.Fatalf("%+v, %v", r, err)
		}
		all := fmt.Sprintf("%+v", r)
		for _, leak := range []string{own, foreign, body, h["X-Cxone-Signature"][0], hex.EncodeToString([]byte(own))} {
			if strings.Contains(all, leak) {
				rt.Fatalf("%q stands in %s", leak, all)
			}
		}
	})
}

func TestExplainRefusesWhatCannotBeUsed(t *testing.T) {
	s := preset(t, "standard-webhooks")
	_, err := signature.Explain(signature.Question{Scheme: s, Secrets: []signature.Secret{secret("own", "?")}, Now: at()}, signature.Capture{})
	if err == nil || !strings.Contains(err.Error(), `secret "own" is not base64`) {
		t.Errorf("%v", err)
	}
}

// The bounds hold, and the report says that they were met.
func TestExplainIsBounded(t *testing.T) {
	s := preset(t, "cxone")
	h := sign(t, s, secret("x", "foreign"), goodBody)
	q := signature.Question{Scheme: s, Secrets: []signature.Secret{secret("own", "dev-secret")}, Now: at()}
	whole, err := signature.Explain(q, captureOf(h, goodBody))
	if err != nil || !whole.Whole || whole.MACs < 1000 || whole.MACs > signature.MaxMACs {
		t.Fatalf("%+v, %v", whole, err)
	}
	r, err := signature.ExplainWithin(q, captureOf(h, goodBody), 500, signature.MaxHashed)
	if err != nil || r.Whole || r.MACs != 500 {
		t.Errorf("%d MACs, whole %v, %v", r.MACs, r.Whole, err)
	}
	r, err = signature.ExplainWithin(q, captureOf(h, goodBody), signature.MaxMACs, 100*len(goodBody))
	if err != nil || r.Whole || r.MACs < 50 || r.MACs > 500 {
		t.Errorf("%d MACs, whole %v, %v", r.MACs, r.Whole, err)
	}
}

// What is written again means the same.
func FuzzReserialised(f *testing.F) {
	for _, seed := range []string{goodBody, `[]`, `"\ud800"`, `{"a":{"a":1,"a":2}}`, "\ufeff{}", `1e400`, `{"\u2028":"\/\b"}`, `[[[["\\\""]]]]`, `{"a":-0.0}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		bare := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
		if len(body) > 4<<10 {
			return
		}
		var want any
		valid := json.Unmarshal(bare, &want) == nil
		for _, form := range signature.Reserialised(body) {
			var got any
			err := json.Unmarshal(bytes.TrimPrefix(form, []byte("\xef\xbb\xbf")), &got)
			if valid && (err != nil || fmt.Sprint(got) != fmt.Sprint(want)) {
				t.Fatalf("%q written again as %q: %v", body, form, err)
			}
		}
	})
}

// What every client and proxy sends is not taken for a signature, even when it
// happens to be the secret.
func TestOrdinaryHeadersExplainNothing(t *testing.T) {
	for _, name := range []string{"Host", "Content-Type", "User-Agent", "X-Forwarded-For", "Date", "Accept-Language"} {
		q := signature.Question{Scheme: preset(t, "cxone"), Secrets: []signature.Secret{secret("own", "dev-secret")}, Now: at()}
		r, err := signature.Explain(q, captureOf(one(name, "dev-secret"), goodBody))
		if err != nil || len(r.Departures) > 0 || r.Foreign == nil || r.Foreign.Name != "no signature at all" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
