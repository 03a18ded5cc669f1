package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Source is what Load reads, in order of precedence: defaults, then the file,
// then the environment, then the overrides.
type Source struct {
	File string   // path of the YAML file; empty: none
	Data []byte   // its content; nil: File is read
	Env  []string // NAME=value, as os.Environ gives it

	// Overrides are the flags: path of a key (kafka.brokers) to its text.
	// Scalars outside lists, and lists of texts separated by commas.
	Overrides map[string]string

	// ReadFile reads the file and the files that hold secrets; nil: os.ReadFile.
	ReadFile func(string) ([]byte, error)
	// Stat tells whether others may read a file that holds a secret; nil:
	// os.Stat, or no such check when ReadFile is set.
	Stat func(string) (fs.FileInfo, error)

	// Unused are keys below which the caller needs no secret and no
	// certificate. That their files, or the variables of a secret, are not
	// there, or not for this user to read, is no fault; the values are empty
	// then, and Config.Absent tells of them.
	Unused []string

	Trial *Trial // for a trial on another machine than it was made for; nil: none
}

// Secrets returns, for Source.Unused, the keys below which all secrets and
// certificates are.
func Secrets() []string { return []string{"listen.tls", "admin", "sources", "schema", "kafka"} }

// The environment variables that stand beside the generated ones.
const (
	envPrefix   = "CXRELAY_"
	envBrokers  = "KAFKA_BROKERS"
	envRegistry = "SCHEMA_REGISTRY_URL"
	envSecret   = "CXONE_WEBHOOK_SECRET"
)

// Load reads and checks a configuration. It returns either a complete one
// with its warnings, or nil, the warnings and an *Errors with every fault.
func Load(src Source) (*Config, []Problem, error) {
	ld := newLoader(src)
	ld.loadFile()
	ld.loadEnv()
	ld.loadOverrides()
	ld.beginTrial()
	ld.loadSecrets()
	ld.check()
	ld.addExcerpts(ld.faults)
	ld.addExcerpts(ld.warnings)
	sortProblems(ld.faults)
	sortProblems(ld.warnings)
	if len(ld.faults) > 0 {
		return nil, ld.warnings, &Errors{Problems: ld.faults}
	}
	ld.endTrial()
	ld.addExcerpts(ld.absences)
	sortProblems(ld.absences)
	ld.cfg.read = reading{file: ld.src.File, origins: ld.origins, replaced: ld.notes, absent: ld.absences, text: ld.text}
	return ld.cfg, ld.warnings, nil
}

// EnvName returns the environment variable of a key: CXRELAY_KAFKA_PARTITIONER
// for kafka.partitioner.
func EnvName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// layer says where a value came from; a later layer beats an earlier one.
type layer uint8

const (
	fromDefault layer = iota
	fromFile
	fromEnv
	fromFlag
)

// origin is where the value of one path came from.
type origin struct {
	layer layer
	place place  // fromFile
	env   string // fromEnv

	expanded bool // variables were filled in: the value may be a secret
	hidden   bool // one of them is named like a secret

	// unset is the text of a secret that Source.Unused has excused because
	// variables are not set, with nothing of it but them: see references.
	unset string
}

type loader struct {
	src     Source
	env     map[string]string
	cfg     *Config
	keys    object
	text    *text
	origins map[string]origin
	faulty  map[string]bool // paths that have a fault already
	meant   map[string]bool // keys that an unknown one is most likely meant to be
	strayed map[string]bool // mappings with an unknown key that may be meant to be any
	named   map[string]bool // variables that the file names
	unread  bool            // there is a file, but what it says is not known

	faults, warnings []Problem
	absences         []Problem     // what Source.Unused excused
	notes            []Replacement // by Trial
}

func newLoader(src Source) *loader {
	if src.Stat == nil && src.ReadFile == nil {
		src.Stat = os.Stat
	}
	if src.ReadFile == nil {
		src.ReadFile = os.ReadFile
	}
	ld := &loader{
		src:     src,
		env:     make(map[string]string, len(src.Env)),
		cfg:     defaults(src.File != "" || src.Data != nil),
		text:    newText(""),
		origins: make(map[string]origin),
		faulty:  make(map[string]bool),
		meant:   make(map[string]bool),
		strayed: make(map[string]bool),
		named:   make(map[string]bool),
	}
	for _, entry := range src.Env {
		if name, value, ok := strings.Cut(entry, "="); ok {
			ld.env[name] = value
		}
	}
	ld.keys = ld.cfg.keys()
	return ld
}

func (ld *loader) loadEnv() {
	if ld.src.Trial == nil {
		ld.loadVariables()
	}
	ld.loadBuiltinSource()
}

