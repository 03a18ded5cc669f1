package devkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockName is the file that marks a folder as one of ours. Who has its lock
// has the folder; its content says who that is.
const lockName = "cxrelay-dev.lock"

// Data is a folder that keeps what broker and registry hold. One process has
// it at a time, as long as it lives: the lock is the kernel's (flock) and ends
// with the process, whichever way that ends. The caller must Close it.
type Data struct {
	dir  string
	lock *os.File
}

// Holder is the process that has a folder.
type Holder struct {
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	Webhook string    `json:"webhook,omitempty"` // where it was told to listen
}

// LockedError says that another process has the folder.
type LockedError struct {
	Dir    string
	Holder Holder // the zero value when it has not said yet
}

func (e *LockedError) Error() string {
	who := "another process"
	if h := e.Holder; h.PID != 0 {
		who = fmt.Sprintf("process %d (since %s", h.PID, h.Since.Local().Format(time.DateTime))
		if h.Webhook != "" {
			who += ", webhooks on " + h.Webhook
		}
		who += ")"
	}
	return fmt.Sprintf("%s is in use by %s: stop that one, or name another folder", e.Dir, who)
}

// DamagedError says which file of a folder cannot be used, and what to do.
type DamagedError struct {
	Dir, File string
	Err       error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s cannot be used: %v\nput a copy of %s back that was made while nothing ran, or remove %s to begin anew", e.File, e.Err, e.Dir, e.Dir)
}

// Unwrap returns what is wrong with the file.
func (e *DamagedError) Unwrap() error { return e.Err }

// OpenData makes the folder where there is none and takes it. webhook is told
// to whom the folder is refused meanwhile, with a *LockedError. A folder that
// holds something else is refused, too.
func OpenData(dir, webhook string) (*Data, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	name := filepath.Join(dir, lockName)
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		found, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("data folder: %w", err)
		}
		if len(found) > 0 {
			return nil, fmt.Errorf("%s holds other things (%s): name an empty folder, or one that does not exist", dir, found[0].Name())
		}
	}
	lock, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := takeLock(lock, dir, webhook); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Data{dir: dir, lock: lock}, nil
}

func takeLock(lock *os.File, dir, webhook string) error {
	err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		locked := &LockedError{Dir: dir}
		if said, err := io.ReadAll(io.LimitReader(lock, 1<<10)); err != nil || json.Unmarshal(said, &locked.Holder) != nil {
			locked.Holder = Holder{} // it is just about to say
		}
		return locked
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	said, err := json.Marshal(Holder{PID: os.Getpid(), Since: time.Now().UTC(), Webhook: webhook})
	if err == nil {
		err = lock.Truncate(0)
	}
	if err == nil {
		_, err = lock.WriteAt(append(said, '\n'), 0)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", lock.Name(), err)
	}
	return nil
}

// Dir returns the folder.
func (d *Data) Dir() string { return d.dir }

// Kafka returns the folder of KafkaOptions.Dir.
func (d *Data) Kafka() string { return filepath.Join(d.dir, "kafka") }

// Registry returns the folder of RegistryOptions.Dir.
func (d *Data) Registry() string { return filepath.Join(d.dir, "registry") }

// Close gives the folder back. Broker and registry must be closed already.
func (d *Data) Close() error { return d.lock.Close() }

// writeWhole writes a file so that there is all of it or nothing, whatever
// happens meanwhile.
func writeWhole(name string, content []byte) error {
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), name)
}
