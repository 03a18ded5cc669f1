package devkit

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Ensure makes sure that a topic exists with at least so many partitions; 0
// stands for what KafkaOptions says of a new one, and for whatever it has. It
// returns how many there were before; 0: no topic. A topic that was there gets
// the retention of KafkaOptions, the first time.
func (k *Kafka) Ensure(ctx context.Context, topic string, partitions int32) (before int32, err error) {
	had := int32(len(k.cluster.PartitionInfos(topic)))
	if had == 0 {
		return 0, k.create(topic, cmp.Or(partitions, k.options.Partitions))
	}
	if k.isKnown(topic) && partitions <= had {
		return had, nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addr), kgo.Dialer(k.dial))
	if err != nil {
		return had, fmt.Errorf("topic %q: %w", topic, err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if partitions > had {
		grown, err := admin.UpdatePartitions(ctx, int(partitions), topic)
		if err == nil {
			err = grown.Error()
		}
		if err != nil {
			return had, fmt.Errorf("add partitions to topic %q: %w", topic, err)
		}
	}
	// This also has the broker look at retention at all: after a start it
	// waits for a topic to be made or altered.
	var settings []kadm.AlterConfig
	for name, value := range k.settings() {
		settings = append(settings, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	altered, err := admin.AlterTopicConfigs(ctx, settings, topic)
	for _, a := range altered {
		err = cmp.Or(err, a.Err)
	}
	if err != nil {
		return had, fmt.Errorf("retention of topic %q: %w", topic, err)
	}
	return had, nil
}

func (k *Kafka) create(topic string, partitions int32) error {
	if err := k.cluster.CreateTopic(topic, partitions, k.settings()); err != nil {
		return fmt.Errorf("create topic %q: %w", topic, err)
	}
	k.isKnown(topic)
	return nil
}

// isKnown tells whether it was called with the topic before.
func (k *Kafka) isKnown(topic string) bool {
	_, known := k.known.LoadOrStore(topic, true)
	return known
}

// settings are those of every topic.
func (k *Kafka) settings() map[string]string {
	o := k.options
	return map[string]string{
		"retention.bytes": strconv.FormatInt(o.RetentionBytes, 10),
		"retention.ms":    strconv.FormatInt(o.RetentionMs, 10),
		"segment.bytes":   strconv.FormatInt(max(1, o.RetentionBytes/segmentDivisor), 10),
	}
}

// brokerLog passes on what the broker warns of.
type brokerLog struct{ log *slog.Logger }

// Logf is that of kfake.Logger.
func (l brokerLog) Logf(level kfake.LogLevel, format string, args ...any) {
	if level == kfake.LogLevelError || level == kfake.LogLevelWarn {
		l.log.Warn("the broker warns", slog.String("of", fmt.Sprintf(format, args...)))
	}
}
