package schema_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/schema"
)

// inDir keeps the snapshots of a cache in a directory.
func inDir(dir string) func(*schema.CacheOptions) {
	return func(o *schema.CacheOptions) { o.Snapshots = schema.NewSnapshots(dir) }
}

// filled is a directory with the snapshot of subject s, version 1, confirmed
// five minutes after the start of the world.
func filled(t *testing.T, w *world, pins ...schema.Pin) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a", "b")
	w.register("money", object("money"))
	w.register("s", object("one"), ref("money.json", "money", 1))
	c, err := schema.NewCache(schema.CacheOptions{
		Source: w.client(), Compile: compileText, Pins: append(latest("s"), pins...), Snapshots: schema.NewSnapshots(dir), Log: w.logs.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	pass(5 * time.Minute)
	stop := run(t, c)
	pass(5 * time.Minute)
	stop()
	return dir
}

// files are the paths in a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestColdStartFromSnapshot(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		dir := filled(t, w, pinned("s", 1))
		w.down()
		pass(time.Hour)
		reg := prometheus.NewPedanticRegistry()
		var references atomic.Pointer[map[string]string]
		c := w.cache(nil, withPins(pinned("s", 0), pinned("s", 1)), inDir(dir), func(o *schema.CacheOptions) {
			o.Registerer = reg
			o.Compile = func(def schema.Definition) (schema.Validator, error) {
				references.Store(&def.References)
				return compileText(def)
			}
		})
		if synctest.Wait(); c.Answered() || !c.Usable() {
			t.Error("answered without a registry, or not usable")
		}
		if textAt(t, c, pinned("s", 0)) != object("one") || textAt(t, c, pinned("s", 1)) != object("one") || (*references.Load())["money.json"] != object("money") {
			t.Errorf("references %v", *references.Load())
		}
		pass(time.Second)
		for _, s := range c.Subjects() {
			if s.State != schema.Restored || !s.Usable || s.ID != 2 || s.Type != "JSON" ||
				!strings.Contains(s.Problem(), "version 1 is in use from the snapshot of 2000-01-01T00:0") || !strings.Contains(s.Problem(), "connection refused") {
				t.Errorf("status %+v: %s", s, s.Problem())
			}
		}
		for _, pin := range []string{"latest", "1"} {
			age := value(t, reg, fmt.Sprintf(`cxrelay_schema_age_seconds{pin=%q,subject="s"}`, pin))
			if d, err := time.ParseDuration(age + "s"); err != nil || d < time.Hour || d > time.Hour+6*time.Minute {
				t.Errorf("age of %s is %s, %v", pin, age, err)
			}
		}
		if n := w.logs.count("schema taken from its snapshot"); n != 2 {
			t.Errorf("log:\n%s", w.logs)
		}
		w.register("s", object("two"))
		w.up()
		pass(31 * time.Second)
		if textAt(t, c, pinned("s", 0)) != object("two") || textAt(t, c, pinned("s", 1)) != object("one") || !c.Answered() {
			t.Errorf("the registry's answer was not taken: %+v", c.Subjects())
		}
		before := w.net.asked("/subjects/s/versions/1")
		pass(time.Hour)
		if n := w.net.asked("/subjects/s/versions/1") - before; n != 0 {
			t.Errorf("a confirmed version was asked for %d times more", n)
		}
		for _, f := range files(t, dir) {
			info, err := os.Stat(f)
			if err != nil || info.Mode().Perm() != 0o600 || !strings.HasSuffix(f, ".schema") {
				t.Errorf("%s: %v, %v", f, info.Mode(), err)
			}
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 || len(files(t, dir)) != 2 {
			t.Errorf("%v, %v, %q", info.Mode(), err, files(t, dir))
		}
		w.register("s", object("three"))
		pass(73 * time.Second) // a new version is kept at once
		w.down()
		later := w.cache([]string{"s"}, inDir(dir))
		synctest.Wait()
		if textOf(t, later, "s") != object("three") {
			t.Error("the snapshot was not replaced")
		}
	})
}

// The time of the last confirmation is kept up in the snapshot, without a
// write for each of them.
func TestSnapshotKnowsItsLastConfirmation(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		dir := t.TempDir()
		reg := prometheus.NewRegistry()
		w.register("s", object("one"))
		c, err := schema.NewCache(schema.CacheOptions{
			Source: w.client(), Compile: compileText, Pins: latest("s"), Snapshots: schema.NewSnapshots(dir), Registerer: reg,
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, c)
		pass(3 * time.Hour)
		stop()
		if n := value(t, reg, `cxrelay_schema_snapshot_writes_total{result="ok"}`); n < "15" || n > "18" || len(n) != 2 {
			t.Errorf("%s writes in three hours", n)
		}
		w.down()
		for age, usable := range map[time.Duration]bool{20 * time.Minute: true, 5 * time.Second: false} {
			again := w.cache(nil, withPins(pinned("s", 0)), inDir(dir), func(o *schema.CacheOptions) { o.MaxAge = age })
			pass(10 * time.Second)
			if again.Usable() != usable {
				t.Errorf("maximum age %s: usable is %t: %+v", age, !usable, again.Subjects()[0])
			}
		}
	})
}

