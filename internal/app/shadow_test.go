package app_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxrelay/cxrelay/internal/app"
	"github.com/cxrelay/cxrelay/internal/jsontape"
	"github.com/cxrelay/cxrelay/internal/schema"
	"github.com/cxrelay/cxrelay/internal/schema/jsonschema"
)

const devSubject = "cxone-data-action-v1"

// expectShadow compares the outcomes that the metrics have of devSubject.
func (w *world) expectShadow(when string, agreed, disagreed, skipped float64) {
	w.t.Helper()
	s := w.scrape().series
	for result, want := range map[string]float64{"agreed": agreed, "disagreed": disagreed, "skipped": skipped} {
		series := fmt.Sprintf(`cxrelay_schema_shadow_total{result=%q,subject=%q}`, result, devSubject)
		if got, there := s[series]; !there || got != want {
			w.t.Errorf("%s: %s is %g (there: %v), want %g", when, series, got, there, want)
		}
	}
}

// linesOf are the lines of the log that have this message.
func (w *world) linesOf(message string) []string {
	var found []string
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, `"msg":"`+message) {
			found = append(found, line)
		}
	}
	return found
}

// becoming has every fast path validate against another text.
func becoming(text string) func(schema.Definition) schema.Definition {
	return func(def schema.Definition) schema.Definition {
		def.Text = text
		return def
	}
}

const disagree = "the two schema engines disagree"

// A fast path that is wrong, in whichever way, is caught by the judge, whose
// verdict the sender gets; the share is taken over by engines that run already.
func TestShadowCatchesAWrongFastPath(t *testing.T) {
	bad := func(n int) *sent {
		id := fmt.Sprintf("c-%d", n)
		return &sent{id: id, contact: "c", body: `{"eventId":"` + id + `","actionType":"QUEUE_TRANSFER","contactId":"c","agentId":"seven"}`}
	}
	good := func(n int) *sent { return event("QUEUE_TRANSFER", "c", n) }
	for name, tt := range map[string]struct {
		mutant      string
		event       func(n int) *sent
		alone, both string // the answer of the mutant, and with the judge
		fast, judge string
	}{
		"accepts what is invalid": {`true`, bad, "accepted", "schema_mismatch", "valid", "invalid"},
		"refuses what is valid":   {`false`, good, "schema_mismatch", "accepted", "invalid", "valid"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{files: baseFiles(), mutate: becoming(tt.mutant)})
				defer w.end()
				w.untilReady()
				if got := w.send(tt.event(1)); got != tt.alone {
					t.Fatalf("the mutant answered %s", got)
				}
				w.expectShadow("without a shadow", 0, 0, 0)

				w.files.set("relay.yaml", baseConfig+"schema: {shadow: 1}\n")
				w.reload("schema.shadow")
				caught := tt.event(2)
				if got := w.send(caught); got != tt.both {
					t.Errorf("with the judge: %s, want %s", got, tt.both)
				}
				w.expectShadow("one event", 0, 1, 0)
				lines := w.linesOf(disagree)
				sum := sha256.Sum256([]byte(caught.body))
				want := fmt.Sprintf(`"subject":%q,"version":1,"schema_id":101,"body_sha256":%q,"fast":%q,"judge":%q}`,
					devSubject, hex.EncodeToString(sum[:]), tt.fast, tt.judge)
				if len(lines) != 1 || !strings.Contains(lines[0], want) || !strings.Contains(lines[0], `"level":"ERROR"`) {
					t.Errorf("lines %q, want one with %s", lines, want)
				}

				w.files.set("relay.yaml", baseConfig)
				w.reload("schema.shadow")
				if got := w.send(tt.event(3)); got != tt.alone {
					t.Errorf("without the judge again: %s, want %s", got, tt.alone)
				}
				w.expectShadow("and off again", 0, 1, 0)
				w.expectLedger()
			})
		})
	}
}

// Engines that agree are counted and not told of, and lines are held back.
func TestShadowLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{overrides: map[string]string{"schema.shadow": "1"}, mutate: becoming(`{"not":{"required":["n"]}}`)})
		defer w.end()
		w.untilReady()
		valid := &sent{id: "e", body: `{"eventId":"e","actionType":"QUEUE_TRANSFER","contactId":"c"}`}
		if got := w.send(valid); got != "accepted" {
			t.Errorf("answered %s", got)
		}
		w.expectShadow("one that both take", 1, 0, 0)
		if lines := w.linesOf(disagree); len(lines) != 0 {
			t.Errorf("lines %q", lines)
		}
		for n := range 13 {
			w.send(event("QUEUE_TRANSFER", "c", n))
		}
		w.expectShadow("13 that one refuses", 1, 13, 0)
		if lines := w.linesOf(disagree); len(lines) != 10 {
			t.Errorf("%d lines of 13, want 10", len(lines))
		}
		time.Sleep(10 * time.Second)
		w.send(event("QUEUE_TRANSFER", "c", 13))
		if lines := w.linesOf(disagree); len(lines) != 11 || !strings.Contains(lines[10], `"held_back":3`) {
			t.Errorf("lines %q, want an eleventh with 3 held back", lines)
		}
	})
}

