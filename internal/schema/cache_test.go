package schema_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/schema"
)

// in runs a test in virtual time.
func in(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}

// whyNot gives Lookup's error, which must wrap ErrUnavailable and nothing
// that another part of the relay could take for its own.
func whyNot(t *testing.T, c *schema.Cache, subject string) string {
	t.Helper()
	s, err := c.Lookup(subject, 0)
	if s != nil || !errors.Is(err, schema.ErrUnavailable) {
		t.Fatalf("Lookup(%q) = %v, %v", subject, s, err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, schema.ErrThrottled) {
		t.Errorf("the registry's error is in the chain of %v", err)
	}
	return err.Error()
}

func TestPreload(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("a", object("a"))
		w.register("b", object("b"))
		c, err := schema.NewCache(schema.CacheOptions{
			Source: w.client(), Compile: compileText, Pins: latest("a", "b", "a"), Log: w.logs.logger(),
		})
		if err != nil {
			t.Fatal(err)
		}
		changed := c.Changed()
		defer run(t, c)()
		synctest.Wait()
		select {
		case <-changed:
		default:
			t.Error("no signal of a change")
		}
		if textOf(t, c, "a") != object("a") || textOf(t, c, "b") != object("b") || !c.Usable() {
			t.Error("not loaded")
		}
		if n := len(w.net.requests()); n != 2 {
			t.Errorf("%d requests", n)
		}
		if n := w.logs.count("schema loaded"); n != 2 || strings.Count(w.logs.String(), "\n") != 2 {
			t.Errorf("log:\n%s", w.logs)
		}
		if got := whyNot(t, c, "c"); !strings.Contains(got, "not configured") {
			t.Errorf("text %q", got)
		}
		all := c.Subjects()
		want := schema.Status{Subject: "a", Usable: true, Version: 1, ID: 1, FetchedAt: time.Now(), LastSuccess: time.Now()}
		if len(all) != 2 || all[0].Version != want.Version || !all[0].Usable || !all[0].FetchedAt.Equal(want.FetchedAt) || all[1].Subject != "b" {
			t.Errorf("status %+v", all)
		}
	})
}

func TestNoSubjects(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		c := w.cache(nil)
		pass(time.Hour)
		if !c.Usable() || len(c.Subjects()) != 0 || len(w.net.requests()) != 0 {
			t.Error("a table without subjects needs no registry")
		}
		if err := c.Run(t.Context()); err == nil {
			t.Error("ran twice at once")
		}
	})
}

func TestNotLoadedYet(t *testing.T) {
	w := newWorld(t)
	c, err := schema.NewCache(schema.CacheOptions{Source: w.client(), Compile: compileText, Pins: latest("s")})
	if err != nil {
		t.Fatal(err)
	}
	if got := whyNot(t, c, "s"); !strings.Contains(got, "not loaded yet") || c.Usable() {
		t.Errorf("text %q, usable %v", got, c.Usable())
	}
}

func TestWhyUnavailable(t *testing.T) {
	avro := says(200, `{"version":1,"id":1,"schema":"\"string\""}`)
	tests := []struct {
		name   string
		server http.RoundTripper
		text   string
	}{
		{"unknown", says(404, `{"error_code":40401}`), "subject not found in registry"},
		{"throttled", says(429, ""), "registry answered 429"},
		{"throttled for long", says(429, "", "Retry-After", "600"), "registry answered 429"},
		{"500", says(500, ""), "registry answered 500"},
		{"away", nil, "connection refused"},
		{"hang", hangs(), "no answer within 5s"},
		{"garbage", says(200, "<html>"), "unusable answer"},
		{"50 MB", huge(), "larger than"},
		{"redirect", says(307, "", "Location", "/login"), "redirect to http://registry:8081/login is not followed"},
		{"avro", avro, "schema type AVRO is not supported (version 1, id 1)"},
		{"broken", says(200, `{"version":2,"id":3,"schemaType":"JSON","schema":"broken"}`), "schema does not compile: it says broken (version 2, id 3)"},
		{"panic", says(200, `{"version":2,"id":3,"schemaType":"JSON","schema":"panic"}`), "the engine panicked: out of numbers"},
		{"rules", says(200, `{"version":1,"id":1,"schemaType":"JSON","schema":"{}","ruleSet":{"domainRules":[{"mode":"WRITE"}]}}`), "write-side rule"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				w.register("s", object("one"))
				w.net.serve(home, tt.server)
				c := w.cache([]string{"s"}, func(o *schema.CacheOptions) {
					o.Compile = schema.ByType(map[string]schema.Compiler{"JSON": compileText})
				})
				pass(6 * time.Second)
				if got := whyNot(t, c, "s"); !strings.Contains(got, tt.text) {
					t.Errorf("Lookup says %q, want %q", got, tt.text)
				}
				if s := c.Subjects()[0]; c.Usable() || s.Usable || !strings.Contains(s.LastError, tt.text) {
					t.Errorf("status %+v", s)
				}
				pass(2 * time.Minute)
				if n := strings.Count(w.logs.String(), "\n"); n != 1 {
					t.Errorf("%d lines for one lasting fault:\n%s", n, w.logs)
				}
				w.up()
				pass(6 * time.Minute)
				if textOf(t, c, "s") != object("one") || c.Subjects()[0].LastError != "" {
					t.Errorf("did not recover: %+v", c.Subjects()[0])
				}
				expectPaced(t, w.net.requests())
			})
		})
	}
}

