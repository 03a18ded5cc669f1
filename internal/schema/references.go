package schema

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Bounds of what one schema may pull in. Registries set none.
const (
	maxReferences     = 128
	maxReferenceDepth = 16
)

// answer is a schema version as the registry's API gives it.
type answer struct {
	Version    int         `json:"version"`
	ID         int         `json:"id"`
	SchemaType string      `json:"schemaType"`
	Schema     *string     `json:"schema"`
	References []Reference `json:"references"`
	RuleSet    *ruleSet    `json:"ruleSet"`

	bytes int // of the JSON
}

// check tells a schema from other JSON that a proxy might send. Ids travel as
// four bytes in records and are a Java int in the registry.
func (a *answer) check() error {
	switch {
	case a.Schema == nil:
		return errors.New("it has no schema")
	case a.Version < 1:
		return errors.New("it has no version")
	case a.ID < 1 || a.ID > math.MaxInt32:
		return errors.New("it has no usable id")
	}
	return nil
}

func (a *answer) text() string { return *a.Schema }

// kind is the schema's type; the API leaves AVRO out.
func (a *answer) kind() string {
	if a.SchemaType == "" {
		return "AVRO"
	}
	return a.SchemaType
}

func (a *answer) refuse(format string, args ...any) error {
	return &RefusedError{Version: a.Version, ID: a.ID, Reason: fmt.Sprintf(format, args...)}
}

// ruleSet is the part of a data contract that asks for work beside the schema.
// Migration rules are not read: they concern readers of other versions.
type ruleSet struct {
	DomainRules   []rule `json:"domainRules"`
	EncodingRules []rule `json:"encodingRules"`
}

type rule struct {
	Name     string `json:"name"`
	Mode     string `json:"mode"`
	Type     string `json:"type"`
	Disabled bool   `json:"disabled"`
}

// writeSide describes the first enabled rule that a producer would have to
// run, or is empty. A rule without a mode counts as one, to be safe.
func (s *ruleSet) writeSide() string {
	if s == nil {
		return ""
	}
	for _, r := range slices.Concat(s.DomainRules, s.EncodingRules) {
		writes := r.Mode == "WRITE" || r.Mode == "WRITEREAD" || r.Mode == ""
		if writes && !r.Disabled {
			return fmt.Sprintf("%q of type %s", shorten(r.Name), shorten(r.Type))
		}
	}
	return ""
}

// resolver collects the texts that one schema refers to.
type resolver struct {
	client *Client
	root   *answer
	texts  map[string]string
	places map[string]place // what each name stands for
	path   []place          // from the root to where the walk is
	bytes  int
}

func newResolver(c *Client, subject string, root *answer) *resolver {
	return &resolver{
		client: c,
		root:   root,
		places: make(map[string]place),
		path:   []place{{subject, root.Version}},
		bytes:  len(root.text()),
	}
}

// follow fetches refs and, depth first, all that they refer to.
func (r *resolver) follow(ctx context.Context, refs []Reference) error {
	for _, ref := range refs {
		at := place{ref.Subject, ref.Version}
		known, seen := r.places[ref.Name]
		if err := r.admit(ref, at, known, seen); err != nil {
			return err
		}
		if seen {
			continue
		}
		r.places[ref.Name] = at
		a, err := r.client.referenced(ctx, at)
		if err != nil {
			return fmt.Errorf("reference %q (subject %q version %d): %w", ref.Name, ref.Subject, ref.Version, err)
		}
		if err := r.keep(ref, a); err != nil {
			return err
		}
		r.path = append(r.path, at)
		if err := r.follow(ctx, a.References); err != nil {
			return err
		}
		r.path = r.path[:len(r.path)-1]
	}
	return nil
}

// admit refuses what cannot be followed, before anything is fetched.
func (r *resolver) admit(ref Reference, at, known place, seen bool) error {
	switch {
	case ref.Name == "" || checkSubject(ref.Subject) != nil || ref.Version < 1:
		return r.root.refuse("reference %q has no name, subject or fixed version", ref.Name)
	case slices.Contains(r.path, at):
		return r.root.refuse("reference %q closes a cycle at subject %q version %d", ref.Name, at.subject, at.version)
	case seen && known != at:
		return r.root.refuse("reference name %q stands for both subject %q version %d and subject %q version %d",
			ref.Name, known.subject, known.version, at.subject, at.version)
	case len(r.path) > maxReferenceDepth:
		return r.root.refuse("references are nested deeper than %d", maxReferenceDepth)
	case !seen && len(r.places) >= maxReferences:
		return r.root.refuse("schema has more than %d references", maxReferences)
	}
	return nil
}

func (r *resolver) keep(ref Reference, a *answer) error {
	if a.kind() != r.root.kind() {
		return r.root.refuse("reference %q is of type %s, the schema of type %s", ref.Name, a.kind(), r.root.kind())
	}
	r.bytes += len(a.text())
	if r.bytes > r.client.maxBytes {
		return r.root.refuse("schema with its references is larger than %d bytes", r.client.maxBytes)
	}
	if r.texts == nil {
		r.texts = make(map[string]string)
	}
	r.texts[ref.Name] = a.text()
	return nil
}
