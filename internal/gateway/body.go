package gateway

import (
	"errors"
	"math/bits"
	"sync"
	"sync/atomic"
)

// headroom is the space kept free in front of every body, so that the
// 5-byte frame of wire "prefix" is written without copying the body.
const headroom = 5

// Buffers have the sizes 512 bytes, 1 KiB, 2 KiB … 64 KiB, each with a pool of
// its own: a pooled buffer is never much larger than what it holds. Larger ones
// are not pooled.
const (
	leastBuffer  = 512
	keptBuffer   = 64 << 10
	bufferSizes  = 8
	firstMost    = 2 << 10 // of a fresh buffer, whatever was declared: with one byte on each of limits.connections an attacker must not fill the half that unverified bodies have
	poisonedByte = 0xDB
)

// recordCost bounds from above what the relay holds of an event in flight
// beside the buffer of its body, in bytes: record, headers, flight, and the
// Kafka client's own (TestMemoryOfAnEvent of package app measures some 1.8 KiB).
// The texts of the event come on top, twice: in the event and in the record.
const recordCost = 2 << 10

// ErrBudget is what is returned when the relay-wide bound on the memory of
// events in flight is reached.
var ErrBudget = errors.New("bound on the memory of events in flight reached")

// Budget bounds the memory that events hold, in bytes, from the first byte of
// their body until their record's acknowledgement or the refusal: the body's
// buffer, and from the moment that there is a record also what that takes.
// Bodies whose signature is not verified yet may hold at most half of it, so
// that unsigned traffic cannot starve signed events that wait for Kafka. What
// is there alone is admitted, whatever its size. Safe for concurrent use.
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

// charge takes n bytes more for one who holds mine.
func (b *Budget) charge(n, mine int64) bool {
	if used := b.used.Add(n); used > b.total.Load() && used > mine+n {
		b.used.Add(-n)
		return false
	}
	return true
}

// chargeUnverified is charge for a body whose signature is not verified.
func (b *Budget) chargeUnverified(n, mine int64) bool {
	if u := b.unverified.Add(n); u > b.total.Load()/2 && u > mine+n {
		b.unverified.Add(-n)
		return false
	}
	if !b.charge(n, mine) {
		b.unverified.Add(-n)
		return false
	}
	return true
}

// Bodies hands out bodies with pooled buffers. Safe for concurrent use.
type Bodies struct {
	budget *Budget
	poison bool
	bodies sync.Pool              // *Body, without a buffer
	pools  [bufferSizes]sync.Pool // *buffer of leastBuffer << index
}

// buffer is what the pools keep: a slice in an interface would be an allocation.
type buffer struct{ b []byte }

// NewBodies returns a pool that charges budget. With poison set, a returned
// buffer is overwritten, so that a use after Release shows in tests.
func NewBodies(budget *Budget, poison bool) *Bodies {
	return &Bodies{budget: budget, poison: poison}
}

// Body is the raw bytes of one request. One goroutine at a time may use it.
type Body struct {
	owner    *Bodies
	buf      *buffer // headroom, then the bytes read so far
	most     int     // bytes that the body can have
	held     int64   // charged to the budget
	verified bool
	release  func()
}

// Get returns an empty body. most is how many bytes it can have: what was
// declared, or else the limit. The caller, or whoever it hands the body on to,
// calls Release exactly once.
func (p *Bodies) Get(most int64) *Body {
	b, ok := p.bodies.Get().(*Body)
	if !ok {
		b = &Body{owner: p}
		b.release = b.Release
	}
	b.most = int(most)
	b.buf = p.buffer(min(headroom+b.most, firstMost))
	return b
}

// buffer returns an empty buffer of at least size bytes.
func (p *Bodies) buffer(size int) *buffer {
	if size > keptBuffer {
		return &buffer{make([]byte, headroom, size)}
	}
	class := classOf(size)
	if b, ok := p.pools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, headroom, leastBuffer<<class)}
}

// classOf returns the index of the least pool whose buffers have size bytes.
func classOf(size int) int { return bits.Len(uint(max(size-1, 0) / leastBuffer)) }

// give takes a buffer back, with the bytes that were read into it.
func (p *Bodies) give(b *buffer) {
	if p.poison {
		all := b.b[:cap(b.b)]
		for i := range all {
			all[i] = poisonedByte
		}
	}
	if cap(b.b) <= keptBuffer {
		b.b = b.b[:headroom]
		p.pools[classOf(cap(b.b))].Put(b)
	}
}

// Bytes returns what was read so far. It is valid until Release.
func (b *Body) Bytes() []byte { return b.buf.b[headroom:] }

// Len returns the number of bytes read so far.
func (b *Body) Len() int { return len(b.buf.b) - headroom }

// Spare returns room for the next bytes, after those read so far. It is never
// empty. The buffer is doubled when it is full, so memory follows what has
// arrived and not what was declared; only the last step stops at what the body
// can have.
func (b *Body) Spare() []byte {
	if n := len(b.buf.b); n == cap(b.buf.b) {
		size := 2 * n
		if all := headroom + b.most; all > n {
			size = min(size, all)
		}
		grown := b.owner.buffer(size)
		grown.b = append(grown.b[:0], b.buf.b...)
		b.owner.give(b.buf)
		b.buf = grown
	}
	return b.buf.b[len(b.buf.b):cap(b.buf.b)]
}

// Advance says that n bytes have arrived in Spare, and charges the buffer that
// they are in. On ErrBudget the bytes do not count as read.
func (b *Body) Advance(n int) error {
	if n == 0 {
		return nil
	}
	if more := int64(cap(b.buf.b)) - b.held; more > 0 {
		if !b.owner.budget.chargeUnverified(more, b.held) {
			return ErrBudget
		}
		b.held += more
	}
	b.buf.b = b.buf.b[:len(b.buf.b)+n]
	return nil
}

// verify moves the body out of the unverified half of the budget.
func (b *Body) verify() {
	if !b.verified {
		b.verified = true
		b.owner.budget.unverified.Add(-b.held)
	}
}

// record charges what a record of a verified body will hold, given the length
// of the event's texts. It returns ErrBudget if there is no room for it.
func (b *Body) record(texts int) error {
	more := int64(recordCost + 2*texts + texts/4) // the allocator rounds up, by an eighth at most
	if !b.owner.budget.charge(more, b.held) {
		return ErrBudget
	}
	b.held += more
	return nil
}

// framed returns the Confluent frame (0x00, big-endian schema id) and the
// body, without copying. Bytes stays valid.
func (b *Body) framed(schemaID int) []byte {
	id := uint32(schemaID) //nolint:gosec // schema ids are positive 31-bit numbers, checked when fetched
	buf := b.buf.b
	buf[0], buf[1], buf[2], buf[3], buf[4] = 0, byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
	return buf
}

// Release gives the bytes back to the budget and the buffer to its pool.
// Nothing that Bytes or framed returned may be used afterwards.
func (b *Body) Release() {
	b.owner.budget.used.Add(-b.held)
	if !b.verified {
		b.owner.budget.unverified.Add(-b.held)
	}
	b.owner.give(b.buf)
	b.buf, b.held, b.verified = nil, 0, false
	b.owner.bodies.Put(b)
}
