package real

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cxrelay/cxrelay/test/process"
)

// Three readers that share no code: kgo, kcat (librdkafka) and Kafka's own
// console consumer (Java). What they agree on is in Kafka.

const readTimeout = time.Minute

// Read returns all records of the topics as kgo reads them, after kcat and
// Kafka's own console consumer have read the very same. The console consumer
// takes seconds per topic; many records are better read with ReadMany.
func (c *Cluster) Read(topics ...string) []*kgo.Record {
	c.t.Helper()
	records := c.ReadMany(topics...)
	for _, topic := range topics {
		c.agree("the console consumer", of(records, topic), c.console(topic, len(of(records, topic))))
	}
	return records
}

// ReadMany returns all records of the topics, in order per partition, as kgo
// reads them, after kcat has read the very same and Kafka's own tool has
// counted as many.
func (c *Cluster) ReadMany(topics ...string) []*kgo.Record {
	c.t.Helper()
	records := c.kgo(topics)
	for _, topic := range topics {
		c.agree("kcat", of(records, topic), c.kcat(topic))
	}
	if counted := c.count(topics); counted != len(records) {
		c.t.Errorf("kgo reads %d records, GetOffsetShell counts %d", len(records), counted)
	}
	return records
}

func of(all []*kgo.Record, topic string) []*kgo.Record {
	var some []*kgo.Record
	for _, r := range all {
		if r.Topic == topic {
			some = append(some, r)
		}
	}
	return some
}

// agree compares what another reader read with what kgo did.
func (c *Cluster) agree(who string, kgo, other []*kgo.Record) {
	c.t.Helper()
	if len(kgo) != len(other) {
		c.t.Errorf("kgo reads %d records, %s %d", len(kgo), who, len(other))
		return
	}
	for i := range kgo {
		if a, b := text(kgo[i]), text(other[i]); a != b {
			c.t.Errorf("kgo and %s read different records:\n%s\n%s", who, a, b)
			return
		}
	}
}

// text is everything of a record that all three readers tell.
func text(r *kgo.Record) string {
	headers := make([]string, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = h.Key + "=" + string(h.Value)
	}
	return fmt.Sprintf("%s/%d@%d %d %q %q %q", r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value, strings.Join(headers, ","))
}

// inOrder sorts by topic, partition and offset.
func inOrder(records []*kgo.Record) []*kgo.Record {
	slices.SortFunc(records, func(a, b *kgo.Record) int {
		if n := strings.Compare(a.Topic, b.Topic); n != 0 {
			return n
		}
		if a.Partition != b.Partition {
			return int(a.Partition - b.Partition)
		}
		return int(a.Offset - b.Offset)
	})
	return records
}

// kgo reads up to what the partitions' ends are now.
func (c *Cluster) kgo(topics []string) []*kgo.Record {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), readTimeout)
	defer cancel()
	ends, err := c.admin.ListEndOffsets(ctx, topics...)
	if err != nil || ends.Error() != nil {
		c.t.Fatalf("end offsets: %v %v", err, ends.Error())
	}
	left := int64(0)
	for _, partitions := range ends {
		for _, end := range partitions {
			left += end.Offset
		}
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.addresses()...), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer reader.Close()
	var records []*kgo.Record
	for int64(len(records)) < left {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			c.t.Fatalf("kgo read %d of %d records: %v", len(records), left, err)
		}
		records = append(records, fetches.Records()...)
	}
	return inOrder(records)
}

// kcatFormat gives lengths before what they measure: a value may hold anything.
const kcatFormat = `%p %o %T %K %S %h\n%k%s\n`

func (c *Cluster) kcat(topic string) []*kgo.Record {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), readTimeout)
	defer cancel()
	out := c.output(ctx, exec.CommandContext(ctx, "kcat", "-C", "-b", c.Brokers(), "-t", topic, "-o", "beginning", "-e", "-q", "-f", kcatFormat), "kcat")
	var records []*kgo.Record
	for len(out) > 0 {
		r := &kgo.Record{Topic: topic}
		var err error
		if out, err = parseKcat(r, out); err != nil {
			c.t.Fatalf("kcat, record %d: %v", len(records)+1, err)
		}
		records = append(records, r)
	}
	return inOrder(records)
}

// parseKcat parses one record in kcatFormat and returns what follows it.
func parseKcat(r *kgo.Record, b []byte) (rest []byte, err error) {
	head, rest, ok := bytes.Cut(b, []byte{'\n'})
	fields := strings.SplitN(string(head), " ", 6)
	if !ok || len(fields) != 6 {
		return nil, fmt.Errorf("unexpected %q", head)
	}
	var n [5]int64
	for i := range n {
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return nil, err
		}
	}
	key, value := int(max(n[3], 0)), int(max(n[4], 0)) // -1 is null
	if len(rest) < key+value+1 {
		return nil, fmt.Errorf("cut off after %q", head)
	}
	r.Partition, r.Offset, r.Timestamp = int32(n[0]), n[1], time.UnixMilli(n[2]) //nolint:gosec // Kafka counts partitions in 32 bits
	r.Headers = parseHeaders(fields[5], "=")
	if n[3] >= 0 {
		r.Key = rest[:key]
	}
	r.Value = rest[key : key+value]
	return rest[key+value+1:], nil
}

