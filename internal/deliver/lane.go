package deliver

import (
	"sync"
	"sync/atomic"
	"time"
)

// lane is one partition of one topic: the order of its records, and what is
// in flight in it.
//
// The lock is held from taking the sequence number until the producer has
// the record, so that within a partition the sequence is the order of the
// producer's queue, which is the order in the log.
type lane struct {
	partition int32

	mu         sync.Mutex
	seq        uint64
	head, tail *flight // unsettled records, oldest first
	records    int
	bytes      int64
}

// add appends a flight. The caller holds mu.
func (l *lane) add(f *flight) {
	f.prev = l.tail
	if l.tail == nil {
		l.head = f
	} else {
		l.tail.next = f
	}
	l.tail = f
	l.records++
	l.bytes += f.held
}

// remove takes a settled flight out.
func (l *lane) remove(f *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.prev == nil {
		l.head = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		l.tail = f.prev
	} else {
		f.next.prev = f.prev
	}
	f.prev, f.next = nil, nil
	l.records--
	l.bytes -= f.held
}

// oldest returns when the oldest unsettled record was produced.
func (l *lane) oldest() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head == nil {
		return time.Time{}, false
	}
	return l.head.produced, true
}

// The states of a flight: who answers is decided by one compare-and-swap.
const (
	waiting   uint32 = iota // the handler waits
	settled                 // the producer was first: the handler gets its result
	abandoned               // the deadline was first: the result is counted as late
)

// flight is one record between Produce and its settlement.
type flight struct {
	d        *Deliverer
	topic    *topic
	lane     *lane
	held     int64 // bytes
	release  func()
	seq      uint64
	eventID  string
	produced time.Time

	prev, next *flight

	state  atomic.Uint32
	done   chan struct{} // capacity 1: settle never blocks
	timer  *time.Timer
	offset int64
	err    error

	callback func(int64, error) // settle, bound once
}

// settle is the producer's callback. The body's memory is given back here,
// never by the handler: until now the producer may have read it.
func (f *flight) settle(offset int64, err error) {
	f.lane.remove(f)
	f.d.release(f.held)
	if f.release != nil {
		f.release()
	}
	f.release = nil
	f.topic.metrics.settled(time.Since(f.produced), err)
	f.offset, f.err = offset, err
	if f.state.CompareAndSwap(waiting, settled) {
		f.done <- struct{}{} // f belongs to the handler from here on
		return
	}
	f.d.late(f)
}

// wait returns true if the producer settled the flight before the deadline.
func (f *flight) wait(deadline time.Time) bool {
	f.timer.Reset(time.Until(deadline))
	select {
	case <-f.done:
		f.timer.Stop()
		return true
	case <-f.timer.C:
	}
	if f.state.CompareAndSwap(waiting, abandoned) {
		return false
	}
	<-f.done
	return true
}
