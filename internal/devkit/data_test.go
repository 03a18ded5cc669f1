package devkit

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func openData(t *testing.T, dir string) *Data {
	t.Helper()
	d, err := OpenData(dir, "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func startWithData(t *testing.T, d *Data, topics ...string) *Kafka {
	t.Helper()
	k, err := StartKafka(KafkaOptions{Topics: topics, Data: d})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// crashed is the folder as a killed process leaves it: nobody has closed it.
func crashed(t *testing.T, d *Data) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "crashed")
	if err := os.CopyFS(dir, os.DirFS(d.Dir())); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestKafkaKeepsRecordsAndGroups: after an orderly end and after a crash
// records are there, offsets go on, and a group goes on where it was.
func TestKafkaKeepsRecordsAndGroups(t *testing.T) {
	for _, crash := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "data")
		d := openData(t, dir)
		k := startWithData(t, d, "t")
		c := newClient(t, kgo.SeedBrokers(k.Addr()))
		produce(t, c, "t", 2, 5, 100)
		commit(t, c, "readers", 3)
		c.Close()
		if crash {
			dir = crashed(t, d)
		}
		k.Close()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}

		d = openData(t, dir)
		k = startWithData(t, d, "t")
		c = newClient(t, kgo.SeedBrokers(k.Addr()))
		produce(t, c, "t", 1, 1, 100)
		ends, err := kadm.NewClient(c).ListEndOffsets(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := ends.Lookup("t", 0); o.Offset != 6 {
			t.Errorf("crash %v: partition 0 ends at %d, want 6", crash, o.Offset)
		}
		if o, _ := ends.Lookup("t", 1); o.Offset != 5 {
			t.Errorf("crash %v: partition 1 ends at %d, want 5", crash, o.Offset)
		}
		c.Close()
		if got := nextOf(t, k, "readers"); got != 3 {
			t.Errorf("crash %v: the group goes on at %d, want 3", crash, got)
		}
		k.Close()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func commit(t *testing.T, c *kgo.Client, group string, next int64) {
	t.Helper()
	var offsets kadm.Offsets
	offsets.AddOffset("t", 0, next, -1)
	if err := kadm.NewClient(c).CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
}

// nextOf is the offset of the first record that a group gets of partition 0.
func nextOf(t *testing.T, k *Kafka, group string) int64 {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(k.Addr()), kgo.ConsumerGroup(group), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		for _, r := range c.PollFetches(ctx).Records() {
			if r.Partition == 0 {
				return r.Offset
			}
		}
	}
	t.Fatal("the group gets nothing")
	return 0
}

