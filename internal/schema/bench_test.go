package schema_test

import (
	"testing"
	"testing/synctest"

	"github.com/cxrelay/cxrelay/internal/schema"
)

func TestLookupAllocatesNothing(t *testing.T) {
	in(t, func(t *testing.T, w *world) {
		w.register("s", object("one"))
		c := w.cache([]string{"s", "missing"})
		synctest.Wait()
		for _, subject := range []string{"s", "missing"} {
			if n := testing.AllocsPerRun(100, func() { _, _ = c.Lookup(subject, 0) }); n != 0 {
				t.Errorf("%s: %g allocations", subject, n)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	net := newNetwork()
	net.serve(home, says(200, `{"version":1,"id":1,"schemaType":"JSON","schema":"{}"}`))
	client, err := schema.NewClient(schema.ClientOptions{URLs: []string{"http://" + home}, Transport: net})
	if err != nil {
		b.Fatal(err)
	}
	c, err := schema.NewCache(schema.CacheOptions{
		Source: client, Compile: compileText,
		Pins: latest("cxone-data-action-v1", "cxone.dispositions.raw-value", "cxone.transfers.raw-value"),
	})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = c.Run(b.Context()) }()
	for {
		changed := c.Changed()
		if c.Subjects()[0].Usable {
			break
		}
		<-changed
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Lookup("cxone-data-action-v1", 0); err != nil {
			b.Fatal(err)
		}
	}
}
