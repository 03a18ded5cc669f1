package httpd_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// after says what became of the connection.
type after bool

const (
	open   after = true
	closed after = false
)

// TestWire sends requests byte by byte as they are and looks at what comes
// back, what was taken as a body, and whether the connection goes on.
func TestWire(t *testing.T) {
	long := strings.Repeat("x", limit)
	var many []string
	for range 300 {
		many = append(many, "X-A: b")
	}
	to := func(method, target string) string {
		return method + " " + target + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 0\r\n\r\n"
	}
	for _, row := range []struct {
		name   string
		raw    string
		codes  []int
		reason string // of the last answer; "": net/http's own answer
		bodies []string
		then   after
	}{
		// Framing.
		{"plain", post("{}"), []int{200}, "accepted", []string{"{}"}, open},
		{"empty body", post(""), []int{200}, "accepted", []string{""}, open},
		{"no length", "POST " + path + " HTTP/1.1\r\nHost: relay\r\n\r\n", []int{200}, "accepted", []string{""}, open},
		{"pipelined", post("1") + post("2") + post("3"), []int{200, 200, 200}, "accepted", []string{"1", "2", "3"}, open},
		{"chunked", chunked("2\r\n{}\r\n0\r\n\r\n"), []int{200}, "accepted", []string{"{}"}, closed},
		{"chunked in capitals", "POST " + path + " HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n", []int{200}, "accepted", []string{""}, closed},
		{"chunked beside a length", chunked("2\r\n{}\r\n0\r\n\r\n", "Content-Length: 30"), []int{200}, "accepted", []string{"{}"}, closed},
		{"chunk extension", chunked("2;a=b;c=\"d\"\r\n{}\r\n0;e\r\n\r\n"), []int{200}, "accepted", []string{"{}"}, closed},
		{"long chunk extension", chunked("2;a=" + long + long + "\r\n{}\r\n0\r\n\r\n"), []int{400}, "body_incomplete", nil, closed},
		{"trailer", chunked("2\r\n{}\r\n0\r\nX-Cxone-Signature: ff\r\n\r\n", "Trailer: X-Cxone-Signature"), []int{200}, "accepted", []string{"{}"}, closed},
		{"forbidden trailer", chunked("0\r\n\r\n", "Trailer: Content-Length"), []int{400}, "", nil, closed},
		{"chunk size 0x2", chunked("0x2\r\n{}\r\n0\r\n\r\n"), []int{400}, "body_incomplete", nil, closed},
		{"negative chunk size", chunked("-1\r\n{}\r\n0\r\n\r\n"), []int{400}, "body_incomplete", nil, closed},
		{"huge chunk size", chunked("ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"), []int{400}, "body_incomplete", nil, closed},
		{"chunk longer than said", chunked("2\r\n{}xx\r\n0\r\n\r\n"), []int{400}, "body_incomplete", nil, closed},
		{"other transfer coding", chunked("", "Transfer-Encoding: gzip"), []int{501}, "", nil, closed},
		{"transfer coding list", "POST " + path + " HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", []int{501}, "", nil, closed},
		{"equal lengths", post("{}", "Content-Length: 2"), []int{200}, "accepted", []string{"{}"}, open},
		{"differing lengths", post("{}", "Content-Length: 1"), []int{400}, "", nil, closed},
		{"length list", "POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: 2, 2\r\n\r\n{}", []int{400}, "", nil, closed},
		{"signed length", "POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: +2\r\n\r\n{}", []int{400}, "", nil, closed},
		{"empty length", "POST " + path + " HTTP/1.1\r\nHost: relay\r\nContent-Length: \r\n\r\n{}", []int{400}, "", nil, closed},
		{"HTTP/1.0", "POST " + path + " HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}", []int{200}, "accepted", []string{"{}"}, closed},
		{"HTTP/1.0 with transfer coding", "POST " + path + " HTTP/1.0\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n{}0\r\n\r\n", []int{200}, "accepted", []string{"{}"}, closed},
		{"HTTP/0.9", "POST " + path + "\r\n\r\n", []int{400}, "", nil, closed},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{404}, "not_found", nil, closed},
		{"HTTP/3.0", "POST " + path + " HTTP/3.0\r\nHost: relay\r\n\r\n", []int{505}, "", nil, closed},
		{"upgrade to h2c", post("{}", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), []int{200}, "accepted", []string{"{}"}, open},

		// Header lines.
		{"folded line", post("{}", "X-A: b", " c"), []int{200}, "accepted", []string{"{}"}, open},
		{"bare LF", strings.ReplaceAll(post("{}"), "\r\n", "\n"), []int{200}, "accepted", []string{"{}"}, open},
		{"space before colon", post("{}", "X-A : b"), []int{400}, "", nil, closed},
		{"no colon", post("{}", "X-A"), []int{400}, "", nil, closed},
		{"NUL in a value", post("{}", "X-A: b\x00c"), []int{400}, "", nil, closed},
		{"no host", "POST " + path + " HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", []int{400}, "", nil, closed},
		{"two hosts", post("{}", "Host: other"), []int{400}, "", nil, closed},
		{"300 lines", post("{}", many...), []int{200}, "accepted", []string{"{}"}, open},
		{"header over the limit", post("", "X-A: "+strings.Repeat("x", 64<<10)), []int{431}, "", nil, closed},
		{"other expectation", post("{}", "Expect: 200-ok"), []int{417}, "", nil, closed},
		{"client closes", post("{}", "Connection: close"), []int{200}, "accepted", []string{"{}"}, closed},

		// Paths: exactly, and never a redirect.
		{"query", to("POST", path+"?a=b"), []int{200}, "accepted", []string{""}, open},
		{"absolute form", to("POST", "http://elsewhere"+path), []int{200}, "accepted", []string{""}, open},
		{"double slash", to("POST", "/"+path), []int{404}, "not_found", nil, open},
		{"dot segments", to("POST", "/x/.."+path), []int{404}, "not_found", nil, open},
		{"trailing slash", to("POST", path+"/"), []int{404}, "not_found", nil, open},
		{"escaped slash", to("POST", "/cxone%2fwebhook"), []int{404}, "not_found", nil, open},
		{"escaped letter", to("POST", "/cxone/web%68ook"), []int{404}, "not_found", nil, open},
		{"other case", to("POST", "/CXone/webhook"), []int{404}, "not_found", nil, open},
		{"parameter", to("POST", path+";a=b"), []int{404}, "not_found", nil, open},
		{"no metrics here", to("GET", "/metrics"), []int{404}, "not_found", nil, open},

		// Methods.
		{"GET", to("GET", path), []int{405}, "method_not_allowed", nil, open},
		{"HEAD", to("HEAD", path), []int{405}, "", nil, open},
		{"PUT", to("PUT", path), []int{405}, "method_not_allowed", nil, open},
		{"PUT with a body", strings.Replace(post("{}"), "POST", "PUT", 1), []int{405}, "method_not_allowed", nil, closed},
		{"post", to("post", path), []int{405}, "method_not_allowed", nil, open},
		{"OPTIONS *", to("OPTIONS", "*"), []int{404}, "not_found", nil, open},
		{"CONNECT", to("CONNECT", "relay:80"), []int{404}, "not_found", nil, open},
		{"CONNECT path", to("CONNECT", path), []int{405}, "method_not_allowed", nil, open},
		{"override", strings.Replace(post("", "X-HTTP-Method-Override: POST", "X-Method-Override: POST"), "POST", "GET", 1), []int{405}, "method_not_allowed", nil, open},

		// Sizes and codings.
		{"at the limit", post(long), []int{200}, "accepted", []string{long}, open},
		{"over the limit", post(long + "x"), []int{413}, "too_large", nil, closed},
		{"chunked at the limit", chunked("2000\r\n" + long + "\r\n0\r\n\r\n"), []int{200}, "accepted", []string{long}, closed},
		{"chunked over the limit", chunked("2001\r\n" + long + "x\r\n0\r\n\r\n"), []int{413}, "too_large", nil, closed},
		{"identity", post("{}", "Content-Encoding: Identity"), []int{200}, "accepted", []string{"{}"}, open},
		{"gzip", post("{}", "Content-Encoding: gzip"), []int{415}, "unsupported", nil, closed},
		{"gzip after identity", post("{}", "Content-Encoding: identity", "Content-Encoding: gzip"), []int{415}, "unsupported", nil, closed},
		{"gzip and no body", post("", "Content-Encoding: gzip"), []int{415}, "unsupported", nil, open},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, nil)
			c := f.client()
			go func() { _, _ = c.Write([]byte(row.raw)) }() // the server may stop reading
			var last *reply
			for i, code := range row.codes {
				last = c.reply(strings.SplitN(row.raw, " ", 2)[0])
				if last.code != code {
					t.Fatalf("answer %d is %d, want %d: %s", i, last.code, code, last.text)
				}
			}
			if last.Reason != row.reason {
				t.Errorf("reason %q, want %q", last.Reason, row.reason)
			}
			if row.reason != "" && (last.header.Get("Connection") == "close") != (row.then == closed) {
				t.Errorf("Connection: %q", last.header.Get("Connection"))
			}
			if got := last.header.Get("Allow"); (got == "POST") != (last.code == http.StatusMethodNotAllowed) {
				t.Errorf("Allow: %q with %d", got, last.code)
			}
			if _, _, _, bodies := f.gate.snapshot(); !reflect.DeepEqual(bodies, row.bodies) {
				t.Errorf("bodies %q, want %q", bodies, row.bodies)
			}
			if row.then == open {
				c.isOpen()
			} else {
				c.isClosed()
			}
		})
	}
}

