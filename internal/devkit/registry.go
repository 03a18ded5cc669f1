package devkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// DevSubject is the subject that the default routes validate against.
const DevSubject = "cxone-data-action-v1"

// DevSchema is the JSON Schema of DevSubject in the dev mode: what a relay
// with default paths needs of an event, and nothing else, so that events made
// by hand pass.
const DevSchema = `{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "title": "CXone Data Action event",
  "description": "What the relay needs of an event: its type and its contact. Every other member is free.",
  "type": "object",
  "required": ["actionType", "contactId"],
  "properties": {
    "actionType": {
      "type": "string",
      "description": "Event type; the routing table maps it to a topic."
    },
    "contactId": {
      "type": ["string", "number"],
      "description": "Contact of the event; the record key is made of it."
    },
    "masterContactId": {
      "type": ["string", "number"],
      "description": "Contact id that stays the same over transfers."
    },
    "agentId": {
      "type": "integer",
      "minimum": 1,
      "description": "Agent who handled the contact."
    }
  }
}
`

// Bounds of the registry's server.
const (
	registryBody        = 1 << 20 // bytes of one request
	registryHeaders     = 16 << 10
	registryIO          = 10 * time.Second
	registryIdle        = 60 * time.Second
	registryStop        = 5 * time.Second
	registryReferences  = 1000 // schemas that one schema may refer to, transitively
	codeInvalidSchema   = 42201
	registryContentType = "application/vnd.schemaregistry.v1+json"
)

// RegistryOptions says where NewRegistry listens. The zero value is usable.
type RegistryOptions struct {
	// Listener is served and, by Close, closed. If it is nil, Addr is bound.
	Listener net.Listener

	Addr string       // host:port; port 0 picks a free one; default "127.0.0.1:0"
	Log  *slog.Logger // of the HTTP server's own troubles; default: none

	// Data keeps what is registered, and gives it back with the same versions
	// and ids; nil: nothing is kept.
	Data *Data
}

// Registry is an in-process Schema Registry with Confluent's REST API. Like a real registry, and unlike the fake that
// it stands on, it refuses to register a JSON schema that does not compile;
// what "compiles" is what the relay's own engine takes, so a schema registered
// here is one that the relay can use. AVRO and PROTOBUF schemas are stored
// unseen. Safe for concurrent use.
type Registry struct {
	fake    *srfake.Registry
	journal journal
	handler http.Handler
	server  *http.Server
	addr    net.Addr
	served  chan error // the result of Serve, once
}

