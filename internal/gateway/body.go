package gateway

import (
	"errors"
	"sync"
	"sync/atomic"
)

// headroom is the space kept free in front of every body, so that the
// 5-byte frame of wire "prefix" is written without copying the body.
const headroom = 5

const (
	firstBuffer  = 4 << 10  // bytes of a fresh buffer
	keptBuffer   = 64 << 10 // a buffer larger than this is not pooled
	poisonedByte = 0xDB
)

// ErrBudget is what Body.Advance returns when the relay-wide bound on body
// bytes is reached.
var ErrBudget = errors.New("bound on body bytes in flight reached")

// Budget bounds the body bytes that the relay holds, from their arrival until
// the record's acknowledgement or the refusal. Bodies whose signature is not
// verified yet may hold at most half of it, so that unsigned traffic cannot
// starve signed events that wait for Kafka. Safe for concurrent use.
type Budget struct {
	total      atomic.Int64
	used       atomic.Int64
	unverified atomic.Int64
}

// NewBudget returns a budget of total bytes.
func NewBudget(total int64) *Budget {
	b := &Budget{}
	b.total.Store(total)
	return b
}

// SetTotal changes the bound. What is held already is kept.
func (b *Budget) SetTotal(total int64) { b.total.Store(total) }

// Used returns the bytes held now.
func (b *Budget) Used() int64 { return b.used.Load() }

// Total returns the bound.
func (b *Budget) Total() int64 { return b.total.Load() }

func (b *Budget) charge(n int64) bool {
	total := b.total.Load()
	if b.unverified.Add(n) > total/2 {
		b.unverified.Add(-n)
		return false
	}
	if b.used.Add(n) > total {
		b.used.Add(-n)
		b.unverified.Add(-n)
		return false
	}
	return true
}

// Bodies hands out pooled bodies. Safe for concurrent use.
type Bodies struct {
	budget *Budget
	poison bool
	pool   sync.Pool
}

// NewBodies returns a pool that charges budget. With poison set, a returned
// buffer is overwritten, so that a use after Release shows in tests.
func NewBodies(budget *Budget, poison bool) *Bodies {
	return &Bodies{budget: budget, poison: poison}
}

// Body is the raw bytes of one request. One goroutine at a time may use it.
type Body struct {
	owner    *Bodies
	buf      []byte // headroom, then the bytes read so far
	verified bool
	release  func()
}

// Get returns an empty body. The caller, or whoever it hands the body on to,
// calls Release exactly once.
func (p *Bodies) Get() *Body {
	if b, ok := p.pool.Get().(*Body); ok {
		return b
	}
	b := &Body{owner: p, buf: make([]byte, headroom, firstBuffer)}
	b.release = b.Release
	return b
}

// Bytes returns what was read so far. It is valid until Release.
func (b *Body) Bytes() []byte { return b.buf[headroom:] }

// Len returns the number of bytes read so far.
func (b *Body) Len() int { return len(b.buf) - headroom }

// Spare returns room for the next bytes, after those read so far. It is never
// empty. Growing doubles the buffer, so memory follows what has arrived and
// not what was declared.
func (b *Body) Spare() []byte {
	if len(b.buf) == cap(b.buf) {
		grown := make([]byte, len(b.buf), 2*cap(b.buf))
		copy(grown, b.buf)
		b.buf = grown
	}
	return b.buf[len(b.buf):cap(b.buf)]
}

// Advance says that n bytes have arrived in Spare, and charges them. On
// ErrBudget the bytes do not count as read.
func (b *Body) Advance(n int) error {
	if n == 0 {
		return nil
	}
	if !b.owner.budget.charge(int64(n)) {
		return ErrBudget
	}
	b.buf = b.buf[:len(b.buf)+n]
	return nil
}

// verify moves the body's bytes out of the unverified half of the budget.
func (b *Body) verify() {
	if !b.verified {
		b.verified = true
		b.owner.budget.unverified.Add(-int64(b.Len()))
	}
}

// framed returns the Confluent frame (0x00, big-endian schema id) and the
// body, without copying. Bytes stays valid.
func (b *Body) framed(schemaID int) []byte {
	id := uint32(schemaID) //nolint:gosec // schema ids are positive 31-bit numbers, checked when fetched
	b.buf[0], b.buf[1], b.buf[2], b.buf[3], b.buf[4] = 0, byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
	return b.buf
}

// Release gives the bytes back to the budget and the buffer to the pool.
// Nothing that Bytes or framed returned may be used afterwards.
func (b *Body) Release() {
	n := int64(b.Len())
	b.owner.budget.used.Add(-n)
	if !b.verified {
		b.owner.budget.unverified.Add(-n)
	}
	if b.owner.poison {
		all := b.buf[:cap(b.buf)]
		for i := range all {
			all[i] = poisonedByte
		}
	}
	if cap(b.buf) > keptBuffer {
		b.buf = make([]byte, headroom, firstBuffer)
	}
	b.buf = b.buf[:headroom]
	b.verified = false
	b.owner.pool.Put(b)
}
