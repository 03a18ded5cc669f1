package judge

import "github.com/cxrelay/cxrelay/test/storm/journal"

// number finds an event by its id.
func (j *Judge) number(id string) (int, bool) {
	if n, ok := j.own[id]; ok {
		return int(n), true
	}
	n, ok := journal.Number(id)
	return n, ok && n < len(j.events) && !j.events[n].named
}
