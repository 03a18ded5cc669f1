package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/devkit"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// dev is a running `cxrelay dev`: the neighbours of the relay, and what is
// told of them.
type dev struct {
	flags   devFlags
	log     *slog.Logger
	out     *devPrinter
	program string // how to start this program, for a shell

	file   string   // the configuration; empty: none
	env    []string // for the variables that the file names
	listen string   // the address of --listen, if that was given
	admin  string   // of --admin

	broker      *devkit.Kafka
	registry    *devkit.Registry
	registryURL string

	mu    sync.Mutex      // a reload may come before the first lines are printed
	base  string          // of the webhooks' URLs
	held  map[string]bool // the files of secrets that were there, of the running configuration
	notes []string        // what prepare found, of the last configuration
	told  map[string]bool // what was printed already
}

// readFile finds the faults of the configuration before anything starts, and
// takes the addresses that the flags leave to it.
func (d *dev) readFile(cmd *cobra.Command, file *configFlag) error {
	src, err := file.source()
	if err != nil {
		return err
	}
	d.file, d.env = src.File, src.Env
	if cmd.Flags().Changed("listen") {
		d.listen = d.flags.listen
	}
	if cmd.Flags().Changed("admin") {
		d.admin = d.flags.admin
	}
	if cmd.Flags().Changed("secret") {
		d.env = append(d.env, secretEnv+"="+d.flags.secret)
	}
	cfg, warnings, err := config.Load(d.source())
	if err != nil {
		app.LogWarnings(d.log, warnings)
		return unusable(err)
	}
	d.flags.listen, d.flags.admin = cfg.Listen.Address, cfg.Admin.Address
	return nil
}

// source is where the relay gets its configuration.
func (d *dev) source() config.Source {
	broker, registry := "localhost:9092", "http://localhost:8081"
	if d.broker != nil {
		broker, registry = d.broker.Addr(), d.registryURL
	}
	if d.file == "" {
		return config.Source{
			Env: []string{secretEnv + "=" + d.flags.secret},
			Overrides: map[string]string{
				"kafka.brokers": broker, "schema.registry.urls": registry,
				"listen.address": d.flags.listen, "admin.address": d.flags.admin, "instance": "dev",
			},
		}
	}
	return config.Source{File: d.file, Env: d.env, Trial: &config.Trial{
		Broker: broker, Registry: registry, Listen: d.listen, Admin: d.admin, Secret: d.standIn,
	}}
}

// standIn is a secret in the place of one that is not on this machine: --secret
// itself where that is possible. A file that was there when the running
// configuration was read has none: the reload is refused, as by serve, and the
// secret that senders have goes on.
func (d *dev) standIn(w *config.Webhook, i int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held[w.Secrets[i].File] {
		return nil
	}
	text := d.flags.secret
	if i > 0 {
		text += "-" + w.Secrets[i].ID
	}
	key := sha256.Sum256([]byte(text))
	switch w.Scheme.SecretEncoding {
	case signature.SecretHex:
		return []byte(hex.EncodeToString(key[:]))
	case signature.SecretBase64:
		return []byte(base64.StdEncoding.EncodeToString(key[:]))
	case signature.SecretWhsec:
		return []byte("whsec_" + base64.StdEncoding.EncodeToString(key[:]))
	}
	if w.Preset == "basic" {
		return []byte("dev:" + text)
	}
	return []byte(text)
}

// hold remembers the files of secrets that a configuration was read from.
func (d *dev) hold(cfg *config.Config) {
	d.held = make(map[string]bool)
	for _, w := range cfg.Sources {
		for _, s := range w.Secrets {
			if s.File != "" && !s.StandIn {
				d.held[s.File] = true
			}
		}
	}
}

