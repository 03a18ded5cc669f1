package config

import (
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Generic reads YAML as an editor does: mappings, lists, texts, numbers and
// booleans. False for what is no YAML, or has what Load refuses anyway.
func Generic(data []byte) (any, bool) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil || len(file.Docs) != 1 {
		return nil, false
	}
	if file.Docs[0].Body == nil || file.Docs[0].Body.Type() == ast.CommentType {
		return map[string]any{}, true
	}
	return generic(file.Docs[0].Body)
}

func generic(y ast.Node) (any, bool) {
	var pairs []*ast.MappingValueNode
	switch y := y.(type) {
	case *ast.IntegerNode:
		return y.Value, true
	case *ast.FloatNode:
		return y.Value, true
	case *ast.BoolNode:
		return y.Value, true
	case *ast.SequenceNode:
		list := []any{}
		for _, item := range y.Values {
			v, ok := generic(item)
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		return list, true
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{y}
	case *ast.MappingNode:
		if text, ok := rejoin(y); ok {
			return text, true
		}
		pairs = y.Values
	default:
		return scalarText(y)
	}
	m := map[string]any{}
	for _, p := range pairs {
		name, ok := scalarText(p.Key)
		value, ok2 := generic(p.Value)
		if _, twice := m[name]; !ok || !ok2 || twice {
			return nil, false
		}
		m[name] = value
	}
	return m, true
}
