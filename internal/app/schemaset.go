package app

import (
	"context"
	"sync/atomic"

	"github.com/cxrelay/cxrelay/internal/schema"
)

// schemas runs the schema cache in use, and lets it be replaced.
type schemas struct {
	now      atomic.Pointer[schemaSet]
	replaced chan struct{}
}

// schemaSet is a cache with the client that it asks.
type schemaSet struct {
	client *schema.Client
	cache  *schema.Cache
}

func newSchemaRunner(first *schemaSet) *schemas {
	s := &schemas{replaced: make(chan struct{}, 1)}
	s.now.Store(first)
	return s
}

func (s *schemas) cache() *schema.Cache { return s.now.Load().cache }

// replace has another cache run. The one before is ended first.
func (s *schemas) replace(next *schemaSet) {
	old := s.now.Swap(next)
	select {
	case s.replaced <- struct{}{}:
	default: // it will be seen already
	}
	old.close()
}

// run runs the cache in use, one after the other, until ctx ends.
func (s *schemas) run(ctx context.Context) error {
	for {
		inner, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		set := s.now.Load()
		go func() { done <- set.cache.Run(inner) }()
		select {
		case <-s.replaced:
			cancel()
			if err := <-done; err != nil {
				return err
			}
		case err := <-done: // ctx has ended
			cancel()
			return err
		}
	}
}

func (s *schemas) close() { s.now.Load().close() }

func (s *schemaSet) close() {
	if s.client != nil {
		s.client.Close()
	}
}
