package gateway

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/route"
)

// Rules are what decides about events and may change while the relay runs:
// who may send, where which type goes, and what it is validated against. They
// are immutable.
type Rules struct {
	Sources []*Source // names and paths differ
	Routes  *route.Table
	Schemas Schemas
}

// ruleset is Rules with the counters of what they name, so that nothing is
// looked up by name on the path.
type ruleset struct {
	seats   []*seat // one per source
	none    *seat   // of requests that belong to no source
	table   *route.Table
	schemas Schemas
	seen    map[string]*atomic.Int64 // last arrival in unix milliseconds, by route pattern
	other   *atomic.Int64            // the same, of signed events that no route takes
}

// seat is a source with its place in the books and its counters.
type seat struct {
	source   *Source // nil: none
	row      int     // in the ledger
	duration [reason.Count]prometheus.Observer
	matches  []prometheus.Counter // by secret index
}

// at finds the source of a path. Paths match byte for byte.
func (r *ruleset) at(path string) *seat {
	for _, s := range r.seats {
		if s.source.Path == path {
			return s
		}
	}
	return r.none
}

// Swap makes r the rules of every request that begins from now on. Requests
// that have begun keep theirs to the end. What r names for the first time gets
// its counters before that; counters of names that are gone stay, so that
// nothing is ever counted backwards. Safe for concurrent use.
func (g *Gateway) Swap(r Rules) { g.rules.Store(g.metrics.seated(r, g.opts.Ledger)) }