// A schema that the judge must not run is listed with its warning, and its
// checks count as skipped; the fast path's verdict stands.
func TestShadowOfOneEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{overrides: map[string]string{"schema.shadow": "1"}, schema: branching})
		defer w.end()
		w.untilReady()
		if got := w.send(event("QUEUE_TRANSFER", "c", 1)); got != "accepted" {
			t.Errorf("answered %s", got)
		}
		deep := `{"eventId":"d","actionType":"QUEUE_TRANSFER","contactId":"c"` + strings.Repeat(`,"n":{"a":1`, 40) + strings.Repeat("}", 41)
		if got := w.send(&sent{id: "d", body: deep}); got != "too_complex" {
			t.Errorf("answered %s", got)
		}
		w.expectShadow("one engine", 0, 0, 2)
		if strings.Contains(w.log.String(), "two schema engines") {
			t.Error("a schema for one engine is told of at each event")
		}
		s := w.listed("").Schemas[0]
		if s.Engine != "fast" || s.Declined != "" || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "recurses through anyOf") {
			t.Errorf("listed %+v", s)
		}
	})
}

// A schema that the fast path declines is listed with the keyword.
func TestListedEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{schema: `{"properties":{"n":{"multipleOf":1.00000000000000000001}}}`})
		defer w.end()
		w.untilReady()
		for _, query := range []string{"", "?subject=" + devSubject} {
			if s := w.listed(query).Schemas[0]; s.Engine != "judge" || !strings.Contains(s.Declined, "multipleOf") || s.Warnings != nil {
				t.Errorf("listed %+v", s)
			}
		}
	})
}

// A judge that gives no verdict is told of, for it may be broken.
func TestShadowWithoutVerdict(t *testing.T) {
	log, reg := new(logBuffer), prometheus.NewRegistry()
	compared, err := app.ShadowCompared(slog.New(slog.NewJSONHandler(log, nil)), reg)
	if err != nil {
		t.Fatal(err)
	}
	compared(jsonschema.Comparison{Subject: "s", Version: 2, ID: 3, Body: []byte("{}"), Err: errors.New("no verdict")})
	compared(jsonschema.Comparison{Subject: "s", Body: []byte("{}"), Err: jsonschema.ErrOneEngine})
	lines := strings.Count(log.String(), "\n")
	if lines != 1 || !strings.Contains(log.String(), `"level":"WARN","msg":"the two schema engines could not be compared","subject":"s","version":2,"schema_id":3,"body_sha256":"44136fa`) {
		t.Errorf("log:\n%s", log)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || len(families[0].Metric) != 1 || families[0].Metric[0].Counter.GetValue() != 2 {
		t.Errorf("counted %v, %v", families, err)
	}
}

func TestShadowDraw(t *testing.T) {
	never, always, half := app.ShadowDraw(0), app.ShadowDraw(1), app.ShadowDraw(0.5)
	drawn := 0
	for range 1000 {
		if never() || !always() {
			t.Fatal("0 drew a check, or 1 left one out")
		}
		if half() {
			drawn++
		}
	}
	if drawn < 350 || drawn > 650 {
		t.Errorf("0.5 drew %d of 1000", drawn)
	}
	if n := testing.AllocsPerRun(100, func() { never(); half() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkShadowDraw is what schema.shadow: 0 costs an event.
func BenchmarkShadowDraw(b *testing.B) {
	draw := app.ShadowDraw(0)
	b.ReportAllocs()
	for b.Loop() {
		if draw() {
			b.Fatal("drew a check")
		}
	}
}

// schemasByVersion is a gateway.Schemas of fixed validators.
type schemasByVersion map[int]schema.Validator

func (s schemasByVersion) Lookup(subject string, version int) (*schema.Schema, error) {
	v, ok := s[version]
	if !ok {
		return nil, schema.ErrUnavailable
	}
	return &schema.Schema{Subject: subject, Version: version, Validator: v}, nil
}

// A reload that turns the shadow on makes the judges before, so that no event
// waits for that; one that does not makes none.
func TestShadowIsMadeAhead(t *testing.T) {
	var properties []string
	for i := range 50 {
		properties = append(properties, fmt.Sprintf(`"p%d":{"type":"string","pattern":"^a{%d}$"}`, i, i))
	}
	text := `{"properties":{` + strings.Join(properties, ",") + `}}`
	firstCheck := func(share float64) uint64 {
		v, err := jsonschema.New(jsonschema.Options{Shadow: func() bool { return true }})(schema.Definition{Subject: "s", Version: 2, Type: "JSON", Text: text})
		if err != nil {
			t.Fatal(err)
		}
		app.Ahead(share, schemasByVersion{2: v}, []schema.Pin{{Subject: "s", Version: 1}, {Subject: "s", Version: 2}})
		doc := new(jsontape.Doc)
		if err := doc.Parse([]byte(`{"p1":"a"}`), jsontape.Limits{}); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, violations, err := v.Check(doc, nil); violations != nil || err != nil {
			t.Fatal(violations, err)
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	if ahead, late := firstCheck(0.01), firstCheck(0); 10*ahead > late {
		t.Errorf("the first check makes %d allocations with a judge that was made ahead, %d without", ahead, late)
	}
}
