package devkit

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// What the broker (kfake) keeps in its folder: some JSON files, two logs of
// framed entries, and a folder with segments for each partition. It cuts off
// what it cannot read, and starts anew where a file is missing. That is right
// for what a killed process had not finished, which stands at the end, and
// wrong for everything else, so that is found before it starts.

const (
	batchHead     = 12 // offset and length before a batch (Kafka's record batch, version 2)
	batchChecksum = 17 // where its checksum stands; what follows is what it covers
	entryHead     = 8  // length and checksum before an entry of a log
)

// checkKafka returns a *DamagedError, or nil for a folder that the broker can
// use.
func checkKafka(data, dir string) error {
	damaged := func(name string, err error) error {
		return &DamagedError{Dir: data, File: filepath.Join(dir, name), Err: err}
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil // the first start
	}
	_, err := os.Stat(filepath.Join(dir, "partitions"))
	filled := err == nil
	for _, name := range []string{"meta.json", "topics.json", "broker_configs.json"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist) && !filled:
		case err != nil:
			return damaged(name, causeOf(err))
		case !json.Valid(content):
			return damaged(name, errors.New("it is no JSON"))
		}
	}
	for _, name := range []string{"groups.log", "pids.log"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = checkEntries(content)
		}
		if err != nil {
			return damaged(name, causeOf(err))
		}
	}
	return checkPartitions(dir, damaged)
}

func checkPartitions(dir string, damaged func(string, error) error) error {
	segments, err := filepath.Glob(filepath.Join(dir, "partitions", "*", "*.dat"))
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	last := map[string]int64{} // by folder
	for _, s := range segments {
		last[filepath.Dir(s)] = max(last[filepath.Dir(s)], baseOf(s))
	}
	slices.Sort(segments)
	for _, s := range segments {
		content, err := os.ReadFile(s)
		if err == nil {
			err = checkBatches(content, baseOf(s) == last[filepath.Dir(s)])
		}
		if err != nil {
			name, _ := filepath.Rel(dir, s)
			return damaged(name, causeOf(err))
		}
	}
	return nil
}

// baseOf is the first offset of a segment, by its name.
func baseOf(segment string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(filepath.Base(segment), ".dat"), 10, 64)
	return n
}

// checkBatches looks at the checksums of a segment. Only the last segment may
// end within a batch.
func checkBatches(content []byte, last bool) error {
	table := crc32.MakeTable(crc32.Castagnoli)
	for at := 0; at < len(content); {
		rest := content[at:]
		if len(rest) < batchHead || uint64(len(rest)) < batchHead+uint64(binary.BigEndian.Uint32(rest[8:])) {
			if last {
				return nil
			}
			return fmt.Errorf("it ends within the records at byte %d", at)
		}
		batch := rest[:batchHead+binary.BigEndian.Uint32(rest[8:])]
		if len(batch) < batchChecksum+4 || crc32.Checksum(batch[batchChecksum+4:], table) != binary.BigEndian.Uint32(batch[batchChecksum:]) {
			return fmt.Errorf("the records at byte %d are not those that were written", at)
		}
		at += len(batch)
	}
	return nil
}

// checkEntries looks at the checksums of a log, which may end within an entry.
func checkEntries(content []byte) error {
	table := crc32.MakeTable(crc32.Castagnoli)
	for at := 0; len(content)-at >= entryHead; {
		size := uint64(binary.LittleEndian.Uint32(content[at:]))
		if uint64(len(content)-at) < entryHead+size {
			return nil
		}
		entry := content[at+entryHead:][:size]
		if crc32.Checksum(entry, table) != binary.LittleEndian.Uint32(content[at+4:]) {
			return fmt.Errorf("the entry at byte %d is not the one that was written", at)
		}
		at += entryHead + len(entry)
	}
	return nil
}

// causeOf leaves the name of the file out, which is told anyway.
func causeOf(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
