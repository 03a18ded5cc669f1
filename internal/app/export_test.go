package app

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// Mutated is o for a relay whose fast path validates against other schemas
// than its judge does.
func Mutated(o Options, mutate func(schema.Definition) schema.Definition) Options {
	o.mutateFastPath = mutate
	return o
}

// ShadowDraw is the draw of a relay with that schema.shadow.
func ShadowDraw(share float64) func() bool {
	s := new(shadow)
	s.set(share)
	return s.draw
}

// ShadowCompared is what a relay does with an outcome.
func ShadowCompared(log *slog.Logger, reg prometheus.Registerer) (func(jsonschema.Comparison), error) {
	s, err := newShadow(&Options{Config: new(config.Config), Log: log}, reg)
	if err != nil {
		return nil, err
	}
	return s.compared, nil
}

// Ahead is what a reload does for schemas before that share takes effect.
func Ahead(share float64, schemas gateway.Schemas, pins []schema.Pin) { ahead(share, schemas, pins) }
