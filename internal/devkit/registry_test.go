package devkit_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

func startRegistry(t *testing.T, o devkit.RegistryOptions) *devkit.Registry {
	t.Helper()
	r, err := devkit.NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// call returns the status and the decoded object; a body is sent as it is.
func call(t *testing.T, r *devkit.Registry, method, path, body string) (int, map[string]any) {
	t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, req)
	var answer map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s %s: %d %q: %v", method, path, rec.Code, rec.Body, err)
	}
	return rec.Code, answer
}

// registration is a request body. References are "name subject version".
func registration(kind, text string, references ...string) string {
	type ref struct {
		Name    string `json:"name"`
		Subject string `json:"subject"`
		Version int    `json:"version"`
	}
	var refs []ref
	for _, r := range references {
		f := strings.Fields(r)
		n, _ := strconv.Atoi(f[2])
		refs = append(refs, ref{f[0], f[1], n})
	}
	body, _ := json.Marshal(struct {
		Schema     string `json:"schema"`
		Type       string `json:"schemaType,omitempty"`
		References []ref  `json:"references,omitempty"`
	}{text, kind, refs})
	return string(body)
}

func TestRegistryRegistration(t *testing.T) {
	const path = "/subjects/s/versions"
	tests := map[string]struct {
		path, body string
		status     int
		message    string // in the answer
	}{
		"json":               {path, registration("JSON", `{"type":"object"}`), 200, ""},
		"does not compile":   {path, registration("JSON", `{"type":"objekt"}`), 422, "not a valid schema"},
		"http reference":     {path, registration("JSON", `{"$ref":"http://127.0.0.1:1/x"}`), 422, "not among the schema's references"},
		"look-ahead":         {path, registration("JSON", `{"pattern":"(?!a)"}`), 422, "error parsing regexp"},
		"recursion, endless": {path, registration("JSON", `{"anyOf":[{"$ref":"#"}]}`), 422, "leads back to its start"},
		"recursion":          {path, registration("JSON", `{"anyOf":[{"items":{"$ref":"#"}}]}`), 200, ""},
		"in a context":       {"/contexts/c/subjects/s/versions", registration("JSON", `{"type":5}`), 422, "not a valid schema"},
		"escaped subject":    {"/subjects/a%2Fb/versions", registration("JSON", `{"type":5}`), 422, "not a valid schema"},
		"reference":          {path, registration("JSON", `{"$ref":"n.json"}`, "n.json number 1"), 200, ""},
		"transitive":         {path, registration("JSON", `{"$ref":"w.json#/definitions/n"}`, "w.json wrapper 1"), 200, ""},
		"wrong pointer":      {path, registration("JSON", `{"$ref":"n.json#/x"}`, "n.json number 1"), 422, "n.json#/x"},
		"reference not told": {path, registration("JSON", `{"$ref":"n.json"}`), 422, "not among"},
		"reference unknown":  {path, registration("JSON", `{"$ref":"n.json"}`, "n.json nobody 1"), 422, "not found"},
		"avro":               {path, registration("AVRO", `{"type":"string"}`), 200, ""},
		"avro by default":    {path, registration("", `"string"`), 200, ""},
		"protobuf":           {path, registration("PROTOBUF", `message A {}`), 200, ""},
		"garbage":            {path, `{`, 422, ""},
		"two objects":        {path, registration("JSON", `{"type":5}`) + "{}", 422, ""},
		"too large":          {path, registration("JSON", `{"title":"`+strings.Repeat("a", 1<<20)+`"}`), 413, "at most"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := startRegistry(t, devkit.RegistryOptions{})
			mustRegister(t, r, "number", registration("JSON", `{"type":"number"}`))
			mustRegister(t, r, "wrapper", registration("JSON", `{"definitions":{"n":{"$ref":"n.json"}}}`, "n.json number 1"))
			status, answer := call(t, r, "POST", tt.path, tt.body)
			if status != tt.status {
				t.Fatalf("status %d with %v, want %d", status, answer, tt.status)
			}
			message, _ := answer["message"].(string)
			if !strings.Contains(message, tt.message) {
				t.Errorf("message %q, want %q in it", message, tt.message)
			}
			if status == 422 && answer["error_code"] != 42201.0 {
				t.Errorf("error_code %v, want 42201", answer["error_code"])
			}
			if status == 200 && answer["id"] == nil {
				t.Errorf("no id in %v", answer)
			}
		})
	}
}

func mustRegister(t *testing.T, r *devkit.Registry, subject, body string) {
	t.Helper()
	if status, answer := call(t, r, "POST", "/subjects/"+subject+"/versions", body); status != 200 {
		t.Fatalf("register %s: %d %v", subject, status, answer)
	}
}

