package jsontape

import (
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"testing"
)

// The cost of the duplicate check is counted in slots looked at, since a
// clock would depend on the machine. In a table at most half full, names that
// are spread evenly cost 1.5 looks each on average; were the names of one of
// these families to share slots, the count would be in the thousands.
func TestNamesAreSpread(t *testing.T) {
	const count = 16384
	families := map[string]string{
		"ends alike":    `"aaaaaaaa%08dzzzzzzzz":0`,
		"numbers":       `"%d":0`,
		"one length":    `"%016d":0`,
		"trailing zero": `"%d\u0000":0`,
		"escaped":       `"\u0061%d":0`,
	}
	for name, format := range families {
		members := make([]string, count)
		for i := range members {
			members[i] = fmt.Sprintf(format, i)
		}
		var doc Doc
		if err := doc.Parse([]byte("{"+strings.Join(members, ",")+"}"), Limits{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s := &doc.names
		mask, looks, found := uint64(len(s.slots)-1), uint64(0), 0
		for at, slot := range s.slots {
			if slot.round == s.round {
				home := maphash.Bytes(s.seed, doc.AppendString(nil, int(slot.node)))
				looks += (uint64(at)-home)&mask + 1
				found++
			}
		}
		if found != count || looks > 3*count {
			t.Errorf("%s: %d names cost %d looks, want %d and at most %d", name, found, looks, count, 3*count)
		}
	}
}

// When the round counter wraps, the slots of a round that had the same number
// before do not come back to life.
func TestNameRoundsWrap(t *testing.T) {
	var doc Doc
	text := []byte(`[{"a":1,"b":2},{"a":1,"b":2}]`)
	if err := doc.Parse(text, Limits{}); err != nil {
		t.Fatal(err)
	}
	const secondA = 7 // the node of the second object's first name
	for i := range doc.names.slots {
		doc.names.slots[i] = nameSlot{round: 1, node: secondA}
	}
	doc.names.round = math.MaxUint32
	if err := doc.Parse(text, Limits{}); err != nil {
		t.Fatal(err)
	}
	if doc.names.round != 2 {
		t.Errorf("round is %d after the wrap and two objects, want 2", doc.names.round)
	}
}

// Two Docs place names differently, so that no sender can prepare names that
// share slots.
func TestSeedsDiffer(t *testing.T) {
	var a, b Doc
	for _, d := range []*Doc{&a, &b} {
		if err := d.Parse([]byte(`{}`), Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	if maphash.String(a.names.seed, "name") == maphash.String(b.names.seed, "name") {
		t.Error("two Docs share a seed")
	}
}
