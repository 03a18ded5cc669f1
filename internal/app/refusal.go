package app

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cxrelay/cxrelay/internal/admin"
	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/deliver"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// ReloadError is why a reload was refused. The relay goes on as before.
type ReloadError struct {
	Kind     ReloadKind
	Problems []config.Problem // one or more, each with its place where there is one
}

// Error has the problems as paragraphs, as an error of the start has them.
func (e *ReloadError) Error() string {
	all := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		all[i] = p.String()
	}
	return strings.Join(all, "\n")
}

// lines are the problems on one line each, for the log.
func (e *ReloadError) lines() []string {
	all := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		all[i] = p.Summary()
	}
	return all
}

// parts are the problems for machines.
func (e *ReloadError) parts() []admin.Problem {
	all := make([]admin.Problem, len(e.Problems))
	for i, p := range e.Problems {
		all[i] = admin.Problem{File: p.File, Line: p.Line, Column: p.Column, Variable: p.Env, Key: p.Path, Message: p.Message, Remedy: p.Hint}
	}
	return all
}

func refuse(kind ReloadKind, message, remedy string) *ReloadError {
	return &ReloadError{Kind: kind, Problems: []config.Problem{{Message: message, Hint: remedy}}}
}

func invalid(err error) *ReloadError {
	var all *config.Errors
	if !errors.As(err, &all) {
		return refuse(Invalid, err.Error(), "")
	}
	return &ReloadError{Kind: Invalid, Problems: all.Problems}
}

// needsRestart says of each key where it stands, and how the rest of the
// configuration can be taken over without a restart.
func (a *App) needsRestart(was, is *config.Config, keys []string) *ReloadError {
	e := &ReloadError{Kind: NeedsRestart}
	for _, key := range keys {
		if key == "kafka.partitions" {
			e.Problems = append(e.Problems, a.otherPins(is)...)
			continue
		}
		remedy := "restart the relay, or take the change back to reload the rest"
		if before := was.Shown(key); before != "" {
			remedy = "restart the relay, or set it back to " + before + " to reload the rest"
		}
		e.Problems = append(e.Problems, is.Problem(key, "has changed, which needs a restart", remedy))
	}
	return e
}

// otherPins are the pins that are not the counts which records are spread over.
func (a *App) otherPins(is *config.Config) []config.Problem {
	var all []config.Problem
	for _, topic := range slices.Sorted(maps.Keys(is.Kafka.Partitions)) {
		pin := is.Kafka.Partitions[topic]
		if used := a.deliverer.Pinned(topic); used != 0 && used != pin {
			all = append(all, is.Problem("kafka.partitions."+topic,
				fmt.Sprintf("has changed, which needs a restart: the relay spreads the keys of topic %s over %d partitions until it ends, and here are %d", topic, used, pin),
				fmt.Sprintf("write %d; or restart the relay, which moves keys, and breaks the order of contacts that are under way once", used)))
		}
	}
	return all
}

// unusable says of what cannot be used now where it stands in the configuration.
func unusable(is *config.Config, err error) *ReloadError {
	var several severalErrors
	if !errors.As(err, &several) {
		several = severalErrors{err}
	}
	e := &ReloadError{Kind: Unusable}
	for _, one := range several {
		e.Problems = append(e.Problems, problemsIn(is, one)...)
	}
	return e
}

func problemsIn(is *config.Config, err error) []config.Problem {
	var topic *deliver.UnusableError
	var subject *subjectError
	var strict *StrictError
	switch {
	case errors.As(err, &topic):
		return []config.Problem{is.Problem(topicKey(is, topic.Topic), topic.Err.Error(), cmp.Or(topic.Remedy, "create the topic, or wait for Kafka, and reload again"))}
	case errors.As(err, &subject):
		return []config.Problem{is.Problem(subject.key, subject.Error(), "register a schema that can be used, or look at the registry, and reload again")}
	case errors.As(err, &strict):
		return strict.problems(is)
	}
	return []config.Problem{{Message: err.Error()}}
}

// problems are the findings, each with the topic's place.
func (e *StrictError) problems(is *config.Config) []config.Problem {
	all := make([]config.Problem, len(e.Findings))
	for i, f := range e.Findings {
		message, key := "kafka.strict refuses: "+f.Message, "kafka.strict"
		if f.Topic != "" {
			message, key = fmt.Sprintf("kafka.strict refuses topic %s: %s", f.Topic, f.Message), topicKey(is, f.Topic)
		}
		all[i] = is.Problem(key, message, f.Remedy)
	}
	return all
}

// topicKey is the key that names a topic first.
func topicKey(is *config.Config, topic string) string {
	return routeKey(is, "topic", func(r route.Route) bool { return !r.Drop && r.Topic == topic })
}

// subjectKey is the key that has a schema asked for.
func subjectKey(is *config.Config, pin schema.Pin) string {
	return routeKey(is, "subject", func(r route.Route) bool { return !r.Drop && r.Subject == pin.Subject && r.Version == pin.Version })
}

func routeKey(is *config.Config, name string, which func(route.Route) bool) string {
	i := slices.IndexFunc(is.Routes, which)
	if i < 0 {
		return "routes"
	}
	return fmt.Sprintf("routes[%d].%s", i, name)
}

// severalErrors are all reasons of one kind, one or more.
type severalErrors []error

func (s severalErrors) Error() string { return errors.Join(s...).Error() }

// orNil is s as an error, nil when there is none.
func (s severalErrors) orNil() error {
	if len(s) == 0 {
		return nil
	}
	return s
}

// subjectError is a schema that a reload asks for, and that cannot be used.
type subjectError struct {
	key string
	err error
}

func (e *subjectError) Error() string { return e.err.Error() }
func (e *subjectError) Unwrap() error { return e.err }
