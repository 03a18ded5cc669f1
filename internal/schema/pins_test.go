package schema_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
)

// asked is how often a path was.
func (n *network) asked(path string) int {
	count := 0
	for _, r := range n.requests() {
		if r.path == path {
			count++
		}
	}
	return count
}

func pinned(subject string, version int) schema.Pin {
	return schema.Pin{Subject: subject, Version: version}
}

// textAt gives the text of what a pin's schema was made from.
func textAt(t *testing.T, c *schema.Cache, p schema.Pin) string {
	t.Helper()
	s, err := c.Lookup(p.Subject, p.Version)
	if err != nil {
		t.Fatalf("Lookup(%v): %v", p, err)
	}
	if p.Version > 0 && s.Version != p.Version {
		t.Errorf("%v has version %d", p, s.Version)
	}
	return s.Validator.(textValidator).text
}

// withPins replaces the pins of a cache.
func withPins(pins ...schema.Pin) func(*schema.CacheOptions) {
	return func(o *schema.CacheOptions) { o.Pins = pins }
}

func TestTwoVersionsOfOneSubject(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		w.register("s", object("two"))
		c := w.cache(nil, withPins(pinned("s", 1), pinned("s", 0), pinned("s", 2), pinned("s", 1)))
		synctest.Wait()
		w.register("s", object("three"))
		pass(3 * time.Hour)
		for version, want := range map[int]string{0: object("three"), 1: object("one"), 2: object("two")} {
			if got := textAt(t, c, pinned("s", version)); got != want {
				t.Errorf("version %d is %s", version, got)
			}
		}
		if n := w.net.asked("/subjects/s/versions/1"); n != 1 {
			t.Errorf("a version, which never changes, was asked for %d times", n)
		}
		if n := w.net.asked("/subjects/s/versions/latest"); n < 100 {
			t.Errorf("latest was asked for %d times", n)
		}
		all := c.Subjects()
		if len(all) != 3 || all[0].Pinned != 1 || all[0].State != schema.Fresh || all[0].Age != 0 || all[1].Pinned != 0 {
			t.Errorf("status %+v", all)
		}
		if _, err := c.Lookup("s", 3); err == nil || !strings.Contains(err.Error(), `subject "s" version 3: the subject is not configured`) {
			t.Errorf("an unknown pin: %v", err)
		}
		if e := c.Entries("s"); len(e) != 3 || e[0].Text != object("one") || e[1].Text != object("three") {
			t.Errorf("entries %+v", e)
		}
	})
}

// A pinned version is asked for until it is there, and then no more.
func TestPinnedIsRetriedUntilUsable(t *testing.T) {
	for name, server := range map[string]http.RoundTripper{
		"away": nil, "500": says(500, ""), "not there yet": says(404, `{"error_code":40402}`),
		"another version": says(200, `{"version":3,"id":1,"schemaType":"JSON","schema":"{}"}`),
		"broken":          says(200, `{"version":1,"id":1,"schemaType":"JSON","schema":"broken"}`),
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				w.register("s", object("one"))
				w.net.serve(home, server)
				c := w.cache(nil, withPins(pinned("s", 1)))
				pass(2 * time.Minute)
				if s, err := c.Lookup("s", 1); err == nil || c.Usable() || c.Answered() {
					t.Fatalf("%+v", s)
				}
				w.up()
				pass(31 * time.Second)
				if got := textAt(t, c, pinned("s", 1)); got != object("one") {
					t.Errorf("got %s", got)
				}
				before := len(w.net.requests())
				w.down()
				pass(time.Hour)
				if n := len(w.net.requests()) - before; n != 0 {
					t.Errorf("%d more requests", n)
				}
				if s := c.Subjects()[0]; s.State != schema.Fresh || s.Problem() != "" {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

func TestMaxAge(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		reg := prometheus.NewPedanticRegistry()
		c := w.cache(nil, withPins(pinned("s", 0), pinned("s", 1)), func(o *schema.CacheOptions) {
			o.MaxAge, o.Registerer = 10*time.Minute, reg
		})
		pass(5 * time.Minute)
		w.down()
		lost := c.Subjects()[0].LastSuccess
		pass(time.Until(lost.Add(10*time.Minute)) - time.Second)
		if s := c.Subjects()[0]; s.State != schema.Stale || !strings.Contains(s.Problem(), "version 1 stays in use: ") {
			t.Errorf("before its time: %+v", s)
		}
		textAt(t, c, pinned("s", 0))
		pass(time.Second)
		why := whyNot(t, c, "s")
		if !strings.Contains(why, "nobody has confirmed version 1 since 2000-01-01T00:0") || !strings.Contains(why, "schema.max_age (10m0s)") {
			t.Errorf("text %q", why)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = c.Lookup("s", 0) }); n != 0 {
			t.Errorf("%g allocations of an expired schema", n)
		}
		if s := c.Subjects()[0]; s.State != schema.Expired || s.Usable || s.Version != 1 || !strings.Contains(s.Problem(), "not used any more") {
			t.Errorf("status %+v", s)
		}
		if textAt(t, c, pinned("s", 1)) != object("one") || !c.Usable() {
			t.Error("a pinned version has aged")
		}
		if u, v := value(t, reg, `cxrelay_schema_usable{pin="latest",subject="s"}`), value(t, reg, `cxrelay_schema_usable{pin="1",subject="s"}`); u != "0" || v != "1" {
			t.Errorf("usable %s and %s", u, v)
		}
		if a := value(t, reg, `cxrelay_schema_age_seconds{pin="1",subject="s"}`); a != "0" {
			t.Errorf("the age of a pinned version is %s", a)
		}
		w.up()
		pass(31 * time.Second)
		if textAt(t, c, pinned("s", 0)) != object("one") || c.Subjects()[0].State != schema.Fresh {
			t.Errorf("not used again: %+v", c.Subjects()[0])
		}
		lint(t, reg)
	})
}

