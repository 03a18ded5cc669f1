package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// walk fills in n from y, and reports what does not fit.
func (ld *loader) walk(path string, n node, y ast.Node) {
	ld.origins[path] = origin{layer: fromFile, place: placeOf(y)}
	if message, hint := unusable(y); message != "" {
		ld.hideMisfit(path, n, y)
		ld.fault(path, message, hint)
		return
	}
	switch n := n.(type) {
	case object:
		if entries, ok := ld.entries(path, n, y); ok {
			ld.walkObject(path, n, entries)
		}
	case *dict:
		if entries, ok := ld.entries(path, n, y); ok {
			for _, e := range entries {
				set := func(s string) error { return n.set(e.name, s) }
				ld.walk(member(path, e.name), &scalar{set: set}, e.value)
			}
		}
	case *list:
		seq, ok := y.(*ast.SequenceNode)
		if !ok {
			ld.wrongKind(path, "a list", n, y)
			return
		}
		n.reset()
		for i, item := range seq.Values {
			ld.walk(element(path, i), n.grow(), item)
		}
	case *scalar:
		ld.walkScalar(path, n, y)
	}
}

// unusable says why a node of YAML stands for no value.
func unusable(y ast.Node) (message, hint string) {
	switch y.Type() {
	case ast.NullType:
		return "there is no value", "remove the key, or give it a value"
	case ast.AliasType:
		return "aliases are not supported", "quote a value that starts with *"
	case ast.AnchorType:
		return "anchors are not supported", "quote a value that starts with &"
	case ast.TagType:
		return "tags are not supported", "quote a value that starts with !"
	default:
		return "", ""
	}
}

func (ld *loader) wrongKind(path, want string, n node, y ast.Node) {
	ld.hideMisfit(path, n, y)
	kind, hint := "a text", ""
	switch y.Type() {
	case ast.MappingType, ast.MappingValueType:
		kind = "a mapping"
	case ast.SequenceType:
		kind = "a list"
	default:
		if l, ok := n.(*list); ok && l.scalars {
			hint = "put it in brackets: […]"
		}
	}
	if path == "" { // some other file: nothing is said of what it lacks
		ld.unread = true
		hint = "a configuration is one mapping of keys, such as kafka: {brokers: [kafka:9092]}; is this the right file?"
	}
	ld.fault(path, "must be "+want+", not "+kind, hint)
}

func (ld *loader) walkScalar(path string, n *scalar, y ast.Node) {
	raw, ok := scalarText(y)
	if !ok {
		ld.wrongKind(path, "one value", n, y)
		return
	}
	if n.secret || holdsCredentials(raw) {
		ld.hide(y)
	}
	if n.secret && raw != "" && !strings.Contains(raw, "${") {
		ld.warn(path, "a secret is written in the file",
			"keep it in a file of its own (key "+fileKey(path)+"), or in the environment (${NAME})")
	}
	for _, name := range variables(raw) {
		ld.named[name] = true
	}
	value, faults := expand(raw, ld.env)
	if len(faults) > 0 && ld.onlyUnset(raw) {
		excused := ld.excused
		if n.secret {
			excused = func(path string) ([]byte, bool) { return ld.spared(path, faults[0].message) }
		}
		if standIn, ok := excused(path); ok {
			value, faults = string(standIn), nil
			ld.leaveUnset(path, raw)
		}
	}
	for _, f := range faults {
		delete(ld.faulty, path) // each name that is not set is worth a line
		ld.fault(path, f.message, f.hint)
	}
	if len(faults) > 0 {
		return
	}
	expanded := value != raw
	if expanded {
		o := ld.origins[path]
		o.expanded, o.hidden = true, slices.ContainsFunc(variables(raw), looksSecret)
		ld.origins[path] = o
	}
	switch err := n.set(value); {
	case err == nil:
	case expanded:
		ld.fault(path, unfilled(n, raw), "look at what the variables hold; it is not shown")
	default:
		ld.fault(path, err.Error(), "")
	}
}

