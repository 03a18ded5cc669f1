package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cxrelay/cxrelay/internal/event"
	"github.com/cxrelay/cxrelay/internal/signature"
)

func (ld *loader) checkSources() {
	if len(ld.cfg.Sources) == 0 {
		ld.fault("sources", "there are no sources", "remove the key for the built-in one, or add a source")
		return
	}
	names, paths := make(map[string]int), make(map[string]int)
	for i := range ld.cfg.Sources {
		w, path := &ld.cfg.Sources[i], element("sources", i)
		ld.checkSource(path, w)
		if first, twice := names[w.Name]; twice && w.Name != "" {
			ld.fault(path+".name", element("sources", first)+" has this name already", "metrics and records tell sources apart by their names")
		}
		if first, twice := paths[w.Path]; twice && w.Path != "" {
			hint := ""
			if !ld.given(path + ".path") {
				hint = "it is the default: give each source a path of its own"
			}
			ld.fault(path+".path", element("sources", first)+" has the path "+ld.quote(path+".path", w.Path)+" already", hint)
		}
		remember(names, w.Name, i)
		remember(paths, w.Path, i)
	}
}

// remember notes the first place of a name.
func remember(seen map[string]int, name string, i int) {
	if _, twice := seen[name]; !twice {
		seen[name] = i
	}
}

func (ld *loader) checkSource(path string, w *Webhook) {
	switch {
	case w.Name == "":
		ld.fault(path+".name", "a source needs a name", "")
	case !isLabel(w.Name) || w.Name == "none":
		ld.fault(path+".name", ld.quote(path+".name", w.Name)+" is no name of a source", labelHint+`; not "none"`)
	}
	if message := faultOfPath(w.Path); message != "" {
		ld.fault(path+".path", message, "example: /cxone/webhook")
	} else if w.Path == "/metrics" && ld.cfg.Listen.Metrics {
		ld.fault(path+".path", "listen.metrics takes /metrics", "")
	}
	ld.checkSignature(path+".signature", w)
	for _, e := range []struct {
		key, path string
		paths     *[]event.Path
	}{
		{"type", "actionType", &w.Event.Type},
		{"contact", "contactId", &w.Event.Contact},
		{"id", "eventId", &w.Event.ID},
	} {
		ld.checkEvent(path+".event."+e.key, e.path, e.paths)
	}
}

// checkEvent fills in the default, and refuses a list that is empty on
// purpose where the relay needs one.
func (ld *loader) checkEvent(path, preset string, paths *[]event.Path) {
	if ld.given(path) {
		if len(*paths) == 0 && !strings.HasSuffix(path, ".id") {
			ld.fault(path, "there are no paths", "remove the key for the default, ["+preset+"]")
		}
		return
	}
	p, err := event.ParsePath(preset)
	if err != nil {
		ld.fault(path, err.Error(), "")
	}
	*paths = []event.Path{p}
}

func (ld *loader) checkSignature(path string, w *Webhook) {
	if w.Preset == PresetNone {
		ld.checkOpen(path, w)
		return
	}
	if w.Insecure {
		ld.warn(strings.TrimSuffix(path, ".signature")+".insecure", "has no effect: the source verifies signatures", "remove it; it is for preset none")
	}
	preset := ld.given(path+".preset") || !ld.given("sources")
	if !preset && w.Scheme.Header == "" && !ld.wrong(path+".header") {
		ld.fault(path, "a source needs a signature", `name a preset ("cxone"), or describe it: header, algorithm, encoding`)
	} else if !ld.wrong(path + ".preset") {
		complete(&w.Scheme)
		for _, f := range w.Scheme.Validate() {
			hint := ""
			if f.Field == "header" && w.Scheme.Header == "" {
				hint = "name the one that carries the token: header: x-token"
			}
			ld.fault(member(path, f.Field), f.Problem, hint)
		}
	}
	ld.checkNames(path+".secrets", w)
	if !ld.anyFault(path) {
		ld.checkKeys(path+".secrets", w)
	}
}

