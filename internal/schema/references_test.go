package schema_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/cxrelay/cxrelay/internal/schema"
)

func ref(name, subject string, version int) sr.SchemaReference {
	return sr.SchemaReference{Name: name, Subject: subject, Version: version}
}

func TestReferencesAcrossSubjects(t *testing.T) {
	w := newWorld(t)
	w.register("money", object("money"))
	w.register("agent/de", object("agent"))
	w.register("contact", object("contact"), ref("money.json", "money", 1), ref("agent.json", "agent/de", 1))
	w.register("event", object("event"), ref("contact.json", "contact", 1), ref("money.json", "money", 1))
	c := w.client()
	for range 2 {
		got, err := c.Latest(t.Context(), "event")
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"money.json": object("money"), "agent.json": object("agent"), "contact.json": object("contact")}
		if !maps.Equal(got.References, want) {
			t.Errorf("references %v", got.References)
		}
	}
	if n := len(w.net.requests()); n != 5 { // 4, and the second time only latest
		t.Errorf("%d requests", n)
	}
}

// pages serves fixed answers by path.
func pages(all map[string]string) http.RoundTripper {
	return handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := all[r.URL.Path]
		if !ok {
			w.WriteHeader(404)
			page = `{"error_code":40401}`
		}
		_, _ = w.Write([]byte(page))
	}))
}

func page(refs string) string {
	return `{"version":3,"id":7,"schemaType":"JSON","schema":"{}","references":[` + refs + `]}`
}

func TestRefusedReferences(t *testing.T) {
	const root, a, b = "/subjects/root/versions/latest", "/subjects/a/versions/1", "/subjects/b/versions/1"
	const toA, toB = `{"name":"a","subject":"a","version":1}`, `{"name":"b","subject":"b","version":1}`
	tests := []struct {
		name  string
		pages map[string]string
		text  string
	}{
		{"cycle", map[string]string{root: page(toA), a: page(toB), b: page(toA)}, "closes a cycle"},
		{"cycle to the root", map[string]string{root: page(toA), a: page(`{"name":"r","subject":"root","version":3}`)}, "closes a cycle"},
		{"itself", map[string]string{root: page(toA), a: page(`{"name":"other name","subject":"a","version":1}`)}, "closes a cycle"},
		{"one name for two", map[string]string{root: page(toA + "," + toB), a: page(""), b: page(`{"name":"a","subject":"c","version":1}`)}, "stands for both"},
		{"no version", map[string]string{root: page(`{"name":"a","subject":"a"}`)}, "fixed version"},
		{"latest", map[string]string{root: page(`{"name":"a","subject":"a","version":-1}`)}, "fixed version"},
		{"no subject", map[string]string{root: page(`{"name":"a","version":1}`)}, "no name, subject"},
		{"other type", map[string]string{root: page(toA), a: `{"version":1,"id":1,"schema":"{}"}`}, "of type AVRO"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.net.serve(home, pages(tt.pages))
			_, err := w.client().Latest(t.Context(), "root")
			var refused *schema.RefusedError
			if !errors.As(err, &refused) || refused.Version != 3 || refused.ID != 7 || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestMissingReference(t *testing.T) {
	w := newWorld(t)
	w.net.serve(home, pages(map[string]string{"/subjects/root/versions/latest": page(`{"name":"n","subject":"gone","version":4}`)}))
	_, err := w.client().Latest(t.Context(), "root")
	if err == nil || !strings.HasPrefix(err.Error(), `reference "n" (subject "gone" version 4): subject not found`) {
		t.Errorf("error %v", err)
	}
}

func TestReferenceBounds(t *testing.T) {
	chain := func(n int) map[string]string {
		all := map[string]string{"/subjects/root/versions/latest": page(`{"name":"0","subject":"c","version":1}`)}
		for i := range n {
			next := fmt.Sprintf(`{"name":"%d","subject":"c","version":%d}`, i+1, i+2)
			if i == n-1 {
				next = ""
			}
			all[fmt.Sprintf("/subjects/c/versions/%d", i+1)] = page(next)
		}
		return all
	}
	fan := func(n int) map[string]string {
		var refs []string
		all := make(map[string]string)
		for i := range n {
			refs = append(refs, fmt.Sprintf(`{"name":"%d","subject":"f","version":%d}`, i, i+1))
			all[fmt.Sprintf("/subjects/f/versions/%d", i+1)] = page("")
		}
		all["/subjects/root/versions/latest"] = page(strings.Join(refs, ","))
		return all
	}
	large := func(refs string) string {
		return strings.Replace(page(refs), `"{}"`, `"`+strings.Repeat("x", 4<<10)+`"`, 1)
	}
	big := map[string]string{
		"/subjects/root/versions/latest": large(`{"name":"a","subject":"a","version":1}`),
		"/subjects/a/versions/1":         large(""),
	}
	tests := []struct {
		name     string
		pages    map[string]string
		maxBytes int
		text     string
	}{
		{"deep enough", chain(16), 0, ""},
		{"too deep", chain(17), 0, "nested deeper than 16"},
		{"many", fan(128), 0, ""},
		{"too many", fan(129), 0, "more than 128 references"},
		{"too large together", big, 8 << 10, ""},
		{"larger", big, 8<<10 - 1, "larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the pace would take half a minute
				w := newWorld(t)
				w.net.serve(home, pages(tt.pages))
				c := w.client(func(o *schema.ClientOptions) { o.MaxBytes = tt.maxBytes })
				_, err := c.Latest(t.Context(), "root")
				if (err == nil) != (tt.text == "") || err != nil && !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v", err)
				}
				expectPaced(t, w.net.requests())
			})
		})
	}
}