// With a short maximum age the snapshot is young enough to start from.
func TestSnapshotOfAShortMaxAge(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		dir := t.TempDir()
		w.register("s", object("one"))
		short := func(o *schema.CacheOptions) { o.MaxAge = 8 * time.Minute }
		first := w.cache([]string{"s"}, inDir(dir), short)
		for range 12 {
			pass(5 * time.Minute)
			again, err := schema.NewCache(schema.CacheOptions{
				Source: w.client(func(o *schema.ClientOptions) { o.URLs = []string{"http://away"} }), Compile: compileText,
				Pins: latest("s"), Snapshots: schema.NewSnapshots(dir), MaxAge: 8 * time.Minute,
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := again.Load(t.Context(), latest("s")); err != nil {
				t.Fatal(err)
			}
			if age := again.Subjects()[0].Age; age > 4*60 {
				t.Errorf("the snapshot is %g s old", age)
			}
		}
		textOf(t, first, "s")
	})
}

// What is no snapshot of ours is ignored with one line, and replaced when the
// registry answers.
func TestSnapshotIgnored(t *testing.T) {
	edit := func(f func([]byte) []byte) func(string) error {
		return func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, f(b), 0o600)
		}
	}
	replace := func(from, to string) func(string) error {
		return edit(func(b []byte) []byte { return bytes.Replace(b, []byte(from), []byte(to), 1) })
	}
	for name, tt := range map[string]struct {
		harm func(path string) error
		text string
	}{
		"a bit":        {edit(func(b []byte) []byte { b[len(b)-9] ^= 1; return b }), "damaged or cut off"},
		"cut off":      {edit(func(b []byte) []byte { return b[:len(b)/2] }), "damaged or cut off"},
		"empty":        {edit(func([]byte) []byte { return nil }), "not a snapshot"},
		"foreign":      {edit(func([]byte) []byte { return []byte(`{"type":"object"}`) }), "not a snapshot"},
		"too new":      {replace("cxrelay-schema 1 ", "cxrelay-schema 2 "), "newer cxrelay"},
		"garbage":      {edit(func([]byte) []byte { return bytes.Repeat([]byte{0}, 1<<20) }), "not a snapshot"},
		"huge":         {func(path string) error { return os.Truncate(path, 1<<30) }, "larger than"},
		"a link":       {func(path string) error { return errors.Join(os.Rename(path, path+"x"), os.Symlink(path+"x", path)) }, "no regular file"},
		"a pipe":       {mkfifo, "no regular file"},
		"other pin":    {func(path string) error { return os.Rename(strings.ReplaceAll(path, "-latest.", "-1."), path) }, "it is of s version 1"},
		"uncompilable": {rewrite(object("one"), object("broken")), "does not compile"},
		"no id":        {rewriteJSON(`"id":2,`, `"id":0,`), "no version, id or type"},
		"no time":      {rewriteJSON(`"confirmed":"2`, `"confirm":"2`), "no time"},
		"no subject":   {rewriteJSON(`"subject":"s"`, `"subject":""`), "no subject"},
		"no JSON":      {rewriteJSON(`"id":2,`, `"id":2;`), "not a snapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, w *world) {
				dir := filled(t, w, pinned("s", 1))
				path, err := filepath.Glob(filepath.Join(dir, "s-*-latest.schema"))
				if err != nil || len(path) != 1 {
					t.Fatalf("%q, %v", path, err)
				}
				if err := tt.harm(path[0]); err != nil {
					t.Fatal(err)
				}
				w.down()
				c := w.cache([]string{"s"}, inDir(dir))
				pass(time.Second)
				whyNot(t, c, "s")
				if n := w.logs.count("schema snapshot ignored"); n != 1 || w.logs.count(tt.text) < 1 {
					t.Errorf("want %q in the log:\n%s", tt.text, w.logs)
				}
				w.up()
				pass(5 * time.Second)
				if textOf(t, c, "s") != object("one") {
					t.Error("the registry's answer was not taken")
				}
				w.down()
				again := w.cache([]string{"s"}, inDir(dir))
				synctest.Wait()
				if textOf(t, again, "s") != object("one") {
					t.Errorf("the snapshot was not replaced: %q", files(t, dir))
				}
			})
		})
	}
}

func mkfifo(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return syscall.Mkfifo(path, 0o600)
}

// rewrite changes the schema of a snapshot, and its checksum.
func rewrite(from, to string) func(string) error {
	return rewriteJSON(strings.ReplaceAll(from, `"`, `\"`), strings.ReplaceAll(to, `"`, `\"`))
}