// checkOpen checks a source that verifies nothing: that must have been said
// twice, or senders must show a certificate.
func (ld *loader) checkOpen(path string, w *Webhook) {
	walkScalars("", w.signatureKeys(), func(key string, _ *scalar) {
		if key != "preset" && !strings.HasPrefix(key, "secrets") && ld.given(path+"."+key) {
			ld.fault(path+"."+key, "preset none reads no signature", "remove it, or name another preset")
		}
	})
	if ld.given(path + ".secrets") {
		ld.fault(path+".secrets", "preset none takes no secrets", "remove them, or name another preset")
	}
	insecure := strings.TrimSuffix(path, ".signature") + ".insecure"
	certified := ld.cfg.Listen.TLS.ClientCAFile != "" || ld.wrong("listen") || ld.wrong("listen.tls") || ld.wrong("listen.tls.client_ca_file")
	switch {
	case w.Insecure && !certified:
		ld.warn(insecure, "whoever reaches "+ld.quote(strings.TrimSuffix(path, ".signature")+".path", w.Path)+" may write into Kafka", "let only the sender reach it, or set listen.tls.client_ca_file")
	case !w.Insecure && !certified && !ld.wrong(insecure):
		ld.fault(path+".preset", "with none, anybody who reaches the path may write into Kafka",
			"set listen.tls.client_ca_file, so that senders show a certificate, or say insecure: true in this source")
	}
}

// checkKeys finds secrets that the scheme cannot use.
func (ld *loader) checkKeys(path string, w *Webhook) {
	for i, key := range w.Keys() {
		if _, err := signature.NewVerifier(w.Scheme, []signature.Secret{key}); err != nil {
			ld.fault(element(path, i), err.Error(), "")
			continue
		}
		if n := whsecLen(key.Value); w.Scheme.SecretEncoding == signature.SecretWhsec && n < minWhsec {
			ld.warn(element(path, i), fmt.Sprintf("the secret has %d bytes; Standard Webhooks asks for 24 to 64", n),
				"whsec_ and what openssl rand -base64 32 prints")
		}
	}
}

// minWhsec is the fewest bytes of a secret that Standard Webhooks allows
// (standardwebhooks.com, "Signature scheme").
const minWhsec = 24

// whsecLen is the number of bytes that a well-formed secret decodes to: six
// bits a character.
func whsecLen(secret []byte) int {
	text := bytes.TrimRight(bytes.TrimPrefix(secret, []byte("whsec_")), "=")
	return len(text) * 6 / 8
}

func (ld *loader) checkNames(secrets string, w *Webhook) {
	signature := strings.TrimSuffix(secrets, ".secrets")
	if len(w.Secrets) == 0 && (ld.given(secrets) || !ld.wrong(signature) && !ld.wrong(signature+".preset")) {
		ld.fault(secrets, "a source needs at least one secret", "example: [{id: \"2026-11\", file: /run/secrets/cxone}]")
	}
	seen := make(map[string]bool)
	for i := range w.Secrets {
		id, p := w.Secrets[i].ID, element(secrets, i)
		switch {
		case id == "":
			ld.fault(p+".id", "a secret needs an id: metrics and logs show it", "")
		case !isLabel(id):
			ld.fault(p+".id", ld.quote(p+".id", id)+" is no id of a secret", labelHint)
		case seen[id]:
			ld.fault(p+".id", "another secret has this id", "")
		}
		seen[id] = true
	}
}

const labelHint = "1 to 64 characters of a-z, A-Z, 0-9, dot, underscore and minus"

