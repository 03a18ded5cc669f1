package app

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"os"
	"sync"

	"github.com/cxrelay/cxrelay/internal/config"
)

// Source is where the configuration is read, at the start and at every reload.
// It remembers what it read, so that it can tell whether any file has changed
// since. Safe for concurrent use.
type Source struct {
	src  config.Source
	read func(string) ([]byte, error)

	mu   sync.Mutex
	last contents
}

// contents are digests of files by name. A file that could not be read has
// the digest of its error.
type contents map[string][sha256.Size]byte

// NewSource returns the source that config.Load would read.
func NewSource(src config.Source) *Source {
	s := &Source{src: src, read: src.ReadFile}
	if s.read == nil {
		s.read = os.ReadFile
	}
	if s.src.ReadFile == nil && s.src.Stat == nil {
		s.src.Stat = os.Stat // as Load has it for the real files
	}
	return s
}

// Load is config.Load. What it read counts as known afterwards, also when it
// could not be used.
func (s *Source) Load() (*config.Config, []config.Problem, error) {
	seen := contents{}
	src := s.src
	src.ReadFile = func(name string) ([]byte, error) { return s.look(name, seen) }
	cfg, warnings, err := config.Load(src)
	s.mu.Lock()
	s.last = seen
	s.mu.Unlock()
	return cfg, warnings, err
}

func (s *Source) look(name string, into contents) ([]byte, error) {
	data, err := s.read(name)
	if _, twice := into[name]; twice {
		return data, err // the first reading counts: what has changed since shows at the next look
	}
	if err != nil {
		into[name] = sha256.Sum256([]byte("error: " + err.Error()))
	} else {
		into[name] = sha256.Sum256(data)
	}
	return data, err
}

// now reads the files of the last Load again.
func (s *Source) now() contents {
	now := contents{}
	for name := range s.loaded() {
		_, _ = s.look(name, now) // an error is a digest too
	}
	return now
}

func (s *Source) loaded() contents {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (c contents) same(other contents) bool { return maps.Equal(c, other) }

// hash is 48 bits of the digest of the configuration file, which a float64
// holds exactly; 0 without a file. The files of secrets are left out: relays
// with the same configuration show the same hash, and nobody gets to compare
// guesses of a secret with it.
func (s *Source) hash() float64 {
	sum, ok := s.loaded()[s.src.File]
	switch {
	case s.src.Data != nil:
		sum = sha256.Sum256(s.src.Data)
	case !ok:
		return 0
	}
	return float64(binary.BigEndian.Uint64(sum[:8]) >> 16)
}
