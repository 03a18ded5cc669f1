package inspect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Bounds of what is read of the records that a topic holds already.
const (
	samplePartitions = 3       // the fullest ones of each topic
	sampleRecords    = 67      // the last ones of each of these
	sampleBytes      = 2 << 20 // of each of these; the record that exceeds it is the last
	sampleFetch      = 256 << 10
	sampleTime       = 5 * time.Second // for all topics together
)

// Sample are the keys of some records that a topic holds: of the last 67 in
// each of its three fullest partitions. Reading takes READ on the topic, which
// a relay does not need otherwise.
type Sample struct {
	Err     error // not nil: not readable, or cut short
	Records int   // read
	Keys    []PlacedKey
}

// PlacedKey is a distinct key, not empty, and the partition it was found in.
type PlacedKey struct {
	Key       string
	Partition int32
}

// tail is the part of a partition that is read.
type tail struct {
	topic     *Topic
	partition int32
	from, end int64
	bytes     int
	done      bool
}

// samples reads the tails of all topics with a consumer of its own, which
// joins no group and commits nothing.
func samples(ctx context.Context, cl *kgo.Client, topics []Topic) {
	ctx, cancel := context.WithTimeout(ctx, sampleTime)
	defer cancel()
	tails := tailsOf(ctx, kadm.NewClient(cl), topics)
	if len(tails) == 0 {
		return
	}
	start := make(map[string]map[int32]kgo.Offset)
	for _, t := range tails {
		if start[t.topic.Name] == nil {
			start[t.topic.Name] = make(map[int32]kgo.Offset)
		}
		start[t.topic.Name][t.partition] = kgo.NewOffset().At(t.from)
	}
	reader, err := kgo.NewClient(append(slices.Clone(cl.Opts()),
		kgo.ConsumePartitions(start),
		kgo.KeepControlRecords(), // a transaction's marker may be the last record
		kgo.FetchMaxBytes(sampleFetch), kgo.FetchMaxPartitionBytes(sampleFetch),
		kgo.FetchMaxWait(100*time.Millisecond),
	)...)
	if err != nil {
		for _, t := range tails {
			t.topic.Sample.Err = err
		}
		return
	}
	defer reader.CloseAllowingRebalance()
	read(ctx, reader, tails)
}

// tailsOf chooses what to read.
func tailsOf(ctx context.Context, admin *kadm.Client, topics []Topic) []*tail {
	var some []*Topic
	var names []string
	for i := range topics {
		if t := &topics[i]; t.State == Present && t.Partitions > 1 { // one partition holds every key
			some, names = append(some, t), append(names, t.Name)
		}
	}
	if len(some) == 0 {
		return nil
	}
	starts, err := admin.ListStartOffsets(ctx, names...)
	ends, err2 := admin.ListEndOffsets(ctx, names...)
	var all []*tail
	for _, t := range some {
		t.Sample.Err = errors.Join(err, err2) // some partitions may have answered
		all = append(all, fullest(t, starts, ends)...)
	}
	return all
}

func fullest(t *Topic, starts, ends kadm.ListedOffsets) []*tail {
	var tails []*tail
	size := func(t *tail) int64 { return t.end - t.from }
	for p := range t.Partitions {
		start, okStart := starts.Lookup(t.Name, p)
		end, okEnd := ends.Lookup(t.Name, p)
		if okStart && okEnd && start.Err == nil && end.Err == nil && end.Offset > start.Offset {
			tails = append(tails, &tail{topic: t, partition: p, from: start.Offset, end: end.Offset})
		}
	}
	slices.SortStableFunc(tails, func(a, b *tail) int { return cmp.Compare(size(b), size(a)) })
	tails = tails[:min(len(tails), samplePartitions)]
	for _, t := range tails {
		t.from = max(t.from, t.end-sampleRecords)
	}
	return tails
}

// read fills in the samples until all tails are read or ctx ends.
func read(ctx context.Context, reader *kgo.Client, tails []*tail) {
	type place struct {
		topic     string
		partition int32
	}
	open := make(map[place]*tail, len(tails))
	for _, t := range tails {
		open[place{t.topic.Name, t.partition}] = t
	}
	seen := make(map[place]map[string]bool)
	finish := func(at place) {
		delete(open, at)
		reader.PauseFetchPartitions(map[string][]int32{at.topic: {at.partition}})
	}
	for len(open) > 0 {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			for _, t := range open {
				t.topic.Sample.Err = ctx.Err()
			}
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			if t := open[place{topic, partition}]; t != nil {
				t.topic.Sample.Err = err
				finish(place{topic, partition})
			}
		})
		fetches.EachRecord(func(r *kgo.Record) {
			at := place{r.Topic, r.Partition}
			t := open[at]
			if t == nil {
				return
			}
			if seen[at] == nil {
				seen[at] = make(map[string]bool)
			}
			t.take(r, seen[at])
			if t.done {
				finish(at)
			}
		})
	}
}

// take adds one record to the sample.
func (t *tail) take(r *kgo.Record, seen map[string]bool) {
	t.bytes += len(r.Key) + len(r.Value)
	t.done = r.Offset >= t.end-1 || t.bytes >= sampleBytes
	if r.Offset >= t.end || r.Attrs.IsControl() {
		return
	}
	t.topic.Sample.Records++
	if key := string(r.Key); key != "" && !seen[key] {
		seen[key] = true
		t.topic.Sample.Keys = append(t.topic.Sample.Keys, PlacedKey{key, t.partition})
	}
}