// loadVariables reads the variables that stand for keys.
func (ld *loader) loadVariables() {
	known := make(map[string]string)
	walkLeaves("", ld.keys, func(path string, n node) {
		if _, ok := n.(*scalar); ok {
			known[EnvName(path)] = path
		}
	})
	names := slices.Sorted(maps.Keys(ld.env))
	for _, name := range names {
		if path, ok := known[name]; ok {
			ld.assign(path, ld.env[name], origin{layer: fromEnv, env: name})
		} else if strings.HasPrefix(name, envPrefix) {
			ld.warnEnv(name, "no key has this variable; it is ignored", unknownEnvHint(name, known))
		}
	}
	for _, l := range []struct{ env, path string }{
		{envBrokers, "kafka.brokers"}, {envRegistry, "schema.registry.urls"},
	} {
		if value, ok := ld.env[l.env]; ok {
			ld.assign(l.path, value, origin{layer: fromEnv, env: l.env})
		}
	}
}

func unknownEnvHint(name string, known map[string]string) string {
	switch name {
	case EnvName("kafka.brokers"):
		return "the brokers are set by " + envBrokers
	case EnvName("schema.registry.urls"), EnvName("schema.registry.url"):
		return "the registry is set by " + envRegistry
	}
	if near := Nearest(name, slices.Sorted(maps.Keys(known))); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// loadBuiltinSource makes the source of a configuration that has none.
func (ld *loader) loadBuiltinSource() {
	value, set := ld.env[envSecret]
	if inFile := ld.given("sources"); inFile || ld.wrong("sources") {
		if set && inFile && !ld.named[envSecret] {
			ld.warnEnv(envSecret, "is ignored: the file has sources, and this is the secret of the built-in one",
				"name it in the file: secrets: [{id: …, value: \"${"+envSecret+"}\"}]")
		}
		return
	}
	w := builtinSource()
	w.Secrets = []NamedSecret{{ID: "env", Value: NewSecret([]byte(value))}}
	ld.cfg.Sources = []Webhook{w}
	ld.origins["sources[0].signature.secrets[0].value"] = origin{layer: fromEnv, env: envSecret}
	if value != "" {
		return
	}
	if standIn, ok := ld.spared("sources[0].signature.secrets[0].value", "is not set"); ok && !set {
		w.Secrets[0].Value = NewSecret(standIn)
		ld.leaveUnset("sources[0].signature.secrets[0].value", "${"+envSecret+"}")
		return
	}
	ld.faulty["sources[0].signature.secrets[0]"] = true // said below, in the words of the variable
	switch {
	case ld.unread: // the file may well have sources
	case !set:
		ld.faultEnv(envSecret, "is not set, and there are no sources with secrets of their own",
			"set it to the secret that signs the webhooks, or give sources in a file")
	default:
		ld.faultEnv(envSecret, "is empty", "set it to the secret that signs the webhooks")
	}
}

func (ld *loader) loadOverrides() {
	for _, path := range slices.Sorted(maps.Keys(ld.src.Overrides)) {
		ld.assign(path, ld.src.Overrides[path], origin{layer: fromFlag})
	}
}

// assign sets one key from the environment or from a flag.
func (ld *loader) assign(path, value string, o origin) {
	var target node
	walkLeaves("", ld.keys, func(p string, n node) {
		if p == path {
			target = n
		}
	})
	one, isScalar := target.(*scalar)
	several, isList := target.(*list)
	if !isScalar && (!isList || !several.texts) {
		ld.fault(path, "no key that a flag can set", "")
		return
	}
	ld.origins[path] = o
	delete(ld.faulty, path)
	if isList {
		ld.assignList(path, several, value, o)
	} else if err := one.set(value); err != nil {
		ld.fault(path, err.Error(), "")
	}
}

func (ld *loader) assignList(path string, n *list, value string, o origin) {
	n.reset()
	if strings.TrimSpace(value) == "" {
		return // the check of the list says that it is empty
	}
	for i, item := range strings.Split(value, ",") {
		el := element(path, i)
		ld.origins[el] = o
		s, ok := n.grow().(*scalar)
		if !ok {
			return // no list of texts
		}
		if err := s.set(strings.TrimSpace(item)); err != nil {
			ld.fault(el, err.Error(), "")
		}
	}
}

// resolve gives a relative path its meaning: from the folder of the file.
func (ld *loader) resolve(path string) string {
	if filepath.IsAbs(path) || ld.src.File == "" {
		return path
	}
	return filepath.Join(filepath.Dir(ld.src.File), path)
}

// faultUnread says that the file that path names cannot be read, and where it
// was looked for: a relative name is found from the folder of the file, not
// from where the command runs. What a variable stood for is not shown.
func (ld *loader) faultUnread(path, file string, err error) {
	hint := ""
	switch {
	case ld.src.File != "" && filepath.IsAbs(file) && !ld.origins[path].expanded && errors.Is(err, fs.ErrNotExist):
		hint = "put it there, for the user that runs the relay to read, or name another file"
	case errors.Is(err, fs.ErrPermission):
		hint = "give the user that runs the relay the right to read it"
	case ld.src.File != "" && !filepath.IsAbs(file) && !ld.origins[path].expanded:
		hint = "it was looked for as " + quote(file) + ": relative names begin at the folder of the configuration file"
	}
	ld.fault(path, "the file cannot be read: "+cause(err), hint)
}
