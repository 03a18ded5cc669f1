package event

// Names returns the decoded names of p.
func Names(p Path) []string { return p.names }