// Every fault is survived with the last good schema, for as long as it lasts.
func TestLastGoodStays(t *testing.T) {
	for name, server := range map[string]http.RoundTripper{
		"away":      nil,
		"500":       says(500, ""),
		"429":       says(429, ""),
		"429 wait":  says(429, "", "Retry-After", "20"),
		"hang":      hangs(),
		"garbage":   says(200, "{}"),
		"50 MB":     huge(),
		"redirect":  says(302, "", "Location", "/x"),
		"not found": says(404, `{"error_code":40401,"message":"gone"}`),
		"401":       says(401, ""),
		"broken":    says(200, `{"version":2,"id":2,"schemaType":"JSON","schema":"broken"}`),
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				w.register("s", object("one"))
				c := w.cache([]string{"s"})
				synctest.Wait()
				w.net.serve(home, server)
				pass(3 * time.Hour)
				if textOf(t, c, "s") != object("one") {
					t.Error("the last good schema is gone")
				}
				if s := c.Subjects()[0]; !s.Usable || s.Version != 1 || s.LastError == "" || time.Since(s.LastSuccess) < 2*time.Hour {
					t.Errorf("status %+v", s)
				}
				if n := w.logs.count("last good version stays"); n != 1 || strings.Count(w.logs.String(), "\n") != 2 {
					t.Errorf("log:\n%s", w.logs)
				}
				w.register("s", object("two"))
				w.up()
				pass(73 * time.Second)
				if textOf(t, c, "s") != object("two") {
					t.Error("the new version was not taken over")
				}
				if n := w.logs.count("refreshed again"); n != 1 {
					t.Errorf("log:\n%s", w.logs)
				}
			})
		})
	}
}

func TestChangeTakenOver(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		c := w.cache([]string{"s"})
		synctest.Wait()
		w.register("s", object("two"))
		pass(72 * time.Second)
		s, err := c.Lookup("s", 0)
		if err != nil || s.Version != 2 || s.ID != 2 || textOf(t, c, "s") != object("two") {
			t.Errorf("%+v, %v", s, err)
		}
		if w.logs.count("schema changed") != 1 || w.logs.count("old_version=1") != 1 {
			t.Errorf("log:\n%s", w.logs)
		}
	})
}

// A registry that lost its storage hands out the same ids for other texts.
func TestSameIDOtherText(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		c := w.cache([]string{"s"})
		synctest.Wait()
		w.registry.Reset()
		w.register("s", object("other"))
		pass(72 * time.Second)
		if got := textOf(t, c, "s"); got != object("other") {
			t.Errorf("still %s", got)
		}
	})
}

func TestBadVersionIsCompiledOnce(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		var texts []string
		c := w.cache([]string{"s"}, func(o *schema.CacheOptions) {
			o.Compile = func(def schema.Definition) (schema.Validator, error) {
				texts = append(texts, def.Text)
				return compileText(def)
			}
		})
		synctest.Wait()
		w.register("s", `{"title":"broken"}`)
		pass(10 * time.Minute)
		if len(texts) != 2 || textOf(t, c, "s") != object("one") {
			t.Errorf("compiled %q", texts)
		}
		if n := len(w.net.requests()); n > 14 {
			t.Errorf("%d requests: a refused version is no outage", n)
		}
		w.register("s", `{"title":"broken too"}`)
		pass(73 * time.Second)
		if n := w.logs.count("schema refused"); n != 2 {
			t.Errorf("log:\n%s", w.logs)
		}
		w.register("s", object("mended"))
		pass(73 * time.Second)
		if textOf(t, c, "s") != object("mended") {
			t.Error("the mended version was not taken over")
		}
	})
}

func TestReferencedSchemaReachesCompiler(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("money", object("money"))
		w.register("contact", object("contact"), ref("money.json", "money", 1))
		w.register("event", object("event"), ref("contact.json", "contact", 1))
		var got map[string]string
		w.cache([]string{"event"}, func(o *schema.CacheOptions) {
			o.Compile = func(def schema.Definition) (schema.Validator, error) {
				got = def.References
				return compileText(def)
			}
		})
		pass(time.Second)
		if len(got) != 2 || got["money.json"] != object("money") {
			t.Errorf("references %v", got)
		}
	})
}

// Lookup under concurrent swaps: id, version and engine always belong together.
func TestSwapIsAtomic(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("1"))
		c := w.cache([]string{"s"}, func(o *schema.CacheOptions) { o.RefreshEvery = time.Second })
		synctest.Wait()
		stop := make(chan struct{})
		for range 2 {
			go func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
					s, err := c.Lookup("s", 0)
					if err != nil || s.Version != s.ID || s.Validator.(textValidator).text != object(string(rune('0'+s.Version))) {
						t.Errorf("%+v, %v", s, err)
						return
					}
				}
			}()
		}
		for v := range 8 {
			w.register("s", object(string(rune('2'+v))))
			pass(2 * time.Second)
		}
		close(stop)
		synctest.Wait()
	})
}

func TestCacheOptions(t *testing.T) {
	w := newWorld(t)
	for name, o := range map[string]schema.CacheOptions{
		"no source":   {Compile: compileText},
		"no compiler": {Source: w.client()},
		"dots":        {Source: w.client(), Compile: compileText, Pins: latest("..")},
		"empty":       {Source: w.client(), Compile: compileText, Pins: latest("")},
	} {
		if _, err := schema.NewCache(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