// TestKafkaDiskStaysBounded: the broker drops what retention allows it to drop
// also after a restart, when no topic is made, and the files go with it.
func TestKafkaDiskStaysBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	synctest.Test(t, func(t *testing.T) {
		const retention, value, perRound = 64 << 10, 1 << 10, 16
		for range 2 {
			d := openData(t, dir)
			vn := &kfake.VirtualNetwork{}
			k, err := startKafka(KafkaOptions{Addr: "localhost:9092", Topics: []string{"t"}, Partitions: 2, RetentionBytes: retention, Data: d}, vn.Listen, vn.DialContext)
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, kgo.SeedBrokers(k.Addr()), kgo.Dialer(vn.DialContext))
			rounds := int(2 * time.Minute / cleanEvery)
			for range rounds {
				produce(t, c, "t", 2, perRound, value)
				time.Sleep(cleanEvery)
			}
			synctest.Wait()
			const bound = 2 * (retention + 2*retention/segmentDivisor + perRound*(value+200))
			if size := sizeOf(t, filepath.Join(d.Kafka(), "partitions")); size > bound {
				t.Errorf("%d bytes on disk, want at most %d", size, bound)
			}
			c.Close()
			k.Close()
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func sizeOf(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		size += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// TestEnsure: a pin that has grown adds partitions, and they outlive a crash.
func TestEnsure(t *testing.T) {
	d := openData(t, filepath.Join(t.TempDir(), "data"))
	k := startWithData(t, d)
	for _, step := range []struct{ ask, before, now int32 }{{0, 0, 8}, {4, 8, 8}, {12, 8, 12}, {12, 12, 12}, {0, 12, 12}} {
		before, err := k.Ensure(t.Context(), "t", step.ask)
		if err != nil || before != step.before {
			t.Errorf("Ensure(%d) = %d, %v; want %d", step.ask, before, err, step.before)
		}
		if n := len(k.Cluster().PartitionInfos("t")); n != int(step.now) {
			t.Errorf("Ensure(%d): %d partitions, want %d", step.ask, n, step.now)
		}
	}
	again := openData(t, crashed(t, d))
	k.Close()
	k = startWithData(t, again)
	defer k.Close()
	if n := len(k.Cluster().PartitionInfos("t")); n != 12 {
		t.Errorf("after a crash: %d partitions, want 12", n)
	}
	if got := k.Cluster().TopicInfo("t").Configs["retention.ms"]; got == nil || *got != "-1" {
		t.Errorf("records of a data folder get old: retention.ms is %v", got)
	}
}

func TestDataIsLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	d := openData(t, dir)
	_, err := OpenData(dir, "elsewhere")
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Holder.PID != os.Getpid() || locked.Holder.Webhook != "127.0.0.1:8080" || locked.Dir != dir {
		t.Errorf("got %#v", err)
	}
	if got := (&LockedError{Dir: "d"}).Error(); !strings.HasPrefix(got, "d is in use by another process: ") {
		t.Error(got)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openData(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenData(other, ""); err == nil || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("somebody's folder: %v", err)
	}
	if _, err := OpenData(filepath.Join(other, "thesis.txt"), ""); err == nil {
		t.Error("a file is taken for a folder")
	}
}

// TestDamage: what cannot be read is named; only what a killed process had not
// finished is passed over.
func TestDamage(t *testing.T) {
	whole := openData(t, filepath.Join(t.TempDir(), "data"))
	k, err := StartKafka(KafkaOptions{Topics: []string{"t"}, Partitions: 1, RetentionBytes: 4 << 10, Data: whole})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, kgo.SeedBrokers(k.Addr()))
	for range 3 {
		produce(t, c, "t", 1, 1, 1<<10)
	}
	commit(t, c, "readers", 1)
	c.Close()
	segments, err := filepath.Glob(filepath.Join(whole.Kafka(), "partitions", "t-0", "*.dat"))
	if err != nil || len(segments) < 2 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	first, last := "partitions/t-0/"+filepath.Base(segments[0]), "partitions/t-0/"+filepath.Base(segments[len(segments)-1])
	defer k.Close()
	for name, tt := range map[string]struct {
		file string
		harm func([]byte) []byte // nil: the file goes
		ok   bool
	}{
		"nothing":         {"topics.json", slices.Clone[[]byte], true},
		"record":          {first, flip(200), false},
		"length":          {first, flip(9), false},
		"sealed, cut":     {first, cut(7), false},
		"record, last":    {last, flip(200), false},
		"not finished":    {last, cut(7), true},
		"head unfinished": {last, func([]byte) []byte { return []byte{0, 0} }, true},
		"offsets":         {"groups.log", flip(30), false},
		"offsets, cut":    {"groups.log", cut(3), true},
		"topics":          {"topics.json", cut(1), false},
		"no topics":       {"topics.json", nil, false},
		"no meta":         {"meta.json", nil, false},
		"empty meta":      {"meta.json", func([]byte) []byte { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := crashed(t, whole)
			file := filepath.Join(dir, "kafka", tt.file)
			harmFile(t, file, tt.harm)
			d := openData(t, dir)
			k, err := StartKafka(KafkaOptions{Topics: []string{"t"}, Data: d})
			if err == nil {
				k.Close()
			}
			var damaged *DamagedError
			switch {
			case tt.ok && err != nil:
				t.Error(err)
			case !tt.ok && (!errors.As(err, &damaged) || damaged.File != file || !strings.Contains(err.Error(), "remove "+dir+" to begin anew")):
				t.Errorf("got %v, want an error that names %s", err, file)
			}
		})
	}
}

func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 0x55; return b }
}

func cut(n int) func([]byte) []byte {
	return func(b []byte) []byte { return b[:len(b)-n] }
}