// parseHeaders parses headers with commas between them; the relay's own
// values hold none.
func parseHeaders(s, equals string) []kgo.RecordHeader {
	if s == "" || s == "NO_HEADERS" {
		return nil
	}
	var headers []kgo.RecordHeader
	for field := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(field, equals)
		headers = append(headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	return headers
}

// Separators of the console consumer that occur in no value of the tests.
const endOfField, endOfRecord = "\x1f", "\x1e\n"

// console reads n records with Kafka's own console consumer.
func (c *Cluster) console(topic string, n int) []*kgo.Record {
	c.t.Helper()
	if n == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), readTimeout)
	defer cancel()
	class, property := "org.apache.kafka.tools.consumer.ConsoleConsumer", "--formatter-property"
	if c.settings.line == Oldest {
		class, property = "kafka.tools.ConsoleConsumer", "--property"
	}
	args := []string{"--bootstrap-server", c.Brokers(), "--topic", topic, "--from-beginning", "--max-messages", strconv.Itoa(n), "--timeout-ms", "20000"}
	for _, p := range []string{
		"print.timestamp=true", "print.partition=true", "print.offset=true", "print.headers=true", "print.key=true", "print.value=true",
		"key.separator=" + endOfField, "line.separator=" + endOfRecord, "headers.separator=,",
	} {
		args = append(args, property, p)
	}
	out := c.output(ctx, c.java(ctx, class, args...), "console-consumer")
	var records []*kgo.Record
	for record := range strings.SplitSeq(strings.TrimSuffix(string(out), endOfRecord), endOfRecord) {
		f := strings.SplitN(record, endOfField, 6)
		if len(f) != 6 {
			c.t.Fatalf("console consumer: unexpected %q", record)
		}
		r := &kgo.Record{Topic: topic, Headers: parseHeaders(f[3], ":"), Key: []byte(f[4]), Value: []byte(f[5])}
		millis, err1 := strconv.ParseInt(strings.TrimPrefix(f[0], "CreateTime:"), 10, 64)
		partition, err2 := strconv.ParseInt(strings.TrimPrefix(f[1], "Partition:"), 10, 32)
		offset, err3 := strconv.ParseInt(strings.TrimPrefix(f[2], "Offset:"), 10, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			c.t.Fatalf("console consumer: unexpected %q", f[:3])
		}
		r.Timestamp, r.Partition, r.Offset = time.UnixMilli(millis), int32(partition), offset
		records = append(records, r)
	}
	return inOrder(records)
}

// count asks Kafka's own tool for the ends of all partitions.
func (c *Cluster) count(topics []string) int {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), readTimeout)
	defer cancel()
	class := "org.apache.kafka.tools.GetOffsetShell"
	if c.settings.line == Oldest {
		class = "kafka.tools.GetOffsetShell"
	}
	pattern := strings.ReplaceAll(strings.Join(topics, "|"), ".", `\.`)
	out := c.output(ctx, c.java(ctx, class, "--bootstrap-server", c.Brokers(), "--topic", pattern), "get-offsets")
	total := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSpace(line), ":") // topic:partition:end
		if len(fields) != 3 {
			c.t.Fatalf("GetOffsetShell: unexpected %q", line)
		}
		n, err := strconv.Atoi(fields[2])
		if err != nil {
			c.t.Fatalf("GetOffsetShell: unexpected %q", line)
		}
		total += n
	}
	return total
}

// Partitions returns, for each key, the partition among n that Kafka's own
// producer puts it in, computed by Kafka's own code in Java. A key must not
// hold a line feed.
func (c *Cluster) Partitions(n int32, keys []string) []int32 {
	c.t.Helper()
	source := filepath.Join(c.dir, "Partition.java")
	text, err := pinned.ReadFile("testdata/Partition.java")
	if err == nil {
		err = os.WriteFile(source, text, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), readTimeout)
	defer cancel()
	cmd := c.java(ctx, source, strconv.Itoa(int(n))) // one source file is compiled as it is run, JEP 330
	cmd.Stdin = strings.NewReader(strings.Join(keys, "\n"))
	partitions := make([]int32, 0, len(keys))
	for line := range strings.Lines(string(c.output(ctx, cmd, "partition"))) {
		p, err := strconv.ParseInt(strings.TrimSpace(line), 10, 32)
		if err != nil {
			c.t.Fatal(err)
		}
		partitions = append(partitions, int32(p))
	}
	if len(partitions) != len(keys) {
		c.t.Fatalf("Java gave %d partitions for %d keys", len(partitions), len(keys))
	}
	return partitions
}

// Produce has kcat write records with these keys, and values that do not
// matter, in the partitions that librdkafka chooses by default.
func (c *Cluster) Produce(topic string, keys []string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), readTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kcat", "-P", "-b", c.Brokers(), "-t", topic, "-K", "\t")
	cmd.Stdin = strings.NewReader(strings.Join(keys, "\tx\n") + "\tx\n")
	c.output(ctx, cmd, "kcat-produce")
}

// output runs a tool of the readers and returns its standard output.
func (c *Cluster) output(ctx context.Context, cmd *exec.Cmd, name string) []byte {
	c.t.Helper()
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := process.Run(ctx, cmd, filepath.Join(c.dir, name+".log")); err != nil {
		c.t.Fatal(err)
	}
	return out.Bytes()
}
