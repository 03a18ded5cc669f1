package signature_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/internal/signature"
)

func TestPresetsAreValid(t *testing.T) {
	names := signature.PresetNames()
	if want := []string{"cxone", "standard-webhooks", "stripe", "token", "bearer", "basic"}; !slices.Equal(names, want) {
		t.Fatalf("names %v, want %v", names, want)
	}
	for _, name := range names {
		if faults := preset(t, name).Validate(); faults != nil {
			t.Errorf("%s: %v", name, faults)
		}
	}
	for _, name := range []string{"", "none", "CXONE", "github"} {
		if s, ok := signature.Preset(name); ok {
			t.Errorf("preset %q exists: %+v", name, s)
		}
	}
	token, _ := signature.Preset("token")
	if f := token.Validate(); len(f) != 1 || f[0].Field != "header" {
		t.Errorf("token without a header: %v", f)
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name, preset string
		change       func(*signature.Scheme)
		fields       string // of the faults, in order
	}{
		{"no header", "cxone", func(s *signature.Scheme) { s.Header = "" }, "header"},
		{"bad header", "cxone", func(s *signature.Scheme) { s.Header = "x sig" }, "header"},
		{"header with a colon", "cxone", func(s *signature.Scheme) { s.Header = "x:" }, "header"},
		{"algorithm", "cxone", func(s *signature.Scheme) { s.Algorithm = "md5" }, "algorithm"},
		{"encoding", "cxone", func(s *signature.Scheme) { s.Encoding = "HEX" }, "encoding"},
		{"plain mac", "cxone", func(s *signature.Scheme) { s.Encoding = signature.Plain }, "encoding"},
		{"secret encoding", "cxone", func(s *signature.Scheme) { s.SecretEncoding = "" }, "secret_encoding"},
		{"prefix", "cxone", func(s *signature.Scheme) { s.Prefix = "a\n" }, "prefix"},
		{"prefix space", "cxone", func(s *signature.Scheme) { s.Prefix = " a" }, "prefix"},
		{"no template", "cxone", func(s *signature.Scheme) { s.Signed = "" }, "signed"},
		{"no body", "stripe", func(s *signature.Scheme) { s.Signed = "{timestamp}" }, "signed"},
		{"id without header", "cxone", func(s *signature.Scheme) { s.Signed = "{id}.{body}" }, "id_header"},
		{"header without id", "cxone", func(s *signature.Scheme) { s.IDHeader = "x-id" }, "id_header"},
		{"bad id header", "standard-webhooks", func(s *signature.Scheme) { s.IDHeader = "x id" }, "id_header"},
		{"id in the signature's header", "standard-webhooks", func(s *signature.Scheme) { s.IDHeader = "Webhook-Signature" }, "id_header"},
		{"time nowhere", "cxone", func(s *signature.Scheme) { s.Signed = "{timestamp}.{body}" }, "timestamp"},
		{"time unsigned", "stripe", func(s *signature.Scheme) { s.Signed = "{body}" }, "timestamp"},
		{"unit", "stripe", func(s *signature.Scheme) { s.Timestamp.Unit = "us" }, "timestamp.unit"},
		{"no tolerance", "stripe", func(s *signature.Scheme) { s.Timestamp.Tolerance = 0 }, "timestamp.tolerance"},
		{"negative tolerance", "stripe", func(s *signature.Scheme) { s.Timestamp.Tolerance = -time.Second }, "timestamp.tolerance"},
		{"no time header", "standard-webhooks", func(s *signature.Scheme) { s.Timestamp.Header = "" }, "timestamp.header"},
		{"time in the signature's header", "standard-webhooks", func(s *signature.Scheme) { s.Timestamp.Header = s.Header }, "timestamp.header"},
		{"header and key", "stripe", func(s *signature.Scheme) { s.Timestamp.Header = "x-t" }, "timestamp.key"},
		{"key form", "stripe", func(s *signature.Scheme) { s.Timestamp.Key = "t=" }, "timestamp.key"},
		{"key without list", "stripe", func(s *signature.Scheme) { s.List.Separator = "" }, "timestamp.key"},
		{"key without prefix", "stripe", func(s *signature.Scheme) { s.Prefix = "" }, "timestamp.key"},
		{"key is the prefix", "stripe", func(s *signature.Scheme) { s.Timestamp.Key = "V1" }, "timestamp.key"},
		{"separator", "stripe", func(s *signature.Scheme) { s.List.Separator = ", " }, "list.separator"},
		{"separator of the alphabet", "stripe", func(s *signature.Scheme) { s.List.Separator = "a" }, "list.separator"},
		{"separator in prefix", "standard-webhooks", func(s *signature.Scheme) { s.List.Separator = "," }, "list.separator"},
		{"static signs", "token", func(s *signature.Scheme) { s.Signed = "{body}" }, "signed"},
		{"static everything", "token", func(s *signature.Scheme) {
			s.Timestamp.Header, s.List.Separator, s.IDHeader = "t", ",", "i"
		}, "timestamp list id_header"},
		{"nothing at all", "", func(*signature.Scheme) {}, "header algorithm encoding secret_encoding signed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s signature.Scheme
			if tc.preset != "" {
				s = preset(t, tc.preset)
			}
			tc.change(&s)
			var fields []string
			for _, f := range s.Validate() {
				fields = append(fields, f.Field)
				if f.Problem == "" || f.Error() != f.Field+": "+f.Problem {
					t.Errorf("fault says %q", f.Error())
				}
			}
			if got := strings.Join(fields, " "); got != tc.fields {
				t.Errorf("faults in %q, want %q: %v", got, tc.fields, s.Validate())
			}
			if _, err := signature.NewVerifier(s, []signature.Secret{secret("a", "b")}); err == nil {
				t.Error("NewVerifier takes it")
			}
			if _, err := signature.Sign(s, secret("a", "b"), nil, at(), "i"); err == nil {
				t.Error("Sign takes it")
			}
		})
	}
}

