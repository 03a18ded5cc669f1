package front

import santhosh "github.com/santhosh-tekuri/jsonschema/v6"

// keyword reads one member of a schema, if the draft knows it. The first three
// groups are draft-04's, which $ref hides up to draft-07.
func (r *reader) keyword(name string, v any) {
	applies := !r.refOnly
	if r.object(name, v, applies) || r.array(name, v, applies) || r.inPlace(name, v, applies) {
		return
	}
	if applies && (r.assertion(name, v) || r.annotation(name, v)) {
		return
	}
	if name == "pattern" { // hidden, but a fault all the same
		r.expression(v)
		return
	}
	if r.draft >= 6 {
		r.since6(name, v)
	}
	if r.draft >= 7 {
		r.since7(name, v)
	}
	if r.draft >= 2019 {
		r.since2019(name, v)
	}
}

func (r *reader) object(name string, v any, applies bool) bool {
	s := r.schema
	switch name {
	case "properties":
		s.Properties = r.named(name, v, applies)
	case "definitions":
		r.named(name, v, false)
	case "additionalProperties":
		if p := r.sub(name, v); applies {
			s.AdditionalProperties = r.boolOrSchema(p, v)
		}
	case "patternProperties":
		if subs := r.named(name, v, applies); subs != nil {
			s.PatternProperties = make(map[santhosh.Regexp]*santhosh.Schema, len(subs))
			for text, sub := range subs {
				if re := r.expression(text); re != nil {
					s.PatternProperties[re] = sub
				}
			}
		} else {
			r.expressions(v)
		}
	case "dependencies":
		r.dependencies(v, applies)
	default:
		return false
	}
	return true
}

// boolOrSchema is the value of a keyword that the library declares as nil,
// bool or schema.
func (r *reader) boolOrSchema(p *place, v any) any {
	if b, ok := v.(bool); ok {
		return b
	}
	return r.apply(p, true)
}

func (r *reader) dependencies(v any, applies bool) {
	members, ok := v.(map[string]any)
	if !ok {
		return
	}
	found := make(map[string]any, len(members))
	for name, item := range members {
		if list, ok := item.([]any); ok {
			found[name] = texts(list)
			continue
		}
		p := r.read(item, r.at+"/dependencies/"+escapeToken(name), r.place.in)
		found[name] = r.apply(p, applies)
	}
	if applies {
		r.schema.Dependencies = found
	}
}

func (r *reader) array(name string, v any, applies bool) bool {
	s := r.schema
	switch {
	case name == "additionalItems":
		r.additionalItems(v, applies)
	case name == "prefixItems" && r.draft >= 2020:
		s.PrefixItems = r.list(name, v, true)
	case name != "items":
		return false
	case r.draft >= 2020:
		s.Items2020 = r.apply(r.sub(name, v), true)
	default:
		if _, ok := v.([]any); ok {
			if list := r.list(name, v, applies); applies {
				s.Items = list
			}
		} else if p := r.sub(name, v); applies {
			s.Items = r.apply(p, true)
		}
	}
	return true
}

// additionalItems means something only beside items as a list. In 2020-12 it
// is no keyword any more, and not checked, but the library still finds
// addresses below it.
func (r *reader) additionalItems(v any, applies bool) {
	if r.draft >= 2020 {
		if _, ok := v.(map[string]any); ok {
			r.decline("additionalItems", r.at)
		}
		return
	}
	p := r.sub("additionalItems", v)
	if _, ok := r.obj["items"].([]any); ok && applies {
		r.schema.AdditionalItems = r.boolOrSchema(p, v)
	}
}

func (r *reader) inPlace(name string, v any, applies bool) bool {
	s := r.schema
	var list []*santhosh.Schema
	switch name {
	case "allOf", "anyOf", "oneOf":
		list = r.list(name, v, applies)
	case "not":
		s.Not = r.apply(r.sub(name, v), applies)
		return true
	default:
		return false
	}
	switch {
	case !applies:
	case name == "allOf":
		s.AllOf = list
	case name == "anyOf":
		s.AnyOf = list
	default:
		s.OneOf = list
	}
	return true
}

