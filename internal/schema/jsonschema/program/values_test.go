package program

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

func value(t testing.TB, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func runOn(t testing.TB, text string) *run {
	t.Helper()
	doc := new(jsontape.Doc)
	if err := doc.Parse([]byte(text), jsontape.Limits{}); err != nil {
		t.Fatal(err)
	}
	r := &run{program: &Program{nodes: make([]node, 1)}}
	r.begin(doc)
	return r
}

// Values in the order of the list are different, those on one line equal.
func TestKeys(t *testing.T) {
	classes := [][]string{
		{`null`}, {`true`}, {`false`}, {`0`, `-0`, `0.0`, `0e9`}, {`1`, `1.0`, `10e-1`}, {`-1`}, {`10`, `1e1`}, {`0.1`, `0.10`}, {`1e400`}, {`1e-400`},
		{`"1"`}, {`""`}, {`"a"`, `"\u0061"`}, {`"1:a"`}, {`"é"`, `"\u00e9"`}, {`"\u0000"`}, {`"null"`},
		{`[]`}, {`[[]]`}, {`[[],[]]`}, {`[[[]]]`}, {`[1]`, `[1.0]`}, {`[1,2]`}, {`[12]`}, {`["a","b"]`}, {`["ab"]`}, {`[null]`}, {`[{}]`},
		{`{}`}, {`{"a":1,"b":2}`, `{"b":2.0,"\u0061":1}`, `{"\u0062":2,"a":1}`}, {`{"a":2,"b":1}`}, {`{"a":{"b":1}}`}, {`{"ab":1}`}, {`{"a":null}`}, {`{"":""}`}, {`{"é":[1],"e":[2]}`, `{"e":[2],"\u00e9":[1e0]}`},
	}
	seen := map[string]int{}
	for class, texts := range classes {
		for _, text := range texts {
			r := runOn(t, text)
			onTape, decoded := string(r.appendKey(nil, 0)), string(AppendKey(nil, value(t, text)))
			if onTape != decoded {
				t.Errorf("%s: key %q on the tape, %q decoded", text, onTape, decoded)
			}
			if other, ok := seen[onTape]; ok && other != class {
				t.Errorf("%s has the key of %s", text, classes[other])
			}
			seen[onTape] = class
		}
		if len(seen) != class+1 {
			t.Errorf("%s: not one key", texts)
		}
	}
}

func TestValueSet(t *testing.T) {
	tests := map[string]struct{ in, out string }{
		`["a"]`:                       {`["a","\u0061"]`, `["","b","aa",1,null,["a"],{"a":1}]`},
		`["a","bb","ccc"]`:            {`["a","bb","ccc"]`, `["","b","bbb"]`},
		`[1,2.0,300]`:                 {`[1,1.0,2,20e-1,300,3e2]`, `[0,-1,"1",30,[1]]`},
		`[1,2,3,4,5,6,7,8,9]`:         {`[1,9,9.0,90e-1]`, `[0,10,-9]`},
		`[12345678901234567890]`:      {`[12345678901234567890,1.234567890123456789e19]`, `[1234567890123456789,12345678901234567891]`},
		`[null,true]`:                 {`[null,true]`, `[false,0,"",[],{}]`},
		`[[1,{"a":2}],{"b":[3]}]`:     {`[[1.0,{"a":2e0}],{"b":[3]}]`, `[[1],[{"a":2},1],{"b":3},{"b":[3],"c":1}]`},
		`["x",1,null,false,[],{}]`:    {`["x",1,null,false,[],{}]`, `["y",2,true,[1],{"a":1}]`},
		`["same","same",1,1.0,1e0]`:   {`["same",1]`, `["sam",10]`},
		`["a long text of 24 bytes"]`: {`["a long text of 24 bytes"]`, `["a long text of 24 bytez"]`},
	}
	for want, tt := range tests {
		set := newValueSet(value(t, want).([]any), false)
		for i, text := range []string{tt.in, tt.out} {
			r := runOn(t, text)
			for at := uint32(1); at < r.nodes[0].Next; at = r.nodes[at].Next {
				if got := r.contains(set, at); got != (i == 0) {
					t.Errorf("%s contains %s: %v", want, r.doc.Bytes(int(at)), got)
				}
			}
		}
	}
}

// Every name is found, whatever its length, and no other.
func TestNameTable(t *testing.T) {
	var names []string
	for n := range 40 {
		names = append(names, strings.Repeat("abcdefg ", 5)[:n])
	}
	for i := range 300 {
		names = append(names, fmt.Sprint("attribute_", i, "_of_the_customer"))
	}
	table := newNameTable(names, jsontape.HashName)
	for i, name := range names {
		h := jsontape.HashName(name)
		if got := table.find([]byte(name), h); got != i {
			t.Errorf("%q is %d, want %d", name, got, i)
		}
		near := "xx" + name + `":true`
		s := &nameSlot{hash: h, index: 1}
		s.remember(name)
		if got := s.is([]byte(near), 2, len(name)); got != (len(name) <= 16 && len(near) >= 2+8) {
			t.Errorf("%q is itself: %v", name, got)
		}
		if s.is([]byte("xx"+strings.Repeat("z", 24)), 2, len(name)) && name != "" || s.is([]byte(near), 2, len(name)+1) {
			t.Errorf("%q is another", name)
		}
		if n := len(name); n > 0 && n <= 16 {
			other := "xx" + name[:n-1] + "~" + `":true,"more":true`
			if s.is([]byte(other), 2, n) {
				t.Errorf("%q is %q, because they share a hash", name, other[2:2+n])
			}
		}
		for _, other := range []string{name + "x", "x" + name} {
			if got := table.find([]byte(other), jsontape.HashName(other)); got >= 0 && names[got] != other {
				t.Errorf("%q is found at %d", other, got)
			}
		}
	}
	if (&nameTable{}).find(nil, 0) != -1 {
		t.Error("the empty table has something")
	}
}

// Each of a few names has the first slot that its hash leads to for itself,
// where a table within four times the least size allows it.
func TestRoomForNames(t *testing.T) {
	shared := 0
	for count := 1; count <= fewNames; count++ {
		names := make([]string, count)
		for i := range names {
			names[i] = fmt.Sprint("member_", count, "_", i)
		}
		table := newNameTable(names, jsontape.HashName)
		for i, name := range names {
			h := jsontape.HashName(name)
			if got := table.find([]byte(name), h); got != i {
				t.Fatalf("%q of %d names is %d, want %d", name, count, got, i)
			}
			if int(table.slot(h).index) != i+1 {
				shared++
			}
			if got := table.find([]byte(name+"x"), jsontape.HashName(name+"x")); got >= 0 {
				t.Errorf("%q is found at %d", name+"x", got)
			}
		}
		if len(table.slots) > 16*count {
			t.Errorf("%d names take %d slots", count, len(table.slots))
		}
	}
	if all := fewNames * (fewNames + 1) / 2; shared > all/10 {
		t.Errorf("%d of %d names share a slot", shared, all)
	}
	same := newNameTable([]string{"a", "b", "c"}, func(string) uint32 { return 7 })
	for i, name := range same.names {
		if got := same.find([]byte(name), 7); got != i {
			t.Errorf("of one hash, %q is %d, want %d", name, got, i)
		}
	}
}

// When the round counter of the table wraps, slots that were never used do not
// count as used.
func TestUniqueRoundsWrap(t *testing.T) {
	r := runOn(t, `[1,2,3,4,5,6,7,2]`)
	r.program.seed = maphash.MakeSeed()
	for range 2 {
		if first, second, ok := r.unique(0); ok || first != 1 || second != 7 {
			t.Fatalf("items %d and %d, unique: %v; want 1 and 7", first, second, ok)
		}
		for i := range r.slots {
			r.slots[i].round = 0
		}
		r.round = math.MaxUint32
	}
	if r.round == 0 || r.slots == nil {
		t.Error("no table")
	}
}

// A run that waits in the pool keeps no large scratch memory, and nothing of
// the payload.
func TestReleaseKeepsLittle(t *testing.T) {
	r := runOn(t, `[1,2]`)
	const large = 1 << 16
	r.decoded, r.keys = make([]byte, large), make([]byte, large)
	r.words, r.order, r.slots = make([]uint64, large), make([]uint32, large), make([]uniqueSlot, large)
	r.release()
	if r.decoded != nil || r.keys != nil || r.words != nil || r.order != nil || r.slots != nil {
		t.Error("large scratch memory is kept")
	}
	if r.doc != nil || r.nodes != nil || r.raw != nil {
		t.Error("the payload is kept")
	}
}
