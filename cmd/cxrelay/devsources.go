package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// readySource is one source of a configuration, with lines for a shell.
type readySource struct {
	Name    string `json:"name"`
	Webhook string `json:"webhook"`
	Preset  string `json:"preset,omitempty"`
	Secret  string `json:"secret,omitempty"` // a throw-away one; no other is shown
	Curl    string `json:"curl,omitempty"`   // empty where it would show a secret
	Send    string `json:"send,omitempty"`   // empty where send knows no such scheme

	hint string // what the lines need
}

// facts are what is printed when the relay is ready.
func (d *dev) facts(relay *app.App, cfg *config.Config) readyFacts {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := readyFacts{
		Event: "ready", Webhook: d.base + cfg.Sources[0].Path, Kafka: d.broker.Addr(), Registry: d.registryURL,
		Admin: "http://" + usable(relay.AdminAddr()), Config: d.file, Data: d.flags.data,
		exposed: d.flags.exposed(), program: d.program,
	}
	if d.file == "" {
		f.Secret = d.flags.secret
		return f
	}
	f.Notes, f.Sources = d.news(cfg)
	f.topic = topicsIn(cfg)
	return f
}

// reloaded prints what another configuration brought.
func (d *dev) reloaded(cfg *config.Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hold(cfg)
	notes, sources := d.news(cfg)
	d.out.reloaded(d.file, notes, sources)
}

// news are what was not told yet of a configuration.
func (d *dev) news(cfg *config.Config) (notes []string, sources []readySource) {
	if d.told == nil {
		d.told = make(map[string]bool)
	}
	first := func(s string) bool {
		was := d.told[s]
		d.told[s] = true
		return !was
	}
	for _, r := range cfg.Replaced() {
		if n := r.Path + ": " + r.Message; first(n) {
			notes = append(notes, n)
		}
	}
	for _, n := range d.notes {
		if first(n) {
			notes = append(notes, n)
		}
	}
	for i := range cfg.Sources {
		w := &cfg.Sources[i]
		s := d.describe(cfg, w)
		if first(fmt.Sprintf("%s %s %+v %s", s.Name, s.Webhook, w.Scheme, s.Send)) {
			sources = append(sources, s)
		}
	}
	return notes, sources
}

// describe makes the lines that send an event to a source.
func (d *dev) describe(cfg *config.Config, w *config.Webhook) readySource {
	s := readySource{Name: w.Name, Webhook: d.base + w.Path, Preset: w.Preset}
	secret := secretToShow(w)
	if string(secret.Value.Bytes()) == d.flags.secret { // of our own command line
		secret.StandIn = true
	}
	if secret.StandIn {
		s.Secret = string(secret.Value.Bytes())
	}
	body := sampleFor(cfg, w)
	if w.Scheme.Algorithm != signature.Static || secret.StandIn || w.Preset == config.PresetNone {
		s.Curl = d.curlFor(w, secret, s.Webhook, body)
	}
	if w.Scheme.Timestamp != (signature.Timestamp{}) {
		s.hint = "the curl line holds for " + w.Scheme.Timestamp.Tolerance.String()
	}
	words := []string{d.program, "send", "--url", shellWord(s.Webhook)}
	if w.Preset != config.PresetNone {
		flags, ok := presetFlags(w)
		if !ok {
			s.hint = "the signature is none that send knows"
			return s
		}
		word, hint := d.secretWord(secret)
		words, s.hint = append(append(words, flags...), "--secret", word), cmp.Or(hint, s.hint)
	}
	s.Send = strings.Join(words, " ")
	if !takesSamples(cfg, w) {
		s.Send = "printf %s " + shellQuote(string(body)) + " | " + s.Send + " --file -"
	}
	return s
}

// secretToShow is the first throw-away secret, else the first one.
func secretToShow(w *config.Webhook) config.NamedSecret {
	if i := slices.IndexFunc(w.Secrets, func(s config.NamedSecret) bool { return s.StandIn }); i >= 0 {
		return w.Secrets[i]
	}
	if len(w.Secrets) == 0 {
		return config.NamedSecret{}
	}
	return w.Secrets[0]
}

