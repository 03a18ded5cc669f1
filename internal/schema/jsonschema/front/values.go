package front

import (
	"encoding/json"
	"math/big"
	"strconv"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"
)

func types(v any) *santhosh.Types {
	var t santhosh.Types
	switch v := v.(type) {
	case string:
		t.Add(v)
	case []any:
		for _, name := range texts(v) {
			t.Add(name)
		}
	}
	if t.IsEmpty() {
		return nil
	}
	return &t
}

func texts(list []any) []string {
	var found []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			found = append(found, s)
		}
	}
	return found
}

func dependentRequired(v any) map[string][]string {
	members, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	found := make(map[string][]string, len(members))
	for name, item := range members {
		if list, ok := item.([]any); ok {
			found[name] = texts(list)
		}
	}
	return found
}

func number(v any) *big.Rat {
	n, ok := v.(json.Number)
	if !ok {
		return nil
	}
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return new(big.Rat).SetInt64(i)
	}
	exact, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return nil
	}
	return exact
}

// count is a number that is an integer; package jsonschema bounds it.
func count(v any) *int {
	if n, ok := v.(json.Number); ok {
		if i, err := strconv.Atoi(string(n)); err == nil {
			return &i
		}
	}
	n := number(v)
	if n == nil || !n.IsInt() {
		return nil
	}
	i := int(n.Num().Int64())
	return &i
}