// start starts broker and registry. stop ends them, and gives the data folder
// back.
func (d *dev) start() (stop func() error, err error) {
	var undo []func() error
	stopAll := func() error {
		var errs []error
		for i := len(undo) - 1; i >= 0; i-- {
			errs = append(errs, undo[i]())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stopAll())
		}
	}()
	f := &d.flags
	kafka, schemas := devkit.KafkaOptions{Addr: f.kafka}, devkit.RegistryOptions{Addr: f.registry}
	if f.data != "" {
		data, err := devkit.OpenData(f.data, f.listen)
		if err != nil {
			return nil, err
		}
		undo = append(undo, data.Close)
		kafka.Data, kafka.Log, schemas.Data = data, d.log, data
	}
	if d.broker, err = devkit.StartKafka(kafka); err != nil {
		return nil, inUse(err, "--kafka", f.kafka)
	}
	undo = append(undo, func() error { d.broker.Close(); return nil })
	if d.registry, err = devkit.NewRegistry(schemas); err != nil {
		return nil, inUse(err, "--registry", f.registry)
	}
	undo = append(undo, d.registry.Close)
	d.registryURL = "http://" + usable(strings.TrimPrefix(d.registry.URL(), "http://"))
	return stopAll, nil
}

// prepare makes the topics and registers the schemas of a configuration.
func (d *dev) prepare(ctx context.Context, cfg *config.Config) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = nil
	for _, topic := range topicsIn(cfg) {
		pinned := cfg.Kafka.Partitions[topic]
		before, err := d.broker.Ensure(ctx, topic, pinned)
		if err != nil {
			return err
		}
		if before > 0 && pinned > before {
			d.note("topic %s: %d partitions in place of %d: keys move to others", topic, pinned, before)
		}
	}
	if cfg.Schema.Mode == config.Off {
		return nil
	}
	if d.file != "" {
		if err := d.registerFolder(cfg); err != nil {
			return err
		}
	}
	for _, r := range cfg.Routes {
		if r.Drop || d.registry.Latest(r.Subject) > 0 {
			continue
		}
		text := devkit.DevSchema
		if d.file != "" {
			text = `{"type": "object"}`
			d.note("subject %s: there is no schemas/%s.json: every object is valid", r.Subject, escaped(r.Subject))
		}
		if _, err := d.registry.Register(r.Subject, text); err != nil {
			return err
		}
	}
	return nil
}

func topicsIn(cfg *config.Config) []string {
	var topics []string
	for _, r := range cfg.Routes {
		if !r.Drop && !slices.Contains(topics, r.Topic) {
			topics = append(topics, r.Topic)
		}
	}
	return topics
}

// registerFolder registers the schemas that lie beside the configuration. One
// that cannot be used is a fault if a route has its subject, as it would be for
// serve; else there is a note.
func (d *dev) registerFolder(cfg *config.Config) error {
	dir := filepath.Join(filepath.Dir(d.file), "schemas")
	before := map[string]int{}
	for _, r := range cfg.Routes {
		before[r.Subject] = d.registry.Latest(r.Subject)
	}
	found, err := d.registry.RegisterFolder(os.DirFS(dir))
	var faults []error
	for _, bad := range filesIn(err) {
		var file *devkit.FileError
		routed := func(r route.Route) bool { return !r.Drop && r.Subject == file.Subject }
		if errors.As(bad, &file) && !slices.ContainsFunc(cfg.Routes, routed) {
			d.note("%s cannot be used, and no route needs it: %v", filepath.Join(dir, file.File), file.Err)
			continue
		}
		faults = append(faults, bad)
	}
	if len(faults) > 0 {
		return &exitError{code: exitConfig, err: fmt.Errorf("the schemas in %s cannot be used:\n\n%w", dir, errors.Join(faults...))}
	}
	for _, s := range found {
		was := ""
		switch {
		case before[s.Subject] > 0 && s.Version > before[s.Subject]:
			was = ", in use within about a minute"
		case s.Latest != s.Version:
			was = fmt.Sprintf(", but version %d is the latest, and used", s.Latest)
		}
		d.note("subject %s: %s, version %d%s", s.Subject, filepath.Join(dir, s.File), s.Version, was)
	}
	return nil
}

// filesIn takes the error of RegisterFolder apart.
func filesIn(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// escaped is the name of a subject in the name of its file.
func escaped(subject string) string {
	return strings.NewReplacer("%", "%25", "/", "%2F").Replace(subject)
}

func (d *dev) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}
