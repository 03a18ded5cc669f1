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

// oneHash is the format of members whose names differ and share a hash.
const oneHash = `"begin---%08dmiddle--........end-----":%d`

// When the round counter wraps, the slots of a round that had the same number
// before do not come back to life.
func TestNameRoundsWrap(t *testing.T) {
	const count = 20
	var doc Doc
	var members []string
	for i := range count {
		members = append(members, fmt.Sprintf(oneHash, i, i))
	}
	object := "{" + strings.Join(members, ",") + "}"
	text := []byte("[" + object + "," + object + "]")
	if err := doc.Parse(text, Limits{}); err != nil {
		t.Fatal(err)
	}
	const second = 1 + 1 + 2*count + 1 // the node of the second object's first name
	for i := range doc.names.slots {
		doc.names.slots[i] = nameSlot{round: 1, node: second}
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

// Few names are told apart even if a sender has made all their hashes equal,
// and not by comparing each with all others: they may be long.
func TestNamesOfOneHash(t *testing.T) {
	const count = 64
	var members []string
	for i := range count {
		members = append(members, fmt.Sprintf(oneHash, i, i))
	}
	var doc Doc
	if err := doc.Parse([]byte("{"+strings.Join(members, ",")+"}"), Limits{}); err != nil {
		t.Fatal(err)
	}
	if doc.names.round != 1 {
		t.Errorf("the seeded table was used %d times, want once", doc.names.round)
	}
	nodes := doc.Nodes()
	for i := 3; i < len(nodes); i += 2 {
		if nodes[i].Hash() != nodes[1].Hash() {
			t.Fatal("the names of this test no longer share a hash")
		}
	}
	members[1] = members[count-1]
	if err := doc.Parse([]byte("{"+strings.Join(members, ",")+"}"), Limits{}); err == nil {
		t.Error("two equal names are taken")
	}
}

// A name has the hash of its decoded form, wherever and however it is written.
func TestHash(t *testing.T) {
	for n := range 40 {
		name := strings.Repeat("abcdefghij", 4)[:n]
		escaped := ""
		for _, c := range name {
			escaped += fmt.Sprintf("\\u%04x", c)
		}
		for text, at := range map[string]int{
			`{"` + name + `":0}`: 1, `{"` + name + `" : "` + name + `" , "x":{}}`: 1, `{"` + escaped + `":[]}`: 1, `{"x":{"` + escaped + `":0}}`: 3,
		} {
			var doc Doc
			if err := doc.Parse([]byte(text), Limits{}); err != nil {
				t.Fatal(err)
			}
			if got := doc.Nodes()[at].Hash(); got != HashName(name) || !doc.Equal(at, name) {
				t.Errorf("%s: hash %x, want %x", text, got, HashName(name))
			}
		}
	}
}

// A duplicate is found whatever stands between the two names, and however many
// marks other objects have left.
func TestMarks(t *testing.T) {
	between := map[string]string{
		"nothing": `"b":1`, "an array": `"b":[1,[]]`, "an object": `"b":{"c":1}`, "an empty object": `"b":{}`,
		"the same name below": `"b":{"a":1,"c":2}`, "objects in an array": `"b":[{"a":1},{"b":{"a":2}}]`,
		"a name of its mark": `"b":{"` + markOf(t, "a") + `":1}`,
	}
	for name, members := range between {
		for _, object := range []uint8{0, 1, math.MaxUint8 - 2, math.MaxUint8 - 1, math.MaxUint8} {
			var doc Doc
			doc.names.object = object
			for i := range doc.names.marks {
				doc.names.marks[i] = 1
			}
			for _, text := range []string{`{"a":1,` + members + `}`, `[{"a":1,` + members + `},{"a":1,` + members + `}]`} {
				if err := doc.Parse([]byte(text), Limits{}); err != nil {
					t.Errorf("%s, after object %d: %s: %v", name, object, text, err)
				}
			}
			for _, text := range []string{`{"a":1,` + members + `,"a":2}`, `{"x":{"a":1,` + members + `,"\u0061":2}}`, `[{"a":0},{"a":1,"a":2,` + members + `}]`} {
				if err := doc.Parse([]byte(text), Limits{}); err == nil {
					t.Errorf("%s, after object %d: %s is taken", name, object, text)
				}
			}
		}
	}
}

// markOf returns another name that leaves the mark of name.
func markOf(t *testing.T, name string) string {
	const marks = uint32(len(nameSet{}.marks))
	for i := range 1_000_000 {
		other := fmt.Sprint("n", i)
		if HashName(other)%marks == HashName(name)%marks {
			return other
		}
	}
	t.Fatal("no name found")
	return ""
}

// However many names share a mark, few are searched for.
func TestSearchesAreFew(t *testing.T) {
	const marks = uint32(len(nameSet{}.marks))
	var members []string
	for i := 0; len(members) < 64; i++ {
		if name := fmt.Sprint("n", i); HashName(name)%marks == 7 {
			members = append(members, `"`+name+`":1`)
		}
	}
	var doc Doc
	if err := doc.Parse([]byte("{"+strings.Join(members, ",")+"}"), Limits{}); err != nil {
		t.Fatal(err)
	}
	if doc.names.searches != maxSearches+1 || doc.names.round != 1 {
		t.Errorf("%d searches, then the seeded table %d times; want %d and 1", doc.names.searches, doc.names.round, maxSearches+1)
	}
	members = append(members, members[40])
	if err := doc.Parse([]byte("{"+strings.Join(members, ",")+"}"), Limits{}); err == nil {
		t.Error("two equal names are taken")
	}
}