// What replaces a cache has its schemas at once, goes on with its counts, and
// shows itself in the metrics only when it runs.
func TestPrevious(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		w.register("old", object("old"))
		w.register("new", object("new"))
		reg := prometheus.NewPedanticRegistry()
		o := schema.CacheOptions{Source: w.client(), Compile: compileText, Pins: latest("s", "old"), Registerer: reg}
		first, err := schema.NewCache(o)
		if err != nil {
			t.Fatal(err)
		}
		stop := sync.OnceFunc(run(t, first))
		defer stop()
		pass(10 * time.Minute)
		w.down()
		o.Pins, o.Previous, o.MaxAge = latest("s", "new"), first, 15*time.Minute
		second, err := schema.NewCache(o)
		if err != nil {
			t.Fatal(err)
		}
		if textOf(t, second, "s") != object("one") {
			t.Error("the schema was not handed on")
		}
		if got := value(t, reg, `cxrelay_schema_usable{pin="latest",subject="old"}`); got != "1" {
			t.Error("the new cache shows before it runs")
		}
		w.up()
		w.register("s", object("two"))
		pass(73 * time.Second)
		w.down()
		if textOf(t, second, "s") != object("one") {
			t.Error("the new cache learns before it runs")
		}
		second.CatchUp(first)
		if textOf(t, second, "s") != object("two") {
			t.Error("what was learned meanwhile is lost")
		}
		looks := value(t, reg, `cxrelay_schema_refreshes_total{pin="latest",result="unchanged",subject="s"}`)
		stop()
		defer run(t, second)()
		synctest.Wait()
		if got := value(t, reg, `cxrelay_schema_refreshes_total{pin="latest",result="unchanged",subject="s"}`); got != looks {
			t.Errorf("%s looks, %s before", got, looks)
		}
		if strings.Contains(exposition(t, reg), `cxrelay_schema_usable{pin="latest",subject="old"}`) || !strings.Contains(exposition(t, reg), `cxrelay_schema_refreshes_total{pin="latest",result="changed",subject="old"} 1`) || value(t, reg, `cxrelay_schema_usable{pin="latest",subject="new"}`) != "0" {
			t.Errorf("metrics:\n%s", exposition(t, reg))
		}
		pass(16 * time.Minute)
		whyNot(t, second, "s") // by the new maximum age
		w.up()
		pass(31 * time.Second)
		if textOf(t, second, "new") != object("new") || textOf(t, second, "s") != object("two") {
			t.Error("not loaded")
		}
	})
}

// A schema that is too old for a new cache is asked for again before that is
// found wanting: the registry may be back since the last look.
func TestLoadOfWhatIsTooOld(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		o := schema.CacheOptions{Source: w.client(), Compile: compileText, Pins: latest("s")}
		first, err := schema.NewCache(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Load(t.Context(), latest("s")); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		o.Previous, o.MaxAge = first, 10*time.Minute
		second, err := schema.NewCache(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Load(t.Context(), latest("s")); err != nil || textOf(t, second, "s") != object("one") {
			t.Errorf("with a registry that answers: %v", err)
		}
		w.down()
		pass(time.Hour)
		if err := second.Load(t.Context(), latest("s")); !errors.Is(err, schema.ErrUnavailable) {
			t.Errorf("without one: %v", err)
		}
	})
}

