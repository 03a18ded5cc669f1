package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cxrelay/cxrelay/internal/config"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// secretFlags say where the secrets are.
type secretFlags struct {
	files, envs    []string
	config, source string
}

func (f *secretFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.files, "secret-file", nil, "`file` that holds a secret, - for standard input; may be given several times")
	flags.StringArrayVar(&f.envs, "secret-env", nil, "`name` of a variable that holds a secret; may be given several times")
	flags.StringVar(&f.config, "config", "", "configuration `file` whose source takes the request")
	flags.StringVar(&f.source, "source", "", "`name` of that source (default: the one with the request's path)")
}

// stdin reports whether a secret is read from standard input.
func (f *secretFlags) stdin() bool {
	for _, name := range f.files {
		if name == "-" {
			return true
		}
	}
	return false
}

// knowledge is what is given: a scheme, the secrets of the source, and those
// that the sender may have used instead. where says for each id how a
// configuration names the secret.
type knowledge struct {
	scheme      signature.Scheme
	own, others []signature.Secret
	where       map[string]string
	untried     []string // the secrets of other sources that are not here
}

// load reads all secrets and the scheme. Errors show no secret, nor what was
// given in the place of a file's or a variable's name: it may be one.
func (f *secretFlags) load(cmd *cobra.Command, v *verifyFlags, c *captured) (*knowledge, error) {
	k := &knowledge{where: make(map[string]string)}
	given, err := f.given(cmd, k)
	if err != nil {
		return nil, err
	}
	if cmd.Flags().Changed("config") {
		return k, f.fromConfig(k, c, given)
	}
	if len(given) == 0 {
		value, set := os.LookupEnv(secretEnv)
		if !set || value == "" {
			return nil, usageError("no secret: give --secret-file, --secret-env or --config, or set %s", secretEnv)
		}
		given = append(given, k.add(secretEnv, []byte(value), fmt.Sprintf("value: \"${%s}\"", secretEnv)))
	}
	k.own = given
	if v.search {
		return k, nil
	}
	k.scheme, err = v.scheme.scheme(cmd)
	return k, err
}

// add names a secret.
func (k *knowledge) add(id string, value []byte, where string) signature.Secret {
	for i := 2; k.where[id] != ""; i++ {
		id = fmt.Sprintf("%s (%d)", strings.TrimSuffix(id, fmt.Sprintf(" (%d)", i-1)), i)
	}
	k.where[id] = where
	return signature.Secret{ID: id, Value: value}
}

// given reads the files and variables of the flags.
func (f *secretFlags) given(cmd *cobra.Command, k *knowledge) ([]signature.Secret, error) {
	var all []signature.Secret
	for i, name := range f.files {
		content, id, err := readSecret(cmd, name)
		if err != nil {
			return nil, usageError("--secret-file, the %s one: %w (it takes the name of a file, not the secret itself)", ordinal(i), err)
		}
		all = append(all, k.add(id, content, secretPlace(name)))
	}
	for i, name := range f.envs {
		value, set := os.LookupEnv(name)
		if !set || value == "" {
			return nil, usageError("--secret-env, the %s one: no such variable is set (it takes the name of a variable, not the secret itself)", ordinal(i))
		}
		all = append(all, k.add(name, []byte(value), fmt.Sprintf("value: \"${%s}\"", name)))
	}
	return all, nil
}

func ordinal(i int) string {
	if i < 3 {
		return []string{"first", "second", "third"}[i]
	}
	return fmt.Sprintf("%dth", i+1)
}

// readSecret reads a secret as the relay does: one line end at the end is cut.
func readSecret(cmd *cobra.Command, name string) (content []byte, id string, err error) {
	if name == "-" {
		content, err = readInput(cmd.InOrStdin(), name)
		id = "standard input"
	} else {
		content, err = os.ReadFile(name)
		id = name
	}
	var failed *fs.PathError
	if errors.As(err, &failed) {
		err = failed.Err // without the name
	}
	if rest, ok := bytes.CutSuffix(content, []byte("\n")); ok {
		content = bytes.TrimSuffix(rest, []byte("\r"))
	}
	if err == nil && len(content) == 0 {
		err = errors.New("is empty")
	}
	return content, id, err
}

