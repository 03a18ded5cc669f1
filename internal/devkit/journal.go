package devkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// journal keeps the changes of a registry on disk, one file each, in the order
// in which they were made. Made again in that order they give the same
// subjects, versions and ids, which is checked.
type journal struct {
	dir  string // empty: nothing is kept
	data string // the folder to remove for a new beginning

	mu   sync.Mutex // held over a change and its writing
	next int        // number of the next file
}

// change is a request that changed something, and its answer.
type change struct {
	Method string `json:"method"`
	Path   string `json:"path"` // with its query
	Body   string `json:"body,omitempty"`
	Status int    `json:"status"`
	Answer string `json:"answer"`
}

// open makes the folder and makes all changes again, with handler.
func (j *journal) open(handler http.Handler) error {
	if j.dir == "" {
		return nil
	}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return fmt.Errorf("folder of the schema registry: %w", err)
	}
	names, err := filepath.Glob(filepath.Join(j.dir, "*.json"))
	if err != nil {
		return fmt.Errorf("folder of the schema registry: %w", err)
	}
	slices.Sort(names)
	for j.next = 1; j.next <= len(names); j.next++ {
		if err := j.repeat(handler); err != nil {
			return &DamagedError{Dir: j.data, File: j.name(), Err: causeOf(err)}
		}
	}
	return nil
}

func (j *journal) name() string { return filepath.Join(j.dir, fmt.Sprintf("%06d.json", j.next)) }

// repeat makes the next change again.
func (j *journal) repeat(handler http.Handler) error {
	content, err := os.ReadFile(j.name())
	if err != nil {
		return err
	}
	var c change
	if err := json.Unmarshal(content, &c); err != nil {
		return fmt.Errorf("it holds no change: %w", err)
	}
	got, err := ask(handler, c.Method, c.Path, []byte(c.Body))
	if err != nil {
		return fmt.Errorf("it holds no change: %w", err)
	}
	if got.status != c.Status || got.text() != c.Answer {
		return fmt.Errorf("%s %s gives %d %s, and gave %d %s", c.Method, c.Path, got.status, got.text(), c.Status, c.Answer)
	}
	return nil
}

// do makes a change with handler, and keeps it before it is answered.
// changes says whether the request would change anything; asked with the lock
// held.
func (j *journal) do(w http.ResponseWriter, req *http.Request, body []byte, handler http.Handler, changes func() bool) {
	req.Body = io.NopCloser(bytes.NewReader(body))
	if j.dir == "" {
		handler.ServeHTTP(w, req)
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	changing := changes()
	got := newReply()
	handler.ServeHTTP(got, req)
	if changing && got.status/100 == 2 {
		c := change{Method: req.Method, Path: req.URL.RequestURI(), Body: string(body), Status: got.status, Answer: got.text()}
		if err := j.keep(c); err != nil {
			refuse(w, http.StatusInternalServerError, http.StatusInternalServerError, err.Error())
			return
		}
	}
	maps.Copy(w.Header(), got.header)
	w.WriteHeader(got.status)
	_, _ = w.Write(got.body.Bytes()) // nothing can be done about a client that is gone
}

func (j *journal) keep(c change) error {
	content, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = writeWhole(j.name(), append(content, '\n'))
	}
	if err != nil {
		return fmt.Errorf("the change is not on disk, and will be gone after a restart: %w", err)
	}
	j.next++
	return nil
}

// reply is the answer of a handler that is asked without a network.
type reply struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func newReply() *reply { return &reply{status: http.StatusOK, header: http.Header{}} }

// Header is that of http.ResponseWriter.
func (r *reply) Header() http.Header { return r.header }

// WriteHeader is that of http.ResponseWriter.
func (r *reply) WriteHeader(status int) { r.status = status }

// Write is that of http.ResponseWriter.
func (r *reply) Write(b []byte) (int, error) { return r.body.Write(b) }

func (r *reply) text() string { return strings.TrimSpace(r.body.String()) }

// ask has a handler answer a request. The error says that there is no such
// request.
func ask(handler http.Handler, method, path string, body []byte) (*reply, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	got := newReply()
	handler.ServeHTTP(got, req)
	return got, nil
}
