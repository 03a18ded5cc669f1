package signature

import (
	"slices"
	"strings"
	"time"
)

// Scheme says where a signature stands, how it is written and what it covers.
// It is plain data: comparable, without a secret, safe to print. Fill it by
// hand or from [Preset], then ask [Scheme.Validate].
type Scheme struct {
	// Header names the header that carries the signature, in any case.
	Header    string
	Algorithm Algorithm
	Encoding  Encoding
	// Prefix stands before each signature ("sha256=", "Bearer "). It is matched
	// without regard to ASCII case (RFC 9110 §11.1 asks that of authentication
	// schemes; it proves nothing, so being lenient costs nothing). In a list it
	// is what marks the entries to look at ("v1,", "v1="): others are skipped.
	Prefix string
	// Signed says which bytes are signed. Empty for Static.
	Signed    Template
	Timestamp Timestamp
	List      List
	// IDHeader names the header whose value is {id} in Signed.
	IDHeader       string
	SecretEncoding SecretEncoding
}

// Timestamp says where the signed time stands. The zero value means that the
// scheme signs none. Header or Key is set, not both.
type Timestamp struct {
	Header string // the header that carries it
	Key    string // or the name of the list entry that does: "t" for "t=1700000000,v1=…"
	Unit   Unit
	// Tolerance is how far the signed time may lie before or after the
	// receiver's; exactly that far is still in.
	Tolerance time.Duration
}

// List says that a header holds several signatures, of which one must match.
// The zero value means that it holds exactly one.
type List struct {
	Separator string // one character: " ", "," or ";"
}

// Fault is one thing that is wrong with a Scheme.
type Fault struct {
	Field   string // as in the configuration: "header", "timestamp.unit"
	Problem string // what is wrong and what is wanted
}

// Error returns field and problem.
func (f Fault) Error() string { return f.Field + ": " + f.Problem }

// Validate returns everything that is wrong with the scheme, nil when it can be
// used.
func (s Scheme) Validate() []Fault {
	var c checker
	c.token("header", s.Header, true)
	member(&c, "algorithm", s.Algorithm, Algorithms())
	member(&c, "encoding", s.Encoding, Encodings())
	member(&c, "secret_encoding", s.SecretEncoding, SecretEncodings())
	c.refuse(!visible(s.Prefix, true), "prefix", "printable ASCII only")
	c.refuse(strings.HasPrefix(s.Prefix, " "), "prefix", "a header value cannot begin with a space")
	if s.Algorithm == Static {
		s.validateStatic(&c)
	} else {
		s.validateSigned(&c)
	}
	return c.faults
}

func (s Scheme) validateStatic(c *checker) {
	c.refuse(s.Signed != "", "signed", "algorithm static signs nothing")
	c.refuse(s.Timestamp != Timestamp{}, "timestamp", "algorithm static signs no time")
	c.refuse(s.List != List{}, "list", "algorithm static takes one value, not a list")
	c.refuse(s.IDHeader != "", "id_header", "algorithm static signs no id")
}

func (s Scheme) validateSigned(c *checker) {
	c.refuse(s.Encoding == Plain, "encoding", "plain is for algorithm static, want hex or base64")
	if _, err := s.Signed.parts(); err != nil {
		c.add("signed", err.Error())
	}
	c.token("id_header", s.IDHeader, false)
	c.refuse(s.Signed.has(slotID) && s.IDHeader == "", "id_header", "signed holds {id}: name the header that carries it")
	c.refuse(!s.Signed.has(slotID) && s.IDHeader != "", "id_header", "signed does not hold {id}")
	c.refuse(s.IDHeader != "" && strings.EqualFold(s.IDHeader, s.Header), "id_header", "is the signature's header")
	s.validateList(c)
	s.validateTimestamp(c)
}

func (s Scheme) validateList(c *checker) {
	sep := s.List.Separator
	if sep == "" {
		return
	}
	if len(sep) != 1 || !strings.Contains(" ,;", sep) {
		c.add("list.separator", `want " ", "," or ";"`)
		return
	}
	c.refuse(strings.Contains(s.Prefix, sep), "list.separator", "occurs in prefix")
	c.refuse(strings.Contains(s.Timestamp.Key, sep), "list.separator", "occurs in timestamp.key")
}