func TestParseNames(t *testing.T) {
	for _, a := range signature.Algorithms() {
		if got, err := signature.ParseAlgorithm(string(a)); got != a || err != nil {
			t.Errorf("%q: %q, %v", a, got, err)
		}
	}
	for _, e := range signature.Encodings() {
		if got, err := signature.ParseEncoding(string(e)); got != e || err != nil {
			t.Errorf("%q: %q, %v", e, got, err)
		}
	}
	for _, e := range signature.SecretEncodings() {
		if got, err := signature.ParseSecretEncoding(string(e)); got != e || err != nil {
			t.Errorf("%q: %q, %v", e, got, err)
		}
	}
	for _, u := range signature.Units() {
		if got, err := signature.ParseUnit(string(u)); got != u || err != nil {
			t.Errorf("%q: %q, %v", u, got, err)
		}
	}
	for _, s := range []string{"", "HEX", "hmac_sha256", "sha256"} {
		if _, err := signature.ParseAlgorithm(s); err == nil || !strings.Contains(err.Error(), `"hmac-sha256"`) {
			t.Errorf("algorithm %q: %v", s, err)
		}
		if _, err := signature.ParseEncoding(s); err == nil || !strings.Contains(err.Error(), `"base64"`) {
			t.Errorf("encoding %q: %v", s, err)
		}
		if _, err := signature.ParseSecretEncoding(s); err == nil {
			t.Errorf("secret encoding %q is taken", s)
		}
		if _, err := signature.ParseUnit(s); err == nil {
			t.Errorf("unit %q is taken", s)
		}
	}
}

