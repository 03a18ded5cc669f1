package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/httpd"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// reloadTimeout bounds the questions to Kafka and the registry of one reload.
const reloadTimeout = 10 * time.Second

// reloader makes another configuration the running one: the whole of it, or
// nothing. Everything that can fail comes before the first change that an
// event could see. Safe for concurrent use; one reload at a time.
type reloader struct {
	a    *App
	life context.Context // ends when the relay stops
	end  context.CancelFunc

	turn  chan struct{} // holds one: who takes it may reload
	rules gateway.Rules // the running ones; who has the turn reads and writes them

	outcome outcome
}

func newReloader(a *App, rules gateway.Rules) *reloader {
	r := &reloader{a: a, rules: rules, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	r.life, r.end = context.WithCancel(context.Background())
	r.outcome.began(a)
	return r
}

// stop gives up a reload that is under way, and waits for its end, but not for
// long; none comes after it.
func (r *reloader) stop() {
	r.end()
	select {
	case <-r.turn:
		r.turn <- struct{}{} // who comes now sees that life has ended
	case <-time.After(settleFor): // a step that does not end must not hold the stop
	}
}

// unheld calls f, which reads files, and reports whether it has returned before
// the relay stopped. A file that cannot be read to its end must not hold the
// stop; what f does later counts for nothing.
func (r *reloader) unheld(f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return true
	case <-r.life.Done():
		return false
	}
}

// reload loads the configuration again and takes it over. It returns what
// changed and what to know about it, or a *ReloadError; then everything is as
// it was.
func (r *reloader) reload(trigger string) (*reloaded, error) {
	<-r.turn
	defer func() { r.turn <- struct{}{} }()
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.life, reloadTimeout)
	defer cancel()
	done, err := r.attempt(ctx)
	r.outcome.note(r.a, trigger, done, err, time.Since(began))
	return done, err
}

// reloaded is what a reload did.
type reloaded struct {
	changed  []string // paths of keys
	warnings []string
	problems []config.Problem // what the new configuration is warned of
}

func (r *reloader) attempt(ctx context.Context) (*reloaded, error) {
	if r.a.opts.Source == nil {
		return nil, refuse(NeedsRestart, "this relay was started without a configuration that could be read again", "start it with one")
	}
	if r.life.Err() != nil {
		return nil, refuse(Unusable, "the relay is stopping", "")
	}
	was := r.a.config.Load()
	var is *config.Config
	var problems []config.Problem
	var err error
	if !r.unheld(func() { is, problems, err = r.a.opts.Source.Load() }) {
		return nil, refuse(Unusable, "the relay is stopping", "")
	}
	if err != nil {
		return nil, invalid(err)
	}
	changed, refused := config.Changes(was, is)
	if i := slices.Index(refused, "kafka.partitions"); i >= 0 && r.a.pinsHold(is) {
		changed, refused = append(changed, refused[i]), slices.Delete(refused, i, i+1)
	}
	if len(refused) > 0 {
		return nil, r.a.needsRestart(was, is, refused)
	}
	if r.a.opts.Prepare != nil {
		if err := r.a.opts.Prepare(ctx, is); err != nil {
			return nil, unusable(is, err)
		}
	}
	next, err := r.prepare(ctx, was, is, changed)
	if err != nil {
		return nil, unusable(is, err)
	}
	breaks := orderBreaks(r.rules, next.rules)
	r.apply(next)
	if r.a.opts.OnReload != nil {
		r.a.opts.OnReload(is)
	}
	return &reloaded{changed: changed, warnings: breaks, problems: problems}, nil
}

// pinsHold tells whether the partitions that another configuration pins are
// those that keys are spread over already. A pin of a topic that comes or goes
// with its routes is one of those, and so is a pin written down at last.
func (a *App) pinsHold(is *config.Config) bool {
	for topic, pin := range is.Kafka.Partitions {
		if used := a.deliverer.Pinned(topic); used != 0 && used != pin {
			return false
		}
	}
	return true
}

// prepared is a configuration of which everything is there and usable.
type prepared struct {
	config  *config.Config
	rules   gateway.Rules
	tls     *tls.Config // nil: plain HTTP
	schemas *schemaSet  // nil: the running ones stay
	topics  []string
}

