package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Mood is how the registry answers.
type Mood string

// The moods.
const (
	Well      Mood = "answers"
	Throttles Mood = "answers 429"
	Fails     Mood = "answers 500"
	Hangs     Mood = "answers nothing"
	Garbage   Mood = "answers HTML"
	Huge      Mood = "answers 100 MB"
	Changed   Mood = "has a new version that does not compile"
)

// Registry is a Schema Registry with one subject, as far as a relay asks it.
// Safe for concurrent use.
type Registry struct {
	Subject string
	Schema  string

	mu   sync.Mutex
	mood Mood
	left chan struct{} // closed when the mood changes
}

// Set changes the mood.
func (r *Registry) Set(m Mood) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mood = m
	if r.left != nil {
		close(r.left)
	}
	r.left = make(chan struct{})
}

// ServeHTTP answers a relay.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	mood, left := r.mood, r.left
	r.mu.Unlock()
	version, schema := 1, r.Schema
	switch mood {
	case Throttles:
		w.Header().Set("Retry-After", "1")
		http.Error(w, `{"error_code":42900,"message":"too many requests"}`, http.StatusTooManyRequests)
		return
	case Fails:
		http.Error(w, `{"error_code":50001,"message":"store"}`, http.StatusInternalServerError)
		return
	case Hangs:
		select {
		case <-left:
		case <-req.Context().Done():
		case <-time.After(time.Minute):
		}
		return
	case Garbage:
		fmt.Fprint(w, "<html>Welcome to nginx!</html>")
		return
	case Huge:
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 100<<20)) // the relay hangs up
		return
	case Changed:
		version, schema = 2, `{"type": 12}`
	}
	if !strings.HasPrefix(req.URL.Path, "/subjects/"+r.Subject+"/versions/") {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error_code":40401,"message":"Subject not found."}`)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // who went away need not be told
		"subject": r.Subject, "version": version, "id": version, "schemaType": "JSON", "schema": schema,
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