func rewriteJSON(from, to string) func(string) error {
	return func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, body, _ := bytes.Cut(b, []byte("\n"))
		if !bytes.Contains(body, []byte(from)) {
			return fmt.Errorf("no %s in %s", from, body)
		}
		return os.WriteFile(path, schema.Sealed(bytes.Replace(body, []byte(from), []byte(to), 1)), 0o600)
	}
}

func TestSnapshotsNotWritable(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		reg := prometheus.NewRegistry()
		w.register("s", object("one"))
		c := w.cache([]string{"s"}, inDir(filepath.Join(file, "dir")), func(o *schema.CacheOptions) { o.Registerer = reg })
		pass(time.Hour)
		if textOf(t, c, "s") != object("one") {
			t.Error("not loaded")
		}
		if w.logs.count("snapshots cannot be written") != 1 || w.logs.count("snapshot not written") != 1 || w.logs.count("snapshot ignored") > 1 {
			t.Errorf("log:\n%s", w.logs)
		}
		if n := value(t, reg, `cxrelay_schema_snapshot_writes_total{result="error"}`); n == "0" {
			t.Error("not counted")
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Minute)
		if w.logs.count("snapshot written again") != 1 || len(files(t, filepath.Join(file, "dir"))) != 1 {
			t.Errorf("log:\n%s", w.logs)
		}
	})
}

// Relays that share a directory, and are killed, leave whole snapshots.
func TestSnapshotsShared(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for relay := range 4 {
		wg.Go(func() {
			s := schema.NewSnapshots(dir)
			for i := range 50 {
				text := strings.Repeat(object(fmt.Sprint(relay)), 1+i*20)
				if err := s.Save(pinned("s", 0), schema.Definition{Version: 1, ID: 1, Type: "JSON", Text: text}, time.Now()); err != nil {
					t.Error(err)
				}
				got, err := s.Load(pinned("s", 0))
				if err != nil || !strings.HasPrefix(got, `{"type"`) {
					t.Errorf("%.40s, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if all := files(t, dir); len(all) != 1 {
		t.Errorf("left: %q", all)
	}
	for name, age := range map[string]time.Duration{".tmp-killed": 2 * time.Hour, ".tmp-writing": time.Minute, "mine.txt": 1000 * time.Hour} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := schema.NewSnapshots(dir).Probe(); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, f := range files(t, dir) {
		left = append(left, filepath.Base(f))
	}
	if got := strings.Join(left, " "); strings.Contains(got, "killed") || !strings.Contains(got, "mine.txt") || !strings.Contains(got, ".tmp-writing") || len(left) != 3 {
		t.Errorf("left: %s", got)
	}
}

// Names of subjects are anything; those of files are not.
func TestSnapshotNames(t *testing.T) {
	s := schema.NewSnapshots(t.TempDir())
	subjects := []string{"a", "A", "../../etc/passwd", ":.ctx:a", "ä ö", strings.Repeat("x", 5000), strings.Repeat("x", 5001), "...", "a/b", "a_b", "\x00"}
	for i, name := range subjects {
		for _, version := range []int{0, 1, 2} {
			def := schema.Definition{Version: max(1, version), ID: 1, Type: "JSON", Text: fmt.Sprint(i, version)}
			if err := s.Save(pinned(name, version), def, time.Now()); err != nil {
				t.Errorf("%.20q: %v", name, err)
			}
		}
	}
	for i, name := range subjects {
		for _, version := range []int{0, 1, 2} {
			if got, err := s.Load(pinned(name, version)); err != nil || got != fmt.Sprint(i, version) {
				t.Errorf("%.20q version %d: %s, %v", name, version, got, err)
			}
		}
	}
}

// FuzzSnapshot: what is taken is what would be written again, and a file
// with one byte changed is never taken for another schema.
func FuzzSnapshot(f *testing.F) {
	whole, err := schema.Encoded(pinned("s", 1), schema.Definition{
		Version: 1, ID: 7, Type: "JSON", Text: object("<é>\n"), References: map[string]string{"a.json": "{}"},
	}, time.Unix(1e9, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, uint(3))
	f.Add(whole[:len(whole)-1], uint(0))
	f.Add(schema.Sealed([]byte(`{}`)), uint(1))
	f.Add(schema.Sealed([]byte(`{"subject":"s","version":1,"id":1,"type":"JSON","confirmed":"2001-01-01T00:00:00Z"}`)), uint(70))
	f.Add([]byte("cxrelay-schema 9 sha256:0\n{}"), uint(0))
	f.Fuzz(func(t *testing.T, b []byte, at uint) {
		again, err := schema.Reencoded(b)
		if err == nil {
			twice, err := schema.Reencoded(again)
			if err != nil || !bytes.Equal(again, twice) {
				t.Fatalf("%q became %q, %v", again, twice, err)
			}
		}
		if len(b) == 0 {
			return
		}
		harmed := bytes.Clone(b)
		harmed[at%uint(len(b))] ^= byte(1 + at%255)
		if _, both := schema.Reencoded(harmed); both == nil && err == nil {
			t.Fatalf("both %q and %q are taken", b, harmed)
		}
	})
}