// secretPlace says in a configuration where the secret is.
func secretPlace(name string) string {
	if name == "-" {
		return "file: /run/secrets/cxone"
	}
	if full, err := filepath.Abs(name); err == nil {
		name = full
	}
	return "file: " + yamlText(name)
}

// fromConfig takes scheme and secrets of a source. The given ones are such as
// the sender may have used instead, or stand in for those that are not here.
func (f *secretFlags) fromConfig(k *knowledge, c *captured, given []signature.Secret) error {
	if f.config == "" {
		return usageError("--config is empty: name the file, or leave the flag out")
	}
	// Only the secrets of the sources count, and even they may be elsewhere.
	src := config.Source{File: f.config, Env: append([]string{"KAFKA_BROKERS=" + defaultBroker, "SCHEMA_REGISTRY_URL=" + defaultRegistry}, os.Environ()...), Unused: config.Secrets()}
	cfg, _, err := config.Load(src)
	if err != nil {
		return unusable(err)
	}
	chosen, err := f.choose(cfg.Sources, c)
	if err != nil {
		return err
	}
	k.scheme = cfg.Sources[chosen].Scheme
	for i := range cfg.Sources {
		k.fromSource(&cfg.Sources[i], i == chosen)
	}
	return k.standIn(cfg, chosen, c, given)
}

// standIn has the given secrets stand in for those of the source that are not
// here, if there are such, and tells of all that are not.
func (k *knowledge) standIn(cfg *config.Config, chosen int, c *captured, given []signature.Secret) error {
	var lacking []string
	for _, p := range cfg.Absent() {
		switch note := fmt.Sprintf("%s (%s): %s", p.Path, p.Place(), p.Message); {
		case strings.HasPrefix(p.Path, fmt.Sprintf("sources[%d].", chosen)):
			lacking = append(lacking, note)
		case strings.HasPrefix(p.Path, "sources["):
			k.untried = append(k.untried, "a secret of another source was not tried: "+note)
		}
	}
	if len(lacking) == 0 {
		k.others = append(k.others, given...)
		return nil
	}
	k.own = append(k.own, given...)
	if len(k.own) == 0 {
		return &exitError{code: exitConfig, err: fmt.Errorf("no secret of source %s is on this machine: give it by --secret-file or --secret-env\n%s",
			cfg.Sources[chosen].Name, strings.Join(lacking, "\n"))}
	}
	for _, l := range lacking {
		c.notes = append(c.notes, "a secret of the source was not tried: "+l)
	}
	return nil
}

// fromSource takes the secrets of a source that are here.
func (k *knowledge) fromSource(w *config.Webhook, own bool) {
	for i, s := range w.Keys() {
		if len(s.Value) == 0 {
			continue
		}
		place := "file: /run/secrets/" + s.ID
		if file := w.Secrets[i].File; file != "" {
			place = "file: " + yamlText(file)
		}
		if own {
			k.own = append(k.own, k.add(s.ID, s.Value, place))
		} else {
			k.others = append(k.others, k.add(w.Name+"/"+s.ID, s.Value, place))
		}
	}
}

// choose returns the source of --source, or of the request's path, or the only one.
func (f *secretFlags) choose(all []config.Webhook, c *captured) (int, error) {
	var names []string
	for i, w := range all {
		if f.source == w.Name || f.source == "" && (len(all) == 1 || w.Path == c.path) {
			return i, nil
		}
		names = append(names, w.Name)
	}
	if f.source == "" {
		return 0, usageError("the configuration has several sources, and none with the request's path: give --source (%s)", strings.Join(names, ", "))
	}
	return 0, usageError("--source: the configuration has no such source (it has %s)", strings.Join(names, ", "))
}