func harmFile(t *testing.T, name string, harm func([]byte) []byte) {
	t.Helper()
	if harm == nil {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		return
	}
	content, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, harm(content), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func startWithSchemas(t *testing.T, d *Data) *Registry {
	t.Helper()
	r, err := NewRegistry(RegistryOptions{Data: d})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// send returns status and body.
func send(t *testing.T, r *Registry, method, path, body string) (int, string) {
	t.Helper()
	got, err := ask(r.Handler(), method, path, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return got.status, got.text()
}

// state is everything that can be asked of a registry.
func state(t *testing.T, r *Registry) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/subjects?deleted=true", "/schemas?deleted=true", "/config", "/config/a", "/mode", "/contexts"} {
		status, body := send(t, r, http.MethodGet, path, "")
		all.WriteString(path + " " + http.StatusText(status) + " " + body + "\n")
	}
	return all.String()
}

// TestRegistryKeepsEverything: ids that subjects share, deleted versions,
// contexts and compatibility are the same after each restart, and so is what
// comes next.
func TestRegistryKeepsEverything(t *testing.T) {
	d := openData(t, filepath.Join(t.TempDir(), "data"))
	r := startWithSchemas(t, d)
	schema := func(text string) string {
		b, _ := json.Marshal(map[string]string{"schema": text, "schemaType": "JSON"})
		return string(b)
	}
	for _, step := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/subjects/a/versions", schema(`{"minimum":1}`), 200},
		{"POST", "/subjects/b%2Fc/versions", schema(`{"minimum":1}`), 200}, // the id of a's
		{"POST", "/subjects/a/versions", schema(`{"minimum":2}`), 200},
		{"POST", "/subjects/a/versions", schema(`{"minimum":2}`), 200}, // known
		{"POST", "/subjects/a", schema(`{"minimum":2}`), 200},          // a question
		{"POST", "/subjects/a/versions", schema(`{"type":5}`), 422},
		{"DELETE", "/subjects/a/versions/2", "", 200},
		{"DELETE", "/subjects/nobody", "", 404},
		{"POST", "/subjects/a/versions", schema(`{"minimum":3}`), 200},
		{"POST", "/contexts/.x/subjects/a/versions", schema(`{"minimum":4}`), 200},
		{"PUT", "/config/a", `{"compatibility":"FULL"}`, 200},
	} {
		if status, body := send(t, r, step.method, step.path, step.body); status != step.status {
			t.Fatalf("%s %s: %d %s, want %d", step.method, step.path, status, body, step.status)
		}
	}
	files, err := filepath.Glob(filepath.Join(d.Registry(), "*"))
	if err != nil || len(files) != 7 {
		t.Errorf("%d files for 7 changes: %v", len(files), files)
	}
	before := state(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r = startWithSchemas(t, d)
		if got := state(t, r); got != before {
			t.Errorf("after a restart:\n%sbefore:\n%s", got, before)
		}
		if id, err := r.Register("a", `{"minimum":3}`); err != nil || id != 3 {
			t.Errorf("id %d, %v; want 3", id, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r = startWithSchemas(t, d)
	defer func() { _ = r.Close() }()
	if id, err := r.Register("new", `{"minimum":9}`); err != nil || id != 5 {
		t.Errorf("the next id is %d, %v; want 5", id, err)
	}
}

// TestRegistryDamage: a change that is missing, torn, or not the one that was
// made is named.
func TestRegistryDamage(t *testing.T) {
	whole := openData(t, filepath.Join(t.TempDir(), "data"))
	r := startWithSchemas(t, whole)
	for _, text := range []string{`{"minimum":1}`, `{"minimum":2}`, `{"minimum":3}`} {
		if _, err := r.Register("a", text); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	other := func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), `\"id\":2`, `\"id\":7`)) }
	for name, harm := range map[string]func([]byte) []byte{"missing": nil, "torn": cut(9), "empty": cut(0), "other": other} {
		t.Run(name, func(t *testing.T) {
			dir := crashed(t, whole)
			file := filepath.Join(dir, "registry", "000002.json")
			if name == "empty" {
				harm = func([]byte) []byte { return nil }
			}
			harmFile(t, file, harm)
			_, err := NewRegistry(RegistryOptions{Data: openData(t, dir)})
			var damaged *DamagedError
			if !errors.As(err, &damaged) || damaged.File != file {
				t.Errorf("got %v, want an error that names %s", err, file)
			}
		})
	}
}

// TestRegistryCannotKeep: what is not on disk is not answered with success.
func TestRegistryCannotKeep(t *testing.T) {
	d := openData(t, filepath.Join(t.TempDir(), "data"))
	r := startWithSchemas(t, d)
	defer func() { _ = r.Close() }()
	if err := os.RemoveAll(d.Registry()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Register("a", `{}`); err == nil || !strings.Contains(err.Error(), "not on disk") {
		t.Errorf("got %v", err)
	}
}
