// Command serde reads a topic as a consumer of Confluent's own stack does: with
// librdkafka, and with the JSON Schema deserialiser that comes with it. It is
// a module of its own, so that neither becomes a dependency of the relay.
//
//	serde BROKERS REGISTRY TOPIC COUNT
//
// It reads COUNT records from the start of the topic and writes one JSON object
// a line for each: what the deserialiser made of the value, or its error. The
// value is kept as it was decoded, byte for byte. A record that the deserialiser
// refuses is no failure of this program; it exits 1 when it cannot read.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/serde/jsonschema"
)

// patience bounds the wait for a record.
const patience = 20 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "serde:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return errors.New("want BROKERS REGISTRY TOPIC COUNT")
	}
	brokers, registry, topic := args[0], args[1], args[2]
	count, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	client, err := schemaregistry.NewClient(schemaregistry.NewConfig(registry))
	if err != nil {
		return err
	}
	// As it comes: the id is looked up under the subject TOPIC-value.
	deserialiser, err := jsonschema.NewDeserializer(client, serde.ValueSerde, jsonschema.NewDeserializerConfig())
	if err != nil {
		return err
	}
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": brokers, "group.id": "serde-" + strconv.FormatInt(time.Now().UnixNano(), 36),
		"auto.offset.reset": "earliest", "enable.auto.commit": false,
	})
	if err != nil {
		return err
	}
	defer consumer.Close()
	if err := consumer.Subscribe(topic, nil); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for range count {
		message, err := consumer.ReadMessage(patience)
		if err != nil {
			return err
		}
		if err := out.Encode(read(deserialiser, topic, message.Value)); err != nil {
			return err
		}
	}
	return nil
}

// record is what became of one record: the value's bytes, or why there are none.
type record struct {
	Value []byte `json:"value"` // base64
	Error string `json:"error"`
}

func read(d *jsonschema.Deserializer, topic string, value []byte) record {
	var decoded json.RawMessage
	if err := d.DeserializeInto(topic, value, &decoded); err != nil {
		return record{Error: err.Error()}
	}
	return record{Value: decoded}
}