// TestSmuggling: whichever of two lengths somebody in front of us believes,
// what follows the chunked body is never taken as a request.
func TestSmuggling(t *testing.T) {
	evil := post("EVIL")
	for _, row := range []struct{ name, raw string }{
		{"behind the last chunk", chunked("2\r\n{}\r\n0\r\n\r\n"+evil, "Content-Length: 500")},
		{"length of the first chunk only", chunked("2\r\n{}\r\n0\r\n\r\n"+evil, "Content-Length: 7")},
		{"in HTTP/1.0", "POST " + path + " HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}" + evil},
		{"behind a refused body", chunked("3000\r\n" + strings.Repeat("x", 0x3000) + "\r\n0\r\n\r\n" + evil)},
		{"behind a broken chunk", chunked("2\r\n{}!\r\n0\r\n\r\n" + evil)},
		{"behind a body nobody reads", post("{}", "Content-Encoding: gzip") + evil},
		{"behind a body of an unknown path", strings.Replace(post("{}"), path, "/other", 1) + evil},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := start(t, nil)
			c := f.client()
			c.send(row.raw)
			if a := c.reply("POST"); a.header.Get("Connection") != "close" {
				t.Errorf("the answer %d does not close the connection", a.code)
			}
			c.isClosed()
			begun, _, _, bodies := f.gate.snapshot()
			if begun != 1 || strings.Contains(strings.Join(bodies, ""), "EVIL") {
				t.Errorf("%d requests seen, bodies %q", begun, bodies)
			}
		})
	}
}