// A cache that was replaced is let go, however many came after it.
func TestReplacedCacheIsLetGo(t *testing.T) {
	gone := make(chan struct{})
	c, err := schema.NewCache(schema.CacheOptions{Fixed: schema.Unchecked(), Pins: latest("s")})
	if err != nil {
		t.Fatal(err)
	}
	runtime.AddCleanup(c, func(gone chan struct{}) { close(gone) }, gone)
	for range 2 {
		if c, err = schema.NewCache(schema.CacheOptions{Fixed: schema.Unchecked(), Pins: latest("s"), Previous: c}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for limit := time.After(10 * time.Second); ; runtime.GC() {
		select {
		case <-gone:
			runtime.KeepAlive(c)
			return
		case <-limit:
			t.Fatal("the first cache is still there")
		default:
		}
	}
}

// Load is for what a reload adds: it asks for that alone, and says what is not there.
func TestLoad(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		o := schema.CacheOptions{Source: w.client(), Compile: compileText, Pins: append(latest("s", "other"), pinned("s", 7))}
		c, err := schema.NewCache(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Load(t.Context(), latest("s")); err != nil || textOf(t, c, "s") != object("one") {
			t.Fatal(err)
		}
		w.down()
		if err := c.Load(t.Context(), latest("s")); err != nil {
			t.Errorf("what is there is asked for again: %v", err)
		}
		w.up()
		if err := c.Load(t.Context(), []schema.Pin{pinned("s", 0), pinned("s", 7)}); !errors.Is(err, schema.ErrUnavailable) || !strings.Contains(err.Error(), "version not found in registry") {
			t.Errorf("a version that is not there: %v", err)
		}
		if err := c.Load(t.Context(), latest("nobody's")); !errors.Is(err, schema.ErrUnavailable) {
			t.Errorf("a pin that is not the cache's: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Load(ctx, latest("other")); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
		if n := w.net.asked("/subjects/other/versions/latest"); n != 0 {
			t.Errorf("%d requests for what was not asked for", n)
		}
		off, err := schema.NewCache(schema.CacheOptions{Fixed: schema.Unchecked(), Pins: latest("s")})
		if err != nil || off.Load(t.Context(), latest("s")) != nil {
			t.Error("nothing to load is no fault")
		}
	})
}

// Clients of one registerer share the series, as one replaces the other.
func TestClientsShareTheirSeries(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		reg := prometheus.NewRegistry()
		w.register("s", object("one"))
		for range 2 {
			c := w.client(func(o *schema.ClientOptions) { o.Registerer = reg })
			if _, err := c.Latest(t.Context(), "s"); err != nil {
				t.Fatal(err)
			}
		}
		if n := value(t, reg, `cxrelay_schema_registry_request_duration_seconds_count{result="ok"}`); n != "2" {
			t.Errorf("%s requests", n)
		}
	})
}

func TestUnchecked(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.net.serve(home, handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "?") })))
		c, err := schema.NewCache(schema.CacheOptions{Fixed: schema.Unchecked(), Pins: []schema.Pin{pinned("s", 0), pinned("s", 4)}})
		if err != nil {
			t.Fatal(err)
		}
		if !c.Usable() || !c.Answered() {
			t.Error("not usable before it runs")
		}
		defer run(t, c)()
		pass(time.Hour)
		s, err := c.Lookup("s", 4)
		if err != nil || s.ID != 0 || s.Version != 0 {
			t.Fatalf("%+v, %v", s, err)
		}
		var doc jsontape.Doc
		if err := doc.Parse([]byte(`{"a":[1]}`), jsontape.Limits{}); err != nil {
			t.Fatal(err)
		}
		value, violations, err := s.Check(&doc, nil, time.Time{})
		if string(value) != `{"a":[1]}` || violations != nil || err != nil {
			t.Errorf("%s %v %v", value, violations, err)
		}
		if st := c.Subjects()[0]; st.State != schema.Off || !st.Usable || st.Problem() != "" || st.Age != 0 {
			t.Errorf("status %+v", st)
		}
		if n := len(w.net.requests()); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestRunTwice(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		c := w.cache([]string{"s"})
		synctest.Wait()
		if err := c.Run(context.Background()); err == nil {
			t.Error("ran twice at once")
		}
	})
}