// secretWord is a word that gives a shell the secret without showing it, unless
// it is a throw-away one.
func (d *dev) secretWord(s config.NamedSecret) (word, hint string) {
	value := string(s.Value.Bytes())
	switch {
	case s.StandIn:
		return shellWord(value), ""
	case s.File != "":
		return `"$(cat ` + shellWord(s.File) + `)"`, ""
	case value == os.Getenv(secretEnv):
		return `"$` + secretEnv + `"`, ""
	default:
		return `"$SECRET"`, "SECRET is the value of secret " + s.ID
	}
}

func (d *dev) curlFor(w *config.Webhook, secret config.NamedSecret, url string, body []byte) string {
	var fields []signature.Field
	if w.Preset != config.PresetNone {
		var err error
		fields, err = signature.Sign(w.Scheme, signature.Secret{ID: secret.ID, Value: secret.Value.Bytes()}, body, time.Now(), devkit.MessageID(body))
		if err != nil {
			return "" // the relay has a secret that verifies and cannot sign: send says so
		}
	}
	return strings.Replace(curlLine(url, fields, "--data-raw", string(body)), "curl -sS", "curl -sS -i", 1)
}

// presetFlags are the flags of send that sign as a source wants it. ok is
// false when there are none.
func presetFlags(w *config.Webhook) (flags []string, ok bool) {
	scheme, ok := signature.Preset(w.Preset)
	scheme.Timestamp.Tolerance = w.Scheme.Timestamp.Tolerance // no business of a sender
	if w.Preset != "cxone" {
		flags = []string{"--preset", w.Preset}
	}
	if scheme.Header == "" {
		scheme.Header = w.Scheme.Header
		flags = append(flags, "--header", shellWord(scheme.Header))
	}
	return flags, ok && scheme == w.Scheme
}

// takesSamples tells whether the events that send makes by itself fit a source
// and the routes.
func takesSamples(cfg *config.Config, w *config.Webhook) bool {
	if !finds(w.Event.Type, "actionType") || !finds(w.Event.Contact, "contactId") && w.NoContact == config.Reject {
		return false
	}
	table, err := route.New(cfg.Routes)
	return err == nil && !slices.ContainsFunc(devkit.EventTypes(), func(kind string) bool {
		_, ok := table.Match(w.Name, kind)
		return !ok
	})
}

func finds(paths []event.Path, name string) bool {
	return slices.ContainsFunc(paths, func(p event.Path) bool { return p.String() == name })
}

// sampleFor is an event of a source that a route takes, if there is one.
func sampleFor(cfg *config.Config, w *config.Webhook) []byte {
	sample := map[string]any{"note": "sent with curl"}
	for _, fact := range []struct {
		paths []event.Path
		value string
	}{{w.Event.ID, "hello-1"}, {w.Event.Contact, "698423177015"}, {w.Event.Type, typeFor(cfg, w)}} {
		if len(fact.paths) > 0 {
			put(sample, fact.paths[0].Names(), fact.value)
		}
	}
	body, err := json.Marshal(sample)
	if err != nil {
		return []byte("{}") // there is nothing in it that cannot be encoded
	}
	return body
}

// put sets the member that names lead to. What stands in the way goes.
func put(object map[string]any, names []string, value string) {
	for _, name := range names[:len(names)-1] {
		next, ok := object[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			object[name] = next
		}
		object = next
	}
	object[names[len(names)-1]] = value
}

// typeFor is a type of event that is written to a topic.
func typeFor(cfg *config.Config, w *config.Webhook) string {
	table, err := route.New(cfg.Routes)
	if err != nil {
		return "SAMPLE" // the configuration was checked
	}
	for _, r := range cfg.Routes {
		kind := strings.NewReplacer("*", "1", "?", "1").Replace(r.Pattern)
		if got, ok := table.Match(w.Name, kind); ok && !got.Drop {
			return kind
		}
	}
	return "SAMPLE"
}