func (r *reader) assertion(name string, v any) bool {
	s := r.schema
	switch name {
	case "type":
		s.Types = types(v)
	case "required":
		if list, ok := v.([]any); ok {
			s.Required = texts(list)
		}
	case "enum":
		if list, ok := v.([]any); ok {
			s.Enum = &santhosh.Enum{Values: list}
		}
	case "format":
		if text, ok := v.(string); ok && r.draft < 2019 {
			s.Format = r.opts.Format(text)
		}
	case "pattern":
		if re := r.expression(v); re != nil {
			s.Pattern = re
		}
	case "uniqueItems":
		s.UniqueItems = v == true
	case "minLength":
		s.MinLength = count(v)
	case "maxLength":
		s.MaxLength = count(v)
	case "minItems":
		s.MinItems = count(v)
	case "maxItems":
		s.MaxItems = count(v)
	case "minProperties":
		s.MinProperties = count(v)
	case "maxProperties":
		s.MaxProperties = count(v)
	default:
		return r.bound(name, v)
	}
	return true
}

// bound reads the keywords about numbers. exclusiveMinimum is a switch in
// draft-04, and the library takes that in every draft.
func (r *reader) bound(name string, v any) bool {
	s := r.schema
	switch name {
	case "multipleOf":
		s.MultipleOf = number(v)
	case "minimum":
		if r.obj["exclusiveMinimum"] == true {
			s.ExclusiveMinimum = number(v)
		} else {
			s.Minimum = number(v)
		}
	case "maximum":
		if r.obj["exclusiveMaximum"] == true {
			s.ExclusiveMaximum = number(v)
		} else {
			s.Maximum = number(v)
		}
	case "exclusiveMinimum":
		if v != true {
			s.ExclusiveMinimum = number(v)
		}
	case "exclusiveMaximum":
		if v != true {
			s.ExclusiveMaximum = number(v)
		}
	default:
		return false
	}
	return true
}

func (r *reader) annotation(name string, v any) bool {
	switch name {
	case "title":
		r.schema.Title, _ = v.(string)
	case "description":
		r.schema.Description, _ = v.(string)
	case "default":
		r.schema.Default = &v
	default:
		return false
	}
	return true
}

func (r *reader) since6(name string, v any) {
	s := r.schema
	switch name {
	case "contains":
		s.Contains = r.apply(r.sub(name, v), true)
	case "propertyNames":
		s.PropertyNames = r.apply(r.sub(name, v), true)
	case "const":
		s.Const = &v
	}
}

func (r *reader) since7(name string, v any) {
	s := r.schema
	switch name {
	case "if":
		s.If = r.apply(r.sub(name, v), true)
	case "then", "else":
		// The library leaves out the branch that a constant condition never takes.
		p := r.sub(name, v)
		condition, hasIf := r.obj["if"]
		if constant, ok := condition.(bool); !hasIf || ok && constant != (name == "then") {
			return
		}
		if sub := r.apply(p, true); name == "then" {
			s.Then = sub
		} else {
			s.Else = sub
		}
	case "$comment":
		s.Comment, _ = v.(string)
	case "readOnly":
		s.ReadOnly = v == true
	case "writeOnly":
		s.WriteOnly = v == true
	case "examples":
		s.Examples, _ = v.([]any)
	}
}

func (r *reader) since2019(name string, v any) {
	s := r.schema
	switch name {
	case "$defs":
		r.named(name, v, false)
	case "contentSchema":
		r.sub(name, v)
	case "dependentSchemas":
		s.DependentSchemas = r.named(name, v, true)
	case "dependentRequired":
		s.DependentRequired = dependentRequired(v)
	case "unevaluatedItems":
		s.UnevaluatedItems = r.apply(r.sub(name, v), true)
	case "unevaluatedProperties":
		s.UnevaluatedProperties = r.apply(r.sub(name, v), true)
	case "minContains":
		if _, ok := r.obj["contains"]; ok {
			s.MinContains = count(v)
		}
	case "maxContains":
		if _, ok := r.obj["contains"]; ok {
			s.MaxContains = count(v)
		}
	case "deprecated":
		s.Deprecated = v == true
	}
}

// expression reads a pattern, nil if it declines.
func (r *reader) expression(v any) santhosh.Regexp {
	text, ok := v.(string)
	if ok {
		if p := r.pattern(text); p != nil {
			return p
		}
	}
	r.decline("pattern", r.at)
	return nil
}

// expressions reads patterns that are not applied.
func (r *reader) expressions(v any) {
	members, _ := v.(map[string]any)
	for text := range members {
		r.expression(text)
	}
}
