package schema

import "time"

// Save and Load write and read the snapshot of a pin; Load gives its text.
func (s *Snapshots) Save(p Pin, def Definition, confirmed time.Time) error {
	return s.save(p, def, confirmed)
}

func (s *Snapshots) Load(p Pin) (string, error) {
	snap, err := s.load(p)
	if err != nil {
		return "", err
	}
	return snap.Text, nil
}

// Probe is what a cache does at its start.
func (s *Snapshots) Probe() error { return s.probe() }

// Encoded is the file of a snapshot.
func Encoded(p Pin, def Definition, confirmed time.Time) ([]byte, error) {
	return snapshotOf(p, def, confirmed).encode()
}

// Reencoded reads a file and writes it again.
func Reencoded(b []byte) ([]byte, error) {
	s, err := decodeSnapshot(b)
	if err != nil {
		return nil, err
	}
	return s.encode()
}

// Sealed is a file with the right checksum.
func Sealed(body []byte) []byte {
	return append([]byte(snapshotMagic+snapshotFormat+" "+checksum(body)+"\n"), body...)
}
