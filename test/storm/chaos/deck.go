// Package chaos has the faults of the storm: what can be done to a network, a
// registry and processes, and in which order.
package chaos

import (
	"context"
	"math/rand/v2"
	"time"
)

// Fault is something that goes wrong for a while, or once.
type Fault struct {
	Name     string
	Min, Max time.Duration // how long it lasts
	Begin    func(context.Context) error
	End      func(context.Context) error // nil: it happens once, or ends by itself
	Lasts    time.Duration               // of one that ends by itself
}

// Deck draws faults: all of them, in an order that the random source decides,
// then all of them again.
type Deck struct {
	all    []Fault
	left   []int
	random *rand.Rand
}

// NewDeck returns a deck of faults; there must be one.
func NewDeck(all []Fault, random *rand.Rand) *Deck { return &Deck{all: all, random: random} }

// Draw returns the next fault, and how long it lasts.
func (d *Deck) Draw() (Fault, time.Duration) {
	if len(d.left) == 0 {
		d.left = d.random.Perm(len(d.all))
	}
	f := d.all[d.left[0]]
	d.left = d.left[1:]
	length := f.Min
	if f.Max > f.Min {
		length += time.Duration(d.random.Int64N(int64(f.Max - f.Min)))
	}
	return f, length
}
