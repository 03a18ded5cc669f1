package load

import (
	"fmt"
	"net/http"
	"strings"
)

// raw is a request as it stands, in which PATH, SIGNED and RIGHT (header
// lines with a wrong and with the right signature), LEN, HEXLEN and BODY are
// filled in.
func raw(due int, name, format string) Attack {
	return Attack{Name: name, due: due, ends: strings.Contains(name, "too "), make: func(a *attacker) []byte {
		b := a.evil()
		return []byte(strings.NewReplacer(
			"PATH", a.o.Path, "SIGNED", signed(Sign("wrong", b)), "RIGHT", a.right(b), "HEXLEN", fmt.Sprintf("%x", len(b)), "LEN", fmt.Sprint(len(b)), "BODY", string(b),
		).Replace(format))
	}}
}

// to is a request that is signed as it must be, but goes to another place.
func to(due int, name, method string, path func(a *attacker) string, headers ...string) Attack {
	return Attack{Name: name, due: due, make: func(a *attacker) []byte {
		b := a.evil()
		return a.request(method, path(a), b, append(headers[:len(headers):len(headers)], a.right(b))...)
	}}
}

// wires are about HTTP. Those that are signed as they must be are refused for
// what they are; where the framing is ambiguous, and net/http has decided
// before the relay sees it, they are not.
func wires() []Attack {
	path := func(a *attacker) string { return a.o.Path }
	const post = "POST PATH HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
	const wrong, right = post + "SIGNED\r\n", post + "RIGHT\r\n"
	const unauthorized, chunked = http.StatusUnauthorized, "Transfer-Encoding: chunked\r\n\r\n"
	return []Attack{
		to(http.StatusNotFound, "another path", "POST", func(a *attacker) string { return a.o.Path + "/" }),
		to(http.StatusNotFound, "a path that a cleaner would clean", "POST", func(a *attacker) string { return "/x/.." + a.o.Path }),
		to(http.StatusNotFound, "a path with two slashes", "POST", func(a *attacker) string { return "/" + a.o.Path }),
		to(http.StatusNotFound, "a path with an escaped slash", "POST", func(a *attacker) string { return "/" + strings.ReplaceAll(a.o.Path[1:], "/", "%2f") }),
		to(http.StatusNotFound, "a path in capitals", "POST", func(a *attacker) string { return strings.ToUpper(a.o.Path) }),
		to(http.StatusMethodNotAllowed, "another method", "PUT", path),
		to(http.StatusMethodNotAllowed, "a method in a header", "GET", path, "X-Http-Method-Override: POST"),
		raw(unauthorized, "length and chunks", wrong+"Content-Length: LEN\r\n"+chunked+"HEXLEN\r\nBODY\r\n0\r\n\r\n"),
		raw(unauthorized, "a chunk extension", wrong+chunked+"HEXLEN;a=b\r\nBODY\r\n0\r\n\r\n"),
		raw(unauthorized, "a second request behind the chunks", wrong+"Content-Length: 9\r\n"+chunked+"HEXLEN\r\nBODY\r\n0\r\n\r\n"+right+"Content-Length: LEN\r\n\r\nBODY"),
		raw(unauthorized, "a folded header line", post+"X-A: b\r\n RIGHT\r\nContent-Length: LEN\r\n\r\nBODY"),
		raw(unauthorized, "three hundred header lines", wrong+strings.Repeat("X-A: b\r\n", 300)+"Content-Length: LEN\r\n\r\nBODY"),
		raw(bad, "two lengths", right+"Content-Length: LEN\r\nContent-Length: 3\r\n\r\nBODY"),
		raw(bad, "a list of lengths", right+"Content-Length: LEN, LEN\r\n\r\nBODY"),
		raw(bad, "a length with a plus", right+"Content-Length: +LEN\r\n\r\nBODY"),
		raw(bad, "a chunk size with 0x", right+chunked+"0xHEXLEN\r\nBODY\r\n0\r\n\r\n"),
		raw(bad, "a chunk size below zero", right+chunked+"-1\r\nBODY\r\n0\r\n\r\n"),
		raw(bad, "a chunk extension of 32 KiB", right+chunked+"HEXLEN;a="+strings.Repeat("x", 32<<10)+"\r\nBODY\r\n0\r\n\r\n"),
		raw(bad, "a chunk without its end", right+chunked+"HEXLEN\r\nBODYxx\r\n0\r\n\r\n"),
		raw(http.StatusNotImplemented, "an unknown coding", right+"Transfer-Encoding: xchunked\r\n\r\nBODY"),
		raw(bad, "a chunk that is too short", right+chunked+"ffff\r\nBODY"),
		raw(bad, "a length that is too long", right+"Content-Length: 99999\r\n\r\nBODY"),
		raw(bad, "a space before the colon", post+"Content-Length : LEN\r\nRIGHT\r\n\r\nBODY"),
		raw(bad, "no host", "POST PATH HTTP/1.1\r\nConnection: close\r\nContent-Length: LEN\r\nRIGHT\r\n\r\nBODY"),
		raw(bad, "two hosts", right+"Host: g\r\nContent-Length: LEN\r\n\r\nBODY"),
		raw(http.StatusRequestHeaderFieldsTooLarge, "a header of 64 KiB", right+"X-Big: "+strings.Repeat("b", 64<<10)+"\r\nContent-Length: LEN\r\n\r\nBODY"),
		raw(bad, "a zero byte in a header", right+"X-Zero: a\x00b\r\nContent-Length: LEN\r\n\r\nBODY"),
		raw(http.StatusExpectationFailed, "an expectation of nobody", right+"Expect: 200-ok\r\nContent-Length: LEN\r\n\r\nBODY"),
		raw(http.StatusHTTPVersionNotSupported, "HTTP/3 by name", strings.Replace(right, "HTTP/1.1", "HTTP/3.0", 1)+"Content-Length: LEN\r\n\r\nBODY"),
		raw(bad, "HTTP/0.9", "POST PATH\r\n\r\n"),
		raw(http.StatusNotFound, "HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		raw(bad, "no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"+strings.Repeat("\x00", 64)+"\r\n\r\n"),
	}
}
