package signature

// Reserialised gives the forms of a body that Explain makes by writing it again.
func Reserialised(body []byte) [][]byte {
	l := newBodyList(body)
	l.reserialised(body)
	var forms [][]byte
	for _, v := range l.all[1:] {
		forms = append(forms, v.value)
	}
	return forms
}

// ExplainWithin is Explain with other bounds.
func ExplainWithin(q Question, c Capture, maxMACs, maxBytes int) (*Report, error) {
	return explainWithin(q, c, maxMACs, maxBytes)
}