// TestKeptReferencesAreBounded: what is remembered of referenced schemas has a
// bound in bytes, so that a registry with ever new ones fills no memory.
func TestKeptReferencesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := make(map[string]string)
		root := func(version int) {
			all["/subjects/root/versions/latest"] = page(fmt.Sprintf(`{"name":"a","subject":"r","version":%d}`, version))
			all[fmt.Sprintf("/subjects/r/versions/%d", version)] = strings.Replace(page(""), `"{}"`, `"`+strings.Repeat("x", 3<<10)+`"`, 1)
		}
		w := newWorld(t)
		c := w.client(func(o *schema.ClientOptions) { o.MaxBytes = 4 << 10 })
		asked := func() int { return w.net.asked("/subjects/r/versions/1") }
		for version := 1; version <= 30; version++ {
			root(version)
			w.net.serve(home, pages(all))
			if _, err := c.Latest(t.Context(), "root"); err != nil {
				t.Fatal(err)
			}
			if version == 10 {
				root(1)
				if _, err := c.Latest(t.Context(), "root"); err != nil || asked() != 1 {
					t.Fatalf("asked %d times, %v: little is kept for ever", asked(), err)
				}
			}
		}
		root(1)
		if _, err := c.Latest(t.Context(), "root"); err != nil || asked() != 2 {
			t.Errorf("asked %d times after 30 times 3 KiB, where an answer may have 4, %v", asked(), err)
		}
	})
}

func TestWriteSideRules(t *testing.T) {
	tests := []struct {
		name, rules string
		refused     bool
	}{
		{"none", `{}`, false},
		{"null", `null`, false},
		{"write", `{"domainRules":[{"name":"n","mode":"WRITE","type":"CEL"}]}`, true},
		{"write and read", `{"domainRules":[{"name":"n","mode":"WRITEREAD","type":"ENCRYPT"}]}`, true},
		{"encoding", `{"encodingRules":[{"name":"n","mode":"WRITE","type":"X"}]}`, true},
		{"no mode", `{"domainRules":[{"name":"n","type":"CEL"}]}`, true},
		{"disabled", `{"domainRules":[{"name":"n","mode":"WRITE","type":"CEL","disabled":true}]}`, false},
		{"read", `{"domainRules":[{"name":"n","mode":"READ","type":"CEL"}]}`, false},
		{"second", `{"domainRules":[{"mode":"READ"},{"name":"n","mode":"WRITE"}]}`, true},
		{"migration", `{"migrationRules":[{"name":"n","mode":"UPGRADE","type":"JSONATA"}]}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.net.serve(home, says(200, `{"version":1,"id":1,"schemaType":"JSON","schema":"{}","ruleSet":`+tt.rules+`}`))
			_, err := w.client().Latest(t.Context(), "s")
			var refused *schema.RefusedError
			if errors.As(err, &refused) != tt.refused || !tt.refused && err != nil {
				t.Errorf("error %v", err)
			}
			if tt.refused && !strings.Contains(err.Error(), `write-side rule that cannot be run here: "n"`) {
				t.Errorf("text %v", err)
			}
		})
	}
}
