package app

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// newSchemas builds what schema.mode asks for. The client is nil where nobody
// is asked. previous is the cache that the new one is to replace; may be nil;
// elsewhere: it asked another registry. Nothing is contacted before the cache
// runs.
func newSchemas(o Options, reg prometheus.Registerer, watch *shadow, previous *schema.Cache, elsewhere bool) (*schema.Client, *schema.Cache, error) {
	cfg := o.Config
	for _, r := range cfg.Routes {
		if r.Wire == route.Prefix && cfg.Schema.Mode != config.Local {
			return nil, nil, fmt.Errorf("route %s: wire prefix needs the id of a schema, and with schema.mode %s there is none", r.Pattern, cfg.Schema.Mode)
		}
	}
	cache := schema.CacheOptions{Pins: pinsOf(cfg.Routes), Previous: previous, Elsewhere: elsewhere, Log: o.Log, Registerer: reg}
	var client *schema.Client
	if cfg.Schema.Mode != config.Off {
		opts := registryOptions(cfg, o.Build, o.Log)
		opts.Transport, opts.Registerer = o.Network.Registry, reg
		if cfg.Schema.Mode == config.RemoteAPI {
			opts.Connections = schema.RemoteCalls
		}
		var err error
		if client, err = schema.NewClient(opts); err != nil {
			return nil, nil, fmt.Errorf("schema registry: %w", err)
		}
	}
	watch.expect(cache.Pins)
	if err := fill(&cache, o, client, watch); err != nil {
		return nil, nil, err
	}
	schemas, err := schema.NewCache(cache)
	if err != nil {
		return nil, nil, fmt.Errorf("schema cache: %w", err)
	}
	return client, schemas, nil
}

// fill sets what depends on the mode.
func fill(cache *schema.CacheOptions, o Options, client *schema.Client, watch *shadow) error {
	cfg := o.Config.Schema
	switch cfg.Mode {
	case config.Off:
		o.Log.Warn("schema.mode is off: no payload is validated")
		cache.Fixed = schema.Unchecked()
	case config.RemoteAPI:
		judge, err := schema.NewJudge(schema.RemoteOptions{
			Client: client, Attempts: cfg.Remote.Attempts, Backoff: cfg.Remote.Backoff, Timeout: cfg.Remote.Timeout, Log: o.Log,
		})
		if err != nil {
			return err
		}
		cache.Fixed = judge.Fixed()
	case config.Local:
		cache.Source, cache.Compile, cache.MaxAge = client, engines(watch.compiler()), cfg.MaxAge
		if cfg.SnapshotDir != "" {
			cache.Snapshots = schema.NewSnapshots(cfg.SnapshotDir)
		}
	}
	return nil
}

// pinsOf returns what the delivering rows validate against, each once.
func pinsOf(rows []route.Route) []schema.Pin {
	var all []schema.Pin
	seen := map[schema.Pin]bool{}
	for _, r := range rows {
		if p := (schema.Pin{Subject: r.Subject, Version: r.Version}); !r.Drop && !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	return all
}

// listSchemas is the body of /api/v1/schemas: all of them without their texts,
// or those of one subject with them. ok is false for an unknown subject.
func (a *App) listSchemas(subject string) (body any, ok bool) {
	list := schema.Listing{Mode: a.config.Load().Schema.Mode.String(), Schemas: []schema.Entry{}}
	if subject != "" {
		list.Schemas = a.schemas.cache().Entries(subject)
		return list, len(list.Schemas) > 0
	}
	for _, s := range a.schemas.cache().Subjects() {
		list.Schemas = append(list.Schemas, schema.Entry{Status: s})
	}
	return list, true
}