func isLabel(s string) bool {
	for _, r := range s {
		if !(isUnreserved(r) && r != '~') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// isUnreserved is RFC 3986 §2.3: characters that never need escaping in a
// path, so that there is one way to write each path.
func isUnreserved(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~", r)
}

func faultOfPath(path string) string {
	if path == "" {
		return "a source needs a path"
	}
	if path[0] != '/' {
		return "a path starts with a slash"
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if s == "." || s == ".." || s == "" && i < len(segments)-1 {
			return `a path has no empty part, no "." and no ".."`
		}
		for _, r := range s {
			if !isUnreserved(r) {
				return fmt.Sprintf("a path has only a-z, A-Z, 0-9, minus, dot, underscore and tilde, not %q", r)
			}
		}
	}
	return ""
}

// loadSecrets reads every file that holds a secret, and checks that each
// secret is given once.
func (ld *loader) loadSecrets() {
	if ld.given("sources") {
		for i := range ld.cfg.Sources {
			w := &ld.cfg.Sources[i]
			for j := range w.Secrets {
				s, path := &w.Secrets[j], element(element("sources", i)+".signature.secrets", j)
				ld.loadSecret(path+".value", path+".file", &s.Value, &s.File, true)
			}
		}
	}
	const registry = "schema.registry"
	r := &ld.cfg.Schema.Registry
	ld.loadSecret(registry+".password", registry+".password_file", &r.Password, &r.PasswordFile, false)
	ld.loadSecret(registry+".token", registry+".token_file", &r.Token, &r.TokenFile, false)
	ld.loadKafkaSecrets()
	if ld.given("admin.token_file") && ld.cfg.Admin.TokenFile != "" {
		ld.loadSecretFile("admin.token_file", &ld.cfg.Admin.Token, &ld.cfg.Admin.TokenFile)
	}
}

// loadSecret settles one secret that may be given as text or as a file. The
// later layer wins; within one layer, only one of them is allowed.
func (ld *loader) loadSecret(textPath, filePath string, value *Secret, file *string, needed bool) {
	inText, inFile := ld.given(textPath), ld.given(filePath) && *file != ""
	if t := ld.origins[textPath]; inFile && t.unset != "" && ld.origins[filePath].layer > t.layer {
		delete(ld.origins, textPath) // the file wins, whatever the variables hold
	}
	if inText && inFile {
		switch t, f := ld.origins[textPath].layer, ld.origins[filePath].layer; {
		case t > f:
			inFile, *file = false, ""
		case f > t:
			inText = false
		default:
			ld.fault(filePath, "is set beside "+textPath, "use one of them")
			return
		}
	}
	switch {
	case inFile:
		ld.loadSecretFile(filePath, value, file)
	case inText && value.Empty():
		ld.fault(textPath, "the secret is empty", "")
	case !inText && needed:
		if ld.given(filePath) {
			ld.fault(filePath, "the name of the file is empty", "")
		}
		if !ld.wrong(textPath) && !ld.wrong(filePath) {
			ld.fault(textPath[:strings.LastIndexByte(textPath, '.')], "a secret needs a file (or a value)", "")
		}
	}
}

func (ld *loader) loadSecretFile(path string, value *Secret, file *string) {
	*file = ld.resolve(*file)
	data, err := ld.src.ReadFile(*file)
	if standIn, ok := ld.absent(path, err); ok {
		*value = NewSecret(standIn)
		return
	}
	if err != nil {
		ld.faultUnread(path, *file, err)
		return
	}
	data = trimNewline(data)
	if len(data) == 0 {
		ld.fault(path, "the file is empty", "")
		return
	}
	ld.readable(path, *file)
	*value = NewSecret(data)
}

// trimNewline removes the one newline that editors and echo add.
func trimNewline(data []byte) []byte {
	if n := len(data); n > 0 && data[n-1] == '\n' {
		data = data[:n-1]
		if n > 1 && data[n-2] == '\r' {
			data = data[:n-2]
		}
	}
	return data
}

// cause is what went wrong with a file, without its name, which the problem
// shows anyway.
func cause(err error) string {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err.Error()
	}
	return err.Error()
}
