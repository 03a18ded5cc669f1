package real

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cxrelay/cxrelay/test/process"
)

// Decoded is what Confluent's own deserialiser made of a record's value.
type Decoded struct {
	Value []byte // as it was handed to the consumer
	Error string // "" where it was decoded
}

// Deserialise has count records of a topic read by a consumer made of
// librdkafka and Confluent's JSON Schema deserialiser for Go, which finds each
// schema in the registry by the id in the record. The program is a module of
// its own, in serde; it is compiled with cgo.
func (r *Rig) Deserialise(t testing.TB, cluster *Cluster, registry, topic string, count int) []Decoded {
	t.Helper()
	r.use(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.buildSerde(t), cluster.Brokers(), registry, topic, strconv.Itoa(count)) //nolint:gosec // built there
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("read %s with Confluent's deserialiser: %v\n%s", topic, err, complaints.Bytes())
	}
	var all []Decoded
	for line := range bytes.Lines(output) {
		var d Decoded
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatalf("the deserialiser wrote %q: %v", line, err)
		}
		all = append(all, d)
	}
	if len(all) != count {
		t.Fatalf("the deserialiser wrote of %d records, want %d", len(all), count)
	}
	return all
}

// buildSerde compiles the consumer once per run.
func (r *Rig) buildSerde(t testing.TB) string {
	t.Helper()
	const name = "serde"
	if binary, ok := r.binaries[name]; ok {
		return binary
	}
	binary := filepath.Join(r.dir, name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".") //nolint:gosec // our own arguments
	cmd.Dir, cmd.Env = filepath.Join(moduleRoot(t), "test", "real", "serde"), append(os.Environ(), "CGO_ENABLED=1")
	if err := process.Run(t.Context(), cmd, filepath.Join(r.dir, "serde-build.log")); err != nil {
		t.Fatal(fmt.Errorf("%w\nit needs a C compiler: apt-get install gcc libc6-dev", err))
	}
	if r.binaries == nil {
		r.binaries = map[string]string{}
	}
	r.binaries[name] = binary
	return binary
}
