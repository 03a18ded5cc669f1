package jsonschema

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema/front"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema/program"
)

// parseText decodes one schema text. A member name that occurs twice counts
// with its last value, as in the registry's own parser: the scanner refuses
// that and other things that a registry may hold, and then such a text has no
// tape.
func parseText(text string) (front.Text, error) {
	tape := new(jsontape.Doc)
	if tape.Parse([]byte(text), jsontape.Limits{NumberLen: maxDigits, Exponent: maxExponent}) != nil {
		return parseUnscanned(text)
	}
	d := decoder{words: words{doc: tape, nodes: tape.Nodes(), text: text}}
	value := d.value(0)
	if d.longNumbers {
		if err := checkNumbers("", value); err != nil {
			return front.Text{}, err
		}
	}
	if strings.Contains(text, "$defs") || strings.Contains(text, `\u`) {
		bridgeDefinitions(value)
	}
	return front.Text{Value: value, Tape: tape}, nil
}

func parseUnscanned(text string) (front.Text, error) {
	value, err := santhosh.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return front.Text{}, fmt.Errorf("the schema text is not JSON: %w", err)
	}
	if err := checkNumbers("", value); err != nil {
		return front.Text{}, err
	}
	bridgeDefinitions(value)
	return front.Text{Value: value}, nil
}

// words reads the strings of a tape. Not safe for concurrent use.
type words struct {
	doc     *jsontape.Doc
	nodes   []jsontape.Node
	text    string // of the whole document: strings without escapes share it
	scratch []byte
}

func (w *words) str(i uint32) string {
	n := &w.nodes[i]
	if n.Flags&jsontape.Escaped == 0 {
		return w.text[n.Off:n.End]
	}
	w.scratch = w.doc.AppendString(w.scratch[:0], int(i))
	return string(w.scratch)
}

// decoder makes of a tape what santhosh.UnmarshalJSON makes of its text.
type decoder struct {
	words
	longNumbers bool // one is worth a look of checkNumbers
}

// value recurses as deep as the text is nested, which the scanner bounds.
func (d *decoder) value(i uint32) any {
	n := &d.nodes[i]
	switch n.Kind {
	case jsontape.False:
		return false
	case jsontape.True:
		return true
	case jsontape.Number:
		if n.Flags&jsontape.Fraction != 0 || n.End-n.Off > shortNumber {
			d.longNumbers = true
		}
		return json.Number(d.text[n.Off:n.End])
	case jsontape.String:
		return d.str(i)
	case jsontape.Array:
		list := make([]any, n.Count)
		at := i + 1
		for k := range list {
			list[k] = d.value(at)
			at = d.nodes[at].Next
		}
		return list
	case jsontape.Object:
		m := make(map[string]any, n.Count)
		for at := i + 1; at < n.Next; at = d.nodes[at+1].Next {
			m[d.str(at)] = d.value(at + 1)
		}
		return m
	}
	return nil
}

// Bounds on the numbers of a schema text: the same as those on a payload's,
// for the same reason (an exponent of seven digits takes seconds to expand),
// and the count keywords must fit an int.
const (
	maxDigits   = 1000
	maxExponent = 400
	shortNumber = 18 // bytes, of what is within all bounds if it is an integer
)

func checkNumbers(key string, v any) error {
	switch v := v.(type) {
	case json.Number:
		return checkNumber(key, string(v))
	case []any:
		for _, item := range v {
			if err := checkNumbers("", item); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, item := range v {
			if err := checkNumbers(k, item); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkNumber(key, text string) error {
	digits, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	if len(digits) > maxDigits {
		return fmt.Errorf("the schema text has a number of more than %d digits", maxDigits)
	}
	if exponent != "" {
		if n, err := strconv.Atoi(exponent); err != nil || n > maxExponent || n < -maxExponent {
			return fmt.Errorf("the schema text has a number with an exponent beyond %d", maxExponent)
		}
	}
	switch key {
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		if n := program.ParseDecimal([]byte(text)); n.Size() > 18 {
			return fmt.Errorf("%s is too large: %s", key, cut(text, 40))
		}
	}
	return nil
}
