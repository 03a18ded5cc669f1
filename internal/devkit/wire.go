package devkit

import (
	"net"
	"time"
)

// Weather is what the wire between clients and one broker does to what they
// say. The zero value passes everything on at once.
type Weather struct {
	Refuse   bool          // connections end, and new ones are refused
	DropUp   bool          // what clients say goes nowhere, and nobody is told
	DropDown bool          // the same for what the broker says
	Delay    time.Duration // of each piece, either way
	Rate     int           // bytes a second, each way of each connection; 0: no limit
}

// SetWeather changes the weather of a node, also for connections that are
// there. A stream that lost bytes goes on losing them until it ends: one with a
// hole in it does not exist.
func (v *VirtualKafka) SetWeather(node int32, w Weather) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.weather[node] = w
	close(v.changed)
	v.changed = make(chan struct{})
	if w.Refuse {
		v.end(func(of int32) bool { return of == node })
	}
}

// end closes the connections of some nodes. The caller holds the lock.
func (v *VirtualKafka) end(ofThese func(node int32) bool) {
	for c, node := range v.conns {
		if ofThese(node) {
			_ = c.Close()
			delete(v.conns, c)
		}
	}
}

// splice puts an in-memory wire between a client and a broker that takes what
// is written to it at once, as the buffers of a TCP connection do, and passes
// it on as the weather and the broker let it.
func (v *VirtualKafka) splice(broker net.Conn, node int32) net.Conn {
	client, far := net.Pipe()
	v.mu.Lock()
	v.conns[client] = node
	v.mu.Unlock()
	go func() {
		v.pass(broker, far, node, func(w Weather) bool { return w.DropUp })
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.conns, client)
	}()
	go v.pass(far, broker, node, func(w Weather) bool { return w.DropDown })
	return client
}

// piece is what one read gave.
type piece struct {
	bytes []byte
	at    time.Time
}

// pass copies src to dst until src ends.
func (v *VirtualKafka) pass(dst, src net.Conn, node int32, dropped func(Weather) bool) {
	wire := make(chan piece, 1024)
	go func() {
		hole := false
		for p := range wire {
			if hole = hole || dropped(v.pace(node, p)); hole {
				continue
			}
			if _, err := dst.Write(p.bytes); err != nil {
				_ = src.Close() // the other end is gone: nobody will read the rest
			}
		}
		_ = dst.Close()
	}()
	defer close(wire)
	for {
		chunk := make([]byte, 16<<10)
		n, err := src.Read(chunk)
		if n > 0 {
			wire <- piece{chunk[:n], time.Now()}
		}
		if err != nil {
			return
		}
	}
}

// pace waits until a piece may go on, and returns the weather then.
func (v *VirtualKafka) pace(node int32, p piece) Weather {
	for {
		v.mu.Lock()
		hung, w, changed := v.hung[node], v.weather[node], v.changed
		v.mu.Unlock()
		if hung != nil {
			<-hung
			continue
		}
		left := time.Until(p.at.Add(w.Delay))
		if w.Rate > 0 {
			left = max(left, 0) + time.Duration(len(p.bytes))*time.Second/time.Duration(w.Rate)
		}
		if left <= 0 {
			return w
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
			return w
		case <-changed: // it lasts no longer than the weather
			timer.Stop()
		}
	}
}
