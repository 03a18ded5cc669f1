package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/signature"
)

const sendersDir = "../../internal/signature/testdata/senders"

// sender is a row of senders.json.
type sender struct {
	Name, Row     string
	Secret, Other string
	At            int64
	Assumed       string
	Scheme        signature.Scheme
}

func allSenders(t *testing.T) []sender {
	t.Helper()
	var all []sender
	if err := json.Unmarshal([]byte(readPage(t, filepath.Join(sendersDir, "senders.json"))), &all); err != nil || len(all) < 40 {
		t.Fatalf("%d senders, %v", len(all), err)
	}
	return all
}

// writeFile writes a file of the test and returns its name.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// loadBlock loads a signature block as the source of a configuration.
func loadBlock(t *testing.T, block string) *config.Config {
	t.Helper()
	cfg, warnings, err := config.Load(config.Source{
		File: "block.yaml", Data: []byte("sources:\n  - name: cxone\n" + block),
		Env: []string{"KAFKA_BROKERS=k:9092", "SCHEMA_REGISTRY_URL=http://r:8081"},
		ReadFile: func(name string) ([]byte, error) {
			switch {
			case strings.HasPrefix(name, "/run/secrets/") && strings.Contains(block, "preset: standard-webhooks"):
				return []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), nil
			case strings.HasPrefix(name, "/run/secrets/"):
				return []byte("user:password\n"), nil
			}
			return os.ReadFile(name)
		},
	})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v\n%s", err, warnings, block)
	}
	return cfg
}

