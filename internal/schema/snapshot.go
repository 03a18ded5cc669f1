package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// A snapshot is one line of ASCII and one JSON object:
//
//	cxrelay-schema 1 sha256:<64 hex digits of everything after the line feed>
//	{"subject":…}
const (
	snapshotMagic  = "cxrelay-schema "
	snapshotFormat = "1"
	// maxSnapshot bounds what is read: the texts that the client takes, at
	// six bytes for one when escaped, and something for the rest.
	maxSnapshot = 6*DefaultMaxBytes + 1<<20
)

// Why a snapshot is ignored; told apart for the log line.
var (
	errForeign  = errors.New("it is not a snapshot of a schema")
	errTooNew   = errors.New("it was written by a newer cxrelay")
	errChecksum = errors.New("its checksum does not fit: it is damaged or cut off")
)

// snapshot is what is kept of a pin.
type snapshot struct {
	Subject    string            `json:"subject"`
	Pinned     int               `json:"pinned"` // 0: the latest
	Version    int               `json:"version"`
	ID         int               `json:"id"`
	Type       string            `json:"type"`
	Confirmed  time.Time         `json:"confirmed"` // when the registry last gave it
	Text       string            `json:"schema"`
	References map[string]string `json:"references,omitempty"`
}

func snapshotOf(p Pin, def Definition, confirmed time.Time) *snapshot {
	return &snapshot{
		Subject: p.Subject, Pinned: p.Version, Version: def.Version, ID: def.ID, Type: def.Type,
		Confirmed: confirmed.UTC().Truncate(time.Millisecond), Text: def.Text, References: def.References,
	}
}

func (s *snapshot) pin() Pin { return Pin{s.Subject, s.Pinned} }

func (s *snapshot) definition() Definition {
	return Definition{Subject: s.Subject, Version: s.Version, ID: s.ID, Type: s.Type, Text: s.Text, References: s.References}
}

// encode gives the bytes of the file.
func (s *snapshot) encode() ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	return append([]byte(snapshotMagic+snapshotFormat+" "+checksum(body)+"\n"), body...), nil
}

func checksum(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// decodeSnapshot reads what encode has written, and takes nothing else.
func decodeSnapshot(b []byte) (*snapshot, error) {
	line, body, ok := bytes.Cut(b, []byte("\n"))
	rest, ours := strings.CutPrefix(string(line[:min(len(line), 256)]), snapshotMagic)
	format, sum, spaced := strings.Cut(rest, " ")
	switch {
	case !ours || format == "" || strings.Trim(format, "0123456789") != "":
		return nil, errForeign
	case format != snapshotFormat:
		return nil, fmt.Errorf("%w: its format is %s, known is %s", errTooNew, shorten(format), snapshotFormat)
	case !ok || !spaced || sum != checksum(body):
		return nil, errChecksum
	}
	s := new(snapshot)
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	return s, s.check()
}

// check finds what no relay would have written.
func (s *snapshot) check() error {
	switch {
	case checkSubject(s.Subject) != nil:
		return fmt.Errorf("%w: no subject", errForeign)
	case s.Version < 1 || s.ID < 1 || s.ID > math.MaxInt32 || s.Type == "":
		return fmt.Errorf("%w: no version, id or type", errForeign)
	case s.Pinned < 0 || s.Pinned > 0 && s.Pinned != s.Version:
		return fmt.Errorf("%w: version %d for version %d", errForeign, s.Version, s.Pinned)
	case s.Confirmed.IsZero():
		return fmt.Errorf("%w: no time", errForeign)
	}
	return nil
}
