package judge

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Read takes every record that the topics hold now, from the start of each
// partition. It ends when it has read up to where each partition ended when
// it began, and fails when ctx ends before that.
func (j *Judge) Read(ctx context.Context, brokers []string, topics ...string) error {
	starts, left, err := ends(ctx, brokers, topics)
	if err != nil {
		return err
	}
	if len(left) == 0 {
		return nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumePartitions(starts), kgo.FetchMaxBytes(16<<20))
	if err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	defer client.Close()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("read records, %d partitions are left: %w", len(left), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at := part{r.Topic, r.Partition}
			end, reading := left[at]
			if !reading || r.Offset >= end {
				return // written since
			}
			j.Record(Of(r))
			if r.Offset == end-1 {
				delete(left, at)
			}
		})
	}
	return nil
}

type part struct {
	topic     string
	partition int32
}

// ends returns where to start, and the end of each partition that has records.
func ends(ctx context.Context, brokers, topics []string) (map[string]map[int32]kgo.Offset, map[part]int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, nil, fmt.Errorf("look at topics: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	first, err := admin.ListStartOffsets(ctx, topics...)
	if err == nil {
		err = first.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("where topics begin: %w", err)
	}
	last, err := admin.ListEndOffsets(ctx, topics...)
	if err == nil {
		err = last.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("where topics end: %w", err)
	}
	starts, left := map[string]map[int32]kgo.Offset{}, map[part]int64{}
	var cut error
	last.Each(func(o kadm.ListedOffset) {
		start, _ := first.Lookup(o.Topic, o.Partition)
		if start.Offset > 0 {
			cut = fmt.Errorf("%s/%d begins at %d: retention would be taken for loss", o.Topic, o.Partition, start.Offset)
		}
		if o.Offset > start.Offset {
			if starts[o.Topic] == nil {
				starts[o.Topic] = map[int32]kgo.Offset{}
			}
			starts[o.Topic][o.Partition] = kgo.NewOffset().At(start.Offset)
			left[part{o.Topic, o.Partition}] = o.Offset
		}
	})
	return starts, left, cut
}

// Of takes what is judged from a record.
func Of(r *kgo.Record) *Record {
	return &Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: r.Key, Value: r.Value,
		EventID: Header(r, "cxrelay-event-id"), Origin: Header(r, "cxrelay-origin"), Labels: labels(r),
	}
}

// Header returns the value of a record's header, or "".
func Header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
