package judge

import "time"

// Add writes an event into a journal as a sender does.
func Add(j *Journal, e *Event) { j.add(e) }

// Hurry makes a sender pause for less between its attempts.
func (s *Sender) Hurry(pause time.Duration) { s.pause = pause }
