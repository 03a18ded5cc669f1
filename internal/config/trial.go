package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
)

// Trial has a configuration that was made for another place tried on this
// machine: with a broker and a registry of the caller's own, on loopback, and
// without what this machine lacks. The file is read and checked as ever; of
// the environment only what the file names counts. Load then puts the values
// below in the place of those that lead elsewhere, and Config.Replaced tells
// of each.
type Trial struct {
	Broker   string // host:port
	Registry string // URL

	// Listen and Admin are the addresses of the listeners; empty: the
	// configured port, on loopback.
	Listen, Admin string

	// Secret makes up secret i of a source whose file, or variable, is not
	// there. It gives the same one each time; the source's scheme can use it.
	// Nil makes up none: that the file is not there is a fault then.
	Secret func(w *Webhook, i int) []byte
}

// Replacement is a key that has another value than it was given.
type Replacement struct {
	Path    string // a key, or a variable of the environment
	Message string // what holds in its place, and why
}

// Replaced returns what Trial has put in the place of what was configured, in
// the order of the documentation; nil without it.
func (c *Config) Replaced() []Replacement { return c.read.replaced }

// leadsElsewhere are the keys whose values Trial replaces, so that nothing they
// name need be there.
func leadsElsewhere() []string {
	return []string{"listen.tls", "admin.token_file", "schema.registry", "kafka.brokers", "kafka.sasl", "kafka.tls"}
}

// within reports whether path is key, or stands below it.
func within(path, key string) bool {
	return path == key || strings.HasPrefix(path, key+".") || strings.HasPrefix(path, key+"[")
}

// beginTrial gives the addresses that the configuration leaves to the
// environment.
func (ld *loader) beginTrial() {
	l := ld.src.Trial
	if l == nil {
		return
	}
	if k := &ld.cfg.Kafka; len(k.Brokers) == 0 && !ld.anyFault("kafka.brokers") {
		k.Brokers = []string{l.Broker}
	}
	if r := &ld.cfg.Schema.Registry; len(r.URLs) == 0 && !ld.anyFault("schema.registry.urls") {
		r.URLs = []string{l.Registry}
	}
}

// excused reports whether the value at path may do without what this machine
// lacks. The path counts as faulty then, so that nothing is said of what
// follows; if it is the secret of a source, there is one that stands in.
func (ld *loader) excused(path string) (standIn []byte, ok bool) {
	l := ld.src.Trial
	if l == nil {
		return nil, false
	}
	if slices.ContainsFunc(leadsElsewhere(), func(key string) bool { return within(path, key) }) {
		ld.faulty[path] = true
		return nil, true
	}
	for i := range ld.cfg.Sources {
		w := &ld.cfg.Sources[i]
		for j := range w.Secrets {
			if p := element(element("sources", i)+".signature.secrets", j); path == p+".value" || path == p+".file" {
				standIn = l.Secret(w, j)
				w.Secrets[j].StandIn = standIn != nil
				return standIn, standIn != nil
			}
		}
	}
	return nil, false
}

// absent is excused for a file that is not there. One that nobody uses may
// also be there for others alone.
func (ld *loader) absent(path string, err error) (standIn []byte, ok bool) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ld.spared(path, "the file cannot be read: "+cause(err))
	case errors.Is(err, fs.ErrPermission):
		return nil, ld.unneeded(path, "the file cannot be read: "+cause(err))
	}
	return nil, false
}

// spared is excused for what only holds a secret, or a certificate: that may
// also be one that nobody uses. The message says why it is not there.
func (ld *loader) spared(path, message string) (standIn []byte, ok bool) {
	if ld.unneeded(path, message) {
		return nil, true
	}
	return ld.excused(path)
}

// unneeded reports whether nobody uses the secret or certificate at path, and
// notes that it is not there.
func (ld *loader) unneeded(path, message string) bool {
	if !slices.ContainsFunc(ld.src.Unused, func(key string) bool { return within(path, key) }) {
		return false
	}
	ld.faulty[path] = true
	ld.absences = append(ld.absences, ld.problem(Warning, path, ld.origin(path), message, ""))
	return true
}

// leaveUnset notes what the text of an excused secret refers to.
func (ld *loader) leaveUnset(path, raw string) {
	o := ld.origins[path]
	o.unset = references(raw)
	ld.origins[path] = o
}

// onlyUnset reports whether nothing is wrong with the text but that variables
// in it are not set.
func (ld *loader) onlyUnset(text string) bool {
	all := make(map[string]string)
	for _, name := range variables(text) {
		all[name] = "set"
	}
	_, faults := expand(text, all)
	return len(faults) == 0
}

