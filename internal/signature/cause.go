package signature

// Cause is the closed set of reasons why a signature does not match although
// the secret is known.
type Cause string

// The causes, from the secret to the body.
const (
	CauseOtherSecret    Cause = "other_secret"     // made with a secret that is not the source's
	CauseSecretEncoding Cause = "secret_encoding"  // the secret is to be decoded first, or was decoded and should not be
	CauseSecretNewline  Cause = "secret_newline"   // a line end belongs to the key
	CauseSecretBlanks   Cause = "secret_blanks"    // blanks or a byte order mark around the secret
	CauseSecretQuotes   Cause = "secret_quotes"    // quotes around the secret
	CauseSecretCharset  Cause = "secret_charset"   // the key is the secret in another charset
	CauseWhsec          Cause = "whsec_prefix"     // "whsec_" belongs to the key, or does not
	CauseHeader         Cause = "header"           // the signature stands in another header
	CauseRepeated       Cause = "repeated"         // a header stands several times
	CauseList           Cause = "list"             // it is one of a list, or alone
	CausePrefix         Cause = "prefix"           // the text before it is missing, extra or another
	CauseDecoration     Cause = "decoration"       // white space, quotes or percent signs
	CauseEncoding       Cause = "encoding"         // hex for base64, or the other way round
	CauseLetterCase     Cause = "letter_case"      // base64 in one case: it was folded on the way
	CauseAlgorithm      Cause = "algorithm"        // another hash, or the secret itself
	CauseTimeNotSigned  Cause = "timestamp_extra"  // the scheme signs the time, the sender does not
	CauseTimeSigned     Cause = "timestamp_signed" // the sender signs the time, the scheme does not
	CauseTemplate       Cause = "template"         // the parts are joined in another way
	CauseClock          Cause = "clock"            // right, but signed outside the window
	CauseUnit           Cause = "timestamp_unit"   // the time is in another unit
	CauseEmptyBody      Cause = "empty_body"       // nothing was signed, or nothing arrived
	CauseNewline        Cause = "newline"          // a line end was added or lost at the end
	CauseWhiteSpace     Cause = "white_space"      // white space around the body
	CauseLineEnds       Cause = "line_ends"        // CRLF for LF, or the other way round
	CauseByteOrderMark  Cause = "byte_order_mark"  // added or lost
	CauseCharset        Cause = "charset"          // the text was written in another charset
	CauseReserialised   Cause = "reserialised"     // parsed and written again
	CauseBodyEncoding   Cause = "body_encoding"    // base64 or gzip, or no longer
)

// Causes returns all causes, in order.
func Causes() []Cause {
	return []Cause{
		CauseOtherSecret, CauseSecretEncoding, CauseSecretNewline, CauseSecretBlanks, CauseSecretQuotes, CauseSecretCharset, CauseWhsec,
		CauseHeader, CauseRepeated, CauseList, CausePrefix, CauseDecoration, CauseEncoding, CauseLetterCase, CauseAlgorithm,
		CauseTimeNotSigned, CauseTimeSigned, CauseTemplate, CauseClock, CauseUnit,
		CauseEmptyBody, CauseNewline, CauseWhiteSpace, CauseLineEnds, CauseByteOrderMark, CauseCharset, CauseReserialised, CauseBodyEncoding,
	}
}

// Departure is one way in which a request differs from what the scheme asks.
// It holds nothing of secret, signature or body.
type Departure struct {
	Cause  Cause
	How    string // as the end of "it would match …"
	Remedy string // what to do, where that is known
}

// Remedies that several variations share.
const (
	remedyBody      = "sign the bytes that are sent, and let every proxy pass them on: never parse and write the body again before the check"
	remedySecret    = "store the secret exactly as the sender has it"
	remedyTimeExtra = `set signed: "{body}" and take timestamp out; a repeated request is then as good as the first`
)
