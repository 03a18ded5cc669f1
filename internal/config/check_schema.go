package config

import (
	"net/url"
	"slices"
	"strings"
)

func (ld *loader) checkSchema() {
	ld.checkRegistry()
	if !ld.wrong("schema.mode") {
		ld.checkMode()
	}
	s := &ld.cfg.Schema
	if s.SnapshotDir == "" {
		return
	}
	s.SnapshotDir = ld.resolve(s.SnapshotDir)
	if ld.src.Stat == nil {
		return
	}
	if info, err := ld.src.Stat(s.SnapshotDir); err == nil && !info.IsDir() {
		ld.fault("schema.snapshot_dir", "is no folder", "")
	}
}

// checkMode warns of settings in the file that the mode does not use. Variables
// may serve several relays.
func (ld *loader) checkMode() {
	mode := ld.cfg.Schema.Mode
	unused := map[SchemaMode][]string{
		Local:     {"remote"},
		RemoteAPI: {"version", "max_age", "snapshot_dir", "shadow"},
		Off:       {"registry", "subject", "version", "max_age", "snapshot_dir", "shadow", "remote"},
	}[mode]
	var set []string
	compare("schema", defaults(true).Schema.keys(), ld.cfg.Schema.keys(), func(path string, _ node) { set = append(set, path) })
	for _, k := range unused {
		key := "schema." + k
		within := func(path string) bool { return path == key || strings.HasPrefix(path, key+".") }
		if ld.origins[key].layer == fromFile && slices.ContainsFunc(set, within) {
			ld.warn(key, "is not used: schema.mode is "+mode.String(), "")
		}
	}
}

func (ld *loader) checkRegistry() {
	const path = "schema.registry"
	r := &ld.cfg.Schema.Registry
	if len(r.URLs) == 0 && ld.cfg.Schema.Mode != Off && !ld.wrong("schema.mode") {
		ld.fault(path+".urls", "no Schema Registry is given", "set "+envRegistry+", or schema.registry.urls in the file: [http://registry:8081]")
	}
	for i, s := range r.URLs {
		if message, hint := faultOfURL(s); message != "" {
			ld.fault(element(path+".urls", i), message, hint)
		}
	}
	password := !r.Password.Empty() || ld.wrong(path+".password") || ld.wrong(path+".password_file")
	token := !r.Token.Empty() || ld.wrong(path+".token") || ld.wrong(path+".token_file")
	switch {
	case password && token:
		ld.fault(path+".token", "is set beside a password", "use one of them")
	case token && r.Username != "":
		ld.fault(path+".token", "is set beside a username", "use one of them")
	case password && r.Username == "":
		ld.fault(path+".username", "is missing beside the password", "")
	case r.Username != "" && !password:
		ld.fault(path+".password", "is missing beside the username", "set password_file")
	}
}

// faultOfURL does not repeat the URL: it may hold a password.
func faultOfURL(s string) (message, hint string) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "is no URL of a Schema Registry", "examples: http://registry:8081, https://registry.example.com/api"
	case u.User != nil:
		return "a URL holds no credentials: it is shown in logs", "set schema.registry.username and password_file"
	case u.RawQuery != "" || u.Fragment != "":
		return "a URL of a Schema Registry has no ? and no #", ""
	default:
		return "", ""
	}
}
