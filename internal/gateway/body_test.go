package gateway_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cxrelay/cxrelay/internal/gateway"
)

func TestBodyGrowsWithWhatArrives(t *testing.T) {
	const size = 1 << 20
	budget := gateway.NewBudget(4 << 20)
	bodies := gateway.NewBodies(budget, false)
	want := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	b := bodies.Get(size)
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
		if used := budget.Used(); used < int64(sent) || used > max(4<<10, 2*int64(sent)+10) {
			t.Fatalf("%d bytes arrived, %d charged", sent, used)
		}
	}
	if !bytes.Equal(b.Bytes(), want) || b.Len() != len(want) {
		t.Error("the bytes changed")
	}
	if used := budget.Used(); used > size+8<<10 {
		t.Errorf("a body of %d bytes as declared holds %d", size, used)
	}
	if len(b.Spare()) == 0 {
		t.Error("no room beyond what was declared")
	}
	b.Release()
	if budget.Used() != 0 {
		t.Errorf("%d bytes still charged", budget.Used())
	}
}

// TestBodyBuffers: a body is charged the buffer that it is in, and a large one
// leaves no large buffer to a small one.
func TestBodyBuffers(t *testing.T) {
	budget := gateway.NewBudget(4 << 20)
	bodies := gateway.NewBodies(budget, true)
	for _, tt := range []struct {
		declared, arrived int
		want              int64
	}{
		{60_000, 60_000, 64 << 10},
		{0, 1, 512},
		{500, 1, 512},
		{507, 507, 512},
		{508, 508, 1024},
		{554, 554, 1024},
		{4091, 1, 2048},
		{4091, 4091, 4096},
		{1 << 20, 1, 2048},
		{4092, 4092, 8192},
		{65_531, 65_531, 64 << 10},
		{65_532, 65_532, 65_537},
		{100_000, 100_000, 100_005},
	} {
		b := bodies.Get(int64(tt.declared))
		for left := tt.arrived; left > 0; {
			n := min(len(b.Spare()), left)
			if err := b.Advance(n); err != nil {
				t.Fatal(err)
			}
			left -= n
		}
		if got := budget.Used(); got != tt.want {
			t.Errorf("%d of %d declared bytes hold %d, want %d", tt.arrived, tt.declared, got, tt.want)
		}
		b.Release()
		if budget.Used() != 0 {
			t.Fatalf("%d bytes still charged", budget.Used())
		}
	}
}

func TestBudget(t *testing.T) {
	budget := gateway.NewBudget(2048)
	bodies := gateway.NewBodies(budget, false)
	fill := func(body *gateway.Body, n int) error {
		copy(body.Spare(), strings.Repeat("x", n))
		return body.Advance(n)
	}
	a, b := bodies.Get(500), bodies.Get(600)
	if err := fill(a, 500); err != nil {
		t.Fatal(err)
	}
	if err := fill(b, 1); !errors.Is(err, gateway.ErrBudget) {
		t.Errorf("unverified bodies may hold more than half: %v", err)
	}
	if b.Len() != 0 || budget.Used() != 512 {
		t.Errorf("a refused byte counts: %d, %d", b.Len(), budget.Used())
	}
	a.Release()
	if err := fill(b, 600); err != nil {
		t.Errorf("after a release: %v", err)
	}
	b.Release()
	alone := bodies.Get(1500)
	if err := fill(alone, 1500); err != nil {
		t.Errorf("a body that is alone: %v", err)
	}
	alone.Release()
	if budget.Used() != 0 || budget.Total() != 2048 {
		t.Errorf("used %d of %d", budget.Used(), budget.Total())
	}
}

// TestPoison: with poison on, a use after Release shows.
func TestPoison(t *testing.T) {
	bodies := gateway.NewBodies(gateway.NewBudget(1000), true)
	b := bodies.Get(5)
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
