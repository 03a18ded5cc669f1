package devkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// FromFile is a schema that RegisterFolder has registered.
type FromFile struct {
	File    string
	Subject string
	Version int
	Latest  int // another one when the subject has got newer versions elsewhere
}

// RegisterFolder registers the JSON Schema of each file NAME.json as subject
// NAME; %2F in it stands for a slash, and so on (RFC 3986). A $ref that names
// another file of the folder, as in "address.json#/definitions/city", becomes a
// reference to that one's subject, which is registered first. What is
// registered already stays as it is. The error joins a *FileError for each file
// that cannot be used; others are registered. No folder is an empty one.
func (r *Registry) RegisterFolder(fsys fs.FS) ([]FromFile, error) {
	names, err := fs.Glob(fsys, "*.json")
	if err != nil {
		return nil, err
	}
	f := folder{registry: r, fsys: fsys, names: names, done: map[string]*FromFile{}}
	var problems []error
	var all []FromFile
	for _, name := range names {
		got, err := f.register(name, nil)
		if err != nil {
			problems = append(problems, &FileError{File: name, Subject: subjectOf(name), Err: err})
			continue
		}
		all = append(all, *got)
	}
	return all, errors.Join(problems...)
}

// FileError is a file that is no schema of its subject.
type FileError struct {
	File    string
	Subject string // "" when the name of the file is none
	Err     error
}

func (e *FileError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap gives what is wrong with the file.
func (e *FileError) Unwrap() error { return e.Err }

func subjectOf(name string) string {
	subject, err := url.PathUnescape(strings.TrimSuffix(name, ".json"))
	if err != nil {
		return ""
	}
	return subject
}

type folder struct {
	registry *Registry
	fsys     fs.FS
	names    []string
	done     map[string]*FromFile
}

// register registers a file after those that it refers to. way are the files
// that have led to it.
func (f *folder) register(name string, way []string) (*FromFile, error) {
	if got := f.done[name]; got != nil {
		return got, nil
	}
	way = append(way, name)
	subject, err := url.PathUnescape(strings.TrimSuffix(name, ".json"))
	if err != nil {
		return nil, fmt.Errorf("the name of the file is that of the subject: %w", err)
	}
	text, err := fs.ReadFile(f.fsys, name)
	if err != nil {
		return nil, causeOf(err)
	}
	var schema any
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	s := sr.Schema{Schema: string(text), Type: sr.TypeJSON}
	for _, other := range f.referred(schema, nil) {
		if slices.Contains(way, other) {
			return nil, fmt.Errorf("it refers to itself, by %s", strings.Join(append(way[1:], other), ", "))
		}
		to, err := f.register(other, way)
		if err != nil {
			return nil, fmt.Errorf("it refers to %s: %w", other, err)
		}
		s.References = append(s.References, sr.SchemaReference{Name: other, Subject: to.Subject, Version: to.Version})
	}
	if _, err := f.registry.registerSchema(subject, s); err != nil {
		return nil, err
	}
	got := &FromFile{File: name, Subject: subject}
	if got.Version, got.Latest, err = f.registry.versions(subject, s); err != nil {
		return nil, err
	}
	f.done[name] = got
	return got, nil
}

// referred adds the files of the folder that a $ref below v names, each once.
func (f *folder) referred(v any, to []string) []string {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			to = f.referred(item, to)
		}
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			name, _, _ := strings.Cut(ref, "#")
			if slices.Contains(f.names, name) && !slices.Contains(to, name) {
				to = append(to, name)
			}
		}
		for _, item := range v {
			to = f.referred(item, to)
		}
	}
	slices.Sort(to) // members have no order
	return to
}

// versions returns which version of a subject a schema is, and which is the
// latest.
func (r *Registry) versions(subject string, s sr.Schema) (version, latest int, err error) {
	body, err := json.Marshal(s)
	if err != nil {
		return 0, 0, err
	}
	path := "/subjects/" + url.PathEscape(subject)
	if version, err = r.versionIn(http.MethodPost, path, body); err != nil {
		return 0, 0, err
	}
	latest, err = r.versionIn(http.MethodGet, path+"/versions/latest", nil)
	return version, latest, err
}

// Latest returns the latest version of a subject; 0 means that it has none.
func (r *Registry) Latest(subject string) int {
	version, err := r.versionIn(http.MethodGet, "/subjects/"+url.PathEscape(subject)+"/versions/latest", nil)
	if err != nil {
		return 0
	}
	return version
}

func (r *Registry) versionIn(method, path string, body []byte) (int, error) {
	got, err := ask(r.handler, method, path, body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(got.body.Bytes(), &answer); err != nil || got.status != http.StatusOK {
		return 0, fmt.Errorf("the registry answers %d %s", got.status, got.text())
	}
	return answer.Version, nil
}