func (s Scheme) validateTimestamp(c *checker) {
	t := s.Timestamp
	if t == (Timestamp{}) {
		c.refuse(s.Signed.has(slotTimestamp), "timestamp", "signed holds {timestamp}: say where it stands")
		return
	}
	c.refuse(!s.Signed.has(slotTimestamp), "timestamp", "signed does not hold {timestamp}: a time that is not signed proves nothing")
	member(c, "timestamp.unit", t.Unit, Units())
	c.refuse(t.Tolerance <= 0, "timestamp.tolerance", "must be more than zero")
	if t.Key == "" {
		c.token("timestamp.header", t.Header, true)
		c.refuse(t.Header != "" && strings.EqualFold(t.Header, s.Header), "timestamp.header", "is the signature's header, use timestamp.key")
		return
	}
	c.refuse(t.Header != "", "timestamp.key", "is set beside timestamp.header, want one of them")
	c.refuse(!token(t.Key), "timestamp.key", "letters, digits and - _ . only")
	c.refuse(s.List.Separator == "", "timestamp.key", "names an entry of a list: set list.separator")
	c.refuse(s.Prefix == "", "timestamp.key", "needs a prefix that tells the signatures from the time")
	c.refuse(strings.EqualFold(t.Key+"=", s.Prefix), "timestamp.key", "is the signatures' prefix")
}

// defaultTolerance is the window that Stripe and the Standard Webhooks
// libraries use, each way.
const defaultTolerance = 5 * time.Minute

// PresetNames returns the names that Preset knows, in the order of the
// documentation.
func PresetNames() []string {
	return []string{"cxone", "standard-webhooks", "stripe", "token", "bearer", "basic"}
}

// Preset returns the scheme of that name, and false for an unknown one. It is
// complete but for "token", whose header the user names.
//
//   - cxone: HMAC-SHA256 of the body in hex. NICE publishes no such scheme; this is what integrators use.
//   - standard-webhooks: standardwebhooks.com, symmetric signatures (v1).
//   - stripe: docs.stripe.com/webhooks, "Verify webhook signatures manually" (v1). The secret is used as it stands, "whsec_" included.
//   - token: a shared secret in a header.
//   - bearer: Authorization: Bearer (RFC 6750 §2.1).
//   - basic: Authorization: Basic (RFC 7617); the secret is "user:password".
func Preset(name string) (Scheme, bool) {
	switch name {
	case "cxone":
		return Scheme{
			Header: "x-cxone-signature", Algorithm: HMACSHA256, Encoding: Hex,
			Signed: BodyOnly, SecretEncoding: SecretRaw,
		}, true
	case "standard-webhooks":
		return Scheme{
			Header: "webhook-signature", Algorithm: HMACSHA256, Encoding: Base64, Prefix: "v1,",
			Signed:    "{id}.{timestamp}.{body}",
			Timestamp: Timestamp{Header: "webhook-timestamp", Unit: Seconds, Tolerance: defaultTolerance},
			List:      List{Separator: " "}, IDHeader: "webhook-id", SecretEncoding: SecretWhsec,
		}, true
	case "stripe":
		return Scheme{
			Header: "stripe-signature", Algorithm: HMACSHA256, Encoding: Hex, Prefix: "v1=",
			Signed:    "{timestamp}.{body}",
			Timestamp: Timestamp{Key: "t", Unit: Seconds, Tolerance: defaultTolerance},
			List:      List{Separator: ","}, SecretEncoding: SecretRaw,
		}, true
	case "token":
		return Scheme{Algorithm: Static, Encoding: Plain, SecretEncoding: SecretRaw}, true
	case "bearer":
		return Scheme{
			Header: "authorization", Algorithm: Static, Encoding: Plain, Prefix: "Bearer ",
			SecretEncoding: SecretRaw,
		}, true
	case "basic":
		return Scheme{
			Header: "authorization", Algorithm: Static, Encoding: Base64, Prefix: "Basic ",
			SecretEncoding: SecretRaw,
		}, true
	default:
		return Scheme{}, false
	}
}

// checker gathers faults.
type checker struct{ faults []Fault }

func (c *checker) add(field, problem string) { c.faults = append(c.faults, Fault{field, problem}) }

func (c *checker) refuse(wrong bool, field, problem string) {
	if wrong {
		c.add(field, problem)
	}
}

func (c *checker) token(field, s string, needed bool) {
	switch {
	case s == "" && needed:
		c.add(field, "must be set")
	case s != "" && !token(s):
		c.add(field, "is not a header name")
	}
}

func member[T ~string](c *checker, field string, v T, all []T) {
	if !slices.Contains(all, v) {
		_, err := parse(field, string(v), all)
		c.add(field, err.Error())
	}
}

// token reports whether s is a header name of the kind in use: RFC 9110 §5.6.2,
// of its punctuation only what real names have.
func token(s string) bool {
	for i := range len(s) {
		if !alnum(s[i]) && !strings.ContainsRune("-_.", rune(s[i])) {
			return false
		}
	}
	return s != ""
}

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// visible reports whether s is printable ASCII, with or without spaces.
func visible(s string, spaces bool) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == ' ' && !spaces {
			return false
		}
	}
	return true
}

// canonical writes a header name as net/http keeps it: "X-Cxone-Signature".
// The name is a token.
func canonical(name string) string {
	b := []byte(strings.ToLower(name))
	for i := range b {
		if (i == 0 || b[i-1] == '-') && 'a' <= b[i] && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}
