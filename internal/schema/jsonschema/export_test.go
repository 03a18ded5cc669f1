package jsonschema

import (
	"bytes"

	santhosh "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxrelay/cxrelay/internal/schema"
)

// CheckBySecondParse is Check without the tape: the library parses raw again.
func CheckBySecondParse(v schema.Validator, raw []byte) ([]schema.Violation, error) {
	value, err := santhosh.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return v.(*engine).judge(value)
}