// Every sender: the search prints a block, the configuration loads it, and the
// relay's verifier and the command with it take the request.
func TestVerifySenders(t *testing.T) {
	t.Setenv("KAFKA_BROKERS", "k:9092")
	t.Setenv("SCHEMA_REGISTRY_URL", "http://r:8081")
	for _, s := range allSenders(t) {
		t.Run(s.Name, func(t *testing.T) {
			request, secret := filepath.Join(sendersDir, s.Name+".http"), writeFile(t, "fixture", s.Secret+"\n")
			code, block, stderr := runMain(t.Context(), "", "verify", request, "--search", "--secret-file", secret)
			if code != 0 || stderr != "" || strings.Contains(block, s.Secret) {
				t.Fatalf("exit %d\n%s%s", code, block, stderr)
			}
			source := loadBlock(t, block).Sources[0]
			source.Scheme.Header, s.Scheme.Header = strings.ToLower(source.Scheme.Header), strings.ToLower(s.Scheme.Header)
			if source.Scheme != s.Scheme {
				t.Errorf("found %+v\nwant  %+v", source.Scheme, s.Scheme)
			}
			file := writeFile(t, "relay.yaml", "sources:\n  - name: cxone\n"+block)
			code, stdout, stderr := runMain(t.Context(), "", "verify", request, "--config", file, "--at", strconv.FormatInt(s.At, 10))
			if code != 0 || !strings.HasPrefix(stdout, "matches: ") || strings.Contains(stdout, s.Secret) {
				t.Errorf("exit %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

// Every sender, with a secret that somebody put into quotes: it is named, and
// not shown.
func TestVerifyQuotedSecrets(t *testing.T) {
	for _, s := range allSenders(t) {
		request, secret := filepath.Join(sendersDir, s.Name+".http"), writeFile(t, "fixture", "'"+s.Secret+"'")
		for _, form := range []string{"text", "json"} {
			code, stdout, stderr := runMain(t.Context(), "", "verify", request, "--search", "--secret-file", secret, "--format", form)
			if code != exitFindings || !strings.Contains(stdout+stderr, "secret_quotes") || strings.Contains(stdout+stderr, s.Secret) {
				t.Errorf("%s: exit %d\n%s%s", s.Name, code, stdout, stderr)
			}
		}
	}
}

// Whatever is not supported is called by name.
func TestVerifyForeign(t *testing.T) {
	secret := writeFile(t, "fixture", "fixture-secret-2026")
	files, err := filepath.Glob(filepath.Join(sendersDir, "foreign-*.http"))
	if err != nil || len(files) < 14 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		code, stdout, _ := runMain(t.Context(), "", "verify", file, "--secret-file", secret)
		if code != exitFindings || !strings.Contains(stdout, "which the relay does not support:\n") {
			t.Errorf("%s: exit %d\n%s", file, code, stdout)
		}
	}
}

func TestVerifyFailsWithItsOutput(t *testing.T) {
	secret := writeFile(t, "fixture", "fixture-secret-2026")
	for _, more := range [][]string{nil, {"--search"}, {"--format", "json"}, {"--search", "--format", "json"}} {
		var errs bytes.Buffer
		args := append([]string{"verify", filepath.Join(sendersDir, "cxone.http"), "--secret-file", secret}, more...)
		if code := Main(t.Context(), args, nil, brokenWriter{}, &errs); code != exitFailed || !strings.Contains(errs.String(), io.ErrClosedPipe.Error()) {
			t.Errorf("%v: exit %d, %s", more, code, errs.String())
		}
	}
}

func TestParseHTTP(t *testing.T) {
	for _, tc := range []struct {
		name, in     string
		method, path string
		fields       string
		body         string
		notes        int
		fault        string
	}{
		{"CRLF", "POST /a?b HTTP/1.1\r\nHost: x\r\nA: b c \r\n\r\n{}\r\n", "POST", "/a", "[{Host x} {A b c}]", "{}\r\n", 0, ""},
		{"LF", "POST /a HTTP/1.1\nA:b\n\n{\n}\n", "POST", "/a", "[{A b}]", "{\n}\n", 0, ""},
		{"without a version", "POST /a\n\nx", "POST", "/a", "[]", "x", 0, ""},
		{"whole URL", "POST https://x.example/a/b?c HTTP/1.1\n\n", "POST", "/a/b", "[]", "", 0, ""},
		{"twice", "POST / HTTP/1.1\na: 1\nA: 2\n\n", "POST", "/", "[{a 1} {A 2}]", "", 0, ""},
		{"HTTP/2 names", "POST / HTTP/2\n:authority: x\na: 1\n\n", "POST", "/", "[{a 1}]", "", 0, ""},
		{"folded", "POST / HTTP/1.1\na: 1\n\t2\n\n", "POST", "/", "[{a 1 2}]", "", 1, ""},
		{"no end", "POST / HTTP/1.1\na: 1", "POST", "/", "[{a 1}]", "", 1, ""},
		{"newline added", "POST / HTTP/1.1\nContent-Length: 2\n\n{}\n", "POST", "/", "[{Content-Length 2}]", "{}", 1, ""},
		{"newline that belongs to the body", "POST / HTTP/1.1\nContent-Length: 3\n\n{}\n", "POST", "/", "[{Content-Length 3}]", "{}\n", 0, ""},
		{"too short", "POST / HTTP/1.1\nContent-Length: 5\n\n{}", "POST", "/", "[{Content-Length 5}]", "{}", 1, ""},
		{"too long", "POST / HTTP/1.1\nContent-Length: 1\n\n{}", "POST", "/", "[{Content-Length 1}]", "{}", 1, ""},
		{"chunks", "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n2;x=y\r\n{\n\r\n1\r\n}\r\n0\r\n\r\n", "POST", "/", "[{Transfer-Encoding chunked}]", "{\n}", 1, ""},
		{"no chunks any more", "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n{}", "POST", "/", "[{Transfer-Encoding chunked}]", "{}", 1, ""},
		{"broken chunks", "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n9\r\n{}", "POST", "/", "[{Transfer-Encoding chunked}]", "9\r\n{}", 1, ""},
		{"not UTF-8", "POST / HTTP/1.1\n\n\xff\x00", "POST", "/", "[]", "\xff\x00", 0, ""},
		{"empty", "", "", "", "", "", 0, "line 1: this is no request line"},
		{"response", "HTTP/1.1 200 OK\n\n", "", "", "", "", 0, "line 1: this is a response"},
		{"no target", "POST  HTTP/1.1\n\n", "", "", "", "", 0, "line 1: this is no request line"},
		{"small letters", "post / HTTP/1.1\n\n", "", "", "", "", 0, "line 1"},
		{"no colon", "POST / HTTP/1.1\na: b\nsecret stuff\n\n", "", "", "", "", 0, "line 3: this is no header, want Name: value"},
		{"space before the colon", "POST / HTTP/1.1\na : b\n\n", "", "", "", "", 0, "line 2"},
		{"fold first", "POST / HTTP/1.1\n a\n\n", "", "", "", "", 0, "line 2: the first header begins with a blank"},
		{"length", "POST / HTTP/1.1\nContent-Length: -1\n\n", "", "", "", "", 0, "the Content-Length is no number"},
	} {
		c, err := parseHTTP([]byte(tc.in))
		if tc.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tc.fault) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if c.method != tc.method || c.path != tc.path || fmt.Sprint(c.Fields) != tc.fields || string(c.Body) != tc.body || len(c.notes) != tc.notes {
			t.Errorf("%s: %+v", tc.name, c)
		}
	}
}

// FuzzParseHTTP: what a server of net/http reads as a request of one body is
// read alike.
func FuzzParseHTTP(f *testing.F) {
	for _, seed := range []string{
		"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "POST / HTTP/1.1\nHost: x\nA: b\nA: c\n\n",
		"POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n2\r\n{}\r\n0\r\n\r\n", "POST / HTTP/1.1\nHost: x\nA: b\n c\n\n", "GET /\n\n",
		"POST / HTTP/1.1\nHost: x\nA b: c\n\n", "POST / HTTP/1.1\nHost: x\nContent-Length: 2\nContent-Length: 2\n\n{}",
		"POST / HTTP/1.1\nHost: x\nPragma: no-cache\n\n", "POST / HTTP/1.0\nTransfer-Encoding: chunked\nContent-Length: 2\n\n2\r\n{}\r\n0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseHTTP(data)
		req, body, ok := serverReads(data)
		if !ok || strings.Contains(req.RequestURI, "\x00") || !isMethod(req.Method) || strings.Contains(req.RequestURI, " ") {
			return
		}
		if err != nil {
			t.Fatalf("%q: net/http reads it: %v", data, err)
		}
		ours := http.Header{}
		for _, f := range c.Fields {
			ours.Add(f.Name, f.Value)
		}
		chunked := len(req.TransferEncoding) > 0
		if !chunked && ours.Get("Transfer-Encoding") != "" { // HTTP/1.0, where it counts for nothing
			return
		}
		if !chunked && req.ContentLength > 0 && !bytes.HasPrefix(c.Body, body) || chunked && len(req.Trailer) == 0 && !bytes.Equal(c.Body, body) {
			t.Fatalf("%q: body %q, net/http has %q", data, c.Body, body)
		}
		// What net/http itself changes of the headers.
		ours["Content-Length"] = slices.Compact(ours["Content-Length"])
		if ours.Get("Pragma") == "no-cache" && ours["Cache-Control"] == nil {
			delete(req.Header, "Cache-Control")
		}
		for name, values := range req.Header {
			if !slices.Equal(ours[name], values) && !slices.ContainsFunc(c.notes, func(n string) bool { return strings.Contains(n, "several lines") }) {
				t.Fatalf("%q: %s is %q, net/http has %q", data, name, ours[name], values)
			}
		}
	})
}

// serverReads is http.ReadRequest with its body, less what a server refuses
// after it: names that are no token (a blank inside, go.dev/issue/34540).
func serverReads(data []byte) (req *http.Request, body []byte, ok bool) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		return nil, nil, false
	}
	for name := range req.Header {
		if !isToken(name) {
			return nil, nil, false
		}
	}
	body, err = io.ReadAll(req.Body)
	return req, body, err == nil
}

func TestShellWords(t *testing.T) {
	for in, want := range map[string][]string{
		`a  b	c`:          {"a", "b", "c"},
		`'a b' "c d"e\ f`: {"a b", "c de f"},
		`'' "" $''`:       {"", "", ""},
		`'a'\''b'`:        {"a'b"},
		`"a\"b\\c\d\$e$"`: {`a"b\c\d$e$`},
		`$'a\'b\n\t\x41\101\u20ac\U0001f600\\\q\e\cA\?'`: {"a'b\n\tAA€😀\\\\q\x1b\x01?"},
		"a \\\n b \\\r\n c":          {"a", "b", "c"},
		"'a\nb' \"c\nd\" \"e\\\nf\"": {"a\nb", "c\nd", "ef"},
		"\n\n# x y\na b # c\nd":      {"a", "b"},
		"a | b":                      {"a"},
		"a; b":                       {"a"},
		"a&":                         {"a"},
		"a#b":                        {"a#b"},
		"é ü":                        {"é", "ü"},
		"'\xff'\xfe":                 {"\xff\xfe"},
		`$"a b"`:                     {"a b"},
		"":                           nil,
	} {
		if got, err := shellWords(in); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		`a 'b`: "byte 3: a ' that is never closed", `a "b`: `byte 3: a " that is never closed`, `$'b`: "byte 1: a $' that is never closed",
		`a $b`: "byte 3: a variable", "`b`": "byte 1: a variable", `"$b"`: "byte 1: a variable", `"$(b)"`: "byte 1: a variable", "\"`b`\"": "byte 1: a variable",
		`a \`: "byte 3: a backslash", `a <b`: "byte 3: a redirection", `a >b`: "byte 3: a redirection", `(a)`: "byte 1: a redirection",
		`| a`: "byte 1: no command", `curl ^"x^"`: "byte 6: this is written for cmd.exe",
	} {
		if got, err := shellWords(in); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

// bash agrees with shellWords about every line that it reads.
func TestShellWordsAgainstBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("bash is not installed: in CI this test must run")
		}
		t.Skip("bash is not installed: the words are not compared with its own")
	}
	for _, line := range []string{
		`a  b	c`, `'a b' "c d"e\ f`, `'' "" $''`, `'a'\''b'`, `"a\"b\\c\d\$e"`, `$'a\'b\n\t\x41\101\u20ac\\\q\e\cA\?\x4\7z'`, "a \\\n b", "'a\nb' \"c\nd\" \"e\\\nf\"", `a#b`,
		`$'\xe9\xzz\u\U0001f600'`, `a"b"'c'$'d'`, `\a\'\"`, `a:b{c}`, `"\'"`, `$'\1234'`,
	} {
		words, err := shellWords(line)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		cmd := exec.CommandContext(t.Context(), bash, "-c", "set -f; printf '%s\\0' "+line)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if got := strings.Join(words, "\x00") + "\x00"; got != string(out) {
			t.Errorf("%q: %q, bash has %q", line, got, out)
		}
	}
}

// FuzzShellWords: words that are quoted come back, in either way of quoting,
// and nothing that is read makes it panic.
func FuzzShellWords(f *testing.F) {
	for _, seed := range []string{`a 'b' "c" $'\x41'`, `it's`, "\\\n", `$'\U`, `"\`, "a\x00b", `$'\c'`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = shellWords(s) // whatever comes of it
		ansi := strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s)
		got, err := shellWords("x " + shellQuote(s) + " $'" + ansi + "' \\\n y")
		if err != nil || !slices.Equal(got, []string{"x", s, s, "y"}) {
			t.Fatalf("%q: %q, %v", s, got, err)
		}
	})
}

func TestParseCurl(t *testing.T) {
	files := map[string]string{"b.json": "{\r\n\"a\":\n\"\xff\"}\n"}
	read := func(name string) ([]byte, error) {
		if b, ok := files[name]; ok {
			return []byte(b), nil
		}
		return nil, errors.New("no such file")
	}
	for _, tc := range []struct{ in, method, path, fields, body string }{
		{`curl http://x/a?b -H 'A: b' -d '{}'`, "POST", "/a", "[{A b}]", "{}"},
		{`/usr/bin/curl x/a -HA:b -XPUT --data-raw @x`, "PUT", "/a", "[{A b}]", "@x"},
		{`curl -sSkXPOST http://x -d a -d b`, "POST", "/", "[]", "a&b"},
		{`curl -X POST --url http://x/a --data-binary @b.json`, "POST", "/a", "[]", files["b.json"]},
		{`curl http://x --data @b.json`, "POST", "/", "[]", "{\"a\":\"\xff\"}"},
		{`curl http://x --json '{"a":' --json '1}'`, "POST", "/", "[{Content-Type application/json} {Content-Type application/json}]", `{"a":1}`},
		{`curl http://x -u a:b`, "GET", "/", "[{Authorization Basic YTpi}]", ""},
		{`curl http://x --oauth2-bearer abc`, "GET", "/", "[{Authorization Bearer abc}]", ""},
		{`curl http://x -H 'A;' -H 'B: 1' -H 'b:'`, "GET", "/", "[{A }]", ""},
		{`curl --location --compressed -o out --max-time 5 -A agent -b 'c=d' 'http://x/a' --data 'a` + "\n" + `b'`, "POST", "/a", "[]", "a\nb"},
	} {
		c, err := parseCurl(tc.in, read)
		if err != nil {
			t.Errorf("%s: %v", tc.in, err)
			continue
		}
		if c.method != tc.method || c.path != tc.path || fmt.Sprint(c.Fields) != tc.fields || string(c.Body) != tc.body {
			t.Errorf("%s: %+v, body %q", tc.in, c, c.Body)
		}
	}
	for in, want := range map[string]string{
		`wget http://x`: "this is no curl command", ``: "this is no curl command", `curl`: "has no URL", `curl http://x -H`: "curl's --header has no value",
		`curl http://x -H nothing`: "curl's --header: this is no header", `curl http://x -H @file`: "curl's --header: names a file",
		`curl http://x -F a=b`: "curl's --form: is not supported", `curl http://x -G -d a`: "--get", `curl http://x --data-urlencode a`: "curl's --data-urlencode",
		`curl http://x --frobnicate secret`: "curl's --frobnicate: is not supported", `curl http://x -d @none`: "curl's --data: no such file", `curl http://x -Zsecret`: "curl's -Z: is not supported",
	} {
		if _, err := parseCurl(in, read); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

// FuzzParseCurl: the line that "cxrelay sign" prints is read back whole.
func FuzzParseCurl(f *testing.F) {
	f.Add("{}", "x-cxone-signature", "00", "curl http://x -d '{}'")
	f.Add("it's\n\"€\"", "A", "b: c", `curl -sSd`)
	f.Fuzz(func(t *testing.T, body, name, value, line string) {
		none := func(string) ([]byte, error) { return nil, errors.New("no file") }
		_, _ = parseCurl(line, none) // whatever comes of it
		if !isToken(name) || strings.Trim(value, " \t") != value || value == "" || !utf8.ValidString(value) || strings.ContainsAny(value, "\r\n") {
			return
		}
		fields := []signature.Field{{Name: name, Value: value}}
		c, err := parseCurl(curlLine("http://x/a", fields, "--data-raw", body), none)
		if err != nil {
			t.Fatal(err)
		}
		want := append([]signature.Field{{Name: "Content-Type", Value: "application/json"}}, fields...)
		if string(c.Body) != body || c.path != "/a" || c.method != "POST" || !reflect.DeepEqual(c.Fields, want) {
			t.Fatalf("%+v, body %q, want %q", c, c.Body, body)
		}
	})
}

func TestYAMLText(t *testing.T) {
	for _, s := range []string{"x-cxone-signature", "null", "2026-11", "-", "a: b", `"`, "${X}", "v1,", "é", "/run/secrets/x", "#", "a\nb", "<&>"} {
		cfg, _, err := config.Load(config.Source{
			File: "x.yaml", Data: []byte("instance: \"\"\nsources:\n  - name: a\n    signature:\n      header: x\n      algorithm: static\n      encoding: plain\n      secrets: [{id: a, value: " + yamlText(s) + "}]\n"),
			Env: []string{"KAFKA_BROKERS=k:9092", "SCHEMA_REGISTRY_URL=http://r:8081", "X=expanded"},
		})
		if s == "a\nb" { // no header can carry it
			continue
		}
		if err != nil || string(cfg.Sources[0].Secrets[0].Value.Bytes()) != s {
			t.Errorf("%q is written as %s: %v", s, yamlText(s), err)
		}
	}
}

// A capture is somebody else's text: what an error quotes of it moves no
// cursor, and is no value of an option.
func TestErrorsAreForTerminals(t *testing.T) {
	var out, talk bytes.Buffer
	name := writeFile(t, "c.txt", "curl --foo\x1b[31m\x9b\u009b=hunter2 http://x")
	if code := Main(t.Context(), []string{"verify", name, "--secret-file", writeFile(t, "s", "secret")}, nil, &out, &talk); code != exitUsage {
		t.Errorf("exit %d", code)
	}
	if text := out.String() + talk.String(); strings.ContainsAny(text, "\x1b\u009b") || !utf8.ValidString(text) || !strings.Contains(text, "--foo?[31m") || strings.Contains(text, "hunter2") {
		t.Errorf("%q", text)
	}
}
