package program

import (
	"encoding/json"
	"hash/maphash"
	"maps"
	"math/bits"
	"slices"
	"strconv"

	"github.com/cxrelay/cxrelay/internal/jsontape"
)

// AppendKey appends a text for a value of nil, bool, string, json.Number,
// []any and map[string]any that is equal exactly for equal values (JSON
// Schema core, "instance equality"): every part carries its length or an end
// mark. appendKey on a run writes the same for a value of a payload.
func AppendKey(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, 'n')
	case bool:
		if v {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case json.Number:
		d := ParseDecimal([]byte(v))
		return d.AppendKey(append(dst, '#'))
	case string:
		return append(stringKey(dst, len(v)), v...)
	case []any:
		dst = append(dst, '[')
		for _, item := range v {
			dst = AppendKey(dst, item)
		}
		return append(dst, ']')
	case map[string]any:
		dst = append(dst, '{')
		for _, name := range slices.Sorted(maps.Keys(v)) {
			dst = append(stringKey(dst, len(name)), name...)
			dst = AppendKey(dst, v[name])
		}
		return append(dst, '}')
	}
	return append(dst, '?') // not from a JSON text, and equal to nothing that is
}

// stringKey appends what stands before a string of n bytes.
func stringKey(dst []byte, n int) []byte {
	return append(strconv.AppendInt(append(dst, '"'), int64(n), 10), ':')
}

// valueSet is enum, or const as an enum of one value.
type valueSet struct {
	kinds   kindSet // of the values
	strings nameTable
	short   *shortSet // the same; nil where it does not take them
	longest int       // bytes of strings
	ints    []int64   // if every number is an integer of at most 18 digits, and they are few
	keys    nameTable // of the numbers, arrays and objects
	want    []any
	single  bool      // const
	also    *valueSet // the enum beside a const
}

// fewInts is up to how many integers are compared one by one.
const fewInts = 8

func newValueSet(want []any, single bool) *valueSet {
	set := &valueSet{want: want, single: single}
	var texts, keys []string
	add := func(list []string, s string) []string {
		if slices.Contains(list, s) {
			return list
		}
		return append(list, s)
	}
	seen := map[string]bool{}
	numbers, ints := 0, []int64(nil)
	for _, v := range want {
		key := string(AppendKey(nil, v))
		if seen[key] {
			continue
		}
		seen[key] = true
		switch v := v.(type) {
		case nil:
			set.kinds |= 1 << jsontape.Null
		case bool:
			set.kinds |= kindOfBool(v)
		case string:
			set.kinds |= 1 << jsontape.String
			texts = append(texts, v)
			set.longest = max(set.longest, len(v))
		case json.Number:
			set.kinds |= 1 << jsontape.Number
			keys = append(keys, key)
			numbers++
			if n, err := strconv.ParseInt(string(v), 10, 64); err == nil && len(v) <= 18 {
				ints = append(ints, n)
			}
		case []any:
			set.kinds |= 1 << jsontape.Array
			keys = add(keys, key)
		case map[string]any:
			set.kinds |= 1 << jsontape.Object
			keys = add(keys, key)
		}
	}
	if len(ints) == numbers && numbers <= fewInts {
		set.ints = ints
	}
	set.strings, set.keys = newNameTable(texts, hashText), newNameTable(keys, hashText)
	set.short = newShortSet(texts)
	return set
}

func kindOfBool(v bool) kindSet {
	if v {
		return 1 << jsontape.True
	}
	return 1 << jsontape.False
}