// unfilled is the fault of a value whose variables, which may be secrets, are
// filled in, in the words of the text as it stands in the file.
func unfilled(n *scalar, raw string) string {
	if err := n.set(raw); err != nil {
		return err.Error() + ", with its variables filled in"
	}
	return "with its variables filled in, the value cannot be used here"
}

// fileKey is the key beside a secret that names its file.
func fileKey(path string) string {
	name := path[strings.LastIndexByte(path, '.')+1:]
	if name == "value" {
		return "file"
	}
	return name + "_file"
}

func scalarText(y ast.Node) (string, bool) {
	switch y := y.(type) {
	case *ast.MappingNode:
		return rejoin(y)
	case *ast.LiteralNode:
		return y.Value.Value, true
	case *ast.StringNode:
		return y.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return y.GetToken().Value, true // as it is written: 007 stays 007
	default:
		return "", false
	}
}

// rejoin undoes a fault of the parser: in {brokers: [kafka:9092]} it takes
// kafka:9092 for a mapping, although a colon without a space behind it does
// not end a plain key (YAML 1.2.2 §7.3.3).
func rejoin(y *ast.MappingNode) (string, bool) {
	if y.IsFlowStyle || len(y.Values) != 1 {
		return "", false
	}
	pair := y.Values[0]
	key, isText := pair.Key.(*ast.StringNode)
	value, ok := scalarText(pair.Value)
	if !isText || !ok || key.Token.Type != token.StringType || value == "" {
		return "", false
	}
	colon := pair.Start.Position
	if next := placeOf(pair.Value); next != (place{colon.Line, colon.Column + 1}) {
		return "", false
	}
	return key.Value + ":" + value, true
}

// entry is one key of a mapping with its value.
type entry struct {
	name  string
	at    place
	value ast.Node
}

// entries lists a mapping, and reports keys that stand twice or are no text.
func (ld *loader) entries(path string, n node, y ast.Node) ([]entry, bool) {
	var pairs []*ast.MappingValueNode
	switch y := y.(type) {
	case *ast.MappingNode:
		pairs = y.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{y}
	default:
		ld.wrongKind(path, "a mapping", n, y)
		return nil, false
	}
	var entries []entry
	for _, pair := range pairs {
		at := placeOf(pair.Key)
		name, ok := scalarText(pair.Key)
		if !ok {
			ld.hide(pair.Value)
			ld.faultAt(path, at, "a key is a plain name", "")
			continue
		}
		if i := slices.IndexFunc(entries, func(e entry) bool { return e.name == name }); i >= 0 {
			ld.hideBelow(pair.Value, inSecrets(path) || !harmless(name))
			ld.faultAt(member(path, name), at, fmt.Sprintf("stands twice, first in line %d", entries[i].at.line), "keep one of them")
			continue
		}
		entries = append(entries, entry{name, at, pair.Value})
	}
	return entries, true
}

func (ld *loader) walkObject(path string, o object, entries []entry) {
	names := make([]string, len(o))
	for i, k := range o {
		names[i] = k.name
		for _, e := range entries {
			if e.name == k.name {
				ld.walk(member(path, k.name), k.node, e.value)
			}
		}
	}
	for _, e := range entries {
		if slices.Contains(names, e.name) {
			continue
		}
		meant, hint, open := keyHint(path, e.name, names)
		ld.hideBelow(e.value, o.maybeSecret(path, e.name, strings.TrimPrefix(meant, path+".")))
		ld.faultAt(member(path, e.name), e.at, "unknown key", hint)
		switch { // nothing is said of what follows from it
		case meant != "":
			ld.meant[meant] = true
		case open:
			ld.strayed[path] = true
		}
	}
}

// placeOf is where a reader sees y begin.
func placeOf(y ast.Node) place {
	t := y.GetToken()
	switch n := y.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return placeOf(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return placeOf(n.Key)
	}
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{max(1, t.Position.Line), max(1, t.Position.Column)}
}
