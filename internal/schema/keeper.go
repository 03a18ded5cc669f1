package schema

import (
	"errors"
	"io/fs"
	"time"
)

// keepEvery is how often a schema that does not change is written again, so
// that the snapshot knows when it was last confirmed.
const keepEvery = 10 * time.Minute

// keeper remembers what an entry has on disk.
type keeper struct {
	def     Definition
	at      time.Time // when it was confirmed; zero: not written by this entry
	failing bool      // which is logged already
}

// restore takes the snapshot, if there is one and nothing better.
func (e *entry) restore() {
	if e.opts.Snapshots == nil || e.state.Load().schema != nil {
		return
	}
	snap, err := e.opts.Snapshots.load(e.pin)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var validator Validator
	if err == nil {
		validator, err = compile(e.opts.Compile, snap.definition())
	}
	if err != nil {
		e.log.Warn("schema snapshot ignored", "error", err)
		return
	}
	def, confirmed := snap.definition(), snap.Confirmed
	if now := time.Now(); confirmed.After(now) {
		confirmed = now // a clock was set back
	}
	e.put(&state{schema: e.made(def, validator), def: def, confirmed: confirmed, restored: true})
	e.log.Info("schema taken from its snapshot", "version", def.Version, "id", def.ID, "confirmed", confirmed)
	e.signal()
}

// keep writes what the registry has confirmed, where that is worth it. A
// failure costs nothing now; it is logged once, and counted each time.
func (e *entry) keep(def Definition, confirmed time.Time) {
	if e.opts.Snapshots == nil || same(e.keeper.def, def) && confirmed.Sub(e.keeper.at) < e.keepEvery() {
		return
	}
	if err := e.opts.Snapshots.save(e.pin, def, confirmed); err != nil {
		e.book.unsaved.Add(1)
		if !e.keeper.failing {
			e.log.Warn("schema snapshot not written", "error", err)
		}
		e.keeper.failing = true
		return
	}
	if e.keeper.failing {
		e.log.Info("schema snapshot written again")
	}
	e.book.saved.Add(1)
	e.keeper = keeper{def: def, at: confirmed}
}

// keepEvery leaves most of the maximum age to a relay that starts from the
// snapshot.
func (e *entry) keepEvery() time.Duration {
	if e.opts.MaxAge > 0 {
		return min(keepEvery, e.opts.MaxAge/4)
	}
	return keepEvery
}