// contains reports whether the value at index at is one of the set.
func (r *run) contains(set *valueSet, at uint32) bool {
	n := &r.nodes[at]
	if set.kinds>>n.Kind&1 == 0 {
		return false
	}
	switch n.Kind {
	case jsontape.String:
		if n.Flags&jsontape.Escaped == 0 {
			if int(n.End-n.Off) > set.longest {
				return false // and not worth a hash
			}
			if set.short != nil && int(n.Off)+8 <= len(r.raw) {
				return set.short.has(cut(r.raw, int(n.Off), int(n.End-n.Off)))
			}
		}
		b := r.text(n, at)
		if len(b) > set.longest {
			return false
		}
		return set.strings.find(b, hash(b)) >= 0
	case jsontape.Number:
		if set.ints != nil {
			if v, ok := shortInt(r.raw[n.Off:n.End], n.Flags); ok {
				return slices.Contains(set.ints, v)
			}
		}
		return r.hasKey(set, at)
	case jsontape.Array, jsontape.Object:
		return r.hasKey(set, at)
	}
	return true
}

func (r *run) hasKey(set *valueSet, at uint32) bool {
	n := &r.nodes[at]
	r.steps -= int(n.Next-at) + textSteps(n)
	r.keys = r.appendKey(r.keys[:0], at)
	return set.keys.find(r.keys, hash(r.keys)) >= 0
}

// appendKey is AppendKey for the value at index at. It recurses as deep as
// the payload is nested, which the scanner bounds.
func (r *run) appendKey(dst []byte, at uint32) []byte {
	n := &r.nodes[at]
	switch n.Kind {
	case jsontape.Null:
		return append(dst, 'n')
	case jsontape.True:
		return append(dst, 't')
	case jsontape.False:
		return append(dst, 'f')
	case jsontape.Number:
		d := ParseDecimal(r.raw[n.Off:n.End])
		return d.AppendKey(append(dst, '#'))
	case jsontape.String:
		b := r.text(n, at)
		return append(stringKey(dst, len(b)), b...)
	case jsontape.Array:
		dst = append(dst, '[')
		for i := at + 1; i < n.Next; i = r.nodes[i].Next {
			dst = r.appendKey(dst, i)
		}
		return append(dst, ']')
	default:
		return r.appendObjectKey(dst, at)
	}
}

func (r *run) appendObjectKey(dst []byte, at uint32) []byte {
	base := len(r.order)
	for i := at + 1; i < r.nodes[at].Next; i = r.nodes[i+1].Next {
		r.order = append(r.order, i)
	}
	end := len(r.order)
	r.steps -= bits.Len(uint(end-base)) * (end - base + textSteps(&r.nodes[at])) // of sorting
	slices.SortFunc(r.order[base:], r.compareNames)
	dst = append(dst, '{')
	for k := base; k < end; k++ {
		i := r.order[k]
		b := r.text(&r.nodes[i], i)
		dst = append(stringKey(dst, len(b)), b...)
		dst = r.appendKey(dst, i+1)
	}
	r.order = r.order[:base]
	return append(dst, '}')
}

// uniqueSlot is a place in the table of the items seen so far.
type uniqueSlot struct {
	round      uint32 // a slot of another round is empty
	item       uint32 // which item
	start, end uint32 // its key in r.keys
}

// unique looks for two equal items in the array at index at. The hash is
// seeded, so that a sender cannot choose items that share a slot.
func (r *run) unique(at uint32) (first, second int, ok bool) {
	n := &r.nodes[at]
	r.steps -= int(n.Next-at) + textSteps(n)
	size := 8
	for size < 2*int(n.Count) {
		size *= 2
	}
	r.round++
	if len(r.slots) < size || r.round == 0 {
		r.slots, r.round = make([]uniqueSlot, size), 1
	}
	r.keys = r.keys[:0]
	mask := uint64(size - 1)
	item := uint32(0)
	for i := at + 1; i < n.Next; i = r.nodes[i].Next {
		start := len(r.keys)
		r.keys = r.appendKey(r.keys, i)
		key := r.keys[start:]
		slot := maphash.Bytes(r.program.seed, key) & mask
		for r.slots[slot].round == r.round {
			s := &r.slots[slot]
			if string(r.keys[s.start:s.end]) == string(key) {
				return int(s.item), int(item), false
			}
			slot = (slot + 1) & mask
		}
		r.slots[slot] = uniqueSlot{round: r.round, item: item, start: uint32(start), end: uint32(len(r.keys))}
		item++
	}
	return 0, 0, true
}
