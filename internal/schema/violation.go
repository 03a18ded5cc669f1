package schema

import "strings"

// Violation is one way in which a payload breaks its schema.
type Violation struct {
	Pointer  string `json:"pointer"` // RFC 6901; cut at 1024 bytes, and then ends with "…"
	Keyword  string `json:"keyword"`
	Expected string `json:"expected"`
	Actual   string `json:"actual"`
}

// String is the violation as a remark: `/agentId: expected integer, got string
// "x"`. The pointer is as the payload has it, control characters included.
func (v Violation) String() string {
	at := v.Pointer
	if at == "" {
		at = "(the whole)"
	}
	switch {
	case v.Actual == "absent": // a member that the object at the pointer lacks
		return at + ": " + v.Expected + " is missing"
	case v.Keyword == "pattern" || v.Keyword == "format":
		return at + ": expected " + v.Keyword + " " + v.Expected + ", got " + v.Actual
	case v.Expected == "unique items" || strings.HasPrefix(v.Actual, "branches "):
		return at + ": expected " + v.Expected + ", but " + v.Actual
	case v.Expected == "no such member":
		return at + ": not expected, got " + v.Actual
	}
	return at + ": expected " + v.Expected + ", got " + v.Actual
}