func TestParseTemplate(t *testing.T) {
	for text, want := range map[string]string{
		"{body}": "", "{timestamp}.{body}": "", "{id}.{timestamp}.{body}": "", "v0:{timestamp}:{body}": "",
		"{body}{timestamp}{id}": "", "a{body}b": "", "{timestamp}": "exactly once", "": "exactly once", "body": "exactly once",
		"{body}{body}": "exactly once", "{id}{id}{body}": "{id} at most once", "{timestamp}{timestamp}{body}": "{timestamp} at most once",
		"{Body}": `"{Body}" is no placeholder`, "{url}{body}": `"{url}" is no placeholder`, "{body": `"{" is no placeholder`,
		"{body}}": `"}" is no placeholder`, "{{body}}": `"{{body}" is no placeholder`, "{}": `"{}" is no placeholder`,
	} {
		got, err := signature.ParseTemplate(text)
		switch {
		case want == "" && (err != nil || string(got) != text):
			t.Errorf("%q: %q, %v", text, got, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || got != ""):
			t.Errorf("%q: %q, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestNewVerifierRefusesSecrets(t *testing.T) {
	for _, tc := range []struct {
		name, preset string
		encoding     signature.SecretEncoding
		secrets      []signature.Secret
		want         []string
	}{
		{"none", "cxone", "", nil, []string{"no secret"}},
		{"empty", "cxone", "", []signature.Secret{secret("a", "")}, []string{`secret "a" is empty`}},
		{"nil", "cxone", "", []signature.Secret{{ID: "a"}}, []string{`secret "a" is empty`}},
		{"no id", "cxone", "", []signature.Secret{secret("a", "x"), secret("", "y")}, []string{"secret 2 has no id"}},
		{"twice", "cxone", "", []signature.Secret{secret("a", "x"), secret("a", "y")}, []string{`secret id "a" occurs twice`}},
		{"all at once", "cxone", "", []signature.Secret{secret("a", ""), secret("a", "y"), secret("", "z")}, []string{`"a" is empty`, `"a" occurs twice`, "no id"}},
		{"hex", "cxone", signature.SecretHex, []signature.Secret{secret("a", "c0ffee0")}, []string{`secret "a" is not hex`}},
		{"hex newline", "cxone", signature.SecretHex, []signature.Secret{secret("a", "c0ffee\n")}, []string{"is not hex"}},
		{"base64", "cxone", signature.SecretBase64, []signature.Secret{secret("a", "*")}, []string{"is not base64"}},
		{"base64 newline", "cxone", signature.SecretBase64, []signature.Secret{secret("a", "AAAA\n")}, []string{"is not base64"}},
		{"whsec", "standard-webhooks", "", []signature.Secret{secret("a", "whsec_!")}, []string{"is not base64"}},
		{"whsec alone", "standard-webhooks", "", []signature.Secret{secret("a", "whsec_")}, []string{"is empty"}},
		{"token newline", "token", "", []signature.Secret{secret("a", "x\n")}, []string{"cannot carry"}},
		{"token spaces", "token", "", []signature.Secret{secret("a", " x")}, []string{"cannot carry"}},
		{"token too long", "token", "", []signature.Secret{secret("a", strings.Repeat("x", 9000))}, []string{"longer than 8192"}},
		{"basic without colon", "basic", "", []signature.Secret{secret("a", "kennwort")}, []string{"no colon"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := preset(t, tc.preset)
			if tc.encoding != "" {
				s.SecretEncoding = tc.encoding
			}
			v, err := signature.NewVerifier(s, tc.secrets)
			if err == nil || v != nil {
				t.Fatal("taken")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			for _, k := range tc.secrets {
				if len(k.Value) > 1 && strings.Contains(err.Error(), string(k.Value)) {
					t.Errorf("%q shows a secret", err)
				}
			}
		})
	}
}

func TestSecretEncodings(t *testing.T) {
	s := preset(t, "cxone")
	raw := secret("a", "\x00\xff\xfe key")
	want := sign(t, s, raw, "{}")["X-Cxone-Signature"][0]
	for value, e := range map[string]signature.SecretEncoding{
		"00fffe206b6579": signature.SecretHex, "00FFFE206B6579": signature.SecretHex,
		"AP/+IGtleQ==": signature.SecretBase64, "AP_-IGtleQ": signature.SecretBase64,
		"whsec_AP/+IGtleQ==": signature.SecretWhsec, "AP/+IGtleQ": signature.SecretWhsec,
	} {
		s.SecretEncoding = e
		if got := sign(t, s, secret("a", value), "{}")["X-Cxone-Signature"][0]; got != want {
			t.Errorf("%s %q: another signature", e, value)
		}
	}
}
