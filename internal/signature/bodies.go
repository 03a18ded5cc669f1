package signature

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

const byteOrderMark = "\xef\xbb\xbf"

// bodyList gathers relatives of a body, each content once.
type bodyList struct {
	all  []variation[[]byte]
	seen map[string]bool
}

func newBodyList(body []byte) *bodyList {
	return &bodyList{[]variation[[]byte]{{value: body}}, map[string]bool{string(body): true}}
}

func (l *bodyList) add(b []byte, cause Cause, how, remedy string) {
	if !l.seen[string(b)] {
		l.seen[string(b)] = true
		l.all = append(l.all, variation[[]byte]{b, depart(nil, cause, how, remedy)})
	}
}

// nearBodies returns the body and what proxies, editors and shells make of one.
func nearBodies(body []byte) []variation[[]byte] {
	l := newBodyList(body)
	l.near(body)
	return l.all
}

func (l *bodyList) near(body []byte) {
	const ends = "send the file as it is (curl --data-binary, not --data), and keep editors from adding a newline"
	const lines = "send the file as it is (curl --data-binary, not --data), and turn off the conversion of line ends"
	const mark = "write the file as UTF-8 without a byte order mark, before it is signed"
	lf := bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	l.add(bytes.TrimSuffix(body, []byte("\n")), CauseNewline, "with the newline at the body's end removed", ends)
	l.add(append(bytes.Clone(body), '\n'), CauseNewline, "with a newline added at the body's end", ends)
	l.add(bytes.TrimSuffix(body, []byte("\r\n")), CauseNewline, "with the CRLF at the body's end removed", ends)
	l.add(append(bytes.Clone(body), '\r', '\n'), CauseNewline, "with a CRLF added at the body's end", ends)
	l.add(bytes.TrimSpace(body), CauseWhiteSpace, "with the white space around the body removed", remedyBody)
	l.add(bytes.TrimPrefix(body, []byte(byteOrderMark)), CauseByteOrderMark, "without the byte order mark before the body", mark)
	l.add(append([]byte(byteOrderMark), body...), CauseByteOrderMark, "with a byte order mark before the body", mark)
	l.add(lf, CauseLineEnds, "with line ends LF instead of CRLF in the body", lines)
	l.add(bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n")), CauseLineEnds, "with line ends CRLF instead of LF in the body", lines)
	l.add(bytes.ReplaceAll(lf, []byte("\n"), nil), CauseLineEnds, "with all line ends removed from the body", lines)
	l.add(nil, CauseEmptyBody, "over an empty body", "have the sender sign the body: it signed nothing, or something read the body before it was signed")
}

// farBodies returns every relative of the body that Explain looks at.
func farBodies(body []byte) []variation[[]byte] {
	l := newBodyList(body)
	l.near(body)
	l.charsets(body)
	l.encodings(body)
	if len(body) <= maxReserialised {
		l.reserialised(body)
	}
	return l.all
}

// charsets adds the same text in other charsets, both ways.
func (l *bodyList) charsets(body []byte) {
	const remedy = "sign and send the same bytes; JSON is UTF-8 (RFC 8259 §8.1)"
	if !utf8.Valid(body) {
		l.add(fromLatin1(body), CauseCharset, "with the body turned from Latin-1 into UTF-8", remedy)
		l.add(bytes.ToValidUTF8(body, []byte("\ufffd")), CauseCharset, "with each run of bytes that are not UTF-8 replaced", remedy)
	}
	if b, ok := toLatin1(body); ok {
		l.add(b, CauseCharset, "with the body written as Latin-1", remedy)
	}
	for _, c := range []struct {
		name  string
		order interface {
			binary.ByteOrder
			binary.AppendByteOrder
		}
	}{{"UTF-16LE", binary.LittleEndian}, {"UTF-16BE", binary.BigEndian}} {
		if utf8.Valid(body) {
			b := utf16Bytes(string(body), c.order)
			l.add(b, CauseCharset, "with the body written as "+c.name, remedy)
			l.add(append(c.order.AppendUint16(nil, 0xfeff), b...), CauseCharset, "with the body written as "+c.name+", with a byte order mark", remedy)
		}
		if b, ok := fromUTF16(body, c.order); ok {
			l.add(b, CauseCharset, "with the body turned from "+c.name+" into UTF-8", remedy)
		}
	}
}

func toLatin1(body []byte) ([]byte, bool) {
	out := make([]byte, 0, len(body))
	for _, r := range string(body) {
		if r > 0xff {
			return nil, false
		}
		out = append(out, byte(r))
	}
	return out, true
}

func fromLatin1(body []byte) []byte {
	var out []byte
	for _, b := range body {
		out = utf8.AppendRune(out, rune(b))
	}
	return out
}

func fromUTF16(body []byte, order binary.ByteOrder) ([]byte, bool) {
	if len(body) == 0 || len(body)%2 != 0 {
		return nil, false
	}
	var units []uint16
	for i := 0; i < len(body); i += 2 {
		units = append(units, order.Uint16(body[i:]))
	}
	if units[0] == 0xfeff {
		units = units[1:]
	}
	return []byte(string(utf16.Decode(units))), true
}

// maxUnpacked bounds what a gzip body may become.
const maxUnpacked = 4 << 20

// encodings adds the body without, and with, what gateways wrap around one.
func (l *bodyList) encodings(body []byte) {
	const remedy = "have the gateway pass the body on as it came"
	if b, ok := appendDecoded(nil, bytes.TrimSpace(body), Base64); ok && len(b) > 0 {
		l.add(b, CauseBodyEncoding, "over what the body is the base64 of", remedy)
	}
	l.add([]byte(base64.StdEncoding.EncodeToString(body)), CauseBodyEncoding, "over the body as base64", remedy)
	if zip, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
		if plain, err := io.ReadAll(io.LimitReader(zip, maxUnpacked)); err == nil {
			l.add(plain, CauseBodyEncoding, "over the body without its gzip", "have the sender send no Content-Encoding; the relay refuses one")
		}
	}
}
