package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	snapshotSuffix = ".schema"
	snapshotTemp   = ".tmp-"
	// leftOver is the age from which a temporary file belongs to nobody.
	leftOver = time.Hour
)

// Snapshots is a directory that keeps schemas over a restart. Several relays
// of one registry may share it: a file is replaced as a whole or not at all.
// Safe for concurrent use.
type Snapshots struct{ dir string }

// NewSnapshots makes no directory and reads none; writing makes it.
func NewSnapshots(dir string) *Snapshots { return &Snapshots{dir: dir} }

// probe tells whether files can be written, and removes what writers that
// were killed have left.
func (s *Snapshots) probe() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), snapshotTemp) || !info.Mode().IsRegular() || time.Since(info.ModTime()) < leftOver {
			continue // gone meanwhile, or not left over
		}
		if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.CreateTemp(s.dir, snapshotTemp+"*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// path is where the snapshot of a pin is. Names of subjects may be longer
// than those of files, and differ only in case: the hash tells them apart.
func (s *Snapshots) path(p Pin) string {
	sum := sha256.Sum256([]byte(p.Subject))
	legible := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r) {
			return r
		}
		return '_'
	}, p.Subject)
	legible = strings.TrimLeft(legible[:min(len(legible), 64)], ".")
	return filepath.Join(s.dir, legible+"-"+hex.EncodeToString(sum[:8])+"-"+p.label()+snapshotSuffix)
}

// save replaces the snapshot of a pin. When it returns nil the new one is on
// disk and will stay; otherwise there is the old one or the new one, whole.
func (s *Snapshots) save(p Pin, def Definition, confirmed time.Time) error {
	data, err := snapshotOf(p, def, confirmed).encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, snapshotTemp+"*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.path(p))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(s.dir)
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// load reads the snapshot of a pin. The error matches fs.ErrNotExist when
// there is none.
func (s *Snapshots) load(p Pin) (*snapshot, error) {
	path := s.path(p)
	info, err := os.Lstat(path) // opening a pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is no regular file", errForeign, path)
	case info.Size() > maxSnapshot:
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", errForeign, path, maxSnapshot)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only; nothing to lose
	data, err := io.ReadAll(io.LimitReader(f, maxSnapshot))
	if err != nil {
		return nil, err
	}
	snap, err := decodeSnapshot(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if snap.pin() != p {
		return nil, fmt.Errorf("%s: %w: it is of %s", path, errForeign, shorten(snap.pin().String()))
	}
	return snap, nil
}
