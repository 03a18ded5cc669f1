package schema

import (
	"fmt"
	"slices"
	"time"
)

// state is what readers see of an entry; it is replaced as a whole.
type state struct {
	schema    *Schema    // the last good one, nil before the first
	def       Definition // what schema was made from
	confirmed time.Time  // when the registry last gave def for the pin
	restored  bool       // from a snapshot, and not confirmed since
	doubted   bool       // given by another registry, and not confirmed by this one
	until     time.Time  // not used from then on; zero: no limit
	lastError string

	// unavailable is Lookup's answer while schema is nil, and from until on.
	unavailable *unavailableError
}

// current is what may be used now. It allocates nothing, and reads the clock
// only where there is a limit.
func (s *state) current() (*Schema, error) {
	if s.schema == nil || s.expired() {
		return nil, s.unavailable
	}
	return s.schema, nil
}

func (s *state) expired() bool { return !s.until.IsZero() && !time.Now().Before(s.until) }

// age is the time since the registry confirmed the schema, in seconds. A
// pinned version never changes: one confirmation is enough.
func (s *state) age(p Pin) float64 {
	if s.schema == nil || s.confirmed.IsZero() || p.Version > 0 && !s.restored {
		return 0
	}
	return max(0, time.Since(s.confirmed).Seconds())
}

// State says how far a schema can be trusted, or why there is none.
type State string

// The states.
const (
	Loading     State = "loading"     // nobody has answered yet
	Unavailable State = "unavailable" // nothing usable, and why is known
	Fresh       State = "fresh"       // the last look confirmed it
	Stale       State = "stale"       // the last look failed; the last good one is in use
	Restored    State = "snapshot"    // from disk, and not confirmed since
	Expired     State = "expired"     // not confirmed for longer than the maximum age; not in use
	Remote      State = "remote"      // the registry validates
	Off         State = "off"         // nobody validates
)

// Status is what the cache knows about one pin. Version and ID are 0 while
// there is no schema; the times are zero before the first success.
type Status struct {
	Subject     string    `json:"subject"`
	Pinned      int       `json:"pinned,omitempty"` // the version that routes ask for; 0: the latest
	State       State     `json:"state"`
	Usable      bool      `json:"usable"`
	Version     int       `json:"version,omitempty"`
	ID          int       `json:"id,omitempty"`
	Type        string    `json:"type,omitempty"`
	Age         float64   `json:"ageSeconds"`           // as in the metric
	FetchedAt   time.Time `json:"fetchedAt,omitzero"`   // since when this version is in use
	LastSuccess time.Time `json:"lastSuccess,omitzero"` // when the registry last confirmed it
	LastError   string    `json:"lastError,omitempty"`  // why the last look failed; empty when it did not

	// What decides, and what its author should know: see Described.
	Engine   string   `json:"engine,omitempty"`
	Declined string   `json:"declined,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Problem says what an operator should know, or is empty.
func (s Status) Problem() string {
	switch s.State {
	case Loading:
		return "not loaded yet"
	case Unavailable, Remote:
		return s.LastError
	case Stale:
		return fmt.Sprintf("version %d stays in use: %s", s.Version, s.LastError)
	case Restored:
		text := fmt.Sprintf("version %d is in use from the snapshot of %s", s.Version, s.LastSuccess.UTC().Format(time.RFC3339))
		if s.LastError != "" {
			text += ": " + s.LastError
		}
		return text
	case Expired:
		text := fmt.Sprintf("version %d is not used any more: nobody has confirmed it since %s", s.Version, s.LastSuccess.UTC().Format(time.RFC3339))
		if s.LastError != "" {
			text += ": " + s.LastError
		}
		return text
	case Fresh, Off:
	}
	return ""
}

// Remarks are what an operator may want to know of a schema that works.
func (s Status) Remarks() []string {
	all := slices.Clone(s.Warnings)
	if s.Declined != "" {
		all = append(all, fmt.Sprintf("engine %s: the fast one declined %s", s.Engine, s.Declined))
	}
	return all
}

// Entry is a status with the schema itself.
type Entry struct {
	Status
	Text       string            `json:"text,omitempty"`
	References map[string]string `json:"references,omitempty"` // texts by reference name
}

// Listing is what the relay says of its schemas.
type Listing struct {
	Mode    string  `json:"mode"` // schema.mode
	Schemas []Entry `json:"schemas"`
}

func (e *entry) status() Status {
	now := e.state.Load()
	s := Status{
		Subject: e.pin.Subject, Pinned: e.pin.Version, State: e.stateOf(now), Age: now.age(e.pin),
		LastSuccess: now.confirmed, LastError: now.lastError,
	}
	if e.opts.Fixed != nil {
		s.Usable, s.FetchedAt = true, now.schema.FetchedAt
		if r, ok := now.schema.Validator.(*remote); ok {
			s.LastSuccess, s.LastError = r.lastAnswer()
		}
		return s
	}
	if now.schema != nil {
		s.Usable = s.State != Expired
		s.Version, s.ID, s.Type, s.FetchedAt = now.schema.Version, now.schema.ID, now.def.Type, now.schema.FetchedAt
		if d, ok := now.schema.Validator.(Described); ok {
			s.Engine, s.Declined = d.Engine()
			s.Warnings = d.Warnings()
		}
	}
	return s
}

func (e *entry) stateOf(now *state) State {
	switch {
	case e.opts.Fixed != nil:
		return e.opts.Fixed.State
	case now.schema == nil && now.lastError == "":
		return Loading
	case now.schema == nil:
		return Unavailable
	case now.expired():
		return Expired
	case now.restored:
		return Restored
	case now.lastError != "":
		return Stale
	}
	return Fresh
}
