package jsonschema_test

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

// The judge is made once, when it is first wanted: at load if checks will be drawn
// soon, or by Prepare, and only else by a check.
func TestJudgeIsMadeWhenWanted(t *testing.T) {
	const muchLess = 5_000 // objects; making the judge of this schema takes some 40,000, one check some 100
	def := definition(largeSchema(20<<10), nil)
	for name, tt := range map[string]struct {
		opts    jsonschema.Options
		prepare bool
		late    bool // by the first check
	}{
		"never drawn":      {jsonschema.Options{Shadow: func() bool { return false }}, false, false},
		"drawn":            {jsonschema.Options{Shadow: always}, false, true},
		"drawn, not soon":  {jsonschema.Options{Shadow: always, Shadowing: func() bool { return false }}, false, true},
		"expected at load": {jsonschema.Options{Shadow: always, Shadowing: always}, false, false},
		"prepared":         {jsonschema.Options{Shadow: always}, true, false},
	} {
		var seen comparisons
		tt.opts.Compared = seen.add
		v, err := jsonschema.New(tt.opts)(def)
		if err != nil {
			t.Fatal(err)
		}
		if tt.prepare {
			jsonschema.Prepare(v)
		}
		doc := parse(t, `{}`)
		for i, late := range []bool{tt.late, false} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, violations, err := v.Check(doc, nil); violations != nil || err != nil {
				t.Fatal(violations, err)
			}
			runtime.ReadMemStats(&after)
			if n := after.Mallocs - before.Mallocs; late != (n > muchLess) {
				t.Errorf("%s, check %d: %d allocations", name, i+1, n)
			}
		}
		for _, c := range seen.list {
			if !c.Agreed() {
				t.Errorf("%s: %+v", name, c)
			}
		}
	}
}

// Any number of checks may want the judge at once.
func TestJudgeOfManyAtOnce(t *testing.T) {
	var seen comparisons
	v := seen.withShadow(t, largeSchema(4<<10), "")
	var checks sync.WaitGroup
	for i := range 16 {
		checks.Go(func() {
			if i%4 == 0 {
				jsonschema.Prepare(v)
			}
			if !accepts(t, v, `{"event0":{"id":"2eb8aa08-aa98-11ea-b4aa-73b441d16380","kind":"kind-0"}}`) || accepts(t, v, `{"event0":{}}`) {
				t.Error("a wrong verdict")
			}
		})
	}
	checks.Wait()
	for _, c := range seen.list {
		if !c.Agreed() {
			t.Errorf("%+v", c)
		}
	}
	if len(seen.list) != 32 {
		t.Errorf("%d comparisons, want 32", len(seen.list))
	}
}

// A judge that cannot be made is told of at each comparison, and the fast
// path decides.
func TestJudgeThatCannotBeMade(t *testing.T) {
	var seen comparisons
	broken := errors.New("test")
	v := jsonschema.WithBrokenJudge(seen.withShadow(t, `{"type":"integer"}`, ""), broken)
	jsonschema.Prepare(v)
	if !accepts(t, v, `1`) || accepts(t, v, `"x"`) {
		t.Error("a wrong verdict")
	}
	for _, c := range seen.list {
		if !errors.Is(c.Err, broken) || !strings.Contains(c.Err.Error(), "no judge") {
			t.Errorf("%+v", c)
		}
	}
	if len(seen.list) != 2 {
		t.Errorf("%d comparisons, want 2", len(seen.list))
	}
}
