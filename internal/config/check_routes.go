package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cxrelay/cxrelay/internal/route"
)

func (ld *loader) checkRoutes() {
	if len(ld.cfg.Routes) == 0 {
		ld.fault("routes", "there are no routes", "remove the key for the four built-in ones, or add a route")
		return
	}
	if strings.TrimSpace(ld.cfg.Schema.Subject) == "" {
		ld.fault("schema.subject", "a subject is not empty", "")
	}
	table, err := route.New(ld.cfg.Routes)
	var faults route.Errors
	if errors.As(err, &faults) {
		for _, f := range faults {
			field := map[route.Field]string{route.FieldPattern: "type", route.FieldTopic: "topic", route.FieldSubject: "subject"}[f.Field]
			ld.fault(member(element("routes", f.Row), field), f.Err.Error(), "")
		}
	}
	for i := range ld.cfg.Routes {
		ld.checkRoute(element("routes", i), &ld.cfg.Routes[i])
	}
	if err == nil {
		ld.warnOfShadows(table)
	}
	ld.warnOfSilentSources()
}

// checkRoute fills in what a row leaves to schema.subject and schema.version.
// The version is that of schema.subject, and of no other.
func (ld *loader) checkRoute(path string, r *route.Route) {
	ld.checkRouteSources(path+".sources", r)
	if r.Drop {
		for _, k := range []string{"wire", "key", "version"} {
			if ld.given(member(path, k)) {
				ld.fault(member(path, k), "a route that drops has no "+k, "")
			}
		}
		return
	}
	s := &ld.cfg.Schema
	if r.Subject == "" {
		r.Subject = s.Subject
	}
	if r.Subject == s.Subject && !ld.given(path+".version") {
		r.Version = s.Version
	}
	if r.Wire == route.Prefix && s.Mode != Local {
		ld.fault(path+".wire", "prefix puts a schema id before the value, and with schema.mode "+s.Mode.String()+" there is none", "wire: raw, or schema.mode local")
	}
	unused := map[SchemaMode][]string{RemoteAPI: {"version"}, Off: {"subject", "version"}}
	for _, k := range unused[s.Mode] {
		if ld.given(member(path, k)) {
			ld.warn(member(path, k), "is not used: schema.mode is "+s.Mode.String(), "")
		}
	}
}

func (ld *loader) checkRouteSources(path string, r *route.Route) {
	if ld.given(path) && len(r.Sources) == 0 && !ld.anyFault(path) {
		ld.fault(path, "there are no sources", "remove the key to take the events of all")
	}
	names, sure := ld.sourceNames()
	for i, name := range r.Sources {
		p := element(path, i)
		switch {
		case slices.Contains(r.Sources[:i], name):
			ld.fault(p, ld.quote(p, name)+" stands twice", "keep one of them")
		case sure && !slices.ContainsFunc(ld.cfg.Sources, func(w Webhook) bool { return w.Name == name }):
			hint := "known here: " + strings.Join(names, ", ")
			if near := Nearest(name, names); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			ld.fault(p, ld.quote(p, name)+" is no source", hint)
		}
	}
}

// sourceNames returns the names of the sources as they may be shown, and
// whether no other can be meant.
func (ld *loader) sourceNames() (names []string, sure bool) {
	sure = !ld.wrong("sources")
	for i, w := range ld.cfg.Sources {
		path, name := element("sources", i), w.Name
		sure = sure && name != ""
		if ld.filled(path + ".name") {
			name = masked
		}
		names = append(names, name)
	}
	return names, sure
}

func (ld *loader) warnOfShadows(table *route.Table) {
	for _, s := range table.Shadowed() {
		by := element("routes", s.By)
		ld.warn(member(element("routes", s.Row), "type"),
			fmt.Sprintf("this route never matches: %s (%s) takes all of it", by, ld.quote(member(by, "type"), ld.cfg.Routes[s.By].Pattern)),
			"move the narrower route up")
	}
}

// warnOfSilentSources finds sources whose events no route takes.
func (ld *loader) warnOfSilentSources() {
	if ld.anyFault("routes") || ld.anyFault("sources") {
		return
	}
	for i, w := range ld.cfg.Sources {
		takes := func(r route.Route) bool { return len(r.Sources) == 0 || slices.Contains(r.Sources, w.Name) }
		if !slices.ContainsFunc(ld.cfg.Routes, takes) {
			ld.warn(member(element("sources", i), "name"), "no route takes the events of this source: all of them are refused as unrouted", "name it in the sources of a route")
		}
	}
}