// NewRegistry starts a registry. On return it answers requests; the caller
// must Close it. When Addr cannot be bound the error names it and wraps the
// cause, such as syscall.EADDRINUSE; data that cannot be used is a
// *DamagedError.
func NewRegistry(o RegistryOptions) (*Registry, error) {
	listener := o.Listener
	if listener == nil {
		addr := o.Addr
		if addr == "" {
			addr = "127.0.0.1:0"
		}
		var err error
		if listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", addr); err != nil {
			return nil, fmt.Errorf("listen for the schema registry on %s: %w", addr, err)
		}
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Registry{fake: srfake.NewRegistry(), addr: listener.Addr(), served: make(chan error, 1)}
	if o.Data != nil {
		r.journal = journal{dir: o.Data.Registry(), data: o.Data.Dir()}
	}
	if err := r.journal.open(r.fake.Handler()); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	r.handler = r.routes()
	r.server = &http.Server{
		Handler:           r.handler,
		ReadHeaderTimeout: registryIO,
		ReadTimeout:       registryIO,
		WriteTimeout:      registryIO,
		IdleTimeout:       registryIdle,
		MaxHeaderBytes:    registryHeaders,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

// URL returns the base address, without a slash at its end.
func (r *Registry) URL() string { return "http://" + r.addr.String() }

// Handler returns the API, for tests that serve it themselves.
func (r *Registry) Handler() http.Handler { return r.handler }

// Register stores a JSON Schema as the newest version of a subject and returns
// its id. A text that the subject has already gives the id it has.
func (r *Registry) Register(subject, text string) (id int, err error) {
	return r.registerSchema(subject, sr.Schema{Schema: text, Type: sr.TypeJSON})
}

// registerSchema registers as a client would.
func (r *Registry) registerSchema(subject string, s sr.Schema) (id int, err error) {
	body, err := json.Marshal(s)
	if err != nil {
		return 0, fmt.Errorf("register subject %s: %w", subject, err)
	}
	got, err := ask(r.handler, http.MethodPost, "/subjects/"+url.PathEscape(subject)+"/versions", body)
	if err != nil {
		return 0, fmt.Errorf("register subject %s: %w", subject, err)
	}
	var answer struct {
		ID      int    `json:"id"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(got.body.Bytes(), &answer); err != nil {
		return 0, fmt.Errorf("register subject %s: the registry answered %d: %w", subject, got.status, err)
	}
	if got.status != http.StatusOK {
		return 0, fmt.Errorf("register subject %s: %s", subject, answer.Message)
	}
	return answer.ID, nil
}

// Close stops listening, lets the requests under way end for 5 seconds, and
// returns when the server's goroutine is gone. The error is what went wrong
// while serving or stopping. Close may be called once.
func (r *Registry) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), registryStop)
	defer cancel()
	err := r.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, r.server.Close())
	}
	if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("stop the schema registry: %w", err)
	}
	return nil
}

// routes puts the gate before the two ways of registering, and the journal
// before everything that changes something. Looking a schema up (POST without
// /versions) and checking its compatibility store nothing.
func (r *Registry) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /subjects/{subject}/versions", r.register)
	mux.HandleFunc("POST /contexts/{context}/subjects/{subject}/versions", r.register)
	mux.HandleFunc("PUT /", r.change)
	mux.HandleFunc("DELETE /", r.change)
	mux.Handle("/", r.fake.Handler())
	return http.MaxBytesHandler(mux, registryBody)
}

// register refuses what does not compile and passes everything else on with
// the same body, also what it does not understand: the answer to that is the
// fake's.
func (r *Registry) register(w http.ResponseWriter, req *http.Request) {
	body, ok := readBody(w, req)
	if !ok {
		return
	}
	var s sr.Schema
	if json.Unmarshal(body, &s) == nil && s.Type == sr.TypeJSON {
		if err := r.compile(req.PathValue("subject"), s); err != nil {
			refuse(w, http.StatusUnprocessableEntity, codeInvalidSchema, "Invalid schema: "+err.Error())
			return
		}
	}
	known := func() bool {
		lookup, err := ask(r.fake.Handler(), http.MethodPost, strings.TrimSuffix(req.URL.EscapedPath(), "/versions"), body)
		return err == nil && lookup.status == http.StatusOK
	}
	r.journal.do(w, req, body, r.fake.Handler(), func() bool { return !known() })
}

// change passes on what is neither a question nor a new schema.
func (r *Registry) change(w http.ResponseWriter, req *http.Request) {
	if body, ok := readBody(w, req); ok {
		r.journal.do(w, req, body, r.fake.Handler(), func() bool { return true })
	}
}

// readBody answers itself when there is no body to go on with.
func readBody(w http.ResponseWriter, req *http.Request) (body []byte, ok bool) {
	body, err := io.ReadAll(req.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, http.StatusRequestEntityTooLarge, fmt.Sprintf("a request has at most %d bytes", registryBody))
	case err != nil:
		refuse(w, http.StatusBadRequest, http.StatusBadRequest, "the body did not arrive")
	}
	return body, err == nil
}

// compile says whether the relay could use s. A reference to something that is
// not registered is no fault here: the fake refuses it.
func (r *Registry) compile(subject string, s sr.Schema) error {
	texts, complete, err := r.references(s)
	if err != nil || !complete {
		return err
	}
	_, err = jsonschema.Compile(schema.Definition{Subject: subject, Type: "JSON", Text: s.Schema, References: texts})
	return err
}

// references collects the texts of all references, transitively, by name.
// complete is false if one of them is not registered.
func (r *Registry) references(s sr.Schema) (texts map[string]string, complete bool, err error) {
	type version struct {
		subject string
		number  int
	}
	texts = map[string]string{}
	seen := map[version]bool{}
	todo := append([]sr.SchemaReference(nil), s.References...)
	for len(todo) > 0 {
		ref := todo[0]
		todo = todo[1:]
		at := version{ref.Subject, ref.Version}
		held, ok := r.fake.GetSchema(ref.Subject, ref.Version)
		if !ok {
			return nil, false, nil
		}
		if _, taken := texts[ref.Name]; !taken {
			texts[ref.Name] = held.Schema.Schema
		}
		if seen[at] {
			continue
		}
		seen[at] = true
		todo = append(todo, held.References...)
		if len(seen) > registryReferences {
			return nil, false, fmt.Errorf("more than %d references", registryReferences)
		}
	}
	return texts, true, nil
}

// refuse answers as the registry's API does.
func refuse(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("Content-Type", registryContentType)
	w.WriteHeader(status)
	// Nothing can be done about a client that is gone.
	_ = json.NewEncoder(w).Encode(struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}{code, message})
}