// A refused schema leaves nothing behind; lookups and compatibility checks of
// one are the fake's business.
func TestRegistryGateStandsOnlyBeforeRegistration(t *testing.T) {
	r := startRegistry(t, devkit.RegistryOptions{})
	bad := registration("JSON", `{"type":"objekt"}`)
	if status, _ := call(t, r, "POST", "/subjects/s/versions", bad); status != 422 {
		t.Fatalf("registered: %d", status)
	}
	if status, answer := call(t, r, "GET", "/subjects/s/versions/latest", ""); status != 404 {
		t.Errorf("a refused schema left %d %v", status, answer)
	}
	mustRegister(t, r, "s", registration("JSON", `{"type":"object"}`))
	if status, answer := call(t, r, "POST", "/subjects/s", bad); status != 404 || answer["error_code"] == 42201.0 {
		t.Errorf("lookup: %d %v, want 404", status, answer)
	}
	if status, answer := call(t, r, "POST", "/compatibility/subjects/s/versions/latest", bad); status != 200 {
		t.Errorf("compatibility: %d %v, want 200", status, answer)
	}
}

func TestRegistryOverTheNetwork(t *testing.T) {
	r := startRegistry(t, devkit.RegistryOptions{Addr: "127.0.0.1:0"})
	id, err := r.Register(devkit.DevSubject, devkit.DevSchema)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Register(devkit.DevSubject, devkit.DevSchema); err != nil || again != id {
		t.Errorf("second time: id %d, %v; want %d", again, err, id)
	}
	resp, err := http.Get(r.URL() + "/subjects/" + devkit.DevSubject + "/versions/latest")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		ID         int    `json:"id"`
		Version    int    `json:"version"`
		SchemaType string `json:"schemaType"`
		Schema     string `json:"schema"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.Version != 1 || got.SchemaType != "JSON" || got.Schema != devkit.DevSchema {
		t.Errorf("latest is %+v", got)
	}
	if _, err := r.Register("s", `{"type":5}`); err == nil {
		t.Error("Register took a schema that does not compile")
	}
}

func TestRegistryListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := startRegistry(t, devkit.RegistryOptions{Listener: l})
	if r.URL() != "http://"+l.Addr().String() {
		t.Errorf("URL %s", r.URL())
	}
	_, err = devkit.NewRegistry(devkit.RegistryOptions{Addr: l.Addr().String()})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("a port in use: %v", err)
	}
}

// Close lets a request that has arrived end, and nobody listens meanwhile.
func TestRegistryCloseIsGraceful(t *testing.T) {
	r, err := devkit.NewRegistry(devkit.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(r.URL(), "http://")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := registration("JSON", `{"type":"object"}`)
	fmt.Fprintf(conn, "POST /subjects/s/versions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	closed := make(chan error, 1)
	go func() { closed <- r.Close() }()
	for { // until the listener is closed
		probe, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		_ = probe.Close()
	}
	select {
	case err := <-closed:
		t.Fatalf("Close did not wait: %v", err)
	default:
	}
	fmt.Fprint(conn, body)
	if _, err := in.ReadString('\n'); err != nil { // the blank line after 100
		t.Fatal(err)
	}
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
		t.Errorf("%q, %v", line, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestRegistryConcurrentRegistrations(t *testing.T) {
	r := startRegistry(t, devkit.RegistryOptions{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 10 {
				if _, err := r.Register("s"+strconv.Itoa(i), `{"minimum":`+strconv.Itoa(n)+`}`); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestDevSchema(t *testing.T) {
	v, err := jsonschema.Compile(schema.Definition{Subject: devkit.DevSubject, Type: "JSON", Text: devkit.DevSchema})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{ // body: pointer of the violation, or "valid"
		`{"actionType":"CALL_DISCONNECTED","contactId":"c-1"}`:                         "valid",
		`{"actionType":"","contactId":""}`:                                             "valid",
		`{"actionType":"X","contactId":900719925474010002}`:                            "valid",
		`{"actionType":"X","contactId":1,"masterContactId":"m","agentId":1}`:           "valid",
		`{"actionType":"X","contactId":1,"masterContactId":2,"agentId":12.0}`:          "valid",
		`{"actionType":"X","contactId":1,"anything":{"at":["all"]},"actiontype":null}`: "valid",
		`{"contactId":"c"}`:                                         "",
		`{"actionType":"X"}`:                                        "",
		`{"actionType":1,"contactId":"c"}`:                          "/actionType",
		`{"actionType":"X","contactId":null}`:                       "/contactId",
		`{"actionType":"X","contactId":true}`:                       "/contactId",
		`{"actionType":"X","contactId":{}}`:                         "/contactId",
		`{"actionType":"X","contactId":"c","agentId":0}`:            "/agentId",
		`{"actionType":"X","contactId":"c","agentId":1.5}`:          "/agentId",
		`{"actionType":"X","contactId":"c","agentId":"1"}`:          "/agentId",
		`{"actionType":"X","contactId":"c","agentId":null}`:         "/agentId",
		`{"actionType":"X","contactId":"c","masterContactId":null}`: "/masterContactId",
		`[]`: "",
	}
	for body, want := range tests {
		var doc jsontape.Doc
		if err := doc.Parse([]byte(body), jsontape.Limits{}); err != nil {
			t.Fatal(err)
		}
		value, violations, err := v.Check(&doc, nil)
		switch {
		case err != nil:
			t.Errorf("%s: %v", body, err)
		case want == "valid":
			if violations != nil || !bytes.Equal(value, []byte(body)) {
				t.Errorf("%s: %q and value %q, want valid", body, violations, value)
			}
		case len(violations) != 1 || violations[0].Pointer != want:
			t.Errorf("%s: %q, want one violation at %q", body, violations, want)
		}
	}
}
