package gateway_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/gateway"
)

func TestBodyGrowsWithWhatArrives(t *testing.T) {
	budget := gateway.NewBudget(4 << 20)
	bodies := gateway.NewBodies(budget, false)
	want := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	b := bodies.Get()
	for sent := 0; sent < len(want); {
		room := b.Spare()
		if len(room) == 0 {
			t.Fatal("no room")
		}
		n := copy(room[:min(len(room), 7000)], want[sent:])
		if err := b.Advance(n); err != nil {
			t.Fatal(err)
		}
		sent += n
		if budget.Used() != int64(sent) {
			t.Fatalf("%d bytes arrived, %d charged", sent, budget.Used())
		}
	}
	if !bytes.Equal(b.Bytes(), want) || b.Len() != len(want) {
		t.Error("the bytes changed")
	}
	b.Release()
	if budget.Used() != 0 {
		t.Errorf("%d bytes still charged", budget.Used())
	}
}

func TestBudget(t *testing.T) {
	budget := gateway.NewBudget(1000)
	bodies := gateway.NewBodies(budget, false)
	a, b := bodies.Get(), bodies.Get()
	fill := func(body *gateway.Body, n int) error {
		copy(body.Spare(), strings.Repeat("x", n))
		return body.Advance(n)
	}
	if err := fill(a, 500); err != nil {
		t.Fatal(err)
	}
	if err := fill(b, 1); !errors.Is(err, gateway.ErrBudget) {
		t.Errorf("unverified bodies may hold more than half: %v", err)
	}
	if b.Len() != 0 || budget.Used() != 500 {
		t.Errorf("a refused byte counts: %d, %d", b.Len(), budget.Used())
	}
	a.Release()
	if err := fill(b, 500); err != nil {
		t.Errorf("after a release: %v", err)
	}
	b.Release()
	if budget.Used() != 0 || budget.Total() != 1000 {
		t.Errorf("used %d of %d", budget.Used(), budget.Total())
	}
}

// TestPoison: with poison on, a use after Release shows.
func TestPoison(t *testing.T) {
	bodies := gateway.NewBodies(gateway.NewBudget(1000), true)
	b := bodies.Get()
	n := copy(b.Spare(), "event")
	if err := b.Advance(n); err != nil {
		t.Fatal(err)
	}
	kept := b.Bytes()
	b.Release()
	if string(kept) != "\xdb\xdb\xdb\xdb\xdb" {
		t.Errorf("kept %q", kept)
	}
}