// endTrial replaces what leads elsewhere, in a configuration without a fault.
func (ld *loader) endTrial() {
	l, c := ld.src.Trial, ld.cfg
	if l == nil {
		return
	}
	ld.tryListeners()
	ld.trySources()
	ld.trySchema()
	k := &c.Kafka
	k.Brokers = []string{l.Broker}
	ld.replaced("kafka.brokers", l.Broker+", the broker of this process")
	if k.SASL.Mechanism != NoSASL {
		ld.replaced("kafka.sasl", "not used: this broker asks for no password")
	}
	if k.TLS.Enabled {
		ld.replaced("kafka.tls", "not used: this broker speaks no TLS")
	}
	k.SASL, k.TLS = SASL{}, ClientTLS{}
	if k.Strict {
		ld.replaced("kafka.strict", "false: there is one broker, which is not judged")
	}
	k.Strict = false
	ld.tryEnv()
}

// replaced notes a key if somebody set it.
func (ld *loader) replaced(path, message string) {
	if ld.given(path) {
		ld.note(path, message)
	}
}

func (ld *loader) note(path, message string) {
	ld.notes = append(ld.notes, Replacement{Path: path, Message: message})
}

func (ld *loader) tryListeners() {
	l, c := ld.src.Trial, ld.cfg
	for _, a := range []struct {
		path    string
		address *string
		mine    string
	}{{"listen.address", &c.Listen.Address, l.Listen}, {"admin.address", &c.Admin.Address, l.Admin}} {
		now := a.mine
		if now == "" {
			now = onLoopback(*a.address)
		}
		if now != *a.address {
			ld.replaced(a.path, now)
		}
		*a.address = now
	}
	if c.Listen.TLS.CertFile != "" || ld.anyFault("listen.tls") {
		ld.note("listen.tls", "not used: plain HTTP, and nobody is asked for a certificate")
	}
	c.Listen.TLS = ListenTLS{}
	if ld.wrong("admin.token_file") {
		ld.note("admin.token_file", "not used: the file is not on this machine")
		c.Admin.TokenFile = ""
	}
}

// onLoopback keeps the port of an address, and the host if it is on loopback.
func onLoopback(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || isLoopback(host) {
		return address
	}
	return net.JoinHostPort("127.0.0.1", port)
}

func (ld *loader) trySources() {
	for i := range ld.cfg.Sources {
		w, path := &ld.cfg.Sources[i], element("sources", i)
		if w.Preset == PresetNone && !w.Insecure {
			w.Insecure = true
			ld.note(path+".signature.preset", "none, without the certificates of senders: anybody who reaches the path may write")
		}
		for j, s := range w.Secrets {
			if !s.StandIn {
				continue
			}
			what := "its variable is not set here"
			if s.File != "" {
				what = s.File + " is not on this machine"
			} else if !ld.given("sources") {
				what = envSecret + " is not set"
			}
			ld.note(element(path+".signature.secrets", j), "a throw-away secret: "+what)
		}
	}
}

func (ld *loader) trySchema() {
	l, s := ld.src.Trial, &ld.cfg.Schema
	if s.Mode == Off {
		return
	}
	if s.Mode == RemoteAPI {
		s.Mode = Local
		ld.note("schema.mode", "local: the registry of this process has no call that validates")
	}
	if ld.given("schema.registry") {
		ld.note("schema.registry", l.Registry+", the registry of this process")
	}
	s.Registry = Registry{URLs: []string{l.Registry}}
	if s.SnapshotDir != "" {
		ld.replaced("schema.snapshot_dir", "not used: the schemas of this registry are no others' business")
		s.SnapshotDir = ""
	}
	if s.Version != 0 {
		ld.replaced("schema.version", "latest: this registry counts its own versions")
		s.Version = 0
	}
	for i := range ld.cfg.Routes {
		if r := &ld.cfg.Routes[i]; r.Version != 0 {
			ld.replaced(element("routes", i)+".version", "latest: this registry counts its own versions")
			r.Version = 0
		}
	}
}

// tryEnv tells of variables that a relay would read.
func (ld *loader) tryEnv() {
	var names []string
	for name := range ld.env {
		if name == envBrokers || name == envRegistry || strings.HasPrefix(name, envPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > 0 {
		ld.note(strings.Join(names, ", "), fmt.Sprintf("not read: only what the file names as ${…} counts here, and %s", envSecret))
	}
}
