package schema_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxrelay/cxrelay/internal/schema"
)

func TestMissingThenRegistered(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		c := w.cache([]string{"s"})
		pass(10 * time.Minute)
		if n := len(w.net.requests()); n > 120 || n < 20 {
			t.Errorf("%d requests in ten minutes", n)
		}
		w.register("s", object("one"))
		pass(31 * time.Second)
		if textOf(t, c, "s") != object("one") {
			t.Error("not taken over")
		}
	})
}

// Away for five minutes from the start: usable within about two seconds after
// the registry is back.
func TestColdStartWithoutRegistry(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("a", object("a"))
		w.register("b", object("b"))
		w.down()
		c := w.cache([]string{"a", "b"})
		pass(5 * time.Minute)
		if c.Usable() {
			t.Fatal("usable without a registry")
		}
		w.up()
		back := time.Now()
		for !c.Subjects()[0].Usable || !c.Subjects()[1].Usable {
			changed := c.Changed()
			select {
			case <-changed:
			case <-time.After(time.Minute):
				t.Fatal("not usable again")
			}
			synctest.Wait()
		}
		if d := time.Since(back); d > 2100*time.Millisecond {
			t.Errorf("usable only after %s", d)
		}
		expectPaced(t, w.net.requests())
	})
}

func TestAwayForFiveMinutes(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		c := w.cache([]string{"s"})
		synctest.Wait()
		w.down()
		pass(5 * time.Minute)
		if textOf(t, c, "s") != object("one") {
			t.Error("gone")
		}
		w.register("s", object("two"))
		w.up()
		pass(31 * time.Second)
		if textOf(t, c, "s") != object("two") {
			t.Error("not taken over within the longest back-off")
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("a", object("a"))
		w.register("b", object("b"))
		w.net.serve(home, says(429, "", "Retry-After", "45"))
		start := time.Now()
		c := w.cache([]string{"a", "b"})
		synctest.Wait()
		before := len(w.net.requests())
		w.up()
		pass(44 * time.Second)
		if n := len(w.net.requests()); n != before {
			t.Errorf("%d requests before the time", n-before)
		}
		pass(2 * time.Second)
		if textOf(t, c, "a") != object("a") || textOf(t, c, "b") != object("b") {
			t.Errorf("not loaded %s after the 429", time.Since(start))
		}
	})
}

func TestRefreshJitter(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		w.cache([]string{"s"})
		pass(100 * time.Minute)
		seen := w.net.requests()
		shortest, longest := time.Hour, time.Duration(0)
		for i := 1; i < len(seen); i++ {
			gap := seen[i].at.Sub(seen[i-1].at)
			shortest, longest = min(shortest, gap), max(longest, gap)
		}
		if shortest < 48*time.Second || longest > 72*time.Second {
			t.Errorf("between %s and %s", shortest, longest)
		}
		if longest-shortest < 15*time.Second { // 100 draws from a range of 24 s
			t.Errorf("hardly any spread: %s to %s", shortest, longest)
		}
	})
}

// With the largest draws the back-off is its ceiling: 1, 2, 4, 8, 16, 30, 30 s.
// A Retry-After has up to a second on top, so that relays do not come back as one.
func TestBackoff(t *testing.T) {
	tests := []struct {
		name   string
		first  http.RoundTripper // before the registry goes away
		server http.RoundTripper
		draw   float64
		want   []float64 // seconds between requests
	}{
		{"nothing usable, away", nil, nil, 1, []float64{1, 2, 2, 2, 2, 2}},
		{"nothing usable, not found", nil, says(404, `{"error_code":40401}`), 1, []float64{1, 2, 4, 8, 16, 30, 30}},
		{"Retry-After", nil, says(429, "", "Retry-After", "10"), 1, []float64{11, 11, 11}},
		{"no draw is no wait", nil, nil, 0, []float64{.1, .1, .1, .1, .6, .1}}, // five at once, then the pace
		{"usable, away", says(200, `{"version":1,"id":1,"schema":"{}"}`), nil, 1, []float64{72, 1, 2, 4, 8, 16, 30, 30}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				w.net.serve(home, tt.first)
				if tt.first == nil {
					w.net.serve(home, tt.server)
				}
				w.cache([]string{"s"}, func(o *schema.CacheOptions) { o.Rand = func() float64 { return tt.draw } })
				synctest.Wait()
				w.net.serve(home, tt.server)
				pass(3 * time.Minute)
				seen := w.net.requests()
				for i, want := range tt.want {
					if gap := seen[i+1].at.Sub(seen[i].at).Seconds(); gap != want {
						t.Errorf("wait %d is %g s, want %g", i, gap, want)
					}
				}
				expectPaced(t, seen)
			})
		})
	}
}

// Many subjects, a registry that comes and goes: never more than five requests
// in a second, and all subjects are loaded in the end.
func TestManySubjectsArePaced(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		var subjects []string
		for _, r := range "abcdefghijklmnopqrstuvwxyz" {
			subjects = append(subjects, string(r))
			w.register(string(r), object(string(r)))
		}
		w.down()
		c := w.cache(subjects)
		for range 3 {
			pass(time.Minute)
			w.up()
			pass(15 * time.Second)
			w.down()
		}
		for _, s := range subjects {
			if textOf(t, c, s) != object(s) {
				t.Errorf("%s has another's schema", s)
			}
		}
		expectPaced(t, w.net.requests())
	})
}
