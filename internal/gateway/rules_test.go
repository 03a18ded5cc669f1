package gateway_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cxrelay/cxrelay/internal/gateway"
	"github.com/cxrelay/cxrelay/internal/reason"
	"github.com/cxrelay/cxrelay/internal/route"
	"github.com/cxrelay/cxrelay/internal/signature"
)

// rules makes a set of rules of its own from one source and one route.
func (r *rig) rules(name, path string, secret signature.Secret, pattern, topic string) gateway.Rules {
	r.t.Helper()
	verifier, err := signature.NewVerifier(r.scheme, []signature.Secret{secret})
	if err != nil {
		r.t.Fatal(err)
	}
	table, err := route.New([]route.Route{{Pattern: pattern, Topic: topic, Subject: "s"}})
	if err != nil {
		r.t.Fatal(err)
	}
	source := *r.source
	source.Name, source.Path, source.Verifier = name, path, verifier
	return gateway.Rules{Sources: []*gateway.Source{&source}, Routes: table, Schemas: r.schemas}
}

// TestSwapBetweenBeginAndAccept: a request ends by the rules that it began
// with, whatever comes meanwhile: source, secret and route.
func TestSwapBetweenBeginAndAccept(t *testing.T) {
	r := newRig(t, nil)
	d := r.delivery(good, r.secret)
	r.gateway.Begin(d)
	other := signature.Secret{ID: "other", Value: []byte("another value")}
	next := r.rules("second", "/second", other, "CALL", "elsewhere")
	next.Schemas = &schemas{panics: true}
	r.gateway.Swap(next)
	if v := r.gateway.Accept(d); v.Reason != reason.Accepted || v.Source != "cxone" || v.Route.Topic != "calls" {
		t.Errorf("%s of %s to %+v", v.Reason, v.Source, v.Route)
	}
	next.Schemas = r.schemas
	r.gateway.Swap(next)
	late := r.delivery(good, r.secret)
	r.gateway.Begin(late)
	if v := r.gateway.Refuse(late, gateway.ErrNotFound); late.Source != nil || v.Source != "none" {
		t.Errorf("the path of before has a source: %+v", v)
	}
	now := r.delivery(good, other)
	now.Path = "/second"
	r.gateway.Begin(now)
	if v := r.gateway.Accept(now); v.Reason != reason.Accepted || v.Source != "second" || v.Route.Topic != "elsewhere" {
		t.Errorf("%s of %s to %+v", v.Reason, v.Source, v.Route)
	}
	r.balanced()
}

// TestCountersSurviveSwaps: what was counted under a name stays when the name
// goes, and goes on when it comes back.
func TestCountersSurviveSwaps(t *testing.T) {
	r := newRig(t, nil)
	first := gateway.Rules{Sources: []*gateway.Source{r.source}, Routes: mustTable(t), Schemas: r.schemas}
	r.gateway.Swap(first)
	r.accept(good)
	r.gateway.Swap(r.rules("second", "/second", r.secret, "X", "x"))
	series, err := testutil.GatherAndCount(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	r.gateway.Swap(first)
	r.accept(good)
	s := r.balanced()
	if fmt.Sprint(s.Sources) != "[none cxone second]" || s.Events[1][reason.Accepted] != 2 || s.Events[2] != [reason.Count]uint64{} {
		t.Errorf("%+v", s)
	}
	if again, err := testutil.GatherAndCount(r.registry); err != nil || again != series {
		t.Errorf("%d series, %d before (%v)", again, series, err)
	}
}

func mustTable(t *testing.T) *route.Table {
	t.Helper()
	table, err := route.New([]route.Route{{Pattern: "CALL", Topic: "calls", Subject: "s"}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestSwapUnderLoad: events are decided while the rules change again and
// again; none is lost from the books, and none meets half of two rules.
func TestSwapUnderLoad(t *testing.T) {
	r := newRig(t, func(o *gateway.Options) { o.Sink = instant{} })
	one := gateway.Rules{Sources: []*gateway.Source{r.source}, Routes: mustTable(t), Schemas: r.schemas}
	two := r.rules("second", r.source.Path, r.secret, "CALL", "elsewhere")
	deliveries := make(chan *gateway.Delivery, 400)
	for range cap(deliveries) {
		deliveries <- r.delivery(good, r.secret)
	}
	close(deliveries)
	stop := make(chan struct{})
	var swaps, senders sync.WaitGroup
	swaps.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				r.gateway.Swap([]gateway.Rules{one, two}[i%2])
			}
		}
	})
	for range 4 {
		senders.Go(func() {
			for d := range deliveries {
				d.ReadAt = time.Now()
				r.gateway.Begin(d)
				v := r.gateway.Accept(d)
				if v.Reason != reason.Accepted || (v.Source == "cxone") != (v.Route.Topic == "calls") {
					t.Errorf("%s of %s to %s", v.Reason, v.Source, v.Route.Topic)
				}
			}
		})
	}
	senders.Wait()
	close(stop)
	swaps.Wait()
	if s := r.ledger.Snapshot(); s.Received != 400 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}