// prepare makes everything that is new, and makes sure that it can be used. On
// an error nothing is left of it.
func (r *reloader) prepare(ctx context.Context, was, is *config.Config, changed []string) (_ *prepared, err error) {
	var undo []func()
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				undo[i]()
			}
		}
	}()
	p := &prepared{config: is, topics: topicsOf(is.Routes)}
	if body := int64(is.Limits.Body); body > httpd.MaxBody {
		return nil, fmt.Errorf("limits.body: %v is more than %d bytes", is.Limits.Body, int64(httpd.MaxBody))
	}
	if p.rules, err = newRules(is); err != nil {
		return nil, err
	}
	if p.tls, err = listenTLS(&is.Listen.TLS); err != nil {
		return nil, err
	}
	p.rules.Schemas = r.a.schemas.cache()
	if touches(changed, "schema") || !slices.Equal(pinsOf(was.Routes), pinsOf(is.Routes)) {
		if p.schemas, err = r.newSchemas(ctx, was, is, touches(changed, "schema.registry")); err != nil {
			return nil, err
		}
		undo = append(undo, p.schemas.close)
		p.rules.Schemas = p.schemas.cache
	}
	before := topicsOf(was.Routes)
	added := without(p.topics, before)
	fresh := r.a.deliverer.Add(added, is.Kafka.Partitions)
	undo = append(undo, func() { r.a.retain(before); r.a.deliverer.Forget(fresh) })
	if err = r.addTopics(ctx, added, is); err != nil {
		return nil, err
	}
	if p.schemas != nil {
		p.schemas.cache.Confirm(ctx) // last, for as long as there is time
	}
	ahead(is.Schema.Shadow, p.rules.Schemas, pinsOf(is.Routes))
	if touches(changed, "kafka.sasl") || touches(changed, "kafka.tls") { // the last step that can fail: it takes effect at once
		err = r.a.kafka.SetSecurity(securityOf(&is.Kafka))
	}
	return p, err
}

// touches tells whether a key is among the changed ones, or one below it.
func touches(changed []string, key string) bool {
	return slices.ContainsFunc(changed, func(path string) bool { return path == key || strings.HasPrefix(path, key+".") })
}

// newSchemas makes a cache that has the schemas of the running one, and loads
// what is new or was not needed before. Another registry, or other credentials for it, must be
// answered once.
func (r *reloader) newSchemas(ctx context.Context, was, is *config.Config, elsewhere bool) (*schemaSet, error) {
	o := r.a.opts
	o.Config = is
	client, cache, err := newSchemas(o, r.a.metrics, r.a.shadow, r.a.schemas.cache(), elsewhere)
	if err != nil {
		return nil, err
	}
	set := &schemaSet{client, cache}
	before, now := pinsOf(was.Routes), pinsOf(is.Routes)
	err = loadAll(ctx, cache, is, slices.DeleteFunc(slices.Clone(now), func(p schema.Pin) bool {
		_, lacking := r.a.schemas.cache().Lookup(p.Subject, p.Version)
		return lacking != nil && slices.Contains(before, p) // no worse than it was
	}))
	if err == nil && elsewhere && client != nil && is.Schema.Mode == config.Local && len(now) > 0 {
		if _, err = client.Latest(ctx, now[0].Subject); err != nil {
			err = fmt.Errorf("schema registry: %w", err)
		}
	}
	if err != nil {
		set.close()
		return nil, err
	}
	return set, nil
}

// loadAll loads every schema. It goes on after one that cannot be used, so that
// the error, of *subjectErrors, has all of them.
func loadAll(ctx context.Context, cache *schema.Cache, is *config.Config, pins []schema.Pin) error {
	var all severalErrors
	for _, pin := range pins {
		if err := cache.Load(ctx, []schema.Pin{pin}); err != nil {
			all = append(all, &subjectError{subjectKey(is, pin), err})
		}
		if ctx.Err() != nil {
			break
		}
	}
	return all.orNil()
}

// addTopics has Kafka know the topics that are new, as delivery does already,
// and waits until records can be produced to them.
func (r *reloader) addTopics(ctx context.Context, added []string, is *config.Config) error {
	if len(added) == 0 {
		return nil
	}
	if err := r.a.kafka.Add(added); err != nil {
		return err
	}
	var missing severalErrors
	for _, topic := range added { // one by one: a refusal names all of them
		if err := r.a.deliverer.Await(ctx, []string{topic}); err != nil {
			missing = append(missing, err)
		}
	}
	if len(missing) > 0 {
		return missing
	}
	return r.a.inspection.ofNew(ctx, added, is)
}

// retain ends the watch over all other topics.
func (a *App) retain(topics []string) {
	a.kafka.Retain(topics)
	a.deliverer.Retain(topics)
	a.inspection.retain(topics)
}

// apply makes p the running configuration. Nothing in it can fail. Requests
// that have begun end as they would have.
func (r *reloader) apply(p *prepared) {
	a, l := r.a, p.config.Limits
	a.budget.SetTotal(int64(l.InFlightBytes))
	a.deliverer.SetLimits(deliverLimits(p.config))
	a.webhook.SetLimits(int64(l.Body), l.Connections)
	if a.tls != nil && p.tls != nil {
		a.tls.Set(p.tls)
	}
	a.shadow.set(p.config.Schema.Shadow)
	a.config.Store(p.config)
	if p.schemas != nil {
		p.schemas.cache.CatchUp(a.schemas.cache())
	}
	a.gateway.Swap(p.rules)
	r.rules = p.rules
	if p.schemas != nil {
		a.schemas.replace(p.schemas)
	}
	a.retain(p.topics)
	a.deliverer.Keep(p.topics, p.config.Kafka.Partitions)
}

// without returns what is in all and not in some.
func without[T comparable](all, some []T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(v T) bool { return slices.Contains(some, v) })
}
